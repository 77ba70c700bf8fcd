//! A node's HTTP API (docs/API.md), as a site uses it. A node is not believed: answers are bounded here and checked by whoever
//! asked. One call is one request; nothing is tried again in this module.

use crate::config::{Timeouts, seconds};
use crate::error::ConfigError;
use crate::message::Message;
use alloy_primitives::{Address, B256};
use consilium_core::accusation::SignedContribution;
use consilium_core::capability::{Capability, Holder, Request};
use consilium_core::certify::{Cohort, SetMember};
use consilium_core::eip712::Domain;
use consilium_core::round::{SignedReceipt, SignedSettlement};
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Body, Client, RequestBuilder, Response, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use thiserror::Error;

/// Longest error or list of receipts that is read.
const SMALL_ANSWER: usize = 1 << 18;
/// How much of an upload is handed over at a time.
const PIECE: usize = 1 << 16;
/// Seconds for which a capability holds; nodes take at most 300.
const CAPABILITY_SECONDS: u64 = 240;

/// What one node did wrong, or failed to do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("node {node} at {url}: {fault}")]
pub struct NodeFailure {
    /// Its address.
    pub node: Address,
    /// Where it was asked.
    pub url: String,
    /// What happened.
    pub fault: NodeFault,
}

/// The sort of failure.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NodeFault {
    /// No answer.
    #[error("cannot be reached ({0}); check its URL under [nodes] and whether it runs")]
    Unreachable(String),
    /// An error of the API, word for word.
    #[error("refused with {status} {code}: {message}{}{remedy}", if remedy.is_empty() { "" } else { "; " })]
    Refused {
        /// HTTP status.
        status: u16,
        /// The code of docs/API.md.
        code: String,
        /// What the node says.
        message: String,
        /// What the node advises.
        remedy: String,
    },
    /// An answer that is not of the API's form.
    #[error("answered what no honest node answers: {0}")]
    Malformed(String),
    /// An answer that contradicts the chain: the node lies or is damaged.
    #[error("served {0}")]
    False(String),
}

impl NodeFault {
    /// Whether the same node may answer the same request otherwise in a moment.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Refused { status, code, .. } => {
                let later =
                    matches!(code.as_str(), "not-ready" | "busy" | "unknown-round" | "not-found" | "expired" | "internal");
                later || *status >= 500 || matches!(*status, 404 | 408 | 425 | 429)
            }
            Self::Malformed(_) | Self::False(_) => false,
        }
    }

    /// Whether the node only said that it is not there yet, which the last of an honest committee may be for a moment.
    #[must_use]
    pub fn is_early(&self) -> bool {
        self.code() == Some("not-ready")
    }

    /// The error code of the API, if the node gave one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        if let Self::Refused { code, .. } = self { Some(code) } else { None }
    }
}

/// A node's answer to an upload. Nothing in it is verified.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Uploaded {
    /// Whose contribution.
    pub site: Address,
    /// Its digest, as the node computed it.
    pub digest: B256,
    /// Receipts, this node's own at least.
    pub receipts: Vec<SignedReceipt>,
}

/// The statements of a round that a node knows. Nothing in it is verified.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Statements {
    /// Signatures on the settlement.
    #[serde(default)]
    pub settlements: Vec<SignedSettlement>,
}

/// What a node holds under the caller's address. Nothing in it is verified.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Held {
    /// What it holds that the caller has signed.
    pub contributions: Vec<SignedContribution>,
    /// Receipts that it has seen.
    pub receipts: Vec<SignedReceipt>,
}

#[derive(Deserialize)]
struct Receipts {
    receipts: Vec<SignedReceipt>,
}

#[derive(Deserialize)]
struct Members {
    members: Vec<SetMember>,
}

#[derive(Deserialize)]
struct Failed {
    error: FailedBody,
}

#[derive(Deserialize)]
struct FailedBody {
    code: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    remedy: String,
}

/// Whose request it is: signs capabilities.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The signing domain.
    pub domain: Domain,
    /// The caller.
    pub holder: Holder,
}

/// One node.
#[derive(Debug, Clone)]
pub struct NodeClient {
    address: Address,
    url: Arc<str>,
    base: Url,
    http: Client,
}

/// Called with the bytes handed over so far.
pub type Sent = Arc<dyn Fn(u64) + Send + Sync>;

impl NodeClient {
    /// Clients for all configured nodes, over one pool of connections.
    ///
    /// # Errors
    /// [`ConfigError::NodeUrl`], [`ConfigError::Client`].
    pub fn all(nodes: &BTreeMap<Address, String>, timeouts: &Timeouts) -> Result<BTreeMap<Address, Self>, ConfigError> {
        let mut parsed = BTreeMap::new();
        for (&node, text) in nodes {
            let wrong = || ConfigError::NodeUrl { node, url: text.clone() };
            let url: Url = text.parse().map_err(|_| wrong())?;
            if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
                return Err(wrong());
            }
            parsed.insert(node, url);
        }
        let mut builder = Client::builder().connect_timeout(seconds(timeouts.connect)).timeout(seconds(timeouts.request));
        if parsed.values().all(is_local) {
            builder = builder.no_proxy();
        }
        let http = builder.redirect(reqwest::redirect::Policy::none()).build();
        let http = http.map_err(|error| ConfigError::Client(error.to_string()))?;
        let client = |(address, base): (Address, Url)| {
            (address, Self { address, url: base.origin().ascii_serialization().into(), base, http: http.clone() })
        };
        Ok(parsed.into_iter().map(client).collect())
    }

    /// The node's address on the chain.
    #[must_use]
    pub fn address(&self) -> Address {
        self.address
    }

    /// Scheme, host and port.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A failure of this node.
    #[must_use]
    pub fn failure(&self, fault: NodeFault) -> NodeFailure {
        NodeFailure { node: self.address, url: self.url.to_string(), fault }
    }

    /// Sends a message, whatever it is, once. The node's refusal comes back word for word.
    ///
    /// # Errors
    /// [`NodeFailure`].
    pub async fn upload(&self, study: u64, round: u64, message: Message) -> Result<Uploaded, NodeFailure> {
        self.upload_telling(study, round, message, Arc::new(|_| {})).await
    }

    /// [`Self::upload`], telling how far it is.
    ///
    /// # Errors
    /// [`NodeFailure`].
    pub async fn upload_telling(&self, study: u64, round: u64, message: Message, sent: Sent) -> Result<Uploaded, NodeFailure> {
        let length = message.length();
        let pieces = message.pieces(PIECE).scan(0, move |before, piece| {
            *before += piece.len() as u64;
            sent(*before);
            Some(Ok::<_, std::convert::Infallible>(piece))
        });
        let request = self
            .http
            .post(self.at(&format!("/v1/studies/{study}/rounds/{round}/contributions")))
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_LENGTH, length)
            .body(Body::wrap_stream(futures::stream::iter(pieces)));
        self.json(request, SMALL_ANSWER).await
    }

    /// The receipts for a site's contribution that the node has seen.
    ///
    /// # Errors
    /// [`NodeFailure`].
    pub async fn receipts(&self, study: u64, round: u64, site: Address) -> Result<Vec<SignedReceipt>, NodeFailure> {
        let path = format!("/v1/studies/{study}/rounds/{round}/receipts/{site}");
        let answer: Receipts = self.json(self.http.get(self.at(&path)), SMALL_ANSWER).await?;
        Ok(answer.receipts)
    }

    /// What the node holds under the caller's address in an open round, rejected contributions included.
    ///
    /// # Errors
    /// [`NodeFailure`].
    pub async fn held(&self, study: u64, round: u64, caller: &Caller) -> Result<Held, NodeFailure> {
        let path = format!("/v1/studies/{study}/rounds/{round}/contributions");
        let capability = capability(caller, study, round, "GET", &path, &[]);
        self.json(self.http.get(self.at(&path)).header(AUTHORIZATION, capability), SMALL_ANSWER).await
    }

    /// The members of a certified set of `size` sites, as the node tells them.
    ///
    /// # Errors
    /// [`NodeFailure`].
    pub async fn set(&self, study: u64, round: u64, size: u32) -> Result<Cohort, NodeFailure> {
        let request = self.http.get(self.at(&format!("/v1/studies/{study}/rounds/{round}/set")));
        let answer: Members = self.json(request, 4096 + 256 * size as usize).await?;
        Cohort::new(answer.members).map_err(|error| self.failure(NodeFault::Malformed(error.to_string())))
    }

    /// Statements about a round with at most `sites` sites.
    ///
    /// # Errors
    /// [`NodeFailure`].
    pub async fn statements(&self, study: u64, round: u64, sites: usize) -> Result<Statements, NodeFailure> {
        let request = self.http.get(self.at(&format!("/v1/studies/{study}/rounds/{round}/statements")));
        self.json(request, SMALL_ANSWER + 32 * 512 * sites).await
    }

    /// The bytes of the aggregate, at most `limit`. Not verified.
    ///
    /// # Errors
    /// [`NodeFailure`].
    pub async fn aggregate(&self, study: u64, round: u64, limit: usize, caller: &Caller) -> Result<Vec<u8>, NodeFailure> {
        let path = format!("/v1/studies/{study}/rounds/{round}/aggregate");
        let capability = capability(caller, study, round, "GET", &path, &[]);
        let response = self.send(self.http.get(self.at(&path)).header(AUTHORIZATION, capability)).await?;
        self.bounded(response, limit).await
    }

    fn at(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        let prefix = self.base.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{prefix}{path}"));
        url
    }

    async fn json<T: DeserializeOwned>(&self, request: RequestBuilder, limit: usize) -> Result<T, NodeFailure> {
        let response = self.send(request).await?;
        let bytes = self.bounded(response, limit).await?;
        serde_json::from_slice(&bytes).map_err(|error| self.failure(NodeFault::Malformed(error.to_string())))
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, NodeFailure> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let bytes = self.bounded(response, SMALL_ANSWER).await?;
        let said = serde_json::from_slice::<Failed>(&bytes).map(|failed| failed.error);
        let FailedBody { code, message, remedy } = said.unwrap_or_else(|_| FailedBody {
            code: "no-code".into(),
            message: "the answer is not of the API's form".into(),
            remedy: String::new(),
        });
        let [code, message, remedy] = [code, message, remedy].map(|text| printable(&text));
        Err(self.failure(NodeFault::Refused { status: status.as_u16(), code, message, remedy }))
    }

    async fn bounded(&self, mut response: Response, limit: usize) -> Result<Vec<u8>, NodeFailure> {
        let mut bytes = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            if bytes.len() + piece.len() > limit {
                return Err(self.failure(NodeFault::Malformed(format!("more than the {limit} bytes that were to come"))));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    fn unreachable(&self, error: &reqwest::Error) -> NodeFailure {
        if error.is_timeout() {
            return self.failure(NodeFault::Unreachable("no answer in time".into()));
        }
        let mut cause: &dyn std::error::Error = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        self.failure(NodeFault::Unreachable(printable(&cause.to_string())))
    }
}

/// The `Authorization` header of one request.
fn capability(caller: &Caller, study: u64, round: u64, method: &str, path: &str, body: &[u8]) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
    let expires = now + CAPABILITY_SECONDS;
    Capability::sign(&caller.domain, &caller.holder, (study, round), expires, &Request { method, path, body }).to_string()
}

fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A node's words, short and without control characters.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}
