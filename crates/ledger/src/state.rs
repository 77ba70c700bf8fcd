//! The states of a round.

use serde::{Deserialize, Serialize};

/// How far a round has come: Open -> Void | Certified -> Settled | Abandoned; Settled -> Fraudulent.
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
    /// A settlement was proved wrong.
    Fraudulent,
}

impl State {
    /// The state that the contract writes as this number.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        const ALL: [State; 7] =
            [State::None, State::Open, State::Void, State::Certified, State::Settled, State::Abandoned, State::Fraudulent];
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
