//! A study's money: funded, paid by the formula, claimed by a stranger, on record and off it, and told by liars.

use crate::scenario::{Stage, root};
use crate::worlds::{Liar, Lie, START, World, ether, wallet};
use alloy_primitives::{Address, B256, U256};
use consilium_core::accusation::{Accusation, Charge, SignedContribution};
use consilium_core::certify::{Cohort, SetMember};
use consilium_core::eip712::{Settlement, Vote};
use consilium_core::params::{Committee, Finality};
use consilium_core::program::{AnyProgram, WeightedMean};
use consilium_core::settle::{reward_root, share_roots_hash};
use consilium_ledger::{Books, Cohorts, Conditions, Credit, Error, Event, Ledger, Money, NewStudy, Offer, Unpaid, Wallet};

pub(crate) const STUDY: u64 = 2;
pub(crate) const WINDOW: u64 = 50;
const BUDGET: u64 = 1_000;

fn total(credits: &[Credit]) -> U256 {
    credits.iter().map(Credit::amount).sum()
}

fn is_of(credit: &Credit, round: u64) -> bool {
    credit.leaf.is_some_and(|leaf| leaf.round == round)
}

/// A study with a currency, rounds that leave the record after two, and what its nodes would serve.
pub(crate) struct Till {
    world: World,
    pub(crate) stage: Stage,
    pub(crate) study: u64,
    committee: Committee,
    pub(crate) currency: Address,
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
        stage.sites = (50..53).map(|number| wallet(number).address()).collect();
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
            sites_uri: String::new(),
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
        self.play_for(sites, reward_root, &[]).await
    }

    /// The same with rewards as the voters please, and votes that come after the certificate.
    async fn play_for(&mut self, sites: usize, rewards: fn(&Cohort, &[Address]) -> B256, late: &[usize]) -> u64 {
        let (ledger, sponsor) = (self.stage.ledger.clone(), self.stage.sponsor.clone());
        let subject = root(&format!("model {}", self.cohorts.len()));
        let opened = ledger.open_round(&sponsor, self.study, subject, self.now + 10, self.now + 20).await.unwrap();
        let round = opened.output;
        let member = |site: &Address| SetMember { site: *site, digest: root("an update") };
        let mut members: Vec<SetMember> = self.stage.sites.iter().take(sites).map(member).collect();
        members.sort_by_key(|member| member.site);
        let cohort = Cohort::new(members).unwrap();
        let vote = Vote { study: self.study, round, setRoot: cohort.root(), size: cohort.size() };
        let nodes = 1..=self.committee.n();
        let seats: Vec<usize> = nodes.clone().filter(|&seat| seat != 2).take(self.committee.quorum()).collect();
        let certified = ledger.certify(&self.stage.nodes[0], &vote, &self.stage.signed(&vote, &seats)).await.unwrap();
        if !late.is_empty() {
            ledger.add_votes(&wallet(8), self.study, round, &self.stage.signed(&vote, late)).await.unwrap();
        }
        let voters: Vec<Address> = seats.iter().map(|seat| self.stage.nodes[seat - 1].address()).collect();
        let roots: Vec<_> = nodes.map(|node| root(&format!("share {node} of round {round}"))).collect();
        let settlement = Settlement {
            study: self.study,
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
        self.ledger().books(self.study).await.unwrap()
    }

    /// Pays what is owed, by a stranger. Yields how much that was, by the books and by the treasury's events.
    async fn pay(&self) -> U256 {
        let books = self.books().await;
        let owed = books.owed(&self.cohorts, self.now).await.unwrap();
        let paid = books.pay(&wallet(9), &self.cohorts, owed.clone(), self.now).await.unwrap();
        assert_eq!(paid.total(), total(&owed));
        paid.total()
    }

    /// Offers licences and sells one.
    pub(crate) async fn sell_first(&self) {
        let (buyer, price) = (wallet(7), U256::from(500));
        self.ledger().set_offer(&self.stage.sponsor, STUDY, Offer { price, royalty: 0 }).await.unwrap();
        self.ledger().mint_trial_coins(&buyer, self.currency, buyer.address(), price).await.unwrap();
        self.sell(&buyer, 1).await;
    }

    async fn sell(&self, buyer: &Wallet, quantity: u32) {
        self.ledger().buy_licences(buyer, STUDY, quantity, U256::from(500), buyer.address()).await.unwrap();
    }

    async fn owed(&self) -> Vec<Credit> {
        self.books().await.owed(&self.cohorts, self.now).await.unwrap()
    }

    async fn coins(&self, account: Address) -> U256 {
        self.ledger().coins(self.currency, account).await.unwrap()
    }

    async fn lied_to(&self, lie: Lie) -> Error {
        let ledger = Ledger::new(Liar::provider(self.world.sequencer(), lie), *self.ledger().addresses()).await.unwrap();
        match ledger.books(STUDY).await {
            Ok(books) => books.owed(&self.cohorts, self.now).await.unwrap_err(),
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
    assert!(books.owed(&till.cohorts, till.now).await.unwrap().is_empty(), "it may still be challenged");
    till.pass(WINDOW).await;
    assert_eq!(till.pay().await, U256::from(1_000));
    assert_eq!(till.coins(till.stage.sites[0]).await, U256::from(300));
    assert_eq!(till.coins(till.stage.nodes[1].address()).await, U256::ZERO, "who does not vote earns nothing");
    assert!(till.books().await.owed(&till.cohorts, till.now).await.unwrap().is_empty());

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
    assert_eq!(till.pay().await, U256::from(1_000 + 2 * 1_000));
    let totals = *till.books().await.totals();
    // What rounding left of the last round but one is free again.
    assert_eq!((totals.claimed, totals.withdrawn, totals.unclaimed), (U256::from(4_000), U256::from(400), U256::from(1)));
    assert_eq!(totals.free, U256::from(5_500 - 2_000 - 2_002 + 1 - 400));
    assert_eq!(totals.funded + totals.revenue, totals.withdrawn + totals.claimed + totals.held());
    assert_eq!(totals.held(), totals.balance);
}

#[tokio::test]
async fn licence_revenue_is_shared_among_all_who_took_part() {
    let mut till = Till::set(World::embedded()).await;
    let (sponsor, buyer) = (till.stage.sponsor.clone(), wallet(7));
    till.ledger().fund(&sponsor, STUDY, U256::from(1_000)).await.unwrap();
    till.play(3).await;
    till.pass(WINDOW).await;
    assert_eq!(till.pay().await, U256::from(1_000));
    till.ledger().set_offer(&sponsor, STUDY, Offer { price: U256::from(500), royalty: 100 }).await.unwrap();
    till.ledger().mint_trial_coins(&buyer, till.currency, buyer.address(), U256::from(2_000)).await.unwrap();
    assert!(!till.ledger().may_download(STUDY, buyer.address()).await.unwrap());
    let refused = till.ledger().buy_licences(&buyer, STUDY, 1, U256::from(499), buyer.address()).await.unwrap_err();
    assert!(refused.revert().is_some_and(|revert| revert.is("PriceRisen")), "{refused}");
    till.ledger().buy_licences(&buyer, STUDY, 2, U256::from(500), buyer.address()).await.unwrap();
    assert!(till.ledger().may_download(STUDY, buyer.address()).await.unwrap());
    assert_eq!(till.ledger().licences_of(STUDY, buyer.address()).await.unwrap(), U256::from(2));

    // 300 to each of three sites and 25 to each of four voters, less what is behind the point.
    assert_eq!(till.pay().await, U256::from(3 * 299 + 4 * 24));
    let totals = *till.books().await.totals();
    assert_eq!((totals.revenue, totals.claimed), (U256::from(1_000), U256::from(1_993)));
    assert!(till.owed().await.is_empty());
    let bought = |money: &Money| matches!(money, Money::LicencesBought { quantity: 2, .. });
    assert!(till.books().await.events().any(|(_, money)| bought(money)));

    // Leaves that were shown need not be shown again, and what was behind the point comes with the next sale.
    till.sell(&buyer, 2).await;
    let owed = till.owed().await;
    assert!(owed.len() == 7 && owed.iter().all(|credit| credit.leaf.is_none() && credit.pay.is_zero()), "{owed:?}");
    let site = till.stage.sites[0];
    assert_eq!(till.ledger().revenue_of(STUDY, site).await.unwrap(), U256::from(300));
    assert_eq!(till.pay().await, U256::from(1_000));
}

/// What one account has claimed.
async fn claimed(till: &Till, account: Address) -> U256 {
    till.books().await.claimed_by(account)
}

#[tokio::test]
async fn revenue_is_of_the_rounds_settled_before_the_sale_and_late_voters_share_it_off_the_record_too() {
    let mut till = Till::set(World::embedded()).await;
    let (sponsor, buyer, late) = (till.stage.sponsor.clone(), wallet(7), till.stage.nodes[1].address());
    till.ledger().fund(&sponsor, STUDY, U256::from(4_000)).await.unwrap();
    till.ledger().set_offer(&sponsor, STUDY, Offer { price: U256::from(500), royalty: 100 }).await.unwrap();
    till.ledger().mint_trial_coins(&buyer, till.currency, buyer.address(), U256::from(10_000)).await.unwrap();
    // Before the first round, a sale is the sponsor's.
    till.sell(&buyer, 2).await;
    assert_eq!(till.books().await.totals().free, U256::from(5_000));

    // 100 of 1,000 for five voters, one of them late.
    let first = till.play_for(3, reward_root, &[2]).await;
    till.pass(WINDOW).await;
    let books = till.books().await;
    let round = books.round(first).unwrap();
    assert_eq!((round.late.clone(), round.per_node, round.period), (vec![(2, late)], U256::from(20), 0));
    assert_eq!(books.pay_by_contract(round).await.unwrap(), (round.per_site, round.per_node));
    assert_eq!(till.pay().await, U256::from(1_000));
    assert_eq!(till.coins(late).await, U256::from(20));

    till.sell(&buyer, 4).await;
    // Of 2,000 a tenth is the nodes'; what was paid before the sale is shown again.
    let owed = till.owed().await;
    assert!(owed.len() == 8 && owed.iter().all(|credit| is_of(credit, first) && credit.pay.is_zero()), "{owed:?}");
    let second = till.play_for(2, reward_root, &[2]).await;
    till.pass(WINDOW).await;
    till.sell(&buyer, 5).await;
    for _ in 0..2 {
        till.play(3).await;
        till.pass(WINDOW).await;
    }
    let books = till.books().await;
    let [one, two] = [first, second].map(|round| books.round(round).unwrap().clone());
    assert_eq!((one.pays_from, two.pays_from, one.period, two.period, books.periods()), (0, 0, 0, 1, 2));
    assert_eq!(books.pay_by_contract(&two).await.unwrap(), (U256::from(450), U256::from(20)));
    let before = claimed(&till, late).await;
    till.pay().await;
    // The first round has all of the first 2,000, and three fifths of the next 2,500 for its three sites; of each a tenth is
    // shared by five voters. It voted late in both rounds.
    let revenue = 2_000 / 10 / 5 + 1_500 / 10 / 5 + 1_000 / 10 / 5;
    let got = claimed(&till, late).await - before - two.per_node;
    assert!(got == U256::from(revenue) || got + U256::from(1) == U256::from(revenue), "{got} of {revenue}");
    let totals = *till.books().await.totals();
    assert_eq!(totals.funded + totals.revenue, totals.withdrawn + totals.claimed + totals.held());
    assert!(totals.held() == totals.balance && totals.unclaimed < U256::from(20), "{totals:?}");
    assert!(till.owed().await.is_empty());
}

/// A coin that runs the code of another one on its own storage, but pays nothing to one account.
fn refusing(code: Address, refused: Address) -> Vec<u8> {
    let word = |address: Address| address.into_word().0;
    let runtime = [
        // calldatacopy(0, 0, calldatasize())
        &[0x36, 0x5f, 0x5f, 0x37][..],
        // (calldataload(0) >> 224 == transfer) && calldataload(4) == refused
        &[0x5f, 0x35, 0x60, 0xe0, 0x1c, 0x63, 0xa9, 0x05, 0x9c, 0xbb, 0x14, 0x60, 0x04, 0x35, 0x7f],
        &word(refused),
        // if so, revert(0, 0)
        &[0x14, 0x16, 0x60, 0x7a, 0x57],
        // delegatecall(gas(), code, 0, calldatasize(), 0, 0)
        &[0x5f, 0x5f, 0x36, 0x5f, 0x7f],
        &word(code),
        &[0x5a, 0xf4],
        // returndatacopy(0, 0, returndatasize()); return or revert
        &[0x3d, 0x5f, 0x5f, 0x3e, 0x60, 0x74, 0x57, 0x3d, 0x5f, 0xfd],
        &[0x5b, 0x3d, 0x5f, 0xf3],
    ]
    .concat();
    let ok = runtime.len() - 4;
    let mut runtime = [&runtime[..], &[0x5b, 0x5f, 0x5f, 0xfd]].concat();
    let refuse = runtime.len() - 4;
    let place = |code: &mut [u8], marker: u8, at: usize| {
        let found = code.windows(3).position(|bytes| bytes == [0x60, marker, 0x57]).unwrap();
        code[found + 1] = at as u8;
    };
    place(&mut runtime, 0x7a, refuse);
    place(&mut runtime, 0x74, ok);
    // PUSH1 length, DUP1, PUSH1 10, PUSH0, CODECOPY, PUSH0, RETURN
    [&[0x60, runtime.len() as u8, 0x80, 0x60, 0x09, 0x5f, 0x39, 0x5f, 0xf3][..], &runtime].concat()
}

#[tokio::test]
async fn what_the_currency_refuses_to_one_account_waits_and_keeps_nobody_else_from_theirs() {
    let mut till = Till::set(World::embedded()).await;
    let (sponsor, node) = (till.stage.sponsor.clone(), till.stage.nodes[0].clone());
    let code = refusing(till.currency, node.address());
    let ledger = till.ledger().clone();
    let currency = till.world.create(10, code).await;
    let new = Till::new_study(&till.stage, &till.committee, currency);
    let study = ledger.create_study(&sponsor, &new).await.unwrap().output;
    assert_eq!(study, STUDY + 1);
    till.study = study;
    ledger.mint_trial_coins(&sponsor, currency, sponsor.address(), U256::from(10_000)).await.unwrap();
    ledger.fund(&sponsor, study, U256::from(1_000)).await.unwrap();
    till.play(3).await;
    till.pass(WINDOW).await;
    let books = till.books().await;
    let owed = books.owed(&till.cohorts, till.now).await.unwrap();
    let paid = books.pay(&wallet(9), &till.cohorts, owed, till.now).await.unwrap();
    assert_eq!((paid.total(), paid.refused()), (U256::from(1_000), [(node.address(), U256::from(25))].into()));
    let totals = *till.books().await.totals();
    assert_eq!((totals.claimed, totals.waiting, totals.held()), (U256::from(1_000), U256::from(25), U256::from(25)));
    assert_eq!((totals.balance, totals.held_by_all), (U256::from(25), Some(U256::from(25))));
    assert!(till.owed().await.is_empty(), "it is not owed by the round any more");
    let again = ledger.pay_unpaid(&wallet(9), study, node.address()).await.unwrap_err();
    assert!(again.revert().is_some(), "{again}");

    ledger.set_payee(&node, study, wallet(8).address()).await.unwrap();
    assert_eq!(ledger.payee(study, node.address()).await.unwrap(), wallet(8).address());
    ledger.pay_unpaid(&wallet(9), study, node.address()).await.unwrap();
    assert_eq!(ledger.coins(currency, wallet(8).address()).await.unwrap(), U256::from(25));
    assert_eq!(ledger.unpaid(study, node.address()).await.unwrap(), Unpaid::default());
    assert_eq!((till.books().await.totals().waiting, till.books().await.totals().held()), (U256::ZERO, U256::ZERO));
}

/// Two contributions of one site to a round.
pub(crate) fn two_contributions(till: &Till, site: u8, round: u64) -> Accusation {
    let (key, domain) = (wallet(site), till.ledger().domain());
    let said = |digest: &str| {
        let mut said =
            SignedContribution { digest: root(digest), boxes: root("boxes"), signature: key.key().unwrap().sign(&B256::ZERO) };
        said.signature = domain.sign(key.key().unwrap(), &said.statement(STUDY, round, key.address()));
        said
    };
    let statements = Box::new([said("one"), said("two")]);
    Accusation { study: STUDY, round, charge: Charge::TwoContributions { site: key.address(), statements } }
}

#[tokio::test]
async fn what_a_struck_site_loses_is_free_again() {
    let mut till = Till::set(World::embedded()).await;
    let (sponsor, buyer, liar) = (till.stage.sponsor.clone(), wallet(7), wallet(51).address());
    till.ledger().fund(&sponsor, STUDY, U256::from(1_000)).await.unwrap();
    let round = till.play(3).await;
    till.ledger().accuse(&wallet(8), &two_contributions(&till, 51, round)).await.unwrap();
    till.pass(WINDOW).await;
    till.ledger().set_offer(&sponsor, STUDY, Offer { price: U256::from(500), royalty: 0 }).await.unwrap();
    till.ledger().mint_trial_coins(&buyer, till.currency, buyer.address(), U256::from(2_000)).await.unwrap();
    till.sell(&buyer, 4).await;
    let owed = till.owed().await;
    assert!(owed.len() == 6 && owed.iter().all(|credit| credit.account != liar), "{owed:?}");
    // 700 of the round, and 600 to each of two sites and 50 to each of four voters, less what is behind the point.
    assert_eq!(till.pay().await, U256::from(700 + 2 * 599 + 4 * 49));

    let books = till.books().await;
    let lost = books.forfeited(&till.cohorts, till.now).unwrap();
    assert!(lost.len() == 1 && lost[0].account == liar && lost[0].pay == U256::from(300), "{lost:?}");
    let forfeits = books.claims(&lost, &till.cohorts).unwrap();
    till.ledger().return_forfeits(&wallet(9), STUDY, &forfeits).await.unwrap();
    let totals = *till.books().await.totals();
    assert_eq!(totals.free, U256::from(300 + 599));
    assert_eq!(totals.funded + totals.revenue, totals.withdrawn + totals.claimed + totals.held());
    assert!(till.owed().await.is_empty());
    let again = till.ledger().return_forfeits(&wallet(9), STUDY, &forfeits).await.unwrap_err();
    assert!(again.revert().is_some_and(|revert| revert.is("NothingOwed")), "{again}");
}

#[tokio::test]
async fn what_nobody_claims_in_years_goes_to_the_sink_after_a_quarters_notice() {
    let mut till = Till::set(World::embedded()).await;
    let sponsor = till.stage.sponsor.clone();
    till.ledger().fund(&sponsor, STUDY, U256::from(1_000)).await.unwrap();
    till.play(3).await;
    till.pass(WINDOW).await;
    let books = till.books().await;
    let owed = books.owed(&till.cohorts, till.now).await.unwrap();
    let (claimed, forgotten) = (books.claims(&owed[..1], &till.cohorts).unwrap(), books.claims(&owed, &till.cohorts).unwrap());
    till.ledger().claim(&wallet(9), &claimed).await.unwrap();
    let early = till.ledger().announce_escheat(&wallet(9), &forgotten).await.unwrap_err();
    assert!(early.revert().is_some_and(|revert| revert.is("EscheatTooEarly")), "{early}");
    till.pass(till.ledger().escheat_time().await.unwrap()).await;
    let early = till.ledger().escheat(&wallet(9), &forgotten).await.unwrap_err();
    assert!(early.revert().is_some_and(|revert| revert.is("EscheatTooEarly")), "{early}");
    till.ledger().announce_escheat(&wallet(9), &forgotten).await.unwrap();
    till.pass(91 * 24 * 3600).await;
    till.ledger().escheat(&wallet(9), &forgotten).await.unwrap();
    let totals = *till.books().await.totals();
    let lost = U256::from(1_000) - owed[0].amount();
    assert_eq!((totals.claimed, totals.escheated, totals.held()), (owed[0].amount(), lost, U256::ZERO));
    assert!(till.owed().await.is_empty());
}

#[tokio::test]
async fn what_was_claimed_in_part_is_asked_from_the_contract() {
    let mut till = Till::set(World::embedded()).await;
    till.ledger().fund(&till.stage.sponsor, STUDY, U256::from(2_000)).await.unwrap();
    till.play(3).await;
    let second = till.play(3).await;
    till.pass(WINDOW).await;
    let books = till.books().await;
    let owed = books.owed(&till.cohorts, till.now).await.unwrap();
    let newer: Vec<_> = owed.iter().filter(|credit| is_of(credit, second)).copied().collect();
    let claims = books.claims(&newer, &till.cohorts).unwrap();
    till.ledger().claim(&wallet(9), &claims).await.unwrap();
    let rest = till.books().await.owed(&till.cohorts, till.now).await.unwrap();
    assert!(rest.len() == newer.len() && rest.iter().all(|credit| !is_of(credit, second)), "{rest:?}");
    let again = till.ledger().claim(&wallet(9), &claims).await.unwrap_err();
    assert!(again.revert().is_some_and(|revert| revert.is("NothingOwed")), "{again}");

    // A batch that was made before: what was paid since is passed over, the rest is paid, and nothing twice.
    let stale = books.claims(&owed, &till.cohorts).unwrap();
    let receipt = till.ledger().claim(&wallet(8), &stale).await.unwrap();
    let paid = receipt.events.iter().filter_map(|event| match event.event {
        Event::Money(Money::Claimed { amount, .. }) => Some(amount),
        _ => None,
    });
    assert_eq!(paid.sum::<U256>(), total(&rest));
    let after = till.books().await;
    assert_eq!(after.totals().claimed, total(&owed));
    assert!(after.owed(&till.cohorts, till.now).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_set_that_was_not_settled_is_no_ground_for_claims() {
    let mut till = Till::set(World::embedded()).await;
    till.ledger().fund(&till.stage.sponsor, STUDY, U256::from(2_000)).await.unwrap();
    let round = till.play(3).await;
    till.play(2).await;
    till.cohorts.insert(round, till.cohorts[&(round + 1)].clone());
    till.pass(WINDOW).await;
    let error = till.books().await.owed(&till.cohorts, till.now).await.unwrap_err().to_string();
    assert!(error.contains("not the one that was settled"), "{error}");
}

#[tokio::test]
async fn a_round_whose_rewards_are_nobodys_does_not_keep_the_others_from_being_paid() {
    let mut till = Till::set(World::embedded()).await;
    till.ledger().fund(&till.stage.sponsor, STUDY, U256::from(2_000)).await.unwrap();
    let wrong = till.play_for(3, |_, _| root("whoever we like"), &[]).await;
    till.play(3).await;
    till.pass(WINDOW).await;
    let books = till.books().await;
    assert!(books.owed(&till.cohorts, till.now).await.is_err(), "all sets together are refused");
    let (good, passed_over) = books.creditable(till.cohorts.clone());
    assert_eq!(passed_over, [wrong]);
    let owed = books.owed(&good, till.now).await.unwrap();
    let paid = books.pay(&wallet(9), &good, owed, till.now).await.unwrap();
    assert_eq!(paid.total(), U256::from(1_000));
}

#[tokio::test]
async fn what_somebody_else_pays_meanwhile_does_not_stop_the_rest() {
    let mut till = Till::set(World::embedded()).await;
    till.ledger().fund(&till.stage.sponsor, STUDY, U256::from(1_000)).await.unwrap();
    till.play(3).await;
    till.pass(WINDOW).await;
    let books = till.books().await;
    let owed = books.owed(&till.cohorts, till.now).await.unwrap();
    let faster = books.claims(&owed[..2], &till.cohorts).unwrap();
    let taken = total(&owed[..2]);
    till.ledger().claim(&wallet(8), &faster).await.unwrap();
    let paid = books.pay(&wallet(9), &till.cohorts, owed, till.now).await.unwrap();
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
    till.pay().await;
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
            logs.retain(|log| log["data"].as_str().is_none_or(|data| data.len() != 2 + 64 || !data.ends_with("12c")));
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
    till.pay().await;
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
                logs.retain(|log| log["data"].as_str().is_none_or(|data| data.len() != 2 + 64 || !data.ends_with("12c")));
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
