//! Who was paid, and by whose right.

use crate::watching::{framed, made_up, watchman};
use crate::world::{BUDGET, Played, Script, World};
use alloy_primitives::aliases::U80;
use alloy_primitives::{Address, B256, U256};
use consilium_audit::{Check, Report, Status, Verdict};
use consilium_core::certify::{Cohort, SetMember};
use consilium_core::eip712::SecretKey;
use consilium_core::field::to_bytes;
use consilium_core::settle::{reward_paths, reward_root};
use consilium_ledger::contracts::ITreasury;
use consilium_ledger::{Cohorts, State};

/// A challenge window, and a little more.
const WINDOW: u64 = 3_700;

fn line(report: &Report, status: Status, check: Check) -> String {
    let found = report.with(status).find(|line| line.check == check);
    found.unwrap_or_else(|| panic!("no {status:?} of {check:?}\n{report}")).reason.clone()
}

#[tokio::test]
async fn what_was_funded_paid_and_claimed_is_in_the_report() {
    let (mut world, first) = World::settled().await;
    world.pass(WINDOW);
    let second = world.play(1, "model 2", &Script::default()).await;
    let report = world.auditor().audit_public(1).await;
    assert_eq!(report.verdict, Verdict::Pass, "{report}");
    // 900 for three sites, 100 for four voters.
    assert!(line(&report, Status::Pass, Check::Pay).contains("300 to each of 3 sites and 25 to each of 4 voters"), "{report}");
    assert!(line(&report, Status::Pass, Check::Claims).contains("0 were paid of rounds and licences, 1000 can be claimed"));
    assert!(report.to_string().contains("unless it is proved fraudulent"), "round 2 can still be challenged\n{report}");

    world.pass(WINDOW);
    let books = world.ledger.books(1).await.unwrap();
    let cohorts: Cohorts = [first, second].iter().map(|p| (p.terms.round, Cohort::new(p.members.clone()).unwrap())).collect();
    let owed = books.owed(&cohorts, books.read_at()).await.unwrap();
    world.ledger.claim(&world.sponsor, &books.claims(&owed, &cohorts).unwrap()).await.unwrap();
    let report = world.auditor().audit_public(1).await;
    assert_eq!(report.verdict, Verdict::Pass, "{report}");
    assert!(line(&report, Status::Pass, Check::Claims).contains("2000 were paid of rounds"), "{report}");
    let money = line(&report, Status::Pass, Check::Money);
    let funded = 10 * BUDGET;
    assert!(money.contains(&format!("{funded} funded + 0 from licences")) && money.contains("2000 claimed"), "{money}");
}

/// Three who are in no set.
fn intruders() -> Cohort {
    let member = |i| SetMember { site: Address::repeat_byte(i), digest: B256::repeat_byte(i) };
    Cohort::new((0xe1..=0xe3).map(member).collect()).unwrap()
}

/// The voters of this world's rounds: the accounts of nodes 1, 2, 4 and 5.
fn voters() -> Vec<Address> {
    [2, 3, 5, 6].map(|number| SecretKey::from_bytes(&[number; 32]).unwrap().address()).to_vec()
}

/// A round whose rewards go to intruders, one of whom has been paid.
async fn steal(world: &mut World, study: u64) -> (Played, Address) {
    let played = divert(world, study).await;
    (played, cash(world, study).await)
}

/// A round whose rewards go to intruders.
pub(crate) async fn divert(world: &mut World, study: u64) -> Played {
    assert_eq!(world.voters(), voters());
    let script = Script { fraud: Some(|said, _| said.rewardRoot = reward_root(&intruders(), &voters())), ..Script::default() };
    world.play(study, "model", &script).await
}

/// Has one of them paid.
pub(crate) async fn cash(world: &World, study: u64) -> Address {
    world.pass(WINDOW);
    let settled = world.ledger.round(study, 1).await.unwrap().settlement.unwrap().settlement;
    let share = ITreasury::Share {
        round: 1,
        index: 0,
        sites: 3,
        nodes: 4,
        setRoot: settled.setRoot,
        shareRootsHash: settled.shareRootsHash,
        aggregateRoot: settled.aggregateRoot,
        length: 0,
        path: reward_paths(&intruders(), &voters()).open(0),
        record: U80::ZERO,
        position: 0,
        archivePath: Vec::new(),
    };
    let thief = Address::repeat_byte(0xe1);
    let claim = ITreasury::Claim { study, account: thief, shares: vec![share] };
    world.ledger.claim(&world.sponsor, &[claim]).await.unwrap();
    thief
}

#[tokio::test]
async fn a_crooked_committee_that_pays_whom_it_likes_is_named_with_the_payment() {
    let mut world = World::new().await;
    let study = world.study().await;
    let (_, thief) = steal(&mut world, study).await;
    let currency = world.ledger.currency(study).await.unwrap();
    assert_eq!(world.ledger.coins(currency, thief).await.unwrap(), U256::from(300));

    let report = world.auditor().audit_public(study).await;
    assert_eq!(report.verdict, Verdict::Fail, "{report}");
    let named = line(&report, Status::Fail, Check::Claims);
    assert!(named.contains(&format!("{thief} was paid 300, and is in no settled set")), "{report}");
}

#[tokio::test]
async fn the_set_of_a_round_that_did_not_settle_stands_for_no_settled_one() {
    let mut world = World::new().await;
    let study = world.study().await;
    let (first, thief) = steal(&mut world, study).await;
    for node in &world.served {
        node.remove(&first.path("set"));
    }
    // Its set is known, and it pays nobody.
    let second = world.play(study, "model 2", &framed()).await;
    world.served[3].put(second.path("aggregate"), to_bytes(&made_up()));
    watchman(&world, &world.auditor, false).await.pass(study).await.unwrap();
    assert_eq!(world.ledger.round(study, 2).await.unwrap().state, State::Fraudulent);
    let report = world.auditor().audit_public(study).await;
    let named = format!("{thief} was paid 300");
    assert!(!report.with(Status::Fail).any(|line| line.reason.contains(&named)), "who is in it is not known\n{report}");
    assert!(report.with(Status::Note).any(|line| line.reason.contains(&named)), "{report}");
}
