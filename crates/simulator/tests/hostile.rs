//! Scenarios that the drawn ones do not come to.

use consilium_simulator::{Cheat, Failure, NodeRole, Scenario, SiteRole, run};

/// A node is set back to before its receipt, which the others have heard; they are started again at the same time, with their own
/// folders. One restored node, no liar, nobody silent.
#[test]
fn a_receipt_that_others_heard_is_not_given_twice_after_all_are_started_again() {
    let mut twice = Vec::new();
    for seed in 0..200 {
        let mut scenario = Scenario::honest(seed, 5, 1, 4);
        scenario.sites[1] = SiteRole::Cheat(Cheat::Equivocate);
        let killed = 600 + seed * 13 % 1_500;
        scenario.nodes = (0..5).map(|_| NodeRole::Crashes(killed, killed + 300)).collect();
        scenario.nodes[(seed % 5) as usize] = NodeRole::Restored(1, killed, killed + 300);
        let report = run(&scenario);
        if report.failures.iter().any(|failure| matches!(failure, Failure::HonestPunishable(_))) {
            twice.push((seed, report.failures));
        }
    }
    assert!(twice.is_empty(), "{} of 200 seeds, the first: {:?}", twice.len(), twice.first());
}
