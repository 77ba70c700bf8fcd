//! One story over both chains: receipts, gas, logs and addresses must not differ.

use crate::worlds::{START, World, ether, wallet};
use alloy_primitives::{Address, B256, keccak256};
use consilium_core::eip712::{Settlement, SignerSet, Vote};
use consilium_core::params::Finality;
use consilium_core::program::{AnyProgram, WeightedMean};
use consilium_core::seal::{KemSecret, check_public_key};
use consilium_core::settle::share_roots_hash;
use consilium_core::transcript::values_hash;
use consilium_ledger::error::Misuse;
use consilium_ledger::{
    Addresses, Conditions, Consent, DeployOptions, Error, Event, Ledger, Limits, ListFlaw, Membership, Mined, NewStudy, Receipt,
    Registration, Role, Round, State, Wallet, deploy,
};

/// What of a step must be equal on every chain: block number, gas and events, or the words of a refusal.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Done { block: u64, gas: u64, events: Vec<(u64, Event)>, created: Option<Address> },
    Refused(String),
}

/// A deployment with five nodes, number 2 with a bad KEM key, and one study.
pub(crate) struct Stage {
    pub(crate) ledger: Ledger,
    pub(crate) sponsor: Wallet,
    pub(crate) nodes: Vec<Wallet>,
    pub(crate) sites: Vec<Address>,
    told: Vec<(&'static str, Told)>,
}

pub(crate) fn kem_key(number: u8) -> Vec<u8> {
    KemSecret::from_bytes(&[number; 32]).public_key()
}

pub(crate) fn root(text: &str) -> B256 {
    values_hash(text.as_bytes())
}

fn registration(node: usize, kem_key: Vec<u8>) -> Registration {
    Registration {
        kem_key: kem_key.into(),
        operator: format!("Clinic {node}"),
        jurisdiction: "Österreich".into(),
        stake: ether(2),
    }
}

impl Stage {
    pub(crate) async fn set(world: &World) -> Self {
        let sponsor = wallet(1);
        let options = DeployOptions { minimum_stake: ether(1), dispute_time: 100, ..DeployOptions::trial() };
        let deployment = deploy(world.provider(), &sponsor, options).await.unwrap();
        let ledger = Ledger::new(world.provider(), deployment.addresses).await.unwrap();
        let nodes = (2..=6).map(wallet).collect();
        let mut sites: Vec<_> = (1..=3).map(|i| Address::repeat_byte(0x10 * i)).collect();
        sites.reverse();
        let mut stage = Self { ledger, sponsor, nodes, sites, told: Vec::new() };
        for (contract, created) in deployment.creations {
            stage.tell(contract, &Ok(created));
        }
        stage.register().await;
        let created = stage.ledger.create_study(&stage.sponsor, &stage.new_study()).await;
        assert_eq!(stage.tell_number("create the study", created), Some(1));
        stage
    }

    pub(crate) fn new_study(&self) -> NewStudy {
        NewStudy {
            program: AnyProgram::WeightedMean(WeightedMean::new(3, 25, 8, 128, 1.0).unwrap()),
            threshold: 1,
            nodes: self.nodes.iter().map(Wallet::address).collect(),
            sites: self.sites.clone(),
            sites_uri: String::new(),
            minimum_cohort: 2,
            finality: Finality::Instant,
            weight_unit: String::new(),
            description: Default::default(),
            conditions: Conditions::default(),
        }
    }

    async fn register(&mut self) {
        for node in 1..=5_usize {
            let key = if node == 2 { vec![0xff; 1216] } else { kem_key(node as u8) };
            let done = self.ledger.register(&self.nodes[node - 1], &registration(node, key)).await;
            self.tell("register a node", &done);
            let agreed = self.ledger.set_consent(&self.nodes[node - 1], self.sponsor.address(), Consent::ALL).await;
            self.tell("consent", &agreed);
        }
        let again = self.ledger.register(&self.nodes[0], &registration(1, kem_key(1))).await;
        self.refuse("register twice", &again, "is registered already");
        let poor = Registration { stake: ether(0), ..registration(6, kem_key(6)) };
        let poor = self.ledger.register(&wallet(7), &poor).await;
        self.refuse("register without stake", &poor, "below the minimum");
        let short = self.ledger.register(&wallet(7), &registration(6, vec![1; 32])).await;
        self.refuse("register a short key", &short, "has 1216 bytes, not 32");
    }

    /// Registers more nodes, until there are so many.
    pub(crate) async fn enlarge(&mut self, nodes: usize) {
        for number in self.nodes.len() + 1..=nodes {
            let node = wallet(20 + number as u8);
            self.ledger.transfer(&self.sponsor, node.address(), ether(5)).await.unwrap();
            self.ledger.register(&node, &registration(number, kem_key(number as u8))).await.unwrap();
            self.ledger.set_consent(&node, self.sponsor.address(), Consent::ALL).await.unwrap();
            self.nodes.push(node);
        }
    }

    fn tell(&mut self, step: &'static str, done: &Result<Receipt, Error>) {
        let told = match done {
            Ok(receipt) => Told::Done {
                block: receipt.block.number,
                gas: receipt.gas_used,
                events: receipt.events.iter().map(|e| (e.at.index, e.event.clone())).collect(),
                created: receipt.created,
            },
            Err(error) => Told::Refused(error.to_string()),
        };
        self.told.push((step, told));
    }

    fn tell_number(&mut self, step: &'static str, done: Result<Mined<u64>, Error>) -> Option<u64> {
        let number = done.as_ref().ok().map(|mined| mined.output);
        self.tell(step, &done.map(|mined| mined.receipt));
        number
    }

    fn refuse(&mut self, step: &'static str, done: &Result<Receipt, Error>, words: &str) {
        let error = done.as_ref().err().unwrap_or_else(|| panic!("{step}: not refused")).to_string();
        assert!(error.contains(words), "{step}: {error}");
        self.tell(step, done);
    }

    pub(crate) async fn open(&mut self, subject: &str, now: u64) -> Option<u64> {
        let opened = self.ledger.open_round(&self.sponsor, 1, root(subject), now + 100, now + 200).await;
        self.tell_number("open a round", opened)
    }

    pub(crate) fn vote(&self, round: u64) -> Vote {
        Vote { study: 1, round, setRoot: root("the set"), size: 3 }
    }

    /// The statement signed by these nodes.
    pub(crate) fn signed<S: alloy::sol_types::SolStruct>(&self, statement: &S, nodes: &[usize]) -> SignerSet {
        let sign = |&node: &usize| (node, self.ledger.domain().sign(self.nodes[node - 1].key().unwrap(), statement));
        SignerSet::collect(&nodes.iter().map(sign).collect())
    }

    pub(crate) async fn certify(&mut self, round: u64) {
        let vote = self.vote(round);
        let signed = self.signed(&vote, &[1, 3, 4, 5]);
        let done = self.ledger.certify(&self.nodes[2], &vote, &signed).await;
        assert!(done.is_ok(), "{done:?}");
        self.tell("certify", &done);
    }

    async fn refuse_certificates(&mut self) {
        let (vote, node) = (self.vote(1), self.nodes[0].clone());
        let few = self.ledger.certify(&node, &vote, &self.signed(&vote, &[1, 2, 3])).await;
        self.refuse("certify with Q-1", &few, "3 signatures, 4 are needed");
        let other = Vote { setRoot: root("another set"), ..self.vote(1) };
        let forged = self.ledger.certify(&node, &vote, &self.signed(&other, &[1, 2, 3, 4])).await;
        self.refuse("certify another set", &forged, "signature of node 1 is not");
        let small = Vote { size: 1, ..self.vote(1) };
        let small = self.ledger.certify(&node, &small, &self.signed(&small, &[1, 2, 3, 4])).await;
        self.refuse("certify too few sites", &small, "has 1 sites, the round needs 2");
    }

    async fn settle(&mut self) {
        let roots: Vec<_> = (1..=5).map(|node| root(&format!("share {node}"))).collect();
        let settlement = Settlement {
            study: 1,
            round: 1,
            setRoot: root("the set"),
            shareRootsHash: share_roots_hash(&roots),
            aggregateRoot: root("aggregate"),
            rewardRoot: root("reward"),
        };
        let signed = self.signed(&settlement, &[1, 2, 3, 4, 5]);
        let other = self.ledger.settle(&self.nodes[0], &settlement, &roots[..4], &signed).await;
        assert!(matches!(other, Err(Error::Misuse(_))), "{other:?}");
        let done = self.ledger.settle(&self.nodes[0], &settlement, &roots, &signed).await;
        self.tell("settle", &done);
        let again = self.ledger.settle(&self.nodes[1], &settlement, &roots, &signed).await;
        self.refuse("settle twice", &again, "is already settled");
    }

    /// Round 1: certified and settled, after everything that must not work.
    async fn first_round(&mut self) {
        let stranger = self.ledger.open_round(&self.nodes[0], 1, root("model 1"), START + 100, START + 200).await;
        self.refuse("open as a stranger", &stranger.map(|mined| mined.receipt), "does not open rounds of study 1");
        assert_eq!(self.open("model 1", START).await, Some(1));
        let twice = self.ledger.open_round(&self.sponsor, 1, root("model 2"), START + 100, START + 200).await;
        self.refuse("open beside an open one", &twice.map(|mined| mined.receipt), "is not over yet");
        self.refuse_certificates().await;
        self.certify(1).await;
        let vote = self.vote(1);
        let late = self.ledger.certify(&self.nodes[3], &vote, &self.signed(&vote, &[1, 2, 3, 4])).await;
        self.refuse("certify twice", &late, "is already certified");
        self.settle().await;
        let same = self.ledger.open_round(&self.sponsor, 1, root("model 1"), START + 100, START + 200).await;
        self.refuse("open the same subject", &same.map(|mined| mined.receipt), "has had its sum");
    }

    /// Round 2: void.
    async fn second_round(&mut self, world: &World) {
        assert_eq!(self.open("model 2", START).await, Some(2));
        let early = self.ledger.void_round(&self.nodes[0], 1, 2).await;
        self.refuse("void too early", &early, "is still open");
        world.tick(START + 100).await;
        let vote = self.vote(2);
        let late = self.ledger.certify(&self.nodes[0], &vote, &self.signed(&vote, &[1, 2, 3, 4])).await;
        self.refuse("certify after the deadline", &late, "deadline has passed");
        let voided = self.ledger.void_round(&self.nodes[0], 1, 2).await;
        self.tell("void", &voided);
    }

    /// Everything that a sponsor may change, then round 3: abandoned.
    async fn third_round(&mut self, world: &World) {
        let rotated = self.ledger.rotate_kem_key(&self.nodes[0], kem_key(77).into()).await;
        self.tell("rotate a key", &rotated);
        let nodes: Vec<_> = self.nodes[..4].iter().map(Wallet::address).collect();
        let formed = self.ledger.set_committee(&self.sponsor, 1, 1, &nodes).await;
        assert_eq!(self.tell_number("form a committee", formed), Some(2));
        let admitted = self.ledger.set_sites(&self.sponsor, 1, &self.sites[..2]).await;
        self.tell("admit other sites", &admitted);
        let policy = self.ledger.set_policy(&self.sponsor, 1, 2, Finality::Depth(2)).await;
        self.tell("set the policy", &policy);
        let auditor = self.ledger.set_auditor(&self.sponsor, 1, wallet(9).address(), true).await;
        self.tell("let an auditor in", &auditor);
        assert_eq!(self.open("model 2", START + 100).await, Some(3));
        let vote = self.vote(3);
        let certified = self.ledger.certify(&self.nodes[0], &vote, &self.signed(&vote, &[1, 2, 3, 4])).await;
        self.tell("certify by the new committee", &certified);
        world.tick(START + 300).await;
        let abandoned = self.ledger.abandon_round(&self.nodes[0], 1, 3).await;
        self.tell("abandon", &abandoned);
        let leaving = self.ledger.begin_unbond(&self.nodes[0]).await;
        self.refuse("leave while serving", &leaving, "sits in 1 committees");
        let gone = self.ledger.begin_unbond(&self.nodes[4]).await;
        self.tell("leave", &gone);
    }

    async fn check_views(&self) {
        let study = self.ledger.study(1).await.unwrap();
        assert_eq!((study.sponsor, study.rounds, study.minimum_cohort), (self.sponsor.address(), 3, 2));
        assert_eq!(study.finality, Finality::Depth(2));
        assert_eq!(study.program.hash(), self.new_study().program.hash());
        assert!(study.auditors.contains(&wallet(9).address()) && study.auditors.len() == 1);
        let keys = |epoch: u64| study.committees[&epoch].members().iter().map(|m| m.kem_key.clone()).collect::<Vec<_>>();
        assert_eq!(keys(1), [kem_key(1), vec![0xff; 1216], kem_key(3), kem_key(4), kem_key(5)]);
        assert!(check_public_key(&keys(1)[1]).is_err(), "a bad key still sits in its committee");
        assert_eq!(keys(2), [kem_key(77), vec![0xff; 1216], kem_key(3), kem_key(4)]);

        let rounds = [1, 2, 3].map(|round| self.ledger.round(1, round));
        let [first, second, third] = rounds;
        let (first, second, third) = (first.await.unwrap(), second.await.unwrap(), third.await.unwrap());
        assert_eq!([first.state, second.state, third.state], [State::Settled, State::Void, State::Abandoned]);
        self.check_first(&first).await;
        assert_eq!((first.terms.sites.len(), third.terms.sites.len()), (3, 2));
        assert_eq!((first.terms.committee.epoch(), third.terms.committee.epoch()), (1, 2));
        assert_eq!(second.certificate, None);

        let subjects = self.ledger.certified_subjects(1).await.unwrap();
        let subjects: Vec<_> = subjects.iter().map(|s| (s.round, s.subject)).collect();
        assert_eq!(subjects, [(1, root("model 1")), (3, root("model 2"))]);
        assert_eq!(self.ledger.studies().await.unwrap(), 1);
        assert!(matches!(self.ledger.study(2).await, Err(Error::Unknown(_))));
        assert!(matches!(self.ledger.round(1, 4).await, Err(Error::Unknown(_))));
        self.check_kem_keys().await;
    }

    /// Node 1 has rotated its key between the two committees, node 5 sits in the first alone.
    async fn check_kem_keys(&self) {
        let [first, fifth] = [0, 4].map(|node| self.nodes[node].address());
        let hash = |number| keccak256(kem_key(number));
        assert_eq!(self.ledger.kem_key_hash(first).await.unwrap(), Some(hash(77)));
        assert_eq!(self.ledger.kem_key_hash(wallet(7).address()).await.unwrap(), None);
        assert_eq!(self.ledger.kem_key_hashes(first).await.unwrap(), [hash(1), hash(77)].into());
        let read = async |node| self.ledger.memberships(node).await.unwrap();
        let told = |all: &[Membership]| all.iter().map(|m| (m.study, m.epoch, m.key_hash)).collect::<Vec<_>>();
        assert_eq!(told(&read(first).await), [(1, 1, hash(1)), (1, 2, hash(77))]);
        assert_eq!(told(&read(fifth).await), [(1, 1, hash(5))]);

        let (newest, last) = (self.ledger.history(1).await.unwrap(), self.ledger.final_history(1).await.unwrap().unwrap());
        assert_eq!(last.head().number + 2, newest.head().number, "the rule is depth:2");
        assert_eq!(newest.memberships(first).collect::<Vec<_>>(), read(first).await);
        assert_eq!((last.sitting_epoch(), last.challenge_window()), (Some(2), 3600));
        let settled = newest.settled_at(1).unwrap().block;
        assert_eq!(self.ledger.block_hash(settled.number).await.unwrap(), Some(settled.hash));
        assert_eq!((newest.settled_at(2), newest.recorded_state(2)), (None, State::Void));
    }

    async fn check_first(&self, round: &Round) {
        let certificate = round.certificate.as_ref().unwrap();
        assert_eq!(certificate.voters(), [1, 3, 4, 5]);
        assert_eq!(certificate.vote, self.vote(1));
        let votes = certificate.genuine_votes(&round.terms);
        assert_eq!(votes.keys().copied().collect::<Vec<_>>(), [1, 3, 4, 5]);
        let settled = round.settlement.as_ref().unwrap();
        assert_eq!(settled.settlement.aggregateRoot, root("aggregate"));
        let signatures = self.ledger.settlement_signatures(&round.terms, settled).await.unwrap().unwrap().unwrap();
        assert_eq!(signatures.len(), 5);
    }
}

async fn play(world: &World) -> (Addresses, Vec<(&'static str, Told)>) {
    let mut stage = Stage::set(world).await;
    stage.first_round().await;
    stage.second_round(world).await;
    stage.third_round(world).await;
    stage.check_views().await;
    (*stage.ledger.addresses(), stage.told)
}

#[tokio::test]
async fn the_embedded_chain_and_anvil_tell_the_same_story() {
    let (here, told_here) = play(&World::embedded()).await;
    let (there, told_there) = play(&World::anvil().await).await;
    assert_eq!(here, there);
    assert_eq!(told_here.len(), told_there.len());
    for ((step, here), (_, there)) in told_here.iter().zip(&told_there) {
        assert_eq!(here, there, "{step}");
        match here {
            Told::Done { gas, block, .. } => println!("{step}: {gas} gas in block {block} on both"),
            Told::Refused(words) => println!("{step}: {words}"),
        }
    }
}

#[tokio::test]
async fn a_study_changes_hands_when_its_receiver_takes_it_and_roles_end_with_its_owner() {
    let world = World::embedded();
    let stage = Stage::set(&world).await;
    let (ledger, seller, buyer, helper) = (&stage.ledger, &stage.sponsor, wallet(8), wallet(9));
    let study = ledger.study(1).await.unwrap();
    assert_eq!((study.operator, study.treasurer, study.ended), (seller.address(), seller.address(), false));
    for role in [Role::Operator, Role::Treasurer, Role::Guardian] {
        ledger.set_role(seller, 1, role, helper.address()).await.unwrap();
        assert_eq!(ledger.holder_of(1, role).await.unwrap(), helper.address());
    }
    ledger.set_auditor(seller, 1, helper.address(), true).await.unwrap();
    let study = ledger.study(1).await.unwrap();
    assert_eq!([study.operator, study.treasurer, study.conditions.guardian], [helper.address(); 3]);
    assert!(study.auditors.contains(&helper.address()));
    ledger.open_round(&helper, 1, root("model 1"), START + 100, START + 200).await.unwrap();
    let refused = ledger.pause(seller, 1, START + 5).await.unwrap_err();
    assert!(refused.revert().is_some_and(|revert| revert.is("NotGuardian")), "{refused}");
    ledger.pause(&helper, 1, START + 5).await.unwrap();
    assert_eq!(ledger.paused_until(1).await.unwrap(), START + 5);
    ledger.resume(&helper, 1).await.unwrap();
    assert_eq!(ledger.paused_until(1).await.unwrap(), 0);

    let unasked = ledger.take_study(&buyer, 1, seller.address()).await.unwrap_err();
    assert!(unasked.revert().is_some_and(|revert| revert.is("ERC721InsufficientApproval")), "{unasked}");
    ledger.offer_study(seller, 1, buyer.address()).await.unwrap();
    ledger.take_study(&buyer, 1, seller.address()).await.unwrap();
    let study = ledger.study(1).await.unwrap();
    assert_eq!([study.sponsor, study.operator, study.treasurer], [buyer.address(); 3]);
    assert!(study.auditors.is_empty() && study.conditions.guardian.is_zero() && study.vacant);
    assert_eq!(ledger.holder_of(1, Role::Guardian).await.unwrap(), Address::ZERO);

    world.tick(START + 100).await;
    ledger.end_study(&buyer, 1).await.unwrap();
    assert!(ledger.study(1).await.unwrap().ended);
    let over = ledger.open_round(&buyer, 1, root("model 2"), START + 200, START + 300).await.unwrap_err();
    assert!(over.revert().is_some_and(|revert| revert.is("Ended")), "{over}");
}

#[tokio::test]
async fn a_list_of_sites_that_is_elsewhere_is_told_with_its_place() {
    let world = World::embedded();
    let stage = Stage::set(&world).await;
    let place = "https://sponsor.example/sites.json";
    // Refused before anything is sent, and not by the contract.
    for wrong in ["http://sponsor.example/sites.json", &format!("https://{}", "s".repeat(249))] {
        let misuse = stage.ledger.set_sites_at(&stage.sponsor, 1, &stage.sites[..2], wrong).await.unwrap_err();
        assert!(matches!(misuse, Error::Misuse(Misuse::SitesUri { bytes }) if bytes == wrong.len()), "{misuse}");
        let misuse = NewStudy { sites_uri: wrong.to_owned(), ..stage.new_study() };
        let misuse = stage.ledger.create_study(&stage.sponsor, &misuse).await.unwrap_err();
        assert!(matches!(misuse, Error::Misuse(Misuse::SitesUri { .. })), "{misuse}");
    }
    stage.ledger.set_sites_at(&stage.sponsor, 1, &stage.sites[..2], place).await.unwrap();
    // Nothing is asked of a place that is nowhere.
    let ledger = stage.ledger.clone().with_limits(Limits { list: std::time::Duration::ZERO, ..Limits::DEFAULT });
    let study = ledger.study(1).await.unwrap();
    assert_eq!((study.sites, study.sites_at.as_deref()), (Err(ListFlaw::NotFetched), Some(place)));
    stage.ledger.open_round(&stage.sponsor, 1, root("model 1"), START + 100, START + 200).await.unwrap();
    let error = ledger.round(1, 1).await.unwrap_err();
    assert!(matches!(&error, Error::SitesElsewhere { study: 1, uri, flaw: ListFlaw::NotFetched } if uri == place), "{error}");
    assert!(error.to_string().contains(place) && error.is_temporary());
}

#[tokio::test]
async fn of_two_who_certify_at_once_one_succeeds_and_the_other_learns_that_it_was_late() {
    let world = World::anvil().await;
    let mut stage = Stage::set(&world).await;
    stage.open("model 1", START).await.unwrap();
    let vote = stage.vote(1);
    let signed = stage.signed(&vote, &[1, 2, 3, 4]);
    let (first, second) = tokio::join!(
        stage.ledger.certify(&stage.nodes[0], &vote, &signed),
        stage.ledger.certify(&stage.nodes[1], &vote, &signed)
    );
    let refused: Vec<_> = [first, second].into_iter().filter_map(Result::err).collect();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(refused[0].revert().is_some_and(|revert| revert.is("WrongState")), "{refused:?}");
}
