//! Journal before wire, one upload, genuine receipts only.

use crate::committee::Conduct;
use crate::world::{World, model, site_keys, update, wallet, weighted_mean};
use consilium_core::contribution::Contribution;
use consilium_core::cores::Cores;
use consilium_core::encode::Encoded;
use consilium_core::field::{Fp, to_bytes};
use consilium_core::mask::Seeds;
use consilium_core::program::AnyProgram;
use consilium_core::prove::prove_with;
use consilium_site::message::Message;
use consilium_site::nodes::NodeFault;
use consilium_site::{Error, Refusal};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failure_the_same_bytes_are_sent_again_by_a_new_process_too() {
    let world = World::new(weighted_mean()).await;
    let (terms, base) = (world.open(1, model().model_digest()).await, model().model_digest());
    (1..=5).for_each(|node| world.conduct(node, Conduct::FailsAfterReceiving));
    let mut config = world.config(1, &[1]).await;
    config.timeouts.deliver = 0.5;
    let site = world.site_of(config.clone(), 1);
    let error = site.contribute(1, terms.round, &update(1), 1, base).await.unwrap_err();
    assert!(matches!(&error, Error::Undelivered { needed: 4, .. }) && error.is_temporary(), "{error}");
    assert!(error.to_string().contains("500 internal"), "{error}");
    drop(site);

    (1..=5).for_each(|node| world.conduct(node, Conduct::Honest));
    let site = world.site_of(config, 1);
    let submitted = site.contribute(1, terms.round, &update(1), 1, base).await.unwrap();
    assert!(submitted.resumed);
    let received = world.committee.received();
    assert!(received.len() > 5);
    assert!(received.iter().all(|(_, body)| *body == received[0].1), "a retry sent other bytes");
    // Once the receipts exist, resuming uploads nothing.
    let again = site.resume(1, terms.round).await.unwrap();
    assert_eq!((again.digest, again.uploaded_to.len()), (submitted.digest, 0));
    // Another update for the same round is another digest.
    let refused = site.contribute(1, terms.round, &update(2), 1, base).await.unwrap_err();
    assert!(matches!(refused.refusal(), Some(Refusal::AnotherDigest { .. })), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_message_is_on_disk_when_the_first_byte_arrives() {
    let world = World::new(weighted_mean()).await;
    let (terms, base) = (world.open(1, model().model_digest()).await, model().model_digest());
    let config = world.config(1, &[1]).await;
    let messages = config.data.join("messages");
    let site = world.site_of(config, 1);
    let submitted = site.contribute(1, terms.round, &update(1), 1, base).await.unwrap();
    let stored = std::fs::read(messages.join(hex::encode(submitted.digest))).unwrap();
    assert_eq!(stored, world.committee.received()[0].1);
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_receipts_do_not_count_and_others_are_asked() {
    let world = World::new(weighted_mean()).await;
    let (terms, base) = (world.open(1, model().model_digest()).await, model().model_digest());
    (1..=5).for_each(|node| world.conduct(node, Conduct::ForgesReceipts));
    let mut config = world.config(1, &[1]).await;
    config.timeouts.deliver = 1.0;
    let site = world.site_of(config, 1);
    let error = site.contribute(1, terms.round, &update(1), 1, base).await.unwrap_err();
    let Error::Undelivered { have, attempts, .. } = &error else { panic!("{error}") };
    // Each forger can sign for itself.
    assert!(have.receipts.len() < 4, "{error}");
    assert!(attempts.iter().any(|failure| matches!(failure.fault, NodeFault::False(_))), "{error}");

    (2..=5).for_each(|node| world.conduct(node, Conduct::Honest));
    assert!(site.resume(1, terms.round).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_keeps_it_to_itself_is_passed_over() {
    let world = World::new(weighted_mean()).await;
    let (terms, base) = (world.open(1, model().model_digest()).await, model().model_digest());
    (1..=4).for_each(|node| world.conduct(node, Conduct::KeepsToItself));
    let submitted = world.site(1).await.contribute(1, terms.round, &update(1), 1, base).await.unwrap();
    assert!(submitted.uploaded_to.contains(&wallet(6).address()), "{submitted:?}");
    assert_eq!(submitted.cost.uploaded_bytes, submitted.uploaded_to.len() as u64 * (submitted.cost.message_bytes + 4));
}

/// Its patience with a node that answers is long; with one that is gone it has none, as the bytes may be gone too.
#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_die_with_the_only_copy_are_not_waited_for() {
    let world = World::new(weighted_mean()).await;
    let (terms, base) = (world.open(1, model().model_digest()).await, model().model_digest());
    (1..=4).for_each(|node| world.conduct(node, Conduct::DiesWithIt));
    let mut config = world.config(1, &[1]).await;
    (config.timeouts.receipts, config.timeouts.deliver) = (60.0, 20.0);
    let submitted = world.site_of(config, 1).contribute(1, terms.round, &update(1), 1, base).await.unwrap();
    assert!(submitted.uploaded_to.contains(&wallet(6).address()), "{submitted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_fails_slowly_or_is_gone_costs_time_only() {
    let world = World::new(weighted_mean()).await;
    let (terms, base) = (world.open(1, model().model_digest()).await, model().model_digest());
    let mut config = world.config(1, &[1]).await;
    config.timeouts.request = 0.5;
    (1..=2).for_each(|node| world.conduct(node, Conduct::Slow));
    world.conduct(3, Conduct::Garbage);
    config.nodes.insert(wallet(5).address(), "http://127.0.0.1:9".into());
    let submitted = world.site_of(config, 1).contribute(1, terms.round, &update(1), 1, base).await.unwrap();
    assert!(submitted.receipts.receipts.len() >= 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_lying_refusal_is_overruled_and_two_are_believed() {
    let world = World::new(weighted_mean()).await;
    let (terms, base) = (world.open(1, model().model_digest()).await, model().model_digest());
    for node in 1..=5 {
        world.conduct(node, Conduct::Refuses("proof"));
    }
    let site = world.site(1).await;
    let error = site.contribute(1, terms.round, &update(1), 1, base).await.unwrap_err();
    assert_eq!(world.committee.received().len(), 2, "a refusal was not believed, or a node asked twice");
    assert!(error.to_string().contains("400 proof: a message; a remedy"), "{error}");
    (1..=4).for_each(|node| world.conduct(node, Conduct::Honest));
    site.resume(1, terms.round).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hand_made_cheat_gets_the_nodes_verbatim_codes() {
    let world = World::new(weighted_mean()).await;
    let terms = world.open(1, model().model_digest()).await;
    let site = world.site(1).await;
    let prepared = site.prepare(1, terms.round).await.unwrap();
    let contributor = prepared.contributor(site.keys().signing());
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    // A cheat satisfies 2t nodes of its choice, here numbers 1 and 2: those give receipts, the others do not.
    let (fooled, node) = (&site.nodes()[&wallet(2).address()], &site.nodes()[&wallet(4).address()]);

    // Far too large, with the witness of an honest input.
    let (large, honest) = (Encoded::unchecked(vec![Fp::reduce(1 << 40); 6], 1), Encoded::unchecked(vec![Fp::ZERO; 6], 1));
    let ctx = prepared.context.of_site(site.address());
    let seeds = Seeds::draw(prepared.terms.committee.sizes(), &ctx, large.values(), &[1; 32], &mut rng);
    let AnyProgram::WeightedMean(program) = &prepared.terms.program else { unreachable!() };
    let proved = prove_with(prepared.terms.committee.sizes(), program, &ctx, &large, &seeds, |rows| {
        use consilium_core::program::Program;
        let mut stream = consilium_core::prove::rows_stream(rows);
        program.witness(honest.values(), 1, &mut |block| stream.fill_bytes(block))
    });
    let proved = proved.unwrap();
    let (contribution, values) =
        (contributor.seal_and_sign(Cores::ONE, &proved, &seeds, &mut rng), bytes::Bytes::from(to_bytes(&proved.values)));
    let code = |failure: consilium_site::nodes::NodeFailure| failure.fault.code().map(str::to_owned);
    let refused = node.upload(1, terms.round, Message::of_bytes(&contribution.to_bytes(), values.clone())).await.unwrap_err();
    assert_eq!(code(refused).as_deref(), Some("proof"));
    let fooled = fooled.upload(1, terms.round, Message::of_bytes(&contribution.to_bytes(), values.clone())).await.unwrap();
    assert_eq!(fooled.receipts.len(), 1);
    let refused = node.upload(1, terms.round, Message::of_bytes(&contribution.to_bytes(), values.slice(8..))).await.unwrap_err();
    assert_eq!(code(refused).as_deref(), Some("format"));
    let stranger = prepared.contributor(site_keys(9).signing()).sign(contribution.body.clone(), contribution.boxes.clone());
    let refused = node.upload(1, terms.round, Message::of_bytes(&stranger.to_bytes(), values.clone())).await.unwrap_err();
    assert_eq!(code(refused).as_deref(), Some("not-admitted"));
    let forged = Contribution { site: site_keys(2).address(), ..contribution };
    let refused = node.upload(1, terms.round, Message::of_bytes(&forged.to_bytes(), values.clone())).await.unwrap_err();
    assert_eq!(code(refused).as_deref(), Some("signature"));
    assert_eq!(site.journal().contribution(&consilium_site::journal::Slot::new(terms.domain, 1, terms.round)), None);
}
