//! The watchman: what it finds, proves and pays, and that it leaves honest nodes and committees alone.

use crate::world::{Played, Script, World};
use alloy_primitives::{B256, U256};
use consilium_audit::{Check, Outcome, Report, Sighting, Status, Watchman};
use consilium_chain::Sequencer;
use consilium_core::accusation::{Accusation, Charge, SignedContribution};
use consilium_core::eip712::{Contribution, SecretKey, Settlement};
use consilium_core::field::{Fp, to_bytes};
use consilium_core::merkle::vector_root;
use consilium_ledger::{Endpoints, Ledger, State, Wallet, client_provider};
use serde_json::{Value, json};

async fn watchman_of(world: &World, ledgers: Vec<Ledger>, key: &SecretKey, dry: bool) -> Watchman {
    let (wallet, ether) = (Wallet::new(key.clone()), U256::from(10).pow(U256::from(18)));
    world.ledger.transfer(&world.sponsor, wallet.address(), ether).await.unwrap();
    Watchman::new(Endpoints::new(ledgers).unwrap(), &world.urls(), wallet, dry).unwrap()
}

pub(crate) async fn watchman(world: &World, key: &SecretKey, dry: bool) -> Watchman {
    watchman_of(world, vec![world.ledger.clone()], key, dry).await
}

pub(crate) fn stranger() -> SecretKey {
    SecretKey::from_bytes(&[99; 32]).unwrap()
}

fn outcomes(seen: &[Sighting]) -> Vec<Outcome> {
    seen.iter().map(|sighting| sighting.outcome).collect()
}

pub(crate) fn with(seen: &[Sighting], outcome: Outcome) -> Vec<&str> {
    seen.iter().filter(|sighting| sighting.outcome == outcome).map(|sighting| &*sighting.words).collect()
}

/// Two output shares that a node signed, as another node would show them.
fn two_shares(world: &World, played: &Played, node: usize, salt: u8) -> Value {
    let set_root = world.set_root(played);
    let said = |byte: u8| world.share_root(&played.terms, set_root, node, B256::repeat_byte(byte));
    let charge = Charge::TwoShareRoots {
        address: world.nodes[node - 1].address(),
        statements: Box::new([said(salt), said(salt.wrapping_add(1))]),
    };
    json!(Accusation { study: played.terms.study, round: played.terms.round, charge })
}

/// Two contributions that a site signed for one round.
fn two_contributions(world: &World, played: &Played, site: usize, salt: u8) -> Value {
    let (study, round, key) = (played.terms.study, played.terms.round, &world.sites[site]);
    let signed = |byte: u8| {
        let (digest, boxes) = (B256::repeat_byte(byte), B256::repeat_byte(0xb0));
        let said = Contribution { study, round, site: key.address(), digest, boxes };
        SignedContribution { digest, boxes, signature: world.ledger.domain().sign(key, &said) }
    };
    let statements = Box::new([signed(salt), signed(salt.wrapping_add(1))]);
    json!(Accusation { study, round, charge: Charge::TwoContributions { site: key.address(), statements } })
}

#[tokio::test]
async fn an_honest_study_is_sound_to_whoever_may_read_shares_and_nobody_is_accused() {
    let (world, _) = World::settled().await;
    let named = watchman(&world, &world.auditor, false).await;
    let seen = named.pass(1).await.unwrap();
    assert_eq!(outcomes(&seen), [Outcome::Sound], "{seen:?}");
    assert!(named.pass(1).await.unwrap().is_empty(), "once is enough");
    let seen = watchman(&world, &stranger(), false).await.pass(1).await.unwrap();
    assert_eq!(outcomes(&seen), [Outcome::Unavailable], "{seen:?}");
    assert!(seen[0].words.contains("an auditor whom it has named"), "{seen:?}");
    assert_eq!(world.ledger.round(1, 1).await.unwrap().state, State::Settled);
}

#[tokio::test]
async fn a_signed_lie_is_named_in_a_dry_run_proved_once_and_its_bond_is_assigned_and_paid_out() {
    let mut world = World::new().await;
    let study = world.study().await;
    world.play(study, "model", &Script { liar: Some(5), ..Script::default() }).await;
    let seen = watchman(&world, &world.auditor, true).await.pass(study).await.unwrap();
    assert!(matches!(with(&seen, Outcome::WouldProve)[..], [one] if one.contains("node 5")), "{seen:?}");
    assert!(!world.ledger.study(study).await.unwrap().vacant, "nothing was sent");

    let watchman = watchman(&world, &world.auditor, false).await;
    let seen = watchman.pass(study).await.unwrap();
    let proved: Vec<_> = seen.iter().filter(|sighting| sighting.outcome == Outcome::Proved).collect();
    assert!(matches!(&proved[..], [one] if one.transaction.is_some() && one.words.contains("node 5")), "{seen:?}");
    assert!(world.ledger.study(study).await.unwrap().vacant);
    let again = watchman.pass(study).await.unwrap();
    assert!(again.is_empty(), "{again:?}");

    world.pass(8 * 86_400);
    let due = watchman.pass(study).await.unwrap();
    assert!(matches!(with(&due, Outcome::Paid)[..], [one] if one.contains("is assigned")), "{due:?}");
    let paid = watchman.pass(study).await.unwrap();
    assert_eq!(paid.iter().filter(|s| s.outcome == Outcome::Paid && s.words.contains("is paid")).count(), 3, "{paid:?}");
    let over = watchman.pass(study).await.unwrap();
    assert!(!over.iter().any(|s| s.outcome == Outcome::Paid), "{over:?}");
}

#[tokio::test]
async fn whoever_cannot_check_a_settlement_accuses_nobody_of_a_share_that_merely_differs_from_it() {
    let mut world = World::new().await;
    let study = world.study().await;
    let played = world.play(study, "model", &Script { liar: Some(5), ..Script::default() }).await;
    let watchman = watchman(&world, &stranger(), false).await;
    let seen = watchman.pass(study).await.unwrap();
    assert!(with(&seen, Outcome::Proved).is_empty(), "{seen:?}");
    let unsure = "nobody is accused before the settlement has been checked";
    assert!(with(&seen, Outcome::Unavailable).iter().any(|words| words.contains("node 5") && words.contains(unsure)), "{seen:?}");
    assert!(!world.ledger.study(study).await.unwrap().vacant);

    // A share of another set is wrong whatever is settled.
    let foreign = world.share_root(&played.terms, B256::repeat_byte(7), 4, vector_root(&made_up()));
    world.edit_json(1, &played.path("statements"), |value| value["share_roots"].as_array_mut().unwrap().push(json!(foreign)));
    let seen = watchman.pass(study).await.unwrap();
    assert!(matches!(with(&seen, Outcome::Proved)[..], [one] if one.contains("node 4")), "{seen:?}");
}

/// What the crooked committee settles instead of the sum.
pub(crate) fn made_up() -> Vec<Fp> {
    vec![Fp::ONE; 41]
}

#[tokio::test]
async fn a_wrong_settlement_costs_every_signer_its_bond() {
    let mut world = World::new().await;
    let study = world.study().await;
    let script = Script { fraud: Some(|result, _| result.aggregateRoot = vector_root(&made_up())), ..Script::default() };
    let played: Played = world.play(study, "model", &script).await;
    world.served[3].put(played.path("aggregate"), to_bytes(&made_up()));
    let watchman = watchman(&world, &world.auditor, false).await;
    let seen = watchman.pass(study).await.unwrap();
    let proved = with(&seen, Outcome::Proved);
    assert!(matches!(proved[..], [one] if one.contains("signed by nodes [1, 2, 4, 5]")), "{seen:?}");
    assert_eq!(world.ledger.round(study, 1).await.unwrap().state, State::Fraudulent);
    assert!(with(&watchman.pass(study).await.unwrap(), Outcome::Forfeited).is_empty(), "not due yet");
    world.pass(8 * 86_400);
    let seen = watchman.pass(study).await.unwrap();
    assert_eq!(with(&seen, Outcome::Forfeited).len(), 4, "no site has a part in what a disputed round cost: {seen:?}");
}

/// Everyone but node 3 settles a made-up sum, with a made-up share under node 3's number.
pub(crate) fn framed() -> Script {
    let fraud = |result: &mut Settlement, roots: &mut Vec<B256>| {
        result.aggregateRoot = vector_root(&made_up());
        roots[2] = vector_root(&made_up());
    };
    Script { fraud: Some(fraud), ..Script::default() }
}

#[tokio::test]
async fn an_honest_share_that_differs_from_a_wrong_settlement_is_never_accused_and_whoever_was_gets_its_bond_back() {
    let mut world = World::new().await;
    let study = world.study().await;
    let played = world.play(study, "model", &framed()).await;
    world.served[3].put(played.path("aggregate"), to_bytes(&made_up()));
    let node = world.nodes[2].address();
    // Somebody rash accuses the honest node first.
    let statements: Value = serde_json::from_slice(&world.served[0].get(&played.path("statements"))).unwrap();
    let said = serde_json::from_value(statements["share_roots"][2].clone()).unwrap();
    let rash = Accusation { study, round: 1, charge: Charge::WrongShareRoot { address: node, statements: Box::new([said]) } };
    let second = world.study().await;
    let other = world.play(second, "model", &framed()).await;
    world.served[3].put(other.path("aggregate"), to_bytes(&made_up()));
    world.ledger.accuse(&world.sponsor, &rash).await.unwrap();

    let watchman = watchman(&world, &world.auditor, false).await;
    assert!(world.ledger.pot_of(study, node).await.unwrap().is_some(), "convicted by the lie");
    let before = world.ledger.bond(second, node).await.unwrap().amount;
    for study in [study, second] {
        let seen = watchman.pass(study).await.unwrap();
        assert!(matches!(with(&seen, Outcome::Proved)[..], [one] if one.contains("the settlement is wrong")), "{seen:?}");
        assert_eq!(world.ledger.pot_of(study, node).await.unwrap(), None, "the proof of the lie gives its bond back");
        let bond = world.ledger.bond(study, node).await.unwrap();
        assert!(bond.liable && bond.amount == before, "all of it, the reporter's part too: {bond:?}");
    }
    world.pass(8 * 86_400);
    let seen = watchman.pass(study).await.unwrap();
    let gone = with(&seen, Outcome::Forfeited);
    assert!(gone.len() == 4 && !gone.iter().any(|words| words.contains(&node.to_string())), "{seen:?}");
}

#[tokio::test]
async fn a_node_whose_share_was_settled_wrong_is_not_accused_though_the_sum_is_right() {
    let mut world = World::new().await;
    let study = world.study().await;
    let script = Script { fraud: Some(|_, roots| roots[2] = vector_root(&made_up())), ..Script::default() };
    world.play(study, "model", &script).await;
    let seen = watchman(&world, &world.auditor, false).await.pass(study).await.unwrap();
    assert!(with(&seen, Outcome::Proved).is_empty(), "{seen:?}");
    assert!(matches!(with(&seen, Outcome::Sound)[..], [one] if one.contains("the shares of nodes {3}")), "{seen:?}");
    assert!(!world.ledger.study(study).await.unwrap().vacant);
}

#[tokio::test]
async fn nothing_is_sent_and_no_proof_ends_while_endpoints_disagree() {
    let mut world = World::new().await;
    let study = world.study().await;
    let fork = Sequencer::new(world.sequencer.chain().fork(), || crate::world::START + 7);
    let behind = Ledger::new(client_provider(fork.client()), *world.ledger.addresses()).await.unwrap();
    let played = world.play(study, "model", &Script::default()).await;
    let proof = two_shares(&world, &played, 5, 1);
    world.edit_json(2, &played.path("statements"), |value| value["evidence"] = json!([proof]));

    let doubtful = watchman_of(&world, vec![world.ledger.clone(), behind], &stranger(), false).await;
    for _ in 0..2 {
        let seen = doubtful.pass(study).await.unwrap();
        assert!(!seen.is_empty() && seen.iter().all(|sighting| sighting.outcome == Outcome::Unavailable), "{seen:?}");
    }
    assert!(!world.ledger.study(study).await.unwrap().vacant);
    let agreed = watchman_of(&world, vec![world.ledger.clone(), world.ledger.clone()], &stranger(), false).await;
    let seen = agreed.pass(study).await.unwrap();
    assert!(matches!(with(&seen, Outcome::Proved)[..], [one] if one.contains("node 5")), "{seen:?}");
}

#[tokio::test]
async fn what_an_endpoint_alone_calls_proved_is_proved_on_the_others_too() {
    let mut world = World::new().await;
    let study = world.study().await;
    let played = world.play(study, "model", &Script::default()).await;
    let proof = two_shares(&world, &played, 5, 1);
    world.edit_json(2, &played.path("statements"), |value| value["evidence"] = json!([proof]));
    // An endpoint on which the conviction stands, and one that has not seen it: a reorganisation may have undone it.
    let fork = Sequencer::new(world.sequencer.chain().fork(), || crate::world::START + 7);
    let ahead = Ledger::new(client_provider(fork.client()), *world.ledger.addresses()).await.unwrap();
    ahead.accuse(&Wallet::new(world.sponsor.key().unwrap().clone()), &serde_json::from_value(proof).unwrap()).await.unwrap();
    let watchman = watchman_of(&world, vec![world.ledger.clone(), ahead], &stranger(), false).await;
    let seen = watchman.pass(study).await.unwrap();
    let apart = |words: &&str| words.contains("not every endpoint shows that it is proved");
    assert!(with(&seen, Outcome::Unavailable).iter().any(apart), "{seen:?}");
    assert!(with(&seen, Outcome::Settled).is_empty(), "it is not over: {seen:?}");
    let seen = watchman.pass(study).await.unwrap();
    assert!(with(&seen, Outcome::Unavailable).iter().any(apart), "and is looked at again: {seen:?}");
}

#[tokio::test]
async fn a_flood_of_evidence_is_worked_off_and_the_one_true_piece_at_its_end_is_proved() {
    let mut world = World::new().await;
    let study = world.study().await;
    let played = world.play(study, "model", &Script::default()).await;
    let site = world.sites[0].address();
    // Signed by another site than the one that is named: they prove nothing.
    let mut flood: Vec<Value> = (10..50).map(|salt| two_contributions(&world, &played, 1, salt)).collect();
    for piece in &mut flood {
        piece["site"] = json!(site);
    }
    flood.push(two_contributions(&world, &played, 0, 1));
    world.edit_json(2, &played.path("statements"), |value| value["evidence"] = json!(flood));
    let watchman = watchman(&world, &stranger(), false).await;
    let mut proved = Vec::new();
    for _ in 0..3 {
        let seen = watchman.pass(study).await.unwrap();
        proved.extend(with(&seen, Outcome::Proved).into_iter().map(str::to_owned));
    }
    assert!(matches!(&proved[..], [one] if one.contains(&format!("site {site}"))), "{proved:?}");
}

#[tokio::test]
async fn evidence_about_an_older_round_counts_as_long_as_the_round_is_on_record() {
    let mut world = World::new().await;
    let study = world.study().await;
    let first = world.play(study, "model 1", &Script::default()).await;
    for number in 2..=4 {
        world.play(study, &format!("model {number}"), &Script::default()).await;
    }
    let watchman = watchman(&world, &stranger(), false).await;
    watchman.pass(study).await.unwrap();
    let proof = two_shares(&world, &first, 5, 1);
    world.edit_json(2, &first.path("statements"), |value| value["evidence"] = json!([proof]));
    let seen = watchman.pass(study).await.unwrap();
    assert!(matches!(with(&seen, Outcome::Proved)[..], [one] if one.contains("node 5")), "{seen:?}");
}

#[tokio::test]
async fn a_study_whose_nodes_never_answer_delays_no_other() {
    let mut world = World::new().await;
    let (slow, quick) = (world.study().await, world.study().await);
    for study in [slow, quick] {
        world.play(study, "model", &Script::default()).await;
    }
    *world.served[0].silent.lock().unwrap() = Some(format!("/studies/{slow}/"));
    let watchman = watchman(&world, &world.auditor, false).await;
    let both = futures::future::select(Box::pin(watchman.pass(slow)), Box::pin(watchman.pass(quick)));
    let futures::future::Either::Right((seen, _)) = both.await else { panic!("the silent study was done first") };
    assert_eq!(outcomes(&seen.unwrap()), [Outcome::Sound]);
}

#[tokio::test]
async fn a_payment_that_costs_more_gas_than_it_is_worth_is_left_and_said() {
    let mut world = World::new().await;
    world.bond = U256::from(30);
    let study = world.study().await;
    let played = world.play(study, "model", &Script::default()).await;
    let proof = two_shares(&world, &played, 5, 1);
    let accusation = serde_json::from_value(proof).unwrap();
    world.ledger.accuse(&world.sponsor, &accusation).await.unwrap();
    world.pass(8 * 86_400);
    world.ledger.assign_compensation(&world.sponsor, study, world.nodes[4].address(), 1).await.unwrap();
    let watchman = watchman(&world, &stranger(), false).await;
    let before = world.ledger.balance(stranger().address()).await.unwrap();
    let seen = watchman.pass(study).await.unwrap();
    let left = with(&seen, Outcome::Left);
    assert!(left.len() == 3 && left.iter().all(|words| words.contains("is owed 9 wei") && words.contains("its gas")), "{seen:?}");
    assert_eq!(world.ledger.balance(stranger().address()).await.unwrap(), before);
    assert!(with(&watchman.pass(study).await.unwrap(), Outcome::Left).is_empty(), "said once, looked at again much later");
}

#[tokio::test]
async fn an_audit_names_what_the_watchman_would_prove_and_in_which_transaction_it_was() {
    let mut world = World::new().await;
    let study = world.study().await;
    let played = world.play(study, "model", &Script { liar: Some(2), ..Script::default() }).await;
    let proof = two_shares(&world, &played, 5, 1);
    world.edit_json(2, &played.path("statements"), |value| value["evidence"] = json!([proof.clone()]));
    let listed = |report: &Report, words: &str| {
        let mut lines = report.with(Status::Note).filter(|line| line.check == Check::Evidence && line.reason.contains(words));
        assert!(lines.next().is_some_and(|line| !line.evidence.is_null()), "{words}\n{report}");
    };
    let report = world.auditor().audit_public(study).await;
    listed(&report, "node 5 (");
    listed(&report, "an offence on the list (two-share-roots), not proved on chain yet: `consilium watch` proves it");
    listed(&report, "an offence on the list (wrong-share-root), not proved on chain yet: `consilium watch` proves it once");
    let receipt = world.ledger.accuse(&world.sponsor, &serde_json::from_value(proof).unwrap()).await.unwrap();
    let report = world.auditor().audit_public(study).await;
    listed(&report, &format!("(two-share-roots), proved on chain in transaction {}", receipt.transaction));
}

#[tokio::test]
async fn a_full_audit_names_a_wrong_settlement_as_an_offence_of_all_who_signed_it() {
    let mut world = World::new().await;
    let study = world.study().await;
    let played = world.play(study, "model", &framed()).await;
    world.served[3].put(played.path("aggregate"), to_bytes(&made_up()));
    let report = world.auditor().audit_full(study).await;
    let is_it = |line: &&consilium_audit::Line| line.reason.contains("an offence on the list (wrong-settlement), not proved");
    let line = report.with(Status::Note).find(is_it).unwrap_or_else(|| panic!("{report}"));
    assert!(line.reason.contains("signed by nodes [1, 2, 4, 5]"), "{report}");
    let accusation: Accusation = serde_json::from_value(line.evidence.clone()).unwrap();
    let receipt = world.ledger.accuse(&world.sponsor, &accusation).await.unwrap();
    world.edit_json(2, &played.path("statements"), |value| value["evidence"] = json!([accusation]));
    let report = world.auditor().audit_public(study).await;
    let proved = format!("(wrong-settlement), proved on chain in transaction {}", receipt.transaction);
    assert!(report.to_string().contains(&proved), "{proved}\n{report}");
}
