//! The arguments of a JSON-RPC call, by position.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::RpcError;

/// The positional arguments of one call.
pub(crate) struct Params(Vec<Value>);

impl Params {
    /// Takes the `params` of a request; absent means none.
    pub(crate) fn new(params: Value) -> Result<Self, RpcError> {
        match params {
            Value::Null => Ok(Self(Vec::new())),
            Value::Array(list) => Ok(Self(list)),
            _ => Err(RpcError::params("non-array args: give the parameters by position")),
        }
    }

    /// Argument `at`, which must be there.
    pub(crate) fn required<T: DeserializeOwned>(&self, at: usize) -> Result<T, RpcError> {
        self.optional(at)?.ok_or_else(|| RpcError::params(format!("missing value for required argument {at}")))
    }

    /// Argument `at`, which may be absent or null.
    pub(crate) fn optional<T: DeserializeOwned>(&self, at: usize) -> Result<Option<T>, RpcError> {
        let Some(value) = self.0.get(at).filter(|value| !value.is_null()) else { return Ok(None) };
        T::deserialize(value).map(Some).map_err(|error| RpcError::params(format!("invalid argument {at}: {error}")))
    }

    /// Refuses argument `at` unless it is absent, null or an empty object.
    pub(crate) fn unsupported(&self, at: usize, what: &str) -> Result<(), RpcError> {
        match self.0.get(at) {
            None | Some(Value::Null) => Ok(()),
            Some(Value::Object(map)) if map.is_empty() => Ok(()),
            Some(_) => Err(RpcError::params(format!("{what} are not supported"))),
        }
    }
}
