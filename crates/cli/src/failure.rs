//! Why a command failed, in words for a person and a code for a script.

use consilium_ledger::Unsent;
use std::fmt::Display;
use std::process::ExitCode;

/// A failure with its exit code; or, with `--calldata`, the transaction that was asked for.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
    unsent: Option<Box<Unsent>>,
}

impl Failure {
    /// Something went wrong (1).
    pub(crate) fn failed(message: impl Display) -> Self {
        Self { code: 1, message: message.to_string(), unsent: None }
    }

    /// Arguments that cannot be meant (2).
    pub(crate) fn usage(message: impl Display) -> Self {
        Self { code: 2, message: message.to_string(), unsent: None }
    }

    /// The world is not reachable for now (3).
    pub(crate) fn unreachable(message: impl Display) -> Self {
        Self { code: 3, message: message.to_string(), unsent: None }
    }

    /// A policy, a contract or a node says no (4).
    pub(crate) fn refused(message: impl Display) -> Self {
        Self { code: 4, message: message.to_string(), unsent: None }
    }

    /// Checked and found wrong (5).
    pub(crate) fn wrong(message: impl Display) -> Self {
        Self { code: 5, message: message.to_string(), unsent: None }
    }

    /// Puts what was being done before the message.
    pub(crate) fn during(mut self, what: impl Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// Prints the message to standard error.
    pub(crate) fn report(&self, json: bool) -> ExitCode {
        if let Some(unsent) = &self.unsent {
            let Unsent { chain_id, from, to, value, data } = &**unsent;
            let value = value.to_string();
            println!("{}", serde_json::json!({ "chainId": chain_id, "from": from, "to": to, "value": value, "data": data }));
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
            return Self { unsent: Some(unsent), ..Self::failed("") };
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
