//! What an audit found: one line a check, and the verdict that follows from the lines.

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How much the auditor may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// The chain and the nodes' public statements.
    Public,
    /// Also headers, masked vectors, output shares and aggregates.
    Full,
}

/// What a line is about. Each has a title in plain words, [`Check::title`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// The endpoints answer and tell one story.
    Endpoints,
    /// The code at the contracts' addresses.
    Contracts,
    /// Members of the committee: registered, with stake, independent.
    Committee,
    /// Order of a round's states, and its deadlines.
    Order,
    /// What a round froze: program, policy, admitted sites.
    Terms,
    /// One certified round a subject.
    Subject,
    /// Votes behind a certificate.
    Certificate,
    /// The certificate's block.
    Finality,
    /// The members under the certified root.
    Set,
    /// Q receipts a member.
    Receipts,
    /// Q Finals for the certified set before anything was released.
    Finals,
    /// The signatures under a settlement.
    Settlement,
    /// Who is credited.
    Rewards,
    /// What came in, went out and is held.
    Money,
    /// What a round pays.
    Pay,
    /// Who was paid.
    Claims,
    /// Signed share roots against the settled ones.
    ShareRoots,
    /// Signed statements that contradict each other or the chain.
    Statements,
    /// What nodes say of others' offences.
    Evidence,
    /// The right to read vectors.
    Capability,
    /// Headers: digest, signature, boxes.
    Contributions,
    /// Masked vectors against their hashes.
    MaskedVectors,
    /// Output shares against the settled roots.
    OutputShares,
    /// The aggregate, recomputed.
    Aggregate,
    /// The aggregate as each node serves it.
    PublishedAggregate,
    /// What cannot be recomputed.
    Limits,
}

impl Check {
    /// What the check is about, in a word or two.
    #[must_use]
    pub fn subject(self) -> &'static str {
        match self {
            Self::Endpoints => "chain endpoints",
            Self::Contracts => "contract code",
            Self::Committee => "committee",
            Self::Order => "order of the round",
            Self::Terms => "rules of the round",
            Self::Subject => "one sum a subject",
            Self::Certificate => "votes",
            Self::Finality => "finality",
            Self::Set => "set of sites",
            Self::Receipts => "receipts",
            Self::Finals => "Finals",
            Self::Settlement => "signed result",
            Self::Rewards => "credits",
            Self::Money => "money",
            Self::Pay => "pay",
            Self::Claims => "claims",
            Self::ShareRoots => "signed shares",
            Self::Statements => "signed statements",
            Self::Evidence => "reported evidence",
            Self::Capability => "right to read",
            Self::Contributions => "contributions",
            Self::MaskedVectors => "masked vectors",
            Self::OutputShares => "output shares",
            Self::Aggregate => "recomputed aggregate",
            Self::PublishedAggregate => "served aggregate",
            Self::Limits => "not recomputed",
        }
    }

    /// What holds if the check passes, in plain words.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Endpoints => "the chain's endpoints tell one story",
            Self::Contracts => "the contracts run the published code",
            Self::Committee => "the committee is registered and has stake",
            Self::Order => "the round went through its states in order and in time",
            Self::Terms => "the round's rules are sound and were frozen when it opened",
            Self::Subject => "nobody was summed twice over the same subject",
            Self::Certificate => "enough committee members voted for the set of sites",
            Self::Finality => "the certificate is final on the chain",
            Self::Set => "the set of sites is the certified one, admitted and large enough",
            Self::Receipts => "every site in the set has enough receipts",
            Self::Finals => "the committee committed to this one set before releasing",
            Self::Settlement => "enough committee members signed the result",
            Self::Rewards => "credits follow from the set and the recorded votes",
            Self::Money => "every coin of the study is accounted for",
            Self::Pay => "the round pays by the published formula",
            Self::Claims => "who was paid was owed it",
            Self::ShareRoots => "each node's signed share is the settled one",
            Self::Statements => "the nodes' signed statements do not contradict each other",
            Self::Evidence => "offences that nodes have reported",
            Self::Capability => "the auditor may read the study's vectors",
            Self::Contributions => "every contribution is the one its site signed, in this round",
            Self::MaskedVectors => "every masked vector is the one its site committed to",
            Self::OutputShares => "the nodes' output shares are the settled ones",
            Self::Aggregate => "the aggregate, recomputed from the shares, is the settled one",
            Self::PublishedAggregate => "the nodes serve the settled aggregate",
            Self::Limits => "what was not recomputed",
        }
    }
}

/// Whom or what a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// The whole study.
    Study,
    /// One round.
    Round(u64),
    /// One node in one round.
    Node {
        /// The round.
        round: u64,
        /// The node's number in the round's committee.
        node: usize,
        /// The node's address.
        address: Address,
    },
    /// One site's contribution to one round.
    Site {
        /// The round.
        round: u64,
        /// The site.
        site: Address,
    },
}

impl Scope {
    /// The round, if the line is about one.
    #[must_use]
    pub fn round(&self) -> Option<u64> {
        match self {
            Self::Study => None,
            Self::Round(round) | Self::Node { round, .. } | Self::Site { round, .. } => Some(*round),
        }
    }
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// What the protocol or the chain claims does not hold.
    Fail,
    /// It could not be checked.
    Unavailable,
    /// Something to know, such as a node that lied and was caught; the result stands regardless.
    Note,
    /// It holds.
    Pass,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// What was checked.
    pub check: Check,
    /// About whom.
    pub scope: Scope,
    /// How it came out.
    pub status: Status,
    /// Why, and what to do about it.
    pub reason: String,
    /// What proves it: signed statements, hashes. Null where the chain itself is the proof.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub evidence: Value,
}

/// The outcome of an audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Everything that this level checks holds.
    Pass,
    /// Something does not hold.
    Fail,
    /// Nothing is known to be wrong, but something essential could not be checked.
    Incomplete,
}

/// What an audit found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The study.
    pub study: u64,
    /// How much was read.
    pub level: Level,
    /// The rounds that were audited.
    pub rounds: Vec<u64>,
    /// The checks, in the order in which they were made.
    pub lines: Vec<Line>,
    /// What follows from them.
    pub verdict: Verdict,
}

impl Report {
    pub(crate) fn new(study: u64, level: Level, rounds: Vec<u64>, lines: Vec<Line>) -> Self {
        let verdict = verdict(&lines);
        Self { study, level, rounds, lines, verdict }
    }

    /// The lines of one status.
    pub fn with(&self, status: Status) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(move |line| line.status == status)
    }
}

/// A line about one node never makes an audit incomplete: the others serve the same, and where too few of them do, the
/// line of the round says so.
fn verdict(lines: &[Line]) -> Verdict {
    let essential = |line: &&Line| !matches!(line.scope, Scope::Node { .. });
    if lines.iter().any(|line| line.status == Status::Fail) {
        Verdict::Fail
    } else if lines.iter().filter(essential).any(|line| line.status == Status::Unavailable) {
        Verdict::Incomplete
    } else {
        Verdict::Pass
    }
}

/// Lines as they are written.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) lines: Vec<Line>,
}

impl Book {
    pub(crate) fn write(&mut self, status: Status, check: Check, scope: Scope, reason: impl Into<String>) {
        self.prove(status, check, scope, reason, Value::Null);
    }

    pub(crate) fn prove(&mut self, status: Status, check: Check, scope: Scope, reason: impl Into<String>, evidence: Value) {
        self.lines.push(Line { check, scope, status, reason: printable(&reason.into()), evidence });
    }

    pub(crate) fn pass(&mut self, check: Check, scope: Scope, reason: impl Into<String>) {
        self.write(Status::Pass, check, scope, reason);
    }

    pub(crate) fn fail(&mut self, check: Check, scope: Scope, reason: impl Into<String>) {
        self.write(Status::Fail, check, scope, reason);
    }

    pub(crate) fn note(&mut self, check: Check, scope: Scope, reason: impl Into<String>) {
        self.write(Status::Note, check, scope, reason);
    }

    pub(crate) fn unavailable(&mut self, check: Check, scope: Scope, reason: impl Into<String>) {
        self.write(Status::Unavailable, check, scope, reason);
    }
}

/// Longest reason, in characters: words of others are in it.
const LONGEST: usize = 600;

/// Without what could move the cursor of a terminal, and not endless.
pub(crate) fn printable(text: &str) -> String {
    let clean = |c: char| if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') { '?' } else { c };
    let mut out: String = text.chars().take(LONGEST).map(clean).collect();
    if text.chars().nth(LONGEST).is_some() {
        out.push_str("...");
    }
    out
}
