//! Seeds that once failed, by what was wrong.

use consilium_simulator::{Cheat, Corruption, Network, NodeRole, Outcome, Scenario, SiteRole, check};

fn settles(scenario: &Scenario) {
    let report = check(scenario).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(report.outcomes.last(), Some(&Outcome::Settled), "{}", report.trace.join("\n"));
}

/// Every garbage seed was answered with a request for seeds, which was answered with garbage.
#[test]
fn garbage_seeds_do_not_set_off_a_storm() {
    let mut scenario = Scenario { dimension: 11, depth: Some(1), ..Scenario::honest(96, 4, 1, 4) };
    scenario.nodes[2] = NodeRole::Corrupt(Corruption::BadRepairs);
    scenario.sites[..2].copy_from_slice(&[SiteRole::Cheat(Cheat::Context), SiteRole::Cheat(Cheat::Replay)]);
    scenario.network = Network { max_delay: 20, loss: 100, duplicates: 50 };
    settles(&scenario);
}

/// Nodes forgot a set that they had voted for when its proposer proposed another one; the certificate of the first
/// could then never be settled.
#[test]
fn a_voted_set_is_not_forgotten() {
    let mut scenario = Scenario { dimension: 5, ..Scenario::honest(163, 6, 1, 5) };
    scenario.nodes[1] = NodeRole::Corrupt(Corruption::FickleLeader);
    scenario.sites[4] = SiteRole::Cheat(Cheat::WrongSeeds);
    scenario.network.duplicates = 50;
    settles(&scenario);
}

/// One node had a certificate that the others could not have, as they had kept the corrupt node's other receipt; it voted
/// for nothing without that contribution, the others for nothing with it.
#[test]
fn split_receipts_do_not_divide_the_honest_nodes() {
    for seed in 0..12 {
        let mut scenario = Scenario::honest(seed, 5, 1, 4);
        scenario.nodes[4] = NodeRole::Corrupt(Corruption::SplitReceipts);
        scenario.sites[0] = SiteRole::Cheat(Cheat::Equivocate);
        settles(&scenario);
    }
}

/// A node that signs whatever it sees signs one receipt first and the other between those of the rest: with them it makes
/// a quorum, and an honest voter that has seen all of them must not leave the site out.
#[test]
fn a_later_receipt_of_a_node_counts_between_those_of_others() {
    let mut scenario = Scenario { dimension: 12, ballot: true, depth: Some(3), ..Scenario::honest(1417, 5, 1, 4) };
    scenario.reorganises = true;
    scenario.nodes[3] = NodeRole::Corrupt(Corruption::YesVoter);
    scenario.sites[2] = SiteRole::Cheat(Cheat::Equivocate);
    scenario.network = Network { max_delay: 500, loss: 0, duplicates: 50 };
    settles(&scenario);
    for seed in 0..12 {
        let mut scenario = Scenario::honest(seed, 5, 1, 4);
        scenario.nodes[3] = NodeRole::Corrupt(Corruption::YesVoter);
        scenario.sites[2] = SiteRole::Cheat(Cheat::Equivocate);
        settles(&scenario);
    }
}

/// Whoever had news never asked for what it lacked; a corrupt node can always make news.
#[test]
fn a_flooder_does_not_keep_nodes_from_asking() {
    for seed in 0..12 {
        let mut scenario = Scenario::honest(seed, 5, 1, 4);
        scenario.nodes[2] = NodeRole::Corrupt(Corruption::Flooder);
        scenario.network.loss = 300;
        settles(&scenario);
    }
}

/// A corrupt node sends receipts of a void round again in the next one: nobody may count them, and nobody is at fault for
/// not doing so.
#[test]
fn receipts_of_an_earlier_round_count_for_nothing() {
    for seed in 0..60 {
        let mut scenario = Scenario::honest(seed, 5, 1, 3);
        scenario.nodes[0] = NodeRole::Corrupt(Corruption::Replayer);
        scenario.sites = vec![SiteRole::Cheat(Cheat::Long), SiteRole::Honest, SiteRole::MissesFirstRound];
        scenario.minimum_cohort = 2;
        scenario.network = Network { max_delay: 500, loss: 20, duplicates: 50 };
        settles(&scenario);
    }
}
