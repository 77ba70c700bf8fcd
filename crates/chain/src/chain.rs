//! The chain: executed blocks, the state after the latest ones, and where they are kept.

use std::{
    collections::{HashMap, VecDeque},
    path::PathBuf,
    sync::Arc,
};

use alloy::{consensus::Transaction as _, rpc::types::TransactionReceipt};
use alloy_primitives::B256;
use thiserror::Error;

use crate::{
    block::{Block, Included, Transaction},
    executor::{Executed, Executor, Parent},
    genesis::Genesis,
    refusal::{Refusal, decode_transaction},
    state::State,
    store::{Loaded, Store, StoreError},
    views,
};

/// The number of latest blocks whose state can be read, called and forked from.
pub const STATES_KEPT: usize = 128;

/// Where a chain is kept.
#[derive(Clone, Debug)]
pub enum Location {
    /// In memory only: gone with the process.
    Memory,
    /// In memory and in this folder, written through block by block.
    Folder(PathBuf),
}

/// Why the chain did not do what it was asked to.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The transaction is at fault.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The caller is at fault: time in a chain never runs backwards.
    #[error("the block's time {given} is before that of its parent, {parent}")]
    TimeWentBack {
        /// The time that was given.
        given: u64,
        /// The time of the head.
        parent: u64,
    },
    /// The caller is at fault: the chain is not that long.
    #[error("no block {number}: the head is {head}")]
    NoSuchBlock {
        /// The block asked for.
        number: u64,
        /// The head's number.
        head: u64,
    },
    /// The block is there; the state after it is no longer kept.
    #[error(
        "historical state of block {number} is not available: \
         this chain keeps the state of block {oldest} and later"
    )]
    StateNotKept {
        /// The block asked for.
        number: u64,
        /// The oldest block whose state is kept.
        oldest: u64,
    },
    /// The disk is at fault. The block was not accepted.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A chain of executed blocks. See the crate's page for how to use it.
///
/// All blocks, receipts and indexes are in memory, about three kilobytes a block besides its
/// transactions; the state of the latest [`STATES_KEPT`] blocks is too and shares what did not change.
#[derive(Debug)]
pub struct Chain {
    executor: Executor,
    blocks: Vec<Arc<Block>>,
    /// The states after the latest blocks, the head's last.
    states: VecDeque<State>,
    by_hash: HashMap<B256, u64>,
    transactions: HashMap<B256, (u64, usize)>,
    store: Option<Store>,
}

impl Chain {
    /// Opens the chain in `location`, starting it from `genesis` if nothing is there.
    ///
    /// # Errors
    /// [`StoreError`] if the folder is damaged, in use, or holds a chain with another genesis.
    pub fn open(genesis: &Genesis, location: Location) -> Result<Self, StoreError> {
        let (store, loaded) = match location {
            Location::Memory => {
                let state = genesis.state();
                (None, Loaded { blocks: vec![genesis.block(&state)], state })
            }
            Location::Folder(folder) => {
                let (store, loaded) = Store::open(&folder, genesis)?;
                (Some(store), loaded)
            }
        };
        let mut chain = Self::empty(Executor::new(genesis.chain_id, genesis.rules));
        chain.store = store;
        for block in loaded.blocks {
            chain.index(Arc::new(block));
        }
        chain.states.push_back(loaded.state);
        Ok(chain)
    }

    /// A chain in memory.
    pub fn in_memory(genesis: &Genesis) -> Self {
        let state = genesis.state();
        let mut chain = Self::empty(Executor::new(genesis.chain_id, genesis.rules));
        chain.index(Arc::new(genesis.block(&state)));
        chain.states.push_back(state);
        chain
    }

    fn empty(executor: Executor) -> Self {
        Self {
            executor,
            blocks: Vec::new(),
            states: VecDeque::new(),
            by_hash: HashMap::new(),
            transactions: HashMap::new(),
            store: None,
        }
    }

    fn index(&mut self, block: Arc<Block>) {
        let number = block.number();
        self.by_hash.insert(block.hash(), number);
        for (at, tx) in block.included.iter().enumerate() {
            self.transactions.insert(*tx.transaction.tx_hash(), (number, at));
        }
        self.blocks.push(block);
    }

    /// A copy in memory that ends with block `number`, as another endpoint might serve it or a
    /// reorganisation might leave it. `self` is not changed; the copy is never written to disk.
    ///
    /// # Errors
    /// If there is no such block, or its state is no longer kept.
    pub fn fork_at(&self, number: u64) -> Result<Self, Error> {
        self.state_at(number)?;
        let mut fork = Self::empty(self.executor.clone());
        for block in self.blocks.iter().take_while(|block| block.number() <= number) {
            fork.index(block.clone());
        }
        let dropped = self.blocks.len() - fork.blocks.len();
        let kept = self.states.len() - dropped;
        fork.states.extend(self.states.iter().take(kept).cloned());
        Ok(fork)
    }

    /// A copy in memory of all of it.
    pub fn fork(&self) -> Self {
        let mut fork = Self::empty(self.executor.clone());
        fork.blocks.clone_from(&self.blocks);
        fork.states.clone_from(&self.states);
        fork.by_hash.clone_from(&self.by_hash);
        fork.transactions.clone_from(&self.transactions);
        fork
    }

    /// The EIP-155 chain id.
    pub fn chain_id(&self) -> u64 {
        self.executor.chain_id()
    }

    /// Whether blocks survive the process.
    pub fn is_durable(&self) -> bool {
        self.store.is_some()
    }

    /// The latest block.
    pub fn head(&self) -> &Arc<Block> {
        // Both constructors index genesis before anyone sees the chain, and no block is ever removed.
        &self.blocks[self.blocks.len() - 1]
    }

    /// The block with this number.
    pub fn block(&self, number: u64) -> Option<&Arc<Block>> {
        self.blocks.get(usize::try_from(number).ok()?)
    }

    /// The block with this hash.
    pub fn block_by_hash(&self, hash: &B256) -> Option<&Arc<Block>> {
        self.block(*self.by_hash.get(hash)?)
    }

    /// The block that holds this transaction, and the transaction's place in it.
    pub fn transaction(&self, hash: &B256) -> Option<(&Arc<Block>, usize)> {
        let (number, at) = self.transactions.get(hash)?;
        Some((self.block(*number)?, *at))
    }

    /// The receipt of a transaction, in the shape of `eth_getTransactionReceipt`.
    pub fn receipt(&self, hash: &B256) -> Option<TransactionReceipt> {
        let (block, at) = self.transaction(hash)?;
        Some(views::receipt(block, at))
    }

    /// The state after the head.
    pub fn state(&self) -> &State {
        // A state is pushed with every block and only the oldest of more than one is dropped.
        &self.states[self.states.len() - 1]
    }

    /// The state after block `number`.
    ///
    /// # Errors
    /// If there is no such block, or its state is no longer kept.
    pub fn state_at(&self, number: u64) -> Result<&State, Error> {
        let head = self.head().number();
        let back = head.checked_sub(number).ok_or(Error::NoSuchBlock { number, head })?;
        let oldest = head + 1 - self.states.len() as u64;
        (self.states.len() as u64)
            .checked_sub(back + 1)
            .and_then(|at| self.states.get(at as usize))
            .ok_or(Error::StateNotKept { number, oldest })
    }

    pub(crate) fn executor(&self) -> &Executor {
        &self.executor
    }

    /// What a block after block `number`, or a call on its state, is built on.
    pub(crate) fn with_parent<T>(&self, number: u64, run: impl FnOnce(Parent<'_>) -> T) -> Result<T, Error> {
        let state = self.state_at(number)?;
        let Some(block) = self.block(number) else {
            return Err(Error::NoSuchBlock { number, head: self.head().number() });
        };
        let hash_of = |number: u64| self.block(number).map(|block| block.hash());
        Ok(run(Parent { header: &block.header, state, hash_of: &hash_of }))
    }

    /// Executes one raw signed transaction as the next block, at `timestamp`, and returns its receipt.
    ///
    /// When this returns, the block is in the chain and, if the chain has a folder, on disk. A
    /// transaction that reverts is in the chain too: its receipt has status 0.
    ///
    /// # Errors
    /// [`Error::Refused`] and why; [`Error::TimeWentBack`]; [`Error::Store`]. The chain is as before.
    pub fn submit(&mut self, raw: &[u8], timestamp: u64) -> Result<TransactionReceipt, Error> {
        self.submit_transaction(decode_transaction(raw)?, timestamp)
    }

    /// As [`Chain::submit`], for a transaction that has been decoded.
    ///
    /// # Errors
    /// As [`Chain::submit`].
    pub fn submit_transaction(&mut self, transaction: Transaction, timestamp: u64) -> Result<TransactionReceipt, Error> {
        let hash = *transaction.tx_hash();
        if self.transactions.contains_key(&hash) {
            return Err(Refusal::AlreadyKnown(hash).into());
        }
        let block = self.append(vec![transaction], timestamp)?;
        Ok(views::receipt(&block, 0))
    }

    /// Adds an empty block.
    ///
    /// # Errors
    /// [`Error::TimeWentBack`]; [`Error::Store`].
    pub fn mine_empty(&mut self, timestamp: u64) -> Result<Arc<Block>, Error> {
        self.append(Vec::new(), timestamp)
    }

    /// Executes `transactions`, in this order, as the next block: all of them or none.
    ///
    /// # Errors
    /// As [`Chain::submit`]; the reason is that of the first transaction that was refused.
    pub fn append(&mut self, transactions: Vec<Transaction>, timestamp: u64) -> Result<Arc<Block>, Error> {
        let parent = self.head();
        if timestamp < parent.timestamp() {
            return Err(Error::TimeWentBack { given: timestamp, parent: parent.timestamp() });
        }
        let executed = self.with_parent(parent.number(), |parent| self.executor.execute(parent, timestamp, transactions))??;
        self.accept(executed)
    }

    /// Disk first, memory second: nobody sees a block that a crash could take back.
    fn accept(&mut self, executed: Executed) -> Result<Arc<Block>, Error> {
        if let Some(store) = &self.store {
            store.append(&executed.block, &executed.changes)?;
        }
        let block = Arc::new(executed.block);
        self.index(block.clone());
        self.states.push_back(executed.state);
        if self.states.len() > STATES_KEPT {
            self.states.pop_front();
        }
        Ok(block)
    }

    /// All receipts of a block, in order.
    pub fn receipts(&self, block: &Block) -> Vec<TransactionReceipt> {
        (0..block.included.len()).map(|at| views::receipt(block, at)).collect()
    }
}

impl Included {
    /// The price per gas that was paid.
    pub(crate) fn gas_price(&self, base_fee: Option<u64>) -> u128 {
        self.transaction.effective_gas_price(base_fee)
    }
}
