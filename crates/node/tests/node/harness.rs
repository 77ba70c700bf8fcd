//! A chain, a committee, sites that use core directly, and a proxy in front of every node that records all bytes.

use alloy::consensus::{SignableTransaction as _, TxEip1559, TxEnvelope};
use alloy::eips::Encodable2718 as _;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256};
use consilium_chain::{Chain, Genesis, Sequencer, serve, system_clock};
use consilium_core::contribution::{Contribution, Contributor};
use consilium_core::cores::Cores;
use consilium_core::eip712::{Access, SecretKey};
use consilium_core::encode::encode;
use consilium_core::field::{self, Fp};
use consilium_core::mask::Seeds;
use consilium_core::params::Finality;
use consilium_core::program::{AnyProgram, Program, WeightedMean};
use consilium_core::prove::prove;
use consilium_core::terms::Terms;
use consilium_core::transcript::access_object;
use consilium_ledger::{
    Addresses, Conditions, Consent, DeployOptions, Ledger, NewStudy, Registration, Round, State, Wallet, deploy, http_provider,
};
use consilium_node::{Config, Node, NodeBuilder, NodeKeys, Running};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const DIMENSION: u64 = 300;
/// Number of the key of the account that creates contracts.
const CREATOR: u8 = 99;

fn key(number: u8) -> SecretKey {
    SecretKey::from_bytes(&[number; 32]).unwrap()
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// What a node answers with, in wei.
pub(crate) const BOND: u64 = 1_000_000;

fn new_study(keys: &[NodeKeys], sites: &[SecretKey], currency: Address) -> NewStudy {
    NewStudy {
        program: AnyProgram::WeightedMean(WeightedMean::new(DIMENSION, 25, 8, 128, 1.0).unwrap()),
        threshold: 1,
        nodes: keys.iter().map(NodeKeys::address).collect(),
        sites: sites.iter().map(SecretKey::address).collect(),
        sites_uri: String::new(),
        minimum_cohort: 2,
        finality: Finality::Instant,
        weight_unit: String::new(),
        description: Default::default(),
        conditions: Conditions { bond: U256::from(BOND), currency, ..Conditions::default() },
    }
}

type Refuse = Box<dyn FnMut(&str) -> bool + Send>;
type Change = Box<dyn FnMut(&str, &mut Value) + Send>;

/// What stands between a node and the chain.
struct Guard {
    refuse: Refuse,
    redirect: Option<String>,
    change: Change,
}

/// An endpoint of the chain that fails the requests of which its guard says so, and lies in the answers to others.
pub(crate) struct Gate {
    pub(crate) url: String,
    guard: Arc<Mutex<Guard>>,
}

impl Gate {
    pub(crate) async fn start(sequencer: &Sequencer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let guard = Guard { refuse: Box::new(|_| false), redirect: None, change: Box::new(|_, _| {}) };
        let guard = Arc::new(Mutex::new(guard));
        let (shared, sequencer) = (Arc::clone(&guard), sequencer.clone());
        let answer = move |body: String| {
            let answer = shared.lock().unwrap().answer(&sequencer, body);
            async move { answer.ok_or(axum::http::StatusCode::SERVICE_UNAVAILABLE) }
        };
        let router = axum::Router::new().route("/", axum::routing::post(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, guard }
    }

    /// From now on requests are refused whose body the guard picks.
    pub(crate) fn refuse(&self, guard: impl FnMut(&str) -> bool + Send + 'static) {
        self.guard.lock().unwrap().refuse = Box::new(guard);
    }

    /// From now on this block is shown as the newest one, or again the one that is.
    pub(crate) fn show_as_head(&self, number: Option<u64>) {
        self.guard.lock().unwrap().redirect = number.map(|number| format!("\"{number:#x}\""));
    }

    /// From now on answers are changed in this way.
    pub(crate) fn change(&self, change: impl FnMut(&str, &mut Value) + Send + 'static) {
        self.guard.lock().unwrap().change = Box::new(change);
    }
}

impl Guard {
    fn answer(&mut self, sequencer: &Sequencer, body: String) -> Option<Vec<u8>> {
        if (self.refuse)(&body) {
            return None;
        }
        let asked = match &self.redirect {
            Some(head) if body.contains("eth_getBlockByNumber") => body.replace("\"latest\"", head),
            _ => body,
        };
        let mut answer = serde_json::from_slice(&sequencer.respond(asked.as_bytes())?).unwrap();
        (self.change)(&asked, &mut answer);
        Some(serde_json::to_vec(&answer).unwrap())
    }
}

/// Whether a request reads a study's whole history.
pub(crate) fn reads_history(request: &str, study: u64) -> bool {
    request.contains("eth_getLogs") && request.contains(&format!("0x{study:064x}"))
}

/// A TCP proxy: what passes is recorded, and where it leads can be changed.
pub(crate) struct Proxy {
    pub(crate) url: String,
    target: Arc<Mutex<Option<SocketAddr>>>,
}

impl Proxy {
    async fn start(recorded: Arc<Mutex<Vec<Vec<u8>>>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let target = Arc::new(Mutex::new(None::<SocketAddr>));
        let shared = Arc::clone(&target);
        tokio::spawn(async move {
            while let Ok((incoming, _)) = listener.accept().await {
                let to = *shared.lock().unwrap();
                let recorded = Arc::clone(&recorded);
                tokio::spawn(async move {
                    let Some(to) = to else { return };
                    let Ok(outgoing) = TcpStream::connect(to).await else { return };
                    let (from_client, to_client) = incoming.into_split();
                    let (from_node, to_node) = outgoing.into_split();
                    tokio::join!(copy(from_client, to_node, &recorded), copy(from_node, to_client, &recorded));
                });
            }
        });
        Self { url, target }
    }

    pub(crate) fn point_to(&self, target: Option<SocketAddr>) {
        *self.target.lock().unwrap() = target;
    }
}

async fn copy(mut from: tokio::net::tcp::OwnedReadHalf, mut to: tokio::net::tcp::OwnedWriteHalf, recorded: &Mutex<Vec<Vec<u8>>>) {
    let (mut all, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        all.extend_from_slice(&buffer[..length]);
        if to.write_all(&buffer[..length]).await.is_err() {
            break;
        }
    }
    let _closed = to.shutdown().await;
    recorded.lock().unwrap().push(all);
}

/// What becomes of a request.
pub(crate) enum Fate {
    Served,
    /// The node has nothing yet.
    NotYet,
    /// A byte a second, of something else.
    Drips,
}

/// The URL of a way to a node by HTTP on which a request for a path fares as `fate` says each time.
pub(crate) async fn detour(to: &str, fate: impl Fn(&str) -> Fate + Clone + Send + Sync + 'static) -> String {
    let to = to.to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let pass = move |request: axum::extract::Request| {
        let (to, client) = (to.clone(), client.clone());
        let fate = fate(request.uri().path());
        async move { pass(&client, &to, request, fate).await }
    };
    let router = axum::Router::new().fallback(pass);
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

async fn pass(client: &reqwest::Client, to: &str, request: axum::extract::Request, fate: Fate) -> axum::response::Response {
    use axum::body::{Body, to_bytes};
    use axum::response::Response;
    match fate {
        Fate::Served => {}
        Fate::NotYet => return Response::builder().status(503).body(Body::empty()).unwrap(),
        Fate::Drips => {
            let drops = futures::stream::unfold((), |()| async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Some((Ok::<_, std::io::Error>(axum::body::Bytes::from_static(b"\0")), ()))
            });
            return Response::new(Body::from_stream(drops));
        }
    }
    let (parts, body) = request.into_parts();
    let url = format!("{to}{}", parts.uri.path_and_query().unwrap());
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let Ok(answer) = client.request(parts.method, url).headers(parts.headers).body(body).send().await else {
        return Response::builder().status(502).body(Body::empty()).unwrap();
    };
    let (status, bytes) = (answer.status(), answer.bytes().await.unwrap_or_default());
    Response::builder().status(status).body(bytes.into()).unwrap()
}

/// What a site sends, and what it must never show.
pub(crate) struct Sent {
    pub(crate) header: Contribution,
    pub(crate) values: Vec<u8>,
    pub(crate) seeds: Seeds,
}

impl Sent {
    pub(crate) fn body(&self) -> Vec<u8> {
        let header = self.header.to_bytes();
        [&(header.len() as u32).to_le_bytes()[..], &header, &self.values].concat()
    }
}

/// Everything of one test.
pub(crate) struct World {
    pub(crate) addresses: Addresses,
    pub(crate) ledger: Ledger,
    pub(crate) sequencer: Sequencer,
    pub(crate) sponsor: Wallet,
    pub(crate) sites: Vec<SecretKey>,
    pub(crate) keys: Vec<NodeKeys>,
    pub(crate) configs: Vec<Config>,
    pub(crate) nodes: Vec<Option<Running>>,
    pub(crate) proxies: Vec<Proxy>,
    pub(crate) recorded: Arc<Mutex<Vec<Vec<u8>>>>,
    pub(crate) folder: TempDir,
    pub(crate) client: reqwest::Client,
    rng: Mutex<ChaCha20Rng>,
}

impl World {
    /// A committee of n nodes (t = 1) that are registered and run, and a study with some sites.
    pub(crate) async fn start(n: usize, sites: usize) -> Self {
        let mut world = Self::prepare(n, sites).await;
        for node in 0..n {
            world.start_node(node).await;
        }
        world
    }

    pub(crate) async fn prepare(n: usize, sites: usize) -> Self {
        let keys: Vec<NodeKeys> =
            (0..n).map(|i| NodeKeys::from_bytes(&[101 + i as u8; 32], &[201 + i as u8; 32]).unwrap()).collect();
        let sponsor = Wallet::new(key(1));
        let mut sites: Vec<SecretKey> = (0..sites).map(|i| key(31 + i as u8)).collect();
        sites.sort_by_key(SecretKey::address);
        let rich = keys.iter().map(NodeKeys::address).chain([sponsor.address(), key(CREATOR).address()]);
        let genesis = Genesis::new(31337).fund(rich, U256::from(10).pow(U256::from(21)));
        let sequencer = Sequencer::new(Chain::in_memory(&genesis), system_clock);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let rpc = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(serve(sequencer.clone(), listener, std::future::pending()));

        let provider = http_provider(&rpc).unwrap();
        let addresses = deploy(provider, &sponsor, DeployOptions::trial()).await.unwrap().addresses;
        let ledger = Ledger::connect(&rpc, addresses).await.unwrap();
        for keys in &keys {
            let registration = Registration {
                kem_key: keys.kem_public_key(),
                operator: "an operator".into(),
                jurisdiction: "somewhere".into(),
                stake: U256::from(10).pow(U256::from(18)),
            };
            let wallet = Wallet::new(keys.signing_key().clone());
            ledger.register(&wallet, &registration).await.unwrap();
            ledger.set_consent(&wallet, sponsor.address(), Consent::ALL).await.unwrap();
        }
        let currency = ledger.deploy_trial_token(&sponsor).await.unwrap().output;
        assert_eq!(ledger.create_study(&sponsor, &new_study(&keys, &sites, currency)).await.unwrap().output, 1);

        let (folder, recorded) = (tempfile::tempdir().unwrap(), Arc::default());
        let mut proxies = Vec::new();
        for _ in 0..n {
            proxies.push(Proxy::start(Arc::clone(&recorded)).await);
        }
        let configs = (0..n).map(|i| {
            let data = folder.path().join(format!("node{i}"));
            let mut config = Config::new("127.0.0.1:0".parse().unwrap(), data, "unused".into(), vec![rpc.clone()], addresses);
            let others = (0..n).filter(|other| *other != i);
            config.peers = others.map(|other| (keys[other].address(), proxies[other].url.clone())).collect();
            config.poll_interval = Duration::from_millis(50);
            config.fsync = false;
            config
        });
        Self {
            configs: configs.collect(),
            nodes: (0..n).map(|_| None).collect(),
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            rng: Mutex::new(ChaCha20Rng::seed_from_u64(7)),
            addresses,
            ledger,
            sequencer,
            sponsor,
            sites,
            keys,
            proxies,
            recorded,
            folder,
        }
    }

    /// Another study with the same committee and sites.
    pub(crate) async fn create_study(&self) -> u64 {
        self.create_study_with(Conditions::default().challenge_window).await
    }

    /// Another one whose settlements can be challenged for so many seconds.
    pub(crate) async fn create_study_with(&self, challenge_window: u32) -> u64 {
        let currency = self.ledger.currency(1).await.unwrap();
        let mut new = new_study(&self.keys, &self.sites, currency);
        new.conditions.challenge_window = challenge_window;
        self.ledger.create_study(&self.sponsor, &new).await.unwrap().output
    }

    /// The same, with this much for each round, and the money for one.
    pub(crate) async fn create_paying_study(&self, challenge_window: u32, budget: U256) -> u64 {
        let (ledger, sponsor) = (&self.ledger, &self.sponsor);
        let currency = ledger.currency(1).await.unwrap();
        let mut new = new_study(&self.keys, &self.sites, currency);
        (new.conditions.challenge_window, new.conditions.budget) = (challenge_window, budget);
        let study = ledger.create_study(sponsor, &new).await.unwrap().output;
        ledger.mint_trial_coins(sponsor, currency, sponsor.address(), budget).await.unwrap();
        ledger.fund(sponsor, study, budget).await.unwrap();
        study
    }

    pub(crate) fn builder(&self, node: usize) -> NodeBuilder {
        Node::builder(self.configs[node].clone()).with_keys(self.keys[node].clone())
    }

    pub(crate) async fn start_node(&mut self, node: usize) {
        let builder = self.builder(node);
        self.adopt(node, builder).await;
    }

    pub(crate) async fn adopt(&mut self, node: usize, builder: NodeBuilder) {
        let running = builder.start().await.unwrap();
        self.proxies[node].point_to(Some(running.local_addr()));
        self.nodes[node] = Some(running);
    }

    /// Stops a node as a crash would.
    pub(crate) fn kill_node(&mut self, node: usize) {
        self.proxies[node].point_to(None);
        self.nodes[node] = None;
    }

    pub(crate) fn url(&self, node: usize) -> &str {
        &self.proxies[node].url
    }

    /// Opens a round whose cutoff comes after half of `seconds`, unless every site is there before.
    pub(crate) async fn open_round(&self, subject: u8, seconds: u64) -> Round {
        let deadline = now() + seconds;
        let opened =
            self.ledger.open_round(&self.sponsor, 1, B256::repeat_byte(subject), deadline, deadline + 600).await.unwrap();
        self.ledger.round(1, opened.output).await.unwrap()
    }

    /// A site's honest contribution: update x_i = site / 100, weight 10 + site.
    pub(crate) fn contribution(&self, terms: &Terms, site: usize) -> Sent {
        let AnyProgram::WeightedMean(program) = &terms.program else { panic!("the study averages") };
        let mut rng = self.rng.lock().unwrap();
        let update = vec![site as f64 / 100.0; program.dimension()];
        let context = terms.context();
        let ctx = context.of_site(self.sites[site].address());
        let input = encode(program, &ctx, &update, 10 + site as u64, &[9; 32], &mut *rng).unwrap();
        let seeds = Seeds::draw(terms.committee.sizes(), &ctx, input.values(), &[9; 32], &mut *rng);
        let proved = prove(terms.committee.sizes(), program, &ctx, &input, &seeds).unwrap();
        let contributor =
            Contributor { domain: terms.domain, committee: &terms.committee, program, context: &context, key: &self.sites[site] };
        let header = contributor.seal_and_sign(Cores::ONE, &proved, &seeds, &mut *rng);
        Sent { header, values: field::to_bytes(&proved.values), seeds }
    }

    /// The same with other boxes, signed by the site.
    pub(crate) fn resealed(&self, terms: &Terms, site: usize, sent: &mut Sent, change: impl FnOnce(&mut Vec<Vec<u8>>)) {
        let context = terms.context();
        let contributor = Contributor {
            domain: terms.domain,
            committee: &terms.committee,
            program: &*terms.program,
            context: &context,
            key: &self.sites[site],
        };
        change(&mut sent.header.boxes);
        sent.header = contributor.sign(sent.header.body.clone(), sent.header.boxes.clone());
    }

    pub(crate) async fn post(&self, node: usize, path: &str, body: Vec<u8>) -> (u16, Value) {
        let answer = self.client.post(format!("{}{path}", self.url(node))).body(body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    pub(crate) async fn upload(&self, node: usize, round: u64, body: Vec<u8>) -> (u16, Value) {
        self.post(node, &format!("/v1/studies/1/rounds/{round}/contributions"), body).await
    }

    pub(crate) fn capability(&self, key: &SecretKey, round: u64, method: &str, path: &str, body: &[u8], expires: u64) -> String {
        let access = Access { study: 1, round, object: access_object(method, path, body), expires };
        self.signed_access(key, &access)
    }

    pub(crate) fn signed_access(&self, key: &SecretKey, access: &Access) -> String {
        let signature = self.addresses.domain().sign(key, access);
        format!("Consilium {}.{}.{}.0x{}", access.study, access.round, access.expires, hex(signature.as_bytes()))
    }

    /// GET with a capability of `key`, if any.
    pub(crate) async fn get(&self, node: usize, round: u64, rest: &str, key: Option<&SecretKey>) -> (u16, Vec<u8>) {
        let path = format!("/v1/studies/1/rounds/{round}{rest}");
        let mut request = self.client.get(format!("{}{path}", self.url(node)));
        if let Some(key) = key {
            request = request.header("authorization", self.capability(key, round, "GET", &path, b"", now() + 60));
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.bytes().await.unwrap().to_vec())
    }

    /// Creates a contract, by an account that does nothing else.
    pub(crate) fn create(&self, code: Vec<u8>) -> Address {
        let ask = |method: &str, params: Value| self.sequencer.request(method, params).unwrap();
        let nonce = ask("eth_getTransactionCount", json!([key(CREATOR).address(), "latest"]));
        let transaction = TxEip1559 {
            chain_id: self.addresses.chain_id,
            nonce: u64::from_str_radix(nonce.as_str().unwrap().trim_start_matches("0x"), 16).unwrap(),
            gas_limit: 1_000_000,
            max_fee_per_gas: 1_000_000_000,
            to: TxKind::Create,
            input: code.into(),
            ..TxEip1559::default()
        };
        let signature = key(CREATOR).sign(&transaction.signature_hash());
        let signature = Signature::from_raw_array(signature.as_bytes()).unwrap();
        let raw = TxEnvelope::from(transaction.into_signed(signature)).encoded_2718();
        self.sequencer.submit(&raw).unwrap().contract_address.unwrap()
    }

    pub(crate) async fn get_json(&self, node: usize, round: u64, rest: &str) -> Value {
        let (status, body) = self.get(node, round, rest, None).await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap()
    }

    /// Waits until the chain has settled a round.
    pub(crate) async fn settled(&self, round: u64) -> Round {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let read = self.ledger.round(1, round).await.unwrap();
            if read.state == State::Settled {
                return read;
            }
            if Instant::now() > end {
                for (i, node) in self.nodes.iter().enumerate().filter(|(_, node)| node.is_some()) {
                    println!("node {i} {node:?}: {}", self.get_json(i, round, "").await);
                }
                panic!("the round is {:?} after a minute", read.state);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until `done`.
    pub(crate) async fn eventually(&self, what: &str, done: impl AsyncFn() -> bool) {
        let end = Instant::now() + Duration::from_secs(30);
        while !done().await {
            assert!(Instant::now() < end, "not after 30 s: {what}");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// The aggregate that some node serves to a site, checked against the chain and against what went in.
    pub(crate) async fn check_aggregate(&self, settled: &Round, sites: &[usize]) {
        let mut found = None;
        for node in (0..self.nodes.len()).filter(|node| self.nodes[*node].is_some()) {
            let (status, bytes) = self.get(node, settled.terms.round, "/aggregate", Some(&self.sites[0])).await;
            if status == 200 {
                found = Some(bytes);
            }
        }
        let values = field::from_bytes(&found.expect("no node has the aggregate"), DIMENSION as usize + 1, "aggregate").unwrap();
        let settlement = settled.settlement.as_ref().unwrap();
        assert_eq!(consilium_core::merkle::vector_root(&values), settlement.settlement.aggregateRoot);
        let AnyProgram::WeightedMean(program) = &settled.terms.program else { panic!("the study averages") };
        let weight: u64 = sites.iter().map(|site| 10 + *site as u64).sum();
        assert_eq!(values.last(), Some(&Fp::reduce(weight)));
        let mean: f64 = sites.iter().map(|site| (10 + *site) as f64 * *site as f64 / 100.0).sum::<f64>() / weight as f64;
        let bound = consilium_core::encode::error_bound(program, sites.len(), weight);
        // Updates within the clip radius are only rounded.
        let largest_norm = *sites.iter().max().unwrap() as f64 / 100.0 * (DIMENSION as f64).sqrt();
        if largest_norm <= 1.0 {
            for value in consilium_core::encode::decode(program, &values).unwrap() {
                assert!((value - mean).abs() <= bound, "{value} is not {mean} within {bound}");
            }
        }
    }

    pub(crate) fn member_key(&self, node: usize) -> &SecretKey {
        self.keys[node].signing_key()
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    Bytes::copy_from_slice(bytes).to_string().trim_start_matches("0x").to_owned()
}

pub(crate) fn code(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["error"]["code"].as_str().unwrap_or(""))
}
