//! Ordering: one sequencer that takes transactions as they come, one block each.
//!
//! This is the part that a consensus engine would replace. It decides two things and nothing else:
//! which transaction is next (the one that came first) and what time it is (what its clock says, never
//! before the head). What a transaction does is decided by [`crate::Executor`].

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::{SystemTime, UNIX_EPOCH},
};

use alloy::rpc::types::TransactionReceipt;
use serde_json::Value;

use crate::{
    block::Block,
    chain::{Chain, Error},
    rpc::{self, Params, RpcError},
};

type Clock = dyn Fn() -> u64 + Send + Sync;

/// A chain that many may use at once. Clones share the chain.
#[derive(Clone)]
pub struct Sequencer {
    chain: Arc<RwLock<Chain>>,
    clock: Arc<Clock>,
}

impl fmt::Debug for Sequencer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chain = self.chain();
        let (id, head) = (chain.chain_id(), chain.head().number());
        f.debug_struct("Sequencer").field("chain_id", &id).field("head", &head).finish()
    }
}

/// Seconds since 1970 by the machine's clock.
pub fn system_clock() -> u64 {
    // A clock before 1970 reads as 0, and the chain's time then stands still at its head's.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Sequencer {
    /// Orders transactions for `chain`, in seconds as `clock` counts them: [`system_clock`], or a
    /// simulator's own.
    pub fn new(chain: Chain, clock: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self { chain: Arc::new(RwLock::new(chain)), clock: Arc::new(clock) }
    }

    /// The chain, for reading. Transactions wait while the guard is held.
    pub fn chain(&self) -> RwLockReadGuard<'_, Chain> {
        // A panic while the lock was held leaves the chain as before or after a block: the block is
        // built aside and entered by steps that do not panic. So a poisoned lock is as good as any.
        self.chain.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn chain_mut(&self) -> RwLockWriteGuard<'_, Chain> {
        // As above.
        self.chain.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time of a block made now.
    fn now(&self, chain: &Chain) -> u64 {
        (self.clock)().max(chain.head().timestamp())
    }

    /// Executes a raw signed transaction as the next block and returns its receipt.
    ///
    /// # Errors
    /// As [`Chain::submit`].
    pub fn submit(&self, raw: &[u8]) -> Result<TransactionReceipt, Error> {
        let mut chain = self.chain_mut();
        let now = self.now(&chain);
        chain.submit(raw, now)
    }

    /// Adds an empty block.
    ///
    /// # Errors
    /// As [`Chain::mine_empty`].
    pub fn mine_empty(&self) -> Result<Arc<Block>, Error> {
        let mut chain = self.chain_mut();
        let now = self.now(&chain);
        chain.mine_empty(now)
    }

    /// Puts another chain in the place of this one, under everyone who is connected: how a simulator
    /// shows a reorganisation or an endpoint that lies. Returns the chain that was there.
    pub fn replace(&self, chain: Chain) -> Chain {
        std::mem::replace(&mut *self.chain_mut(), chain)
    }

    /// Answers one JSON-RPC method with positional `params`.
    ///
    /// # Errors
    /// [`RpcError`] as it would stand in the response.
    pub fn request(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        let params = Params::new(params)?;
        if rpc::is_write(method) {
            let mut chain = self.chain_mut();
            let now = self.now(&chain);
            rpc::write(&mut chain, now, method, &params)
        } else {
            let chain = self.chain();
            rpc::read(&chain, self.now(&chain), method, &params)
        }
    }

    /// Answers the body of a JSON-RPC request, single or batch. `None` if no answer is due.
    pub fn respond(&self, body: &[u8]) -> Option<Vec<u8>> {
        rpc::respond(body, |method, params| self.request(method, params))
    }
}
