//! Errors as the API shows them: a code for programs, a sentence for people, and what to do.

use crate::store::StoreError;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use consilium_core::error::Rejection;
use serde_json::json;

/// All codes, as docs/API.md lists them.
#[cfg(test)]
pub(super) const CODES: [&str; 19] = [
    "format",
    "seed",
    "proof",
    "signature",
    "not-admitted",
    "wrong-round",
    "round-closed",
    "unknown-round",
    "not-taking-part",
    "second-contribution",
    "too-large",
    "too-slow",
    "not-found",
    "not-ready",
    "unauthorised",
    "forbidden",
    "expired",
    "busy",
    "internal",
];

/// A refused request.
#[derive(Debug)]
pub(crate) struct Refused {
    status: StatusCode,
    code: &'static str,
    message: String,
    remedy: &'static str,
}

impl Refused {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>, remedy: &'static str) -> Self {
        Self { status, code, message: message.into(), remedy }
    }

    pub(super) fn format(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "format",
            message,
            "send the canonical form of docs/API.md, of the round's own lengths",
        )
    }

    pub(super) fn rejected(step: Rejection) -> Self {
        let remedy = "the contribution is rejected and stays so; make a new one from an update within the study's bounds";
        let (status, code) = match step {
            Rejection::Format => (StatusCode::BAD_REQUEST, "format"),
            Rejection::Seed => (StatusCode::UNPROCESSABLE_ENTITY, "seed"),
            Rejection::Proof => (StatusCode::UNPROCESSABLE_ENTITY, "proof"),
        };
        Self::new(status, code, format!("this node rejects the contribution at the step `{step}`"), remedy)
    }

    pub(super) fn signature(message: impl Into<String>) -> Self {
        let remedy = "sign Contribution{study, round, site, digest, boxes} with the site's key, in this deployment's domain";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "signature", message, remedy)
    }

    pub(super) fn not_admitted(site: impl std::fmt::Display) -> Self {
        let remedy = "ask the sponsor to admit the site to the next round";
        Self::new(StatusCode::FORBIDDEN, "not-admitted", format!("{site} is not admitted to the round"), remedy)
    }

    pub(super) fn wrong_round(study: u64, round: u64) -> Self {
        let message = format!("the header is for round {round} of study {study}");
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "wrong-round",
            message,
            "make a contribution for this round: seeds are fresh in each",
        )
    }

    pub(super) fn round_closed() -> Self {
        Self::new(StatusCode::CONFLICT, "round-closed", "the round takes no more contributions", "wait for the next round")
    }

    pub(super) fn unknown_round() -> Self {
        let remedy = "check the numbers, and try again in a few seconds: this node may not have seen the opening yet";
        Self::new(StatusCode::NOT_FOUND, "unknown-round", "this node knows no such round", remedy)
    }

    pub(super) fn not_taking_part(reason: &str) -> Self {
        let message = format!("this node takes no part in the round: {reason}");
        Self::new(
            StatusCode::CONFLICT,
            "not-taking-part",
            message,
            "turn to another node; its operator finds the reason in the log",
        )
    }

    pub(super) fn second_contribution(message: &'static str) -> Self {
        let remedy = "a site signs one contribution a round: send the first one again";
        Self::new(StatusCode::CONFLICT, "second-contribution", message, remedy)
    }

    pub(super) fn too_large(message: impl Into<String>) -> Self {
        let remedy = "send exactly what the round's shape dictates";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", message, remedy)
    }

    pub(super) fn too_slow() -> Self {
        let message = "no more bytes arrived in time";
        Self::new(StatusCode::REQUEST_TIMEOUT, "too-slow", message, "send again over a better line; nothing was kept")
    }

    pub(super) fn not_found(message: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", message, "check the path, or ask another node")
    }

    pub(super) fn not_ready(message: &'static str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", message, "ask again in a second, or ask another node")
    }

    pub(super) fn unauthorised(message: impl Into<String>) -> Self {
        let remedy = "send `Authorization: Consilium study.round.expires.signature`, signed over this very request; a contract has its own form (docs/API.md)";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorised", message, remedy)
    }

    pub(super) fn expired(message: impl Into<String>) -> Self {
        let remedy = "sign a new capability, for at most 300 seconds; check the clock";
        Self::new(StatusCode::UNAUTHORIZED, "expired", message, remedy)
    }

    pub(super) fn forbidden(caller: impl std::fmt::Display) -> Self {
        let remedy = "use a key that the chain names as member, sponsor, auditor or admitted site of the round; for the aggregate alone, a \
                      licence will do";
        Self::new(StatusCode::FORBIDDEN, "forbidden", format!("{caller} may not do this"), remedy)
    }

    pub(super) fn busy(message: &'static str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message, "try again in a second, or turn to another node")
    }

    pub(super) fn internal() -> Self {
        let remedy = "turn to another node; this one's operator finds the cause in the log";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "this node failed", remedy)
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "a request failed");
        Self::internal()
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = json!({"error": {"code": self.code, "message": self.message, "remedy": self.remedy}});
        let mut response = (self.status, Json(body)).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Consilium"));
        }
        response
    }
}
