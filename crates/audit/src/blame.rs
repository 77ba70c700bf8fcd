//! What nodes served wrong, or did not serve: one line a node and check, however often it happened.

use crate::client::{FetchError, Peer};
use crate::report::{Book, Check, Scope, Status};
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Debug)]
struct Blame {
    peer: Peer,
    times: usize,
    first: String,
    evidence: Value,
}

/// Blames, by node.
#[derive(Debug, Default)]
pub(crate) struct Blames(BTreeMap<(Check, usize, Status), Blame>);

impl Blames {
    /// The node served something wrong, and that was noticed.
    pub(crate) fn wrong(&mut self, check: Check, peer: &Peer, reason: String, evidence: Value) {
        self.add(Status::Note, check, peer, reason, evidence);
    }

    /// An answer that did not come, or not in its form.
    pub(crate) fn fetch(&mut self, check: Check, peer: &Peer, error: &FetchError) {
        let status = if error.is_wrong() { Status::Note } else { Status::Unavailable };
        self.add(status, check, peer, error.to_string(), Value::Null);
    }

    fn add(&mut self, status: Status, check: Check, peer: &Peer, reason: String, evidence: Value) {
        let new = || Blame { peer: peer.clone(), times: 0, first: reason, evidence };
        self.0.entry((check, peer.number, status)).or_insert_with(new).times += 1;
    }

    pub(crate) fn write(self, round: u64, book: &mut Book) {
        for ((check, node, status), blame) in self.0 {
            let scope = Scope::Node { round, node, address: blame.peer.address };
            let reason = if blame.times == 1 { blame.first } else { format!("{} times; first: {}", blame.times, blame.first) };
            book.prove(status, check, scope, reason, blame.evidence);
        }
    }
}
