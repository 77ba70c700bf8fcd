//! Transactions that somebody else is to send, such as a Safe.

use crate::commands::round::unix_seconds;
use consilium_ledger::Unsent;
use serde_json::{Value, json};

/// One transaction by itself; several as a batch in the form that the Transaction Builder of Safe reads from a file, in the
/// order in which they have to run.
pub(crate) fn shown(unsent: &[Unsent]) -> Value {
    match unsent {
        [Unsent { chain_id, from, to, value, data }] => {
            json!({ "chainId": chain_id, "from": from, "to": to, "value": value.to_string(), "data": data })
        }
        several => batch(several),
    }
}

fn batch(unsent: &[Unsent]) -> Value {
    let first = unsent.first();
    let calls: Vec<Value> = unsent
        .iter()
        .map(|call| {
            json!({
                "to": call.to, "value": call.value.to_string(), "data": call.data,
                "contractMethod": null, "contractInputsValues": null,
            })
        })
        .collect();
    json!({
        "version": "1.0",
        "chainId": first.map(|call| call.chain_id.to_string()),
        "createdAt": unix_seconds() * 1000,
        "meta": {
            "name": "Consilium", "description": "An allowance and what needs it: send them together, in this order.",
            "createdFromSafeAddress": first.map(|call| call.from), "createdFromOwnerAddress": "",
        },
        "transactions": calls,
    })
}
