//! Which certificate counts: the one whose votes a node holds, whatever an endpoint shows; and when a latecomer votes.

use super::{
    AFTER_CUTOFF, IN_TIME, LEADER, ME, NONE, START, certified, cohort, final_of, hear, hold, joined, member, nobody, proposal,
    proposal_of, receipt, receipts, shown, signed, statements, terms, votes, votes_of,
};
use alloy_primitives::B256;
use consilium_core::certify::{Cohort, SetMember};
use consilium_core::round::{ChainEvent, Effect, Event, Kept, Message, Round, SignedVote, Stage, Statement};
use consilium_core::terms::Terms;

const FINAL: Event = Event::Chain(ChainEvent::CertificateFinal);

/// All five nodes in a round with four sites that are held and certified everywhere.
fn committee(terms: &Terms) -> Vec<Round> {
    let round = |me| {
        let mut round = joined(terms, me, IN_TIME, Kept::default());
        hold(&mut round, IN_TIME, &[0, 1, 2, 3]);
        hear(&mut round, IN_TIME, if me == 2 { 3 } else { 2 }, receipts(terms, &[0, 1, 2, 3]));
        round
    };
    (1..=5).map(round).collect()
}

/// Shows every node a certificate with these votes, names its set, and calls it final: how many sign anything.
fn signers_of(terms: &Terms, set: &Cohort, votes: &[SignedVote]) -> usize {
    let mut rounds = committee(terms);
    let show = |(place, round): (usize, &mut Round)| {
        let mut effects = round.apply(AFTER_CUTOFF, shown(set, votes.to_vec()));
        effects.extend(hear(round, AFTER_CUTOFF, 1 + (place + 1) % 5, Message::Cohort(set.clone())));
        effects.extend(round.apply(AFTER_CUTOFF, FINAL));
        let about_the_end = |statement: &&Statement| !matches!(statement, Statement::Vote(_) | Statement::Receipt(_));
        usize::from(statements(&effects).iter().any(about_the_end))
    };
    rounds.iter_mut().enumerate().map(show).sum()
}

#[test]
fn a_certificate_that_an_endpoint_invents_has_nobody_sign_a_final() {
    let terms = terms(4);
    // A victim and one site that colludes: both others had their receipts in time.
    let chosen = cohort(&[0, 3]);
    assert_eq!(signers_of(&terms, &chosen, &[]), 0, "without votes");
    assert_eq!(signers_of(&terms, &chosen, &votes_of(&terms, &[5], &chosen)), 0, "with those of t corrupt nodes");
    assert_eq!(signers_of(&terms, &chosen, &votes_of(&terms, &[3, 4, 5], &chosen)), 0, "with Q - 1");
    let one = votes_of(&terms, &[5], &chosen).remove(0);
    let forged = (1..=5).map(|node| SignedVote { node, ..one.clone() });
    assert_eq!(signers_of(&terms, &chosen, &forged.collect::<Vec<_>>()), 0, "with one node's vote under all names");
    let other = votes_of(&terms, &[2, 3, 4, 5], &cohort(&[0, 1, 2, 3]));
    assert_eq!(signers_of(&terms, &chosen, &other), 0, "with votes for another set");
    let size = |vote: SignedVote| SignedVote { size: 3, ..vote };
    let of_size = votes_of(&terms, &[2, 3, 4, 5], &chosen).into_iter().map(size);
    assert_eq!(signers_of(&terms, &chosen, &of_size.collect::<Vec<_>>()), 0, "with votes for another size");
    let whole = cohort(&[0, 1, 2, 3]);
    assert_eq!(signers_of(&terms, &whole, &votes_of(&terms, &[2, 3, 4, 5], &whole)), 5, "with Q votes");
}

#[test]
fn votes_that_came_by_gossip_back_a_certificate_whose_event_shows_none() {
    let terms = terms(4);
    let set = cohort(&[0, 1]);
    let mut round = joined(&terms, ME, IN_TIME, Kept::default());
    hold(&mut round, IN_TIME, &[0, 1]);
    hear(&mut round, AFTER_CUTOFF, LEADER, proposal(&terms, set.clone()));
    round.apply(AFTER_CUTOFF, shown(&set, Vec::new()));
    round.apply(AFTER_CUTOFF, FINAL);
    for vote in votes_of(&terms, &[2, 4], &set) {
        assert!(statements(&hear(&mut round, AFTER_CUTOFF, vote.node, Message::Vote(vote.clone()))).is_empty());
        assert_eq!(round.stage(), Stage::Collecting);
    }
    let last = votes_of(&terms, &[5], &set).remove(0);
    let effects = hear(&mut round, AFTER_CUTOFF, 5, Message::Vote(last));
    assert!(matches!(statements(&effects)[..], [Statement::Intent { .. }]), "{effects:?}");
    assert_eq!(round.stage(), Stage::Final);
}

#[test]
fn a_certificate_that_was_invented_gives_way_to_the_true_one() {
    let terms = terms(4);
    let mut round = committee(&terms).remove(0);
    round.apply(AFTER_CUTOFF, shown(&cohort(&[0, 3]), Vec::new()));
    round.apply(AFTER_CUTOFF, FINAL);
    assert_eq!(round.stage(), Stage::Collecting);
    let whole = cohort(&[0, 1, 2, 3]);
    assert_eq!(votes(&hear(&mut round, AFTER_CUTOFF, LEADER, proposal(&terms, whole.clone()))), [whole.root()]);
    round.apply(AFTER_CUTOFF, shown(&whole, votes_of(&terms, &[2, 3, 4, 5], &whole)));
    assert_eq!(round.stage(), Stage::Certified);
    assert!(!statements(&round.apply(AFTER_CUTOFF, FINAL)).is_empty());
}

#[test]
fn a_node_votes_for_the_certified_set_after_the_certificate_and_for_no_other() {
    let terms = terms(4);
    let (set, other) = (cohort(&[0, 1]), cohort(&[0, 1, 2]));
    let mut round = joined(&terms, ME, IN_TIME, Kept::default());
    hold(&mut round, AFTER_CUTOFF, &[0, 1]);
    hear(&mut round, AFTER_CUTOFF, LEADER, Message::Cohort(set.clone()));
    round.apply(AFTER_CUTOFF, shown(&set, votes_of(&terms, &[2, 3, 4, 5], &set)));
    hear(&mut round, AFTER_CUTOFF, LEADER, Message::Cohort(set.clone()));
    assert_eq!(round.stage(), Stage::Certified);
    // It lacked the receipts until now.
    assert_eq!(votes(&hear(&mut round, AFTER_CUTOFF, 2, receipts(&terms, &[0, 1]))), [set.root()]);
    hold(&mut round, AFTER_CUTOFF, &[2]);
    hear(&mut round, AFTER_CUTOFF, 2, receipts(&terms, &[2]));
    assert_eq!(votes(&hear(&mut round, AFTER_CUTOFF, LEADER, proposal(&terms, other))), NONE);
}

#[test]
fn votes_for_the_certified_set_are_not_pruned() {
    let terms = terms(4);
    let mut round = certified(&terms);
    for (node, sites) in [(2, [0, 2]), (3, [1, 2]), (4, [0, 3]), (5, [1, 3])] {
        hear(&mut round, AFTER_CUTOFF, node, proposal_of(&terms, node, cohort(&sites)));
    }
    let effects = round.apply(AFTER_CUTOFF, FINAL);
    assert!(matches!(statements(&effects)[..], [Statement::Intent { .. }]), "{effects:?}");
    let answer = hear(&mut round, AFTER_CUTOFF, 2, Message::Sync { receipts: Default::default() });
    let root = cohort(&[0, 1]).root();
    let told = |effect: &&Effect| matches!(effect, Effect::Send { message: Message::Vote(vote), .. } if vote.set_root == root);
    assert_eq!(answer.iter().filter(told).count(), 4);
}

#[test]
fn a_node_that_saw_the_round_late_votes_late_or_when_all_are_there() {
    let terms = terms(4);
    let late = |all: bool, now: u64| {
        let kept = Kept { late_since: Some(IN_TIME), ..Kept::default() };
        let mut round = joined(&terms, ME, IN_TIME, kept);
        let sites: &[u32] = if all { &[0, 1, 2, 3] } else { &[0, 3] };
        hold(&mut round, IN_TIME, sites);
        hear(&mut round, IN_TIME, 2, receipts(&terms, sites));
        let set = cohort(sites);
        votes(&hear(&mut round, now, LEADER, proposal(&terms, set)))
    };
    // From 1,040 s to the deadline at 1,100 s: half of it is over at 1,070 s.
    assert_eq!(late(false, AFTER_CUTOFF), NONE);
    assert_eq!(late(false, 1_069_999), NONE);
    assert_eq!(late(false, 1_070_000), [cohort(&[0, 3]).root()]);
    assert_eq!(late(true, AFTER_CUTOFF), [cohort(&[0, 1, 2, 3]).root()]);
}

#[test]
fn a_node_that_saw_the_round_late_insists_on_what_it_knew_before_its_own_cutoff() {
    let terms = terms(4);
    let voted = |learned_at: u64| {
        let kept = Kept { late_since: Some(IN_TIME), ..Kept::default() };
        let mut round = joined(&terms, ME, IN_TIME, kept);
        hold(&mut round, IN_TIME, &[0, 1, 3]);
        hear(&mut round, IN_TIME, 2, receipts(&terms, &[0, 3]));
        // After the scheduled cutoff at 1,050 s.
        hear(&mut round, learned_at, 2, receipts(&terms, &[1]));
        votes(&hear(&mut round, 1_070_000, LEADER, proposal(&terms, cohort(&[0, 3]))))
    };
    // Its Δ is a fifth of a third of 30 s.
    assert_eq!(voted(1_068_000), NONE);
    assert_eq!(voted(1_068_001), [cohort(&[0, 3]).root()]);
}

#[test]
fn two_certificates_of_one_site_leave_a_set_to_vote_for() {
    let terms = terms(4);
    let mut round = joined(&terms, ME, IN_TIME, Kept::default());
    hold(&mut round, IN_TIME, &[0, 1, 2]);
    hear(&mut round, IN_TIME, 2, receipts(&terms, &[0, 1, 2]));
    let other = SetMember { site: member(2).site, digest: B256::repeat_byte(0xee) };
    let second = (2..=5).map(|node| receipt(&terms, node, other)).collect();
    hear(&mut round, IN_TIME, 3, Message::Receipts(second));
    let said = |round: &mut Round, set: &[u32]| votes(&hear(round, AFTER_CUTOFF, LEADER, proposal(&terms, cohort(set))));
    assert_eq!(said(&mut round, &[0, 2]), NONE, "a site with one certificate is left out");
    assert_eq!(said(&mut round, &[0, 1]), [cohort(&[0, 1]).root()]);
}

#[test]
fn a_set_is_released_on_q_finals_for_it_and_not_on_its_certificate() {
    let terms = terms(4);
    let mut round = certified(&terms);
    let effects = round.apply(AFTER_CUTOFF, FINAL);
    let effects = signed(&terms, &mut round, AFTER_CUTOFF, effects);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Release(_))));
    let mut forged = final_of(&terms, 2, &cohort(&[0, 1]));
    if let Message::Final(said) = &mut forged {
        said.signature = nobody();
    }
    for message in [forged, final_of(&terms, 2, &cohort(&[0, 1])), final_of(&terms, 3, &cohort(&[0, 1]))] {
        let effects = hear(&mut round, AFTER_CUTOFF, 2, message);
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::Release(_))), "{effects:?}");
    }
    let effects = hear(&mut round, AFTER_CUTOFF, 4, final_of(&terms, 4, &cohort(&[0, 1])));
    assert!(matches!(effects[..], [Effect::Release(_)]), "{effects:?}");
}

#[test]
fn a_contribution_is_bound_to_the_opening_time() {
    let shown = terms(4);
    let mut lied_to = terms(4);
    lied_to.policy.opened = 1;
    lied_to.check().unwrap();
    assert_ne!(shown.context(), lied_to.context());
}

#[test]
fn what_endpoints_say_of_times_cannot_overflow() {
    let mut lied = terms(4);
    for times in [[u64::MAX - 2, u64::MAX - 1, u64::MAX], [1, 2, 1 << 40], [1 << 40, (1 << 40) + 1, (1 << 40) + 2], [3, 2, 4]] {
        [lied.policy.opened, lied.policy.deadline, lied.policy.settle_by] = times;
        assert!(lied.check().is_err(), "{times:?}");
    }
    [lied.policy.opened, lied.policy.deadline, lied.policy.settle_by] = [1, (1 << 40) - 2, (1 << 40) - 1];
    lied.check().unwrap();
    let kept = Kept { late_since: Some(1 << 53), ..Kept::default() };
    Round::new(lied, ME, 1 << 53, START, kept).apply(u64::MAX / 4, Event::Tick);
}
