//! A committee that certifies a site which nobody admitted, and one that settles rewards that are not those of its set: the
//! watchman proves it, the audit names it with the proof, and says so where there is no proof yet.

use crate::money::{cash, divert};
use crate::watching::{stranger, watchman, with};
use crate::world::{N, Played, Script, World};
use alloy_primitives::{Address, B256};
use consilium_audit::{Check, Outcome, Report, Status, Verdict};
use consilium_core::accusation::Accusation;
use consilium_core::certify::{Cohort, SetMember};
use consilium_core::eip712::SecretKey;
use consilium_core::settle::reward_root;
use consilium_ledger::{Event, Offence, State};

/// The nodes that were convicted of an offence in a study.
async fn convicted(world: &World, study: u64, offence: Offence) -> Vec<Address> {
    let head = world.ledger.head().await.unwrap().number;
    let events = world.ledger.events(0, head).await.unwrap().events.into_iter().map(|event| event.event);
    let of = |event: Event| match event {
        Event::Convicted(told) if told.study == study => Some(told),
        _ => None,
    };
    let all: Vec<_> = events.filter_map(of).collect();
    assert!(all.iter().all(|told| told.offence == offence), "{all:?}");
    all.into_iter().map(|told| told.node).collect()
}

/// The evidence that an audit shows with an offence on the list.
fn listed(report: &Report, words: &str) -> Option<Accusation> {
    let is_it = |line: &&consilium_audit::Line| line.check == Check::Evidence && line.reason.contains(words);
    let line = report.with(Status::Note).find(is_it)?;
    Some(serde_json::from_value(line.evidence.clone()).unwrap())
}

/// One before all sites, and one behind.
async fn foreign(site: Address) {
    let mut world = World::new().await;
    let study = world.study().await;
    let played = world.play(study, "model", &Script { foreign: Some(site), ..Script::default() }).await;
    let report = world.auditor().audit_public(study).await;
    assert_eq!(report.verdict, Verdict::Fail, "{report}");
    let named = listed(&report, "an offence on the list (foreign-site), not proved on chain yet: `consilium watch` proves it");
    let accusation = named.unwrap_or_else(|| panic!("{report}"));
    let round = world.ledger.round(study, 1).await.unwrap();
    assert!(accusation.holds(&world.ledger.domain(), &round.record()), "the report carries the whole proof");

    let seen = watchman(&world, &world.auditor, true).await.pass(study).await.unwrap();
    assert!(with(&seen, Outcome::WouldProve).iter().any(|words| words.contains(&site.to_string())), "{seen:?}");
    assert!(convicted(&world, study, Offence::ForeignSite).await.is_empty(), "nothing was sent");
    // The set is public: whoever watches proves it.
    let watchman = watchman(&world, &stranger(), false).await;
    let seen = watchman.pass(study).await.unwrap();
    let words = format!("site {site}, which was not admitted, voted for by nodes [1, 2, 4, 5]");
    assert!(matches!(with(&seen, Outcome::Proved)[..], [one] if one.contains(&words)), "{seen:?}");
    assert_eq!(convicted(&world, study, Offence::ForeignSite).await, world.voters());
    assert_eq!(world.ledger.round(study, 1).await.unwrap().state, State::Fraudulent);
    let again = watchman.pass(study).await.unwrap();
    assert!(again.is_empty(), "once is enough, though the contract would take it again: {again:?}");
    let report = world.auditor().audit_public(study).await;
    assert!(listed(&report, "(foreign-site), proved on chain in transaction").is_some(), "{report}");
    assert_eq!(played.members.len(), 4);
}

#[tokio::test]
async fn a_foreign_site_costs_every_voter_its_bond_whoever_watches() {
    foreign(Address::repeat_byte(0x01)).await;
    foreign(Address::repeat_byte(0xfe)).await;
}

#[tokio::test]
async fn a_set_that_nobody_shows_is_said_to_be_unknown_and_nobody_is_accused() {
    let mut world = World::new().await;
    let study = world.study().await;
    let script = Script { foreign: Some(Address::repeat_byte(0xfe)), ..Script::default() };
    let played: Played = world.play(study, "model", &script).await;
    for node in &world.served {
        node.remove(&played.path("set"));
    }
    let watchman = watchman(&world, &stranger(), false).await;
    let seen = watchman.pass(study).await.unwrap();
    assert!(with(&seen, Outcome::Proved).is_empty(), "{seen:?}");
    let unknown = "no node shows the certified set";
    assert!(with(&seen, Outcome::Unavailable).iter().any(|words| words.contains(unknown)), "{seen:?}");
}

#[tokio::test]
async fn rewards_of_intruders_are_proved_wrong_once_one_of_them_is_paid() {
    let mut world = World::new().await;
    let study = world.study().await;
    divert(&mut world, study).await;
    let watchman = watchman(&world, &stranger(), false).await;
    let seen = watchman.pass(study).await.unwrap();
    assert!(with(&seen, Outcome::Proved).is_empty(), "{seen:?}");
    let waits = |words: &&str| words.contains("nobody has shown a leaf of their tree");
    assert!(with(&seen, Outcome::Unavailable).iter().any(waits), "{seen:?}");
    let report = world.auditor().audit_public(study).await;
    let line = report.with(Status::Fail).find(|line| line.check == Check::Rewards).unwrap_or_else(|| panic!("{report}"));
    assert!(line.reason.contains("cannot be proved to the contract yet"), "{report}");
    assert!(listed(&report, "wrong-reward").is_none(), "{report}");

    cash(&world, study).await;
    let report = world.auditor().audit_public(study).await;
    let accusation = listed(&report, "an offence on the list (wrong-reward), not proved").unwrap_or_else(|| panic!("{report}"));
    let round = world.ledger.round(study, 1).await.unwrap();
    assert!(accusation.holds(&world.ledger.domain(), &round.record()));
    let seen = watchman.pass(study).await.unwrap();
    assert!(matches!(with(&seen, Outcome::Proved)[..], [one] if one.contains("signed by nodes [1, 2, 4, 5]")), "{seen:?}");
    assert_eq!(convicted(&world, study, Offence::WrongReward).await, world.voters());
    assert_eq!(world.ledger.round(study, 1).await.unwrap().state, State::Refuted);
    let report = world.auditor().audit_public(study).await;
    assert!(listed(&report, "(wrong-reward), proved on chain in transaction").is_some(), "{report}");
    let again = watchman.pass(study).await.unwrap();
    assert!(with(&again, Outcome::Proved).is_empty(), "{again:?}");
}

/// The rewards of this world's sites and of all nodes, whether they voted or not.
fn of_everybody() -> B256 {
    let account = |number: u8| SecretKey::from_bytes(&[number; 32]).unwrap().address();
    let mut members: Vec<SetMember> = (40..43).map(|i| SetMember { site: account(i), digest: B256::ZERO }).collect();
    members.sort_unstable();
    reward_root(&Cohort::new(members).unwrap(), &(2..2 + N as u8).map(account).collect::<Vec<_>>())
}

#[tokio::test]
async fn rewards_for_nodes_that_did_not_vote_are_proved_before_anyone_is_paid() {
    let mut world = World::new().await;
    let study = world.study().await;
    let script = Script { fraud: Some(|said, _| said.rewardRoot = of_everybody()), ..Script::default() };
    world.play(study, "model", &script).await;
    let seen = watchman(&world, &stranger(), false).await.pass(study).await.unwrap();
    assert!(matches!(with(&seen, Outcome::Proved)[..], [one] if one.contains("the settled rewards")), "{seen:?}");
    assert_eq!(convicted(&world, study, Offence::WrongReward).await, world.voters());
    assert_eq!(world.ledger.round(study, 1).await.unwrap().state, State::Fraudulent, "it has paid nobody");
}
