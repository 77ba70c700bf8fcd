//! A chain on disk: one redb file in a folder.
//!
//! One block is one redb transaction, synced before anyone is told of the block: after a crash either
//! the whole block is there or none of it. What is read back is not trusted: every block must hash to
//! its header and follow its parent, and the accounts must give the head's state root.

use std::{collections::BTreeMap, path::Path};

use alloy_primitives::{Address, B256, Bytes, U256};
use redb::{
    Builder, Database, DatabaseError, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction,
};
use revm::state::{AccountInfo, Bytecode};
use thiserror::Error;

use crate::{
    block::Block,
    encoding,
    genesis::Genesis,
    state::{Account, Changes, State},
};

const FILE: &str = "chain.redb";
const FORMAT: u64 = 1;

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const BLOCKS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("blocks");
const ACCOUNTS: TableDefinition<'_, [u8; 20], &[u8]> = TableDefinition::new("accounts");
const STORAGE: TableDefinition<'_, ([u8; 20], [u8; 32]), [u8; 32]> = TableDefinition::new("storage");
const CODE: TableDefinition<'_, [u8; 32], &[u8]> = TableDefinition::new("code");

/// Why the folder of a chain cannot be used. Nothing in it was changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk or the operating system failed.
    #[error("the chain's folder cannot be read or written: {0}")]
    Io(#[from] std::io::Error),
    /// Another process serves this folder.
    #[error("the chain's folder is in use by another process: stop it, or give another folder")]
    InUse,
    /// The database failed.
    #[error("the chain's database failed: {0}")]
    Database(Box<redb::Error>),
    /// What is in the file is not what was written.
    #[error("the chain's database is damaged ({0}): restore the folder from a backup")]
    Damaged(String),
    /// The folder belongs to a chain with another genesis.
    #[error(
        "the folder holds another chain (genesis {found}, this one has {wanted}): \
         give the same chain id, time and balances as when it was made, or another folder"
    )]
    OtherChain {
        /// Genesis hash on disk.
        found: B256,
        /// Genesis hash asked for.
        wanted: B256,
    },
    /// Written by another version.
    #[error("the folder is in format {found}, this version reads format {FORMAT}")]
    OtherFormat {
        /// The format on disk.
        found: u64,
    },
}

macro_rules! from_redb {
    ($($error:ty),*) => {$(
        impl From<$error> for StoreError {
            fn from(error: $error) -> Self {
                match redb::Error::from(error) {
                    redb::Error::Corrupted(what) => Self::Damaged(what),
                    redb::Error::Io(error) => Self::Io(error),
                    other => Self::Database(Box::new(other)),
                }
            }
        }
    )*};
}
from_redb!(redb::TransactionError, redb::TableError, redb::StorageError, redb::CommitError);

impl From<DatabaseError> for StoreError {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::DatabaseAlreadyOpen => Self::InUse,
            DatabaseError::Storage(error) => error.into(),
            other => Self::Database(Box::new(other.into())),
        }
    }
}

/// An open folder.
#[derive(Debug)]
pub(crate) struct Store {
    database: Database,
}

/// What a folder held.
pub(crate) struct Loaded {
    pub(crate) blocks: Vec<Block>,
    pub(crate) state: State,
}

impl Store {
    /// Opens the folder, making it and the genesis block if it is new.
    pub(crate) fn open(folder: &Path, genesis: &Genesis) -> Result<(Self, Loaded), StoreError> {
        std::fs::create_dir_all(folder)?;
        let file = folder.join(FILE);
        if file.metadata().is_ok_and(|found| found.len() == 0) {
            return Err(StoreError::Damaged(format!("{FILE} is empty")));
        }
        let mut builder = Builder::new();
        // Damage done behind redb's back is then an error here and not a surprise later.
        builder.set_check_integrity_on_open(true);
        let store = Self { database: builder.create(&file)? };
        let loaded = match store.load(genesis)? {
            Some(loaded) => loaded,
            None => store.begin(genesis)?,
        };
        Ok((store, loaded))
    }

    /// Writes the genesis block.
    fn begin(&self, genesis: &Genesis) -> Result<Loaded, StoreError> {
        let state = genesis.state();
        let block = genesis.block(&state);
        let funded = genesis.balances.iter().filter(|(_, balance)| !balance.is_zero());
        let accounts = funded.map(|(address, balance)| (*address, Some(AccountInfo::from_balance(*balance)))).collect();
        self.append(&block, &Changes { accounts, storage: BTreeMap::new() })?;
        Ok(Loaded { blocks: vec![block], state })
    }

    /// Adds a block and what it did to the state; returns when both are on disk.
    pub(crate) fn append(&self, block: &Block, changes: &Changes) -> Result<(), StoreError> {
        let write = self.database.begin_write()?;
        {
            let mut meta = write.open_table(META)?;
            meta.insert("format", FORMAT)?;
            meta.insert("head", block.number())?;
            let record = encoding::encode_block(block);
            write.open_table(BLOCKS)?.insert(block.number(), record.as_slice())?;
        }
        write_accounts(&write, changes)?;
        write_storage(&write, changes)?;
        write.commit()?;
        Ok(())
    }

    fn load(&self, genesis: &Genesis) -> Result<Option<Loaded>, StoreError> {
        let read = self.database.begin_read()?;
        let meta = match read.open_table(META) {
            Ok(meta) => meta,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let field = |name: &str| -> Result<u64, StoreError> {
            let value = meta.get(name)?.map(|value| value.value());
            value.ok_or_else(|| StoreError::Damaged(format!("no {name}")))
        };
        let found = field("format")?;
        if found != FORMAT {
            return Err(StoreError::OtherFormat { found });
        }
        let blocks = load_blocks(&read, field("head")?, genesis)?;
        let state = load_state(&read)?;
        if blocks.last().is_none_or(|head| head.header.state_root != state.root()) {
            return Err(StoreError::Damaged("the accounts do not give the state root".into()));
        }
        Ok(Some(Loaded { blocks, state }))
    }
}

fn write_accounts(write: &WriteTransaction, changes: &Changes) -> Result<(), StoreError> {
    let mut accounts = write.open_table(ACCOUNTS)?;
    let mut storage = write.open_table(STORAGE)?;
    let mut codes = write.open_table(CODE)?;
    for (address, account) in &changes.accounts {
        let Some(account) = account else {
            accounts.remove(address.0.0)?;
            storage.retain_in((address.0.0, [0; 32])..=(address.0.0, [0xff; 32]), |_, _| false)?;
            continue;
        };
        accounts.insert(address.0.0, encoding::encode_account(account).as_slice())?;
        let code = account.code.as_ref().map(Bytecode::original_byte_slice).unwrap_or_default();
        if !code.is_empty() && codes.get(account.code_hash.0)?.is_none() {
            codes.insert(account.code_hash.0, code)?;
        }
    }
    Ok(())
}

fn write_storage(write: &WriteTransaction, changes: &Changes) -> Result<(), StoreError> {
    let mut storage = write.open_table(STORAGE)?;
    for ((address, slot), value) in &changes.storage {
        let key = (address.0.0, slot.to_be_bytes::<32>());
        if value.is_zero() {
            storage.remove(key)?;
        } else {
            storage.insert(key, value.to_be_bytes::<32>())?;
        }
    }
    Ok(())
}

fn load_blocks(read: &ReadTransaction, head: u64, genesis: &Genesis) -> Result<Vec<Block>, StoreError> {
    let table = read.open_table(BLOCKS)?;
    let mut blocks: Vec<Block> = Vec::new();
    for number in 0..=head {
        let damaged = |what: &str| StoreError::Damaged(format!("block {number} {what}"));
        let record = table.get(number)?.ok_or_else(|| damaged("is missing"))?;
        let block = encoding::decode_block(record.value()).ok_or_else(|| damaged("cannot be decoded"))?;
        if !block.is_consistent() {
            return Err(damaged("does not match its header"));
        }
        match blocks.last() {
            None => check_genesis(&block, genesis)?,
            Some(parent) if block.header.parent_hash != parent.hash() => {
                return Err(damaged("does not follow its parent"));
            }
            Some(_) => {}
        }
        blocks.push(block);
    }
    Ok(blocks)
}

fn check_genesis(block: &Block, genesis: &Genesis) -> Result<(), StoreError> {
    let wanted = genesis.block(&genesis.state()).hash();
    let found = block.hash();
    if found == wanted { Ok(()) } else { Err(StoreError::OtherChain { found, wanted }) }
}

fn load_state(read: &ReadTransaction) -> Result<State, StoreError> {
    let mut accounts = BTreeMap::new();
    let codes = read.open_table(CODE)?;
    for entry in read.open_table(ACCOUNTS)?.iter()? {
        let (address, record) = entry?;
        let address = Address::from(address.value());
        let damaged = || StoreError::Damaged(format!("account {address} cannot be decoded"));
        let (nonce, balance, code_hash) = encoding::decode_account(record.value()).ok_or_else(damaged)?;
        let mut account = Account { nonce, balance, code_hash, ..Account::default() };
        if code_hash != Account::default().code_hash {
            let code = codes.get(code_hash.0)?.ok_or_else(damaged)?;
            account.code = Bytecode::new_raw_checked(Bytes::copy_from_slice(code.value()))
                .ok()
                .filter(|code| code.hash_slow() == code_hash)
                .ok_or_else(damaged)?;
        }
        accounts.insert(address, account);
    }
    for entry in read.open_table(STORAGE)?.iter()? {
        let (key, value) = entry?;
        let (address, slot) = key.value();
        let address = Address::from(address);
        let account =
            accounts.get_mut(&address).ok_or_else(|| StoreError::Damaged(format!("storage without account {address}")))?;
        account.storage.set(U256::from_be_bytes(slot), U256::from_be_bytes(value.value()));
    }
    let mut state = State::default();
    for (address, account) in accounts {
        state.put(address, account);
    }
    Ok(state)
}
