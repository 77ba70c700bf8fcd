//! Why a command failed, in words for a person and a code for a script.

use crate::calldata;
use consilium_ledger::Unsent;
use std::fmt::Display;
use std::process::ExitCode;

/// A failure with its exit code; or, with `--calldata`, the transactions that were asked for.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
    unsent: Vec<Unsent>,
}

impl Failure {
    /// Something went wrong (1).
    pub(crate) fn failed(message: impl Display) -> Self {
        Self { code: 1, message: message.to_string(), unsent: Vec::new() }
    }

    /// Arguments that cannot be meant (2).
    pub(crate) fn usage(message: impl Display) -> Self {
        Self { code: 2, message: message.to_string(), unsent: Vec::new() }
    }

    /// The world is not reachable for now (3).
    pub(crate) fn unreachable(message: impl Display) -> Self {
        Self { code: 3, message: message.to_string(), unsent: Vec::new() }
    }

    /// A policy, a contract or a node says no (4).
    pub(crate) fn refused(message: impl Display) -> Self {
        Self { code: 4, message: message.to_string(), unsent: Vec::new() }
    }

    /// Checked and found wrong (5).
    pub(crate) fn wrong(message: impl Display) -> Self {
        Self { code: 5, message: message.to_string(), unsent: Vec::new() }
    }

    /// Puts what was being done before the message.
    pub(crate) fn during(mut self, what: impl Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// Prints the message to standard error.
    pub(crate) fn report(&self, json: bool) -> ExitCode {
        if !self.unsent.is_empty() {
            println!("{}", calldata::shown(&self.unsent));
            return ExitCode::SUCCESS;
        }
        if json {
            eprintln!("{}", serde_json::json!({ "error": { "exit_code": self.code, "message": self.message } }));
        } else {
            eprintln!("error: {}", self.message);
        }
        ExitCode::from(self.code)
    }
}

impl From<consilium_ledger::Error> for Failure {
    fn from(error: consilium_ledger::Error) -> Self {
        if let consilium_ledger::Error::Unsent(unsent) = error {
            return Self { unsent, ..Self::failed("") };
        }
        if error.is_temporary() {
            Self::unreachable(error)
        } else if error.revert().is_some() {
            Self::refused(error)
        } else {
            Self::failed(error)
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::failed(error)
    }
}
