//! Which round is about what: the marked part follows the first round.

use crate::commands::demo::Arguments;
use consilium_core::params::Committee;

/// What is special about a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drill {
    /// Nothing.
    None,
    /// Four sites cheat.
    CheatingSites,
    /// One node serves a wrong share.
    LyingNode,
    /// The leader is killed while contributions arrive.
    KilledLeader,
}

/// The rounds of one run.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    drills: Vec<(u64, Drill)>,
    /// What is left out, and why.
    pub(super) left_out: Vec<String>,
}

impl Plan {
    pub(super) fn new(options: &Arguments, committee: &Committee) -> Self {
        let mut plan = Self { drills: Vec::new(), left_out: Vec::new() };
        if options.honest {
            return plan;
        }
        let mut wanted = vec![Drill::CheatingSites, Drill::KilledLeader];
        let mut last = None;
        if committee.n() > committee.quorum() {
            last = Some(Drill::LyingNode);
        } else {
            let n = committee.n();
            plan.left_out
                .push(format!("the lying node: with n = 3t+1 = {n} it would strand the certified round for want of a quorum"));
        }
        if u64::from(options.sites) < 4 + (u64::from(options.sites) / 2).max(2) {
            wanted.retain(|drill| *drill != Drill::CheatingSites);
            plan.left_out.push("the cheating sites: too few honest ones would be left for the minimum cohort".to_owned());
        }
        plan.place(u64::from(options.rounds), &wanted, last);
        plan
    }

    /// Gives drills their rounds, from the second one on. A convicted node leaves the study without a committee, and
    /// hospitals pin theirs, so that drill takes the last round.
    fn place(&mut self, rounds: u64, wanted: &[Drill], last: Option<Drill>) {
        let mut free = 2..=rounds;
        let mut placed = Vec::new();
        let (first, others) = wanted.split_at(wanted.len().min(1));
        placed.extend(first.iter().map(|drill| (free.next(), *drill)));
        placed.extend(last.map(|drill| (free.next_back(), drill)));
        placed.extend(others.iter().map(|drill| (free.next(), *drill)));
        for (round, drill) in placed {
            match round {
                Some(round) => self.drills.push((round, drill)),
                None => self.left_out.push(format!("{}: there are too few rounds", drill.what())),
            }
        }
    }

    pub(super) fn of(&self, round: u64) -> Drill {
        self.drills.iter().find(|(number, _)| *number == round).map_or(Drill::None, |(_, drill)| *drill)
    }
}

impl Drill {
    pub(super) fn what(self) -> &'static str {
        match self {
            Self::None => "an ordinary round",
            Self::CheatingSites => "four sites cheat",
            Self::LyingNode => "one node serves a wrong share",
            Self::KilledLeader => "the leader is killed while contributions arrive, and started again later",
        }
    }
}

/// The node that proposes first in a round: 1 + (round mod n).
pub(super) fn leader(round: u64, committee: &Committee) -> usize {
    1 + (round % committee.n() as u64) as usize
}
