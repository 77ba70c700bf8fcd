//! Everything before the first round: chain, contracts, committee, study and hospitals.

use super::processes::NodeProcess;
use crate::commands::chain::fortune;
use crate::commands::demo::Arguments;
use crate::commands::keys::{create_account, read_signing_key};
use crate::commands::round::unix_seconds;
use crate::failure::Failure;
use crate::output::bar;
use alloy::providers::Provider;
use alloy_primitives::{Address, B256, U256};
use consilium_chain::{Chain, Genesis, Location, Sequencer, serve, system_clock};
use consilium_core::eip712::SecretKey;
use consilium_core::params::{Committee, Finality};
use consilium_core::program::{AnyProgram, WeightedMean};
use consilium_ledger::{
    Conditions, Consent, DeployOptions, Error, Ledger, Mined, NewStudy, Registration, Wallet, deploy, http_provider,
};
use consilium_node::NodeKeys;
use consilium_site::SiteKeys;
use std::collections::BTreeMap;
use std::path::Path;

const CHAIN_ID: u64 = 31_337;
/// Scale bits s and weight bits b of the study: weights are sample counts up to 256.
const SCALE_BITS: u64 = 25;
const WEIGHT_BITS: u64 = 8;

/// How long a settlement can be challenged, after which it pays: long for what is found at once, short for whoever watches.
const CHALLENGE_SECONDS: u32 = 5;
/// Rounds on record at once, more than are played in a challenge window. Older ones are paid from the archive.
const RING: u16 = 16;
/// Coins of the trial currency that one settled round pays, and the nodes' part of it in ten-thousandths.
const BUDGET: u64 = 1_000;
const NODE_SHARE: u16 = 2_000;

/// The stage on which the rounds are played.
pub(crate) struct Stage {
    pub(crate) ledger: Ledger,
    pub(crate) rpc: String,
    pub(crate) sponsor: Wallet,
    pub(crate) auditor: SecretKey,
    pub(crate) study: u64,
    pub(crate) program: WeightedMean,
    pub(crate) committee: Committee,
    /// The committee, node 1's seat first.
    pub(crate) nodes: Vec<NodeProcess>,
    /// Registered and running, in no committee yet.
    pub(crate) spare: Option<NodeProcess>,
    /// Convicted, and no longer in the committee. It still serves what it keeps of earlier rounds.
    pub(crate) dismissed: Option<NodeProcess>,
    pub(crate) sites: Vec<SiteKeys>,
    pub(crate) client: reqwest::Client,
}

impl Stage {
    /// Every node that runs.
    pub(crate) fn everyone(&self) -> impl Iterator<Item = &NodeProcess> {
        self.nodes.iter().chain(&self.spare).chain(&self.dismissed)
    }

    /// Base URLs of all nodes.
    pub(crate) fn urls(&self) -> BTreeMap<Address, String> {
        self.everyone().map(|node| (node.address, node.url.clone())).collect()
    }

    /// Opens the next round about a model. It is to be certified and settled within these times, in seconds from now.
    pub(crate) async fn open_round(&self, subject: B256, certify: u64, settle: u64) -> Result<Mined<u64>, Failure> {
        let now = self.ledger.head().await?.timestamp.max(unix_seconds());
        Ok(self.ledger.open_round(&self.sponsor, self.study, subject, now + certify, now + settle).await?)
    }

    /// What a transaction used.
    pub(crate) async fn gas_of(&self, transaction: B256) -> Result<u64, Failure> {
        let receipt = self.ledger.provider().get_transaction_receipt(transaction).await.map_err(Failure::unreachable)?;
        Ok(receipt.map_or(0, |receipt| receipt.gas_used))
    }
}

/// One tenth of a unit of native currency.
fn tenth() -> U256 {
    U256::from(10).pow(U256::from(17))
}

/// What each node puts up for the sponsor, and for nobody else.
fn consent() -> Consent {
    Consent { max_bond: tenth(), max_total: tenth(), minimum_window: CHALLENGE_SECONDS, expires: Consent::NEVER }
}

/// What one settled round pays, in the smallest unit.
fn budget() -> U256 {
    U256::from(BUDGET) * coin()
}

/// One coin of the trial currency.
pub(super) fn coin() -> U256 {
    U256::from(10).pow(U256::from(18))
}

/// Sets the stage, with one node more than the committee needs if there is to be a spare one.
pub(crate) async fn prepare(
    options: &Arguments,
    dir: &Path,
    dimension: usize,
    clip: f64,
    with_spare: bool,
) -> Result<Stage, Failure> {
    let committee = Committee::new(options.nodes as usize, options.threshold as usize).map_err(Failure::usage)?;
    let program = WeightedMean::new(dimension as u64, SCALE_BITS, WEIGHT_BITS, WeightedMean::PRODUCTION_TESTS, clip)
        .map_err(Failure::usage)?;
    program.check_production().map_err(Failure::usage)?;
    let (mut nodes, node_keys): (Vec<_>, Vec<_>) = (1..=committee.n() + usize::from(with_spare))
        .map(|j| NodeProcess::prepare(j, dir.join(format!("node-{j}"))))
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .unzip();
    let sponsor = match &options.key {
        Some(file) => read_signing_key(file)?,
        None => create_account(&dir.join("sponsor.json"))?,
    };
    let rpc = match &options.rpc {
        Some(url) => url.clone(),
        None => start_chain(&dir.join("chain"), sponsor.address()).await?,
    };
    let sponsor = Wallet::new(sponsor);
    let terms = DeployOptions { minimum_stake: tenth(), ..DeployOptions::trial() };
    let deployment = deploy(http_provider(&rpc)?, &sponsor, terms).await?;
    deployment.addresses.save(&dir.join("addresses.json")).map_err(Failure::failed)?;
    let ledger = Ledger::connect(&rpc, deployment.addresses).await?;
    register(&ledger, &sponsor, &node_keys).await?;
    let spare = if with_spare { nodes.pop() } else { None };
    let currency = ledger.deploy_trial_token(&sponsor).await?.output;

    let sites = (0..options.sites).map(|_| SiteKeys::generate().map_err(Failure::failed)).collect::<Result<Vec<_>, _>>()?;
    let auditor = create_account(&dir.join("auditor.json"))?;
    let new = NewStudy {
        program: AnyProgram::WeightedMean(program.clone()),
        threshold: options.threshold as u8,
        nodes: nodes.iter().map(|node| node.address).collect(),
        sites: sites.iter().map(SiteKeys::address).collect(),
        sites_uri: String::new(),
        minimum_cohort: (options.sites / 2).max(2),
        finality: Finality::Instant,
        weight_unit: "samples".to_owned(),
        description: Default::default(),
        conditions: Conditions {
            currency,
            budget: budget(),
            node_share: NODE_SHARE,
            bond: tenth(),
            challenge_window: CHALLENGE_SECONDS,
            ring: RING,
            ..Conditions::default()
        },
    };
    let study = ledger.create_study(&sponsor, &new).await?.output;
    ledger.set_auditor(&sponsor, study, auditor.address(), true).await?;
    let funds = budget() * U256::from(options.rounds);
    ledger.mint_trial_coins(&sponsor, currency, sponsor.address(), funds).await?;
    ledger.fund_with_permit(&sponsor, study, currency, funds).await?;
    let client = reqwest::Client::new();
    Ok(Stage { ledger, rpc, sponsor, auditor, study, program, committee, nodes, spare, dismissed: None, sites, client })
}

/// Somebody whom no node has agreed to serve asks for the same committee, with all of its stake. What the contract says.
pub(crate) async fn stranger(stage: &Stage, dir: &Path) -> Result<String, Failure> {
    let stranger = Wallet::new(create_account(&dir.join("stranger.json"))?);
    stage.ledger.transfer(&stage.sponsor, stranger.address(), tenth()).await?;
    let new = NewStudy {
        program: AnyProgram::WeightedMean(stage.program.clone()),
        threshold: stage.committee.t() as u8,
        nodes: stage.nodes.iter().map(|node| node.address).collect(),
        sites: stage.sites.iter().map(SiteKeys::address).collect(),
        sites_uri: String::new(),
        minimum_cohort: 2,
        finality: Finality::Instant,
        weight_unit: String::new(),
        description: B256::ZERO,
        conditions: Conditions { bond: tenth(), challenge_window: CHALLENGE_SECONDS, ..Conditions::default() },
    };
    match stage.ledger.create_study(&stranger, &new).await {
        Err(Error::Reverted(refusal)) if refusal.is("NoConsent") => Ok(refusal.words),
        Err(error) => Err(error.into()),
        Ok(_) => Err(Failure::wrong("a stranger has taken the committee, which had agreed to serve its sponsor only")),
    }
}

/// The embedded chain, served over loopback HTTP for as long as this process lives.
async fn start_chain(folder: &Path, sponsor: Address) -> Result<String, Failure> {
    let genesis = Genesis::new(CHAIN_ID).fund([sponsor], fortune());
    let chain = Chain::open(&genesis, Location::Folder(folder.to_owned())).map_err(Failure::failed)?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(serve(Sequencer::new(chain, system_clock), listener, std::future::pending()));
    Ok(url)
}

/// Gives every node its gas and stake, and registers it.
async fn register(ledger: &Ledger, sponsor: &Wallet, nodes: &[NodeKeys]) -> Result<(), Failure> {
    let progress = bar(nodes.len() as u64, "registering nodes");
    for (i, keys) in nodes.iter().enumerate() {
        ledger.transfer(sponsor, keys.address(), tenth() * U256::from(10)).await?;
        let registration = Registration {
            kem_key: keys.kem_public_key(),
            operator: format!("Operator {}", i + 1),
            jurisdiction: "loopback".to_owned(),
            stake: tenth(),
        };
        let wallet = Wallet::new(keys.signing_key().clone());
        ledger.register(&wallet, &registration).await?;
        ledger.set_consent(&wallet, sponsor.address(), consent()).await?;
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(())
}

/// Writes the nodes' configurations, starts them and waits until all answer.
pub(crate) async fn start_nodes(stage: &mut Stage) -> Result<(), Failure> {
    let urls = stage.urls();
    let progress = bar(urls.len() as u64, "starting nodes");
    for node in stage.nodes.iter_mut().chain(&mut stage.spare) {
        node.configure(&stage.rpc, stage.ledger.addresses(), &urls)?;
        node.start()?;
    }
    for node in stage.nodes.iter_mut().chain(&mut stage.spare) {
        node.ready(&stage.client).await?;
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(())
}
