//! Every fault comes back when its mend is switched off: the checker finds a counterexample, and for the right property.

use consilium_model::{INCLUDED, Mutation, NOT_PUNISHABLE, NOT_WEDGED, ONE_SUM, VOTED, explore, gate, mutants};

/// Explores a mutant of the configuration `name` and wants this property, and no other, to fail.
fn breaks(name: &str, mutation: Mutation, property: &str) {
    let mutant = mutants().into_iter().find(|bounds| bounds.name == name && bounds.mutation == Some(mutation));
    let report = explore(mutant.unwrap()).unwrap();
    let broken: Vec<_> = report.broken.iter().map(|(property, _)| *property).collect();
    assert_eq!(broken, [property], "{report}");
}

#[test]
fn nodes_that_believe_a_certificate_without_votes_release_what_nobody_voted_for() {
    breaks("votes-4", Mutation::BelievesCertificates, VOTED);
    breaks("votes-5", Mutation::BelievesCertificates, VOTED);
}

#[test]
fn an_opening_time_that_nothing_binds_has_nodes_vote_early() {
    breaks("opening-4", Mutation::UnboundOpening, INCLUDED);
}

#[test]
fn a_certificate_without_signatures_and_no_votes_after_it_wedge_a_round_of_five() {
    breaks("chain-5", Mutation::SilentCertificate, NOT_WEDGED);
}

#[test]
fn latecomers_that_vote_at_once_leave_sites_out() {
    breaks("opening-4", Mutation::HastyLatecomers, INCLUDED);
}

#[test]
fn a_site_that_contributes_again_after_a_void_round_is_in_two_sums() {
    breaks("studies-4", Mutation::ContributesAgain, ONE_SUM);
    breaks("epochs-4", Mutation::ContributesAgain, ONE_SUM);
}

#[test]
fn a_restored_node_that_nobody_remembers_signs_a_second_final() {
    breaks("restored-4", Mutation::NoIntents, NOT_PUNISHABLE);
    breaks("restored-5", Mutation::NoIntents, NOT_PUNISHABLE);
    breaks("retry-restored-4", Mutation::NoIntents, NOT_PUNISHABLE);
}

#[test]
fn a_restored_node_that_nobody_remembers_signs_a_second_settlement() {
    breaks("settling-5", Mutation::NoIntents, NOT_PUNISHABLE);
}

#[test]
fn every_mutant_is_of_a_configuration_that_holds() {
    for mutant in mutants() {
        let named = gate().into_iter().filter(|bounds| bounds.name == mutant.name).count();
        assert_eq!(named, 1, "{}", mutant.name);
    }
    let small = gate().into_iter().find(|bounds| bounds.name == "restored-4").unwrap();
    let report = explore(small).unwrap();
    assert!(report.is_good() && report.is_whole, "{report}");
}
