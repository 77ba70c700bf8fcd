//! What a site tells while it works, for progress bars and logs.

use alloy_primitives::{Address, B256};
use std::sync::Arc;

/// Something has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// The round was read from the chain and all rules were checked.
    Admitted,
    /// Encoding, masking and proving has begun, for so many coordinates.
    Proving {
        /// d.
        coordinates: usize,
    },
    /// The contribution is on disk; from now on it may be sent.
    Journalled {
        /// What was signed.
        digest: B256,
    },
    /// So many bytes have been handed over to a node.
    Uploading {
        /// The node.
        node: Address,
        /// Handed over.
        sent: u64,
        /// Of so many.
        total: u64,
    },
    /// Valid receipts.
    Receipts {
        /// Held.
        have: usize,
        /// Q.
        needed: usize,
    },
    /// A node failed or lied; another one is asked.
    NodeFailed(String),
    /// The chain could not be read; it is tried again.
    ChainFailed(String),
    /// A node has signed a receipt for a contribution of this site that the journal does not have and no node shows.
    UnknownReceipt(String),
    /// The state of a round that is waited for.
    Waiting {
        /// As the chain has it.
        state: &'static str,
    },
    /// The aggregate is being fetched from a node.
    Fetching {
        /// The node.
        node: Address,
    },
}

/// Receives progress; must not block.
pub type Observer = Arc<dyn Fn(Progress) + Send + Sync>;

/// An observer that writes to the log.
#[must_use]
pub fn log() -> Observer {
    Arc::new(|progress| match progress {
        Progress::NodeFailed(reason) | Progress::ChainFailed(reason) | Progress::UnknownReceipt(reason) => {
            tracing::warn!("{reason}");
        }
        Progress::Uploading { sent, total, .. } if sent < total => {}
        other => tracing::debug!(?other),
    })
}
