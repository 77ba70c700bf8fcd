//! What members that lie, and sites that come late, must not bring about.

use super::{
    AFTER_CUTOFF, IN_TIME, LEADER, ME, START, certified, cohort, final_of, hear, hold, joined, key, member, nobody, proposal,
    receipt, receipts, signed, site, statements, terms, votes,
};
use alloy_primitives::B256;
use alloy_sol_types::SolStruct as _;
use consilium_core::audit::{Evidence, Offence, Settled, share_root_offence};
use consilium_core::certify::SetMember;
use consilium_core::eip712::{Intent, Receipt, ShareRoot};
use consilium_core::params::{Committee, CommitteeMembers, Member};
use consilium_core::round::{
    ChainEvent, Effect, Event, IntentKind, Kept, Message, Round, SignedFinal, SignedIntent, SignedReceipt, SignedVote, Statement,
};
use consilium_core::terms::Terms;

fn vote_of_size(terms: &Terms, node: usize, set_root: B256, size: u32) -> Message {
    let mut vote = SignedVote { node, set_root, size, signature: nobody() };
    vote.signature = terms.domain.sign(&key(node), &vote.statement(terms));
    Message::Vote(vote)
}

/// The votes that a node keeps, as it passes them on.
fn kept_votes(round: &mut Round, now: u64) -> usize {
    let answer = hear(round, now, 2, Message::Sync { receipts: B256::ZERO });
    answer.iter().filter(|effect| matches!(effect, Effect::Send { message: Message::Vote(_), .. })).count()
}

#[test]
fn a_member_that_votes_for_one_set_under_many_sizes_fills_no_memory() {
    let terms = terms(4);
    for live in [false, true] {
        let mut round = joined(&terms, ME, IN_TIME, Kept::default());
        let set = cohort(&[0, 1]);
        if live {
            hear(&mut round, IN_TIME, LEADER, proposal(&terms, set.clone()));
        }
        for size in 0..1_000 {
            hear(&mut round, IN_TIME, 5, vote_of_size(&terms, 5, set.root(), size));
        }
        let kept = kept_votes(&mut round, IN_TIME);
        assert!(kept <= 3, "{kept} votes are kept of one member and passed on to whoever asks");
    }
}

#[test]
fn a_vote_under_another_size_takes_none_from_the_certified_set() {
    let terms = terms(4);
    let set = cohort(&[0, 1]);
    let mut round = certified(&terms);
    let before = kept_votes(&mut round, AFTER_CUTOFF);
    assert_eq!(before, 4);
    hear(&mut round, AFTER_CUTOFF, 5, vote_of_size(&terms, 5, set.root(), 7));
    round.apply(AFTER_CUTOFF, Event::Chain(ChainEvent::CertificateFinal));
    let later = hear(&mut round, AFTER_CUTOFF + 4_000, 2, Message::Sync { receipts: B256::ZERO });
    let right = |effect: &&Effect| matches!(effect, Effect::Send { message: Message::Vote(vote), .. } if (vote.set_root, vote.size) == (set.root(), 2));
    assert_eq!(later.iter().filter(right).count(), 4);
}

/// All nodes saw the round late, as after a common outage, and the first leaders say nothing: up to t others lead before the
/// deadline.
#[test]
fn among_latecomers_t_plus_one_leaders_have_a_view_before_the_deadline() {
    let terms = terms(4);
    // Ranks in round 2 of a committee of five: node 3 has rank 0, node 4 rank 1 = t.
    for seen in [1_010_000, 1_040_000, 1_060_000, 1_080_000, 1_095_000] {
        let mut round = joined(&terms, 4, seen, Kept { late_since: Some(seen), ..Kept::default() });
        hold(&mut round, seen, &[0, 1]);
        let of_others = |number: &u32| [1, 2, 3, 5].map(|node| receipt(&terms, node, member(*number)));
        hear(&mut round, seen, 2, Message::Receipts([0, 1].iter().flat_map(of_others).collect()));
        let mut proposed = None;
        for now in (seen..1_100_000).step_by(50) {
            if votes(&round.apply(now, Event::Tick)) == [cohort(&[0, 1]).root()] {
                proposed = Some(now);
                break;
            }
        }
        // With room for a view of the time that latecomers have.
        let view = (1_100_000 - (seen + 1_100_000) / 2) / 3;
        let last = 1_100_000 - view;
        assert!(proposed.is_some_and(|at| at <= last), "seen at {seen}: proposed at {proposed:?}, late after {last}");
    }
}

#[test]
fn a_site_with_two_certificates_does_not_stand_for_another_that_is_not_there_yet() {
    let terms = terms(3);
    let mut round = joined(&terms, ME, IN_TIME, Kept::default());
    hold(&mut round, IN_TIME, &[0, 1, 2]);
    hear(&mut round, IN_TIME, 2, receipts(&terms, &[0, 1]));
    let other = SetMember { site: site(1), digest: B256::repeat_byte(0xee) };
    let second = (2..=5).map(|node| receipt(&terms, node, other)).collect();
    hear(&mut round, IN_TIME, 3, Message::Receipts(second));
    // Site 2 has until the cutoff at 1,050 s.
    let early = votes(&hear(&mut round, IN_TIME + 1, LEADER, proposal(&terms, cohort(&[0, 1]))));
    assert!(early.is_empty(), "it votes ten seconds before the cutoff although a site is missing");
}

/// What a node has said in an earlier life, and a liar shows it with another set root: only the hash is signed.
#[test]
fn an_intent_that_a_liar_shows_with_another_set_root_keeps_no_node_from_its_share_root() {
    let terms = terms(4);
    let set = cohort(&[0, 1]);
    let root = B256::repeat_byte(9);
    let said = ShareRoot { study: terms.study, round: terms.round, setRoot: set.root(), index: ME as u8, root };
    let hash = said.eip712_hash_struct();
    let intent = Intent { study: terms.study, round: terms.round, kind: 2, hash };
    let signature = terms.domain.sign(&key(ME), &intent);
    let held = SignedIntent { node: ME, round: terms.round, kind: IntentKind::ShareRoot, set_root: set.root(), hash, signature };
    let altered = SignedIntent { set_root: B256::repeat_byte(0xbb), ..held.clone() };
    let with = |shown: SignedIntent| {
        let mut round = Round::new(terms.clone(), ME, IN_TIME, START, Kept::default());
        let answer = |intents| Message::Recalled { start: START, from: None, intents, receipts: Vec::new(), next: None };
        let mut effects = hear(&mut round, IN_TIME, 5, answer(vec![shown]));
        for node in 2..=4 {
            effects.extend(hear(&mut round, IN_TIME, node, answer(vec![held.clone()])));
        }
        effects = honest_acknowledgements(&terms, &mut round, effects, &held);
        hold(&mut round, IN_TIME, &[0, 1]);
        hear(&mut round, AFTER_CUTOFF, LEADER, proposal(&terms, set.clone()));
        round.apply(AFTER_CUTOFF, super::shown(&set, super::votes_of(&terms, &[2, 3, 4, 5], &set)));
        effects.extend(round.apply(AFTER_CUTOFF, Event::Chain(ChainEvent::CertificateFinal)));
        signed(&terms, &mut round, AFTER_CUTOFF, effects);
        for node in 2..=4 {
            hear(&mut round, AFTER_CUTOFF, node, final_of(&terms, node, &set));
        }
        let effects = round.apply(AFTER_CUTOFF, Event::Released { root });
        let effects = honest_acknowledgements(&terms, &mut round, effects, &held);
        statements(&effects).iter().filter(|statement| matches!(statement, Statement::ShareRoot(_))).count()
    };
    assert_eq!(with(held.clone()), 1);
    assert_eq!(with(altered), 1, "nothing is signed in this life, nor in the next: the altered intent is in the journal");
}

/// Signs what is asked for; peers answer an intent with the one that they hold.
fn honest_acknowledgements(terms: &Terms, round: &mut Round, effects: Vec<Effect>, held: &SignedIntent) -> Vec<Effect> {
    let mut all = effects;
    let mut next = 0;
    while next < all.len() {
        if let Effect::Sign(statement) = all[next].clone() {
            let signature = statement.sign(&terms.domain, &key(ME));
            all.extend(round.apply(AFTER_CUTOFF, Event::Signed { statement, signature }));
        }
        if let Effect::Send { to: Some(node @ 2..=4), message: Message::Intent(intent) } = all[next].clone() {
            let answer = if intent.kind == held.kind { held.clone() } else { intent };
            all.extend(hear(round, AFTER_CUTOFF, node, Message::Acknowledged(answer)));
        }
        next += 1;
    }
    all
}

/// What a node cannot see by itself if all of its endpoints lie (docs/THREATS.md): a committee that they invent, under the number of
/// a round in which it serves. Everything there is genuine under that committee's keys. No contribution of the true round is
/// accepted, so that nobody's privacy is lost; but what the node signs proves an offence on the true chain.
#[test]
fn a_node_all_of_whose_endpoints_invent_a_committee_signs_what_is_an_offence_on_the_true_chain() {
    let shown = terms(4);
    let invented_key = |node: usize| if node == ME { key(ME) } else { key(10 + node) };
    let members = (1..=5).map(|node| Member { address: invented_key(node).address(), kem_key: vec![node as u8] });
    let mut invented = shown.clone();
    invented.committee = CommitteeMembers::new(Committee::new(5, 1).unwrap(), 1, members.collect()).unwrap();
    invented.check().unwrap();
    assert_ne!(invented.context(), shown.context(), "no contribution of the true round counts there");

    let set = cohort(&[0, 1]);
    let mut round = joined(&invented, ME, IN_TIME, Kept::default());
    hold(&mut round, IN_TIME, &[0, 1]);
    let signed_by = |node: usize, member| {
        let said =
            Receipt { study: invented.study, round: invented.round, site: site(member), digest: super::member(member).digest };
        SignedReceipt { node, member: super::member(member), signature: invented.domain.sign(&invented_key(node), &said) }
    };
    let receipts = (2..=5).flat_map(|node| [0, 1].map(|member| signed_by(node, member))).collect();
    hear(&mut round, IN_TIME, 2, Message::Receipts(receipts));
    let vote = |node: usize| {
        let mut vote = SignedVote { node, set_root: set.root(), size: 2, signature: nobody() };
        vote.signature = invented.domain.sign(&invented_key(node), &vote.statement(&invented));
        vote
    };
    hear(&mut round, AFTER_CUTOFF, LEADER, Message::Proposal { cohort: set.clone(), vote: vote(LEADER) });
    round.apply(AFTER_CUTOFF, super::shown(&set, (2..=5).map(vote).collect()));
    let effects = round.apply(AFTER_CUTOFF, Event::Chain(ChainEvent::CertificateFinal));
    signed(&invented, &mut round, AFTER_CUTOFF, effects);
    for node in 2..=4 {
        let mut said = SignedFinal { node, set_root: set.root(), signature: nobody() };
        said.signature = invented.domain.sign(&invented_key(node), &said.statement(&invented));
        hear(&mut round, AFTER_CUTOFF, node, Message::Final(said));
    }
    let effects = round.apply(AFTER_CUTOFF, Event::Released { root: B256::repeat_byte(9) });
    let effects = signed(&invented, &mut round, AFTER_CUTOFF, effects);
    let statement = statements(&effects).into_iter().find_map(|said| match said {
        Statement::ShareRoot(said) => Some(said.clone()),
        _ => None,
    });
    let statement = statement.expect("the invented committee has it sign its share");
    let evidence = Evidence { signature: shown.domain.sign(&key(ME), &statement), statement };
    // The true round certified what its own committee voted for.
    let (set_root, share_roots) = (cohort(&[0, 1, 2]).root(), vec![B256::ZERO; 5]);
    let settled = Settled { study: shown.study, round: shown.round, set_root, share_roots };
    let address = shown.committee.member(ME).unwrap().address;
    let offence = share_root_offence(&shown.domain, address, &evidence, &settled).unwrap();
    assert_eq!(offence, Some(Offence::ForeignShareRoot));
}

/// An endpoint that invents an end stops uploads and receipts (a paused node takes none); when it takes the end back after the
/// cutoff, the first contributions that come are a set to vote for at once.
#[test]
fn a_pause_over_the_cutoff_leaves_sites_time_to_come() {
    let terms = terms(4);
    let mut round = joined(&terms, ME, 1_001_000, Kept::default());
    round.apply(1_002_000, Event::Chain(ChainEvent::Paused));
    round.apply(1_052_000, Event::Chain(ChainEvent::Resumed));
    hold(&mut round, 1_052_000, &[0, 3]);
    hear(&mut round, 1_052_000, 2, receipts(&terms, &[0, 3]));
    let at_once = votes(&hear(&mut round, 1_052_100, LEADER, proposal(&terms, cohort(&[0, 3]))));
    assert!(at_once.is_empty(), "it votes for whoever came first, 0.1 s after the pause that kept everybody away");
}
