//! Delivery: one upload to one node, receipts of Q.
//!
//! The nodes pass a contribution on among themselves, so one upload is enough. If that node fails, or Q receipts do not
//! come in time, the next node gets the same bytes. A node that refuses (4xx) is not asked again; after t+1 refusals at least one
//! honest node has refused and nobody else is asked. A receipt counts when its signature is that node's; who brought it
//! does not matter.

use crate::config::seconds;
use crate::error::Error;
use crate::message::Message;
use crate::nodes::{NodeClient, NodeFailure, NodeFault};
use crate::pause::Pauses;
use crate::progress::Progress;
use crate::site::Site;
use alloy_primitives::Address;
use consilium_core::certify::{ReceiptCertificate, SetMember};
use consilium_core::eip712::Signed;
use consilium_core::round::SignedReceipt;
use consilium_core::terms::Terms;
use futures::future::join_all;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) struct Delivered {
    pub(crate) receipts: ReceiptCertificate,
    pub(crate) uploaded_to: Vec<Address>,
    pub(crate) uploaded_bytes: u64,
    pub(crate) upload_seconds: f64,
    pub(crate) deliver_seconds: f64,
}

/// A delivery under way.
struct Delivery<'a> {
    site: &'a Site,
    terms: &'a Terms,
    member: SetMember,
    message: Message,
    nodes: Vec<NodeClient>,
    receipts: BTreeMap<usize, Signed>,
    /// Nodes that took the upload.
    taken: Vec<NodeClient>,
    /// Nodes that refused for good.
    refused: BTreeSet<Address>,
    /// The last failure of each node.
    failures: BTreeMap<Address, NodeFailure>,
    uploaded_bytes: u64,
    upload_time: Duration,
    started: Instant,
}

impl Site {
    /// Delivers a journalled message. With `resumed` the receipts are asked for before anything is sent.
    pub(crate) async fn deliver(
        &self,
        terms: &Terms,
        member: SetMember,
        message: Message,
        resumed: bool,
    ) -> Result<Delivered, Error> {
        let mut delivery = Delivery {
            site: self,
            terms,
            member,
            message,
            nodes: self.nodes_of(terms.study, terms.round, &terms.committee)?,
            receipts: BTreeMap::new(),
            taken: Vec::new(),
            refused: BTreeSet::new(),
            failures: BTreeMap::new(),
            uploaded_bytes: 0,
            upload_time: Duration::ZERO,
            started: Instant::now(),
        };
        if resumed {
            delivery.ask_for_receipts(delivery.nodes.clone()).await;
        }
        delivery.run().await
    }
}

impl Delivery<'_> {
    async fn run(mut self) -> Result<Delivered, Error> {
        let mut turn = 0;
        while !self.is_done() {
            if self.is_hopeless() {
                return Err(self.undelivered());
            }
            let waiting: Vec<NodeClient> = self.nodes.iter().filter(|node| self.may_upload(node)).cloned().collect();
            match waiting.get(turn % waiting.len().max(1)) {
                Some(node) if self.upload(node).await => self.wait_for_receipts().await,
                Some(_) => {
                    turn += 1;
                    if turn % waiting.len() == 0 {
                        tokio::time::sleep(seconds(self.site.config().timeouts.poll)).await;
                    }
                }
                None => self.wait_for_receipts().await,
            }
        }
        Ok(Delivered {
            receipts: self.certificate(),
            uploaded_to: self.taken.iter().map(NodeClient::address).collect(),
            uploaded_bytes: self.uploaded_bytes,
            upload_seconds: self.upload_time.as_secs_f64(),
            deliver_seconds: self.started.elapsed().as_secs_f64(),
        })
    }

    fn needed(&self) -> usize {
        self.terms.committee.sizes().quorum()
    }

    fn is_done(&self) -> bool {
        self.receipts.len() >= self.needed()
    }

    fn is_late(&self) -> bool {
        let limit = seconds(self.site.config().timeouts.deliver);
        self.started.elapsed() >= limit || self.site.now().as_secs() >= self.terms.policy.deadline
    }

    fn is_hopeless(&self) -> bool {
        let refusals = self.refused.iter().filter(|node| matches!(self.failures[*node].fault, NodeFault::Refused { .. })).count();
        let nobody_left = self.taken.is_empty() && self.refused.len() == self.nodes.len();
        self.is_late() || nobody_left || refusals > self.terms.committee.sizes().t()
    }

    fn may_upload(&self, node: &NodeClient) -> bool {
        let address = node.address();
        !self.refused.contains(&address) && !self.taken.iter().any(|taken| taken.address() == address)
    }

    fn certificate(&self) -> ReceiptCertificate {
        ReceiptCertificate { member: self.member, receipts: self.receipts.clone() }
    }

    fn undelivered(&self) -> Error {
        let attempts = self.failures.values().cloned().collect();
        Error::Undelivered { have: Box::new(self.certificate()), needed: self.needed(), attempts }
    }

    /// One upload to one node; whether the node took it.
    async fn upload(&mut self, node: &NodeClient) -> bool {
        let (study, round, total) = (self.terms.study, self.terms.round, self.message.length() as u64);
        let (observer, address) = (self.site.observer(), node.address());
        let sent = Arc::new(move |sent| observer(Progress::Uploading { node: address, sent, total }));
        let began = Instant::now();
        self.uploaded_bytes += total;
        let answer = node.upload_telling(study, round, self.message.clone(), sent).await;
        self.upload_time += began.elapsed();
        match answer {
            Ok(answer) => {
                self.take_receipts(node, answer.receipts);
                self.taken.push(node.clone());
                true
            }
            Err(failure) => {
                self.note(failure);
                false
            }
        }
    }

    fn note(&mut self, failure: NodeFailure) {
        self.site.tell(Progress::NodeFailed(failure.to_string()));
        if !failure.fault.is_temporary() {
            self.refused.insert(failure.node);
        }
        self.failures.insert(failure.node, failure);
    }

    /// Looks for receipts until there are Q or patience ends: at the nodes that took the upload, every other time at all.
    /// Patience ends at once when none of the nodes that took it can be asked: they may be gone, and the bytes with them.
    async fn wait_for_receipts(&mut self) {
        let until = Instant::now() + seconds(self.site.config().timeouts.receipts);
        let (mut pauses, mut everybody) = (Pauses::of(self.site), self.taken.is_empty());
        while !self.is_done() && !self.is_late() && Instant::now() < until {
            pauses.wait().await;
            let asked = if everybody { self.nodes.clone() } else { self.taken.clone() };
            let answered = self.ask_for_receipts(asked).await;
            let alive = self.taken.is_empty() || self.taken.iter().any(|node| answered.contains(&node.address()));
            if !alive && self.nodes.iter().any(|node| self.may_upload(node)) {
                return;
            }
            everybody = !everybody;
        }
    }

    /// Asks these nodes for receipts; returns who answered.
    async fn ask_for_receipts(&mut self, nodes: Vec<NodeClient>) -> BTreeSet<Address> {
        let (study, round, site) = (self.terms.study, self.terms.round, self.member.site);
        let answers = join_all(nodes.iter().map(|node| node.receipts(study, round, site))).await;
        let mut answered = BTreeSet::new();
        for (node, answer) in nodes.iter().zip(answers) {
            match answer {
                Ok(receipts) => {
                    answered.insert(node.address());
                    self.take_receipts(node, receipts);
                }
                // Not to have a receipt yet is no reason to leave a node out of further uploads.
                Err(failure) => {
                    self.failures.entry(failure.node).or_insert(failure);
                }
            }
        }
        answered
    }

    /// Keeps the receipts that are for this contribution and signed by the node that they name.
    fn take_receipts(&mut self, from: &NodeClient, receipts: Vec<SignedReceipt>) {
        let before = self.receipts.len();
        for receipt in receipts.into_iter().take(4 * self.terms.committee.sizes().n()) {
            if receipt.member == self.member && !self.receipts.contains_key(&receipt.node) {
                if is_genuine(self.terms, &receipt) {
                    self.receipts.insert(receipt.node, receipt.signature);
                } else {
                    let fault = NodeFault::False(format!("a receipt that node {} has not signed", receipt.node));
                    self.site.tell(Progress::NodeFailed(from.failure(fault.clone()).to_string()));
                    self.failures.insert(from.address(), from.failure(fault));
                }
            }
        }
        if self.receipts.len() > before {
            self.site.tell(Progress::Receipts { have: self.receipts.len(), needed: self.needed() });
        }
    }
}

/// Whether the node that a receipt names has signed it.
pub(crate) fn is_genuine(terms: &Terms, receipt: &SignedReceipt) -> bool {
    let member = terms.committee.member(receipt.node);
    let check = |address| terms.domain.check(&receipt.statement(terms), &receipt.signature, address).is_ok();
    member.is_some_and(|member| check(member.address))
}
