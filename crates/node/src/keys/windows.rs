//! What still needs a KEM key: the committees that were formed with it, as the chain tells of them at blocks that are final.

use super::{Deployment, Epoch};
use alloy_primitives::{Address, B256};
use consilium_ledger::event::RoundOpened;
use consilium_ledger::{Error as LedgerError, Event, History, Ledger, State};
use std::collections::BTreeSet;
use std::fmt;

/// Why a key is kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hold {
    /// It is the registered key, or the newest one, which is about to be.
    Current,
    /// A committee formed with it sits: rounds may be opened at any time.
    Sits(Epoch),
    /// A round of a committee formed with it.
    Round {
        /// Its committee.
        committee: Epoch,
        /// The round.
        round: u64,
        /// How far it is.
        phase: Phase,
        /// Unix second at which that ends by itself at the latest, if it is known.
        until: Option<u64>,
    },
    /// A committee formed with it that an endpoint does not show at a final block.
    Unseen {
        /// The committee.
        committee: Epoch,
        /// The endpoint.
        endpoint: String,
    },
    /// Another deployment may need it.
    Elsewhere(Deployment),
}

/// How far a round is that still needs a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Contributions are received.
    Collecting,
    /// The set is certified, the settlement is due.
    Settling,
    /// The settlement can still be proved wrong.
    Challengeable,
    /// Contributions are kept for nodes that are late.
    Retained,
    /// This node has a seat in it, or has not deleted its contributions.
    Held,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Collecting => "is in progress and may collect contributions",
            Self::Settling => "is certified and may be settled",
            Self::Challengeable => "is settled and can be challenged",
            Self::Retained => "is over and its contributions are kept",
            Self::Held => "has not been closed and cleared away by this node",
        })
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Current => f.write_str("it is the current key: `consilium node rotate-key` makes another one current"),
            Self::Sits(Epoch { study, epoch }) => write!(
                f,
                "study {study}: the committee of epoch {epoch} was formed with it and may get another round, until the sponsor \
                 forms a new committee or the node resigns"
            ),
            Self::Round { committee, round, phase, until } => {
                write!(f, "study {}, round {round}: it {phase}", committee.study)?;
                until.map_or(Ok(()), |until| write!(f, " until Unix second {until}"))
            }
            Self::Unseen { committee: Epoch { study, epoch }, endpoint } => write!(
                f,
                "study {study}: {endpoint} does not show the committee of epoch {epoch}, formed with it, in a final block; wait \
                 until that is final, or correct the endpoint"
            ),
            Self::Elsewhere(at) => {
                write!(f, "it is registered at {at} as well: run `consilium node forget` with the configuration for that, too")
            }
        }
    }
}

/// What times are held against.
#[derive(Debug, Clone)]
pub struct Look {
    /// Seconds for which contributions are kept after a round.
    pub retention: u64,
    /// This machine's Unix second.
    pub now: u64,
    /// Rounds, as (study, round), that this node has not closed and cleared away, as far as that is known.
    pub held: BTreeSet<(u64, u64)>,
}

/// What one endpoint says, at one final block, of the committees of one study that were formed with a key.
pub(super) async fn open_windows(
    ledger: &Ledger,
    history: Option<&History>,
    committees: &BTreeSet<Epoch>,
    (node, key): (Address, B256),
    look: &Look,
) -> Result<Vec<Hold>, LedgerError> {
    let mut holds = Vec::new();
    for committee in committees {
        let shown = |history: &&History| history.memberships(node).any(|m| m.epoch == committee.epoch && m.key_hash == key);
        let Some(history) = history.filter(shown) else {
            holds.push(Hold::Unseen { committee: *committee, endpoint: ledger.endpoint().to_owned() });
            continue;
        };
        if history.sitting_epoch() == Some(committee.epoch) {
            holds.push(Hold::Sits(*committee));
        }
        for opened in rounds_of(history, committee.epoch) {
            holds.extend(needs(ledger, history, opened, look).await?.map(|(phase, until)| Hold::Round {
                committee: *committee,
                round: opened.round,
                phase,
                until,
            }));
        }
    }
    Ok(holds)
}

fn rounds_of(history: &History, epoch: u64) -> impl Iterator<Item = &RoundOpened> {
    history.events().iter().filter_map(move |event| match &event.event {
        Event::RoundOpened(opened) if opened.epoch == epoch => Some(opened),
        _ => None,
    })
}

/// What a round needs its committee's keys for, and until when.
async fn needs(
    ledger: &Ledger,
    history: &History,
    opened: &RoundOpened,
    look: &Look,
) -> Result<Option<(Phase, Option<u64>)>, LedgerError> {
    if look.held.contains(&(opened.study, opened.round)) {
        return Ok(Some((Phase::Held, None)));
    }
    // Long over, whatever became of it: most rounds of a long epoch need no further reading.
    let window = history.challenge_window();
    let last = opened.settle_by.saturating_add(window.max(look.retention));
    let time = history.head().timestamp.min(look.now);
    if last <= time {
        return Ok(None);
    }
    let state = history.recorded_state(opened.round).at(time, opened.deadline, opened.settle_by);
    let ended = match (state, history.settled_at(opened.round)) {
        (State::Settled | State::Fraudulent | State::Refuted, Some(at)) => {
            let block = ledger.block(at.block.number.into()).await?;
            // An endpoint that does not have the block leaves the latest time that there can be.
            block.map_or(opened.settle_by, |block| block.timestamp)
        }
        _ => opened.settle_by,
    };
    Ok(phase(state, opened, ended, window, (time, look)))
}

/// `ended` is the second of the settlement or, without one, the last one for it. By the chain's clock and this machine's a
/// round must be over; how long contributions are kept after it goes by this machine's, as deleting them does.
fn phase(
    state: State,
    opened: &RoundOpened,
    ended: u64,
    window: u64,
    (time, look): (u64, &Look),
) -> Option<(Phase, Option<u64>)> {
    let challenged = ended.saturating_add(window);
    let kept = ended.saturating_add(look.retention);
    match state {
        State::Open | State::None => Some((Phase::Collecting, Some(opened.deadline))),
        State::Certified => Some((Phase::Settling, Some(opened.settle_by))),
        // Nothing was certified: contributions are deleted at once.
        State::Void => None,
        // The reason that lasts longest is told, so that whoever waits for it waits once.
        State::Settled if challenged > time && (challenged > kept || kept <= look.now) => {
            Some((Phase::Challengeable, Some(challenged)))
        }
        State::Settled | State::Abandoned | State::Fraudulent | State::Refuted => {
            (kept > look.now).then_some((Phase::Retained, Some(kept)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_needs_its_keys_until_it_is_over_unchallengeable_and_cleared_away() {
        let opened = RoundOpened {
            study: 3,
            round: 7,
            subject: B256::ZERO,
            epoch: 2,
            minimum_cohort: 2,
            sites_root: B256::ZERO,
            finality: "instant".into(),
            opened: 10,
            deadline: 100,
            settle_by: 200,
            frozen: B256::ZERO,
        };
        let at = |state, ended, time, now| {
            let look = Look { retention: 50, now, held: BTreeSet::new() };
            phase(state, &opened, ended, 30, (time, &look))
        };
        assert_eq!(at(State::Open, 200, 99, 99), Some((Phase::Collecting, Some(100))));
        assert_eq!(at(State::Void, 200, 100, 100), None);
        assert_eq!(at(State::Certified, 200, 199, 199), Some((Phase::Settling, Some(200))));
        assert_eq!(at(State::Settled, 120, 149, 999), Some((Phase::Challengeable, Some(150))), "the chain's clock counts");
        assert_eq!(at(State::Settled, 120, 149, 169), Some((Phase::Retained, Some(170))), "what lasts longest is told");
        assert_eq!(at(State::Settled, 120, 150, 169), Some((Phase::Retained, Some(170))));
        assert_eq!(at(State::Settled, 120, 150, 170), None);
        assert_eq!(at(State::Fraudulent, 120, 121, 169), Some((Phase::Retained, Some(170))));
        assert_eq!(at(State::Abandoned, 200, 200, 249), Some((Phase::Retained, Some(250))));
        assert_eq!(at(State::Abandoned, 200, 200, 250), None);
        // A round that the chain does not tell the state of is one in progress.
        assert_eq!(at(State::None, 200, 999, 999), Some((Phase::Collecting, Some(100))));
        let committee = Epoch { study: 3, epoch: 2 };
        let hold = Hold::Round { committee, round: 7, phase: Phase::Challengeable, until: Some(150) };
        let text = hold.to_string();
        assert!(["study 3", "round 7", "challenged", "150"].iter().all(|word| text.contains(word)), "{text}");
    }
}
