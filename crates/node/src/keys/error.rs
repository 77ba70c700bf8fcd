//! Why keys cannot be had, kept or replaced.

use std::path::PathBuf;
use thiserror::Error;

/// A key file that cannot be used. No message quotes what is in it.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("cannot read the key file {}: {source}; create one with `consilium keys new node`, or correct key_file", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file cannot be created. A file that exists is never overwritten: it may be the only copy of a key.
    #[error("cannot create the key file {}: {source}; an existing file is never overwritten", path.display())]
    Create {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file cannot be replaced. It still holds what it held.
    #[error(
        "cannot replace the key file: {}: {source}; give this account the right to write in the folder of the key file, \
         and mount that folder rather than the file alone",
        path.display()
    )]
    Replace {
        /// The file at which it failed.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another process changes the file, and does not finish.
    #[error("another process has locked {} for too long: end it, then try again", path.display())]
    Busy {
        /// The lock.
        path: PathBuf,
    },
    /// Others can read it.
    #[error("the key file {} can be read by others (mode {mode:03o}): run chmod 600 on it, and consider the keys known", path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Not a key file.
    #[error(
        "{} is not a node's key file: it needs \"version\", \"signing_key\" and \"kem_keys\"; make one with `consilium keys new node`",
        path.display()
    )]
    Format {
        /// Which file.
        path: PathBuf,
    },
    /// A key file of a version that this program does not read.
    #[error(
        "the key file {} has {}, this program reads version {expected}: make a new one with `consilium keys new node` and register \
         it, or use the version of consilium that wrote it",
        path.display(), .found.map_or_else(|| "no version".to_owned(), |found| format!("version {found}"))
    )]
    Version {
        /// Which file.
        path: PathBuf,
        /// The version in it, if any.
        found: Option<u64>,
        /// The version that is read.
        expected: u64,
    },
    /// The file was exchanged for that of another node.
    #[error("the key file {} now has the keys of another node: put the right one back, or restart the node", path.display())]
    OtherNode {
        /// Which file.
        path: PathBuf,
    },
    /// The program is stopping, and leaves the work undone.
    #[error("the program is stopping: run it again")]
    Stopping,
    /// The signing key is not a scalar of the group.
    #[error("the signing key is not a valid secp256k1 key: create a new one")]
    SigningKey,
    /// The operating system gives no random bytes, so that no key would be secret.
    #[error("the operating system gives no randomness, so that no key is safe: {0}; try again on a machine that does")]
    Randomness(getrandom::Error),
}
