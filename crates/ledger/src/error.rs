//! Errors, sorted by whose fault they are, because retrying, giving up and halting must not be mixed.
//!
//! | whose fault | variants | what to do |
//! |---|---|---|
//! | the world, for now | [`Error::Unreachable`], [`Error::NotMined`], [`Error::Reorganised`], [`Error::FeeTooHigh`], [`Error::TooDear`] | try again |
//! | whoever configured this | [`Error::WrongChain`], [`Error::NoContract`], [`Error::WrongContract`], [`Error::Url`], [`Error::File`] | correct it |
//! | the caller | [`Error::Reverted`], [`Error::Misuse`], [`Error::Unknown`], [`Error::Unsent`], [`Error::KeyElsewhere`], mostly [`Error::Rejected`] | do not repeat the same call |
//! | the study's sponsor | [`Error::Unsupported`], [`Error::Terms`] | take no part |
//! | the endpoint | [`Error::Malformed`], [`Error::Disagreement`] | do not trust it |

use crate::event::{LogPosition, MalformedLog};
use crate::lists::ListFlaw;
use crate::revert::Revert;
use crate::wallet::Unsent;
use alloy_primitives::{Address, B256, U256};
use consilium_core::error::InvalidParameters;
use consilium_core::terms::TermsError;
use std::path::PathBuf;
use thiserror::Error;

/// Why something on the chain could not be read or done.
#[derive(Debug, Error)]
pub enum Error {
    /// Nobody answers, or not in time. Nothing is known about what was asked.
    #[error(
        "cannot reach the chain at {endpoint}: {reason}; check that a node runs there and that the URL is right, then try again"
    )]
    Unreachable {
        /// Scheme, host and port of the endpoint.
        endpoint: String,
        /// What happened.
        reason: String,
    },
    /// A transaction was sent and is in no block yet. It may still be mined.
    #[error("transaction {transaction} is in no block after {seconds} s; it may still be mined: look it up before sending again")]
    NotMined {
        /// The transaction.
        transaction: B256,
        /// How long was waited.
        seconds: u64,
    },
    /// The chain was reorganised while it was being read.
    #[error("the chain was reorganised at block {number} while it was being read: read again")]
    Reorganised {
        /// The block that was replaced.
        number: u64,
    },
    /// A contract refused. Sending the same again will be refused again.
    #[error(transparent)]
    Reverted(#[from] Revert),
    /// The endpoint asks for more a gas than the wallet pays.
    #[error(
        "{endpoint} asks for {asked} wei a gas, this wallet pays {limit} at most: wait until fees have fallen, or raise the limit"
    )]
    FeeTooHigh {
        /// Scheme, host and port of the endpoint.
        endpoint: String,
        /// The base fee, in wei a gas.
        asked: u128,
        /// What the wallet pays at most.
        limit: u128,
    },
    /// The gas of a transaction costs more than what the transaction is worth to its sender.
    #[error("its gas would cost about {cost} wei, more than the {limit} wei that it is worth")]
    TooDear {
        /// What it would cost now, in wei.
        cost: U256,
        /// What it may cost, in wei.
        limit: U256,
    },
    /// The transactions are made up, and somebody else is to sign and send them, in this order.
    #[error("{} transactions are to be sent by an account whose key is not here", .0.len())]
    Unsent(Vec<Unsent>),
    /// This needs a signature by a key that is not here.
    #[error("the key of {0} is not here: sign with a key file, or do it in another way that needs no signature")]
    KeyElsewhere(Address),
    /// The endpoint refused a request before any contract saw it.
    #[error("{endpoint} refused: {message}{}", cause.remedy())]
    Rejected {
        /// Scheme, host and port of the endpoint.
        endpoint: String,
        /// The sort of refusal, as far as it can be told.
        cause: Refusal,
        /// The endpoint's own words, shortened.
        message: String,
    },
    /// The endpoint serves another chain.
    #[error("{endpoint} serves chain {found}, not chain {expected}: correct the URL or the addresses file")]
    WrongChain {
        /// Scheme, host and port of the endpoint.
        endpoint: String,
        /// What the endpoint says.
        found: String,
        /// What the addresses are for.
        expected: u64,
    },
    /// The chain's id does not fit the protocol.
    #[error("{endpoint} serves chain {found}: chain ids above 2^64 - 1 do not fit the protocol, use another chain")]
    ChainIdTooLarge {
        /// Scheme, host and port of the endpoint.
        endpoint: String,
        /// What the endpoint says.
        found: String,
    },
    /// There is no code where a contract should be.
    #[error(
        "there is no contract at {address} on chain {chain_id} ({endpoint}), {contract} should be there: correct the addresses file, or deploy"
    )]
    NoContract {
        /// Scheme, host and port of the endpoint.
        endpoint: String,
        /// The contract's name.
        contract: &'static str,
        /// Where it should be.
        address: Address,
        /// The chain.
        chain_id: u64,
    },
    /// The addresses are not of one deployment.
    #[error("Consilium works with the {contract} {found}, the addresses file says {expected}: correct the file")]
    WrongContract {
        /// The contract's name.
        contract: &'static str,
        /// What the contract says.
        found: Address,
        /// What the file says.
        expected: Address,
    },
    /// Not the URL of an endpoint.
    #[error("{0:?} is not the URL of an endpoint: write it as http://host:port or https://host/path")]
    Url(String),
    /// The addresses file.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is no such study or round.
    #[error(transparent)]
    Unknown(#[from] Unknown),
    /// Arguments that cannot be meant.
    #[error(transparent)]
    Misuse(#[from] Misuse),
    /// A study that this version cannot run.
    #[error("study {study} cannot be run: {reason}")]
    Unsupported {
        /// The study.
        study: u64,
        /// The broken rule.
        reason: InvalidParameters,
    },
    /// A list of sites that the chain does not have, and that cannot be had from its place.
    #[error("the list of sites of study {study} is published at {uri}: {flaw}")]
    SitesElsewhere {
        /// The study.
        study: u64,
        /// Where the list is.
        uri: String,
        /// Why it cannot be used.
        flaw: ListFlaw,
    },
    /// A round that no honest party takes part in.
    #[error("round {round} of study {study} is unsound: {reason}")]
    Terms {
        /// The study.
        study: u64,
        /// The round.
        round: u64,
        /// The broken rule.
        reason: TermsError,
    },
    /// The endpoint's answers are not what the contracts can have written.
    #[error("{endpoint} gave chain data that cannot be true: {defect}; use another endpoint")]
    Malformed {
        /// Scheme, host and port of the endpoint.
        endpoint: String,
        /// What is wrong with it.
        defect: Box<Malformed>,
    },
    /// Two endpoints of one chain tell different stories.
    #[error(transparent)]
    Disagreement(Box<Disagreement>),
}

impl Error {
    /// Whether the same call may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::NotMined { .. }
            | Self::Reorganised { .. }
            | Self::FeeTooHigh { .. }
            | Self::TooDear { .. } => true,
            Self::SitesElsewhere { flaw, .. } => flaw.is_temporary(),
            Self::Rejected { cause, .. } => matches!(cause, Refusal::Nonce | Refusal::Fee | Refusal::Busy),
            Self::Reverted(_)
            | Self::WrongChain { .. }
            | Self::ChainIdTooLarge { .. }
            | Self::NoContract { .. }
            | Self::WrongContract { .. }
            | Self::Url(_)
            | Self::File(_)
            | Self::Unknown(_)
            | Self::Misuse(_)
            | Self::Unsupported { .. }
            | Self::Terms { .. }
            | Self::Unsent(_)
            | Self::KeyElsewhere(_)
            | Self::Malformed { .. }
            | Self::Disagreement(_) => false,
        }
    }

    /// The contract's refusal, if this is one.
    #[must_use]
    pub fn revert(&self) -> Option<&Revert> {
        if let Self::Reverted(revert) = self { Some(revert) } else { None }
    }
}

/// Why an endpoint refuses a request, as far as its words tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The nonce is taken: something else sends with this key.
    Nonce,
    /// The fee is below what the chain takes now.
    Fee,
    /// The account cannot pay.
    Funds,
    /// The endpoint limits requests.
    Busy,
    /// More events than the endpoint returns at once.
    Range,
    /// Anything else.
    Other,
}

impl Refusal {
    pub(crate) fn of(message: &str) -> Self {
        let message = message.to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
        if says(&["insufficient funds", "insufficient balance", "lack of funds"]) {
            Self::Funds
        } else if says(&["nonce", "already known", "known transaction"]) {
            Self::Nonce
        } else if says(&["underpriced", "fee too low", "max fee per gas less", "fee cap"]) {
            Self::Fee
        } else if says(&["rate limit", "too many requests", "limit exceeded", "busy"]) {
            Self::Busy
        } else if says(&["range", "more than", "too many results", "too large", "response size"]) {
            Self::Range
        } else {
            Self::Other
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Self::Nonce => "; another process sends with this key: let one process own a key, then try again",
            Self::Fee => "; fees have risen, try again",
            Self::Funds => "; send the account native currency for gas and stake",
            Self::Busy => "; wait and try again, or use an endpoint without limits",
            Self::Range => "; ask for fewer blocks at once",
            Self::Other => "",
        }
    }
}

/// Something that the contract does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unknown {
    /// A study.
    #[error("there is no study {0} in this contract: check the number and the addresses file")]
    Study(u64),
    /// A privacy account.
    #[error("there is no privacy account {0}: check the number and the addresses file")]
    PrivacyAccount(u64),
    /// A round.
    #[error("study {study} has no round {round} yet")]
    Round {
        /// The study.
        study: u64,
        /// The round.
        round: u64,
    },
}

/// Arguments that cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Misuse {
    /// The share roots are not the ones that were signed.
    #[error("the share roots hash to {computed}, the signed settlement says {signed}")]
    ShareRoots {
        /// Hash of the roots.
        computed: B256,
        /// Hash in the statement.
        signed: B256,
    },
    /// A contract for which a key cannot sign.
    #[error(
        "the contract {account} does not accept the signature of key {key}: give the key of an owner whose signature alone is \
         enough, or have the sponsor name an auditor key with `consilium study auditor`"
    )]
    NotAccepted {
        /// The contract.
        account: Address,
        /// The key's address.
        key: Address,
    },
    /// A site is listed twice.
    #[error("a site is admitted twice: list each address once")]
    Sites,
    /// No place for a list of sites.
    #[error(
        "the list of sites cannot be published there ({bytes} bytes): give an address that begins with https:// and has 256 \
         bytes at most"
    )]
    SitesUri {
        /// Its length.
        bytes: usize,
    },
    /// More than the contract counts with.
    #[error("an amount of {0} does not fit 96 bits: state it in the currency's smallest unit")]
    Amount(U256),
    /// A study without money.
    #[error("study {0} has no currency, so it takes and pays nothing: a study's currency is fixed when it is created")]
    NoCurrency(u64),
    /// Sites that are not the settled ones.
    #[error("the set of round {round} of study {study} is missing, or not the one that was settled: ask another node for it")]
    Cohort {
        /// The study.
        study: u64,
        /// The round.
        round: u64,
    },
    /// A place beyond the end of a set.
    #[error("the set has no member number {0}, counted from 0")]
    Member(usize),
    /// No endpoint at all.
    #[error("at least one endpoint is needed")]
    NoEndpoint,
}

/// Chain data that the contracts cannot have written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Malformed {
    /// A response of the wrong form.
    #[error("an answer does not parse: {0}")]
    Response(String),
    /// The answer is about something else than what was asked.
    #[error("the answer is not about {0}")]
    Unasked(&'static str),
    /// A log.
    #[error(transparent)]
    Log(#[from] MalformedLog),
    /// The events do not add up to what the contract stores.
    #[error("study {study}: the events say otherwise than the contract's storage about {what}")]
    Storage {
        /// The study.
        study: u64,
        /// What differs.
        what: &'static str,
    },
    /// The events of a privacy account do not add up to what the contract stores.
    #[error("privacy account {0}: the events say otherwise than the contract's storage")]
    Account(u64),
    /// An event that must have come before another one is not there.
    #[error("study {study}: the event {missing} before {before:?} is missing")]
    Missing {
        /// The study.
        study: u64,
        /// Event name.
        missing: &'static str,
        /// The event that presupposes it.
        before: Option<LogPosition>,
    },
}

/// Two endpoints of one chain that cannot both be right. A node halts for the round.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{first} and {second} disagree about block {number} ({first_says} / {second_says}): one of them lies or is on a fork; nothing is signed until they agree"
)]
pub struct Disagreement {
    /// One endpoint.
    pub first: String,
    /// Another.
    pub second: String,
    /// Block in question.
    pub number: u64,
    /// Hash of the block, or of the event, by the first.
    pub first_says: B256,
    /// By the second; zero if it has no such event.
    pub second_says: B256,
}

/// Trouble with the addresses file.
#[derive(Debug, Error)]
pub enum FileError {
    /// Cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Is not an addresses file.
    #[error("{} is not an addresses file (JSON with chain_id, registry, consilium, treasury, licences, study_token, set_court, sum_kind, privacy_budget, deployed_at): {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}
