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
        let mut wanted = vec![Drill::CheatingSites, Drill::LyingNode, Drill::KilledLeader];
        if committee.n() == committee.quorum() {
            wanted.retain(|drill| *drill != Drill::LyingNode);
            let n = committee.n();
            plan.left_out
                .push(format!("the lying node: with n = 3t+1 = {n} it would strand the certified round for want of a quorum"));
        }
        if u64::from(options.sites) < 4 + (u64::from(options.sites) / 2).max(2) {
            wanted.retain(|drill| *drill != Drill::CheatingSites);
            plan.left_out.push("the cheating sites: too few honest ones would be left for the minimum cohort".to_owned());
        }
        plan.place(u64::from(options.rounds), &wanted);
        plan
    }

    /// Gives drills their rounds, from the second one on.
    fn place(&mut self, rounds: u64, wanted: &[Drill]) {
        let mut free = 2..=rounds;
        for drill in wanted {
            match free.next() {
                Some(round) => self.drills.push((round, *drill)),
                None => self.left_out.push(format!("{}: there are too few rounds", drill.what())),
            }
        }
    }

    /// Whether a node will be convicted, so that another one has to take its place.
    pub(super) fn needs_spare(&self) -> bool {
        self.drills.iter().any(|(_, drill)| *drill == Drill::LyingNode)
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
