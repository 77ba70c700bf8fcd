//! Five nodes that answer the documented API with core's own verification, and misbehave when told to.
//!
//! What a contribution reaches one of them with, all have at once: gossip is the node crate's business.

use crate::world::wallet;
use alloy_primitives::{Address, B256};
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use consilium_core::accusation::SignedContribution;
use consilium_core::certify::{Cohort, SetMember};
use consilium_core::contribution::Contribution;
use consilium_core::eip712::{Access, Receipt, SecretKey, Signed, SignerSet, Vote};
use consilium_core::error::Rejection;
use consilium_core::field::{self, Fp};
use consilium_core::release::RunningSum;
use consilium_core::round::SignedReceipt;
use consilium_core::seal::KemSecret;
use consilium_core::settle::settlement;
use consilium_core::terms::Terms;
use consilium_core::transcript::access_object;
use consilium_core::unmask::unmask;
use consilium_core::verify::{Accepted, Verifier};
use consilium_ledger::{Ledger, Wallet};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Conduct {
    #[default]
    Honest,
    /// Takes the whole body, keeps it, and then fails.
    FailsAfterReceiving,
    /// Answers every upload with this code and status 400.
    Refuses(&'static str),
    /// Returns receipts in the names of all nodes, signed by itself.
    ForgesReceipts,
    /// Takes uploads and tells nobody.
    KeepsToItself,
    /// Takes an upload, tells nobody and answers nothing more.
    DiesWithIt,
    /// Answers after a second and more.
    Slow,
    /// Has not heard of the settlement yet.
    Behind,
    WrongAggregate,
    TruncatedAggregate,
    NonCanonicalAggregate,
    LongAggregate,
    WrongSet,
    /// Answers everything with bytes that are no JSON.
    Garbage,
    /// Does not sign receipts.
    Silent,
    /// Tells no site what it holds, and never answers that question.
    Mute,
    /// Shows every site a contribution that the site has not signed.
    InventsContributions,
    /// Shows every site a receipt for a contribution that nobody has seen.
    InventsReceipts,
}

#[derive(Default)]
struct Hub {
    terms: Option<Terms>,
    conduct: BTreeMap<u8, Conduct>,
    /// Every upload body, with the node that got it.
    received: Vec<(u8, Vec<u8>)>,
    /// What was signed of a contribution, with the nodes that hold it.
    held: Vec<(Address, SignedContribution, Vec<u8>)>,
    accepted: BTreeMap<usize, Vec<Accepted>>,
    receipts: Vec<SignedReceipt>,
    /// Left out when the set is made.
    omitted: Option<Address>,
    cohort: Option<Cohort>,
    aggregate: Vec<Fp>,
}

#[derive(Clone)]
struct Node {
    number: u8,
    hub: Arc<Mutex<Hub>>,
}

pub(crate) struct Committee {
    hub: Arc<Mutex<Hub>>,
    urls: Vec<String>,
}

pub(crate) fn node_key(number: u8) -> SecretKey {
    wallet(1 + number).key().unwrap().clone()
}

impl Committee {
    pub(crate) async fn start() -> Self {
        let hub = Arc::new(Mutex::new(Hub::default()));
        let mut urls = Vec::new();
        for number in 1..=5 {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            urls.push(format!("http://{}", listener.local_addr().unwrap()));
            let node = Node { number, hub: hub.clone() };
            let router = Router::new()
                .route("/v1/studies/{study}/rounds/{round}/contributions", post(upload).get(held))
                .route("/v1/studies/{study}/rounds/{round}/receipts/{site}", get(receipts))
                .route("/v1/studies/{study}/rounds/{round}/set", get(set))
                .route("/v1/studies/{study}/rounds/{round}/aggregate", get(aggregate))
                .with_state(node);
            tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        }
        Self { hub, urls }
    }

    pub(crate) fn url(&self, node: u8) -> String {
        self.urls[usize::from(node) - 1].clone()
    }

    pub(crate) fn open(&self, terms: &Terms) {
        let mut hub = self.hub.lock().unwrap();
        *hub = Hub { terms: Some(terms.clone()), conduct: std::mem::take(&mut hub.conduct), ..Hub::default() };
    }

    pub(crate) fn conduct(&self, node: u8, conduct: Conduct) {
        self.hub.lock().unwrap().conduct.insert(node, conduct);
    }

    pub(crate) fn omit(&self, site: Address) {
        self.hub.lock().unwrap().omitted = Some(site);
    }

    pub(crate) fn received(&self) -> Vec<(u8, Vec<u8>)> {
        self.hub.lock().unwrap().received.clone()
    }

    pub(crate) async fn certify(&self, ledger: &Ledger, payer: &Wallet, terms: &Terms) {
        let cohort = {
            let mut hub = self.hub.lock().unwrap();
            let omitted = hub.omitted;
            let mut members: Vec<SetMember> = hub.accepted[&1]
                .iter()
                .map(|accepted| SetMember { site: accepted.site(), digest: accepted.digest() })
                .filter(|member| Some(member.site) != omitted)
                .collect();
            members.sort();
            let cohort = Cohort::new(members).unwrap();
            hub.cohort = Some(cohort.clone());
            cohort
        };
        let vote = Vote { study: terms.study, round: terms.round, setRoot: cohort.root(), size: cohort.size() };
        let votes = (1..=4).map(|node| (node, terms.domain.sign(&node_key(node as u8), &vote))).collect();
        ledger.certify(payer, &vote, &SignerSet::collect(&votes)).await.unwrap();
    }

    pub(crate) async fn settle(&self, ledger: &Ledger, payer: &Wallet, terms: &Terms) {
        let (said, roots) = {
            let mut hub = self.hub.lock().unwrap();
            let cohort = hub.cohort.clone().unwrap();
            let mut shares = BTreeMap::new();
            for (&node, accepted) in &hub.accepted {
                let sum = RunningSum::new(terms.program.output_len());
                let wanted = |a: &&Accepted| cohort.contains(&SetMember { site: a.site(), digest: a.digest() });
                accepted.iter().filter(wanted).for_each(|accepted| sum.add(accepted));
                shares.insert(node, sum.release(&cohort).unwrap());
            }
            let served = shares.iter().map(|(&node, share)| (node, share.values())).collect();
            let result = unmask(terms.committee.sizes(), &served, &mut ChaCha20Rng::seed_from_u64(1)).unwrap();
            hub.aggregate = result.values().to_vec();
            let voters: Vec<Address> = (1..=4).map(|node| node_key(node).address()).collect();
            (settlement(terms.study, terms.round, &cohort, &voters, &result), result.share_roots().to_vec())
        };
        let signatures = (1..=4).map(|node| (node, terms.domain.sign(&node_key(node as u8), &said))).collect();
        ledger.settle(payer, &said, &roots, &SignerSet::collect(&signatures)).await.unwrap();
    }
}

fn refuse(status: StatusCode, code: &str) -> Response {
    let body = json!({"error": {"code": code, "message": "a message", "remedy": "a remedy"}});
    (status, Json(body)).into_response()
}

impl Node {
    async fn conduct(&self) -> Conduct {
        let conduct = self.hub.lock().unwrap().conduct.get(&self.number).copied().unwrap_or_default();
        if conduct == Conduct::Slow {
            tokio::time::sleep(Duration::from_millis(1500)).await;
        }
        conduct
    }

    /// Every node's verification of one message; signed receipts of those that are not silent.
    fn take(&self, body: &[u8]) -> Result<(Address, B256), &'static str> {
        let mut hub = self.hub.lock().unwrap();
        let terms = hub.terms.clone().ok_or("unknown-round")?;
        let (header, values) = split(body).ok_or("format")?;
        let contribution = Contribution::from_bytes(header, &terms.shape()).map_err(|_| "format")?;
        if (contribution.study, contribution.round) != (terms.study, terms.round) {
            return Err("wrong-round");
        }
        let digest = contribution.authenticate(&terms.domain, &terms.context()).map_err(|_| "signature")?;
        let site = contribution.site;
        if !terms.admits(&site) {
            return Err("not-admitted");
        }
        let own = usize::from(self.number);
        let known = hub.receipts.iter().find(|receipt| receipt.member.site == site && receipt.node == own);
        if known.is_some_and(|known| known.member.digest != digest) {
            return Err("second-contribution");
        }
        hub.hold(&contribution, digest, (1..=5).collect());
        let (ctx, mut verdict) = (terms.context().of_site(site), Ok((site, digest)));
        for node in 1..=5_usize {
            let secret = KemSecret::from_bytes(&[node as u8; 32]);
            let verifier = Verifier { committee: terms.committee.sizes(), program: &*terms.program, node };
            let seeds = verifier.open_box(&ctx, digest, &contribution, &secret);
            match verifier.verify(site, &ctx, &contribution.body, values, &seeds) {
                Ok(accepted) => hub.accept(&terms, node, accepted),
                Err(step) if node == own => verdict = Err(code_of(step)),
                Err(_) => {}
            }
        }
        verdict
    }
}

impl Hub {
    fn hold(&mut self, contribution: &Contribution, digest: B256, nodes: Vec<u8>) {
        let boxes = contribution.statement(digest).boxes;
        self.held.push((contribution.site, SignedContribution { digest, boxes, signature: contribution.signature }, nodes));
    }

    fn accept(&mut self, terms: &Terms, node: usize, accepted: Accepted) {
        let member = SetMember { site: accepted.site(), digest: accepted.digest() };
        let held = self.accepted.entry(node).or_default();
        if held.iter().any(|held| held.site() == member.site) {
            return;
        }
        held.push(accepted);
        if self.conduct.get(&(node as u8)) != Some(&Conduct::Silent) {
            self.receipts.push(signed(terms, node, &node_key(node as u8), member));
        }
    }
}

fn code_of(step: Rejection) -> &'static str {
    match step {
        Rejection::Format => "format",
        Rejection::Seed => "seed",
        Rejection::Proof => "proof",
    }
}

fn signed(terms: &Terms, node: usize, key: &SecretKey, member: SetMember) -> SignedReceipt {
    let statement = Receipt { study: terms.study, round: terms.round, site: member.site, digest: member.digest };
    SignedReceipt { node, member, signature: terms.domain.sign(key, &statement) }
}

fn split(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = body.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
}

async fn upload(State(node): State<Node>, Path(_): Path<(u64, u64)>, body: Bytes) -> Response {
    let conduct = node.conduct().await;
    node.hub.lock().unwrap().received.push((node.number, body.to_vec()));
    match conduct {
        Conduct::FailsAfterReceiving => return refuse(StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        Conduct::Refuses(code) => return refuse(StatusCode::BAD_REQUEST, code),
        Conduct::Garbage => return "<html>welcome".into_response(),
        Conduct::ForgesReceipts | Conduct::KeepsToItself | Conduct::DiesWithIt => {
            let mut hub = node.hub.lock().unwrap();
            let terms = hub.terms.clone().unwrap();
            let contribution = Contribution::from_bytes(split(&body).unwrap().0, &terms.shape()).unwrap();
            let digest = contribution.body.digest(&terms.context().of_site(contribution.site));
            let member = SetMember { site: contribution.site, digest };
            hub.hold(&contribution, digest, vec![node.number]);
            let names = if conduct == Conduct::ForgesReceipts { 1..6 } else { 0..0 };
            let forged: Vec<_> = names.map(|name| signed(&terms, name, &node_key(node.number), member)).collect();
            return Json(json!({"site": member.site, "digest": digest, "receipts": forged})).into_response();
        }
        _ => {}
    }
    match node.take(&body) {
        Ok((site, digest)) => {
            let hub = node.hub.lock().unwrap();
            let own = |r: &&SignedReceipt| r.member.site == site && r.node == usize::from(node.number);
            let receipts: Vec<_> = hub.receipts.iter().filter(own).collect();
            Json(json!({"site": site, "digest": digest, "receipts": receipts})).into_response()
        }
        Err(code) => refuse(StatusCode::BAD_REQUEST, code),
    }
}

async fn receipts(State(node): State<Node>, Path((_, _, site)): Path<(u64, u64, Address)>) -> Response {
    match node.conduct().await {
        Conduct::Garbage => return "<html>welcome".into_response(),
        Conduct::DiesWithIt => return refuse(StatusCode::BAD_GATEWAY, "gone"),
        _ => {}
    }
    let hub = node.hub.lock().unwrap();
    let receipts: Vec<_> = hub.receipts.iter().filter(|receipt| receipt.member.site == site).collect();
    Json(json!({ "receipts": receipts })).into_response()
}

async fn held(State(node): State<Node>, Path((study, round)): Path<(u64, u64)>, headers: HeaderMap) -> Response {
    let (conduct, caller, held, receipts) = {
        let hub = node.hub.lock().unwrap();
        let terms = hub.terms.clone().unwrap();
        let path = format!("/v1/studies/{study}/rounds/{round}/contributions");
        let Some(caller) = caller(&terms, study, round, &path, &headers) else {
            return refuse(StatusCode::FORBIDDEN, "forbidden");
        };
        let own = hub.held.iter().filter(|(site, _, nodes)| *site == caller && nodes.contains(&node.number));
        let held: Vec<_> = own.map(|(_, signed, _)| *signed).collect();
        let receipts: Vec<_> = hub.receipts.iter().filter(|r| r.member.site == caller).cloned().collect();
        (hub.conduct.get(&node.number).copied().unwrap_or_default(), (terms, caller), held, receipts)
    };
    let ((terms, caller), digest) = (caller, B256::repeat_byte(0x66));
    match conduct {
        Conduct::Mute => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            refuse(StatusCode::INTERNAL_SERVER_ERROR, "internal")
        }
        Conduct::DiesWithIt if !held.is_empty() => refuse(StatusCode::BAD_GATEWAY, "gone"),
        Conduct::InventsContributions => {
            let said = consilium_core::eip712::Contribution { study, round, site: caller, digest, boxes: B256::ZERO };
            let signature = terms.domain.sign(&node_key(node.number), &said);
            let forged = SignedContribution { digest, boxes: B256::ZERO, signature };
            Json(json!({"contributions": [forged], "receipts": []})).into_response()
        }
        Conduct::InventsReceipts => {
            let member = SetMember { site: caller, digest };
            let receipt = signed(&terms, node.number.into(), &node_key(node.number), member);
            Json(json!({"contributions": [], "receipts": [receipt]})).into_response()
        }
        _ => Json(json!({"contributions": held, "receipts": receipts})).into_response(),
    }
}

async fn set(State(node): State<Node>) -> Response {
    let conduct = node.conduct().await;
    let hub = node.hub.lock().unwrap();
    let Some(cohort) = &hub.cohort else { return refuse(StatusCode::NOT_FOUND, "not-found") };
    let mut members = cohort.members().to_vec();
    match conduct {
        Conduct::Garbage => return "<html>welcome".into_response(),
        Conduct::WrongSet => drop(members.pop()),
        _ => {}
    }
    Json(json!({ "members": members })).into_response()
}

async fn aggregate(State(node): State<Node>, Path((study, round)): Path<(u64, u64)>, headers: HeaderMap) -> Response {
    let conduct = node.conduct().await;
    let hub = node.hub.lock().unwrap();
    let terms = hub.terms.clone().unwrap();
    if conduct == Conduct::Behind {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "not-ready");
    }
    let path = format!("/v1/studies/{study}/rounds/{round}/aggregate");
    if caller(&terms, study, round, &path, &headers).is_none() {
        return refuse(StatusCode::FORBIDDEN, "forbidden");
    }
    let mut values = hub.aggregate.clone();
    if conduct == Conduct::WrongAggregate {
        values[0] += Fp::ONE;
    }
    let mut bytes = field::to_bytes(&values);
    match conduct {
        Conduct::Garbage => bytes = b"<html>welcome".to_vec(),
        Conduct::TruncatedAggregate => bytes.truncate(bytes.len() - 8),
        Conduct::LongAggregate => bytes.resize(1 << 22, 0),
        Conduct::NonCanonicalAggregate => bytes[..8].fill(0xff),
        _ => {}
    }
    bytes.into_response()
}

/// The admitted site that signed a GET's capability.
fn caller(terms: &Terms, study: u64, round: u64, path: &str, headers: &HeaderMap) -> Option<Address> {
    let parts: Vec<&str> = headers.get("authorization")?.to_str().ok()?.strip_prefix("Consilium ")?.split('.').collect();
    let [named_study, named_round, expires, signature] = parts[..] else { return None };
    if (named_study.parse(), named_round.parse()) != (Ok(study), Ok(round)) {
        return None;
    }
    let access = Access { study, round, object: access_object("GET", path, &[]), expires: expires.parse().ok()? };
    let signature: Signed = serde_json::from_value(json!(signature)).ok()?;
    let caller = terms.domain.signer(&access, &signature).ok()?;
    terms.admits(&caller).then_some(caller)
}
