//! The watchman: what it finds, proves and pays, and that it leaves honest committees alone.

use crate::world::{Played, Script, World};
use alloy_primitives::U256;
use consilium_audit::{Outcome, Sighting, Watchman};
use consilium_core::eip712::SecretKey;
use consilium_core::field::{Fp, to_bytes};
use consilium_core::merkle::vector_root;
use consilium_ledger::{Endpoints, State, Wallet};

async fn watchman(world: &World, key: &SecretKey, dry: bool) -> Watchman {
    let (wallet, ether) = (Wallet::new(key.clone()), U256::from(10).pow(U256::from(18)));
    world.ledger.transfer(&world.sponsor, wallet.address(), ether).await.unwrap();
    Watchman::new(Endpoints::new(vec![world.ledger.clone()]).unwrap(), &world.urls(), wallet, dry).unwrap()
}

fn outcomes(seen: &[Sighting]) -> Vec<Outcome> {
    seen.iter().map(|sighting| sighting.outcome).collect()
}

#[tokio::test]
async fn an_honest_study_is_sound_to_whoever_may_read_shares_and_nobody_is_accused() {
    let (world, _) = World::settled().await;
    let mut named = watchman(&world, &world.auditor, false).await;
    let seen = named.pass(1).await.unwrap();
    assert_eq!(outcomes(&seen), [Outcome::Sound], "{seen:?}");
    assert!(named.pass(1).await.unwrap().is_empty(), "once is enough");
    let stranger = SecretKey::from_bytes(&[99; 32]).unwrap();
    let seen = watchman(&world, &stranger, false).await.pass(1).await.unwrap();
    assert_eq!(outcomes(&seen), [Outcome::Unavailable], "{seen:?}");
    assert!(seen[0].words.contains("an auditor whom it has named"), "{seen:?}");
    assert_eq!(world.ledger.round(1, 1).await.unwrap().state, State::Settled);
}

#[tokio::test]
async fn a_signed_lie_is_named_in_a_dry_run_proved_once_and_its_bond_is_assigned_and_paid_out() {
    let mut world = World::new().await;
    let study = world.study().await;
    world.play(study, "model", &Script { liar: Some(5), ..Script::default() }).await;
    let stranger = SecretKey::from_bytes(&[99; 32]).unwrap();
    let seen = watchman(&world, &stranger, true).await.pass(study).await.unwrap();
    assert!(seen.iter().any(|s| s.outcome == Outcome::WouldProve && s.words.contains("node 5")), "{seen:?}");
    assert!(!world.ledger.study(study).await.unwrap().vacant, "nothing was sent");

    let mut watchman = watchman(&world, &stranger, false).await;
    let seen = watchman.pass(study).await.unwrap();
    let proved: Vec<_> = seen.iter().filter(|sighting| sighting.outcome == Outcome::Proved).collect();
    assert!(matches!(&proved[..], [one] if one.transaction.is_some() && one.words.contains("node 5")), "{seen:?}");
    assert!(seen.iter().any(|s| s.outcome == Outcome::Paid && s.words.contains("is assigned")), "{seen:?}");
    assert!(world.ledger.study(study).await.unwrap().vacant);
    let again = watchman.pass(study).await.unwrap();
    assert!(!again.iter().any(|s| matches!(s.outcome, Outcome::Proved | Outcome::Paid)), "{again:?}");

    world.pass(8 * 86_400);
    let paid = watchman.pass(study).await.unwrap();
    assert_eq!(paid.iter().filter(|s| s.outcome == Outcome::Paid && s.words.contains("is paid")).count(), 3, "{paid:?}");
    let over = watchman.pass(study).await.unwrap();
    assert!(!over.iter().any(|s| s.outcome == Outcome::Paid), "{over:?}");
}

/// What the crooked committee settles instead of the sum.
fn made_up() -> Vec<Fp> {
    vec![Fp::ONE; 41]
}

#[tokio::test]
async fn a_wrong_settlement_costs_every_signer_its_bond() {
    let mut world = World::new().await;
    let study = world.study().await;
    let script = Script { fraud: Some(|result, _| result.aggregateRoot = vector_root(&made_up())), ..Script::default() };
    let played: Played = world.play(study, "model", &script).await;
    world.served[3].put(played.path("aggregate"), to_bytes(&made_up()));
    let mut watchman = watchman(&world, &world.auditor, false).await;
    let seen = watchman.pass(study).await.unwrap();
    let proved: Vec<_> = seen.iter().filter(|sighting| sighting.outcome == Outcome::Proved).collect();
    assert!(matches!(&proved[..], [one] if one.words.contains("signed by nodes [1, 2, 4, 5]")), "{seen:?}");
    assert_eq!(seen.iter().filter(|sighting| sighting.outcome == Outcome::Paid).count(), 4, "{seen:?}");
    assert_eq!(world.ledger.round(study, 1).await.unwrap().state, State::Fraudulent);
}
