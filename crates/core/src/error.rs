//! Errors, sorted by whose fault they are.
//!
//! [`Rejection`] says that a *site's* contribution is invalid and at which step of section 5; [`InvalidParameters`]
//! that whoever chose the parameters broke a rule; [`EncodeError`] that the caller's update cannot be encoded;
//! [`Malformed`] that bytes are not the canonical form of what they claim to be; [`SignatureError`] that a signed
//! statement proves nothing. None of them is evidence for a slashing by itself: evidence is a signed statement, see
//! [`crate::audit`].

use alloy_primitives::Address;
use thiserror::Error;

/// A rule of section 0, 2 or 7 that the chosen parameters break.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidParameters {
    /// The committee's size does not fit its threshold.
    #[error("a committee needs t >= 1 and 3t+1 <= n <= 5t+1, not n = {n}, t = {t}: choose for example (5,1) or (9,2)")]
    Committee {
        /// Number of nodes.
        n: usize,
        /// Threshold.
        t: usize,
    },
    /// More nodes than seeds and bitmaps can serve.
    #[error("a committee has at most {max} nodes, not {n}")]
    CommitteeTooLarge {
        /// Number of nodes asked for.
        n: usize,
        /// The limit.
        max: usize,
    },
    /// More seeds a contribution than anyone wants to draw.
    #[error(
        "a committee of n = {n}, t = {t} needs {seeds} seeds a contribution, at most {max} are allowed: choose a smaller one"
    )]
    TooManySeeds {
        /// Number of nodes.
        n: usize,
        /// Threshold.
        t: usize,
        /// C(n,t).
        seeds: usize,
        /// The limit.
        max: usize,
    },
    /// The number of members listed is not n, or one is listed twice.
    #[error("the committee lists {found} distinct nodes, its parameters say n = {n}")]
    Members {
        /// Number of nodes.
        n: usize,
        /// Distinct members listed.
        found: usize,
    },
    /// The dimension is out of range.
    #[error("the dimension must be 1..=2^32, not {0}")]
    Dimension(u64),
    /// The number of choices is out of range.
    #[error("a ballot has 2..={max} choices, not {d}: ask several questions, a round each")]
    Choices {
        /// Choices asked for.
        d: u64,
        /// Most choices that a ballot may have.
        max: u64,
    },
    /// The scale is out of range.
    #[error("the scale s must satisfy b <= s <= 25, not s = {s} with b = {b}")]
    Scale {
        /// Scale bits.
        s: u64,
        /// Weight bits.
        b: u64,
    },
    /// Too many weight bits.
    #[error("the weight bits b must be 0..=16, not {0}")]
    WeightBits(u64),
    /// The number of norm-test rows is out of range.
    #[error("the number of tests must be 1..=128, not {0}")]
    Tests(u64),
    /// A production deployment must use 128 rows.
    #[error("production needs 128 test rows, not {0}: fewer do not exclude wraparound")]
    TestsNotProduction(u64),
    /// The clip radius is out of range: outside, squares of updates leave the range of binary64 numbers.
    #[error("the clip radius must be a number from 1e-100 to 1e100, not {0}: measure updates in another unit")]
    Clip(String),
    /// 1 - e would fall below 0.9: the mean of accepted updates could leave the clip radius by more than a ninth.
    #[error("kappa = 2^(s-b) is too small for {d} coordinates: lower b or raise s")]
    KappaTooSmall {
        /// Dimension.
        d: u64,
    },
    /// A program that this version does not know.
    #[error("unknown program {0:?}: this version runs \"weighted-mean\" and \"one-hot\"")]
    UnknownProgram(String),
    /// A job kind that this version does not know.
    #[error("unknown job kind {0}: this version runs kind 1 (sum)")]
    UnknownKind(u8),
    /// The study's terms name another length of results than its program has.
    #[error("the study says that a result has {0} elements, its program has another number: no wrong result could be proved")]
    OutputLength(u64),
    /// Program parameters of the wrong form.
    #[error("the parameters of program {program:?} must be {expected} bytes, not {found}")]
    ProgramParameters {
        /// Program name.
        program: &'static str,
        /// Length required.
        expected: usize,
        /// Length found.
        found: usize,
    },
    /// A finality rule that this version does not know.
    #[error("unknown finality rule {0:?}: use \"instant\", \"depth:N\", \"safe\" or \"finalized\"")]
    Finality(String),
    /// The deadlines are not in order.
    #[error("deadlines must satisfy opened < deadline < settle-by, not {opened} < {deadline} < {settle_by}")]
    Deadlines {
        /// Unix seconds.
        opened: u64,
        /// Unix seconds.
        deadline: u64,
        /// Unix seconds.
        settle_by: u64,
    },
    /// A minimum cohort that hides nobody.
    #[error("the minimum cohort must be 2 or more, not {0}: a sum over one site is that site's update")]
    MinimumCohort(u64),
}

/// Why an update cannot be encoded (section 2): the caller's fault.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// The update has the wrong number of coordinates.
    #[error("the update has {found} coordinates, the study expects {expected}")]
    Length {
        /// The study's dimension.
        expected: usize,
        /// Coordinates found.
        found: usize,
    },
    /// A coordinate is NaN, infinite or absurdly large.
    #[error("coordinate {0} of the update is not a finite number below 1e100: check the training for divergence")]
    NotFinite(usize),
    /// The weight is out of range.
    #[error("the weight must be 1..={max}, not {found}")]
    Weight {
        /// Largest weight.
        max: u64,
        /// Weight found.
        found: u64,
    },
    /// The choice of a ballot does not exist.
    #[error("the ballot has {choices} choices, there is no number {choice}")]
    Choice {
        /// Number of choices.
        choices: usize,
        /// The choice.
        choice: usize,
    },
    /// An encoded vector violates the bound that is to be proved.
    #[error("the encoded vector does not satisfy the program: {0}")]
    Constraint(&'static str),
    /// A norm-test row is out of range, which happens with probability below 2^-57.
    #[error("a norm-test row is out of range (probability below 2^-57): draw fresh seeds and try again")]
    RowOutOfRange,
}

/// Bytes that are not the canonical form of what they claim to be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Malformed {
    /// The input ends early.
    #[error("truncated: {what} needs {needed} more bytes")]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// Missing bytes.
        needed: usize,
    },
    /// Bytes are left over.
    #[error("{0} bytes are left over after the end")]
    Trailing(usize),
    /// A length differs from the one that the context demands.
    #[error("{what} has length {found}, expected {expected}")]
    Length {
        /// What was being read.
        what: &'static str,
        /// The only acceptable length.
        expected: usize,
        /// Length found.
        found: usize,
    },
    /// A field element is not reduced.
    #[error("{0} holds a value that is not below the field modulus")]
    NonCanonical(&'static str),
    /// An unknown version or tag.
    #[error("unknown {what} {found}")]
    Tag {
        /// What was being read.
        what: &'static str,
        /// Value found.
        found: u64,
    },
    /// A list is not strictly increasing.
    #[error("{0} must be strictly increasing, without repetition")]
    Order(&'static str),
}

/// The step of section 5 at which a node rejects a contribution: the site's fault (or, for `Seed`, perhaps the box's).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Rejection {
    /// Lengths or canonical form.
    #[error("format")]
    Format,
    /// A seed is missing or does not match its commitment.
    #[error("seed")]
    Seed,
    /// The proof does not hold on this node's shares.
    #[error("proof")]
    Proof,
}

/// Why a signed statement proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// Not 65 bytes r, s, v with low s and v in {27, 28}.
    #[error("the signature is not canonical: 65 bytes r || s || v, low s, v 27 or 28")]
    NotCanonical,
    /// No key recovers, or another one than expected.
    #[error("signed by {found}, expected {expected}")]
    WrongSigner {
        /// Who must have signed.
        expected: Address,
        /// Who did.
        found: Address,
    },
    /// The message names another round than the one it was sent to.
    #[error("made for round {found_round} of study {found_study}, sent to round {round} of study {study}")]
    OtherRound {
        /// Study it was sent to.
        study: u64,
        /// Round it was sent to.
        round: u64,
        /// Study that it names.
        found_study: u64,
        /// Round that it names.
        found_round: u64,
    },
    /// The secret key is not a valid scalar.
    #[error("not a valid secp256k1 secret key")]
    SecretKey,
}
