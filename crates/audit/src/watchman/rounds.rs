//! Looking at rounds: the settlement first, then what was signed about it.
//!
//! Whether a share that differs from the settled one is an offence depends on which of the two is wrong: a committee that
//! settles a wrong result makes honest shares differ. So nobody is accused of such a share before the settlement has been
//! checked, and then only if what is settled under the node's number is what the other vectors give it.

use super::memory::Judgement;
use super::{Outcome, Pass, suspicions, vectors};
use crate::client::{Peer, peers};
use crate::report::Book;
use crate::sets;
use crate::statements::{Gathered, gather};
use consilium_core::accusation::{Accusation, Charge};
use consilium_core::certify::SetLeaves;
use consilium_core::round::SignedShareRoot;
use consilium_ledger::{Rewarded, Round, Settled, State};

/// Newest rounds of a study that are looked at in every pass.
const FRESH: u64 = 2;
/// Older rounds on record that are looked at in a pass, in turn: evidence about them counts as long as they are there.
const OLDER: usize = 4;
/// Pieces of evidence of one node about one round that are looked at in a pass.
const PIECES: usize = 16;

/// The order in which charges are filed. A settlement is proved wrong first, as what differs from it proves nothing about
/// anyone then; and before its set is, as nothing can be proved about the settlement of a fraudulent round.
fn turn(charge: &Charge) -> u8 {
    match charge {
        Charge::WrongSettlement(_) | Charge::WrongReward(_) => 0,
        Charge::ForeignSite(_) => 1,
        Charge::TwoFinals { .. }
        | Charge::TwoShareRoots { .. }
        | Charge::TwoSettlements { .. }
        | Charge::WrongShareRoot { .. }
        | Charge::TwoContributions { .. } => 2,
    }
}

impl Pass<'_> {
    pub(super) async fn rounds(&mut self) {
        for number in self.chosen() {
            match self.views.round(number).await {
                Ok(round) => self.look(&round).await,
                Err(trouble) => {
                    self.tell(number, Outcome::Unavailable, trouble.words);
                    if trouble.silent {
                        return;
                    }
                }
            }
        }
    }

    /// The newest rounds, those that have not been looked at, and some of the others in turn.
    fn chosen(&mut self) -> Vec<u64> {
        let newest = self.views.newest();
        let record = (1..=newest).filter(|number| self.views.is_on_record(*number));
        let now = |number: &u64| number + FRESH > newest || !self.memory.seen.contains(number);
        let (mut chosen, older): (Vec<u64>, Vec<u64>) = record.partition(now);
        let turn = older.partition_point(|number| *number < self.memory.older);
        let some: Vec<u64> = older[turn..].iter().chain(&older[..turn]).take(OLDER).copied().collect();
        self.memory.older = some.last().map_or(0, |last| last + 1);
        chosen.extend(some);
        chosen
    }

    async fn look(&mut self, round: &Round) {
        let number = round.terms.round;
        if matches!(round.state, State::Open | State::None) {
            return;
        }
        let peers = peers(&round.terms.committee, &self.watchman.nodes);
        if round.state == State::Settled {
            self.judge(round, &peers).await;
        }
        let gathered = gather(&self.watchman.client, &peers, &round.terms, &mut Book::default()).await;
        if !gathered.complete && number + FRESH <= self.views.newest() {
            self.tell(number, Outcome::Unavailable, "not every node shows what it signed".to_owned());
        }
        let mut found = self.evidence(round, &gathered);
        found.extend(suspicions::of(round, &gathered));
        found.extend(self.set_and_rewards(round, &peers).await);
        found.sort_by_key(|accusation| turn(&accusation.charge));
        for accusation in &found {
            self.suspect(round, accusation).await;
        }
        self.memory.seen.insert(number);
    }

    /// Holds the vectors behind a settlement against each other, once, and proves a wrong one.
    async fn judge(&mut self, round: &Round, peers: &[Peer]) {
        let (number, Some(settled)) = (round.terms.round, &round.settlement) else { return };
        if self.memory.judgement(number, &settled.settlement).is_none() {
            match vectors::judge(&self.watchman.client, peers, round).await {
                vectors::Verdict::Sound { words, shares } => {
                    self.memory.judge(number, &settled.settlement, Judgement::Sound(shares));
                    self.tell(number, Outcome::Sound, words);
                }
                vectors::Verdict::Unknown(words) => self.tell(number, Outcome::Unavailable, words),
                vectors::Verdict::Wrong(proof) => self.note_wrong(round, settled, &proof),
            }
        }
        if let Some(Judgement::Wrong(proof)) = self.memory.judgement(number, &settled.settlement) {
            let proof = proof.clone();
            self.prove(round, &proof).await;
        }
    }

    /// What a round's set and its rewards prove, until both are known to be in order.
    async fn set_and_rewards(&mut self, round: &Round, peers: &[Peer]) -> Vec<Accusation> {
        let (number, Some(certified)) = (round.terms.round, &round.certificate) else { return Vec::new() };
        let settled = round.settlement.as_ref().filter(|_| round.state == State::Settled);
        let roots = (certified.vote.setRoot, settled.map(|settled| settled.settlement.rewardRoot));
        if self.memory.is_fair(number, roots) {
            return Vec::new();
        }
        let leaves = sets::leaves(&self.watchman.client, peers, round).await;
        // A set that was certified a moment ago may be on its way to those who serve it.
        if leaves.is_none() && round.state != State::Certified {
            let words = "no node shows the certified set: whether its sites were admitted cannot be told";
            self.tell(number, Outcome::Unavailable, words.to_owned());
        }
        let mut found: Vec<Accusation> = leaves.iter().filter_map(|leaves| sets::foreign_site(round, leaves)).collect();
        let are_right = settled.is_none() || self.rewards(round, leaves.as_ref(), &mut found).await;
        if leaves.is_some() && found.is_empty() && are_right {
            self.memory.note_fair(number, roots);
        }
        found
    }

    /// Whether the settled rewards are those of the set. What proves that they are not is added to what was found.
    async fn rewards(&mut self, round: &Round, leaves: Option<&SetLeaves>, found: &mut Vec<Accusation>) -> bool {
        let words = match self.watchman.endpoints.primary().rewarded(round, leaves).await {
            Ok(Rewarded::Right) => return true,
            Ok(Rewarded::Proved(flaw)) => {
                found.push(sets::wrong_reward(round, flaw));
                return false;
            }
            Ok(Rewarded::Wrong) => {
                "the settled rewards are not those of the set, and nobody has shown a leaf of their tree: that is \
                                   proved as soon as one of these credits is paid"
                    .to_owned()
            }
            Ok(Rewarded::Unknown) => "without the set, the settled rewards cannot be recomputed".to_owned(),
            Err(error) => format!("the settled rewards are not held against the claims that may show them: {error}"),
        };
        self.tell(round.terms.round, Outcome::Unavailable, words);
        false
    }

    fn note_wrong(&mut self, round: &Round, settled: &Settled, proof: &Accusation) {
        self.memory.judge(round.terms.round, &settled.settlement, Judgement::Wrong(Box::new(proof.clone())));
    }

    async fn suspect(&mut self, round: &Round, accusation: &Accusation) {
        if self.memory.knows(accusation, round.state) {
            return;
        }
        let holds = accusation.holds(&self.domain(), &round.record());
        if !self.may_file(round, accusation) {
            if holds && round.state == State::Settled && !self.memory.is_wrong(round.terms.round) {
                let words = suspicions::in_words(round, accusation);
                let words = format!("{words}: nobody is accused before the settlement has been checked");
                self.tell(round.terms.round, Outcome::Unavailable, words);
            }
            return;
        }
        if let (true, true, Some(settled)) = (holds, accusation.charge.undoes_round(), &round.settlement) {
            self.note_wrong(round, settled, accusation);
        }
        self.prove(round, accusation).await;
    }

    /// Whether this is an offence whatever becomes of the settlement, or rests on one that has been checked.
    pub(super) fn may_file(&self, round: &Round, accusation: &Accusation) -> bool {
        match &accusation.charge {
            Charge::WrongShareRoot { statements, .. } => self.may_accuse(round, &statements[0]),
            Charge::TwoFinals { .. }
            | Charge::TwoShareRoots { .. }
            | Charge::TwoSettlements { .. }
            | Charge::WrongSettlement(_)
            | Charge::ForeignSite(_)
            | Charge::WrongReward(_)
            | Charge::TwoContributions { .. } => true,
        }
    }

    /// Whether a signed share is wrong whatever is settled, or what is settled in its place is known to be right.
    fn may_accuse(&self, round: &Round, said: &SignedShareRoot) -> bool {
        let certified = round.certificate.as_ref().map(|certificate| certificate.vote.setRoot);
        if certified.is_some_and(|set_root| set_root != said.set_root) {
            return true;
        }
        let Some(settled) = round.settlement.as_ref().filter(|_| round.state == State::Settled) else { return false };
        match self.memory.judgement(round.terms.round, &settled.settlement) {
            Some(Judgement::Sound(shares)) => shares.contains(&said.node),
            Some(Judgement::Wrong(_)) | None => false,
        }
    }

    /// What nodes serve against others, some pieces of each node in a pass.
    fn evidence(&mut self, round: &Round, gathered: &Gathered) -> Vec<Accusation> {
        let mut found = Vec::new();
        for (node, pieces) in &gathered.accusations {
            let new = |piece: &&Accusation| suspicions::concerns(round, piece) && !self.memory.knows(piece, round.state);
            let new: Vec<&Accusation> = pieces.iter().filter(new).collect();
            if let Some(left) = new.len().checked_sub(PIECES).filter(|left| *left > 0) {
                let words = format!("node {node} shows {left} more pieces of evidence: they are looked at in the next passes");
                self.tell(round.terms.round, Outcome::Unavailable, words);
            }
            found.extend(new.into_iter().take(PIECES).cloned());
        }
        found
    }
}
