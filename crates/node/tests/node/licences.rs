//! What a licence opens, and what it does not.

use crate::harness::World;
use alloy_primitives::{Address, U256};
use consilium_core::eip712::SecretKey;
use consilium_ledger::Offer;

/// Buys a licence for an account; the sponsor pays.
pub(crate) async fn license(world: &World, account: Address) {
    let (ledger, sponsor) = (&world.ledger, &world.sponsor);
    let currency = ledger.currency(1).await.unwrap();
    ledger.mint_trial_coins(sponsor, currency, sponsor.address(), U256::from(5)).await.unwrap();
    ledger.set_offer(sponsor, 1, Offer { price: U256::from(5), royalty: 0 }).await.unwrap();
    ledger.buy_licences(sponsor, 1, 1, U256::from(5), account).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_licence_is_for_aggregates_of_settled_rounds_and_nothing_else() {
    let world = World::start(4, 2).await;
    let [holder, late] = [77, 78].map(|number| SecretKey::from_bytes(&[number; 32]).unwrap());
    license(&world, holder.address()).await;

    let round = world.open_round(1, 600).await;
    let number = round.terms.round;
    let mut digests = Vec::new();
    for site in 0..2 {
        assert_eq!(world.get(0, number, "/aggregate", Some(&holder)).await.0, 503, "nothing is settled yet");
        let (status, answer) = world.upload(0, number, world.contribution(&round.terms, site).body()).await;
        assert_eq!(status, 200);
        digests.push(answer["digest"].as_str().unwrap().to_owned());
    }
    world.settled(number).await;
    world.eventually("the aggregate is served", async || world.get(0, number, "/aggregate", Some(&holder)).await.0 == 200).await;
    let site = world.get(0, number, "/aggregate", Some(&world.sites[0])).await.1;
    assert_eq!(world.get(0, number, "/aggregate", Some(&holder)).await.1, site);
    for what in ["header", "values"] {
        let rest = format!("/contributions/{}/{what}", digests[0]);
        assert_eq!(world.get(0, number, &rest, Some(&holder)).await.0, 403, "{what}");
    }
    assert_eq!(world.get(0, number, "/share", Some(&holder)).await.0, 403);

    // Who was refused is let in once the chain says so; the refusal is not remembered for long.
    assert_eq!(world.get(0, number, "/aggregate", Some(&late)).await.0, 403);
    license(&world, late.address()).await;
    world.eventually("the licence counts", async || world.get(0, number, "/aggregate", Some(&late)).await.0 == 200).await;
}
