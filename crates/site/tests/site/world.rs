//! A chain with its contracts, five nodes with sockets, and hospitals.

use crate::committee::{Committee, Conduct};
use alloy_primitives::{Address, B256, U256};
use consilium_chain::{Chain, Genesis, Sequencer};
use consilium_core::eip712::SecretKey;
use consilium_core::params::Finality;
use consilium_core::program::{AnyProgram, OneHot, WeightedMean};
use consilium_core::seal::KemSecret;
use consilium_core::terms::Terms;
use consilium_ledger::{
    Addresses, Conditions, Consent, DeployOptions, Endpoints, Ledger, NewStudy, Registration, Wallet, client_provider, deploy,
};
use consilium_site::sharing::StudyCommittee;
use consilium_site::tensors::Tensors;
use consilium_site::{ClockSection, Site, SiteConfig, SiteKeys, SitePolicy, StudyPins, Timeouts};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tempfile::TempDir;

pub(crate) const CHAIN_ID: u64 = 31_337;
/// By the chain's clock, which is that of the sites too.
pub(crate) const START: u64 = 2_000_000_000;
pub(crate) const CLIP: f64 = 1.0;

pub(crate) fn wallet(number: u8) -> Wallet {
    Wallet::new(SecretKey::from_bytes(&[number; 32]).unwrap())
}

pub(crate) fn site_keys(number: u8) -> SiteKeys {
    SiteKeys::new([100 + number; 32], [number; 32]).unwrap()
}

pub(crate) fn weighted_mean() -> AnyProgram {
    AnyProgram::WeightedMean(WeightedMean::new(6, 25, 8, 128, CLIP).unwrap())
}

pub(crate) fn ballot() -> AnyProgram {
    AnyProgram::OneHot(OneHot::new(3).unwrap())
}

pub(crate) fn model() -> Tensors {
    let layout = |name: &str, shape: &[usize]| consilium_site::tensors::TensorLayout {
        name: name.into(),
        shape: shape.to_vec(),
        format: consilium_site::tensors::Format::F32,
    };
    let layout = consilium_site::tensors::Layout::new(vec![layout("weight", &[2, 2]), layout("bias", &[2])]).unwrap();
    Tensors::new(layout, vec![0.5, -0.25, 1.0, 2.0, 3.0, 4.0]).unwrap()
}

pub(crate) fn update(number: u8) -> Vec<f64> {
    (0..6).map(|k| f64::from(number) * 0.05 - f64::from(k) * 0.03).collect()
}

/// Everything that a test needs; dropped with its folders.
pub(crate) struct World {
    pub(crate) sequencer: Sequencer,
    clock: Arc<AtomicU64>,
    pub(crate) ledger: Ledger,
    pub(crate) addresses: Addresses,
    pub(crate) sponsor: Wallet,
    pub(crate) committee: Committee,
    folder: TempDir,
}

impl World {
    /// Five nodes, study 1 with this program and three sites.
    pub(crate) async fn new(program: AnyProgram) -> Self {
        let accounts = (1..=6).map(|number| wallet(number).address());
        let genesis = Genesis::new(CHAIN_ID).fund(accounts, U256::from(10).pow(U256::from(21))).at(START);
        let clock = Arc::new(AtomicU64::new(START));
        let hand = clock.clone();
        let sequencer = Sequencer::new(Chain::in_memory(&genesis), move || hand.load(Ordering::SeqCst));
        let sponsor = wallet(1);
        let provider = client_provider(sequencer.client());
        let addresses = deploy(provider.clone(), &sponsor, DeployOptions::trial()).await.unwrap().addresses;
        let ledger = Ledger::new(provider, addresses).await.unwrap();
        for node in 1..=5_u8 {
            let registration = Registration {
                kem_key: KemSecret::from_bytes(&[node; 32]).public_key().into(),
                operator: format!("Clinic {node}"),
                jurisdiction: "DE".into(),
                stake: U256::from(10).pow(U256::from(18)),
            };
            ledger.register(&wallet(1 + node), &registration).await.unwrap();
            ledger.set_consent(&wallet(1 + node), sponsor.address(), Consent::ALL).await.unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let committee = Committee::start().await;
        let world = Self { sequencer, clock, ledger, addresses, sponsor, committee, folder };
        world.study(program, 2).await;
        world
    }

    pub(crate) async fn study(&self, program: AnyProgram, minimum_cohort: u32) -> u64 {
        let new = NewStudy {
            program,
            threshold: 1,
            nodes: (2..=6).map(|number| wallet(number).address()).collect(),
            sites: (1..=3).map(|number| site_keys(number).address()).collect(),
            sites_uri: String::new(),
            minimum_cohort,
            finality: Finality::Instant,
            weight_unit: String::new(),
            description: Default::default(),
            conditions: Conditions::default(),
        };
        self.ledger.create_study(&self.sponsor, &new).await.unwrap().output
    }

    pub(crate) fn now(&self) -> u64 {
        self.clock.load(Ordering::SeqCst)
    }

    pub(crate) fn tick(&self, seconds: u64) {
        self.clock.fetch_add(seconds, Ordering::SeqCst);
        self.sequencer.mine_empty().unwrap();
    }

    /// Opens a round and tells the nodes.
    pub(crate) async fn open(&self, study: u64, subject: B256) -> Terms {
        let now = self.now();
        let round = self.ledger.open_round(&self.sponsor, study, subject, now + 100, now + 200).await.unwrap().output;
        let terms = self.ledger.round(study, round).await.unwrap().terms;
        self.committee.open(&terms);
        terms
    }

    pub(crate) async fn fingerprint(&self, study: u64) -> B256 {
        self.ledger.study(study).await.unwrap().committee().unwrap().hash()
    }

    pub(crate) fn urls(&self) -> BTreeMap<Address, String> {
        (1..=5_u8).map(|node| (wallet(1 + node).address(), self.committee.url(node))).collect()
    }

    /// A study with its committee, as a site's configuration names it.
    pub(crate) async fn named(&self, study: u64) -> StudyCommittee {
        StudyCommittee::new(self.addresses.domain(), study, self.fingerprint(study).await)
    }

    /// The configuration of a site with the committee of `studies` pinned.
    pub(crate) async fn config(&self, number: u8, studies: &[u64]) -> SiteConfig {
        let mut pins = BTreeMap::new();
        for &study in studies {
            let committees = [self.fingerprint(study).await].into();
            pins.insert(study, StudyPins { committees, genesis: None });
        }
        SiteConfig {
            rpc: Vec::new(),
            addresses: self.addresses,
            nodes: self.urls(),
            data: self.folder.path().join(format!("site-{number}")),
            policy: SitePolicy { minimum_cohort: 2, studies: pins, ..SitePolicy::default() },
            timeouts: Timeouts { connect: 2.0, inquiry: 2.0, request: 5.0, receipts: 0.4, deliver: 6.0, result: 5.0, poll: 0.05 },
            clock: ClockSection::default(),
        }
    }

    pub(crate) fn site_of(&self, config: SiteConfig, number: u8) -> Site {
        self.site_at(config, number, vec![self.ledger.clone()])
    }

    /// A site with these endpoints.
    pub(crate) fn site_at(&self, config: SiteConfig, number: u8, endpoints: Vec<Ledger>) -> Site {
        let clock = self.clock.clone();
        let time = move || Duration::from_secs(clock.load(Ordering::SeqCst));
        Site::new(config, site_keys(number), Endpoints::new(endpoints).unwrap()).unwrap().with_time(Arc::new(time))
    }

    pub(crate) async fn site(&self, number: u8) -> Site {
        self.site_of(self.config(number, &[1]).await, number)
    }

    /// Certifies and settles what the nodes have accepted.
    pub(crate) async fn close(&self, terms: &Terms) {
        self.committee.certify(&self.ledger, &self.sponsor, terms).await;
        self.committee.settle(&self.ledger, &self.sponsor, terms).await;
    }

    pub(crate) fn conduct(&self, node: u8, conduct: Conduct) {
        self.committee.conduct(node, conduct);
    }
}
