//! One node's state machine by itself: what it votes for, what it keeps over a restart, what it takes from its peers.

use alloy_primitives::{Address, B256};
use consilium_core::certify::{Cohort, DatedCertificate, ReceiptCertificate, SetMember, sites_root};
use consilium_core::eip712::{Domain, Receipt, SecretKey, Signed};
use consilium_core::params::{Committee, CommitteeMembers, Finality, Member, Policy};
use consilium_core::program::{AnyProgram, WeightedMean};
use consilium_core::round::{
    ChainEvent, Effect, Event, Kept, Message, Round, SignedFinal, SignedIntent, SignedReceipt, SignedVote, Statement, Verdict,
};
use consilium_core::terms::Terms;

mod certificates;
mod hostile;
mod intents;

const ME: usize = 1;
/// The leader of the first view of round 2.
const LEADER: usize = 3;
/// Opened at 1,000 s with the deadline at 1,100 s: the cutoff is at 1,050 s, Δ is 3.3 s.
const IN_TIME: u64 = 1_040_000;
const TOO_LATE_TO_BIND: u64 = 1_049_000;
const AFTER_CUTOFF: u64 = 1_051_000;
/// Names this start of a node.
const START: B256 = B256::repeat_byte(0x57);
/// No votes.
const NONE: [B256; 0] = [];
/// What a node takes as one body at most.
const BODY: usize = 16 << 20;

fn key(node: usize) -> SecretKey {
    SecretKey::from_bytes(&[node as u8; 32]).unwrap()
}

fn site(number: u32) -> Address {
    let mut address = [0; 20];
    address[..4].copy_from_slice(&number.to_be_bytes());
    address.into()
}

fn member(number: u32) -> SetMember {
    SetMember { site: site(number), digest: B256::repeat_byte(1u8.wrapping_add(number as u8)) }
}

fn cohort(numbers: &[u32]) -> Cohort {
    Cohort::new(numbers.iter().map(|number| member(*number)).collect()).unwrap()
}

fn terms(sites: u32) -> Terms {
    let members = (1..=5).map(|node| Member { address: key(node).address(), kem_key: vec![node as u8] });
    let sites: Vec<Address> = (0..sites).map(site).collect();
    let policy = Policy {
        minimum_cohort: 2,
        sites_root: sites_root(&sites).unwrap(),
        finality: Finality::Instant,
        opened: 1_000,
        deadline: 1_100,
        settle_by: 1_200,
    };
    Terms {
        domain: Domain { chain_id: 31337, contract: Address::repeat_byte(0xcc) },
        study: 1,
        round: 2,
        subject: B256::repeat_byte(7),
        committee: CommitteeMembers::new(Committee::new(5, 1).unwrap(), 1, members.collect()).unwrap(),
        program: AnyProgram::WeightedMean(WeightedMean::new(10, 25, 8, 128, 1.0).unwrap()),
        policy,
        sites,
    }
}

fn receipt(terms: &Terms, node: usize, member: SetMember) -> SignedReceipt {
    let said = Receipt { study: terms.study, round: terms.round, site: member.site, digest: member.digest };
    SignedReceipt { node, member, signature: terms.domain.sign(&key(node), &said) }
}

fn hear(round: &mut Round, now: u64, from: usize, message: Message) -> Vec<Effect> {
    let Some(message) = round.checked(message) else { return Vec::new() };
    round.apply(now, Event::Message { from, message })
}

fn hold(round: &mut Round, now: u64, numbers: &[u32]) {
    for member in numbers.iter().map(|number| member(*number)) {
        round.apply(now, Event::Stored(member));
        round.apply(now, Event::Verified { member, verdict: Verdict::Accepted });
    }
}

/// The receipts of nodes 2 to 5 for these contributions.
fn receipts(terms: &Terms, numbers: &[u32]) -> Message {
    let all = numbers.iter().flat_map(|number| (2..=5).map(|node| receipt(terms, node, member(*number))));
    Message::Receipts(all.collect())
}

fn proposal(terms: &Terms, cohort: Cohort) -> Message {
    proposal_of(terms, LEADER, cohort)
}

fn proposal_of(terms: &Terms, node: usize, cohort: Cohort) -> Message {
    let mut vote = SignedVote { node, set_root: cohort.root(), size: cohort.size(), signature: nobody() };
    vote.signature = terms.domain.sign(&key(node), &vote.statement(terms));
    Message::Proposal { cohort, vote }
}

/// A node that was started with what it kept, and to which the others have told that they hold nothing else of it.
fn joined(terms: &Terms, me: usize, now: u64, kept: Kept) -> Round {
    let mut round = Round::new(terms.clone(), me, now, START, kept);
    for node in (1..=5).filter(|node| *node != me) {
        hear(&mut round, now, node, recalled(START, Vec::new()));
    }
    assert!(round.is_recovered());
    round
}

/// An answer to the start `start` that holds these intents and no receipts.
fn recalled(start: B256, intents: Vec<SignedIntent>) -> Message {
    Message::Recalled { start, from: None, intents, receipts: Vec::new(), next: None }
}

/// The votes of these nodes for a set.
fn votes_of(terms: &Terms, nodes: &[usize], cohort: &Cohort) -> Vec<SignedVote> {
    let vote = |node: &usize| match proposal_of(terms, *node, cohort.clone()) {
        Message::Proposal { vote, .. } => vote,
        _ => unreachable!(),
    };
    nodes.iter().map(vote).collect()
}

/// The certificate of a set, as an endpoint shows it with these votes.
fn shown(cohort: &Cohort, votes: Vec<SignedVote>) -> Event {
    let voters = (1..=4).map(|node| key(node).address()).collect();
    Event::Chain(ChainEvent::Certified { set_root: cohort.root(), size: cohort.size(), voters, votes })
}

/// A signature of nobody here.
fn nobody() -> Signed {
    let receipt = Receipt { study: 0, round: 0, site: Address::ZERO, digest: B256::ZERO };
    Domain { chain_id: 1, contract: Address::ZERO }.sign(&key(99), &receipt)
}

fn votes(effects: &[Effect]) -> Vec<B256> {
    let vote = |effect: &Effect| match effect {
        Effect::Sign(Statement::Vote(vote)) => Some(vote.setRoot),
        _ => None,
    };
    effects.iter().filter_map(vote).collect()
}

fn kept(effects: Vec<Effect>) -> Vec<DatedCertificate> {
    effects.into_iter().flat_map(|effect| if let Effect::Keep(kept) = effect { kept } else { Vec::new() }).collect()
}

#[test]
fn a_node_that_was_started_again_insists_on_a_site_that_it_knew_in_time() {
    let terms = terms(4);
    let mut before = joined(&terms, ME, IN_TIME, Kept::default());
    hold(&mut before, IN_TIME, &[0, 1, 2]);
    let certificates = kept(hear(&mut before, IN_TIME, 2, receipts(&terms, &[0, 1, 2])));
    assert_eq!(certificates.len(), 3);
    assert!(certificates.iter().all(|kept| kept.since == IN_TIME));
    for kept in &certificates {
        assert!(kept.certificate.check(&terms.domain, &terms.committee, 1, 2).is_ok());
    }

    let after = |certificates: Vec<DatedCertificate>, proposed: &[u32]| {
        let mut round = joined(&terms, ME, TOO_LATE_TO_BIND, Kept { certificates, ..Kept::default() });
        hold(&mut round, TOO_LATE_TO_BIND, &[0, 1, 2]);
        hear(&mut round, TOO_LATE_TO_BIND, 2, receipts(&terms, &[0, 1, 2]));
        votes(&hear(&mut round, AFTER_CUTOFF, LEADER, proposal(&terms, cohort(proposed))))
    };
    assert_eq!(after(certificates.clone(), &[0, 1]), NONE);
    assert_eq!(after(certificates, &[0, 1, 2]), [cohort(&[0, 1, 2]).root()]);
    // A node that really learns of the certificates now does not insist.
    assert_eq!(after(Vec::new(), &[0, 1]), [cohort(&[0, 1]).root()]);
}

#[test]
fn a_certificate_reads_back_from_its_record() {
    let terms = terms(4);
    let mut round = joined(&terms, ME, IN_TIME, Kept::default());
    let certificates = kept(hear(&mut round, IN_TIME, 2, receipts(&terms, &[1])));
    let record = serde_json::to_vec(&certificates).unwrap();
    assert_eq!(serde_json::from_slice::<Vec<DatedCertificate>>(&record).unwrap(), certificates);
}

#[test]
fn a_bad_set_is_refused_before_a_vote() {
    let terms = terms(4);
    let proposed = |cohort: Cohort| {
        let mut round = joined(&terms, ME, IN_TIME, Kept::default());
        hold(&mut round, IN_TIME, &[0, 1]);
        // It has receipts for site 2 and lacks the contribution; it has the contribution of nobody else.
        hear(&mut round, TOO_LATE_TO_BIND, 2, receipts(&terms, &[0, 1, 2]));
        votes(&hear(&mut round, AFTER_CUTOFF, LEADER, proposal(&terms, cohort)))
    };
    assert_eq!(proposed(cohort(&[0, 1])), [cohort(&[0, 1]).root()], "a good set");
    assert_eq!(proposed(cohort(&[0, 1, 9])), NONE, "a stranger");
    assert_eq!(proposed(cohort(&[0])), NONE, "below the minimum");
    assert_eq!(proposed(cohort(&[0, 1, 2])), NONE, "what the voter lacks");
    assert_eq!(proposed(cohort(&[0, 1, 3])), NONE, "without a certificate");
    // Unsorted sets, and sets with one site twice, are refused by the decoder already.
    for members in [[member(1), member(0)], [member(0), member(0)]] {
        assert!(Cohort::new(members.to_vec()).is_err());
        assert!(serde_json::from_value::<Cohort>(serde_json::to_value(members).unwrap()).is_err());
    }
}

#[test]
fn statements_that_are_not_their_nodes_leave_nothing_of_a_message() {
    let terms = terms(4);
    let round = joined(&terms, ME, IN_TIME, Kept::default());
    let (good, mut forged) = (receipt(&terms, 2, member(0)), receipt(&terms, 3, member(1)));
    forged.node = 4;
    let stranger = receipt(&terms, 2, member(9));
    let mixed = Message::Receipts(vec![forged, good.clone(), stranger]);
    assert_eq!(round.checked(mixed).unwrap().into_message(), Message::Receipts(vec![good]));
    let Message::Proposal { cohort, mut vote } = proposal(&terms, cohort(&[0, 1])) else { unreachable!() };
    assert!(round.checked(Message::Vote(vote.clone())).is_some());
    for node in [0, LEADER + 1, 6] {
        vote.node = node;
        assert!(round.checked(Message::Vote(vote.clone())).is_none());
        assert!(round.checked(Message::Proposal { cohort: cohort.clone(), vote: vote.clone() }).is_none());
    }
}

#[test]
fn a_round_whose_end_is_not_final_agrees_on_nothing_until_it_goes_on() {
    let terms = terms(4);
    let mut round = joined(&terms, ME, IN_TIME, Kept::default());
    hold(&mut round, IN_TIME, &[0, 1]);
    hear(&mut round, IN_TIME, 2, receipts(&terms, &[0, 1]));
    round.apply(IN_TIME, Event::Chain(ChainEvent::Paused));
    assert_eq!(votes(&hear(&mut round, AFTER_CUTOFF, LEADER, proposal(&terms, cohort(&[0, 1])))), NONE);
    assert!(round.is_paused());
    let resumed = round.apply(AFTER_CUTOFF, Event::Chain(ChainEvent::Resumed));
    assert_eq!(votes(&resumed), NONE, "whoever could not reach this node meanwhile has time to come");
    let half_of_the_rest = (AFTER_CUTOFF + terms.deadline_millis()) / 2;
    let later = hear(&mut round, half_of_the_rest + 1_000, LEADER, proposal(&terms, cohort(&[0, 1])));
    assert_eq!(votes(&later), [cohort(&[0, 1]).root()]);
}

#[test]
fn a_pause_of_a_moment_changes_nothing() {
    let terms = terms(4);
    let mut round = joined(&terms, ME, IN_TIME, Kept::default());
    hold(&mut round, IN_TIME, &[0, 1]);
    hear(&mut round, IN_TIME, 2, receipts(&terms, &[0, 1]));
    round.apply(AFTER_CUTOFF, Event::Chain(ChainEvent::Paused));
    assert_eq!(votes(&hear(&mut round, AFTER_CUTOFF, LEADER, proposal(&terms, cohort(&[0, 1])))), NONE);
    let resumed = round.apply(AFTER_CUTOFF + 100, Event::Chain(ChainEvent::Resumed));
    assert_eq!(votes(&resumed), [cohort(&[0, 1]).root()]);
}

#[test]
fn receipts_of_a_hundred_thousand_sites_travel_in_messages_that_a_peer_takes() {
    let count = 100_000;
    let signature = nobody();
    let certificates = (0..count).map(|number| {
        let receipts = (1..=4).map(|node| (node, signature)).collect();
        DatedCertificate { certificate: ReceiptCertificate { member: member(number), receipts }, since: IN_TIME }
    });
    let mut round = joined(&terms(count), ME, IN_TIME, Kept { certificates: certificates.collect(), ..Kept::default() });
    let (mut now, mut seen, mut answers) = (IN_TIME, Vec::new(), 0);
    while seen.len() < 4 * count as usize {
        now += 500;
        answers += 1;
        assert!(answers < 100, "only {} receipts after {answers} answers", seen.len());
        for effect in hear(&mut round, now, 2, Message::Sync { receipts: B256::ZERO }) {
            let Effect::Send { to: Some(2), message } = effect else { continue };
            assert!(serde_json::to_vec(&message).unwrap().len() < BODY);
            if let Message::Receipts(receipts) = message {
                // A quorum counts when it arrives together: no site's receipts are parted.
                assert_eq!(receipts.len() % 4, 0);
                seen.extend(receipts.into_iter().map(|receipt| (receipt.member.site, receipt.node)));
            }
        }
    }
    assert!(seen.is_sorted() && seen.len() == 4 * count as usize);
}

fn final_of(terms: &Terms, node: usize, cohort: &Cohort) -> Message {
    let mut said = SignedFinal { node, set_root: cohort.root(), signature: nobody() };
    said.signature = terms.domain.sign(&key(node), &said.statement(terms));
    Message::Final(said)
}

/// Feeds back the signatures of what a step asks to sign and the others' acknowledgements, and returns its effects with those
/// that follow.
fn signed(terms: &Terms, round: &mut Round, now: u64, effects: Vec<Effect>) -> Vec<Effect> {
    let mut all = effects;
    let mut next = 0;
    while next < all.len() {
        if let Effect::Sign(statement) = all[next].clone() {
            let signature = statement.sign(&terms.domain, &key(ME));
            all.extend(round.apply(now, Event::Signed { statement, signature }));
        }
        if let Effect::Send { to: Some(node), message: Message::Intent(intent) } = all[next].clone() {
            all.extend(hear(round, now, node, Message::Acknowledged(intent)));
        }
        next += 1;
    }
    all
}

/// A round in which this node holds and knows the certified set of sites 0 and 1, and the certificate is not final yet.
fn certified(terms: &Terms) -> Round {
    let mut round = joined(terms, ME, IN_TIME, Kept::default());
    hold(&mut round, IN_TIME, &[0, 1]);
    hear(&mut round, AFTER_CUTOFF, LEADER, proposal(terms, cohort(&[0, 1])));
    let certified = cohort(&[0, 1]);
    round.apply(AFTER_CUTOFF, shown(&certified, votes_of(terms, &[2, 3, 4, 5], &certified)));
    round
}

fn statements(effects: &[Effect]) -> Vec<&Statement> {
    effects.iter().filter_map(|effect| if let Effect::Sign(statement) = effect { Some(statement) } else { None }).collect()
}

#[test]
fn each_peer_that_is_ahead_makes_a_node_look_at_the_chain_once() {
    let terms = terms(4);
    let heard = |round: &mut Round, node| hear(round, AFTER_CUTOFF, node, final_of(&terms, node, &cohort(&[0, 1])));
    // Before it has seen the certificate, and before it has seen that this is final.
    let mut round = joined(&terms, ME, IN_TIME, Kept::default());
    assert_eq!(heard(&mut round, 2), [Effect::Look]);
    let mut round = certified(&terms);
    for node in 2..=3 {
        assert_eq!(heard(&mut round, node), [Effect::Look]);
        assert_eq!(heard(&mut round, node), [], "it has looked");
    }
    let mut other = final_of(&terms, 4, &cohort(&[0, 1]));
    if let Message::Final(said) = &mut other {
        said.signature = nobody();
    }
    assert_eq!(hear(&mut round, AFTER_CUTOFF, 4, other), [], "whoever signed that is no member");
    round.apply(AFTER_CUTOFF, Event::Chain(ChainEvent::CertificateFinal));
    assert_eq!(heard(&mut round, 4), [], "there is nothing to see that this node has not seen");
}

#[test]
fn a_share_of_a_round_that_is_over_is_neither_signed_nor_used() {
    let terms = terms(4);
    for over in [false, true] {
        let mut round = certified(&terms);
        let said = round.apply(AFTER_CUTOFF, Event::Chain(ChainEvent::CertificateFinal));
        signed(&terms, &mut round, AFTER_CUTOFF, said);
        let mut effects = Vec::new();
        for node in 2..=4 {
            effects = hear(&mut round, AFTER_CUTOFF, node, final_of(&terms, node, &cohort(&[0, 1])));
        }
        assert!(matches!(effects[..], [Effect::Release(_)]), "{effects:?}");
        if over {
            round.apply(AFTER_CUTOFF, Event::Chain(ChainEvent::Closed));
        }
        let effects = round.apply(AFTER_CUTOFF, Event::Released { root: B256::repeat_byte(9) });
        assert_eq!(statements(&effects).len(), usize::from(!over), "{effects:?}");
        assert!(!over || effects.is_empty(), "{effects:?}");
    }
}

#[test]
fn a_paused_round_signs_and_releases_nothing_until_it_goes_on() {
    let terms = terms(4);
    let mut round = certified(&terms);
    let (pause, resume) = (Event::Chain(ChainEvent::Paused), Event::Chain(ChainEvent::Resumed));
    // A Final and a receipt.
    round.apply(AFTER_CUTOFF, pause.clone());
    let verified = Event::Verified { member: member(2), verdict: Verdict::Accepted };
    for event in [Event::Chain(ChainEvent::CertificateFinal), Event::Stored(member(2)), verified] {
        let effects = round.apply(AFTER_CUTOFF, event);
        assert!(statements(&effects).is_empty(), "{effects:?}");
    }
    let effects = round.apply(AFTER_CUTOFF, resume.clone());
    assert!(matches!(statements(&effects)[..], [Statement::Receipt(_), Statement::Intent { .. }]), "{effects:?}");
    signed(&terms, &mut round, AFTER_CUTOFF, effects);
    // The release.
    round.apply(AFTER_CUTOFF, pause.clone());
    for node in 2..=4 {
        let effects = hear(&mut round, AFTER_CUTOFF, node, final_of(&terms, node, &cohort(&[0, 1])));
        assert!(effects.is_empty(), "{effects:?}");
    }
    let effects = round.apply(AFTER_CUTOFF, resume.clone());
    assert!(matches!(effects[..], [Effect::Release(_)]), "{effects:?}");
    // The share's root.
    round.apply(AFTER_CUTOFF, pause);
    let effects = round.apply(AFTER_CUTOFF, Event::Released { root: B256::repeat_byte(9) });
    assert!(effects.is_empty(), "{effects:?}");
    let effects = round.apply(AFTER_CUTOFF, resume);
    assert!(matches!(statements(&effects)[..], [Statement::Intent { .. }]), "{effects:?}");
}

#[test]
fn large_sets_go_to_a_peer_that_asks_one_after_the_other_and_small_ones_together() {
    for (sites, together) in [(1_000, true), (5_000, false)] {
        let terms = terms(sites + 5);
        let mut round = joined(&terms, ME, IN_TIME, Kept::default());
        for node in 2..=5 {
            let cohort = cohort(&(node as u32..node as u32 + sites).collect::<Vec<_>>()[..]);
            hear(&mut round, IN_TIME, node, proposal_of(&terms, node, cohort));
        }
        let mut proposers = Vec::new();
        for (asked, at) in (0..4).flat_map(|time| [IN_TIME + 3_000 * time, IN_TIME + 3_000 * time + 500]).enumerate() {
            let answer = hear(&mut round, at, 2, Message::Sync { receipts: B256::ZERO });
            let sets = answer.iter().filter_map(|effect| match effect {
                Effect::Send { to: Some(2), message: Message::Proposal { vote, .. } } => Some(vote.node),
                _ => None,
            });
            let sets: Vec<_> = sets.collect();
            assert_eq!(sets.len(), if together { 4 } else { usize::from(asked % 2 == 0) });
            proposers.extend(sets);
        }
        proposers.sort_unstable();
        proposers.dedup();
        assert_eq!(proposers, [2, 3, 4, 5]);
    }
}
