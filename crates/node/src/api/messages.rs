//! Messages of committee members.
//!
//! A body may be large, so that its sender is known before it is read: the capability signs the body's hash and length,
//! which a header announces.

use super::access::{self, Asked};
use super::{Refused, Shared};
use crate::metrics::Metrics;
use crate::rounds::OpenRound;
use alloy_primitives::{B256, keccak256};
use axum::body::{Bytes, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use consilium_core::round::{Genuine, Message};
use std::sync::Arc;

/// The header that announces a body.
pub(crate) const ANNOUNCEMENT: &str = "consilium-body";

/// What the header says of a body: keccak256 in hex, a dot, the length in bytes.
pub(crate) fn announcement(body: &[u8]) -> String {
    format!("{}.{}", keccak256(body), body.len())
}

/// A body that is to come.
#[derive(Debug, PartialEq, Eq)]
struct Announced {
    text: String,
    digest: B256,
    length: usize,
}

impl Announced {
    fn read(headers: &HeaderMap) -> Result<Self, Refused> {
        let given = headers.get(ANNOUNCEMENT).and_then(|value| value.to_str().ok());
        let parsed = given.and_then(|text| {
            let (digest, length) = text.split_once('.')?;
            let announced = Self { text: text.to_owned(), digest: digest.parse().ok()?, length: length.parse().ok()? };
            // One body has one announcement.
            (format!("{}.{}", announced.digest, announced.length) == text).then_some(announced)
        });
        parsed.ok_or_else(|| Refused::format("the header Consilium-Body must be the body's keccak256, a dot and its length"))
    }

    /// Reads the body and holds it against what was announced.
    async fn body(&self, body: axum::body::Body) -> Result<Bytes, Refused> {
        let other = || Refused::format("the body is not the one that Consilium-Body announces");
        let bytes = to_bytes(body, self.length).await.map_err(|_| other())?;
        if bytes.len() == self.length && keccak256(&bytes) == self.digest { Ok(bytes) } else { Err(other()) }
    }
}

/// `POST /v1/studies/S/rounds/R/messages`.
pub(super) async fn receive(
    State(service): Shared,
    path: Result<Path<(u64, u64)>, axum::extract::rejection::PathRejection>,
    request: Request,
) -> Result<StatusCode, Refused> {
    let Path((study, round)) = path.map_err(|error| Refused::format(error.body_text()))?;
    let open = access::open_round(&service, study, round).await?;
    let (parts, body) = request.into_parts();
    let announced = Announced::read(&parts.headers)?;
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    let asked = Asked { study, round, method: "POST", path: target, body: announced.text.as_bytes() };
    let caller = access::key(&service, &parts.headers, &asked)?;
    let from = open.terms.committee.index_of(caller).ok_or_else(|| Refused::forbidden(caller))?;
    let most = service.config.limits.message_bytes;
    if announced.length > most {
        return Err(Refused::too_large(format!("messages have at most {most} bytes")));
    }
    let permit = open.mailbox.body(from).ok_or_else(|| Refused::busy("other messages of this member are being read"))?;
    let body = announced.body(body).await?;
    let (length, checking) = (body.len(), Arc::clone(&open));
    let checked = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        check(&checking, &body)
    });
    let messages = checked.await.map_err(|_| Refused::internal())??;
    Metrics::add(&service.metrics.bytes_in, length);
    Metrics::add(&service.metrics.messages_in, messages.len());
    let taken = open.mailbox.put(from, length, messages);
    if taken { Ok(StatusCode::NO_CONTENT) } else { Err(Refused::busy("too many messages of this member are waiting")) }
}

/// Decodes messages and checks their signatures, beside the round's machine.
fn check(open: &OpenRound, body: &[u8]) -> Result<Vec<Genuine>, Refused> {
    let messages: Vec<Message> =
        serde_json::from_slice(body).map_err(|error| Refused::format(format!("not a list of committee messages: {error}")))?;
    Ok(messages.into_iter().filter_map(|message| open.checked(message)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_has_one_form() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ANNOUNCEMENT, text.parse().unwrap());
            Announced::read(&headers)
        };
        let good = announcement(b"[]");
        assert_eq!(read(&good).unwrap(), Announced { text: good.clone(), digest: keccak256(b"[]"), length: 2 });
        let upper = good.to_uppercase();
        for wrong in ["", "0x12.2", &good[2..], &format!("{good}.1"), &format!("{good} "), &good.replace(".2", ".02"), &upper] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert!(Announced::read(&HeaderMap::new()).is_err());
    }
}
