//! The other committee members over HTTP: messages to them through bounded queues, vectors from them on demand.
//!
//! A slow or dead peer blocks nobody: its queue fills up and what does not fit is dropped. The round machine asks again
//! for whatever it misses.

mod fetch;

use crate::api::{ANNOUNCEMENT, announcement};
use crate::metrics::Metrics;
use alloy_primitives::{Address, B256};
use bytes::Bytes;
use consilium_core::capability::{Capability, Holder, Request};
use consilium_core::eip712::{Domain, SecretKey};
use consilium_core::round::Message;
pub(crate) use fetch::FetchError;
use reqwest::header::AUTHORIZATION;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Messages that wait for one peer at most.
const QUEUE: usize = 4096;
/// Messages in one request at most.
const BATCH: usize = 256;
/// Bytes in one request, unless a single message is larger.
const BATCH_BYTES: usize = 1 << 20;
/// Seconds for which a capability is given.
const CAPABILITY_SECONDS: u64 = 120;
const CONNECT: Duration = Duration::from_secs(3);
const POST: Duration = Duration::from_secs(10);
/// Longest pause within an answer.
const READ: Duration = Duration::from_secs(15);

struct Outgoing {
    study: u64,
    round: u64,
    json: Bytes,
}

/// The peers. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Peers {
    inner: Arc<Inner>,
}

struct Inner {
    client: reqwest::Client,
    urls: BTreeMap<Address, String>,
    queues: BTreeMap<Address, mpsc::Sender<Outgoing>>,
    caller: Caller,
    metrics: Arc<Metrics>,
}

/// Signs capabilities.
#[derive(Clone)]
struct Caller {
    domain: Domain,
    holder: Holder,
}

impl Caller {
    /// The value of the `Authorization` header for one request.
    fn authorise(&self, study: u64, round: u64, method: &str, path: &str, body: &[u8]) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let expires = now + CAPABILITY_SECONDS;
        Capability::sign(&self.domain, &self.holder, (study, round), expires, &Request { method, path, body }).to_string()
    }
}

/// The URL below a base that may have a path of its own; a proxy strips that, and capabilities name the path without it.
fn target(base: &str, path: &str) -> Option<reqwest::Url> {
    reqwest::Url::parse(&format!("{}{path}", base.trim_end_matches('/'))).ok()
}

impl Peers {
    /// Starts a sender for every peer in `tasks`.
    pub(crate) fn start(
        urls: &BTreeMap<Address, String>,
        domain: Domain,
        key: &SecretKey,
        metrics: &Arc<Metrics>,
        tasks: &mut JoinSet<()>,
    ) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder().connect_timeout(CONNECT).read_timeout(READ).no_proxy().build()?;
        let caller = Caller { domain, holder: Holder::Key(key.clone()) };
        let mut queues = BTreeMap::new();
        for (address, url) in urls {
            let (sender, receiver) = mpsc::channel(QUEUE);
            queues.insert(*address, sender);
            let outbox = Outbox {
                url: url.clone(),
                client: client.clone(),
                caller: caller.clone(),
                metrics: Arc::clone(metrics),
                ill: false,
            };
            tasks.spawn(outbox.run(receiver));
        }
        let inner = Inner { client, urls: urls.clone(), queues, caller, metrics: Arc::clone(metrics) };
        Ok(Self { inner: Arc::new(inner) })
    }

    pub(crate) fn knows(&self, peer: &Address) -> bool {
        self.inner.urls.contains_key(peer)
    }

    /// Queues a message for some peers.
    pub(crate) fn send(&self, to: &[Address], study: u64, round: u64, message: &Message) {
        let Ok(json) = serde_json::to_vec(message) else { unreachable!("messages have string keys and no failing serializers") };
        let json = Bytes::from(json);
        for queue in to.iter().filter_map(|peer| self.inner.queues.get(peer)) {
            if queue.try_send(Outgoing { study, round, json: json.clone() }).is_err() {
                Metrics::add(&self.inner.metrics.messages_dropped, 1);
            }
        }
    }
}

/// The queue of one peer.
struct Outbox {
    url: String,
    client: reqwest::Client,
    caller: Caller,
    metrics: Arc<Metrics>,
    ill: bool,
}

impl Outbox {
    async fn run(mut self, mut queue: mpsc::Receiver<Outgoing>) {
        let mut waiting = Vec::with_capacity(BATCH);
        while queue.recv_many(&mut waiting, BATCH).await > 0 {
            let mut batches: BTreeMap<(u64, u64), Vec<Bytes>> = BTreeMap::new();
            for Outgoing { study, round, json } in waiting.drain(..) {
                batches.entry((study, round)).or_default().push(json);
            }
            for ((study, round), messages) in batches {
                for batch in split(&messages) {
                    self.post(study, round, batch).await;
                }
            }
        }
    }

    async fn post(&mut self, study: u64, round: u64, batch: &[Bytes]) {
        let path = format!("/v1/studies/{study}/rounds/{round}/messages");
        let Some(url) = target(&self.url, &path) else { return };
        let body = [&b"["[..], &batch.join(&b","[..]), &b"]"[..]].concat();
        Metrics::add(&self.metrics.bytes_out, body.len());
        let announced = announcement(&body);
        let capability = self.caller.authorise(study, round, "POST", &path, announced.as_bytes());
        let request = self.client.post(url).timeout(POST).header(AUTHORIZATION, capability).header(ANNOUNCEMENT, announced);
        let request = request.header(reqwest::header::CONTENT_TYPE, "application/json").body(body);
        match request.send().await {
            Ok(answer) if answer.status().is_success() => self.note_health(None),
            Ok(answer) => {
                Metrics::add(&self.metrics.peer_errors, 1);
                tracing::debug!(peer = %self.url, status = %answer.status(), study, round, "a peer did not take messages");
                self.note_health(None);
            }
            Err(error) => {
                Metrics::add(&self.metrics.peer_errors, 1);
                self.note_health(Some(&error));
                // What waited longer is worth little; the pause keeps a dead peer from costing connections.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }

    /// Says once when a peer falls ill and once when it is well again.
    fn note_health(&mut self, error: Option<&reqwest::Error>) {
        match error {
            Some(error) if !self.ill => tracing::warn!(peer = %self.url, %error, "a peer cannot be reached: going on without it"),
            None if self.ill => tracing::info!(peer = %self.url, "a peer answers again"),
            _ => {}
        }
        self.ill = error.is_some();
    }
}

/// Splits messages into batches of a bounded size.
fn split(messages: &[Bytes]) -> Vec<&[Bytes]> {
    let (mut batches, mut start, mut size) = (Vec::new(), 0, 0);
    for (i, message) in messages.iter().enumerate() {
        if i > start && size + message.len() > BATCH_BYTES {
            batches.push(&messages[start..i]);
            (start, size) = (i, 0);
        }
        size += message.len();
    }
    batches.push(&messages[start..]);
    batches
}

/// A digest as it stands in a path.
fn hex_of(digest: &B256) -> String {
    hex::encode_prefixed(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_bounded_and_lose_nothing() {
        let messages: Vec<Bytes> = [1, BATCH_BYTES, 5, 6, BATCH_BYTES - 11, 1, 3 * BATCH_BYTES]
            .iter()
            .map(|length| Bytes::from(vec![0; *length]))
            .collect();
        let batches = split(&messages);
        assert_eq!(batches.concat(), messages);
        for batch in batches {
            assert!(batch.len() == 1 || batch.iter().map(Bytes::len).sum::<usize>() <= BATCH_BYTES);
        }
    }

    #[test]
    fn a_base_url_may_have_a_path() {
        assert_eq!(target("http://h:1/node/", "/v1/status").unwrap().as_str(), "http://h:1/node/v1/status");
    }
}
