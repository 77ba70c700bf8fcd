//! Who was paid, and by whose right.

use crate::world::{BUDGET, Script, World};
use alloy_primitives::{Address, B256, U256};
use consilium_audit::{Check, Report, Status, Verdict};
use consilium_core::certify::{Cohort, SetMember};
use consilium_core::eip712::SecretKey;
use consilium_core::settle::{reward_paths, reward_root};
use consilium_ledger::Cohorts;
use consilium_ledger::contracts::ITreasury;

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
    assert!(line(&report, Status::Pass, Check::Claims).contains("0 were paid for rounds and 0 of licences, 1000 can be claimed"));
    assert!(report.to_string().contains("unless it is proved fraudulent"), "round 2 can still be challenged\n{report}");

    world.pass(WINDOW);
    let books = world.ledger.books(1).await.unwrap();
    let cohorts: Cohorts = [first, second].iter().map(|p| (p.terms.round, Cohort::new(p.members.clone()).unwrap())).collect();
    let owed = books.owed(&cohorts, 0, books.read_at()).await.unwrap();
    world.ledger.claim(&world.sponsor, &books.claims(&owed, &cohorts, 0).unwrap()).await.unwrap();
    let report = world.auditor().audit_public(1).await;
    assert_eq!(report.verdict, Verdict::Pass, "{report}");
    assert!(line(&report, Status::Pass, Check::Claims).contains("2000 were paid for rounds"), "{report}");
    let money = line(&report, Status::Pass, Check::Money);
    let funded = 10 * BUDGET;
    assert!(money.contains(&format!("{funded} funded + 0 from licences")) && money.contains("2000 claimed of rounds"), "{money}");
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

#[tokio::test]
async fn a_crooked_committee_that_pays_whom_it_likes_is_named_with_the_payment() {
    let mut world = World::new().await;
    let study = world.study().await;
    assert_eq!(world.voters(), voters());
    let script = Script { fraud: Some(|said, _| said.rewardRoot = reward_root(&intruders(), &voters())), ..Script::default() };
    world.play(study, "model", &script).await;
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
        path: reward_paths(&intruders(), &voters()).open(0),
        rewards: 0,
        position: 0,
        archivePath: Vec::new(),
    };
    let thief = Address::repeat_byte(0xe1);
    let claim = ITreasury::Claim { study, period: 0, account: thief, shares: vec![share] };
    world.ledger.claim(&world.sponsor, &[claim]).await.unwrap();
    let currency = world.ledger.currency(study).await.unwrap();
    assert_eq!(world.ledger.coins(currency, thief).await.unwrap(), U256::from(300));

    let report = world.auditor().audit_public(study).await;
    assert_eq!(report.verdict, Verdict::Fail, "{report}");
    let named = line(&report, Status::Fail, Check::Claims);
    assert!(named.contains(&format!("{thief} was paid 300, and is in no settled set")), "{report}");
}
