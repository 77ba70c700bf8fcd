//! A node whose disk is older than what it said: others remember, and it asks them.

use super::{
    AFTER_CUTOFF, IN_TIME, LEADER, ME, START, certified, cohort, hear, hold, key, member, nobody, proposal, recalled, receipt,
    shown, signed, statements, terms, votes_of,
};
use alloy_primitives::B256;
use alloy_sol_types::SolStruct as _;
use consilium_core::eip712::{Final, Intent};
use consilium_core::round::{ChainEvent, Effect, Event, IntentKind, Kept, Message, Round, SignedIntent, Statement, Verdict};
use consilium_core::terms::Terms;

const FINAL: Event = Event::Chain(ChainEvent::CertificateFinal);

/// Node `node`'s intent to say something with this hash.
fn intent(terms: &Terms, node: usize, kind: IntentKind, hash: u8) -> SignedIntent {
    intent_of(terms, node, terms.round, kind, hash)
}

/// Of a Final, for the set with this root; of other statements with this hash.
fn intent_of(terms: &Terms, node: usize, round: u64, kind: IntentKind, hash: u8) -> SignedIntent {
    let set_root = B256::repeat_byte(hash);
    let said = Final { study: terms.study, subject: terms.subject, round, setRoot: set_root };
    let hash = if kind == IntentKind::Final { said.eip712_hash_struct() } else { set_root };
    let mut intent = SignedIntent { node, round, kind, set_root, hash, signature: nobody() };
    intent.signature = terms.domain.sign(&key(node), &intent.statement(terms));
    intent
}

/// Feeds back signatures alone, and gives the messages that follow.
fn sent(terms: &Terms, round: &mut Round, effects: &[Effect]) -> Vec<(Option<usize>, Message)> {
    let mut all = effects.to_vec();
    let mut next = 0;
    while next < all.len() {
        if let Effect::Sign(statement) = all[next].clone() {
            let signature = statement.sign(&terms.domain, &key(ME));
            all.extend(round.apply(AFTER_CUTOFF, Event::Signed { statement, signature }));
        }
        next += 1;
    }
    let message = |effect| if let Effect::Send { to, message } = effect { Some((to, message)) } else { None };
    all.into_iter().filter_map(message).collect()
}

fn finals(effects: &[Effect]) -> Vec<&Final> {
    let mut finals = Vec::new();
    for statement in statements(effects) {
        if let Statement::Final(said) = statement {
            finals.push(said);
        }
    }
    finals
}

#[test]
fn a_final_leaves_when_enough_others_hold_its_intent_and_no_earlier() {
    let terms = terms(4);
    let mut round = certified(&terms);
    let effects = round.apply(AFTER_CUTOFF, FINAL);
    let asked = sent(&terms, &mut round, &effects);
    let mine = |message: &Message| if let Message::Intent(intent) = message { Some(intent.clone()) } else { None };
    let intents: Vec<_> = asked.iter().filter_map(|(to, message)| Some((to.unwrap(), mine(message)?))).collect();
    assert_eq!(intents.iter().map(|(to, _)| *to).collect::<Vec<_>>(), [2, 3, 4, 5]);
    let own = intents[0].1.clone();
    // The same again, and one of a node that is none, count once and never.
    for (from, enough) in [(2, false), (2, false), (3, false), (4, true)] {
        let effects = hear(&mut round, AFTER_CUTOFF, from, Message::Acknowledged(own.clone()));
        assert_eq!(finals(&effects).len(), usize::from(enough), "{effects:?}");
    }
}

#[test]
fn forged_intents_and_those_of_others_count_for_nothing() {
    let terms = terms(4);
    let mut round = Round::new(terms.clone(), ME, IN_TIME, START, Kept::default());
    let mut forged = intent(&terms, ME, IntentKind::Final, 9);
    forged.signature = intent(&terms, 5, IntentKind::Final, 9).signature;
    assert!(hear(&mut round, IN_TIME, 5, recalled(START, vec![forged.clone()])).is_empty());
    assert!(hear(&mut round, IN_TIME, 5, Message::Acknowledged(forged.clone())).is_empty());
    for node in 2..=4 {
        hear(&mut round, IN_TIME, node, recalled(START, vec![intent(&terms, 5, IntentKind::Final, 9)]));
    }
    hold(&mut round, IN_TIME, &[0, 1]);
    hear(&mut round, AFTER_CUTOFF, LEADER, proposal(&terms, cohort(&[0, 1])));
    let set = cohort(&[0, 1]);
    round.apply(AFTER_CUTOFF, shown(&set, votes_of(&terms, &[2, 3, 4, 5], &set)));
    let effects = round.apply(AFTER_CUTOFF, FINAL);
    assert_eq!(finals(&signed(&terms, &mut round, AFTER_CUTOFF, effects)).len(), 1);
}

#[test]
fn a_restored_node_says_what_it_had_said_or_nothing() {
    let terms = terms(4);
    let set = cohort(&[0, 1]);
    let statement = Final { study: 1, subject: terms.subject, round: 2, setRoot: set.root() };
    let before = {
        let hash = statement.eip712_hash_struct();
        let said = Intent { study: 1, round: 2, kind: 1, hash };
        let signature = terms.domain.sign(&key(ME), &said);
        SignedIntent { node: ME, round: 2, kind: IntentKind::Final, set_root: set.root(), hash, signature }
    };
    let said = |held: SignedIntent, holders: &[usize]| {
        let mut round = Round::new(terms.clone(), ME, IN_TIME, START, Kept::default());
        let mut effects = Vec::new();
        for node in 2..=4 {
            let known = holders.contains(&node).then(|| held.clone());
            effects.extend(hear(&mut round, IN_TIME, node, recalled(START, known.into_iter().collect())));
        }
        effects = signed(&terms, &mut round, IN_TIME, effects);
        hold(&mut round, IN_TIME, &[0, 1]);
        hear(&mut round, AFTER_CUTOFF, LEADER, proposal(&terms, set.clone()));
        round.apply(AFTER_CUTOFF, shown(&set, votes_of(&terms, &[2, 3, 4, 5], &set)));
        effects.extend(round.apply(AFTER_CUTOFF, FINAL));
        finals(&signed(&terms, &mut round, AFTER_CUTOFF, effects)).len()
    };
    assert_eq!(said(before.clone(), &[2]), 1, "the same Final again");
    assert_eq!(said(intent(&terms, ME, IntentKind::Final, 9), &[4]), 0, "another set had been meant");
    assert_eq!(said(intent_of(&terms, ME, 1, IntentKind::Final, 9), &[3]), 0, "a set of an earlier round on the subject");
    // One that is about no slot of this round is nobody's.
    assert_eq!(said(intent_of(&terms, ME, 1, IntentKind::ShareRoot, 9), &[]), 1);
}

#[test]
fn a_peer_that_holds_another_intent_keeps_a_node_from_adding_a_second_one() {
    let terms = terms(4);
    let mut round = certified(&terms);
    let effects = round.apply(AFTER_CUTOFF, FINAL);
    sent(&terms, &mut round, &effects);
    for node in 2..=5 {
        let other = intent(&terms, ME, IntentKind::Final, 9);
        assert!(finals(&hear(&mut round, AFTER_CUTOFF, node, Message::Acknowledged(other))).is_empty());
    }
}

#[test]
fn the_first_intent_of_a_slot_is_held_before_it_is_acknowledged_and_answers_every_other() {
    let terms = terms(4);
    // It recovers itself and has seen no certificate.
    let mut round = Round::new(terms.clone(), ME, IN_TIME, START, Kept::default());
    let (first, second) = (intent(&terms, 2, IntentKind::ShareRoot, 1), intent(&terms, 2, IntentKind::ShareRoot, 2));
    assert_eq!(hear(&mut round, IN_TIME, 3, Message::Intent(first.clone())), [], "another's");
    assert_eq!(hear(&mut round, IN_TIME, 2, Message::Intent(first.clone())), [Effect::Hold(first.clone())]);
    let answer = [Effect::Send { to: Some(2), message: Message::Acknowledged(first.clone()) }];
    assert_eq!(round.apply(IN_TIME, Event::Held(first.clone())), answer);
    assert_eq!(hear(&mut round, IN_TIME, 2, Message::Intent(second.clone())), answer);
    // After a restart too, and to whoever asks what is held of it.
    let kept = Kept { intents: vec![first.clone()], ..Kept::default() };
    let mut round = Round::new(terms.clone(), ME, IN_TIME, START, kept);
    assert_eq!(hear(&mut round, IN_TIME, 2, Message::Intent(second)), answer);
    let asked = hear(&mut round, IN_TIME, 2, Message::Recall { start: B256::ZERO, from: None });
    let told = |effect: &Effect| match effect {
        Effect::Send { to: Some(2), message: Message::Recalled { start, intents, .. } } => Some((*start, intents.clone())),
        _ => None,
    };
    assert_eq!(asked.iter().filter_map(told).collect::<Vec<_>>(), [(B256::ZERO, vec![first])]);
}

#[test]
fn an_intent_about_another_subject_than_the_rounds_is_not_held() {
    let shown = terms(4);
    let mut lied_to = terms(4);
    lied_to.subject = B256::repeat_byte(8);
    let mut round = Round::new(lied_to, ME, IN_TIME, START, Kept::default());
    let about = intent(&shown, 2, IntentKind::Final, 1);
    assert_eq!(hear(&mut round, IN_TIME, 2, Message::Intent(about.clone())), []);
    let mut round = Round::new(shown, ME, IN_TIME, START, Kept::default());
    assert_eq!(hear(&mut round, IN_TIME, 2, Message::Intent(about.clone())), [Effect::Hold(about)]);
}

#[test]
fn nothing_is_signed_before_enough_others_have_told_about_this_start() {
    let terms = terms(4);
    let mut round = Round::new(terms.clone(), ME, IN_TIME, START, Kept::default());
    let asked = round.apply(IN_TIME, Event::Tick);
    let recalls = |effects: &[Effect]| {
        let recall = |effect: &&Effect| matches!(effect, Effect::Send { message: Message::Recall { .. }, .. });
        effects.iter().filter(recall).count()
    };
    assert_eq!(recalls(&asked), 4);
    hold(&mut round, IN_TIME, &[0]);
    for (from, start, known) in
        [(2, START, false), (2, START, false), (3, B256::ZERO, false), (3, START, false), (4, START, true)]
    {
        let effects = hear(&mut round, IN_TIME, from, recalled(start, Vec::new()));
        assert_eq!(matches!(statements(&effects)[..], [Statement::Receipt(_)]), known, "{effects:?}");
    }
    assert_eq!(recalls(&round.apply(IN_TIME + 1_000, Event::Tick)), 0);
}

#[test]
fn a_receipt_that_others_hold_is_not_given_for_another_contribution() {
    let terms = terms(4);
    let mut round = Round::new(terms.clone(), ME, IN_TIME, START, Kept::default());
    let mut other = member(0);
    other.digest = B256::repeat_byte(0xee);
    let before = receipt(&terms, ME, other);
    let page = |from, receipts, next| Message::Recalled { start: START, from, intents: Vec::new(), receipts, next };
    round.apply(IN_TIME, Event::Stored(member(0)));
    round.apply(IN_TIME, Event::Verified { member: member(0), verdict: Verdict::Accepted });
    // Two pages; a peer that never comes to its end counts as one that has told.
    let next = Some(member(1).site);
    let first = hear(&mut round, IN_TIME, 2, page(None, vec![before.clone()], next));
    assert!(matches!(statements(&first)[..], [Statement::Receipt(said)] if said.digest == other.digest), "{first:?}");
    assert!(matches!(&first[..], [.., Effect::Send { message: Message::Recall { from, .. }, .. }] if *from == next));
    hear(&mut round, IN_TIME, 2, page(next, Vec::new(), next));
    for node in 3..=4 {
        let effects = hear(&mut round, IN_TIME, node, page(None, vec![before.clone()], None));
        assert!(statements(&effects).is_empty(), "{effects:?}");
    }
    assert!(round.is_recovered());
    assert_eq!(round.receipts_of(&member(0).site), [before]);
}

#[test]
fn nodes_that_start_together_answer_each_other() {
    let terms = terms(4);
    let start = |me: usize| B256::repeat_byte(me as u8);
    let mut rounds: Vec<Round> = (1..=5).map(|me| Round::new(terms.clone(), me, IN_TIME, start(me), Kept::default())).collect();
    // The fifth stays silent.
    let mut letters: Vec<(usize, usize, Message)> = Vec::new();
    let post = |from: usize, effects: Vec<Effect>, letters: &mut Vec<_>| {
        for effect in effects {
            if let Effect::Send { to: Some(to), message } = effect {
                letters.push((from, to, message));
            }
        }
    };
    for me in 1..=4 {
        let effects = rounds[me - 1].apply(IN_TIME, Event::Tick);
        post(me, effects, &mut letters);
    }
    let mut now = IN_TIME;
    while let Some((from, to, message)) = letters.pop().filter(|_| now < IN_TIME + 60_000) {
        now += 100;
        if to != 5 {
            let effects = hear(&mut rounds[to - 1], now, from, message);
            post(to, effects, &mut letters);
        }
    }
    assert!(rounds[..4].iter().all(Round::is_recovered));
}
