//! Messages between nodes and evidence of offences: JSON that reads back as the same value, and statements that count only
//! when the node that they name has signed them.

use super::fixed::{DOMAIN, round};
use crate::parts::Parts;
use alloy_primitives::{Address, U256};
use consilium_core::accusation::{Accusation, Record};
use consilium_core::certify::{CertifiedSet, Cohort, ReceiptCertificate};
use consilium_core::openings::Roots;
use consilium_core::round::{Known, Message, SignedIntent, SignedReceipt};
use consilium_site::nodes::{Held, Statements, Uploaded};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) fn target(data: &[u8]) {
    let Some(messages) = read::<Vec<Message>>(data) else { return };
    for message in messages {
        bounds(&message);
        let Some(genuine) = message.clone().checked(round(), &Known::default()) else { continue };
        let checked = genuine.into_message();
        let Message::Receipts(kept) = &checked else {
            assert_eq!(checked, message, "nothing is altered by the check");
            said(&checked);
            continue;
        };
        assert!(kept.iter().all(is_signed), "a receipt of nobody's passed");
        let Message::Receipts(all) = &message else { panic!("another message came out") };
        assert!(kept.iter().all(|receipt| all.contains(receipt)));
        assert_eq!(kept.len(), all.iter().filter(|receipt| is_signed(receipt)).count());
    }
}

/// What passed as a node's word about what it was about to say is its own.
fn said(message: &Message) {
    let intents = match message {
        Message::Intent(said) | Message::Acknowledged(said) => std::slice::from_ref(said),
        Message::Recalled { intents, receipts, .. } => {
            assert!(receipts.iter().all(is_by_its_node), "a receipt of nobody's passed");
            intents.as_slice()
        }
        _ => return,
    };
    let by = |said: &SignedIntent| round().domain.signer(&said.statement(round()), &said.signature).ok();
    assert!(intents.iter().all(|said| by(said).is_some() && by(said) == member(said.node)), "an intent of nobody's passed");
}

fn member(node: usize) -> Option<Address> {
    round().committee.member(node).map(|member| member.address)
}

fn is_by_its_node(receipt: &SignedReceipt) -> bool {
    let signer = round().domain.signer(&receipt.statement(round()), &receipt.signature).ok();
    signer.is_some() && signer == member(receipt.node)
}

fn is_signed(receipt: &SignedReceipt) -> bool {
    round().admits(&receipt.member.site) && is_by_its_node(receipt)
}

fn bounds(message: &Message) {
    if let Message::Cohort(cohort) | Message::Proposal { cohort, .. } = message {
        assert!(cohort.members().windows(2).all(|pair| pair[0].site < pair[1].site));
        assert_eq!(Cohort::new(cohort.members().to_vec()).map(|again| again.root()), Ok(cohort.root()));
        let _ = round().allows(cohort);
    }
}

pub(crate) fn evidence(data: &[u8]) {
    let mut parts = Parts::new(data);
    let (kind, json) = (parts.byte(), parts.rest());
    match kind % 5 {
        0 => {
            let Some(accusation) = read::<Accusation>(json) else { return };
            let (committee, length) = (&round().committee, round().program.output_len());
            let (root, shares) = (round().subject, [round().subject; 5]);
            let set = Some(CertifiedSet { root, size: 3, voters: U256::from(15) });
            let roots = Some(Roots { aggregate: root, shares: &shares });
            let record = Record { committee, length, sites_root: root, set, roots, reward_root: Some(root) };
            let _ = accusation.holds(&DOMAIN, &record);
            let _ = accusation.holds(&DOMAIN, &Record { set: None, roots: None, reward_root: None, ..record });
        }
        1 => {
            let Some(certificate) = read::<ReceiptCertificate>(json) else { return };
            if certificate.check(&DOMAIN, &round().committee, 1, 7).is_ok() {
                assert!(certificate.receipts.len() >= round().committee.sizes().quorum());
            }
        }
        2 => drop(serde_json::from_slice::<Uploaded>(json)),
        4 => drop(serde_json::from_slice::<Held>(json)),
        _ => drop(serde_json::from_slice::<Statements>(json)),
    }
}

/// The value of a JSON text, which must come back from its own JSON.
fn read<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(json: &[u8]) -> Option<T> {
    let value: T = serde_json::from_slice(json).ok()?;
    let text = serde_json::to_string(&value).expect("whatever was read can be written");
    assert_eq!(serde_json::from_str::<T>(&text).expect("and read again"), value);
    Some(value)
}
