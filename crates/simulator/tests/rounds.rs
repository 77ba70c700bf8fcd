//! One round, from contributions to a settlement that an auditor accepts.

use consilium_simulator::{Outcome, Report, Scenario, check};

fn settled(scenario: &Scenario) -> Report {
    let report = check(scenario).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(report.outcomes, [Outcome::Settled], "{}", report.trace.join("\n"));
    report
}

#[test]
fn five_sites_and_five_nodes_settle_and_are_audited() {
    settled(&Scenario::honest(1, 5, 1, 5));
}

#[test]
fn every_committee_size_settles() {
    for (n, t) in [(4, 1), (5, 1), (6, 1), (7, 2), (9, 2), (11, 2)] {
        settled(&Scenario::honest(2, n, t, 3));
    }
}

#[test]
fn a_ballot_settles() {
    settled(&Scenario { ballot: true, ..Scenario::honest(3, 5, 1, 5) });
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in [4, 5] {
        let scenario = Scenario::draw(seed);
        let (one, two) = (consilium_simulator::run(&scenario), consilium_simulator::run(&scenario));
        assert_eq!((one.trace, one.messages, one.elapsed), (two.trace, two.messages, two.elapsed));
    }
}
