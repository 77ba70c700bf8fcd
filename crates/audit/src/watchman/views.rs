//! A study as all endpoints show it. One that lags, or lies, keeps the watchman from concluding anything; it cannot make it
//! send a transaction, nor believe that a proof is there.

use alloy_primitives::Address;
use consilium_core::accusation::{Accusation, Charge};
use consilium_core::params::Finality;
use consilium_ledger::{Endpoints, Error, Event, History, Ledger, Round, State};
use futures::future::try_join_all;
use std::collections::BTreeSet;

/// The study's history on each endpoint, the first one's first.
pub(super) struct Views(Vec<(Ledger, History)>);

/// Why nothing is to be said of a round for now.
pub(super) struct Trouble {
    pub(super) words: String,
    /// Whether an endpoint could not be read at all.
    pub(super) silent: bool,
}

/// Whether a proof is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// On every endpoint: nothing is left to prove.
    Everywhere,
    /// On none.
    Nowhere,
    /// Not on every one.
    Apart,
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self { silent: error.is_temporary(), words: error.to_string() }
    }
}

impl Views {
    pub(super) async fn read(endpoints: &Endpoints, study: u64) -> Result<Self, Error> {
        let read = |ledger: &Ledger| {
            let ledger = ledger.clone();
            async move { Ok::<_, Error>((ledger.clone(), ledger.history(study).await?)) }
        };
        Ok(Self(try_join_all(endpoints.all().iter().map(read)).await?))
    }

    /// The first endpoint's.
    pub(super) fn first(&self) -> &History {
        &self.0[0].1
    }

    /// The newest round that any endpoint shows.
    pub(super) fn newest(&self) -> u64 {
        self.0.iter().map(|(_, history)| history.rounds()).max().unwrap_or(0)
    }

    /// Whether any endpoint has the round on record: then it is not over for good.
    pub(super) fn is_on_record(&self, round: u64) -> bool {
        self.0.iter().any(|(_, history)| round <= history.rounds() && history.is_on_record(round))
    }

    /// All who were ever members of the study's committee.
    pub(super) fn nodes(&self) -> BTreeSet<Address> {
        let members = self.0.iter().flat_map(|(_, history)| history.events()).filter_map(|event| match &event.event {
            Event::CommitteeFormed { nodes, .. } => Some(nodes),
            _ => None,
        });
        members.flatten().copied().collect()
    }

    /// The time of the block that the slowest endpoint shows.
    pub(super) fn time(&self) -> u64 {
        self.0.iter().map(|(_, history)| history.head().timestamp).min().unwrap_or(0)
    }

    /// A round that every endpoint shows alike.
    pub(super) async fn round(&self, number: u64) -> Result<Round, Trouble> {
        let rounds = try_join_all(self.0.iter().map(|(_, history)| history.round(number))).await?;
        let mut rounds = self.0.iter().map(|(ledger, _)| ledger.endpoint()).zip(rounds);
        let Some((name, first)) = rounds.next() else {
            return Err(Trouble { words: "there is no endpoint".to_owned(), silent: true });
        };
        match rounds.find(|(_, other)| !is_same(&first, other)) {
            None => Ok(first),
            Some((other, _)) => {
                let words = format!("{name} and {other} do not show the same of this round: nothing is concluded until they do");
                Err(Trouble { words, silent: false })
            }
        }
    }

    /// Whether what an accusation would achieve is there already: the node is convicted, or answers for nothing any more;
    /// the round was proved wrong, and no voter answers for its set any more; the site was struck for this round.
    pub(super) async fn answer(&self, round: &Round, accusation: &Accusation) -> Result<Answer, Error> {
        let said = self.0.iter().map(|(ledger, history)| is_answered(ledger, history, round, accusation));
        let said = try_join_all(said).await?;
        Ok(match (said.iter().all(|there| *there), said.iter().any(|there| *there)) {
            (true, _) => Answer::Everywhere,
            (false, true) => Answer::Apart,
            (false, false) => Answer::Nowhere,
        })
    }
}

/// Whether two endpoints show the same, apart from the block at which they were read.
fn is_same(one: &Round, other: &Round) -> bool {
    (&one.terms, one.state, one.opened, &one.struck) == (&other.terms, other.state, other.opened, &other.struck)
        && (&one.certificate, &one.settlement) == (&other.certificate, &other.settlement)
}

async fn is_answered(ledger: &Ledger, history: &History, round: &Round, accusation: &Accusation) -> Result<bool, Error> {
    Ok(match &accusation.charge {
        Charge::TwoFinals { address, .. }
        | Charge::TwoShareRoots { address, .. }
        | Charge::TwoSettlements { address, .. }
        | Charge::WrongShareRoot { address, .. } => !ledger.bond(accusation.study, *address).await?.liable,
        Charge::TwoContributions { site, .. } => history.was_struck_for(*site, accusation.round),
        Charge::WrongSettlement(_) | Charge::WrongReward(_) => matches!(round.state, State::Fraudulent | State::Refuted),
        // Its voters answer for a set whatever else made the round fraudulent.
        Charge::ForeignSite(_) => ledger.is_answered(accusation, Finality::Instant).await?,
    })
}
