//! Asking nodes over HTTP: every answer is bounded in bytes and in time, and capabilities are signed here.

use crate::report::printable;
use alloy_primitives::Address;
use consilium_core::capability::{Capability, Holder, Request};
use consilium_core::eip712::Domain;
use consilium_core::params::CommitteeMembers;
use reqwest::Url;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use thiserror::Error;

/// Seconds that a capability is good for; nodes take at most 300.
const CAPABILITY_SECONDS: u64 = 120;
const CONNECT: Duration = Duration::from_secs(5);
/// Longest silence within an answer.
const SILENCE: Duration = Duration::from_secs(15);
/// Slowest node, in bytes a second, that an answer is waited for, after [`SILENCE`].
const SLOWEST: u64 = 200_000;
/// How often a busy node is asked again, and after how long, times the number of the attempt.
const RETRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(200);
/// Bytes of an error that are read.
const ERROR_BYTES: usize = 4096;

/// Why a node's answer cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum FetchError {
    #[error("no URL was given for this node: add it to the audit's list of nodes")]
    NoUrl,
    #[error("{url} cannot be reached ({reason}): check that the node runs and that the URL is right, then audit again")]
    Unreachable { url: String, reason: String },
    #[error("{url} refused with {status}: {message}")]
    Refused { url: String, status: u16, message: String },
    #[error("{url} answers with more than {limit} bytes, the most that this can have")]
    TooLarge { url: String, limit: usize },
    #[error("{url} does not answer in the documented form: {reason}")]
    Malformed { url: String, reason: String },
}

impl FetchError {
    /// Whether the node served something wrong, rather than nothing.
    pub(crate) fn is_wrong(&self) -> bool {
        match self {
            Self::NoUrl | Self::Unreachable { .. } | Self::Refused { .. } => false,
            Self::TooLarge { .. } | Self::Malformed { .. } => true,
        }
    }
}

/// A committee member with the place where it serves.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) number: usize,
    pub(crate) address: Address,
    url: Option<Url>,
}

/// The committee of a round with the URLs that the auditor was given.
pub(crate) fn peers(committee: &CommitteeMembers, urls: &BTreeMap<Address, Url>) -> Vec<Peer> {
    let members = committee.members().iter().enumerate();
    members.map(|(i, m)| Peer { number: i + 1, address: m.address, url: urls.get(&m.address).cloned() }).collect()
}

/// What is asked for, below `/v1/studies/S/rounds/R`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route<'a> {
    pub(crate) study: u64,
    pub(crate) round: u64,
    pub(crate) rest: &'a str,
    /// Most bytes of an answer.
    pub(crate) limit: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    domain: Domain,
    holder: Option<Holder>,
}

#[derive(Deserialize)]
struct Refusal {
    error: RefusalBody,
}

#[derive(Deserialize)]
struct RefusalBody {
    code: String,
    message: String,
    #[serde(default)]
    remedy: String,
}

impl Client {
    pub(crate) fn new(domain: Domain, holder: Option<Holder>) -> Result<Self, reqwest::Error> {
        let redirects = reqwest::redirect::Policy::none();
        let http = reqwest::Client::builder().connect_timeout(CONNECT).read_timeout(SILENCE).redirect(redirects).build()?;
        Ok(Self { http, domain, holder })
    }

    /// A public JSON answer.
    pub(crate) async fn json<T: DeserializeOwned>(&self, peer: &Peer, route: Route<'_>) -> Result<T, FetchError> {
        let bytes = self.collect(peer, route, false).await?;
        let url = || peer.url.as_ref().map_or_else(String::new, shown);
        serde_json::from_slice(&bytes)
            .map_err(|error| FetchError::Malformed { url: url(), reason: printable(&error.to_string()) })
    }

    /// A raw answer by capability.
    pub(crate) async fn bytes(&self, peer: &Peer, route: Route<'_>) -> Result<Vec<u8>, FetchError> {
        self.collect(peer, route, true).await
    }

    async fn collect(&self, peer: &Peer, route: Route<'_>, capability: bool) -> Result<Vec<u8>, FetchError> {
        let mut bytes = Vec::new();
        self.stream(peer, route, capability, |chunk| bytes.extend_from_slice(chunk)).await?;
        Ok(bytes)
    }

    /// Gives an answer in pieces, at most `route.limit` bytes of it.
    pub(crate) async fn stream(
        &self,
        peer: &Peer,
        route: Route<'_>,
        capability: bool,
        mut sink: impl FnMut(&[u8]),
    ) -> Result<(), FetchError> {
        let base = peer.url.as_ref().ok_or(FetchError::NoUrl)?;
        let path = format!("/v1/studies/{}/rounds/{}/{}", route.study, route.round, route.rest);
        let mut response = self.open(base, &route, &path, capability).await?;
        let mut left = route.limit;
        while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(base, &error))? {
            left = left.checked_sub(chunk.len()).ok_or_else(|| FetchError::TooLarge { url: shown(base), limit: route.limit })?;
            sink(&chunk);
        }
        Ok(())
    }

    /// The start of a good answer; a busy node is asked again.
    async fn open(&self, base: &Url, route: &Route<'_>, path: &str, capability: bool) -> Result<reqwest::Response, FetchError> {
        let patience = SILENCE + Duration::from_secs(route.limit as u64 / SLOWEST);
        let target = format!("{}{path}", base.as_str().trim_end_matches('/'));
        let mut attempt = 0;
        loop {
            let mut request = self.http.get(&target).timeout(patience);
            if capability && let Some(holder) = &self.holder {
                request = request.header("Authorization", self.capability(holder, route, path));
            }
            let response = request.send().await.map_err(|error| unreachable(base, &error))?;
            if response.status().is_success() {
                return Ok(response);
            }
            let busy = matches!(response.status().as_u16(), 429 | 503);
            if !busy || attempt == RETRIES {
                return Err(refusal(response, shown(base)).await);
            }
            attempt += 1;
            tokio::time::sleep(PAUSE * attempt).await;
        }
    }

    /// docs/API.md, "Authorisation".
    fn capability(&self, holder: &Holder, route: &Route<'_>, path: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let expires = now + CAPABILITY_SECONDS;
        let request = Request { method: "GET", path, body: &[] };
        Capability::sign(&self.domain, holder, (route.study, route.round), expires, &request).to_string()
    }
}

/// Scheme, host and port: user names and paths of URLs may be secret.
fn shown(url: &Url) -> String {
    url.origin().ascii_serialization()
}

fn unreachable(base: &Url, error: &reqwest::Error) -> FetchError {
    FetchError::Unreachable { url: shown(base), reason: innermost(error) }
}

async fn refusal(mut response: reqwest::Response, url: String) -> FetchError {
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk[..chunk.len().min(ERROR_BYTES - body.len())]);
        if body.len() == ERROR_BYTES {
            break;
        }
    }
    let message = serde_json::from_slice::<Refusal>(&body).map_or_else(
        |_| "no reason given".to_owned(),
        |Refusal { error }| format!("{} ({}); {}", error.message, error.code, error.remedy),
    );
    FetchError::Refused { url, status, message: printable(message.trim_end_matches([';', ' '])) }
}

/// The innermost cause, which names no URL.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if error.is_timeout() { "no answer in time".to_owned() } else { printable(&cause.to_string()) }
}
