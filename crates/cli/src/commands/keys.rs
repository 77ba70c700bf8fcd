//! `consilium keys`: key files and their public parts.

use crate::failure::Failure;
use crate::output::print;
use alloy_primitives::Address;
use consilium_core::capability::Holder;
use consilium_core::eip712::SecretKey;
use consilium_ledger::{Ledger, Wallet};
use consilium_node::{KemKey, NodeKeys};
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

/// The key that a command cannot do without: it signs what no other account can send.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct OwnKey {
    /// Key file of the account that signs; any file that `consilium keys new` made.
    #[arg(long, value_name = "FILE", env = "CONSILIUM_KEY")]
    key: PathBuf,
}

impl OwnKey {
    pub(crate) fn secret(&self) -> Result<SecretKey, Failure> {
        read_signing_key(&self.key)
    }

    pub(crate) fn wallet(&self) -> Result<Wallet, Failure> {
        Ok(Wallet::new(self.secret()?))
    }
}

/// The key that signs transactions, or who is to send them instead.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct KeyOption {
    /// Key file of the account that signs; any file that `consilium keys new` made.
    #[arg(long, value_name = "FILE", env = "CONSILIUM_KEY", required_unless_present = "calldata")]
    key: Option<PathBuf>,
    /// Print the transaction for the account --from to send, such as a Safe, instead of signing and sending it. An allowance
    /// and the payment that needs it are printed as one batch, for Safe's Transaction Builder. A command that needs more
    /// transactions than one of these prints the next one each time that it is run.
    #[arg(long, requires = "from")]
    calldata: bool,
    /// Who is to send what --calldata prints.
    #[arg(long, value_name = "ADDRESS", requires = "calldata")]
    from: Option<Address>,
}

impl KeyOption {
    pub(crate) fn wallet(&self) -> Result<Wallet, Failure> {
        let missing = || Failure::usage("give the key file (--key), or --calldata and --from");
        match self.from {
            Some(from) => Ok(Wallet::elsewhere(from)),
            None => Ok(Wallet::new(read_signing_key(self.key.as_deref().ok_or_else(missing)?)?)),
        }
    }
}

/// Who asks nodes with this key: the key itself, or a contract that accepts its signature.
pub(crate) async fn holder(ledger: &Ledger, account: Option<Address>, key: SecretKey) -> Result<Holder, Failure> {
    match account {
        Some(account) => Ok(ledger.holder(account, key).await?),
        None => Ok(Holder::Key(key)),
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
                Role::Node => NodeKeys::generate().and_then(|keys| keys.create(out)).map_err(Failure::failed)?,
                Role::Site => SiteKeys::generate().map_err(Failure::failed)?.save(out).map_err(Failure::failed)?,
                Role::Account => drop(create_account(out)?),
            }
            out
        }
        Command::Show { file } => file,
    };
    let address = read_signing_key(path)?.address();
    let Some(keys) = node_keys(path)? else {
        let value = serde_json::json!({ "file": path, "address": address, "kem_key": null, "kem_keys": [] });
        print(arguments.json, &value, |_| format!("address {address}"));
        return Ok(());
    };
    let listed: Vec<_> = keys.kem_keys().iter().map(described).collect();
    let kem_key = keys.kem_public_key();
    let value = serde_json::json!({ "file": path, "address": address, "kem_key": kem_key, "kem_keys": listed });
    print(arguments.json, &value, |_| {
        let hashes = keys.kem_keys().iter().map(|key| format!("\nholds the secret of KEM key {}", key.hash()));
        format!("address {address}\nKEM key {kem_key}{}", hashes.collect::<String>())
    });
    Ok(())
}

/// The keys of a node's file; none if it is the file of a site or an account.
fn node_keys(path: &Path) -> Result<Option<NodeKeys>, Failure> {
    match NodeKeys::load(path) {
        Ok(keys) => Ok(Some(keys)),
        Err(error) if has_kem_keys(path) => Err(Failure::usage(error)),
        Err(_) => Ok(None),
    }
}

/// Whether a file is meant for a node, of this version or of another.
fn has_kem_keys(path: &Path) -> bool {
    #[derive(Deserialize)]
    struct Meant {
        kem_keys: Option<serde::de::IgnoredAny>,
        kem_secret: Option<serde::de::IgnoredAny>,
    }
    let text = std::fs::read_to_string(path).map(Zeroizing::new);
    let meant = text.ok().and_then(|text| serde_json::from_str::<Meant>(&text).ok());
    meant.is_some_and(|meant| meant.kem_keys.is_some() || meant.kem_secret.is_some())
}

/// A KEM key as `keys show` prints it: its hash, and what is known of its use.
fn described(key: &KemKey) -> serde_json::Value {
    let uses = key.uses().iter().map(|one| {
        let at = one.deployment();
        serde_json::json!({ "chain_id": at.chain_id, "contract": at.contract, "committees": one.committees() })
    });
    serde_json::json!({ "key_hash": key.hash(), "uses": uses.collect::<Vec<_>>() })
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
