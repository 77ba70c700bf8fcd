//! Errors, sorted by whose fault they are. None of them loses anything that was accepted: what was sent is in the journal.
//!
//! | whose fault | variants | what to do |
//! |---|---|---|
//! | this site says no | [`Error::Refused`] | read the remedy; nothing was sent |
//! | the caller | [`Error::Encode`], [`Error::Tensors`], [`Error::Config`], [`Error::Key`] | correct it |
//! | the chain | [`Error::Ledger`] | see [`consilium_ledger::Error`] |
//! | the nodes | [`Error::TooFewAnswers`], [`Error::Undelivered`], [`Error::NoResult`] | call again: the same bytes are sent |
//! | this machine | [`Error::Journal`], [`Error::Entropy`], [`Error::Interrupted`] | repair, call again |

mod refusal;

pub use refusal::Refusal;

use crate::journal::{Slot, VERSION};
use crate::nodes::NodeFailure;
use crate::sharing::StudyCommittee;
use alloy_primitives::{Address, B256};
use consilium_core::certify::ReceiptCertificate;
use consilium_core::error::EncodeError;
use std::path::PathBuf;
use thiserror::Error;

/// Why a site did not contribute, or did not get a checked result.
#[derive(Debug, Error)]
pub enum Error {
    /// The site's own rules forbid it. Nothing was sent.
    #[error("refused: {0}")]
    Refused(#[from] Box<Refusal>),
    /// The update cannot be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The tensors cannot be read.
    #[error(transparent)]
    Tensors(#[from] TensorError),
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The keys.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The chain.
    #[error(transparent)]
    Ledger(#[from] consilium_ledger::Error),
    /// Too few nodes have said what they hold of this site. Nothing was signed.
    #[error(
        "only {have} of the {needed} nodes needed have said what they hold of this site: {}; nothing was signed: call again \
         once more of them answer, or set `trust_journal = true` under [policy] if this data folder is no copy and was never \
         restored",
        list(attempts)
    )]
    TooFewAnswers {
        /// How many have answered.
        have: usize,
        /// n - t.
        needed: usize,
        /// What the others did.
        attempts: Vec<NodeFailure>,
    },
    /// Not enough receipts. The contribution is in the journal and may be in the round all the same.
    #[error(
        "only {} of the {needed} receipts needed came in; {}; call again before the deadline, the same bytes are sent",
        have.receipts.len(),
        list(attempts)
    )]
    Undelivered {
        /// The receipts so far.
        have: Box<ReceiptCertificate>,
        /// Q.
        needed: usize,
        /// What the nodes said.
        attempts: Vec<NodeFailure>,
    },
    /// No node served a result that is the one on the chain.
    #[error("round {round} is settled, but no node serves its {what}: {}; call again later", list(faults))]
    NoResult {
        /// The round.
        round: u64,
        /// Set or aggregate.
        what: &'static str,
        /// What each node did.
        faults: Vec<NodeFailure>,
    },
    /// There is no result for whoever reads settled rounds.
    #[error("round {round} of study {study} is {state}, not settled for good: there is nothing to read")]
    NotSettled {
        /// The study.
        study: u64,
        /// The round.
        round: u64,
        /// The round's state.
        state: &'static str,
    },
    /// The round did not end in the time that the caller gave it.
    #[error("round {round} of study {study} is still {state} after {seconds:.0} s: call again, or ask the sponsor")]
    StillRunning {
        /// The study.
        study: u64,
        /// The round.
        round: u64,
        /// Its state.
        state: &'static str,
        /// How long was waited.
        seconds: f64,
    },
    /// The operating system has no randomness.
    #[error("the operating system gives no random numbers: {0}; nothing was sent")]
    Entropy(String),
    /// A background task was stopped, as when the process shuts down.
    #[error("the work was interrupted; call again, what was journalled is kept")]
    Interrupted,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

impl Error {
    /// The refusal, if the site's own rules are the reason.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        if let Self::Refused(refusal) = self { Some(refusal) } else { None }
    }

    /// Whether the same call may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::TooFewAnswers { .. }
            | Self::Undelivered { .. }
            | Self::NoResult { .. }
            | Self::StillRunning { .. }
            | Self::Interrupted => true,
            Self::Ledger(error) => error.is_temporary(),
            Self::NotSettled { .. }
            | Self::Refused(_)
            | Self::Encode(_)
            | Self::Tensors(_)
            | Self::Config(_)
            | Self::Key(_)
            | Self::Journal(_)
            | Self::Entropy(_) => false,
        }
    }
}

fn list(failures: &[NodeFailure]) -> String {
    if failures.is_empty() {
        return "no node answered".to_owned();
    }
    failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Tensors that cannot be used: the caller's fault.
#[derive(Debug, Error)]
pub enum TensorError {
    /// Not a safetensors file.
    #[error("not a readable safetensors file: {0}")]
    File(safetensors::SafeTensorError),
    /// Two tensors of one name.
    #[error("tensor {0:?} is in the file twice: write each once")]
    Duplicate(String),
    /// A number format that is not a real number's.
    #[error("tensor {name:?} has format {found}: F16, BF16, F32 and F64 are accepted")]
    Format {
        /// The tensor.
        name: String,
        /// Its format.
        found: String,
    },
    /// NaN or infinite.
    #[error("tensor {name:?} is not finite at index {index}: check the training for divergence")]
    NotFinite {
        /// The tensor.
        name: String,
        /// Row-major.
        index: usize,
    },
    /// Another length than the layout's or the model's.
    #[error("{found} values where {expected} are expected: is this the right model?")]
    Length {
        /// Expected.
        expected: usize,
        /// Found.
        found: usize,
    },
    /// No tensors.
    #[error("the file has no tensors")]
    Empty,
    /// Too many tensors.
    #[error("{0} tensors, at most {max} are read", max = crate::tensors::MAX_TENSORS)]
    TooMany(usize),
    /// A name that is too long.
    #[error("a tensor name of {0} bytes, at most {max} are read", max = crate::tensors::MAX_NAME_BYTES)]
    Name(usize),
    /// A shape that is too large.
    #[error("tensor {0:?} is too large")]
    Shape(String),
    /// A file that is too large.
    #[error("a file of {0} bytes, at most {max} are read", max = crate::tensors::MAX_FILE_BYTES)]
    TooLarge(usize),
}

/// A configuration that cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// Cannot be read.
    #[error("cannot read the configuration {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Is not a configuration.
    #[error("{} is not a site's configuration: {reason}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// A setting without which nothing works.
    #[error("`{setting}` is missing: set it in the configuration, or {variable} in the environment")]
    Missing {
        /// In the file.
        setting: &'static str,
        /// In the environment.
        variable: &'static str,
    },
    /// Shared subjects that say nothing, or too little.
    #[error(transparent)]
    Sharing(#[from] SharingError),
    /// A study is not a number.
    #[error("[studies.{0}]: a study is a number without leading zeros, as in [studies.1]")]
    StudyNumber(String),
    /// Not the URL of a node.
    #[error("{url:?} is not the URL of node {node}: write it as http://host:port or https://host/path")]
    NodeUrl {
        /// The node.
        node: Address,
        /// The text.
        url: String,
    },
    /// Nobody to talk to.
    #[error("no node of the committee of study {study} has a URL: add {} and the others under [nodes]", example)]
    NoNodes {
        /// The study.
        study: u64,
        /// One of them.
        example: Address,
    },
    /// The addresses file.
    #[error(transparent)]
    Addresses(#[from] consilium_ledger::error::FileError),
    /// The HTTP client cannot be made.
    #[error("no HTTP client can be set up: {0}")]
    Client(String),
}

/// Entries of `[[shared_subjects]]` that cannot be used. Groups are counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SharingError {
    /// Fewer than two.
    #[error("[[shared_subjects]] number {group}: name at least two studies, or one study with two committees")]
    Alone {
        /// Which group.
        group: usize,
    },
    /// The same one again.
    #[error("[[shared_subjects]] number {group} names this twice: {twice}; the second must differ in study or committee")]
    Twice {
        /// Which group.
        group: usize,
        /// What it names.
        twice: StudyCommittee,
    },
    /// A contract on no chain, or a chain without a contract.
    #[error(
        "[[shared_subjects]] number {group}: study {study} needs both `chain_id` and `contract`, or neither, which means those \
         of the addresses file"
    )]
    Half {
        /// Which group.
        group: usize,
        /// The study.
        study: u64,
    },
}

/// Keys that cannot be used.
#[derive(Debug, Error)]
pub enum KeyError {
    /// Cannot be read.
    #[error("cannot read the key file {}: {source}; make one with `consilium keys new site`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Cannot be written.
    #[error("cannot write the key file {}: {source}; an existing one is never overwritten", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Others may read it.
    #[error("others may read the key file {} (mode {mode:o}): `chmod 600` it, and think about a new key", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Holds no keys.
    #[error(
        "{} is not a key file: {what}; expected {{\"signing_key\":\"0x..\",\"device_secret\":\"0x..\"}}, 32 bytes each",
        path.display()
    )]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// Not a signing key.
    #[error("not a valid secp256k1 secret key")]
    Scalar,
    /// No randomness.
    #[error("the operating system gives no random numbers: {0}")]
    Entropy(String),
}

/// Trouble with the journal. Without a journal nothing is sent.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The disk.
    #[error("cannot use the journal {}: {source}; nothing that is not in it is sent", path.display())]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another process has it.
    #[error("another process uses the journal in {}: a site key has one journal and one process at a time", .0.display())]
    Locked(PathBuf),
    /// It is another site's.
    #[error("the journal in {} is that of site {found}, the key is that of {expected}: one data folder a key", path.display())]
    OtherSite {
        /// The folder.
        path: PathBuf,
        /// Whose it is.
        found: Address,
        /// Whose key it is.
        expected: Address,
    },
    /// It was changed by something else.
    #[error(
        "line {line} of the journal {} is damaged: restore it from a backup; do not delete it, it keeps this site from \
         giving itself away by contributing twice",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
    },
    /// Another version of this program wrote it.
    #[error(
        "line {line} of the journal {} is not of version {VERSION}: another version of this program wrote it. Use that program, \
         or a new key (`consilium keys new site`) with an empty data folder; do not delete this folder while its key is in use",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
    },
    /// A stored message is not what was journalled.
    #[error("the stored message {} is missing or damaged: it cannot be sent again; wait for the next round", .0.display())]
    Message(PathBuf),
    /// A subject gets one sum.
    #[error(
        "the journal has a contribution to subject {subject} in {place}, or knows that round to be certified: nothing was \
         sent; another call of this process was faster, call again to see the rule"
    )]
    SubjectTaken {
        /// The subject.
        subject: B256,
        /// Where it was contributed to, or certified.
        place: Slot,
    },
    /// A site signs one digest a round.
    #[error("the journal has contribution {signed} in {place}, {refused} is refused: a site signs one digest a round")]
    AnotherDigest {
        /// The round.
        place: Slot,
        /// What is in the journal.
        signed: B256,
        /// What was to be written.
        refused: B256,
    },
}
