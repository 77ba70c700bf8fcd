//! From an update to a checked aggregate, and what a lying node can do about it: nothing.

use crate::committee::Conduct;
use crate::world::{CLIP, World, ballot, model, site_keys, update, wallet, weighted_mean};
use alloy_primitives::B256;
use consilium_core::encode::error_bound;
use consilium_core::program::WeightedMean;
use consilium_site::nodes::NodeFault;
use consilium_site::{Checked, Error, Inclusion, Outcome, Refusal, Site};

async fn settled(site: &Site, study: u64, round: u64) -> Box<Checked> {
    match site.await_result(study, round).await.unwrap() {
        Outcome::Settled(checked) => checked,
        other => panic!("{other:?}"),
    }
}

/// Three sites contribute to a round on `base` and it is settled.
async fn round(world: &World, sites: &[Site], base: B256) -> u64 {
    let terms = world.open(1, base).await;
    for (number, site) in (1..).zip(sites) {
        let submitted = site.contribute(1, terms.round, &update(number), u64::from(number), base).await.unwrap();
        assert!(submitted.receipts.receipts.len() >= 4);
        assert_eq!(submitted.uploaded_to.len(), 1);
        assert_eq!(submitted.cost.uploaded_bytes, submitted.cost.message_bytes + 4);
    }
    world.close(&terms).await;
    terms.round
}

async fn three(world: &World) -> Vec<Site> {
    vec![world.site(1).await, world.site(2).await, world.site(3).await]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mean_of_three_updates_comes_back_checked_and_leads_to_the_next_round() {
    let world = World::new(weighted_mean()).await;
    let (sites, base) = (three(&world).await, model());
    let number = round(&world, &sites, base.model_digest()).await;
    let (checked, second) = (settled(&sites[0], 1, number).await, settled(&sites[1], 1, number).await);
    assert_eq!((&checked.inclusion, &checked.aggregate), (&Inclusion::Included, &second.aggregate));
    assert_eq!((checked.aggregate.total_weight(), checked.aggregate.cohort_size()), (6, 3));
    assert_eq!(checked.faults, []);
    let program = WeightedMean::new(6, 25, 8, 128, CLIP).unwrap();
    let bound = error_bound(&program, 3, 6);
    for (k, &mean) in checked.aggregate.mean().iter().enumerate() {
        let exact = (1..=3).map(|i| update(i)[k] * f64::from(i)).sum::<f64>() / 6.0;
        assert!((mean - exact).abs() <= bound, "{k}: {mean} {exact}");
    }
    // The successor that one site has computed is a base model for it, and for the others only once they have, too.
    let next = sites[0].successor(1, &base, &checked).await.unwrap();
    let terms = world.open(1, next.model_digest()).await;
    sites[0].contribute(1, terms.round, &update(1), 1, next.model_digest()).await.unwrap();
    let refused = sites[1].contribute(1, terms.round, &update(2), 1, next.model_digest()).await.unwrap_err();
    assert!(matches!(refused.refusal(), Some(Refusal::UnknownBaseModel { study: 1, .. })), "{refused}");
    sites[1].successor(1, &base, &second).await.unwrap();
    sites[1].contribute(1, terms.round, &update(2), 1, next.model_digest()).await.unwrap();
    // A third one has its own reasons to trust it.
    sites[2].trust_model(1, next.model_digest()).await.unwrap();
    sites[2].contribute(1, terms.round, &update(3), 1, next.model_digest()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ballot_is_counted() {
    let world = World::new(ballot()).await;
    let (sites, question) = (three(&world).await, B256::repeat_byte(9));
    let terms = world.open(1, question).await;
    for (site, choice) in sites.iter().zip([2, 0, 2]) {
        site.vote(1, terms.round, choice, Some(question)).await.unwrap();
    }
    world.close(&terms).await;
    let checked = settled(&sites[1], 1, terms.round).await;
    assert_eq!(checked.aggregate.sums(), [1, 0, 2]);
    assert_eq!(checked.aggregate.total_weight(), 3);
    let other = sites[0].vote(1, terms.round, 1, Some(B256::ZERO)).await.unwrap_err();
    assert!(other.refusal().is_some(), "{other}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_aggregates_and_sets_are_refused_by_name_and_the_next_node_is_asked() {
    let world = World::new(weighted_mean()).await;
    let sites = three(&world).await;
    let number = round(&world, &sites, model().model_digest()).await;
    let truth = settled(&sites[0], 1, number).await;
    let wrong = [
        (Conduct::WrongAggregate, "the chain says"),
        (Conduct::TruncatedAggregate, "wrong form"),
        (Conduct::NonCanonicalAggregate, "wrong form"),
        (Conduct::LongAggregate, "more than the"),
        (Conduct::WrongSet, "a set of 2 sites"),
        (Conduct::Garbage, "honest node"),
    ];
    for (conduct, words) in wrong {
        (1..=4).for_each(|node| world.conduct(node, conduct));
        let checked = settled(&sites[0], 1, number).await;
        assert_eq!(checked.aggregate, truth.aggregate);
        for fault in &checked.faults {
            let said = fault.to_string();
            assert!(said.contains(words) || said.contains("wrong form"), "{said}");
            assert!((2..=5).any(|number| wallet(number).address() == fault.node));
        }
        world.conduct(5, conduct);
        let error = sites[0].await_result(1, number).await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        world.conduct(5, Conduct::Honest);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_was_left_out_keeps_its_receipts_as_proof() {
    let world = World::new(weighted_mean()).await;
    let (sites, base) = (three(&world).await, model().model_digest());
    let terms = world.open(1, base).await;
    for (number, site) in (1..).zip(&sites) {
        site.contribute(1, terms.round, &update(number), 1, base).await.unwrap();
    }
    world.committee.omit(site_keys(2).address());
    world.close(&terms).await;
    let checked = settled(&sites[1], 1, terms.round).await;
    let Inclusion::Omitted { proof: Some(proof) } = checked.inclusion else { panic!("{:?}", checked.inclusion) };
    proof.check(&terms.domain, &terms.committee, 1, terms.round).unwrap();
    assert_eq!(settled(&sites[0], 1, terms.round).await.inclusion, Inclusion::Included);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_void_round_frees_its_subject_and_an_abandoned_one_does_not() {
    let world = World::new(weighted_mean()).await;
    let (sites, base) = (three(&world).await, model().model_digest());
    let first = world.open(1, base).await;
    sites[0].contribute(1, first.round, &update(1), 1, base).await.unwrap();
    world.tick(100);
    assert_eq!(sites[0].await_result(1, first.round).await.unwrap(), Outcome::Void);
    world.ledger.void_round(&world.sponsor, 1, first.round).await.unwrap();

    let second = world.open(1, base).await;
    for (number, site) in (1..).zip(&sites) {
        site.contribute(1, second.round, &update(number), 1, base).await.unwrap();
    }
    let running = sites[0].await_result(1, second.round).await.unwrap_err().to_string();
    assert!(running.contains("still open"), "{running}");
    world.committee.certify(&world.ledger, &world.sponsor, &second).await;
    world.tick(200);
    assert_eq!(sites[0].await_result(1, second.round).await.unwrap(), Outcome::Abandoned);
    world.ledger.abandon_round(&world.sponsor, 1, second.round).await.unwrap();
    let study = world.study(weighted_mean(), 2).await;
    let third = world.open(study, base).await;
    drop(sites);
    let config = world.config(1, &[1, study]).await;
    let site = world.site_of(config, 1);
    let refused = site.contribute(study, third.round, &update(1), 1, base).await.unwrap_err();
    assert!(matches!(refused.refusal(), Some(Refusal::SubjectElsewhere { .. })), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lying_node_is_named_with_what_it_did_and_one_that_was_asked_too_early_is_not() {
    let world = World::new(weighted_mean()).await;
    let sites = three(&world).await;
    let number = round(&world, &sites, model().model_digest()).await;
    // The order of asking is the site's: with one honest node of five, and then another one, liars are asked in one of the two cases.
    let all_but = |honest: u8, conduct| {
        (1..=5).for_each(|node| world.conduct(node, if node == honest { Conduct::Honest } else { conduct }));
    };
    let mut named = 0;
    for honest in [5, 1] {
        all_but(honest, Conduct::WrongAggregate);
        let checked = settled(&sites[2], 1, number).await;
        assert!(checked.faults.iter().all(|failure| matches!(failure.fault, NodeFault::False(_))), "{:?}", checked.faults);
        named += checked.faults.len();
        all_but(honest, Conduct::Behind);
        assert_eq!(settled(&sites[2], 1, number).await.faults, []);
    }
    assert!(named > 0);
    // Where nobody has it, the error says what each of them said.
    world.conduct(1, Conduct::Behind);
    let error = sites[2].await_result(1, number).await.unwrap_err();
    let Error::NoResult { what: "aggregate", faults, .. } = &error else { panic!("{error}") };
    assert_eq!(faults.len(), 5, "{error}");
    assert!(faults.iter().all(|failure| failure.fault.is_early()), "{error}");
}
