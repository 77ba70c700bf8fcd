//! Folders: what was accepted is there again, and what is damaged says so.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use alloy_primitives::{Address, B256, U256};
use consilium_chain::{Chain, Error, Location, StoreError};
use tempfile::{TempDir, tempdir};

use crate::fixtures::*;

fn open(folder: &Path) -> Result<Chain, StoreError> {
    Chain::open(&genesis(), Location::Folder(folder.into()))
}

/// A folder with the counter deployed and called three times.
fn filled() -> (TempDir, B256) {
    let folder = tempdir().unwrap();
    let mut chain = open(folder.path()).unwrap();
    let contract = deploy_counter(&mut chain);
    for nonce in 1..=3 {
        chain.submit(&invoke(nonce, contract, INCREMENT), 1_001 + nonce).unwrap();
    }
    let head = chain.head().hash();
    (folder, head)
}

#[test]
fn reopening_restores_blocks_receipts_and_state() {
    let folder = tempdir().unwrap();
    let mut chain = open(folder.path()).unwrap();
    let contract = deploy_counter(&mut chain);
    let receipt = chain.submit(&invoke(1, contract, INCREMENT), 1_002).unwrap();
    chain.submit(&transfer(2, Address::repeat_byte(7), ether(1)), 1_003).unwrap();
    chain.mine_empty(1_004).unwrap();
    let (memory, hash) = (chain.fork(), chain.head().hash());
    drop(chain);

    let mut chain = open(folder.path()).unwrap();
    assert_eq!(chain.head().hash(), hash);
    assert_eq!(chain.receipt(&receipt.transaction_hash), Some(receipt));
    for number in 0..=4 {
        assert_eq!(chain.block(number), memory.block(number));
    }
    assert_eq!(chain.state().root(), memory.state().root());
    assert_eq!(chain.state().code(contract), memory.state().code(contract));
    assert!(matches!(chain.state_at(3), Err(Error::StateNotKept { number: 3, oldest: 4 })));
    // It goes on as if nothing had been.
    chain.submit(&invoke(3, contract, INCREMENT), 1_005).unwrap();
    assert_eq!(chain.state().storage(contract, U256::ZERO), U256::from(2));
    drop(chain);
    assert_eq!(open(folder.path()).unwrap().head().number(), 5);
}

#[test]
fn memory_and_disk_give_the_same_hashes() {
    let (_folder, head) = filled();
    let (mut chain, contract) = with_counter();
    for nonce in 1..=3 {
        chain.submit(&invoke(nonce, contract, INCREMENT), 1_001 + nonce).unwrap();
    }
    assert_eq!(chain.head().hash(), head);
}

#[test]
fn another_genesis_and_a_second_process_are_refused() {
    let (folder, _) = filled();
    let location = Location::Folder(folder.path().into());
    let other = Chain::open(&genesis().at(7), location);
    assert!(matches!(other.unwrap_err(), StoreError::OtherChain { .. }));
    let _first = open(folder.path()).unwrap();
    assert!(matches!(open(folder.path()).unwrap_err(), StoreError::InUse));
}

#[test]
fn a_copy_taken_at_any_moment_is_a_whole_chain() {
    let (source, target) = (tempdir().unwrap(), tempdir().unwrap());
    let mut chain = open(source.path()).unwrap();
    for nonce in 0..5 {
        chain.submit(&transfer(nonce, Address::repeat_byte(7), U256::ONE), 1_001).unwrap();
        fs::copy(source.path().join("chain.redb"), target.path().join("chain.redb")).unwrap();
        let copy = open(target.path()).unwrap();
        assert_eq!(copy.head().hash(), chain.head().hash());
        assert_eq!(copy.state().root(), chain.state().root());
    }
}

#[test]
fn truncated_files_are_an_error_that_says_so() {
    let (folder, _) = filled();
    let file = folder.path().join("chain.redb");
    let whole = fs::read(&file).unwrap();
    for length in [0, 1, 100, 4096, whole.len() / 2, whole.len() - 4096, whole.len() - 1] {
        fs::write(&file, &whole[..length]).unwrap();
        let error = open(folder.path()).expect_err("a truncated file was opened");
        assert!(!error.to_string().is_empty());
    }
    fs::write(&file, b"not a database at all").unwrap();
    assert!(open(folder.path()).is_err());
}

#[test]
fn flipped_bits_are_found_or_harmless() {
    let (folder, head) = filled();
    let file = folder.path().join("chain.redb");
    let whole = fs::read(&file).unwrap();
    let mut found = 0;
    for at in (0..whole.len()).step_by(whole.len() / 60) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x40;
        fs::write(&file, &damaged).unwrap();
        match open(folder.path()) {
            // The bit was in a page that nothing refers to, or redb repaired it from its other root.
            Ok(chain) => assert!(chain.head().hash() == head, "byte {at} changed the chain"),
            Err(_) => found += 1,
        }
    }
    assert!(found > 0, "no damage was ever found");
}

#[test]
fn a_killed_process_loses_nothing_it_answered_for() {
    let folder = tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["storage::child_that_gets_killed", "--exact", "--nocapture", "--ignored"])
        .env("CONSILIUM_TEST_FOLDER", folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut answered: Vec<B256> = Vec::new();
    for hash in lines.filter_map(|line| line.trim().parse().ok()) {
        answered.push(hash);
        if answered.len() == 20 {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    let chain = open(folder.path()).unwrap();
    assert!(answered.len() >= 20);
    assert!(answered.iter().all(|hash| chain.receipt(hash).is_some()));
    assert!(chain.head().number() <= answered.len() as u64 + 1);
}

/// Not a test by itself: the process that the test above kills.
#[test]
#[ignore = "run by a_killed_process_loses_nothing_it_answered_for"]
fn child_that_gets_killed() {
    let Ok(folder) = std::env::var("CONSILIUM_TEST_FOLDER") else { return };
    let mut chain = open(Path::new(&folder)).unwrap();
    for nonce in 0..100_000 {
        let raw = transfer(nonce, Address::repeat_byte(7), U256::ONE);
        println!("\n{}", chain.submit(&raw, 1_001).unwrap().transaction_hash);
    }
}
