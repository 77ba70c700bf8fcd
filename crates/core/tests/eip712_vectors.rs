//! Every statement's digest is the one that viem computes (`contracts/test/eip712.vectors.json`, also used by forge).

use alloy_primitives::{Address, B256};
use consilium_core::eip712::{Access, Contribution, Domain, Final, Receipt, Settlement, ShareRoot, Vote};
use serde_json::Value;

fn number<T: core::str::FromStr>(message: &Value, field: &str) -> T {
    let text = match &message[field] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.parse().unwrap_or_else(|_| panic!("{field} is {text}"))
}

fn hash(message: &Value, field: &str) -> B256 {
    number(message, field)
}

fn address(message: &Value, field: &str) -> Address {
    number(message, field)
}

fn digest(domain: &Domain, kind: &str, m: &Value) -> B256 {
    let (study, round) = (number(m, "study"), number(m, "round"));
    match kind {
        "Contribution" => {
            let (site, digest, boxes) = (address(m, "site"), hash(m, "digest"), hash(m, "boxes"));
            domain.digest(&Contribution { study, round, site, digest, boxes })
        }
        "Receipt" => domain.digest(&Receipt { study, round, site: address(m, "site"), digest: hash(m, "digest") }),
        "Vote" => domain.digest(&Vote { study, round, setRoot: hash(m, "setRoot"), size: number(m, "size") }),
        "Final" => domain.digest(&Final { study, subject: hash(m, "subject"), round, setRoot: hash(m, "setRoot") }),
        "ShareRoot" => {
            let (set_root, index, root) = (hash(m, "setRoot"), number(m, "index"), hash(m, "root"));
            domain.digest(&ShareRoot { study, round, setRoot: set_root, index, root })
        }
        "Settlement" => domain.digest(&Settlement {
            study,
            round,
            setRoot: hash(m, "setRoot"),
            shareRootsHash: hash(m, "shareRootsHash"),
            aggregateRoot: hash(m, "aggregateRoot"),
            rewardRoot: hash(m, "rewardRoot"),
        }),
        "Access" => domain.digest(&Access { study, round, object: hash(m, "object"), expires: number(m, "expires") }),
        other => panic!("a statement that core does not know: {other}"),
    }
}

#[test]
fn every_digest_is_the_one_that_viem_computes() {
    let file: Value = serde_json::from_str(include_str!("../../../contracts/test/eip712.vectors.json")).unwrap();
    let chain_id = number(&file["domain"], "chainId");
    let domain = Domain { chain_id, contract: address(&file["domain"], "verifyingContract") };
    let cases = file["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 21);
    for case in cases {
        let kind = case["type"].as_str().unwrap();
        assert_eq!(digest(&domain, kind, &case["message"]), hash(case, "digest"), "{case}");
    }
}
