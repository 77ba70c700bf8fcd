//! Every proof of PROTOCOL.md 6.12 against the contracts, with real openings and real signatures, on both chains.

use crate::scenario::{kem_key, root};
use crate::worlds::{START, World, ether, wallet};
use alloy_primitives::{Address, B256, U256};
use consilium_core::accusation::{Accusation, Charge, FinalOf, SignedContribution};
use consilium_core::certify::{Cohort, SetMember};
use consilium_core::eip712::{Contribution, Final, SecretKey, Settlement, ShareRoot, Signed, SignerSet, Vote};
use consilium_core::field::{self, Fp, MODULUS};
use consilium_core::merkle::{self, TreeKind, vector_root};
use consilium_core::openings::{Comparison, Flaw, Served, open, read};
use consilium_core::params::{Committee, Finality};
use consilium_core::program::{AnyProgram, OneHot};
use consilium_core::round::{SignedFinal, SignedSettlement, SignedShareRoot};
use consilium_core::settle::share_roots_hash;
use consilium_ledger::{
    Conditions, Consent, Conviction, DeployOptions, Doubt, Error, Event, Ledger, NewStudy, Offence, Receipt, Registration, Round,
    State, Wallet, deploy,
};

pub(crate) const BOND: u64 = 1_000;
const WINDOW: u32 = 50;
const DELAY: u64 = 100;

/// A deployment with nodes and somebody who proves things.
pub(crate) struct Bench {
    pub(crate) ledger: Ledger,
    pub(crate) nodes: Vec<Wallet>,
    pub(crate) reporter: Wallet,
    pub(crate) sponsor: Wallet,
    pub(crate) sites: Vec<SecretKey>,
}

/// A settled round of a study of its own.
pub(crate) struct Settled {
    pub(crate) study: u64,
    pub(crate) settlement: Settlement,
    pub(crate) roots: Vec<B256>,
    cohort: Cohort,
}

impl Bench {
    pub(crate) async fn set(world: &World, nodes: u8) -> Self {
        let (sponsor, reporter) = (wallet(1), wallet(10));
        let options = DeployOptions {
            minimum_stake: ether(1),
            dispute_time: 100,
            compensation_delay: DELAY,
            longest_pause: 10,
            ..DeployOptions::trial()
        };
        let deployment = deploy(world.provider(), &sponsor, options).await.unwrap();
        let ledger = Ledger::new(world.provider(), deployment.addresses).await.unwrap();
        let nodes: Vec<Wallet> = (20..20 + nodes).map(wallet).collect();
        for (i, node) in nodes.iter().enumerate() {
            ledger.transfer(&sponsor, node.address(), ether(5)).await.unwrap();
            let (operator, jurisdiction) = (format!("Clinic {i}"), "Österreich".to_owned());
            let kem_key = kem_key(i as u8 + 1).into();
            ledger.register(node, &Registration { kem_key, operator, jurisdiction, stake: ether(2) }).await.unwrap();
            ledger.set_consent(node, sponsor.address(), Consent::ALL).await.unwrap();
        }
        let mut sites: Vec<SecretKey> = (50..53).map(|byte| wallet(byte).key().unwrap().clone()).collect();
        sites.sort_by_key(SecretKey::address);
        Self { ledger, nodes, reporter, sponsor, sites }
    }

    pub(crate) fn sign<S: alloy::sol_types::SolStruct>(&self, node: usize, statement: &S) -> Signed {
        self.ledger.domain().sign(self.nodes[node - 1].key().unwrap(), statement)
    }

    pub(crate) fn signed<S: alloy::sol_types::SolStruct>(&self, statement: &S, nodes: &[usize]) -> SignerSet {
        SignerSet::collect(&nodes.iter().map(|&node| (node, self.sign(node, statement))).collect())
    }

    /// A study of the first n nodes whose vectors have `length` elements.
    pub(crate) async fn study(&self, n: usize, t: u8, length: usize) -> u64 {
        let new = NewStudy {
            program: AnyProgram::OneHot(OneHot::new(length as u64).unwrap()),
            threshold: t,
            nodes: self.nodes[..n].iter().map(Wallet::address).collect(),
            sites: self.sites.iter().map(SecretKey::address).collect(),
            sites_uri: String::new(),
            minimum_cohort: 2,
            finality: Finality::Instant,
            weight_unit: String::new(),
            description: Default::default(),
            conditions: Conditions { bond: U256::from(BOND), challenge_window: WINDOW, ..Conditions::default() },
        };
        self.ledger.create_study(&self.sponsor, &new).await.unwrap().output
    }

    /// Opens a study's first round.
    pub(crate) async fn open(&self, study: u64) {
        let now = self.ledger.head().await.unwrap().timestamp;
        let opened = self.ledger.open_round(&self.sponsor, study, root("a model"), now + 100, now + 200).await.unwrap();
        assert_eq!(opened.output, 1);
    }

    /// A study whose vectors have `length` elements, with one round that these nodes settle on these roots, the
    /// aggregate's first.
    pub(crate) async fn settle(&self, t: u8, length: usize, roots: &[B256], signers: &[usize]) -> Settled {
        let study = self.study(roots.len() - 1, t, length).await;
        self.open(study).await;
        let member = |site: &SecretKey| SetMember { site: site.address(), digest: root("a digest") };
        let cohort = Cohort::new(self.sites.iter().map(member).collect()).unwrap();
        let vote = Vote { study, round: 1, setRoot: cohort.root(), size: cohort.size() };
        self.ledger.certify(&self.sponsor, &vote, &self.signed(&vote, signers)).await.unwrap();
        let settlement = Settlement {
            study,
            round: 1,
            setRoot: cohort.root(),
            shareRootsHash: share_roots_hash(&roots[1..]),
            aggregateRoot: roots[0],
            rewardRoot: root("rewards"),
        };
        self.ledger.settle(&self.sponsor, &settlement, &roots[1..], &self.signed(&settlement, signers)).await.unwrap();
        Settled { study, settlement, roots: roots.to_vec(), cohort }
    }

    pub(crate) async fn round(&self, settled: &Settled) -> Round {
        self.ledger.round(settled.study, 1).await.unwrap()
    }

    /// What both Rust and the contract make of a charge: who is convicted, or that nobody is.
    pub(crate) async fn try_charge(&self, settled: &Settled, charge: Charge) -> Result<Receipt, Error> {
        let accusation = Accusation { study: settled.study, round: 1, charge };
        let round = self.round(settled).await;
        let holds = accusation.holds(&self.ledger.domain(), &round.record());
        let answer = self.ledger.accuse(&self.reporter, &accusation).await;
        assert_eq!(holds, answer.is_ok(), "{accusation:?}: {answer:?}");
        answer
    }

    async fn convict(&self, settled: &Settled, charge: Charge, offence: Offence, nodes: &[usize]) -> Receipt {
        let receipt = self.try_charge(settled, charge).await.unwrap();
        let found = convictions(&receipt);
        assert!(found.iter().all(|found| found.offence == offence && found.reporter == self.reporter.address()), "{found:?}");
        let expected: Vec<Address> = nodes.iter().map(|node| self.nodes[node - 1].address()).collect();
        assert_eq!(found.iter().map(|found| found.node).collect::<Vec<_>>(), expected);
        receipt
    }

    pub(crate) fn share(&self, settled: &Settled, node: usize, set_root: B256, share_root: B256) -> SignedShareRoot {
        let said = ShareRoot { study: settled.study, round: 1, setRoot: set_root, index: node as u8, root: share_root };
        SignedShareRoot { node, set_root, root: share_root, signature: self.sign(node, &said) }
    }

    pub(crate) fn final_of(&self, settled: &Settled, node: usize, round: u64, set_root: B256) -> FinalOf {
        let subject = root("a model");
        let signature = self.sign(node, &Final { study: settled.study, subject, round, setRoot: set_root });
        FinalOf { round, subject, signed: SignedFinal { node, set_root, signature } }
    }

    pub(crate) fn settlement(&self, settled: &Settled, node: usize, aggregate_root: B256) -> SignedSettlement {
        let said = Settlement { aggregateRoot: aggregate_root, ..settled.settlement.clone() };
        SignedSettlement {
            node,
            set_root: said.setRoot,
            share_roots_hash: said.shareRootsHash,
            aggregate_root,
            reward_root: said.rewardRoot,
            signature: self.sign(node, &said),
        }
    }

    pub(crate) fn contribution(&self, settled: &Settled, site: usize, digest: &str) -> SignedContribution {
        let (key, digest, boxes) = (&self.sites[site], root(digest), root("boxes"));
        let said = Contribution { study: settled.study, round: 1, site: key.address(), digest, boxes };
        SignedContribution { digest, boxes, signature: self.ledger.domain().sign(key, &said) }
    }

    pub(crate) fn site(&self, site: usize) -> Address {
        self.sites[site].address()
    }

    pub(crate) fn address(&self, node: usize) -> Address {
        self.nodes[node - 1].address()
    }
}

pub(crate) fn convictions(receipt: &Receipt) -> Vec<Conviction> {
    let of = |event: &Event| if let Event::Convicted(conviction) = event { Some(*conviction) } else { None };
    receipt.events.iter().filter_map(|event| of(&event.event)).collect()
}

/// Point j of polynomials of degree t through small numbers; point 0 is the aggregate.
pub(crate) fn honest(n: usize, t: usize, length: usize, seed: u64) -> Vec<Vec<Fp>> {
    let coefficient = |i: u64, k: u64| Fp::reduce((seed + 3 * i + 11 * k + 7).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let at =
        |point: usize, i: u64| (0..=t as u64).rev().fold(Fp::ZERO, |sum, k| sum * Fp::reduce(point as u64) + coefficient(i, k));
    (0..=n).map(|point| (0..length as u64).map(|i| at(point, i)).collect()).collect()
}

fn roots(vectors: &[Vec<Fp>]) -> Vec<B256> {
    vectors.iter().map(|values| vector_root(values)).collect()
}

/// What whoever has these vectors finds.
pub(crate) fn find(committee: &Committee, roots: &[B256], vectors: &[Vec<Fp>]) -> Option<Flaw> {
    let mut comparison = Comparison::new(committee, vectors[0].len());
    vectors.iter().enumerate().find_map(|(point, values)| {
        let served = read(point as u8, values.len(), &roots[point], &field::to_bytes(values));
        match served {
            Served::Vector(values) => comparison.add(point, values),
            Served::Flaw(flaw) => Some(flaw),
            Served::Other => None,
        }
    })
}

/// Contradictions and wrong shares: each convicts its signer, and no honest statement convicts anyone.
async fn contradictions(bench: &Bench) {
    let honest_roots = roots(&honest(5, 1, 40, 1));
    let settled = bench.settle(1, 40, &honest_roots, &[1, 2, 3, 4, 5]).await;
    let set = settled.settlement.setRoot;
    let (address, other) = (|node| bench.address(node), root("another"));

    let right = bench.share(&settled, 1, set, settled.roots[1]);
    let one = Charge::WrongShareRoot { address: address(1), statements: Box::new([right.clone()]) };
    assert!(bench.try_charge(&settled, one).await.is_err());
    let twice = Charge::TwoShareRoots { address: address(1), statements: Box::new([right.clone(), right.clone()]) };
    assert!(bench.try_charge(&settled, twice).await.is_err());
    let said = bench.settlement(&settled, 1, settled.roots[0]);
    let twice = Charge::TwoSettlements { address: address(1), statements: Box::new([said.clone(), said]) };
    assert!(bench.try_charge(&settled, twice).await.is_err());

    let wrong = bench.share(&settled, 1, set, other);
    let charge = Charge::WrongShareRoot { address: address(1), statements: Box::new([wrong]) };
    bench.convict(&settled, charge.clone(), Offence::WrongShare, &[1]).await;
    let accusation = Accusation { study: settled.study, round: 1, charge };
    let again = bench.ledger.accuse(&bench.reporter, &accusation).await;
    assert!(again.unwrap_err().revert().is_some_and(|revert| revert.is("NotLiable")));
    let is_answered = async |rule| bench.ledger.is_answered(&accusation, rule).await.unwrap();
    assert!(is_answered(Finality::Instant).await);
    assert!(!is_answered(Finality::Depth(2)).await, "a reorganisation of two blocks undoes it");

    let foreign = bench.share(&settled, 2, other, settled.roots[2]);
    let charge = Charge::WrongShareRoot { address: address(2), statements: Box::new([foreign]) };
    bench.convict(&settled, charge, Offence::ForeignShare, &[2]).await;

    let pair = [bench.share(&settled, 3, set, settled.roots[3]), bench.share(&settled, 3, set, other)];
    let charge = Charge::TwoShareRoots { address: address(3), statements: Box::new(pair) };
    bench.convict(&settled, charge, Offence::TwoShares, &[3]).await;
    assert!(is_answered(Finality::Depth(2)).await);

    let pair = [bench.final_of(&settled, 4, 1, set), bench.final_of(&settled, 4, 2, set)];
    let charge = Charge::TwoFinals { address: address(4), statements: Box::new(pair) };
    bench.convict(&settled, charge, Offence::TwoFinals, &[4]).await;

    let pair = [bench.settlement(&settled, 5, settled.roots[0]), bench.settlement(&settled, 5, other)];
    let charge = Charge::TwoSettlements { address: address(5), statements: Box::new(pair) };
    bench.convict(&settled, charge, Offence::TwoSettlements, &[5]).await;
}

/// A settlement whose aggregate does not follow: all signers pay, nobody else, and the harmed sites are paid in time.
async fn wrong_settlement(world: &World, bench: &Bench) {
    let mut vectors = honest(5, 1, 100, 2);
    let sound = bench.settle(1, 100, &roots(&vectors), &[1, 2, 3, 4]).await;
    let committee = Committee::new(5, 1).unwrap();
    assert_eq!(find(&committee, &sound.roots, &vectors), None);
    let at = |vectors: &[Vec<Fp>], points: &[usize]| points.iter().map(|&p| open(p as u8, &vectors[p], 2)).collect();
    let openings = at(&vectors, &[0, 2, 4]);
    assert!(bench.try_charge(&sound, Charge::WrongSettlement(Flaw::Misfit { element: 70, openings })).await.is_err());

    vectors[0][99] += Fp::ONE;
    let settled = bench.settle(1, 100, &roots(&vectors), &[1, 2, 3, 4]).await;
    let flaw = find(&committee, &settled.roots, &vectors).unwrap();
    assert!(matches!(flaw, Flaw::Misfit { element: 99, .. }));
    let receipt = bench.convict(&settled, Charge::WrongSettlement(flaw.clone()), Offence::WrongSettlement, &[1, 2, 3, 4]).await;
    println!("wrong settlement, 100 elements: {} gas", receipt.gas_used);
    assert_eq!(bench.round(&settled).await.state, State::Fraudulent);
    let proved = Accusation { study: settled.study, round: 1, charge: Charge::WrongSettlement(flaw) };
    let again = bench.ledger.accuse(&bench.reporter, &proved).await.unwrap_err();
    assert!(again.revert().is_some_and(|revert| revert.is("WrongState")), "{again:?}");
    assert!(bench.ledger.is_answered(&proved, Finality::Instant).await.unwrap());
    assert!(!bench.ledger.is_answered(&proved, Finality::Depth(1)).await.unwrap());
    let liar = bench.address(1);
    let refused = bench.ledger.forfeit(&bench.reporter, settled.study, liar).await.unwrap_err();
    assert!(refused.revert().is_some_and(|revert| revert.is("CompensationLocked")), "{refused:?}");

    let (set, other) = (sound.settlement.setRoot, root("another share"));
    let said = Box::new([bench.share(&sound, 5, set, other)]);
    let charge = Charge::WrongShareRoot { address: bench.address(5), statements: said };
    bench.convict(&sound, charge, Offence::WrongShare, &[5]).await;
    compensations(world, bench, &sound).await;
    // No site has a part in what the liars of a disputed round lose.
    bench.ledger.forfeit(&bench.reporter, settled.study, liar).await.unwrap();
    assert_eq!(bench.ledger.pot_of(settled.study, liar).await.unwrap().unwrap().amount, U256::ZERO);
}

/// Node 5 differed from a settlement that stands: its bond is that of the sites, once it is due.
async fn compensations(world: &World, bench: &Bench, settled: &Settled) {
    let (ledger, study, node) = (&bench.ledger, settled.study, bench.address(5));
    assert_eq!(ledger.pot_of(study, bench.address(1)).await.unwrap(), None);
    let pot = ledger.pot_of(study, node).await.unwrap().unwrap();
    assert_eq!((pot.is_assigned(), pot.doubt, pot.round), (false, Doubt::Settlement, 1));
    assert_eq!(pot.amount, U256::from(BOND), "nothing is paid while it can be undone");
    let early = ledger.assign_compensation(&bench.reporter, study, node, 1).await.unwrap_err();
    assert!(early.revert().is_some_and(|revert| revert.is("CompensationLocked")), "{early:?}");
    let postponed = ledger.postpone_compensation(&bench.reporter, study, node).await.unwrap_err();
    assert!(postponed.revert().is_some_and(|revert| revert.is("NotGuardian")), "{postponed:?}");
    world.tick(pot.due).await;
    ledger.assign_compensation(&bench.reporter, study, node, 1).await.unwrap();
    let pot = ledger.pot_of(study, node).await.unwrap().unwrap();
    assert_eq!((pot.set_root, pot.size, pot.each), (settled.cohort.root(), 3, U256::from(BOND - BOND / 10) / U256::from(3)));
    let sites: Vec<_> = bench.sites.iter().map(SecretKey::address).collect();
    let pay = async |index| ledger.compensate(&bench.reporter, (study, node), &settled.cohort, &sites, index).await;
    for (index, site) in sites.iter().enumerate() {
        pay(index).await.unwrap();
        assert!(ledger.balance(*site).await.unwrap() >= pot.each);
    }
    let twice = pay(0).await.unwrap_err();
    assert!(twice.revert().is_some_and(|revert| revert.is("AlreadyCompensated")), "{twice:?}");
}

/// Settled roots over what is no vector of the study.
async fn malformed(bench: &Bench) {
    let vectors = honest(5, 1, 40, 3);
    let mut words: Vec<u64> = vectors[2].iter().map(|value| value.value()).collect();
    words[35] = MODULUS + 4;
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let content = |words: &[u64]| {
        let mut content: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        content.resize(256, 0);
        merkle::leaf(&content)
    };
    let mut settled_roots = roots(&vectors);
    settled_roots[2] = merkle::root(TreeKind::Vector, 40, words.chunks(32).map(content).collect());
    let settled = bench.settle(1, 40, &settled_roots, &[1, 2, 3, 5]).await;
    let Served::Flaw(flaw) = read(2, 40, &settled.roots[2], &bytes) else { panic!("the leaf is bad") };
    assert!(matches!(flaw, Flaw::Leaf { leaf: 1, .. }));
    let sound = Flaw::Leaf { leaf: 1, opening: open(1, &vectors[1], 1) };
    assert!(bench.try_charge(&settled, Charge::WrongSettlement(sound)).await.is_err());
    bench.convict(&settled, Charge::WrongSettlement(flaw), Offence::WrongSettlement, &[1, 2, 3, 5]).await;

    let mut settled_roots = roots(&vectors);
    settled_roots[0] = vector_root(&vectors[0][..39]);
    let settled = bench.settle(1, 40, &settled_roots, &[2, 3, 4, 5]).await;
    let Served::Flaw(flaw) = read(0, 40, &settled.roots[0], &field::to_bytes(&vectors[0][..39])) else { panic!("too short") };
    let preimage = merkle::preimage(TreeKind::Vector, 40, merkle::vector_leaves(&vectors[1])).into();
    let sound = Flaw::Root { point: 1, preimage };
    assert!(bench.try_charge(&settled, Charge::WrongSettlement(sound)).await.is_err());
    bench.convict(&settled, Charge::WrongSettlement(flaw), Offence::WrongSettlement, &[2, 3, 4, 5]).await;
}

/// Two contributions of one site: struck, once, and for later rounds only.
async fn equivocation(bench: &Bench) {
    let settled = bench.settle(1, 40, &roots(&honest(5, 1, 40, 4)), &[1, 2, 3, 4]).await;
    let site = bench.sites[1].address();
    let same = bench.contribution(&settled, 1, "one");
    let charge = |statements| Charge::TwoContributions { site, statements: Box::new(statements) };
    assert!(bench.try_charge(&settled, charge([same, same])).await.is_err());
    let of_two = [bench.contribution(&settled, 0, "one"), bench.contribution(&settled, 1, "two")];
    assert!(bench.try_charge(&settled, charge(of_two)).await.is_err());
    let pair = [bench.contribution(&settled, 1, "one"), bench.contribution(&settled, 1, "two")];
    bench.try_charge(&settled, charge(pair)).await.unwrap();
    let again = Accusation { study: settled.study, round: 1, charge: charge(pair) };
    let again = bench.ledger.accuse(&bench.reporter, &again).await.unwrap_err();
    assert!(again.revert().is_some_and(|revert| revert.is("AlreadyStruck")), "{again:?}");
}

async fn play(world: &World) {
    let bench = Bench::set(world, 5).await;
    contradictions(&bench).await;
    malformed(&bench).await;
    equivocation(&bench).await;
    wrong_settlement(world, &bench).await;
    assert!(bench.ledger.head().await.unwrap().timestamp >= START);
}

#[tokio::test]
async fn every_offence_is_proved_to_the_contract_and_nothing_else_is_on_the_embedded_chain() {
    play(&World::embedded()).await;
}

#[tokio::test]
async fn every_offence_is_proved_to_the_contract_and_nothing_else_is_on_anvil() {
    play(&World::anvil().await).await;
}
