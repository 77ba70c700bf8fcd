//! JSON-RPC errors with the codes that Ethereum clients use.

use alloy::sol_types::{Panic, Revert, SolError};
use alloy_primitives::Bytes;
use serde::Serialize;
use serde_json::Value;

use crate::{calls::CallError, chain::Error};

/// An error as it stands in a response.
#[derive(Clone, Debug, PartialEq, Serialize, thiserror::Error)]
#[error("{message} (code {code})")]
pub struct RpcError {
    /// The JSON-RPC error code.
    pub code: i64,
    /// What went wrong, in geth's words where geth has words for it.
    pub message: String,
    /// Revert data as a hex string, for code 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

impl RpcError {
    fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    /// -32700: the body is not JSON.
    pub(crate) fn parse(error: &serde_json::Error) -> Self {
        Self::new(-32700, format!("parse error: {error}"))
    }

    /// -32600: the JSON is no request.
    pub(crate) fn invalid_request(why: impl Into<String>) -> Self {
        Self::new(-32600, why)
    }

    /// -32601.
    pub(crate) fn no_method(method: &str) -> Self {
        let method: String = method.chars().take(100).collect();
        let hint = match method.as_str() {
            "eth_sendTransaction" | "eth_sign" | "eth_signTransaction" => {
                ": this chain holds no keys, sign and use eth_sendRawTransaction"
            }
            _ => "",
        };
        Self::new(-32601, format!("the method {method} does not exist/is not available{hint}"))
    }

    /// -32602.
    pub(crate) fn params(why: impl Into<String>) -> Self {
        Self::new(-32602, why)
    }

    /// -32005: the answer would be too large.
    pub(crate) fn too_much(why: impl Into<String>) -> Self {
        Self::new(-32005, why)
    }

    /// -32603: a bug on this side.
    pub(crate) fn internal(why: impl Into<String>) -> Self {
        Self::new(-32603, why)
    }

    /// -32000.
    pub(crate) fn server(why: impl Into<String>) -> Self {
        Self::new(-32000, why)
    }

    fn reverted(output: &Bytes) -> Self {
        let mut message = String::from("execution reverted");
        if let Ok(revert) = Revert::abi_decode(output) {
            message = format!("{message}: {}", revert.reason);
        } else if let Ok(panic) = Panic::abi_decode(output) {
            message = format!("{message}: {panic}");
        }
        Self { code: 3, message, data: Some(Value::String(output.to_string())) }
    }
}

impl From<Error> for RpcError {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(_) | Error::TimeWentBack { .. } | Error::NoSuchBlock { .. } | Error::StateNotKept { .. } => {
                Self::server(error.to_string())
            }
            Error::Store(_) => Self::internal(error.to_string()),
        }
    }
}

impl From<CallError> for RpcError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Reverted { output } => Self::reverted(&output),
            CallError::BadRequest(why) => Self::params(why),
            CallError::Chain(error) => error.into(),
            CallError::Halted { .. } | CallError::NotEnoughGas { .. } | CallError::Refused(_) => Self::server(error.to_string()),
        }
    }
}
