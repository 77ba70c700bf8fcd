//! Named bounds: how many nodes, which of them lie, which rounds there are and how far a model goes.

use crate::cast::WHOLE;

/// Which rounds there are. All are about one subject, and open at the same time: a round that endpoints call void goes on
/// elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Places {
    /// One round.
    One,
    /// A round and its retry, in one study with one committee.
    Retry,
    /// Rounds of two studies with the same members.
    Studies,
    /// Rounds of one study in two epochs whose committees have no member in common.
    Epochs,
}

/// From where a model is explored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// No node has seen the round, and no site has contributed.
    Unseen,
    /// Nodes have joined, and sites contribute.
    Empty,
    /// All nodes hold all contributions and know of all but the late site's certificate.
    Collected,
    /// All nodes hold all contributions and know of all certificates.
    Known,
    /// All honest nodes have voted for these sets, one entry a round.
    Voted(&'static [&'static [u8]]),
    /// All honest nodes have voted for the whole set and signed its Final, and nobody has released.
    Finalised,
}

/// What nodes' endpoints show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoints {
    /// Anything, to each node something else. There is no chain then.
    Lie,
    /// One chain, which may reorganise before a certificate is final.
    Honest,
}

/// A mend that is switched off. Each must have a counterexample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// A node believes a certificate without votes.
    BelievesCertificates,
    /// Neither the context of contributions nor clocks bind the opening time.
    UnboundOpening,
    /// The certificate's event carries no votes, and nobody votes after the certificate.
    SilentCertificate,
    /// Latecomers vote as if they had seen the round in time.
    HastyLatecomers,
    /// A site contributes about one subject in a second study, or to a second committee, when it is told that the first round is void.
    ContributesAgain,
    /// Nobody remembers what a restored node was about to say.
    NoIntents,
}

/// One configuration.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// A name to call it by.
    pub name: &'static str,
    /// Size of the committee.
    pub n: usize,
    /// Faulty nodes that the committee is made for.
    pub t: usize,
    /// Whether the last node lies. It signs whatever it likes and tells it to whom it likes.
    pub has_liar: bool,
    /// The leader of the first view, 1..=n.
    pub leader: usize,
    /// Which rounds.
    pub places: Places,
    /// Where it begins.
    pub start: Start,
    /// What endpoints show.
    pub endpoints: Endpoints,
    /// How often one of the nodes in `restorable` comes up with the folder that it had at the start.
    pub restores: u8,
    /// Nodes that may be restored, as a mask; all others acknowledge at once and to everybody.
    pub restorable: u8,
    /// How often the chain takes back a certificate that is not final.
    pub reorganisations: u8,
    /// Whether things happen in one order of those that lead to the same. The nodes that learn of the late site in time are
    /// the first ones (nothing that is in the model then depends on a node's number); proposals come at the second moment,
    /// the smaller set first and only to those that may vote for it; endpoints show certificates at the third.
    pub is_ordered: bool,
    /// Whether time passes only when honest nodes have nothing left to do.
    pub is_timely: bool,
    /// Whether nodes go on after the release.
    pub settles: bool,
    /// Unix seconds at which things happen, increasing.
    pub moments: &'static [u64],
    /// The mend that is switched off.
    pub mutation: Option<Mutation>,
}

/// A moment in time for certificates to bind, and one in the first view.
const CUTOFF: &[u64] = &[1_040, 1_055];
/// In time, and twice in the first view.
const PHASES: &[u64] = &[1_040, 1_055, 1_056];
/// In time, twice in the first view, and a second later: a peer answers one question at a time.
const TWICE: &[u64] = &[1_040, 1_055, 1_060, 1_061];
/// Early, before the true cutoff, in the first view, in the third, and long after latecomers' cutoff.
const OPENING: &[u64] = &[1_005, 1_030, 1_055, 1_080];
/// In time, in each of the three views, and at the deadline.
const VIEWS: &[u64] = &[1_040, 1_055, 1_070, 1_085, 1_100];

/// In the first view, and at the deadline.
const ENDS: &[u64] = &[1_040, 1_100];
/// In the first view, in the third, and at the deadline.
const TURNS: &[u64] = &[1_040, 1_075, 1_100];

const BASE: Bounds = Bounds {
    name: "",
    n: 4,
    t: 1,
    has_liar: false,
    leader: 4,
    places: Places::One,
    start: Start::Collected,
    endpoints: Endpoints::Lie,
    restores: 0,
    restorable: 0,
    reorganisations: 0,
    is_ordered: false,
    is_timely: false,
    settles: false,
    moments: CUTOFF,
    mutation: None,
};

/// Both sets have all votes.
const BOTH: &[&[u8]] = &[&[0, WHOLE]];
/// The first round has votes for both sets, the retry for the whole one.
const RETRIED: &[&[u8]] = &[&[0, WHOLE], &[WHOLE]];

impl Bounds {
    const fn of(self, name: &'static str, n: usize) -> Self {
        Self { name, n, leader: n, ..self }
    }

    const fn lying(self) -> Self {
        Self { has_liar: true, ..self }
    }

    const fn restoring(self, restorable: u8) -> Self {
        Self { restores: 1, restorable, ..self }
    }

    /// This configuration with a mend switched off.
    #[must_use]
    pub fn without(mut self, mutation: Mutation) -> Self {
        self.mutation = Some(mutation);
        self
    }
}

const VOTED: Bounds = Bounds { start: Start::Voted(BOTH), moments: &CUTOFF_ONLY, ..BASE };
const CUTOFF_ONLY: [u64; 3] = [1_040, 1_055, 1_060];
const RETRY: Bounds = Bounds { places: Places::Retry, start: Start::Voted(RETRIED), ..VOTED };
const SITES: Bounds = Bounds { start: Start::Empty, ..BASE };
const CHAIN: Bounds = Bounds { start: Start::Known, endpoints: Endpoints::Honest, settles: true, moments: ENDS, ..BASE };

/// The configurations of the gate.
#[must_use]
pub fn gate() -> Vec<Bounds> {
    vec![
        Bounds { is_ordered: true, moments: PHASES, ..BASE.of("votes-4", 4).lying() },
        Bounds { is_ordered: true, moments: PHASES, ..BASE.of("votes-5", 5).lying() },
        VOTED.of("restored-4", 4).restoring(0b1),
        VOTED.of("restored-5", 5).restoring(0b1),
        VOTED.of("restored-lying-4", 4).lying().restoring(0b1),
        VOTED.of("restored-lying-5", 5).lying().restoring(0b1),
        RETRY.of("retry-4", 4).lying(),
        RETRY.of("retry-5", 5).lying(),
        RETRY.of("retry-restored-4", 4).restoring(0b1),
        Bounds { places: Places::Studies, ..SITES }.of("studies-4", 4),
        Bounds { places: Places::Studies, ..SITES }.of("studies-5", 5),
        Bounds { places: Places::Epochs, ..SITES }.of("epochs-4", 4),
        Bounds { start: Start::Unseen, moments: OPENING, ..BASE }.of("opening-4", 4).lying(),
        Bounds { start: Start::Finalised, settles: true, ..VOTED }.of("settling-4", 4).restoring(0b1),
        Bounds { start: Start::Finalised, settles: true, ..VOTED }.of("settling-5", 5).restoring(0b1),
        Bounds { reorganisations: 1, moments: TURNS, ..CHAIN }.of("chain-4", 4),
        Bounds { leader: 1, ..CHAIN.of("chain-5", 5).lying() },
        Bounds { is_timely: true, moments: VIEWS, ..CHAIN.of("chain-timely-5", 5).lying() },
    ]
}

/// The larger ones, for `make assurance`.
#[must_use]
pub fn assurance() -> Vec<Bounds> {
    vec![
        BASE.of("votes-unordered-4", 4).lying(),
        Bounds { start: Start::Unseen, moments: OPENING, ..BASE }.of("opening-5", 5).lying(),
        Bounds { reorganisations: 1, leader: 1, ..CHAIN.of("chain-reorganised-5", 5).lying() },
        Bounds { places: Places::Epochs, ..SITES }.of("epochs-5", 5),
        RETRY.of("retry-6", 6).lying(),
        Bounds { restores: 2, moments: TWICE, ..VOTED.of("restored-twice-5", 5).restoring(0b1) },
        VOTED.of("restored-either-4", 4).restoring(0b11),
    ]
}

/// A mend, and a configuration that shows what happens without it.
#[must_use]
pub fn mutants() -> Vec<Bounds> {
    let named = |name: &str| {
        let found = gate().into_iter().find(|bounds| bounds.name == name);
        found.unwrap_or_else(|| unreachable!("mutants are of configurations of the gate"))
    };
    vec![
        named("votes-4").without(Mutation::BelievesCertificates),
        named("votes-5").without(Mutation::BelievesCertificates),
        named("opening-4").without(Mutation::UnboundOpening),
        named("chain-5").without(Mutation::SilentCertificate),
        named("opening-4").without(Mutation::HastyLatecomers),
        named("studies-4").without(Mutation::ContributesAgain),
        named("epochs-4").without(Mutation::ContributesAgain),
        named("restored-4").without(Mutation::NoIntents),
        named("restored-5").without(Mutation::NoIntents),
        named("retry-restored-4").without(Mutation::NoIntents),
        named("settling-5").without(Mutation::NoIntents),
    ]
}
