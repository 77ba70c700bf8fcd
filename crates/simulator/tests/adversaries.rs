//! Each adversary alone against five honest parties, over several seeds: the round closes, and nothing fails.

use consilium_simulator::{Cheat, Corruption, Lie, Network, NodeRole, Opening, Outcome, Scenario, SiteRole, check, run};

const SEEDS: u64 = 4;

/// Runs a scenario over several seeds; each must end settled.
fn settles(of_seed: impl Fn(u64) -> Scenario) {
    for seed in 0..SEEDS {
        let report = check(&of_seed(seed)).unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(report.outcomes.last(), Some(&Outcome::Settled), "{}", report.trace.join("\n"));
    }
}

/// The corrupt node sits where it leads the first view of round 1 (node 2 of five), or elsewhere.
fn with_node(role: NodeRole) -> impl Fn(u64) -> Scenario {
    move |seed| {
        let mut scenario = Scenario::honest(seed, 5, 1, 4);
        scenario.nodes[if seed % 2 == 0 { 1 } else { 3 }] = role;
        scenario.network = Network { max_delay: 300, loss: 50, duplicates: 50 };
        scenario
    }
}

fn with_cheat(cheat: Cheat) -> impl Fn(u64) -> Scenario {
    move |seed| {
        let mut scenario = Scenario::honest(seed, 5, 1, 4);
        scenario.sites[1] = SiteRole::Cheat(cheat);
        // A node that accepts and receipts everything is on the cheat's side: 2t nodes of its choice and t corrupt ones.
        scenario.nodes[4] = NodeRole::Corrupt(Corruption::YesVoter);
        scenario
    }
}

macro_rules! node_tests {
    ($($name:ident: $corruption:ident,)*) => {$(
        #[test]
        fn $name() {
            settles(with_node(NodeRole::Corrupt(Corruption::$corruption)));
        }
    )*};
}

node_tests! {
    a_wrong_share_with_its_own_root: WrongShare,
    a_served_share_that_is_not_the_signed_one: MismatchedShare,
    different_share_roots_for_different_nodes: TwoShareRoots,
    two_finals: TwoFinals,
    receipts_for_contributions_nobody_has: FalseReceipts,
    different_receipts_for_different_nodes: SplitReceipts,
    votes_for_anything: YesVoter,
    replays_of_old_messages: Replayer,
    a_leader_that_shows_its_proposal_to_some: SelectiveLeader,
    a_leader_that_omits_a_site: OmittingLeader,
    a_leader_that_changes_its_mind: FickleLeader,
    a_flood_of_proposals: Flooder,
    fishing_for_seeds: SeedFisher,
    garbage_for_seeds: BadRepairs,
    a_vote_that_only_the_chain_sees: HiddenVoter,
    intents_that_others_never_signed: ForgedIntents,
    a_leader_that_adds_a_site_of_its_own: ForeignSite,
    rewards_that_are_not_those_of_the_set: WrongRewards,
}

macro_rules! site_tests {
    ($($name:ident: $cheat:ident,)*) => {$(
        #[test]
        fn $name() {
            settles(with_cheat(Cheat::$cheat));
        }
    )*};
}

site_tests! {
    a_norm_over_the_bound_that_2t_nodes_accept: Norm,
    a_norm_that_wraps_around: Wrap,
    a_weight_out_of_range: Weight,
    altered_values: Values,
    an_altered_witness: Witness,
    an_altered_proof: Proof,
    another_rounds_context: Context,
    a_replay_from_another_round: Replay,
    values_too_short: Short,
    values_too_long: Long,
    values_that_are_not_canonical: NonCanonical,
    garbage_boxes_for_t_nodes: GarbageBoxes,
    empty_boxes_for_t_nodes: EmptyBoxes,
    wrong_seeds_for_t_nodes: WrongSeeds,
    two_contributions_of_one_site: Equivocate,
}

#[test]
fn a_silent_node() {
    settles(with_node(NodeRole::Silent));
}

#[test]
fn a_crash_and_a_restart_from_the_journal() {
    for (from, to) in [(0, 900), (700, 1_500), (1_000, 2_000), (1_500, 2_200), (2_000, 2_600), (2_500, 30_000)] {
        settles(with_node(NodeRole::Crashes(from, to)));
    }
}

/// Whatever moment the copy is of: nothing is signed twice, and the round closes.
#[test]
fn a_folder_that_is_restored_from_a_copy() {
    for (copied, killed, back) in
        [(0, 900, 1_000), (0, 2_000, 2_100), (700, 1_500, 1_600), (1_000, 2_500, 2_600), (0, 4_000, 9_000)]
    {
        settles(with_node(NodeRole::Restored(copied, killed, back)));
    }
}

/// Also between the certificate and its settlement: what they voted for is on their disks.
#[test]
fn all_nodes_that_restart_at_once() {
    for at in [300, 1_200, 1_800, 2_400, 3_000] {
        settles(|seed| {
            let mut scenario = Scenario::honest(seed, 5, 1, 4);
            scenario.nodes.fill(NodeRole::Crashes(at, at + 700));
            scenario
        });
    }
}

/// One silent, and all others restarted: what t silent nodes know is not needed.
#[test]
fn nodes_that_restart_at_once_wait_for_no_silent_one() {
    settles(|seed| {
        let mut scenario = Scenario::honest(seed, 5, 1, 4);
        scenario.nodes.fill(NodeRole::Crashes(1_500, 2_000));
        scenario.nodes[(seed % 5) as usize] = NodeRole::Silent;
        scenario
    });
}

/// Endpoints of everyone show an opening time that is 40 seconds too early: nodes that follow the chain take no part.
#[test]
fn an_opening_that_is_older_than_its_appearance_is_served_by_nobody() {
    for seed in 0..SEEDS {
        let opening = Opening { early: 40, stalled: false };
        let report = check(&Scenario { opening, ..Scenario::honest(seed, 5, 1, 4) }).unwrap();
        assert!(report.outcomes.iter().all(|outcome| *outcome == Outcome::Void), "{:?}", report.outcomes);
    }
}

/// The same after they showed nothing for a long time. By the false time the cutoff is 10 seconds after the opening; a site
/// that comes after 20 is in the set all the same, as nodes leave half of the time from their own first sight.
#[test]
fn endpoints_that_stall_everybody_and_show_a_false_opening_leave_no_site_out() {
    for seed in 0..SEEDS {
        let opening = Opening { early: 40, stalled: true };
        let mut scenario = Scenario { opening, ..Scenario::honest(seed, 5, 1, 5) };
        scenario.sites[0] = SiteRole::Late(20_000);
        scenario.sites[1] = SiteRole::Absent;
        let report = check(&scenario).unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(report.outcomes, [Outcome::Settled], "{}", report.trace.join("\n"));
    }
}

/// At n = 3t+1 one killed node stalls the round until it is back.
#[test]
fn four_nodes_wait_for_the_one_that_crashed() {
    for seed in 0..SEEDS {
        let mut scenario = Scenario::honest(seed, 4, 1, 4);
        scenario.nodes[(seed % 4) as usize] = NodeRole::Crashes(300, 10_000);
        let report = check(&scenario).unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(report.outcomes, [Outcome::Settled], "{}", report.trace.join("\n"));
    }
}

#[test]
fn an_endpoint_that_lies_to_one_node() {
    for lie in [Lie::Certificate, Lie::Votes] {
        settles(with_node(NodeRole::LiedTo(lie)));
    }
}

#[test]
fn two_endpoints_that_disagree() {
    settles(with_node(NodeRole::LiedToByOne));
}

/// Endpoints may lie to any number of nodes, and corrupt nodes sign every Final: rounds may get stuck, and no second sum
/// comes out.
#[test]
fn endpoints_that_lie_to_many_nodes_cost_liveness_and_nothing_else() {
    for seed in 0..SEEDS {
        let mut scenario = Scenario { window: 12, ..Scenario::honest(seed, 6, 1, 4) };
        for node in 0..=(seed % 4) as usize {
            scenario.nodes[node] = NodeRole::LiedTo(if node % 2 == 0 { Lie::Certificate } else { Lie::Votes });
        }
        scenario.nodes[5] = NodeRole::Corrupt(Corruption::TwoFinals);
        let report = run(&scenario);
        assert!(report.failures.is_empty(), "{:?}\n{}", report.failures, report.trace.join("\n"));
    }
}

#[test]
fn a_reorganisation_that_drops_the_certificate() {
    let mut dropped = 0;
    for seed in 0..3 * SEEDS {
        let scenario = Scenario { depth: Some(3), reorganises: true, ..Scenario::honest(seed, 5, 1, 3) };
        let report = check(&scenario).unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(report.outcomes, [Outcome::Settled], "{}", report.trace.join("\n"));
        dropped += report.trace.iter().filter(|line| line.contains("drops the certificate")).count();
    }
    assert!(dropped > 0);
}

#[test]
fn a_void_round_and_a_retry_on_the_same_subject() {
    for seed in 0..SEEDS {
        let mut scenario = Scenario::honest(seed, 5, 1, 4);
        scenario.minimum_cohort = 3;
        scenario.sites[..2].fill(SiteRole::MissesFirstRound);
        let report = check(&scenario).unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(report.outcomes, [Outcome::Void, Outcome::Settled], "{}", report.trace.join("\n"));
    }
}

#[test]
fn late_sites_miss_the_set_or_make_it() {
    for seed in 0..SEEDS {
        let mut scenario = Scenario::honest(seed, 5, 1, 5);
        scenario.sites[0] = SiteRole::Late(27_000 + 1_000 * seed);
        scenario.sites[3] = SiteRole::Late(50_000);
        settles(|_| scenario.clone());
    }
}

#[test]
fn nine_nodes_two_of_them_corrupt_and_two_cheats() {
    for (seed, pair) in Corruption::ALL.chunks(2).enumerate() {
        let mut scenario = Scenario::honest(seed as u64, 9, 2, 4);
        (scenario.nodes[1], scenario.nodes[6]) = (NodeRole::Corrupt(pair[0]), NodeRole::Corrupt(pair[1]));
        scenario.sites[0] = SiteRole::Cheat(Cheat::ALL[seed]);
        let report = check(&scenario).unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(report.outcomes.last(), Some(&Outcome::Settled), "{}", report.trace.join("\n"));
    }
}
