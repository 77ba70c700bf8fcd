//! JSON-RPC 2.0: from the bytes of a request to the bytes of an answer.
//!
//! Methods that read are in [`methods`]; the only ones that write are `eth_sendRawTransaction` and
//! `eth_sendRawTransactionSync` (EIP-7966). Whatever the bytes, the answer is an error with a code and
//! never a panic.

mod error;
mod logs;
mod methods;
mod params;

pub use error::RpcError;
use serde_json::{Value, json};

pub use logs::MAX_LOGS;
pub(crate) use methods::{is_write, read, write};
pub(crate) use params::Params;

/// The most requests in one batch.
pub const MAX_BATCH: usize = 1000;

/// Answers a request or a batch of them. `None` if there is nothing to answer, because all requests
/// are notifications, which by the standard get none.
pub(crate) fn respond(body: &[u8], call: impl Fn(&str, Value) -> Result<Value, RpcError>) -> Option<Vec<u8>> {
    let answer = match serde_json::from_slice::<Value>(body) {
        Err(error) => Some(failure(&Value::Null, &RpcError::parse(&error))),
        Ok(Value::Array(batch)) => respond_batch(batch, call),
        Ok(request) => respond_one(request, &call),
    };
    // A `Value` always serialises: its keys are strings and its numbers finite.
    answer.map(|answer| answer.to_string().into_bytes())
}

fn respond_batch(batch: Vec<Value>, call: impl Fn(&str, Value) -> Result<Value, RpcError>) -> Option<Value> {
    if batch.is_empty() {
        return Some(failure(&Value::Null, &RpcError::invalid_request("empty batch")));
    }
    if batch.len() > MAX_BATCH {
        let error = RpcError::invalid_request(format!("batch too large: limit {MAX_BATCH}"));
        return Some(failure(&Value::Null, &error));
    }
    let answers: Vec<_> = batch.into_iter().filter_map(|request| respond_one(request, &call)).collect();
    (!answers.is_empty()).then_some(Value::Array(answers))
}

fn respond_one(request: Value, call: &impl Fn(&str, Value) -> Result<Value, RpcError>) -> Option<Value> {
    let Value::Object(mut request) = request else {
        let error = RpcError::invalid_request("a request is an object");
        return Some(failure(&Value::Null, &error));
    };
    let id = request.remove("id");
    if !matches!(id, None | Some(Value::Null | Value::Number(_) | Value::String(_))) {
        let error = RpcError::invalid_request("an id is a number, a string or null");
        return Some(failure(&Value::Null, &error));
    }
    let params = request.remove("params").unwrap_or_default();
    let result = match request.get("method").and_then(Value::as_str) {
        Some(method) if request.get("jsonrpc").is_none_or(|version| version == "2.0") => call(method, params),
        Some(_) => Err(RpcError::invalid_request("jsonrpc must be \"2.0\"")),
        // Without an id and a method it is not even a notification.
        None => {
            let error = RpcError::invalid_request("no method");
            return Some(failure(&id.unwrap_or_default(), &error));
        }
    };
    let id = id?;
    Some(match result {
        Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
        Err(error) => failure(&id, &error),
    })
}

/// A response that reports `error`.
pub(crate) fn failure(id: &Value, error: &RpcError) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "error": error})
}
