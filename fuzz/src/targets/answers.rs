//! What an endpoint answers the ledger: one JSON-RPC response a line, taken in turn, whatever was asked. When they are used
//! up, the endpoint is silent. The first byte of an input says what the ledger wants to know.

use crate::parts::Parts;
use alloy::rpc::client::RpcClient;
use alloy::rpc::json_rpc::{RequestPacket, ResponsePacket};
use alloy::sol_types::SolValue;
use alloy::transports::{TransportError, TransportErrorKind, TransportFut};
use alloy_primitives::{Address, B256, Bytes, U256, hex};
use consilium_chain::{Chain, Genesis, InProcess, Sequencer};
use consilium_core::params::Finality;
use consilium_ledger::contracts::Creations;
use consilium_ledger::{
    Addresses, Consent, Cursor, DeployOptions, Error, Ledger, NewStudy, Progress, Registration, Wallet, Watcher, client_provider,
    deploy,
};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};
use tokio::runtime::Runtime;
use tower::Service;

use super::fixed::{DOMAIN, kem, key, round};

const START: u64 = 2_000_000_000;
/// How many questions the ledger has.
const QUESTIONS: u8 = 9;

type Lines = VecDeque<Vec<u8>>;

/// The responses that are still to come.
fn script() -> MutexGuard<'static, Lines> {
    static SCRIPT: Mutex<Lines> = Mutex::new(VecDeque::new());
    SCRIPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An endpoint that reads its answers off.
#[derive(Clone)]
struct Scripted;

impl Service<RequestPacket> for Scripted {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: RequestPacket) -> TransportFut<'static> {
        let line = script().pop_front();
        Box::pin(async move {
            let line = line.ok_or_else(|| TransportErrorKind::custom_str("nothing more is said"))?;
            // As alloy's own transport over HTTP reads a body.
            serde_json::from_slice(&line).map_err(|error| TransportError::deser_err(error, String::from_utf8_lossy(&line)))
        })
    }
}

fn options() -> DeployOptions {
    DeployOptions::default()
}

fn sponsor() -> Wallet {
    Wallet::new(key(11))
}

/// The first contracts that the sponsor deploys.
fn addresses() -> Addresses {
    Creations::by(sponsor().address(), 0, DOMAIN.chain_id, &options()).addresses
}

fn response(result: &str) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","id":0,"result":"{result}"}}"#).into_bytes()
}

/// A ledger over the script. Its first questions, whether chain and contracts are the right ones, are answered here.
fn ledger() -> &'static (Runtime, Ledger) {
    static LEDGER: OnceLock<(Runtime, Ledger)> = OnceLock::new();
    LEDGER.get_or_init(|| {
        let Addresses { chain_id, registry, treasury, study_token, .. } = addresses();
        let word = |address: Address| response(&hex::encode_prefixed(address.abi_encode()));
        let codes = (0..5).map(|_| response("0x00"));
        let first = [response(&format!("{chain_id:#x}"))].into_iter().chain(codes);
        *script() = first.chain([word(registry), word(treasury), word(study_token)]).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime starts");
        let provider = client_provider(RpcClient::new(Scripted, true));
        let ledger = runtime.block_on(Ledger::new(provider, addresses())).expect("the script says what is right");
        (runtime, ledger)
    })
}

pub(crate) fn target(data: &[u8]) {
    let mut parts = Parts::new(data);
    let question = parts.byte();
    let (runtime, ledger) = ledger();
    *script() = parts.rest().split(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect();
    if let Err(error) = runtime.block_on(ask(ledger, question)) {
        let words = error.to_string();
        assert!(!words.is_empty() && words.len() < 10_000, "{words}");
    }
}

async fn ask(ledger: &Ledger, question: u8) -> Result<(), Error> {
    let (node, account) = (key(1).address(), key(21).address());
    match question % QUESTIONS {
        0 => ledger.head().await.map(drop),
        1 => ledger.events(0, 40).await.map(drop),
        2 => ledger.study(1).await.map(|study| assert_eq!(study.id, 1)),
        3 => ledger.round(1, 1).await.map(|round| assert_eq!((round.terms.study, round.terms.round), (1, 1))),
        4 => ledger.bond(1, node).await.map(drop),
        5 => ledger.pot_of(1, node).await.map(drop),
        6 => ledger.books(1).await.map(drop),
        7 => ledger.may_download(1, account).await.map(drop),
        _ => poll(ledger).await,
    }
}

/// Two polls of a watcher, which never goes back.
async fn poll(ledger: &Ledger) -> Result<(), Error> {
    let mut watcher = Watcher::new(ledger.clone(), Cursor::default());
    let Progress::Read { batch, to, .. } = watcher.next_events().await? else { return Ok(()) };
    assert!(batch.events.iter().all(|event| event.at.block.number <= to.number));
    if let Progress::Read { to: next, .. } = watcher.next_events().await? {
        assert!(next.number > to.number);
    }
    Ok(())
}

/// An endpoint that tells the truth, and its answers.
#[derive(Clone)]
struct Recorded(InProcess);

impl Service<RequestPacket> for Recorded {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: RequestPacket) -> TransportFut<'static> {
        let answer = self.0.call(request);
        Box::pin(async move {
            let packet = answer.await?;
            let ResponsePacket::Single(single) = &packet else { panic!("the ledger asks one thing at a time") };
            script().push_back(serde_json::to_vec(single).expect("a response is JSON"));
            Ok(packet)
        })
    }
}

/// What the embedded chain answers to each question about a study with an open round: the seeds of this target.
pub(crate) fn record() -> Vec<Vec<u8>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime starts");
    runtime.block_on(async {
        let ledger = stage().await;
        let mut inputs = Vec::new();
        for question in 0..QUESTIONS {
            script().clear();
            let answered = ask(&ledger, question).await;
            let lines: Vec<Vec<u8>> = script().drain(..).collect();
            assert!(!lines.is_empty(), "question {question}: {answered:?}");
            inputs.push([&[question], &lines.join(&b'\n')[..]].concat());
        }
        inputs
    })
}

async fn stage() -> Ledger {
    let ether = |units: u64| U256::from(units) * U256::from(10).pow(U256::from(18));
    let nodes: Vec<Wallet> = (1..=4).map(|number| Wallet::new(key(number))).collect();
    let accounts = nodes.iter().chain([&sponsor()]).map(Wallet::address).collect::<Vec<_>>();
    let genesis = Genesis::new(DOMAIN.chain_id).fund(accounts, ether(1_000)).at(START);
    let sequencer = Sequencer::new(Chain::in_memory(&genesis), || START);
    let provider = client_provider(RpcClient::new(Recorded(InProcess::new(sequencer)), true));
    let deployment = deploy(provider.clone(), &sponsor(), options()).await.expect("deployed");
    assert_eq!(deployment.addresses, addresses());
    let ledger = Ledger::new(provider, deployment.addresses).await.expect("connected");
    for (number, node) in (1..).zip(&nodes) {
        let kem_key = Bytes::from(kem(number).public_key());
        let registration =
            Registration { kem_key, operator: format!("Clinic {number}"), jurisdiction: "AT".into(), stake: ether(2) };
        ledger.register(node, &registration).await.expect("registered");
        ledger.set_consent(node, sponsor().address(), Consent::ALL).await.expect("agreed");
    }
    let study = NewStudy {
        program: round().program.clone(),
        threshold: 1,
        nodes: nodes.iter().map(Wallet::address).collect(),
        sites: round().sites.clone(),
        sites_uri: String::new(),
        minimum_cohort: 2,
        finality: Finality::Instant,
        conditions: consilium_ledger::Conditions::default(),
        weight_unit: "patients".into(),
        description: B256::ZERO,
    };
    ledger.create_study(&sponsor(), &study).await.expect("created");
    ledger.open_round(&sponsor(), 1, round().subject, START + 100, START + 200).await.expect("opened");
    ledger
}
