//! What the watchman knows of one study from one pass to the next. Whatever it forgets it finds again.

use alloy_primitives::{Address, B256, keccak256};
use consilium_core::accusation::Accusation;
use consilium_core::eip712::Settlement;
use consilium_ledger::State;
use std::collections::{BTreeMap, BTreeSet};

/// Most pieces of evidence that are remembered in each way: nodes may serve new ones with every answer.
const MOST: usize = 1 << 16;
/// Longest pause of a proof that was refused, in passes.
const LONGEST: u64 = 64;

/// What is to be said of a settlement.
#[derive(Debug)]
pub(super) enum Judgement {
    /// The aggregate is right, and so are the settled shares of these nodes.
    Sound(BTreeSet<usize>),
    /// It is wrong, and this proves it.
    Wrong(Box<Accusation>),
}

/// A proof that is on its way.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) accusation: Accusation,
    failures: u32,
    /// The pass in which it is looked at again.
    next: u64,
    /// Whether it was mined as far as the first endpoint told.
    pub(super) sent: bool,
}

#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) passes: u64,
    /// Rounds that have been looked at.
    pub(super) seen: BTreeSet<u64>,
    /// The older round at which the next pass begins.
    pub(super) older: u64,
    judged: BTreeMap<u64, (Settlement, Judgement)>,
    /// Rounds whose set and, once there are any, whose rewards are in order: the roots that were looked at.
    fair: BTreeMap<u64, (B256, Option<B256>)>,
    attempts: BTreeMap<B256, Attempt>,
    /// Evidence that has been answered on every endpoint.
    answered: BTreeSet<B256>,
    /// Evidence that proved nothing while the round was in this state.
    worthless: BTreeSet<(B256, u8)>,
    /// Whose conviction has been told: round, and node or site.
    told: BTreeSet<(u64, Option<Address>)>,
    /// The pass before which a member of the set that a node has harmed is not paid again.
    pub(super) payments: BTreeMap<(Address, usize), u64>,
}

/// A name for a piece of evidence.
pub(super) fn key(accusation: &Accusation) -> B256 {
    keccak256(serde_json::to_vec(accusation).unwrap_or_default())
}

impl Memory {
    /// Whether a piece of evidence about a round in this state needs no look.
    pub(super) fn knows(&self, accusation: &Accusation, state: State) -> bool {
        let key = key(accusation);
        self.answered.contains(&key) || self.attempts.contains_key(&key) || self.worthless.contains(&(key, state as u8))
    }

    pub(super) fn note_worthless(&mut self, accusation: &Accusation, state: State) {
        if self.worthless.len() >= MOST {
            self.worthless.clear();
        }
        self.worthless.insert((key(accusation), state as u8));
    }

    /// It is proved, or counts no more. Whether that is news.
    pub(super) fn close(&mut self, accusation: &Accusation, offender: Option<Address>) -> bool {
        let key = key(accusation);
        let sent = self.attempts.remove(&key).is_some_and(|attempt| attempt.sent);
        if self.answered.len() >= MOST {
            self.answered.clear();
        }
        self.answered.insert(key);
        self.told.insert((accusation.round, offender)) && !sent
    }

    /// It was sent: the next pass looks whether every endpoint shows it.
    pub(super) fn note_sent(&mut self, accusation: &Accusation) {
        let next = self.passes + 1;
        self.attempts.insert(key(accusation), Attempt { accusation: accusation.clone(), failures: 0, next, sent: true });
    }

    /// It could not be sent, and is tried again after a pause that doubles each time.
    pub(super) fn put_off(&mut self, accusation: &Accusation) {
        if self.attempts.len() >= MOST {
            self.attempts.clear();
        }
        let fresh = || Attempt { accusation: accusation.clone(), failures: 0, next: 0, sent: false };
        let attempt = self.attempts.entry(key(accusation)).or_insert_with(fresh);
        let pause = 1_u64.checked_shl(attempt.failures).map_or(LONGEST, |pause| pause.min(LONGEST));
        attempt.next = self.passes + pause;
        attempt.failures = attempt.failures.saturating_add(1);
    }

    /// The proofs whose turn it is.
    pub(super) fn due(&self) -> Vec<Accusation> {
        let due = self.attempts.values().filter(|attempt| attempt.next <= self.passes);
        due.map(|attempt| attempt.accusation.clone()).collect()
    }

    /// It proves nothing any more, such as a share that differs from what turned out to be wrong.
    pub(super) fn drop_attempt(&mut self, accusation: &Accusation) {
        self.attempts.remove(&key(accusation));
    }

    /// Forgets the rounds about which nothing can be proved any more.
    pub(super) fn keep(&mut self, counts: impl Fn(u64) -> bool) {
        self.attempts.retain(|_, attempt| counts(attempt.accusation.round));
        self.judged.retain(|round, _| counts(*round));
        self.fair.retain(|round, _| counts(*round));
        self.seen.retain(|round| counts(*round));
    }

    /// What has been found about a settlement.
    pub(super) fn judgement(&self, round: u64, settlement: &Settlement) -> Option<&Judgement> {
        self.judged.get(&round).filter(|(known, _)| known == settlement).map(|(_, judgement)| judgement)
    }

    pub(super) fn judge(&mut self, round: u64, settlement: &Settlement, judgement: Judgement) {
        self.judged.insert(round, (settlement.clone(), judgement));
    }

    /// Whether a set and rewards with these roots were found to be in order.
    pub(super) fn is_fair(&self, round: u64, roots: (B256, Option<B256>)) -> bool {
        self.fair.get(&round) == Some(&roots)
    }

    pub(super) fn note_fair(&mut self, round: u64, roots: (B256, Option<B256>)) {
        self.fair.insert(round, roots);
    }

    /// Whether this round's settlement was found to be wrong.
    pub(super) fn is_wrong(&self, round: u64) -> bool {
        matches!(self.judged.get(&round), Some((_, Judgement::Wrong(_))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consilium_core::accusation::Charge;
    use consilium_core::openings::Flaw;

    fn accusation(point: u8) -> Accusation {
        let flaw = Flaw::Root { point, preimage: Default::default() };
        Accusation { study: 1, round: 1, charge: Charge::WrongSettlement(flaw) }
    }

    #[test]
    fn a_proof_that_is_refused_is_tried_again_ever_later_and_never_dropped() {
        let (mut memory, mut tried) = (Memory { passes: 1, ..Memory::default() }, Vec::new());
        memory.put_off(&accusation(1));
        for pass in 2..=300 {
            memory.passes = pass;
            if memory.due() == [accusation(1)] {
                tried.push(pass);
                memory.put_off(&accusation(1));
            }
        }
        assert_eq!(tried, [2, 4, 8, 16, 32, 64, 128, 192, 256]);
        assert!(memory.close(&accusation(1), None) && memory.due().is_empty() && memory.knows(&accusation(1), State::Settled));
        assert!(!memory.close(&accusation(2), None), "the round's fraud is told once");
    }

    #[test]
    fn evidence_that_proves_nothing_yet_is_looked_at_again_in_another_state() {
        let mut memory = Memory::default();
        memory.note_worthless(&accusation(1), State::Certified);
        assert!(memory.knows(&accusation(1), State::Certified) && !memory.knows(&accusation(1), State::Settled));
    }
}
