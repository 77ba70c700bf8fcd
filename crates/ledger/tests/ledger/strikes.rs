//! A strike takes a site out of later rounds if the site signed the two contributions that its event shows, and not if an
//! endpoint made it up.

use crate::court::{Bench, Settled, honest};
use crate::scenario::root;
use crate::worlds::{Liar, World, wallet};
use alloy::sol_types::SolEvent;
use alloy_primitives::{Address, B256, LogData};
use consilium_core::accusation::{Accusation, Charge, Equivocation, SignedContribution};
use consilium_core::eip712::{Domain, SecretKey};
use consilium_core::merkle::vector_root;
use consilium_ledger::contracts::Treasury;
use consilium_ledger::{Endpoints, Ledger, Round};
use serde_json::json;
use std::time::Instant;

/// A study whose site 1 was struck for round 1 before round 2 was opened.
struct Struck {
    world: World,
    bench: Bench,
    first: Settled,
}

impl Struck {
    async fn new() -> Self {
        let world = World::embedded();
        let bench = Bench::set(&world, 5).await;
        let roots: Vec<_> = honest(5, 1, 40, 2).iter().map(|values| vector_root(values)).collect();
        let first = bench.settle(1, 40, &roots, &[1, 2, 3, 4]).await;
        let this = Self { world, bench, first };
        let charge = Charge::TwoContributions { site: this.site(1), statements: Box::new(this.proof(1).statements) };
        let accusation = Accusation { study: this.first.study, round: 1, charge };
        this.bench.ledger.accuse(&this.bench.reporter, &accusation).await.unwrap();
        let now = this.bench.ledger.head().await.unwrap().timestamp;
        let (sponsor, study) = (&this.bench.sponsor, this.first.study);
        this.bench.ledger.open_round(sponsor, study, root("another model"), now + 100, now + 200).await.unwrap();
        this
    }

    fn site(&self, site: usize) -> Address {
        self.bench.sites[site].address()
    }

    /// Two contributions of a site to round 1 under its own signatures.
    fn proof(&self, site: usize) -> Equivocation {
        self.proof_by(site, &self.bench.sites[site], self.bench.ledger.domain(), self.first.study, 1)
    }

    /// As [`Self::proof`], with signatures by this key, in this domain, about this study and round.
    fn proof_by(&self, site: usize, key: &SecretKey, domain: Domain, study: u64, round: u64) -> Equivocation {
        let site = self.site(site);
        let said = |digest: &str| {
            let mut said = SignedContribution { digest: root(digest), boxes: root("boxes"), signature: key.sign(&B256::ZERO) };
            said.signature = domain.sign(key, &said.statement(study, round, site));
            said
        };
        Equivocation { study: self.first.study, round: 1, site, statements: [said("one"), said("two")] }
    }

    /// The same chain behind an endpoint that shows this in place of the strike; none leaves it out.
    async fn showing(&self, data: Option<LogData>) -> Ledger {
        let lie = move |method: &str, answer: &mut serde_json::Value| {
            let struck = json!(Treasury::SiteStruck::SIGNATURE_HASH);
            let Some(logs) = answer.as_array_mut().filter(|_| method == "eth_getLogs") else { return };
            logs.retain(|log| data.is_some() || log["topics"][0] != struck);
            for (log, data) in logs.iter_mut().filter(|log| log["topics"][0] == struck).zip(&data) {
                log["topics"] = json!(data.topics());
                log["data"] = json!(data.data);
            }
        };
        Ledger::new(Liar::provider(self.world.sequencer(), lie), *self.bench.ledger.addresses()).await.unwrap()
    }

    async fn second(&self, ledger: &Ledger) -> Round {
        ledger.round(self.first.study, 2).await.unwrap()
    }

    /// Whom an endpoint that shows this gets out of round 2, by every way to ask.
    async fn taken_out_by(&self, data: LogData) -> Vec<Address> {
        let ledger = self.showing(Some(data)).await;
        let round = self.second(&ledger).await;
        let history = ledger.history(self.first.study).await.unwrap();
        let struck: Vec<Address> = round.struck.iter().copied().collect();
        assert_eq!(history.struck_now(), round.struck);
        let ever = self.bench.sites.iter().map(SecretKey::address).filter(|site| history.was_struck_for(*site, 1));
        assert_eq!(ever.collect::<Vec<_>>(), struck);
        let left = self.bench.sites.iter().map(SecretKey::address).filter(|site| !struck.contains(site));
        assert_eq!(round.terms.sites, left.collect::<Vec<_>>());
        struck
    }
}

fn event(proof: &Equivocation) -> LogData {
    let [one, other] = &proof.statements;
    let event = Treasury::SiteStruck {
        study: proof.study,
        round: proof.round,
        site: proof.site,
        digest: one.digest,
        boxes: one.boxes,
        signature: one.signature.to_compact(),
        otherDigest: other.digest,
        otherBoxes: other.boxes,
        otherSignature: other.signature.to_compact(),
    };
    event.encode_log_data()
}

#[tokio::test]
async fn a_strike_with_its_proof_takes_the_site_out() {
    let study = Struck::new().await;
    let liar = study.site(1);
    let round = study.second(&study.bench.ledger).await;
    assert_eq!((round.struck.into_iter().collect::<Vec<_>>(), round.terms.sites.len()), (vec![liar], 2));
    assert!(study.second(&study.showing(None).await).await.struck.is_empty(), "the event is all that there is");
    assert_eq!(study.taken_out_by(event(&study.proof(1))).await, [liar], "the very event that the contract made");
    assert_eq!(study.taken_out_by(event(&study.proof(0))).await, [study.site(0)], "another site that signed two");
}

#[tokio::test]
async fn an_invented_strike_takes_nobody_out() {
    let (study, nobody) = (Struck::new().await, Vec::<Address>::new());
    let (domain, own, id) = (study.bench.ledger.domain(), &study.bench.sites[0], study.first.study);
    let whole = study.proof(0);
    let by = |key, domain, study_id, round| study.proof_by(0, key, domain, study_id, round);
    let garbage = SignedContribution { signature: own.sign(&root("garbage")), ..whole.statements[1] };
    let once = whole.statements[0];
    let (chain, contract) = (domain.chain_id + 1, Address::repeat_byte(9));
    let invented = [
        ("the same contribution twice", Equivocation { statements: [once, once], ..whole }),
        ("a signature of something else", Equivocation { statements: [once, garbage], ..whole }),
        ("signed by another key", by(&study.bench.sites[2], domain, id, 1)),
        ("of another study", by(own, domain, id + 1, 1)),
        ("of another round", by(own, domain, id, 2)),
        ("of another chain", by(own, Domain { chain_id: chain, ..domain }, id, 1)),
        ("of another contract", by(own, Domain { contract, ..domain }, id, 1)),
        ("of another site", Equivocation { site: study.site(2), ..whole }),
    ];
    for (words, proof) in invented {
        assert_eq!(study.taken_out_by(event(&proof)).await, nobody, "{words}");
    }
    let (topics, data) = event(&whole).split();
    let with = |data: Vec<u8>| LogData::new_unchecked(topics.clone(), data.into());
    assert_eq!(study.taken_out_by(with(data[..64].to_vec())).await, nobody, "round and site alone");
    assert_eq!(study.taken_out_by(with([&data[..64], &[0xee; 256][..]].concat())).await, nobody, "garbage");
    assert_eq!(study.taken_out_by(with(Vec::new())).await, nobody, "nothing");
}

#[tokio::test]
async fn a_strike_that_one_endpoint_leaves_out_or_invents_is_as_the_others_prove_it() {
    let study = Struck::new().await;
    let honest = study.bench.ledger.clone();
    let silent = study.showing(None).await;
    let inventive = {
        let proof = study.proof_by(0, &study.bench.sites[2], study.bench.ledger.domain(), study.first.study, 1);
        study.showing(Some(event(&proof))).await
    };
    let expected = study.second(&honest).await;
    for ledgers in [
        vec![silent.clone(), honest.clone()],
        vec![honest.clone(), silent],
        vec![honest.clone(), inventive.clone()],
        vec![inventive, honest],
    ] {
        let endpoints = Endpoints::new(ledgers).unwrap();
        let round = study.second(endpoints.primary()).await;
        assert_eq!(endpoints.strike_out(round).await.unwrap(), expected);
    }
}

/// Anybody can have keys of their own struck, at the price of the gas: a reader of the study must not verify that again and again.
#[tokio::test]
async fn strikes_of_strangers_cost_readers_nothing() {
    let study = Struck::new().await;
    let (ledger, id, domain) = (&study.bench.ledger, study.first.study, study.bench.ledger.domain());
    let time = || async {
        let started = Instant::now();
        for _ in 0..5 {
            drop(ledger.history(id).await.unwrap());
        }
        started.elapsed() / 5
    };
    let before = time().await;
    let stranger = wallet(200);
    let site = stranger.address();
    let proof = |round: u64| {
        let said = |digest: &str| {
            let (digest, boxes) = (root(digest), root("boxes"));
            let mut said = SignedContribution { digest, boxes, signature: stranger.key().unwrap().sign(&B256::ZERO) };
            said.signature = domain.sign(stranger.key().unwrap(), &said.statement(id, round, site));
            said
        };
        Equivocation { study: id, round, site, statements: [said("one"), said("two")] }
    };
    let proofs: Vec<Equivocation> = (1..=400).map(proof).collect();
    for Equivocation { round, statements, .. } in &proofs {
        let charge = Charge::TwoContributions { site, statements: Box::new(*statements) };
        ledger.accuse(&study.bench.reporter, &Accusation { study: id, round: *round, charge }).await.unwrap();
    }
    let after = time().await;
    let started = Instant::now();
    assert!(proofs.iter().all(|proof| proof.holds(&domain)));
    let verifying = started.elapsed();
    assert!(after < before + verifying / 2, "{before:?}, then {after:?}; to verify all takes {verifying:?}");
}
