//! What a node tells a site of its own contributions, so that a restored data folder signs nothing twice.

use crate::harness::World;
use consilium_core::accusation::SignedContribution;
use consilium_core::eip712::SecretKey;
use serde_json::Value;

const ROUTE: &str = "/contributions";

async fn held(world: &World, node: usize, round: u64, key: &SecretKey) -> (Vec<SignedContribution>, usize) {
    let (status, body) = world.get(node, round, ROUTE, Some(key)).await;
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    let mut answer: Value = serde_json::from_slice(&body).unwrap();
    let receipts = answer["receipts"].as_array().unwrap().len();
    (serde_json::from_value(answer["contributions"].take()).unwrap(), receipts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_and_nobody_else_learns_what_is_held_under_its_address() {
    let mut world = World::start(4, 2).await;
    let round = world.open_round(1, 600).await;
    let number = round.terms.round;
    let (own, other, stranger) = (world.sites[0].clone(), world.sites[1].clone(), SecretKey::from_bytes(&[78; 32]).unwrap());
    assert_eq!(held(&world, 0, number, &own).await, (Vec::new(), 0));

    // Node 4 cannot judge this one, and holds it.
    let mut sent = world.contribution(&round.terms, 0);
    world.resealed(&round.terms, 0, &mut sent, |boxes| boxes[3].fill(1));
    assert_eq!(world.upload(0, number, sent.body()).await.0, 200);
    let digest = sent.header.authenticate(&round.terms.domain, &round.terms.context()).unwrap();
    for node in 0..4 {
        world.eventually("every node holds it", async || !held(&world, node, number, &own).await.0.is_empty()).await;
        let (contributions, _) = held(&world, node, number, &own).await;
        let [said] = &contributions[..] else { panic!("{contributions:?}") };
        assert_eq!(said.digest, digest);
        round.terms.domain.check(&said.statement(1, number, own.address()), &said.signature, own.address()).unwrap();
        assert!(held(&world, node, number, &other).await.0.is_empty());
    }
    assert!(held(&world, 0, number, &own).await.1 > 0);
    let (member, sponsor) = (world.member_key(1), world.sponsor.key().unwrap());
    for (key, expected) in [(None, 401), (Some(&stranger), 403), (Some(member), 403), (Some(sponsor), 403)] {
        assert_eq!(world.get(0, number, ROUTE, key).await.0, expected);
    }

    world.kill_node(1);
    world.start_node(1).await;
    world.eventually("the round is back", async || world.get(1, number, ROUTE, Some(&own)).await.0 == 200).await;
    assert_eq!(held(&world, 1, number, &own).await.0[0].digest, digest);
}
