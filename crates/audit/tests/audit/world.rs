//! Five nodes, three sites, a sponsor and an auditor on an embedded chain, and rounds played with the real core.

use crate::nodes::Served;
use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::SolStruct;
use consilium_audit::Auditor;
use consilium_chain::{Chain, Genesis, Sequencer};
use consilium_core::capability::Holder;
use consilium_core::certify::{Cohort, SetMember};
use consilium_core::contribution::{Contribution, Contributor};
use consilium_core::cores::Cores;
use consilium_core::eip712::{Final, Receipt, SecretKey, Settlement, ShareRoot, Signed, SignerSet, Vote};
use consilium_core::encode::encode;
use consilium_core::field::{Fp, to_bytes};
use consilium_core::merkle::vector_root;
use consilium_core::params::Finality;
use consilium_core::program::{AnyProgram, WeightedMean};
use consilium_core::release::RunningSum;
use consilium_core::round::{SignedFinal, SignedReceipt, SignedSettlement, SignedShareRoot};
use consilium_core::seal::KemSecret;
use consilium_core::settle::{settlement, share_roots_hash};
use consilium_core::terms::Terms;
use consilium_core::transcript::values_hash;
use consilium_core::unmask::unmask;
use consilium_core::verify::Verifier;
use consilium_ledger::{
    Conditions, Consent, DeployOptions, Endpoints, Ledger, NewStudy, Registration, Wallet, client_provider, deploy,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) const START: u64 = 2_000_000_000;
pub(crate) const N: usize = 5;
/// What a round pays.
pub(crate) const BUDGET: u64 = 1_000;
const VOTERS: [usize; 4] = [1, 2, 4, 5];

pub(crate) struct World {
    pub(crate) sequencer: Sequencer,
    clock: Arc<AtomicU64>,
    pub(crate) ledger: Ledger,
    pub(crate) sponsor: Wallet,
    pub(crate) nodes: Vec<Wallet>,
    kems: Vec<KemSecret>,
    pub(crate) sites: Vec<SecretKey>,
    pub(crate) auditor: SecretKey,
    pub(crate) served: Vec<Served>,
    rng: ChaCha20Rng,
    /// What each node answers with in studies that are made from now on, in wei.
    pub(crate) bond: U256,
}

/// How a round is played.
#[derive(Default)]
pub(crate) struct Script {
    /// A site that nobody admitted and that the committee certifies among the others.
    pub(crate) foreign: Option<Address>,
    /// A node that releases, signs and serves a wrong output share.
    pub(crate) liar: Option<usize>,
    /// What the whole committee settles instead.
    pub(crate) fraud: Option<fn(&mut Settlement, &mut Vec<B256>)>,
}

/// A played round.
pub(crate) struct Played {
    pub(crate) terms: Terms,
    pub(crate) members: Vec<SetMember>,
}

impl Played {
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/v1/studies/{}/rounds/{}/{rest}", self.terms.study, self.terms.round)
    }

    pub(crate) fn contribution(&self, site: usize, what: &str) -> String {
        self.path(&format!("contributions/{}/{what}", self.members[site].digest))
    }
}

fn with_foreign(cohort: &Cohort, foreign: Option<Address>) -> Cohort {
    let mut members = cohort.members().to_vec();
    members.extend(foreign.map(|site| SetMember { site, digest: B256::repeat_byte(9) }));
    members.sort_unstable();
    Cohort::new(members).unwrap()
}

fn key(number: u8) -> SecretKey {
    SecretKey::from_bytes(&[number; 32]).unwrap()
}

fn ether(units: u64) -> U256 {
    U256::from(units) * U256::from(10).pow(U256::from(18))
}

impl World {
    /// Contracts, registered nodes and serving processes; no study yet.
    pub(crate) async fn new() -> Self {
        let nodes: Vec<Wallet> = (2..=6).map(|i| Wallet::new(key(i))).collect();
        let sponsor = Wallet::new(key(1));
        let rich = nodes.iter().chain([&sponsor]).map(Wallet::address);
        let genesis = Genesis::new(31_337).fund(rich, ether(1000)).at(START);
        let clock = Arc::new(AtomicU64::new(START));
        let hand = clock.clone();
        let sequencer = Sequencer::new(Chain::in_memory(&genesis), move || hand.load(Ordering::SeqCst));
        let provider = client_provider(sequencer.client());
        let options = DeployOptions { minimum_stake: U256::from(30), ..DeployOptions::trial() };
        let deployment = deploy(provider.clone(), &sponsor, options).await.unwrap();
        let ledger = Ledger::new(provider, deployment.addresses).await.unwrap();
        let kems: Vec<KemSecret> = (1..=N as u8).map(|i| KemSecret::from_bytes(&[i; 32])).collect();
        for (i, (node, kem)) in nodes.iter().zip(&kems).enumerate() {
            let (operator, jurisdiction) = (format!("Operator {i}"), "AT".to_owned());
            let node_terms = Registration { kem_key: kem.public_key().into(), operator, jurisdiction, stake: ether(2) };
            ledger.register(node, &node_terms).await.unwrap();
            ledger.set_consent(node, sponsor.address(), Consent::ALL).await.unwrap();
        }
        let auditor = key(77);
        let mut served = Vec::new();
        for _ in 0..N {
            served.push(Served::start(ledger.domain(), vec![auditor.address()]).await);
        }
        let mut sites: Vec<SecretKey> = (40..43).map(key).collect();
        sites.sort_by_key(SecretKey::address);
        let rng = ChaCha20Rng::seed_from_u64(5);
        Self { sequencer, clock, ledger, sponsor, nodes, kems, sites, auditor, served, rng, bond: ether(1) }
    }

    /// A world with one study and one settled round.
    pub(crate) async fn settled() -> (Self, Played) {
        let mut world = Self::new().await;
        let study = world.study().await;
        let played = world.play(study, "model", &Script::default()).await;
        (world, played)
    }

    pub(crate) async fn study(&self) -> u64 {
        let currency = self.ledger.deploy_trial_token(&self.sponsor).await.unwrap().output;
        let new = NewStudy {
            program: AnyProgram::WeightedMean(WeightedMean::new(40, 25, 8, 128, 1.0).unwrap()),
            threshold: 1,
            nodes: self.nodes.iter().map(Wallet::address).collect(),
            sites: self.sites.iter().map(SecretKey::address).collect(),
            sites_uri: String::new(),
            minimum_cohort: 2,
            finality: Finality::Instant,
            weight_unit: String::new(),
            description: Default::default(),
            conditions: Conditions {
                currency,
                budget: U256::from(BUDGET),
                node_share: 1_000,
                bond: self.bond,
                ..Conditions::default()
            },
        };
        let study = self.ledger.create_study(&self.sponsor, &new).await.unwrap().output;
        let funds = U256::from(10 * BUDGET);
        self.ledger.mint_trial_coins(&self.sponsor, currency, self.sponsor.address(), funds).await.unwrap();
        self.ledger.fund(&self.sponsor, study, funds).await.unwrap();
        self.ledger.set_auditor(&self.sponsor, study, self.auditor.address(), true).await.unwrap();
        study
    }

    /// The root of a played round's set.
    pub(crate) fn set_root(&self, played: &Played) -> B256 {
        Cohort::new(played.members.clone()).unwrap().root()
    }

    /// The voters of every round.
    pub(crate) fn voters(&self) -> Vec<Address> {
        VOTERS.iter().map(|node| self.nodes[node - 1].address()).collect()
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.fetch_add(seconds, Ordering::SeqCst);
        self.sequencer.mine_empty().unwrap();
    }

    pub(crate) async fn open(&self, study: u64, subject: &str) -> Terms {
        let now = self.clock.load(Ordering::SeqCst);
        let subject = values_hash(subject.as_bytes());
        let opened = self.ledger.open_round(&self.sponsor, study, subject, now + 100, now + 200).await.unwrap();
        self.ledger.round(study, opened.output).await.unwrap().terms
    }

    pub(crate) fn sign<S: SolStruct>(&self, node: usize, statement: &S) -> Signed {
        self.ledger.domain().sign(self.nodes[node - 1].key().unwrap(), statement)
    }

    fn signers<S: SolStruct>(&self, statement: &S) -> SignerSet {
        SignerSet::collect(&VOTERS.iter().map(|&node| (node, self.sign(node, statement))).collect())
    }

    /// A round from opening to settlement, everything served by every node.
    pub(crate) async fn play(&mut self, study: u64, subject: &str, script: &Script) -> Played {
        let terms = self.open(study, subject).await;
        let contributions = self.contribute(&terms);
        let cohort = Cohort::new(contributions.iter().map(|(member, ..)| *member).collect()).unwrap();
        let mut shares = self.verify(&terms, &contributions, &cohort);
        let cohort = with_foreign(&cohort, script.foreign);
        let vote = Vote { study, round: terms.round, setRoot: cohort.root(), size: cohort.size() };
        self.ledger.certify(&self.nodes[1], &vote, &self.signers(&vote)).await.unwrap();

        let voters = self.voters();
        let points: BTreeMap<usize, &[Fp]> = shares.iter().map(|(&node, share)| (node, &share[..])).collect();
        let aggregate = unmask(terms.committee.sizes(), &points, &mut ChaCha20Rng::seed_from_u64(1)).unwrap();
        let mut result = settlement(study, terms.round, &cohort, &voters, &aggregate);
        let mut roots = aggregate.share_roots().to_vec();
        if let Some(fraud) = script.fraud {
            fraud(&mut result, &mut roots);
            result.shareRootsHash = share_roots_hash(&roots);
        }
        self.ledger.settle(&self.nodes[2], &result, &roots, &self.signers(&result)).await.unwrap();
        if let Some(liar) = script.liar {
            shares.get_mut(&liar).unwrap()[0] += Fp::ONE;
        }
        let played = Played { members: cohort.members().to_vec(), terms };
        let statements = self.statements(&played.terms, &cohort, &shares, &result, script.liar);
        for (i, node) in self.served.iter().enumerate() {
            node.put(played.path("statements"), statements.to_string().into_bytes());
            node.put(played.path("set"), json!({ "members": cohort.members() }).to_string().into_bytes());
            node.put(played.path("share"), to_bytes(&shares[&(i + 1)]));
            node.put(played.path("aggregate"), to_bytes(aggregate.values()));
            for (site, (_, header, values)) in contributions.iter().enumerate() {
                node.put(played.contribution(site, "header"), header.to_bytes());
                node.put(played.contribution(site, "values"), values.clone());
            }
        }
        played
    }

    fn contribute(&mut self, terms: &Terms) -> Vec<(SetMember, Contribution, Vec<u8>)> {
        let AnyProgram::WeightedMean(program) = &terms.program else { unreachable!() };
        let (domain, committee, context) = (terms.domain, &terms.committee, terms.context());
        let mut made = Vec::new();
        for (i, key) in self.sites.iter().enumerate() {
            let update: Vec<f64> = (0..40).map(|k| (k as f64 - 20.0) * 0.001 * (i + 1) as f64).collect();
            let ctx = context.of_site(key.address());
            let input = encode(program, &ctx, &update, 10 + i as u64, &[3; 32], &mut self.rng).unwrap();
            let site = Contributor { domain, committee, program, context: &context, key };
            let (header, values) = site.contribute(Cores::ONE, input, &[3; 32], &mut self.rng).unwrap();
            let digest = header.authenticate(&domain, &context).unwrap();
            made.push((SetMember { site: key.address(), digest }, header, to_bytes(&values)));
        }
        made
    }

    /// Every node's output share.
    fn verify(
        &self,
        terms: &Terms,
        contributions: &[(SetMember, Contribution, Vec<u8>)],
        cohort: &Cohort,
    ) -> BTreeMap<usize, Vec<Fp>> {
        let context = terms.context();
        let share = |node: usize| {
            let verifier = Verifier { committee: terms.committee.sizes(), program: &*terms.program, node };
            let sum = RunningSum::new(terms.program.output_len());
            for (member, header, values) in contributions {
                let ctx = context.of_site(member.site);
                let seeds = verifier.open_box(&ctx, member.digest, header, &self.kems[node - 1]);
                sum.add(&verifier.verify(member.site, &ctx, &header.body, values, &seeds).unwrap());
            }
            (node, sum.release(cohort).unwrap().values().to_vec())
        };
        (1..=N).map(share).collect()
    }

    fn statements(
        &self,
        terms: &Terms,
        cohort: &Cohort,
        shares: &BTreeMap<usize, Vec<Fp>>,
        result: &Settlement,
        liar: Option<usize>,
    ) -> Value {
        let (study, round, set_root) = (terms.study, terms.round, cohort.root());
        let mut receipts = Vec::new();
        for member in cohort.members() {
            let receipt = Receipt { study, round, site: member.site, digest: member.digest };
            receipts.extend((1..=N).map(|node| SignedReceipt { node, member: *member, signature: self.sign(node, &receipt) }));
        }
        let said = Final { study, subject: terms.subject, round, setRoot: set_root };
        let finals: Vec<_> = (1..=N).map(|node| SignedFinal { node, set_root, signature: self.sign(node, &said) }).collect();
        let share_roots: Vec<_> =
            (1..=N).map(|node| self.share_root(terms, set_root, node, vector_root(&shares[&node]))).collect();
        let honest = (1..=N).filter(|node| Some(*node) != liar);
        let settlements: Vec<_> = honest.map(|node| self.signed_settlement(node, result)).collect();
        json!({ "receipts": receipts, "finals": finals, "share_roots": share_roots, "settlements": settlements, "evidence": [] })
    }

    pub(crate) fn share_root(&self, terms: &Terms, set_root: B256, node: usize, root: B256) -> SignedShareRoot {
        let index = node as u8;
        let said = ShareRoot { study: terms.study, round: terms.round, setRoot: set_root, index, root };
        SignedShareRoot { node, set_root, root, signature: self.sign(node, &said) }
    }

    fn signed_settlement(&self, node: usize, said: &Settlement) -> SignedSettlement {
        SignedSettlement {
            node,
            set_root: said.setRoot,
            share_roots_hash: said.shareRootsHash,
            aggregate_root: said.aggregateRoot,
            reward_root: said.rewardRoot,
            signature: self.sign(node, said),
        }
    }

    pub(crate) fn urls(&self) -> BTreeMap<Address, String> {
        self.nodes.iter().map(Wallet::address).zip(self.served.iter().map(|served| served.url.clone())).collect()
    }

    pub(crate) fn auditor(&self) -> Auditor {
        self.auditor_with(vec![self.ledger.clone()], &self.urls(), Some(self.auditor.clone()))
    }

    pub(crate) fn auditor_with(&self, ledgers: Vec<Ledger>, urls: &BTreeMap<Address, String>, key: Option<SecretKey>) -> Auditor {
        Auditor::new(Endpoints::new(ledgers).unwrap(), urls, key.map(Holder::Key)).unwrap()
    }

    /// Changes the JSON that one node serves at a path.
    pub(crate) fn edit_json(&self, node: usize, path: &str, change: impl FnOnce(&mut Value)) {
        self.served[node - 1].edit(path, |bytes| {
            let mut value = serde_json::from_slice(bytes).unwrap();
            change(&mut value);
            *bytes = value.to_string().into_bytes();
        });
    }
}
