//! Scenarios that the drawn ones do not come to.

use consilium_simulator::{Cheat, Failure, NodeRole, Scenario, SiteRole, run};

/// Seeds in which an honest node signs two receipts: it is set back to before its first, and a site has two contributions. The others
/// are as `others` says.
fn twice(seeds: u64, others: impl Fn(u64) -> NodeRole) -> Vec<u64> {
    let signs_twice = |seed: &u64| {
        let seed = *seed;
        let mut scenario = Scenario::honest(seed, 5, 1, 4);
        scenario.sites[1] = SiteRole::Cheat(Cheat::Equivocate);
        let killed = 600 + seed * 13 % 1_500;
        scenario.nodes = (0..5).map(|_| others(killed)).collect();
        scenario.nodes[(seed % 5) as usize] = NodeRole::Restored(1, killed, killed + 300);
        run(&scenario).failures.iter().any(|failure| matches!(failure, Failure::HonestPunishable(_)))
    };
    (0..seeds).filter(signs_twice).collect()
}

/// What peers have heard they forget when they are started again, with their own folders: one restored node, no liar, nobody silent.
#[test]
fn a_receipt_that_others_heard_is_not_given_twice_after_all_are_started_again() {
    let (alone, together) = (twice(200, |_| NodeRole::Honest), twice(200, |killed| NodeRole::Crashes(killed, killed + 300)));
    // Those that nobody had heard yet are a known gap.
    assert!(together.len() <= alone.len(), "of 200 seeds {alone:?} if it alone is started again, {together:?} if all are");
}
