//! Messages of committee members.

use super::access::{self, Asked, Role};
use super::{Refused, Shared};
use crate::metrics::Metrics;
use axum::body::to_bytes;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use consilium_core::round::Message;

/// `POST /v1/studies/S/rounds/R/messages`. The capability covers the body, so that the body is read first, bounded.
pub(super) async fn receive(
    State(service): Shared,
    path: Result<Path<(u64, u64)>, axum::extract::rejection::PathRejection>,
    request: Request,
) -> Result<StatusCode, Refused> {
    let Path((study, round)) = path.map_err(|error| Refused::format(error.body_text()))?;
    let open = access::open_round(&service, study, round).await?;
    let (parts, body) = request.into_parts();
    let most = service.config.limits.message_bytes;
    let body = to_bytes(body, most).await.map_err(|_| Refused::too_large(format!("messages have at most {most} bytes")))?;
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    let asked = Asked { study, round, method: "POST", path: target, body: &body };
    let caller = access::caller(&service, &parts.headers, &asked)?;
    let role = open.terms.committee.index_of(caller).map(Role::Member);
    let Some(Role::Member(from)) = role else { return Err(Refused::forbidden(caller)) };
    let messages: Vec<Message> =
        serde_json::from_slice(&body).map_err(|error| Refused::format(format!("not a list of committee messages: {error}")))?;
    Metrics::add(&service.metrics.bytes_in, body.len());
    Metrics::add(&service.metrics.messages_in, messages.len());
    if open.receive(from, messages) { Ok(StatusCode::NO_CONTENT) } else { Err(Refused::busy("too many messages are waiting")) }
}
