//! The chains that the tests run on.

use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy::eips::Encodable2718;
use alloy::providers::{DynProvider, Provider};
use alloy::rpc::client::RpcClient;
use alloy::rpc::json_rpc::{RequestPacket, Response, ResponsePacket, ResponsePayload};
use alloy::signers::{SignerSync, local::PrivateKeySigner};
use alloy::transports::{TransportError, TransportFut};
use alloy_primitives::{Address, B256, TxKind, U256};
use consilium_chain::{Chain, Genesis, InProcess, Rules, Sequencer};
use consilium_core::eip712::SecretKey;
use consilium_ledger::{Wallet, client_provider, http_provider};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use tower::Service;

pub(crate) const CHAIN_ID: u64 = 31_337;
pub(crate) const START: u64 = 2_000_000_000;

/// Wallet number i of everyone's.
pub(crate) fn wallet(number: u8) -> Wallet {
    Wallet::new(SecretKey::from_bytes(&[number; 32]).unwrap())
}

fn accounts() -> impl Iterator<Item = Address> {
    (1..=10).map(|number| wallet(number).address())
}

pub(crate) fn ether(units: u64) -> U256 {
    U256::from(units) * U256::from(10).pow(U256::from(18))
}

/// A chain whose time the test sets.
pub(crate) enum World {
    Embedded { sequencer: Sequencer, clock: Arc<AtomicU64> },
    Anvil { process: Child, url: String },
}

impl World {
    pub(crate) fn embedded() -> Self {
        Self::under(Rules::Osaka)
    }

    /// The embedded chain with these rules.
    pub(crate) fn under(rules: Rules) -> Self {
        let genesis = Genesis::new(CHAIN_ID).fund(accounts(), ether(1000)).at(START).under(rules);
        let clock = Arc::new(AtomicU64::new(START));
        let hand = clock.clone();
        Self::Embedded { sequencer: Sequencer::new(Chain::in_memory(&genesis), move || hand.load(Ordering::SeqCst)), clock }
    }

    /// A process of its own on a free port.
    pub(crate) async fn anvil() -> Self {
        let mut process = Command::new(anvil_binary())
            .args(["--port", "0", "--hardfork", "osaka", "--accounts", "1"])
            .args(["--chain-id", &CHAIN_ID.to_string(), "--timestamp", &START.to_string()])
            .args(["--block-base-fee-per-gas", "7", "--gas-limit", "36000000"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("anvil starts");
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port = lines.find_map(|line| Some(line.strip_prefix("Listening on 127.0.0.1:")?.to_owned()));
        let url = format!("http://127.0.0.1:{}", port.expect("anvil says where it listens"));
        std::thread::spawn(move || lines.for_each(drop));
        let world = Self::Anvil { process, url };
        for account in accounts() {
            world.tell("anvil_setBalance", json!([account, ether(1000)])).await;
        }
        world.tell("anvil_setBlockTimestampInterval", json!([0])).await;
        world
    }

    pub(crate) fn provider(&self) -> DynProvider {
        match self {
            Self::Embedded { sequencer, .. } => client_provider(sequencer.client()),
            Self::Anvil { url, .. } => http_provider(url).unwrap(),
        }
    }

    /// Creates a contract that this crate knows nothing of, by an account that does nothing else.
    pub(crate) async fn create(&self, account: u8, code: Vec<u8>) -> Address {
        let (provider, signer) = (self.provider(), PrivateKeySigner::from_bytes(&B256::repeat_byte(account)).unwrap());
        let nonce = provider.get_transaction_count(signer.address()).await.unwrap();
        let transaction = TxEip1559 {
            chain_id: CHAIN_ID,
            nonce,
            gas_limit: 1_000_000,
            max_fee_per_gas: 1_000_000_000,
            to: TxKind::Create,
            input: code.into(),
            ..TxEip1559::default()
        };
        let signature = signer.sign_hash_sync(&transaction.signature_hash()).unwrap();
        let bytes = TxEnvelope::from(transaction.into_signed(signature)).encoded_2718();
        let sent = provider.send_raw_transaction(&bytes).await.unwrap();
        sent.get_receipt().await.unwrap().contract_address.unwrap()
    }

    pub(crate) fn sequencer(&self) -> &Sequencer {
        match self {
            Self::Embedded { sequencer, .. } => sequencer,
            Self::Anvil { .. } => panic!("only the embedded chain has a sequencer"),
        }
    }

    /// Makes an empty block at a time that later blocks share.
    pub(crate) async fn tick(&self, time: u64) {
        match self {
            Self::Embedded { sequencer, clock } => {
                clock.store(time, Ordering::SeqCst);
                sequencer.mine_empty().unwrap();
            }
            Self::Anvil { .. } => {
                self.tell("evm_setNextBlockTimestamp", json!([time])).await;
                self.tell("evm_mine", json!([])).await;
            }
        }
    }

    async fn tell(&self, method: &'static str, params: Value) {
        let _answer: Value = self.provider().raw_request(method.into(), params).await.unwrap();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Self::Anvil { process, .. } = self {
            let _ended = process.kill();
            let _reaped = process.wait();
        }
    }
}

/// What a lying endpoint does to the answer of a method.
pub(crate) type Lie = fn(&str, &mut Value);

/// A lie that may depend on the world.
type Change = dyn Fn(&str, &mut Value) + Send + Sync;

/// The embedded chain behind an endpoint that lies.
#[derive(Clone)]
pub(crate) struct Liar(InProcess, Arc<Change>);

impl Liar {
    pub(crate) fn provider(sequencer: &Sequencer, lie: impl Fn(&str, &mut Value) + Send + Sync + 'static) -> DynProvider {
        client_provider(RpcClient::new(Self(InProcess::new(sequencer.clone()), Arc::new(lie)), true))
    }
}

impl Service<RequestPacket> for Liar {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: RequestPacket) -> TransportFut<'static> {
        let method = request.as_single().expect("no batches").method().to_owned();
        let (answer, lie) = (self.0.call(request), self.1.clone());
        Box::pin(async move {
            let mut packet = answer.await?;
            if let ResponsePacket::Single(Response { payload: ResponsePayload::Success(raw), .. }) = &mut packet {
                let mut value = serde_json::from_str(raw.get()).unwrap();
                lie(&method, &mut value);
                *raw = serde_json::value::to_raw_value(&value).unwrap();
            }
            Ok(packet)
        })
    }
}

fn anvil_binary() -> PathBuf {
    let modules = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../contracts/node_modules/@foundry-rs");
    let platforms = std::fs::read_dir(&modules).into_iter().flatten().flatten();
    let mut binaries = platforms.map(|entry| entry.path().join("bin/anvil")).filter(|path| path.is_file());
    binaries.find(|path| !path.parent().unwrap().parent().unwrap().ends_with("anvil")).unwrap_or_else(|| {
        panic!("anvil is not installed under contracts/node_modules: run `npm ci --prefix contracts`, or `make test`, which does")
    })
}
