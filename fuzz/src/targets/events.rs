//! Logs of the contracts: what decodes is, bit by bit, what the contract's ABI encodes, within the contract's bounds. And
//! what a failed call returned, in words that fit a line.

use super::fixed::ADDRESSES;
use crate::parts::Parts;
use alloy::primitives::{IntoLogData, Log as RawLog, LogData};
use alloy::rpc::types::Log;
use alloy::sol_types::SolEventInterface;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use consilium_ledger::contracts::{
    Consilium::ConsiliumEvents, Licences::LicencesEvents, NodeRegistry::NodeRegistryEvents, StudyToken::StudyTokenEvents,
    Treasury::TreasuryEvents,
};
use consilium_ledger::event::{MAX_COMMITTEE, MAX_IDENTITY, MAX_NAME, MAX_PARAMETERS, MAX_SITES};
use consilium_ledger::{ChainEvent, Event, KEM_KEY_BYTES, Revert, SitesList};

/// The first topics that the contracts use, for inputs to name by number: no fuzzer guesses a hash.
pub(crate) fn known_topics() -> Vec<B256> {
    let all = [
        ConsiliumEvents::SELECTORS,
        NodeRegistryEvents::SELECTORS,
        TreasuryEvents::SELECTORS,
        LicencesEvents::SELECTORS,
        StudyTokenEvents::SELECTORS,
    ];
    all.concat().into_iter().map(B256::new).collect()
}

pub(crate) fn target(data: &[u8]) {
    let mut parts = Parts::new(data);
    let (contract, topics, kind) = (parts.byte(), parts.byte(), parts.byte());
    if contract == u8::MAX {
        return revert(parts.rest());
    }
    let log = log(contract, topics, kind, parts);
    let Ok(event) = ChainEvent::decode(&ADDRESSES, &log) else { return };
    assert!(is_canonical(&log), "an encoding that no contract writes");
    assert_eq!((event.at.block.number, event.at.index), (17, 5));
    bounds(&event.event);
}

pub(crate) fn log(contract: u8, topics: u8, kind: u8, mut parts: Parts<'_>) -> Log {
    let known = known_topics();
    let addresses =
        [ADDRESSES.consilium, ADDRESSES.registry, ADDRESSES.treasury, ADDRESSES.licences, Address::ZERO, ADDRESSES.study_token];
    let first = known.get(usize::from(kind)).copied();
    let topics = (0..topics % 5).map(|place| match first.filter(|_| place == 0) {
        Some(known) => known,
        None => B256::new(parts.array()),
    });
    let topics = topics.collect();
    let data = LogData::new_unchecked(topics, Bytes::copy_from_slice(parts.rest()));
    Log {
        inner: RawLog { address: addresses[usize::from(contract) % addresses.len()], data },
        block_hash: Some(B256::repeat_byte(3)),
        block_number: Some(17),
        block_timestamp: None,
        transaction_hash: Some(B256::repeat_byte(4)),
        transaction_index: Some(0),
        log_index: Some(5),
        removed: contract & 0x80 != 0,
    }
}

/// Whether the contract's own ABI encodes the log's values to the log's bytes.
fn is_canonical(log: &Log) -> bool {
    fn same<E: SolEventInterface + IntoLogData>(log: &RawLog) -> bool {
        E::decode_log(log).is_ok_and(|event| event.data.to_log_data() == log.data)
    }
    let inner = &log.inner;
    match inner.address {
        address if address == ADDRESSES.consilium => same::<ConsiliumEvents>(inner),
        address if address == ADDRESSES.registry => same::<NodeRegistryEvents>(inner),
        address if address == ADDRESSES.treasury => same::<TreasuryEvents>(inner),
        address if address == ADDRESSES.licences => same::<LicencesEvents>(inner),
        address if address == ADDRESSES.study_token => same::<StudyTokenEvents>(inner),
        _ => false,
    }
}

fn bounds(event: &Event) {
    let is_bitmap = |nodes: &U256| *nodes < U256::from(1) << MAX_COMMITTEE;
    match event {
        Event::StudyCreated { terms, .. } => {
            assert!((1..=MAX_NAME).contains(&terms.program.len()) && (1..=MAX_NAME).contains(&terms.finality.len()));
            assert!((1..=MAX_PARAMETERS).contains(&terms.parameters.len()));
        }
        Event::PolicySet { finality, .. } => assert!((1..=MAX_NAME).contains(&finality.len())),
        Event::CommitteeFormed { nodes, kem_key_hashes, .. } => {
            assert!((1..=MAX_COMMITTEE).contains(&nodes.len()) && nodes.len() == kem_key_hashes.len());
        }
        Event::SitesAdmitted { sites, .. } => match sites {
            SitesList::Listed(sites) => assert!(sites.len() <= MAX_SITES),
            SitesList::At(uri) => assert!(uri.starts_with("https://") && uri.len() <= 256),
        },
        Event::RoundOpened(opened) => assert_eq!(opened.frozen_hash(), opened.frozen),
        Event::RoundCertified { voters, signatures, .. } => {
            assert!(is_bitmap(voters));
            assert_eq!(signatures.len(), 65 * voters.count_ones());
        }
        Event::VotesAdded { voters, signatures, .. } => {
            assert!(is_bitmap(voters));
            assert_eq!(signatures.len(), 65 * voters.count_ones());
        }
        Event::RoundSettled { share_roots, signers, .. } => {
            assert!((1..=MAX_COMMITTEE).contains(&share_roots.len()) && is_bitmap(signers));
        }
        Event::NodeRegistered { operator, jurisdiction, .. } => {
            assert!((1..=MAX_IDENTITY).contains(&operator.len()) && (1..=MAX_IDENTITY).contains(&jurisdiction.len()));
        }
        Event::KemKeySet { kem_key, key_hash, .. } => {
            assert_eq!((kem_key.len(), keccak256(kem_key)), (KEM_KEY_BYTES, *key_hash));
        }
        _ => {}
    }
}

fn revert(returned: &[u8]) {
    let revert = Revert::decode(Bytes::copy_from_slice(returned));
    let words = revert.to_string();
    assert!(!words.is_empty() && words.chars().count() < 1_000, "{words}");
    assert!(!words.chars().any(char::is_control), "{words:?}");
}
