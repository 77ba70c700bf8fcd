//! A study's money: funded, paid by the formula, claimed by a stranger, on record and off it, and told by liars.

use crate::scenario::{Stage, root};
use crate::worlds::{Liar, Lie, START, World, ether, wallet};
use alloy_primitives::{Address, B256, U256};
use consilium_core::certify::{Cohort, SetMember};
use consilium_core::eip712::{Settlement, Vote};
use consilium_core::params::{Committee, Finality};
use consilium_core::program::{AnyProgram, WeightedMean};
use consilium_core::settle::{reward_root, share_roots_hash};
use consilium_ledger::{Books, Cohorts, Conditions, Error, Event, Ledger, Money, NewStudy, Offer, Wallet};

const STUDY: u64 = 2;
const WINDOW: u64 = 50;
const BUDGET: u64 = 1_000;

/// A study with a currency, rounds that leave the record after two, and what its nodes would serve.
pub(crate) struct Till {
    world: World,
    pub(crate) stage: Stage,
    pub(crate) study: u64,
    committee: Committee,
    currency: Address,
    pub(crate) cohorts: Cohorts,
    pub(crate) now: u64,
    /// Of the last round's opening, certificate and settlement.
    pub(crate) gas: [u64; 3],
}

impl Till {
    /// With five nodes.
    pub(crate) async fn set(world: World) -> Self {
        Self::of(world, Committee::new(5, 1).unwrap()).await
    }

    /// With a committee of this size.
    pub(crate) async fn of(world: World, committee: Committee) -> Self {
        let mut stage = Stage::set(&world).await;
        stage.enlarge(committee.n()).await;
        let currency = stage.ledger.deploy_trial_token(&stage.sponsor).await.unwrap().output;
        let study =
            stage.ledger.create_study(&stage.sponsor, &Self::new_study(&stage, &committee, currency)).await.unwrap().output;
        assert_eq!(study, STUDY);
        stage.ledger.mint_trial_coins(&stage.sponsor, currency, stage.sponsor.address(), U256::from(100_000)).await.unwrap();
        Self { world, stage, study, committee, currency, cohorts: Cohorts::new(), now: START, gas: [0; 3] }
    }

    fn new_study(stage: &Stage, committee: &Committee, currency: Address) -> NewStudy {
        NewStudy {
            program: AnyProgram::WeightedMean(WeightedMean::new(3, 25, 8, 128, 1.0).unwrap()),
            threshold: committee.t() as u8,
            nodes: stage.nodes.iter().map(Wallet::address).collect(),
            sites: stage.sites.clone(),
            minimum_cohort: 2,
            finality: Finality::Instant,
            weight_unit: String::new(),
            description: Default::default(),
            conditions: Conditions {
                currency,
                budget: U256::from(BUDGET),
                node_share: 1_000,
                challenge_window: WINDOW as u32,
                ring: 2,
                ..Conditions::default()
            },
        }
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.stage.ledger
    }

    pub(crate) async fn pass(&mut self, seconds: u64) {
        self.now += seconds;
        self.world.tick(self.now).await;
    }

    /// A round from opening to settlement over so many sites, by a quorum that leaves out node 2.
    pub(crate) async fn play(&mut self, sites: usize) -> u64 {
        self.play_for(sites, reward_root).await
    }

    /// The same with rewards as the voters please.
    async fn play_for(&mut self, sites: usize, rewards: fn(&Cohort, &[Address]) -> B256) -> u64 {
        let (ledger, sponsor) = (self.stage.ledger.clone(), self.stage.sponsor.clone());
        let subject = root(&format!("model {}", self.cohorts.len()));
        let opened = ledger.open_round(&sponsor, STUDY, subject, self.now + 10, self.now + 20).await.unwrap();
        let round = opened.output;
        let member = |site: &Address| SetMember { site: *site, digest: root("an update") };
        let mut members: Vec<SetMember> = self.stage.sites.iter().take(sites).map(member).collect();
        members.sort_by_key(|member| member.site);
        let cohort = Cohort::new(members).unwrap();
        let vote = Vote { study: STUDY, round, setRoot: cohort.root(), size: cohort.size() };
        let nodes = 1..=self.committee.n();
        let seats: Vec<usize> = nodes.clone().filter(|&seat| seat != 2).take(self.committee.quorum()).collect();
        let certified = ledger.certify(&self.stage.nodes[0], &vote, &self.stage.signed(&vote, &seats)).await.unwrap();
        let voters: Vec<Address> = seats.iter().map(|seat| self.stage.nodes[seat - 1].address()).collect();
        let roots: Vec<_> = nodes.map(|node| root(&format!("share {node} of round {round}"))).collect();
        let settlement = Settlement {
            study: STUDY,
            round,
            setRoot: cohort.root(),
            shareRootsHash: share_roots_hash(&roots),
            aggregateRoot: root("aggregate"),
            rewardRoot: rewards(&cohort, &voters),
        };
        let signed = self.stage.signed(&settlement, &seats);
        let settled = ledger.settle(&self.stage.nodes[0], &settlement, &roots, &signed).await.unwrap();
        self.gas = [opened.receipt.gas_used, certified.gas_used, settled.gas_used];
        self.cohorts.insert(round, cohort);
        round
    }

    pub(crate) async fn books(&self) -> Books {
        self.ledger().books(STUDY).await.unwrap()
    }

    /// Pays what is owed in a period, by a stranger. Yields how much that was.
    async fn pay(&self, period: u32) -> U256 {
        let books = self.books().await;
        let owed = books.owed(&self.cohorts, period, self.now).await.unwrap();
        let claims = books.claims(&owed, &self.cohorts, period).unwrap();
        self.ledger().claim(&wallet(9), &claims).await.unwrap();
        owed.iter().map(|credit| credit.amount).sum()
    }

    async fn coins(&self, account: Address) -> U256 {
        self.ledger().coins(self.currency, account).await.unwrap()
    }

    async fn lied_to(&self, lie: Lie) -> Error {
        let ledger = Ledger::new(Liar::provider(self.world.sequencer(), lie), *self.ledger().addresses()).await.unwrap();
        match ledger.books(STUDY).await {
            Ok(books) => books.owed(&self.cohorts, 0, self.now).await.unwrap_err(),
            Err(error) => error,
        }
    }
}

#[tokio::test]
async fn rounds_are_paid_by_a_stranger_to_the_last_coin_on_record_and_off_it() {
    let mut till = Till::set(World::embedded()).await;
    let sponsor = till.stage.sponsor.clone();
    till.ledger().fund(&sponsor, STUDY, U256::from(2_000)).await.unwrap();
    till.ledger().fund_with_permit(&sponsor, STUDY, till.currency, U256::from(3_500)).await.unwrap();
    assert_eq!((till.books().await.totals().free, till.coins(sponsor.address()).await), (U256::from(5_500), U256::from(94_500)));

    till.play(3).await;
    let books = till.books().await;
    // 100 of 1,000 for four voters, 900 for three sites.
    let round = &books.rounds()[0];
    assert_eq!((round.per_site, round.per_node), (U256::from(300), U256::from(25)));
    assert!(books.owed(&till.cohorts, 0, till.now).await.unwrap().is_empty(), "it may still be challenged");
    till.pass(WINDOW).await;
    assert_eq!(till.pay(0).await, U256::from(1_000));
    assert_eq!(till.coins(till.stage.sites[0]).await, U256::from(300));
    assert_eq!(till.coins(till.stage.nodes[1].address()).await, U256::ZERO, "who does not vote earns nothing");
    assert!(till.books().await.owed(&till.cohorts, 0, till.now).await.unwrap().is_empty());

    // Two rounds pay later, with other rewards for the second; by then the first two are off the record.
    for _ in 0..3 {
        till.play(2).await;
        till.ledger().set_rewards(&sponsor, STUDY, U256::from(1_001), 3_333).await.unwrap();
        till.pass(WINDOW).await;
    }
    till.ledger().withdraw_funds(&sponsor, STUDY, U256::from(400), wallet(8).address()).await.unwrap();
    let books = till.books().await;
    let by_then: Vec<u64> = books.rounds().iter().map(|round| round.pays_from).collect();
    assert_eq!((by_then[0], by_then[1], by_then[2] > 0), (0, 0, true), "{by_then:?}");
    // 1,000 pays 2 x 450 + 4 x 25; 1,001 at 33.33% pays 2 x 334 + 4 x 83, one left over.
    assert_eq!(till.pay(0).await, U256::from(1_000 + 2 * 1_000));
    let totals = *till.books().await.totals();
    assert_eq!((totals.claimed, totals.withdrawn, totals.unclaimed), (U256::from(4_000), U256::from(400), U256::from(2)));
    assert_eq!(totals.funded + totals.revenue, totals.withdrawn + totals.claimed + totals.claimed_revenue + totals.held());
    assert_eq!(totals.held(), totals.balance);
}

#[tokio::test]
async fn licence_revenue_is_shared_among_all_who_took_part() {
    let mut till = Till::set(World::embedded()).await;
    let (sponsor, buyer) = (till.stage.sponsor.clone(), wallet(9));
    till.ledger().fund(&sponsor, STUDY, U256::from(1_000)).await.unwrap();
    till.play(3).await;
    till.pass(WINDOW).await;
    till.ledger().set_offer(&sponsor, STUDY, Offer { price: U256::from(500), royalty: 100 }).await.unwrap();
    till.ledger().mint_trial_coins(&buyer, till.currency, buyer.address(), U256::from(1_000)).await.unwrap();
    assert!(!till.ledger().may_download(STUDY, buyer.address()).await.unwrap());
    let refused = till.ledger().buy_licences(&buyer, STUDY, 1, U256::from(499), buyer.address()).await.unwrap_err();
    assert!(refused.revert().is_some_and(|revert| revert.is("PriceRisen")), "{refused}");
    till.ledger().buy_licences(&buyer, STUDY, 2, U256::from(500), buyer.address()).await.unwrap();
    assert!(till.ledger().may_download(STUDY, buyer.address()).await.unwrap());
    assert_eq!(till.ledger().licences_of(STUDY, buyer.address()).await.unwrap(), U256::from(2));

    let period = till.ledger().close_period(&buyer, STUDY).await.unwrap().output;
    assert_eq!(till.pay(period).await, U256::from(1_000));
    let totals = *till.books().await.totals();
    assert_eq!((totals.revenue, totals.claimed_revenue, totals.claimed), (U256::from(1_000), U256::from(1_000), U256::ZERO));
    assert!(till.books().await.owed(&till.cohorts, period, till.now).await.unwrap().is_empty());
    let bought = |money: &Money| matches!(money, Money::LicencesBought { quantity: 2, .. });
    assert!(till.books().await.events().any(|(_, money)| bought(money)));
}

#[tokio::test]
async fn what_was_claimed_in_part_is_asked_from_the_contract() {
    let mut till = Till::set(World::embedded()).await;
    till.ledger().fund(&till.stage.sponsor, STUDY, U256::from(2_000)).await.unwrap();
    till.play(3).await;
    let second = till.play(3).await;
    till.pass(WINDOW).await;
    let books = till.books().await;
    let owed = books.owed(&till.cohorts, 0, till.now).await.unwrap();
    let newer: Vec<_> = owed.iter().filter(|credit| credit.round == second).copied().collect();
    let claims = books.claims(&newer, &till.cohorts, 0).unwrap();
    till.ledger().claim(&wallet(9), &claims).await.unwrap();
    let rest = till.books().await.owed(&till.cohorts, 0, till.now).await.unwrap();
    assert!(rest.len() == newer.len() && rest.iter().all(|credit| credit.round != second), "{rest:?}");
    let again = till.ledger().claim(&wallet(9), &claims).await.unwrap_err();
    assert!(again.revert().is_some_and(|revert| revert.is("NothingOwed")), "{again}");

    // A batch that was made before: what was paid since is passed over, the rest is paid, and nothing twice.
    let stale = books.claims(&owed, &till.cohorts, 0).unwrap();
    let receipt = till.ledger().claim(&wallet(8), &stale).await.unwrap();
    let paid = receipt.events.iter().filter_map(|event| match event.event {
        Event::Money(Money::Claimed { amount, .. }) => Some(amount),
        _ => None,
    });
    assert_eq!(paid.sum::<U256>(), rest.iter().map(|credit| credit.amount).sum::<U256>());
    let after = till.books().await;
    assert_eq!(after.totals().claimed, owed.iter().map(|credit| credit.amount).sum::<U256>());
    assert!(after.owed(&till.cohorts, 0, till.now).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_set_that_was_not_settled_is_no_ground_for_claims() {
    let mut till = Till::set(World::embedded()).await;
    till.ledger().fund(&till.stage.sponsor, STUDY, U256::from(2_000)).await.unwrap();
    let round = till.play(3).await;
    till.play(2).await;
    till.cohorts.insert(round, till.cohorts[&(round + 1)].clone());
    till.pass(WINDOW).await;
    let error = till.books().await.owed(&till.cohorts, 0, till.now).await.unwrap_err().to_string();
    assert!(error.contains("not the one that was settled"), "{error}");
}

#[tokio::test]
async fn a_round_whose_rewards_are_nobodys_does_not_keep_the_others_from_being_paid() {
    let mut till = Till::set(World::embedded()).await;
    till.ledger().fund(&till.stage.sponsor, STUDY, U256::from(2_000)).await.unwrap();
    let wrong = till.play_for(3, |_, _| root("whoever we like")).await;
    till.play(3).await;
    till.pass(WINDOW).await;
    let books = till.books().await;
    assert!(books.owed(&till.cohorts, 0, till.now).await.is_err(), "all sets together are refused");
    let (good, passed_over) = books.creditable(till.cohorts.clone());
    assert_eq!(passed_over, [wrong]);
    let owed = books.owed(&good, 0, till.now).await.unwrap();
    let paid = books.pay(&wallet(9), &good, owed, 0, till.now).await.unwrap();
    assert_eq!(paid.total(), U256::from(1_000));
}

#[tokio::test]
async fn what_somebody_else_pays_meanwhile_does_not_stop_the_rest() {
    let mut till = Till::set(World::embedded()).await;
    till.ledger().fund(&till.stage.sponsor, STUDY, U256::from(1_000)).await.unwrap();
    till.play(3).await;
    till.pass(WINDOW).await;
    let books = till.books().await;
    let owed = books.owed(&till.cohorts, 0, till.now).await.unwrap();
    let faster = books.claims(&owed[..2], &till.cohorts, 0).unwrap();
    let taken: U256 = owed[..2].iter().map(|credit| credit.amount).sum();
    till.ledger().claim(&wallet(8), &faster).await.unwrap();
    let paid = books.pay(&wallet(9), &till.cohorts, owed, 0, till.now).await.unwrap();
    assert_eq!(paid.total(), U256::from(1_000) - taken);
    assert_eq!(till.books().await.totals().claimed, U256::from(1_000));
}

#[tokio::test]
async fn a_claim_that_an_endpoint_leaves_out_shows_although_another_study_holds_the_same_coin() {
    let mut till = Till::set(World::embedded()).await;
    let sponsor = till.stage.sponsor.clone();
    till.ledger().fund(&sponsor, STUDY, U256::from(2_000)).await.unwrap();
    till.play(3).await;
    till.pass(WINDOW).await;
    till.pay(0).await;
    let other =
        till.ledger().create_study(&sponsor, &Till::new_study(&till.stage, &till.committee, till.currency)).await.unwrap().output;
    till.ledger().fund(&sponsor, other, U256::from(50_000)).await.unwrap();
    let totals = *till.books().await.totals();
    assert_eq!((totals.held_by_all, totals.balance), (Some(U256::from(51_000)), U256::from(51_000)));
    let treasury = till.ledger().addresses().treasury;
    let at = till.ledger().head().await.unwrap().number;
    let moved = till.ledger().moved(till.currency, treasury, at).await.unwrap().unwrap();
    assert_eq!((moved.into, moved.out), (U256::from(52_000), U256::from(1_000)), "the coin says the same");
    let claimed_is_left_out: Lie = |method, answer| {
        if let (true, Some(logs)) = (method == "eth_getLogs", answer.as_array_mut()) {
            logs.retain(|log| log["data"].as_str().is_none_or(|data| data.len() != 2 + 2 * 64 || !data.ends_with("12c")));
        }
    };
    let error = till.lied_to(claimed_is_left_out).await;
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
}

#[tokio::test]
async fn books_from_an_endpoint_that_lies_about_money_are_refused() {
    let mut till = Till::set(World::embedded()).await;
    till.ledger().fund(&till.stage.sponsor, STUDY, U256::from(2_000)).await.unwrap();
    till.play(3).await;
    till.pass(WINDOW).await;
    till.pay(0).await;
    let lies: [Lie; 3] = [
        // Funded is left out.
        |method, answer| {
            if let (true, Some(logs)) = (method == "eth_getLogs", answer.as_array_mut()) {
                logs.retain(|log| log["data"] != format!("0x{:064x}", 2_000));
            }
        },
        // Claimed is left out: the study would hold what it has paid.
        |method, answer| {
            if let (true, Some(logs)) = (method == "eth_getLogs", answer.as_array_mut()) {
                logs.retain(|log| log["data"].as_str().is_none_or(|data| data.len() != 2 + 2 * 64 || !data.ends_with("12c")));
            }
        },
        // More was given than was.
        |method, answer| {
            for log in answer.as_array_mut().into_iter().flatten().filter(|_| method == "eth_getLogs") {
                if log["data"] == format!("0x{:064x}", 2_000) {
                    log["data"] = format!("0x{:064x}", 3_000).into();
                }
            }
        },
    ];
    for lie in lies {
        let error = till.lied_to(lie).await;
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
    }
    let poor = till.ledger().fund(&wallet(9), STUDY, ether(1)).await.unwrap_err().to_string();
    assert!(poor.contains("88 bits") || poor.contains("of the currency"), "{poor}");
    let without = till.ledger().fund(&till.stage.sponsor, 1, U256::from(1)).await.unwrap_err().to_string();
    assert!(without.contains("has no currency"), "{without}");
}
