//! Watchers, reorganisations, finality and endpoints that disagree.

use crate::scenario::Stage;
use crate::worlds::{START, World};
use alloy_primitives::Address;
use consilium_chain::{Sequencer, system_clock};
use consilium_core::params::Finality;
use consilium_ledger::{
    Certified, Cursor, Endpoints, Error, Event, Ledger, Limits, Progress, Standing, State, Watcher, client_provider,
};

async fn read_all(watcher: &mut Watcher) -> Vec<(u64, Event)> {
    let mut events = Vec::new();
    loop {
        match watcher.next_events().await.unwrap() {
            Progress::Read { batch, .. } => {
                assert!(batch.malformed.is_empty());
                events.extend(batch.events.into_iter().map(|event| (event.at.block.number, event.event)));
            }
            Progress::Idle => return events,
            Progress::RolledBack { to } => panic!("rolled back to {to:?}"),
        }
    }
}

async fn certified(stage: &mut Stage) -> Certified {
    stage.open("model 1", START).await.unwrap();
    stage.certify(1).await;
    stage.ledger.round(1, 1).await.unwrap().certificate.unwrap()
}

/// The same chain behind another endpoint.
async fn another(world: &World, ledger: &Ledger) -> (Sequencer, Ledger) {
    let sequencer = Sequencer::new(world.sequencer().chain().fork(), system_clock);
    let ledger = Ledger::new(client_provider(sequencer.client()), *ledger.addresses()).await.unwrap();
    (sequencer, ledger)
}

#[tokio::test]
async fn a_watcher_reads_everything_once_in_pieces_and_resumes_from_a_stored_cursor() {
    let world = World::embedded();
    let mut stage = Stage::set(&world).await;
    let small = stage.ledger.clone().with_limits(Limits { blocks: 3, ..Limits::default() });
    let mut watcher = Watcher::new(small.clone(), Cursor::default());
    let first = read_all(&mut watcher).await;
    assert_eq!(
        first.len(),
        5 * 4 + 8,
        "five nodes with keys, consents, bonds; study, conditions, rewards, committee, sites, three roles"
    );
    let stored = serde_json::to_string(watcher.cursor()).unwrap();

    certified(&mut stage).await;
    let mut resumed = Watcher::new(small, serde_json::from_str(&stored).unwrap());
    let rest = read_all(&mut resumed).await;
    assert!(matches!(rest[..], [(_, Event::RoundOpened(_)), (_, Event::RoundCertified { .. })]), "{rest:?}");
    let whole = read_all(&mut Watcher::new(stage.ledger.clone(), Cursor::default())).await;
    assert_eq!(whole, [first, rest].concat());
}

#[tokio::test]
async fn a_watcher_reports_a_reorganisation_and_reads_the_new_history() {
    let world = World::embedded();
    let mut stage = Stage::set(&world).await;
    let before = world.sequencer().chain().head().number();
    let mut watcher = Watcher::new(stage.ledger.clone(), Cursor::default());
    read_all(&mut watcher).await;
    certified(&mut stage).await;
    assert_eq!(read_all(&mut watcher).await.len(), 2);

    let mut other = world.sequencer().chain().fork_at(before).unwrap();
    for time in 1..=3 {
        other.mine_empty(START + time).unwrap();
    }
    world.sequencer().replace(other);
    let progress = watcher.next_events().await.unwrap();
    assert!(matches!(progress, Progress::RolledBack { to: Some(block) } if block.number == before), "{progress:?}");
    assert_eq!(read_all(&mut watcher).await, []);
    assert_eq!(watcher.cursor().position().unwrap().number, before + 3);
}

#[tokio::test]
async fn a_reorganisation_deeper_than_everything_remembered_starts_over() {
    let world = World::embedded();
    let stage = Stage::set(&world).await;
    let mut watcher = Watcher::new(stage.ledger.clone(), Cursor::default());
    read_all(&mut watcher).await;
    let mut other = world.sequencer().chain().fork_at(0).unwrap();
    other.mine_empty(START + 5).unwrap();
    world.sequencer().replace(other);
    assert_eq!(watcher.next_events().await.unwrap(), Progress::RolledBack { to: None });
    assert_eq!(watcher.cursor(), &Cursor::default());
}

#[tokio::test]
async fn finality_follows_the_rule() {
    let world = World::embedded();
    let mut stage = Stage::set(&world).await;
    let block = certified(&mut stage).await.at.block;
    let ledger = stage.ledger.clone();
    for rule in [Finality::Instant, Finality::Safe, Finality::Finalized, Finality::Depth(0)] {
        assert_eq!(ledger.standing(&block, rule).await.unwrap(), Standing::Final, "{rule}");
    }
    for on_top in 0..2 {
        assert!(!ledger.is_final(&block, Finality::Depth(2)).await.unwrap(), "{on_top} blocks on top");
        world.sequencer().mine_empty().unwrap();
    }
    assert!(ledger.is_final(&block, Finality::Depth(2)).await.unwrap());
    let other = consilium_ledger::BlockRef { hash: crate::scenario::root("other"), ..block };
    assert_eq!(ledger.standing(&other, Finality::Instant).await.unwrap(), Standing::Replaced);
}

#[tokio::test]
async fn a_rounds_state_is_read_at_the_newest_final_block_and_deadlines_count_by_its_time() {
    let world = World::embedded();
    let mut stage = Stage::set(&world).await;
    let at = certified(&mut stage).await.at.block.number;
    let state = async |rule| stage.ledger.final_state(1, 1, rule).await.unwrap();
    let (block, newest) = state(Finality::Instant).await.unwrap();
    assert_eq!((block.number, newest), (at, State::Certified));
    assert_eq!(state(Finality::Depth(1)).await.unwrap().1, State::Open, "before the certificate");
    assert_eq!(state(Finality::Depth(at + 1)).await, None, "no block is final yet");
    assert_eq!(stage.ledger.final_state(1, 2, Finality::Instant).await.unwrap().unwrap().1, State::None);
    let mut later = world.sequencer().chain().fork_at(at - 1).unwrap();
    later.mine_empty(stage.ledger.round(1, 1).await.unwrap().terms.policy.deadline).unwrap();
    world.sequencer().replace(later);
    assert_eq!(state(Finality::Instant).await.unwrap().1, State::Void);
}

#[tokio::test]
async fn endpoints_that_agree_make_it_final_and_one_that_lags_keeps_it_pending() {
    let world = World::embedded();
    let mut stage = Stage::set(&world).await;
    let (late, lagging) = another(&world, &stage.ledger).await;
    let certificate = certified(&mut stage).await;
    let both = Endpoints::new(vec![stage.ledger.clone(), lagging]).unwrap();
    assert_eq!(both.certificate(&certificate, Finality::Instant).await.unwrap(), Standing::Pending);
    late.replace(world.sequencer().chain().fork());
    assert_eq!(both.certificate(&certificate, Finality::Instant).await.unwrap(), Standing::Final);
}

#[tokio::test]
async fn endpoints_that_show_different_histories_disagree() {
    let world = World::embedded();
    let mut stage = Stage::set(&world).await;
    let (liar, lying) = another(&world, &stage.ledger).await;
    let certificate = certified(&mut stage).await;
    for time in 1..=4 {
        let mut chain = liar.chain().fork();
        chain.mine_empty(START + 1000 + time).unwrap();
        liar.replace(chain);
    }
    let both = Endpoints::new(vec![stage.ledger.clone(), lying]).unwrap();
    let error = both.certificate(&certificate, Finality::Instant).await.unwrap_err();
    assert!(matches!(error, Error::Disagreement(_)) && !error.is_temporary(), "{error}");
    let alone = Endpoints::new(vec![stage.ledger.clone()]).unwrap();
    assert_eq!(alone.certificate(&certificate, Finality::Instant).await.unwrap(), Standing::Final);
}

#[tokio::test]
async fn an_endpoint_that_denies_or_changes_the_certificate_disagrees() {
    let world = World::embedded();
    let mut stage = Stage::set(&world).await;
    let mut certificate = certified(&mut stage).await;
    certificate.vote.size = 2;
    let alone = Endpoints::new(vec![stage.ledger.clone()]).unwrap();
    let error = alone.certificate(&certificate, Finality::Instant).await.unwrap_err();
    assert!(matches!(error, Error::Disagreement(_)), "{error}");
    assert!(Endpoints::new(Vec::new()).is_err());
}

#[tokio::test]
async fn a_certificate_that_a_reorganisation_removed_is_replaced_and_the_round_is_open_again() {
    let world = World::embedded();
    let mut stage = Stage::set(&world).await;
    let certificate = certified(&mut stage).await;
    let number = certificate.at.block.number;
    let mut other = world.sequencer().chain().fork_at(number - 1).unwrap();
    other.mine_empty(START + 1).unwrap();
    world.sequencer().replace(other);
    let endpoints = Endpoints::new(vec![stage.ledger.clone()]).unwrap();
    assert_eq!(endpoints.certificate(&certificate, Finality::Instant).await.unwrap(), Standing::Replaced);
    let round = stage.ledger.round(1, 1).await.unwrap();
    assert_eq!((round.state, &round.certificate), (consilium_ledger::State::Open, &None));
    assert_eq!(round.state_at(START + 100), consilium_ledger::State::Void);

    // The sender of the removed certificate counts one nonce too many, notices, and asks the chain.
    let error = stage.ledger.transfer(&stage.nodes[2], Address::ZERO, Default::default()).await.unwrap_err();
    assert!(error.is_temporary(), "{error}");
    stage.ledger.transfer(&stage.nodes[2], Address::ZERO, Default::default()).await.unwrap();
}
