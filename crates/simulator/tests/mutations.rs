//! The oracle must notice nodes that are said to be honest and are broken. Each defect names the failure it must cause.

use consilium_simulator::{Cheat, Corruption, Defect, Failure, NodeRole, Opening, Scenario, SiteRole, run};

fn broken(nodes: &[usize], defect: Defect) -> impl Fn(u64) -> Scenario {
    move |seed| {
        let mut scenario = Scenario::honest(seed, 5, 1, 4);
        nodes.iter().for_each(|node| scenario.nodes[*node] = NodeRole::Broken(defect));
        scenario
    }
}

/// The failure is found in at least one of a few seeds.
fn is_noticed(of_seed: impl Fn(u64) -> Scenario, expected: impl Fn(&Failure) -> bool) {
    let found = (0..6).any(|seed| run(&of_seed(seed)).failures.iter().any(&expected));
    assert!(found, "the oracle noticed nothing");
}

#[test]
fn a_release_without_finals_is_noticed() {
    is_noticed(broken(&[2], Defect::HastyRelease), |failure| matches!(failure, Failure::EarlyRelease(_)));
}

#[test]
fn a_quorum_lowered_by_one_is_noticed() {
    is_noticed(broken(&[2], Defect::LowerQuorum), |failure| matches!(failure, Failure::EarlyRelease(_)));
}

#[test]
fn a_second_final_is_noticed() {
    is_noticed(broken(&[2], Defect::SecondFinal), |failure| matches!(failure, Failure::HonestPunishable(_)));
}

#[test]
fn accepting_without_verifying_is_noticed() {
    let scenario = |seed| {
        let mut scenario = broken(&[0, 1, 2, 3, 4], Defect::Believer)(seed);
        scenario.sites[1] = SiteRole::Cheat(Cheat::Proof);
        scenario
    };
    is_noticed(scenario, |failure| matches!(failure, Failure::IncludedCheat(_)));
}

#[test]
fn a_vote_for_a_set_that_omits_a_site_is_noticed() {
    let scenario = |seed| {
        let mut scenario = broken(&[0, 2, 3, 4], Defect::CarelessVoter)(seed);
        scenario.nodes[1] = NodeRole::Corrupt(Corruption::OmittingLeader);
        // One site never comes, so that the round is not closed early.
        scenario.sites[3] = SiteRole::Absent;
        scenario
    };
    is_noticed(scenario, |failure| matches!(failure, Failure::OmittedSite(_)));
}

#[test]
fn seeds_for_anyone_are_noticed() {
    let scenario = |seed| {
        let mut scenario = broken(&[2], Defect::LeakySeeds)(seed);
        scenario.sites[1] = SiteRole::Cheat(Cheat::WrongSeeds);
        scenario
    };
    is_noticed(scenario, |failure| matches!(failure, Failure::SeedToStranger(_)));
}

#[test]
fn seeds_in_the_clear_are_noticed() {
    let scenario = |seed| {
        let mut scenario = broken(&[2, 3], Defect::OpenSeeds)(seed);
        scenario.sites[1] = SiteRole::Cheat(Cheat::WrongSeeds);
        scenario
    };
    is_noticed(scenario, |failure| matches!(failure, Failure::SeedInTheClear(_)));
}

#[test]
fn a_wrong_sum_that_all_agree_on_is_noticed() {
    is_noticed(broken(&[0, 1, 2, 3, 4], Defect::Doubler), |failure| matches!(failure, Failure::WrongSum(_)));
}

#[test]
fn nodes_that_do_not_vote_are_noticed() {
    is_noticed(broken(&[0, 3], Defect::Abstainer), |failure| matches!(failure, Failure::Stuck(_)));
}

#[test]
fn a_final_for_whatever_an_endpoint_shows_is_noticed() {
    is_noticed(broken(&[0, 1, 2, 3, 4], Defect::BelievesCertificates), |failure| matches!(failure, Failure::Unvoted(_)));
}

#[test]
fn nodes_that_believe_a_false_opening_are_noticed() {
    let scenario = |seed| {
        let mut scenario = broken(&[0, 1, 2, 3, 4], Defect::BelievesOpenings)(seed);
        scenario.opening = Opening { early: 40, stalled: true };
        scenario.sites[1] = SiteRole::Late(20_000);
        scenario
    };
    is_noticed(scenario, |failure| matches!(failure, Failure::EarlyVote(_)));
}

/// And an honest run is not.
#[test]
fn honest_nodes_raise_no_alarm() {
    for seed in 0..6 {
        let report = run(&Scenario::honest(seed, 5, 1, 4));
        assert!(report.failures.is_empty(), "{:?}", report.failures);
    }
}
