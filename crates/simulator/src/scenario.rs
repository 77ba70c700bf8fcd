//! What happens in one simulation: who takes part, who misbehaves and how, and what the network and the chain do.

use crate::draw::Draw;
use consilium_core::params::Finality;
use consilium_core::program::{AnyProgram, OneHot, WeightedMean};

/// How a node behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeRole {
    /// As the protocol says.
    Honest,
    /// Says nothing.
    Silent,
    /// Honest; its process is killed at the first moment and restarted from its journal at the second (milliseconds
    /// after opening).
    Crashes(u64, u64),
    /// Honest; its folder is copied at the first moment, its process killed at the second, and started from the copy at the
    /// third (milliseconds after opening).
    Restored(u64, u64, u64),
    /// Honest; its only endpoint lies.
    LiedTo(Lie),
    /// Honest; one of its two endpoints shows a chain with another certificate.
    LiedToByOne,
    /// Corrupt.
    Corrupt(Corruption),
    /// Said to be honest, and broken: the oracle must notice.
    Broken(Defect),
}

/// What an endpoint invents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// A certificate for another set, which has no votes.
    Certificate,
    /// The same, with the vote of one corrupt node under the names of a quorum.
    Votes,
}

/// What all endpoints say of a round's opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Opening {
    /// Seconds by which the opening time that they show is too early.
    pub early: u64,
    /// Whether they showed nodes nothing for a long time before.
    pub stalled: bool,
}

/// What a corrupt node does. Each is a file in `adversary/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Corruption {
    /// Computes a wrong output share, signs its root and serves it.
    WrongShare,
    /// Signs the right root and serves something else.
    MismatchedShare,
    /// Signs different share roots for different nodes.
    TwoShareRoots,
    /// Signs a Final for every set it hears of, and for one nobody has.
    TwoFinals,
    /// Signs receipts for contributions that nobody has.
    FalseReceipts,
    /// Signs different receipts for different nodes.
    SplitReceipts,
    /// Accepts, receipts and votes for anything.
    YesVoter,
    /// Sends old messages again.
    Replayer,
    /// As leader, shows its proposal to few.
    SelectiveLeader,
    /// As leader, leaves out a site.
    OmittingLeader,
    /// As leader, replaces a set by another as soon as it has the votes, and then certifies the first.
    FickleLeader,
    /// Proposes all the time, so that everyone always has news.
    Flooder,
    /// Asks everyone for every seed.
    SeedFisher,
    /// Answers requests for seeds with garbage.
    BadRepairs,
    /// Shows its vote to nobody and certifies with it.
    HiddenVoter,
    /// Says of others that they meant something else, in intents that it signs itself.
    ForgedIntents,
    /// As leader, adds a site that nobody admitted.
    ForeignSite,
    /// Signs rewards that are not those of the set.
    WrongRewards,
}

impl Corruption {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::WrongShare,
        Self::MismatchedShare,
        Self::TwoShareRoots,
        Self::TwoFinals,
        Self::FalseReceipts,
        Self::SplitReceipts,
        Self::YesVoter,
        Self::Replayer,
        Self::SelectiveLeader,
        Self::OmittingLeader,
        Self::FickleLeader,
        Self::Flooder,
        Self::SeedFisher,
        Self::BadRepairs,
        Self::HiddenVoter,
        Self::ForgedIntents,
        Self::ForeignSite,
        Self::WrongRewards,
    ];
}

/// A deliberate bug in a node that is said to be honest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// Releases as soon as the certificate is final.
    HastyRelease,
    /// Releases with Q-1 Finals.
    LowerQuorum,
    /// Signs a Final for a second set.
    SecondFinal,
    /// Accepts without verifying.
    Believer,
    /// Votes for sets that leave sites out.
    CarelessVoter,
    /// Gives every seed it has to whoever asks.
    LeakySeeds,
    /// Answers requests for seeds without sealing.
    OpenSeeds,
    /// Computes twice the sum.
    Doubler,
    /// Never votes.
    Abstainer,
    /// Signs and releases whatever its endpoint, which lies, shows as certified.
    BelievesCertificates,
    /// Takes every opening time for true.
    BelievesOpenings,
}

/// How a site behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SiteRole {
    /// Contributes in every round.
    Honest,
    /// Does not contribute to the first round.
    MissesFirstRound,
    /// Does not contribute.
    Absent,
    /// Contributes this many milliseconds after opening.
    Late(u64),
    /// Cheats.
    Cheat(Cheat),
}

/// How a cheating site deviates; every tamper of the reference's vectors and more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cheat {
    /// A vector over the bound with a forged witness, accepted by nodes 1..=2t.
    Norm,
    /// A vector whose squares wrap around to a small sum, with the square root of -1.
    Wrap,
    /// A weight out of range.
    Weight,
    /// Masked values changed after the proof.
    Values,
    /// Masked witness changed after the proof.
    Witness,
    /// Proof changed.
    Proof,
    /// Made for another round.
    Context,
    /// Last round's message again, or one that claims to be of this round with another's context.
    Replay,
    /// One value too few.
    Short,
    /// One value too many.
    Long,
    /// A value that is not canonical.
    NonCanonical,
    /// Valid, with garbage in the boxes of t nodes.
    GarbageBoxes,
    /// Valid, with empty boxes for t nodes.
    EmptyBoxes,
    /// Valid, with other seeds in the boxes of t nodes.
    WrongSeeds,
    /// Two valid contributions, for different nodes.
    Equivocate,
}

impl Cheat {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Norm,
        Self::Wrap,
        Self::Weight,
        Self::Values,
        Self::Witness,
        Self::Proof,
        Self::Context,
        Self::Replay,
        Self::Short,
        Self::Long,
        Self::NonCanonical,
        Self::GarbageBoxes,
        Self::EmptyBoxes,
        Self::WrongSeeds,
        Self::Equivocate,
    ];

    /// Whether every honest node can come to accept the one contribution, so that it may be, and in time will be, in the set.
    #[must_use]
    pub fn is_acceptable(self) -> bool {
        matches!(self, Self::GarbageBoxes | Self::EmptyBoxes | Self::WrongSeeds)
    }
}

/// The network between all parties.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// Largest delay of a message in milliseconds; messages overtake each other.
    pub max_delay: u64,
    /// Messages lost, in thousandths.
    pub loss: u64,
    /// Messages delivered twice, in thousandths.
    pub duplicates: u64,
}

/// One simulation.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// What every draw comes from.
    pub seed: u64,
    /// Number of nodes that may be corrupt.
    pub t: usize,
    /// The nodes, number 1 first.
    pub nodes: Vec<NodeRole>,
    /// The sites.
    pub sites: Vec<SiteRole>,
    /// Coordinates, or choices of a ballot.
    pub dimension: u64,
    /// Program `one-hot` instead of `weighted-mean`.
    pub ballot: bool,
    /// Fewest sites of a set.
    pub minimum_cohort: u64,
    /// Finality `depth:N` instead of `instant`.
    pub depth: Option<u64>,
    /// The chain drops the certificate's block once, if it is not final.
    pub reorganises: bool,
    /// Seconds from opening to the deadline, and from there to settle-by.
    pub window: u64,
    /// What endpoints say of the opening.
    pub opening: Opening,
    /// The network.
    pub network: Network,
}

impl Scenario {
    /// n honest nodes and as many honest sites as `sites` says, on a good network.
    #[must_use]
    pub fn honest(seed: u64, n: usize, t: usize, sites: usize) -> Self {
        Self {
            seed,
            t,
            nodes: vec![NodeRole::Honest; n],
            sites: vec![SiteRole::Honest; sites],
            dimension: 8,
            ballot: false,
            minimum_cohort: 2,
            depth: None,
            reorganises: false,
            window: 60,
            opening: Opening::default(),
            network: Network { max_delay: 200, loss: 0, duplicates: 0 },
        }
    }

    /// A random scenario: up to t faulty nodes of any kind, up to two cheating sites, a bad network, and now and then
    /// a reorganisation, a void round or a ballot.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut draw = Draw::new(seed);
        let (n, t) = if draw.chance(40) { (9, 2) } else { draw.pick(&[(4, 1), (5, 1), (5, 1), (6, 1)]) };
        let sites = draw.between(3, 5) as usize;
        let mut scenario = Self::honest(draw.below(u64::MAX), n, t, sites);
        scenario.seed = seed;
        scenario.dimension = draw.between(2, 12);
        scenario.ballot = draw.chance(100);
        scenario.network = Network { max_delay: draw.pick(&[20, 200, 500]), loss: draw.pick(&[0, 20, 100]), duplicates: 50 };
        if draw.chance(250) {
            scenario.depth = Some(draw.between(1, 3));
            scenario.reorganises = draw.chance(500);
        }
        for _ in 0..draw.below(t as u64 + 1).max(draw.below(t as u64 + 1)) {
            let node = draw.below(n as u64) as usize;
            scenario.nodes[node] = random_fault(&mut draw);
        }
        for _ in 0..draw.below(3) {
            let site = draw.below(sites as u64) as usize;
            scenario.sites[site] = random_site(&mut draw);
        }
        scenario
    }

    /// Number of nodes.
    #[must_use]
    pub fn n(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn program(&self) -> AnyProgram {
        let program = if self.ballot {
            OneHot::new(self.dimension).map(AnyProgram::OneHot)
        } else {
            WeightedMean::new(self.dimension, 25, 8, 128, 1.5).map(AnyProgram::WeightedMean)
        };
        program.unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn finality(&self) -> Finality {
        self.depth.map_or(Finality::Instant, Finality::Depth)
    }

    /// Nodes that need not be live: all that are not honest from start to end.
    #[must_use]
    pub fn faults(&self) -> usize {
        self.nodes.iter().filter(|role| !matches!(role, NodeRole::Honest | NodeRole::Broken(_))).count()
    }

    /// Whether rounds must close: at most t faults, 4t+1 <= n.
    #[must_use]
    pub fn is_live(&self) -> bool {
        let few = self.faults() <= self.t && 4 * self.t < self.n() || self.faults() == 0;
        few && self.opening == Opening::default()
    }

    /// Sites whose contribution must be counted in the given attempt, as far as it depends on them: `(sure, possible)`.
    #[must_use]
    pub fn contributors(&self, attempt: usize) -> (usize, usize) {
        let sure = |role: &&SiteRole| match role {
            SiteRole::Honest => true,
            SiteRole::MissesFirstRound => attempt > 0,
            SiteRole::Late(at) => *at < self.window * 300,
            SiteRole::Absent => false,
            SiteRole::Cheat(cheat) => cheat.is_acceptable(),
        };
        let possible = |role: &&SiteRole| match role {
            SiteRole::Late(_) | SiteRole::Cheat(Cheat::Equivocate) => true,
            role => sure(role),
        };
        (self.sites.iter().filter(sure).count(), self.sites.iter().filter(possible).count())
    }
}

fn random_fault(draw: &mut Draw) -> NodeRole {
    match draw.below(20) {
        0 => NodeRole::Silent,
        1 | 2 => {
            let from = draw.below(4_000);
            NodeRole::Crashes(from, from + draw.between(500, 40_000))
        }
        3 => NodeRole::LiedTo(draw.pick(&[Lie::Certificate, Lie::Votes])),
        4 => NodeRole::LiedToByOne,
        5 | 6 => {
            let copied = draw.below(3_000);
            let killed = copied + draw.below(3_000);
            NodeRole::Restored(copied, killed, killed + draw.between(100, 20_000))
        }
        _ => NodeRole::Corrupt(draw.pick(&Corruption::ALL)),
    }
}

fn random_site(draw: &mut Draw) -> SiteRole {
    match draw.below(20) {
        0 => SiteRole::Absent,
        1 => SiteRole::MissesFirstRound,
        2 | 3 => SiteRole::Late(draw.below(40_000)),
        _ => SiteRole::Cheat(draw.pick(&Cheat::ALL)),
    }
}
