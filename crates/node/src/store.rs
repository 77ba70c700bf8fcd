//! What a node keeps: blobs by content address (`blobs`), small durable state (`database`), and the journal that makes
//! sure nothing is ever signed twice (`journal`, and `memory` for what others may forget).
//!
//! Nothing secret is in here: seeds stay in the sealed boxes in which they came.

mod blobs;
mod database;
mod deletions;
mod journal;
mod memory;
mod offences;
mod opening;

pub(crate) use blobs::{Blobs, Pieces};
pub(crate) use database::{ClosedRound, Database};
pub(crate) use journal::Entries;
pub(crate) use memory::Sight;
pub(crate) use offences::{Checked, SeenCertificate, Verdict};
pub(crate) use opening::Opening;

use alloy_primitives::B256;
use consilium_core::certify::SetMember;
use std::path::PathBuf;
use thiserror::Error;

/// The node's own disk failed, or holds what the node did not write.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The database failed.
    #[error("the database in the data folder failed: {0}; check the disk")]
    Database(Box<redb::Error>),
    /// Another process has the data folder open.
    #[error("{} is in use by another process: every node needs a data folder of its own", .0.display())]
    InUse(PathBuf),
    /// A blob cannot be read or written.
    #[error("a blob in the data folder cannot be read or written: {0}; check the disk")]
    Blob(object_store::Error),
    /// The folder cannot be made.
    #[error("cannot use the data folder {}: {source}", path.display())]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The folder belongs to another node or deployment.
    #[error("the data folder belongs to {found}, this node is {expected}: give every node and deployment its own folder")]
    Foreign {
        /// What the folder says.
        found: String,
        /// What is configured.
        expected: String,
    },
    /// A contribution is gone from the disk, or is not what was written.
    #[error("contribution {0} is missing or damaged in the data folder: it is asked of the peers again; check the disk")]
    Lost(B256),
    /// A record cannot be read back.
    #[error(
        "the record {0} in the data folder is damaged: restore the folder from a backup, do not delete it, the journal is in it"
    )]
    Damaged(String),
}

/// Notes a contribution whose blobs have been written. When nobody wants it any more, because its round has ended here
/// meanwhile, they are deleted again. Whether it is kept.
pub(crate) async fn keep(database: &Database, blobs: &Blobs, opening: Opening, member: SetMember) -> Result<bool, StoreError> {
    let kept = database.run(move |db| db.add_contribution(&opening, &member)).await?;
    if !kept {
        blobs.forget(&member.digest).await?;
    }
    Ok(kept)
}

macro_rules! from_database {
    ($($error:ident),*) => {$(
        impl From<redb::$error> for StoreError {
            fn from(error: redb::$error) -> Self {
                Self::Database(Box::new(error.into()))
            }
        }
    )*};
}

from_database!(DatabaseError, TransactionError, TableError, StorageError, CommitError, SetDurabilityError);
