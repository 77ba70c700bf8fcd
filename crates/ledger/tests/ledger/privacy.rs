//! Privacy accounts: opened by a sponsor, drawn on by rounds, and told by liars.

use crate::scenario::{Stage, root};
use crate::worlds::{Liar, Lie, START, World, wallet};
use consilium_ledger::error::{Malformed, Unknown};
use consilium_ledger::{Conditions, Cursor, Error, Event, Ledger, NewStudy, Privacy, PrivacyAccount, Progress, Watcher};

const ACCOUNT: u64 = 1;
const STUDY: u64 = 2;
/// A delta of 10^-6, and of 1, in 10^-18.
const MICRO: u64 = 10_u64.pow(12);
const WHOLE: u64 = 10_u64.pow(18);

/// An account of a budget of 10, and a study each of whose rounds costs 4.
async fn drawn_on(stage: &Stage) -> PrivacyAccount {
    let opened = stage.ledger.open_privacy_account(&stage.sponsor, "Pädiatrie", 10, MICRO).await.unwrap();
    assert_eq!(opened.output, ACCOUNT);
    let new = drawing(stage, ACCOUNT, 4);
    assert_eq!(stage.ledger.create_study(&stage.sponsor, &new).await.unwrap().output, STUDY);
    stage.ledger.privacy_account(ACCOUNT).await.unwrap()
}

fn drawing(stage: &Stage, account: u64, cost: u64) -> NewStudy {
    let conditions = Conditions { privacy_account: account, privacy_cost: cost, ..Conditions::default() };
    NewStudy { conditions, ..stage.new_study() }
}

/// Opens a round and lets it lapse.
async fn lapse(world: &World, stage: &Stage) {
    let opened = stage.ledger.open_round(&stage.sponsor, STUDY, root("model 1"), START + 10, START + 20).await.unwrap();
    let charged = Event::Privacy(Privacy::Charged { account: ACCOUNT, study: STUDY, spent: 4 });
    assert!(opened.receipt.events.iter().any(|told| told.event == charged));
    world.tick(START + 30).await;
}

async fn spent(stage: &Stage) -> u64 {
    stage.ledger.privacy_account(ACCOUNT).await.unwrap().spent
}

#[tokio::test]
async fn rounds_draw_on_their_sponsors_account_until_it_is_spent_and_void_ones_give_back() {
    let world = World::embedded();
    let stage = Stage::set(&world).await;
    let account = drawn_on(&stage).await;
    let owner = stage.sponsor.address();
    let expected = PrivacyAccount {
        account: ACCOUNT,
        owner,
        name: "Pädiatrie".into(),
        budget: 10,
        spent: 0,
        delta: MICRO,
        studies: [(STUDY, 4)].into(),
    };
    assert_eq!(account, expected);
    let study = stage.ledger.study(STUDY).await.unwrap();
    assert_eq!((study.conditions.privacy_account, study.conditions.privacy_cost), (ACCOUNT, 4));

    lapse(&world, &stage).await;
    assert_eq!(spent(&stage).await, 4);
    let void = stage.ledger.void_round(&stage.sponsor, STUDY, 1).await.unwrap();
    assert!(
        void.events.iter().any(|e| e.event == Event::Privacy(Privacy::GivenBack { account: ACCOUNT, study: STUDY, spent: 0 }))
    );
    assert_eq!(spent(&stage).await, 0);

    let beyond = stage.ledger.create_study(&stage.sponsor, &drawing(&stage, ACCOUNT, 11)).await.unwrap().output;
    let refused = stage.ledger.open_round(&stage.sponsor, beyond, root("model 1"), START + 40, START + 50).await.unwrap_err();
    assert!(refused.revert().is_some_and(|revert| revert.is("BudgetSpent")), "{refused}");
    assert_eq!(stage.ledger.privacy_account(ACCOUNT).await.unwrap().studies, [(STUDY, 4), (beyond, 11)].into());
}

#[tokio::test]
async fn an_account_is_its_owners_and_has_a_name_a_budget_and_a_delta() {
    let world = World::embedded();
    let stage = Stage::set(&world).await;
    stage.ledger.open_privacy_account(&stage.nodes[0], "another sponsor's", 10, MICRO).await.unwrap();
    let foreign = stage.ledger.create_study(&stage.sponsor, &drawing(&stage, 1, 4)).await.unwrap_err();
    assert!(foreign.revert().is_some_and(|revert| revert.is("NotTheOwner")), "{foreign}");
    for (name, budget, delta) in [("", 1, 1), (&*"x".repeat(65), 1, 1), ("none", 0, 1), ("none", 1, 0), ("none", 1, WHOLE)] {
        let refused = stage.ledger.open_privacy_account(&stage.sponsor, name, budget, delta).await.unwrap_err();
        assert!(refused.revert().is_some_and(|revert| revert.is("InvalidAccount")), "{name:?} {budget} {delta}: {refused}");
    }
    let unknown = stage.ledger.privacy_account(2).await.unwrap_err();
    assert!(matches!(unknown, Error::Unknown(Unknown::PrivacyAccount(2))), "{unknown}");
}

#[tokio::test]
async fn a_charge_that_an_endpoint_leaves_out_shows() {
    let world = World::embedded();
    let stage = Stage::set(&world).await;
    drawn_on(&stage).await;
    lapse(&world, &stage).await;
    // The last of opened, joined, charged.
    let left_out: Lie = |method, answer| {
        if let (true, Some(logs)) = (method == "eth_getLogs", answer.as_array_mut()) {
            logs.pop();
        }
    };
    let ledger = Ledger::new(Liar::provider(world.sequencer(), left_out), *stage.ledger.addresses()).await.unwrap();
    let error = ledger.privacy_account(ACCOUNT).await.unwrap_err();
    let Error::Malformed { defect, .. } = &error else { panic!("{error}") };
    assert_eq!(**defect, Malformed::Account(ACCOUNT));
}

#[tokio::test]
async fn a_watcher_is_told_of_privacy_accounts() {
    let world = World::embedded();
    let stage = Stage::set(&world).await;
    drawn_on(&stage).await;
    let Progress::Read { batch, .. } = Watcher::new(stage.ledger.clone(), Cursor::default()).next_events().await.unwrap() else {
        panic!("there is something to read")
    };
    assert!(batch.malformed.is_empty());
    let told = batch.events.into_iter().filter_map(|event| match event.event {
        Event::Privacy(privacy) => Some(privacy),
        _ => None,
    });
    let owner = stage.sponsor.address();
    let opened = Privacy::AccountOpened { account: ACCOUNT, owner, name: "Pädiatrie".into(), budget: 10, delta: MICRO };
    let joined = Privacy::StudyJoined { account: ACCOUNT, study: STUDY, cost: 4 };
    assert_eq!(told.collect::<Vec<_>>(), [opened, joined]);
    let other = stage.ledger.open_privacy_account(&wallet(6), "b", 1, 1).await.unwrap();
    assert_eq!((other.output, other.receipt.events.len()), (2, 1));
}
