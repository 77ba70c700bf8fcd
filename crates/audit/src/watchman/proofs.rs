//! Filing proofs: once each, until every endpoint shows what became of it.

use super::views::Answer;
use super::{Outcome, Pass, suspicions};
use crate::listed;
use alloy_primitives::Address;
use consilium_core::accusation::{Accusation, Charge};
use consilium_ledger::{Error, Receipt, Round};
use std::collections::BTreeMap;

impl Pass<'_> {
    /// Looks again at what was sent or refused in earlier passes, whether or not nodes still serve the evidence.
    pub(super) async fn retry(&mut self) {
        let mut due: BTreeMap<u64, Vec<Accusation>> = BTreeMap::new();
        for accusation in self.memory.due() {
            due.entry(accusation.round).or_default().push(accusation);
        }
        for (number, accusations) in due {
            match self.views.round(number).await {
                Ok(round) => {
                    for accusation in &accusations {
                        self.file_again(&round, accusation).await;
                    }
                }
                Err(trouble) => self.tell(number, Outcome::Unavailable, trouble.words),
            }
        }
    }

    /// What is known of the round may have changed since the proof was sent.
    async fn file_again(&mut self, round: &Round, accusation: &Accusation) {
        if self.may_file(round, accusation) && accusation.holds(&self.domain(), &round.record()) {
            self.file(round, accusation).await;
        } else {
            self.memory.drop_attempt(accusation);
        }
    }

    /// Files a proof, unless it is on its way.
    pub(super) async fn prove(&mut self, round: &Round, accusation: &Accusation) {
        if self.memory.knows(accusation, round.state) {
            return;
        }
        if accusation.holds(&self.domain(), &round.record()) {
            self.file(round, accusation).await;
        } else {
            self.memory.note_worthless(accusation, round.state);
        }
    }

    async fn file(&mut self, round: &Round, accusation: &Accusation) {
        let (number, words) = (accusation.round, suspicions::in_words(round, accusation));
        match self.views.answer(round, accusation).await {
            Ok(Answer::Nowhere) => self.send(accusation, words).await,
            Ok(Answer::Everywhere) => {
                if self.memory.close(accusation, offender(accusation)) {
                    let words = format!("{words}: that was proved before, or its author answers for it no more");
                    self.tell(number, Outcome::Settled, words);
                }
            }
            Ok(Answer::Apart) => {
                let words = format!("{words}: not every endpoint shows that it is proved; nothing is sent until they agree");
                self.put_off(accusation, words);
            }
            Err(error) => self.put_off(accusation, format!("{words}: {error}")),
        }
    }

    async fn send(&mut self, accusation: &Accusation, words: String) {
        let number = accusation.round;
        if self.watchman.dry {
            if self.memory.close(accusation, offender(accusation)) {
                self.tell(number, Outcome::WouldProve, words);
            }
            return;
        }
        if matches!(accusation.charge, Charge::TwoContributions { .. }) && !self.errand() {
            return self.put_off(accusation, format!("{words}: left to the next pass, as nothing is paid for it"));
        }
        match self.accuse(accusation).await {
            Ok(receipt) => {
                self.memory.note_sent(accusation);
                self.tell_sent(number, Outcome::Proved, words, receipt.transaction);
            }
            Err(error) => self.put_off(accusation, format!("{words}: {error}; trying again")),
        }
    }

    async fn accuse(&self, accusation: &Accusation) -> Result<Receipt, Error> {
        self.watchman.endpoints.primary().accuse(&self.watchman.wallet, accusation).await
    }

    fn put_off(&mut self, accusation: &Accusation, words: String) {
        self.memory.put_off(accusation);
        self.tell(accusation.round, Outcome::Unavailable, words);
    }
}

/// Whom the proof concerns; none for all who voted for a set or signed a settlement.
fn offender(accusation: &Accusation) -> Option<Address> {
    listed::offender(&accusation.charge)
}
