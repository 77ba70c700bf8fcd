//! The world state: accounts, their code and their storage, as one persistent trie.

use std::collections::BTreeMap;

use alloy::rlp::Encodable;
use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_trie::{KECCAK_EMPTY, TrieAccount};
use revm::state::{AccountInfo, Bytecode, EvmState};

use crate::trie::{Leaf, Trie};

/// The state after some block. Cloning is cheap: versions share everything they have in common.
#[derive(Clone, Debug, Default)]
pub struct State {
    accounts: Trie<Account>,
}

/// One account.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) nonce: u64,
    pub(crate) balance: U256,
    pub(crate) code_hash: B256,
    pub(crate) code: Bytecode,
    pub(crate) storage: Trie<U256>,
}

impl Default for Account {
    fn default() -> Self {
        Self { nonce: 0, balance: U256::ZERO, code_hash: KECCAK_EMPTY, code: Bytecode::default(), storage: Trie::default() }
    }
}

impl Leaf for U256 {
    fn encode_leaf(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(33);
        self.encode(&mut out);
        out
    }
}

impl Leaf for Account {
    fn encode_leaf(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(120);
        TrieAccount::new(self.nonce, self.balance, self.storage.root(), self.code_hash).encode(&mut out);
        out
    }
}

impl Account {
    pub(crate) fn info(&self) -> AccountInfo {
        AccountInfo::new(self.balance, self.nonce, self.code_hash, self.code.clone())
    }
}

/// What one block did to the state, in a fixed order: this is what is written to disk.
///
/// `None` is an account that is gone, and its storage with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    pub(crate) accounts: BTreeMap<Address, Option<AccountInfo>>,
    /// Slots set to zero are gone.
    pub(crate) storage: BTreeMap<(Address, U256), U256>,
}

impl State {
    /// The Merkle root of all accounts, as it stands in a header.
    pub fn root(&self) -> B256 {
        self.accounts.root()
    }

    /// The number of transactions sent from `address`.
    pub fn nonce(&self, address: Address) -> u64 {
        self.account(address).map_or(0, |account| account.nonce)
    }

    /// The balance of `address` in wei.
    pub fn balance(&self, address: Address) -> U256 {
        self.account(address).map_or(U256::ZERO, |account| account.balance)
    }

    /// The code of `address`, empty if it is no contract.
    pub fn code(&self, address: Address) -> alloy_primitives::Bytes {
        self.account(address).map_or_else(Default::default, |account| account.code.original_bytes())
    }

    /// The value of one storage slot, zero if never written.
    pub fn storage(&self, address: Address, slot: U256) -> U256 {
        self.account(address)
            .and_then(|account| account.storage.get(&keccak256(slot.to_be_bytes::<32>())))
            .copied()
            .unwrap_or_default()
    }

    pub(crate) fn account(&self, address: Address) -> Option<&Account> {
        self.accounts.get(&keccak256(address))
    }

    /// Puts a whole account, as from genesis or from disk.
    pub(crate) fn put(&mut self, address: Address, account: Account) {
        self.accounts.insert(&keccak256(address), account);
    }

    /// Applies what the EVM did and returns it as a list of changes.
    pub(crate) fn apply(&mut self, touched: EvmState) -> Changes {
        let mut changes = Changes::default();
        for (address, change) in touched {
            if change.is_touched() {
                self.apply_account(address, &change, &mut changes);
            }
        }
        changes
    }

    fn apply_account(&mut self, address: Address, change: &revm::state::Account, changes: &mut Changes) {
        let key = keccak256(address);
        // EIP-161: an account that was touched and is empty does not exist.
        if change.is_selfdestructed() || change.is_empty() {
            self.accounts.remove(&key);
            changes.accounts.insert(address, None);
            changes.storage.retain(|(owner, _), _| *owner != address);
            return;
        }
        let mut account = self.accounts.get(&key).cloned().unwrap_or_default();
        account.nonce = change.info.nonce;
        account.balance = change.info.balance;
        if account.code_hash != change.info.code_hash {
            account.code_hash = change.info.code_hash;
            account.code = change.info.code.clone().unwrap_or_default();
        }
        for (slot, value) in change.changed_storage_slots() {
            let value = value.present_value;
            account.storage.set(*slot, value);
            changes.storage.insert((address, *slot), value);
        }
        changes.accounts.insert(address, Some(account.info()));
        self.accounts.insert(&key, account);
    }
}

impl Trie<U256> {
    /// Sets a storage slot; zero removes it.
    pub(crate) fn set(&mut self, slot: U256, value: U256) {
        let key = keccak256(slot.to_be_bytes::<32>());
        if value.is_zero() {
            self.remove(&key);
        } else {
            self.insert(&key, value);
        }
    }
}

impl Changes {
    /// Adds the changes of the next transaction of the same block.
    pub(crate) fn merge(&mut self, later: Self) {
        for (address, account) in &later.accounts {
            if account.is_none() {
                self.storage.retain(|(owner, _), _| owner != address);
            }
        }
        self.accounts.extend(later.accounts);
        self.storage.extend(later.storage);
    }
}
