//! The states of a round.

use serde::{Deserialize, Serialize};

/// How far a round has come: Open -> Void | Certified -> Settled | Abandoned; Certified or Settled -> Fraudulent; Settled ->
/// Refuted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// There is no such round.
    None,
    /// Contributions are received.
    Open,
    /// The deadline passed without a certified set; the subject is free again.
    Void,
    /// The set is certified; outputs are released and a settlement is due.
    Certified,
    /// The result is on chain.
    Settled,
    /// The certified set was not settled in time.
    Abandoned,
    /// Certificate or settlement was proved wrong before it was settled for good.
    Fraudulent,
    /// The settlement was proved wrong after it had begun to pay. It counts as a result for whoever pays by it, and as
    /// evidence for nobody.
    Refuted,
}

impl State {
    /// The state that the contract writes as this number.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        const ALL: [State; 8] = [
            State::None,
            State::Open,
            State::Void,
            State::Certified,
            State::Settled,
            State::Abandoned,
            State::Fraudulent,
            State::Refuted,
        ];
        ALL.get(usize::from(code)).copied()
    }

    /// The state at a block time, if this one is recorded: a deadline that passed counts although nobody recorded it.
    #[must_use]
    pub fn at(self, time: u64, deadline: u64, settle_by: u64) -> Self {
        match self {
            Self::Open if time >= deadline => Self::Void,
            Self::Certified if time >= settle_by => Self::Abandoned,
            other => other,
        }
    }
}
