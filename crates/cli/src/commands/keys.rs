//! `consilium keys`: key files and their public parts.

use crate::failure::Failure;
use crate::output::print;
use alloy_primitives::Address;
use consilium_core::eip712::SecretKey;
use consilium_ledger::Wallet;
use consilium_node::NodeKeys;
use consilium_site::SiteKeys;
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Keys: files that only their owner can read, in the clear; keep them on an encrypted disk.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Print machine-readable JSON instead of text.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a key file. An existing file is never overwritten.
    New {
        /// Who it is for.
        #[arg(value_enum)]
        role: Role,
        /// Where to write it.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Show the public parts of a key file.
    Show {
        /// The key file.
        file: PathBuf,
    },
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Role {
    /// A committee node: signing key and KEM key.
    Node,
    /// A hospital: signing key and device secret.
    Site,
    /// A sponsor or an auditor: signing key only.
    Account,
}

/// The key that signs transactions or requests.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct KeyOption {
    /// Key file of the account that signs; any file that `consilium keys new` made.
    #[arg(long, value_name = "FILE", env = "CONSILIUM_KEY")]
    pub(crate) key: PathBuf,
}

impl KeyOption {
    pub(crate) fn secret(&self) -> Result<SecretKey, Failure> {
        read_signing_key(&self.key)
    }

    pub(crate) fn wallet(&self) -> Result<Wallet, Failure> {
        Ok(Wallet::new(self.secret()?))
    }
}

/// What every key file has. Wiped on drop.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct AccountFile {
    signing_key: String,
}

/// Reads the signing key of any key file.
pub(crate) fn read_signing_key(path: &Path) -> Result<SecretKey, Failure> {
    let shown = path.display();
    let failed = |error| Failure::usage(format!("cannot read the key file {shown}: {error}; make one with `consilium keys new`"));
    refuse_if_exposed(path).map_err(failed)?;
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(failed)?);
    let wrong = || Failure::usage(format!("{shown} is no key file: it needs \"signing_key\", 32 bytes of hex"));
    let file: AccountFile = serde_json::from_str(&text).map_err(|_| wrong())?;
    let bytes = Zeroizing::new(hex::decode_to_array::<_, 32>(file.signing_key.as_bytes()).map_err(|_| wrong())?);
    SecretKey::from_bytes(&bytes).map_err(|_| wrong())
}

#[cfg(unix)]
fn refuse_if_exposed(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path)?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(std::io::Error::other(format!("others can read it (mode {mode:03o}); run chmod 600 on it, and consider the key known")))
}

#[cfg(not(unix))]
fn refuse_if_exposed(_path: &Path) -> std::io::Result<()> {
    Ok(())
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let path = match &arguments.command {
        Command::New { role, out } => {
            match role {
                Role::Node => NodeKeys::generate().create(out).map_err(Failure::failed)?,
                Role::Site => SiteKeys::generate().map_err(Failure::failed)?.save(out).map_err(Failure::failed)?,
                Role::Account => drop(create_account(out)?),
            }
            out
        }
        Command::Show { file } => file,
    };
    let address = read_signing_key(path)?.address();
    let kem_key = NodeKeys::load(path).ok().map(|keys| keys.kem_public_key());
    let value = serde_json::json!({ "file": path, "address": address, "kem_key": kem_key });
    print(arguments.json, &value, |_| match &kem_key {
        Some(kem_key) => format!("address {address}\nKEM key {kem_key}"),
        None => format!("address {address}"),
    });
    Ok(())
}

/// Makes an account's key and its file.
pub(crate) fn create_account(path: &Path) -> Result<SecretKey, Failure> {
    let mut bytes = Zeroizing::new([0; 32]);
    let key = loop {
        getrandom::fill(bytes.as_mut_slice()).map_err(Failure::failed)?;
        if let Ok(key) = SecretKey::from_bytes(&bytes) {
            break key;
        }
    };
    let file = AccountFile { signing_key: hex::encode_prefixed(bytes.as_slice()) };
    let text = Zeroizing::new(serde_json::to_string_pretty(&file).map_err(Failure::failed)?);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut out = options.open(path).map_err(|error| {
        Failure::failed(format!("cannot create {}: {error}; an existing file is never overwritten", path.display()))
    })?;
    out.write_all(text.as_bytes())?;
    out.sync_all()?;
    Ok(key)
}

/// The address of a key that exists only for a moment's look.
pub(crate) fn short(address: &Address) -> String {
    let text = address.to_string();
    format!("{}..{}", &text[..8], &text[text.len() - 4..])
}
