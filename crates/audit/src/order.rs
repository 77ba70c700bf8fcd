//! Section 6: Open -> Void | Certified -> Settled | Abandoned, Certified or Settled -> Fraudulent, Settled -> Refuted, each once, in order and in time, replayed from events.

use consilium_ledger::{Event, event::RoundOpened};
use std::collections::BTreeMap;

/// What a round has gone through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    Certified,
    Settled,
    Over,
}

#[derive(Debug, Clone, Copy)]
struct Tracked {
    phase: Phase,
    deadline: u64,
    settle_by: u64,
}

/// Replays the events of one study with their block times. Yields what is wrong, by round; nothing is wrong on a chain
/// that runs the contract.
pub(crate) fn violations<'a>(events: impl IntoIterator<Item = (u64, &'a Event)>) -> Vec<(u64, String)> {
    let mut rounds = BTreeMap::new();
    let mut wrong = Vec::new();
    for (time, event) in events {
        let Some(round) = event.round() else { continue };
        let found = match event {
            Event::RoundOpened(opened) => open(&mut rounds, opened, time),
            _ => step(&mut rounds, round, event, time),
        };
        wrong.extend(found.map(|reason| (round, reason)));
    }
    wrong
}

fn open(rounds: &mut BTreeMap<u64, Tracked>, opened: &RoundOpened, time: u64) -> Option<String> {
    let previous = rounds.last_key_value().map(|(number, tracked)| (*number, *tracked));
    let expected = previous.map_or(1, |(number, _)| number + 1);
    let tracked = Tracked { phase: Phase::Open, deadline: opened.deadline, settle_by: opened.settle_by };
    rounds.insert(opened.round, tracked);
    if opened.round != expected {
        return Some(format!("round {} was opened when round {expected} was next", opened.round));
    }
    if opened.opened != time {
        return Some(format!("it says it was opened at {}, its block is of {time}", opened.opened));
    }
    let still_going = previous.is_some_and(|(_, p)| match p.phase {
        Phase::Open => time < p.deadline,
        Phase::Certified => time < p.settle_by,
        Phase::Settled | Phase::Over => false,
    });
    still_going.then(|| "it was opened while the round before was in progress".to_owned())
}

fn step(rounds: &mut BTreeMap<u64, Tracked>, round: u64, event: &Event, time: u64) -> Option<String> {
    let Some(tracked) = rounds.get_mut(&round) else { return Some("something happened before it was opened".to_owned()) };
    let Tracked { phase, deadline, settle_by } = *tracked;
    let (word, from, to, in_time) = match event {
        Event::RoundCertified { .. } => ("certified", Phase::Open, Phase::Certified, time < deadline),
        Event::VotesAdded { .. } => ("given more votes", Phase::Certified, Phase::Certified, time < settle_by),
        Event::RoundVoided { .. } => ("voided", Phase::Open, Phase::Over, time >= deadline),
        Event::RoundSettled { .. } => ("settled", Phase::Certified, Phase::Settled, time < settle_by),
        Event::RoundAbandoned { .. } => ("abandoned", Phase::Certified, Phase::Over, time >= settle_by),
        Event::RoundFraudulent { .. } if phase == Phase::Certified => ("found fraudulent", phase, Phase::Over, time < settle_by),
        Event::RoundFraudulent { .. } => ("found fraudulent", Phase::Settled, Phase::Over, true),
        Event::RoundRefuted { .. } => ("refuted", Phase::Settled, Phase::Over, true),
        _ => return None,
    };
    tracked.phase = to;
    if phase != from {
        return Some(format!("it was {word} out of order"));
    }
    (!in_time)
        .then(|| format!("it was {word} at {time}, with certification due before {deadline} and settlement before {settle_by}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{B256, Bytes, U256};

    fn opened(round: u64, at: u64) -> Event {
        let (deadline, settle_by) = (at + 10, at + 20);
        let frozen = B256::ZERO;
        Event::RoundOpened(RoundOpened {
            study: 1,
            round,
            subject: B256::with_last_byte(round as u8),
            epoch: 1,
            minimum_cohort: 2,
            sites_root: B256::ZERO,
            finality: "instant".into(),
            deadline,
            settle_by,
            opened: at,
            frozen,
        })
    }

    fn certified(round: u64) -> Event {
        Event::RoundCertified { study: 1, round, set_root: B256::ZERO, size: 2, voters: U256::ZERO, signatures: Bytes::new() }
    }

    fn settled(round: u64) -> Event {
        let (share_roots, signers) = (Vec::new(), U256::ZERO);
        let [set_root, aggregate_root, reward_root] = [B256::ZERO; 3];
        Event::RoundSettled { study: 1, round, set_root, share_roots, aggregate_root, reward_root, signers }
    }

    fn late(round: u64) -> Event {
        Event::VotesAdded { study: 1, round, voters: U256::ZERO, signatures: Bytes::new() }
    }

    fn said(events: &[(u64, Event)]) -> Vec<(u64, String)> {
        violations(events.iter().map(|(time, event)| (*time, event)))
    }

    #[test]
    fn a_lawful_history_has_nothing_wrong() {
        let (voided, abandoned) = (Event::RoundVoided { study: 1, round: 2 }, Event::RoundAbandoned { study: 1, round: 3 });
        let history = [
            (100, opened(1, 100)),
            (109, certified(1)),
            (111, late(1)),
            (119, settled(1)),
            (200, opened(2, 200)),
            (210, voided),
            (210, opened(3, 210)),
            (215, certified(3)),
            (230, abandoned),
            (230, opened(4, 230)),
        ];
        assert_eq!(said(&history), []);
    }

    #[test]
    fn every_break_of_order_or_time_is_told() {
        let cases: [(&[(u64, Event)], &str); 9] = [
            (&[(100, opened(2, 100))], "round 1 was next"),
            (&[(101, opened(1, 100))], "its block is of 101"),
            (&[(100, opened(1, 100)), (105, opened(2, 105))], "while the round before"),
            (&[(100, opened(1, 100)), (110, certified(1))], "certified at 110"),
            (&[(100, opened(1, 100)), (105, settled(1))], "settled out of order"),
            (&[(100, opened(1, 100)), (105, certified(1)), (106, certified(1))], "certified out of order"),
            (&[(100, certified(1))], "before it was opened"),
            (&[(100, opened(1, 100)), (105, late(1))], "given more votes out of order"),
            (&[(100, opened(1, 100)), (105, certified(1)), (120, late(1))], "given more votes at 120"),
        ];
        for (history, reason) in cases {
            let found = said(history);
            assert!(found.iter().any(|(_, said)| said.contains(reason)), "{reason}: {found:?}");
        }
    }
}
