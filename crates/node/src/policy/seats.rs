//! The seats that this node has or had, and how each stands to its policy. Kept in memory: after a start they are read from
//! the chain again.

use crate::service::locked;
use alloy_primitives::{Address, B256};
use consilium_ledger::{BlockRef, ChainEvent, Event};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

const FIRST: Duration = Duration::from_secs(1);
const SLOWEST: Duration = Duration::from_secs(60);

/// How a seat stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// Not read yet.
    Unread,
    /// The newest committee has no seat for this node.
    Absent,
    /// It may be served.
    Within,
    /// It is not served.
    Beyond(Beyond),
}

/// A seat that is not served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Beyond {
    /// Of the committee.
    pub(super) epoch: u64,
    /// Every bound that it breaks.
    pub(super) reason: String,
    /// How far leaving it is.
    pub(super) leaving: Leaving,
}

/// How far a resignation is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Leaving {
    /// `policy.resign` is off.
    Off,
    /// What the first endpoint shows is not in final blocks of every endpoint yet, or not every one answers.
    Unconfirmed,
    /// The endpoints show different terms.
    Disputed,
    /// This node finishes these rounds first.
    AfterRounds(Vec<u64>),
    /// The transaction failed, and is tried again.
    Failing,
    /// The chain has it in a block that is not final.
    Sent {
        /// The transaction; none when the chain said that this node serves no more.
        transaction: Option<B256>,
        /// The block that must become final.
        block: BlockRef,
    },
    /// The chain has it in a final block.
    Done,
}

impl Leaving {
    /// Whether there is more to do.
    fn goes_on(&self) -> bool {
        !matches!(self, Self::Off | Self::Done)
    }
}

impl fmt::Display for Leaving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Unconfirmed => "unconfirmed",
            Self::Disputed => "disputed",
            Self::AfterRounds(_) => "after-rounds",
            Self::Failing => "failing",
            Self::Sent { .. } => "sent",
            Self::Done => "done",
        })
    }
}

/// One study.
#[derive(Debug, Clone)]
pub(super) struct Seat {
    /// The lowest block that a reading must have reached to count.
    pub(super) since: u64,
    pub(super) standing: Standing,
    /// Failed or unfinished looks in a row.
    pub(super) attempts: u32,
    /// When to look; none if nothing can have changed.
    due: Option<Instant>,
    /// News that arrived, so that a look which began before them does not settle the matter.
    news: u64,
}

/// All studies in whose committees this node sits or sat.
#[derive(Debug, Default)]
pub(crate) struct Seats {
    known: Mutex<BTreeMap<u64, Seat>>,
    changed: Notify,
}

impl Seats {
    /// Takes in what may change how a seat stands.
    pub(crate) fn take_in(&self, me: Address, event: &ChainEvent) {
        let height = event.at.block.number;
        match &event.event {
            Event::CommitteeFormed { study, nodes, .. } if nodes.contains(&me) => self.note(*study, height),
            Event::CommitteeFormed { study, .. } | Event::PolicySet { study, .. } | Event::SponsorChanged { study, .. } => {
                self.news_of(|known| known == *study, height);
            }
            _ => {}
        }
    }

    /// Notes a study in which there is, or was, a seat.
    pub(super) fn note(&self, study: u64, since: u64) {
        let fresh = Seat { since, standing: Standing::Unread, attempts: 0, due: None, news: 0 };
        locked(&self.known).entry(study).or_insert(fresh);
        self.news_of(|known| known == study, since);
    }

    /// Everything may be otherwise in the history that replaces the blocks above this height.
    pub(crate) fn roll_back(&self, to: u64) {
        locked(&self.known).values_mut().for_each(|seat| seat.since = seat.since.min(to));
        self.news_of(|_| true, 0);
    }

    /// A round of the study has ended here, for which a resignation may have waited.
    pub(crate) fn round_ended(&self, study: u64) {
        self.news_of(|known| known == study, 0);
    }

    fn news_of(&self, concerns: impl Fn(u64) -> bool, since: u64) {
        for (_, seat) in locked(&self.known).iter_mut().filter(|(study, _)| concerns(**study)) {
            (seat.since, seat.due) = (seat.since.max(since), Some(Instant::now()));
            (seat.attempts, seat.news) = (0, seat.news + 1);
        }
        self.changed.notify_one();
    }

    /// The studies to look at now.
    pub(super) fn due(&self) -> Vec<(u64, Seat)> {
        let now = Instant::now();
        let known = locked(&self.known);
        known
            .iter()
            .filter(|(_, seat)| seat.due.is_some_and(|due| due <= now))
            .map(|(study, seat)| (*study, seat.clone()))
            .collect()
    }

    /// Waits until there is something to look at.
    pub(super) async fn wait(&self) {
        let next = locked(&self.known).values().filter_map(|seat| seat.due).min();
        let pause = next.map_or(SLOWEST, |next| next.saturating_duration_since(Instant::now()));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.changed.notified() => {}
        }
    }

    /// Writes down what a look found. News that arrived meanwhile ask for another one.
    pub(super) fn found(&self, study: u64, looked_at: &Seat, standing: Standing) {
        let mut known = locked(&self.known);
        let Some(seat) = known.get_mut(&study) else { return };
        let goes_on = matches!(&standing, Standing::Beyond(beyond) if beyond.leaving.goes_on());
        seat.standing = standing;
        seat.after_look(looked_at, goes_on);
    }

    /// Puts a look off that failed; how many have failed in a row.
    pub(super) fn failed(&self, study: u64, looked_at: &Seat) -> u32 {
        let mut known = locked(&self.known);
        let Some(seat) = known.get_mut(&study) else { return 0 };
        seat.after_look(looked_at, true);
        seat.attempts
    }

    /// Seats beyond the policy, resigned ones included as long as the newest committee names this node.
    pub(crate) fn beyond(&self) -> usize {
        locked(&self.known).values().filter(|seat| matches!(seat.standing, Standing::Beyond(_))).count()
    }

    /// As `GET /v1/status` shows them.
    pub(crate) fn status(&self) -> Vec<Value> {
        locked(&self.known).iter().filter_map(|(study, seat)| seat.status(*study)).collect()
    }
}

impl Seat {
    fn after_look(&mut self, looked_at: &Self, again: bool) {
        if self.news != looked_at.news {
            return;
        }
        self.attempts = if again { self.attempts.saturating_add(1) } else { 0 };
        let pause = (FIRST * 2u32.saturating_pow(self.attempts.saturating_sub(1).min(16))).min(SLOWEST);
        self.due = again.then(|| Instant::now() + pause);
    }

    fn status(&self, study: u64) -> Option<Value> {
        let Standing::Beyond(Beyond { epoch, reason, leaving }) = &self.standing else { return None };
        let rounds = if let Leaving::AfterRounds(rounds) = leaving { rounds.as_slice() } else { &[] };
        let transaction = if let Leaving::Sent { transaction, .. } = leaving { *transaction } else { None };
        Some(json!({
            "study": study,
            "epoch": epoch,
            "reason": reason,
            "resignation": leaving.to_string(),
            "rounds": rounds,
            "transaction": transaction,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consilium_ledger::LogPosition;

    const ME: Address = Address::repeat_byte(1);

    fn at(number: u64, event: Event) -> ChainEvent {
        let block = BlockRef { number, hash: B256::with_last_byte(number as u8) };
        ChainEvent { at: LogPosition { block, index: 0, transaction: B256::ZERO }, timestamp: None, event }
    }

    fn formed(study: u64, nodes: &[Address]) -> Event {
        Event::CommitteeFormed { study, epoch: 1, threshold: 1, nodes: nodes.to_vec(), kem_key_hashes: Vec::new() }
    }

    fn policy_set(study: u64) -> Event {
        Event::PolicySet { study, minimum_cohort: 2, finality: "instant".into() }
    }

    fn due(seats: &Seats) -> Vec<u64> {
        seats.due().into_iter().map(|(study, _)| study).collect()
    }

    #[test]
    fn only_studies_with_a_seat_are_looked_at_and_again_when_they_change() {
        let seats = Seats::default();
        for event in [policy_set(3), formed(3, &[Address::ZERO]), Event::SponsorChanged { study: 3, sponsor: ME }] {
            seats.take_in(ME, &at(4, event));
        }
        assert!(due(&seats).is_empty(), "strangers' studies cost no reading");
        seats.take_in(ME, &at(5, formed(3, &[Address::ZERO, ME])));
        let (_, seat) = seats.due().remove(0);
        assert_eq!(seat.since, 5);
        seats.found(3, &seat, Standing::Within);
        assert!(due(&seats).is_empty());
        for event in [policy_set(3), formed(3, &[Address::ZERO]), Event::SponsorChanged { study: 3, sponsor: ME }] {
            seats.take_in(ME, &at(9, event));
            let (_, seat) = seats.due().remove(0);
            assert_eq!(seat.since, 9);
            seats.found(3, &seat, Standing::Within);
        }
        seats.roll_back(6);
        assert_eq!(seats.due()[0].1.since, 6, "the replacing history may be shorter");
    }

    #[test]
    fn news_during_a_look_ask_for_another_one() {
        let seats = Seats::default();
        seats.note(3, 0);
        let (_, seat) = seats.due().remove(0);
        seats.take_in(ME, &at(7, policy_set(3)));
        seats.found(3, &seat, Standing::Within);
        assert_eq!(due(&seats), [3]);
        assert_eq!(seats.failed(3, &seat), 0);
        assert_eq!(due(&seats), [3], "nor does a failure put the news off");
    }

    #[test]
    fn a_seat_beyond_the_policy_is_shown_until_the_committee_has_no_place_for_this_node() {
        let seats = Seats::default();
        seats.note(3, 0);
        let (_, seat) = seats.due().remove(0);
        let beyond = |leaving| Standing::Beyond(Beyond { epoch: 2, reason: "too wide".into(), leaving });
        let shown = |leaving, resignation: &str, goes_on: bool| {
            seats.found(3, &seat, beyond(leaving));
            let status = seats.status();
            assert_eq!((status[0]["resignation"].as_str(), seats.beyond()), (Some(resignation), 1));
            assert_eq!((&status[0]["study"], &status[0]["reason"]), (&json!(3), &json!("too wide")));
            assert_eq!(locked(&seats.known)[&3].due.is_some(), goes_on, "{resignation}");
        };
        shown(Leaving::Off, "off", false);
        shown(Leaving::Unconfirmed, "unconfirmed", true);
        shown(Leaving::Disputed, "disputed", true);
        shown(Leaving::AfterRounds(vec![4]), "after-rounds", true);
        assert_eq!(seats.status()[0]["rounds"], json!([4]));
        seats.failed(3, &seat);
        assert_eq!(seats.status()[0]["resignation"], "after-rounds", "a look that failed has found out nothing new");
        shown(Leaving::Failing, "failing", true);
        shown(Leaving::Sent { transaction: None, block: BlockRef::default() }, "sent", true);
        shown(Leaving::Done, "done", false);
        seats.found(3, &seat, Standing::Absent);
        assert!(seats.status().is_empty() && seats.beyond() == 0);
    }
}
