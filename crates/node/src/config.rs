//! What an operator writes down: one TOML file, values of the environment over it, everything checked before anything
//! starts.

use crate::policy::{Policy, Section};
use alloy_primitives::Address;
use consilium_ledger::Addresses;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;

/// Environment variables that override keys of the file.
pub const ENVIRONMENT: [&str; 5] = [
    "CONSILIUM_NODE_LISTEN",
    "CONSILIUM_NODE_DATA",
    "CONSILIUM_NODE_KEY_FILE",
    "CONSILIUM_NODE_RPC",
    "CONSILIUM_NODE_POLL_MILLIS",
];

/// A node's configuration, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where the HTTP API listens. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// The node's folder: blobs, journal, cursor. One node, one folder.
    pub data: PathBuf,
    /// The key file, see [`crate::NodeKeys`].
    pub key_file: PathBuf,
    /// JSON-RPC endpoints of one chain. The first is written to; a certificate is final only when all agree.
    pub rpc: Vec<String>,
    /// Where the contracts are.
    pub addresses: Addresses,
    /// Base URLs of the other committee members by their signing address.
    pub peers: BTreeMap<Address, String>,
    /// Pause between two looks at the chain.
    pub poll_interval: Duration,
    /// How long a closed round's masked vectors and boxes are kept.
    pub retention: Duration,
    /// How far a round's opening time may be from this machine's clock; never more than a quarter of the time from opening to
    /// deadline.
    pub clock_tolerance: Duration,
    /// Whether the node erases the secrets of replaced KEM keys by itself once nothing needs them. On unless it is switched
    /// off: only keys that [`crate::rotate`] has replaced go, and those are replaced so that they can go.
    pub forget_keys: bool,
    /// How long the start waits for a chain that cannot be reached.
    pub start_patience: Duration,
    /// Whether blobs are flushed to the disk before they count as stored. The journal always is.
    pub fsync: bool,
    /// Bounds on what others may send.
    pub limits: Limits,
    /// What this node serves.
    pub policy: Policy,
}

/// Bounds on what others may send.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Most bytes of one list of committee messages.
    pub message_bytes: usize,
    /// Uploads at the same time.
    pub uploads: usize,
    /// Longest pause between two pieces of an upload, in seconds.
    pub idle_seconds: u64,
    /// Longest answer to anything but an upload, in seconds.
    pub request_seconds: u64,
    /// Rejected or unopenable contributions of one site that are kept for one round; further ones are refused.
    pub rejected_per_site: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { message_bytes: 16 << 20, uploads: 64, idle_seconds: 20, request_seconds: 60, rejected_per_site: 4 }
    }
}

/// Why a configuration is refused.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {source}; give the right path with --config", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Not the TOML that is expected; unknown keys are refused, because a misspelt one would silently not count.
    #[error("the configuration {} is not understood: {reason}", path.display())]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Where and why, in the parser's words.
        reason: String,
    },
    /// A value cannot be meant.
    #[error("configuration key `{key}`: {reason}; {remedy}")]
    Value {
        /// Which key.
        key: String,
        /// What is wrong.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The addresses file.
    #[error(transparent)]
    Addresses(#[from] consilium_ledger::error::FileError),
}

pub(crate) fn value(key: &str, reason: impl Into<String>, remedy: &'static str) -> ConfigError {
    ConfigError::Value { key: key.to_owned(), reason: reason.into(), remedy }
}

/// The file's form.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    listen: String,
    data: PathBuf,
    key_file: PathBuf,
    rpc: Vec<String>,
    #[serde(default)]
    addresses_file: Option<PathBuf>,
    #[serde(default = "default_poll")]
    poll_millis: u64,
    #[serde(default = "default_retention")]
    retention_seconds: u64,
    #[serde(default = "default_tolerance")]
    clock_tolerance_seconds: u64,
    #[serde(default = "yes")]
    forget_keys: bool,
    #[serde(default = "default_patience")]
    start_patience_seconds: u64,
    #[serde(default = "yes")]
    fsync: bool,
    #[serde(default)]
    contracts: Option<Addresses>,
    #[serde(default, deserialize_with = "consilium_ledger::urls_by_address")]
    peers: BTreeMap<Address, String>,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    policy: Section,
}

fn default_poll() -> u64 {
    200
}

fn default_retention() -> u64 {
    7 * 24 * 3600
}

fn default_tolerance() -> u64 {
    consilium_core::clock::DEFAULT_TOLERANCE_MILLIS / 1000
}

fn default_patience() -> u64 {
    60
}

fn yes() -> bool {
    true
}

impl Config {
    /// A configuration with the usual values for everything that has one.
    #[must_use]
    pub fn new(listen: SocketAddr, data: PathBuf, key_file: PathBuf, rpc: Vec<String>, addresses: Addresses) -> Self {
        Self {
            listen,
            data,
            key_file,
            rpc,
            addresses,
            peers: BTreeMap::new(),
            poll_interval: Duration::from_millis(default_poll()),
            retention: Duration::from_secs(default_retention()),
            clock_tolerance: Duration::from_secs(default_tolerance()),
            forget_keys: true,
            start_patience: Duration::from_secs(default_patience()),
            fsync: true,
            limits: Limits::default(),
            policy: Policy::default(),
        }
    }

    /// Reads a file and then the environment. Relative paths in the file are relative to its folder.
    ///
    /// # Errors
    /// [`ConfigError`] that names the key and what to do.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::load_with(path, |name| std::env::var(name).ok())
    }

    /// As [`Self::load`], with another environment.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn load_with(path: &Path, environment: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, path, environment)
    }

    /// As [`Self::load_with`], of a text; `path` is for messages and for relative paths.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn parse(text: &str, path: &Path, environment: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let parsed = toml::from_str(text);
        let mut file: File = parsed
            .map_err(|error| ConfigError::Parse { path: path.to_owned(), reason: error.to_string().trim_end().to_owned() })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for relative in [Some(&mut file.data), Some(&mut file.key_file), file.addresses_file.as_mut()].into_iter().flatten() {
            *relative = folder.join(&*relative);
        }
        file.override_from(environment)?;
        file.check()
    }

    /// The file that [`Self::load`] reads back as this configuration.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let text = |value: &dyn std::fmt::Display| {
            let quoted = serde_json::to_string(&value.to_string()).unwrap_or_else(|_| unreachable!("a string is JSON"));
            // JSON's string is a basic string of TOML, but for the one control character that JSON lets stand.
            quoted.replace('\u{7f}', "\\u007f")
        };
        let rpc: Vec<String> = self.rpc.iter().map(|url| text(url)).collect();
        let mut out = format!("listen = {}\n", text(&self.listen));
        // Writing to a String does not fail.
        let _ok = writeln!(out, "data = {}\nkey_file = {}", text(&self.data.display()), text(&self.key_file.display()));
        let _ok = writeln!(out, "rpc = [{}]\npoll_millis = {}", rpc.join(", "), self.poll_interval.as_millis());
        let _ok = writeln!(out, "clock_tolerance_seconds = {}", self.clock_tolerance.as_secs());
        let _ok = writeln!(out, "retention_seconds = {}\nforget_keys = {}", self.retention.as_secs(), self.forget_keys);
        let _ok = writeln!(out, "start_patience_seconds = {}\nfsync = {}", self.start_patience.as_secs(), self.fsync);
        let Addresses {
            chain_id,
            registry,
            consilium,
            treasury,
            licences,
            study_token,
            set_court,
            sum_kind,
            privacy_budget,
            trial_token,
            deployed_at,
        } = self.addresses;
        let _ok = writeln!(out, "\n[contracts]\nchain_id = {chain_id}\ndeployed_at = {deployed_at}");
        let _ok = writeln!(out, "registry = {}\nconsilium = {}", text(&registry), text(&consilium));
        let _ok = writeln!(out, "treasury = {}\nlicences = {}", text(&treasury), text(&licences));
        let _ok = writeln!(out, "study_token = {}\nset_court = {}", text(&study_token), text(&set_court));
        let _ok = writeln!(out, "sum_kind = {}\nprivacy_budget = {}", text(&sum_kind), text(&privacy_budget));
        if let Some(trial_token) = trial_token {
            let _ok = writeln!(out, "trial_token = {}", text(&trial_token));
        }
        out.push_str("\n[peers]\n");
        for (address, url) in &self.peers {
            let _ok = writeln!(out, "{} = {}", text(address), text(url));
        }
        let Limits { message_bytes, uploads, idle_seconds, request_seconds, rejected_per_site } = self.limits;
        let _ok = writeln!(out, "\n[limits]\nmessage_bytes = {message_bytes}\nuploads = {uploads}");
        let _ok = writeln!(out, "idle_seconds = {idle_seconds}\nrequest_seconds = {request_seconds}");
        let _ok = writeln!(out, "rejected_per_site = {rejected_per_site}");
        out.push_str(&self.policy.to_toml());
        out
    }

    /// Checks what the types do not: URLs, and bounds that would stop the node from working.
    ///
    /// # Errors
    /// [`ConfigError::Value`].
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.rpc.is_empty() {
            return Err(value("rpc", "no endpoint is given", "write at least one, as rpc = [\"http://host:port\"]"));
        }
        for url in &self.rpc {
            check_url("rpc", url)?;
        }
        for (address, url) in &self.peers {
            check_url(&format!("peers.{address}"), url)?;
        }
        let Limits { message_bytes, uploads, idle_seconds, request_seconds, .. } = self.limits;
        if self.poll_interval.is_zero() {
            return Err(value("poll_millis", "0 would ask the chain without pause", "use 50 or more"));
        }
        for (key, small) in [
            ("limits.message_bytes", message_bytes < 1 << 16),
            ("limits.uploads", uploads == 0),
            ("limits.idle_seconds", idle_seconds == 0),
            ("limits.request_seconds", request_seconds == 0),
        ] {
            if small {
                return Err(value(key, "it is too small for the node to work", "leave the key out to get the usual value"));
            }
        }
        self.policy.check()
    }
}

impl File {
    fn override_from(&mut self, environment: impl Fn(&str) -> Option<String>) -> Result<(), ConfigError> {
        let [listen, data, key_file, rpc, poll] = ENVIRONMENT.map(environment);
        self.listen = listen.unwrap_or(std::mem::take(&mut self.listen));
        self.data = data.map_or_else(|| std::mem::take(&mut self.data), PathBuf::from);
        self.key_file = key_file.map_or_else(|| std::mem::take(&mut self.key_file), PathBuf::from);
        if let Some(urls) = rpc {
            self.rpc = urls.split(',').map(|url| url.trim().to_owned()).collect();
        }
        if let Some(millis) = poll {
            let wrong = |_| value(ENVIRONMENT[4], format!("{millis:?} is not a number"), "give milliseconds, such as 200");
            self.poll_millis = millis.parse().map_err(wrong)?;
        }
        Ok(())
    }

    fn check(self) -> Result<Config, ConfigError> {
        let listen = self.listen.parse().map_err(|_| {
            value("listen", format!("{:?} is not an address and port", self.listen), "write it as listen = \"127.0.0.1:7001\"")
        })?;
        let addresses = match (self.contracts, self.addresses_file) {
            (Some(contracts), None) => contracts,
            (None, Some(path)) => Addresses::load(&path)?,
            _ => {
                let remedy = "give either the table [contracts] or the path addresses_file, not both";
                return Err(value("contracts", "it is not clear where the contracts are", remedy));
            }
        };
        let config = Config {
            listen,
            data: self.data,
            key_file: self.key_file,
            rpc: self.rpc,
            addresses,
            peers: self.peers,
            poll_interval: Duration::from_millis(self.poll_millis),
            retention: Duration::from_secs(self.retention_seconds),
            clock_tolerance: Duration::from_secs(self.clock_tolerance_seconds),
            forget_keys: self.forget_keys,
            start_patience: Duration::from_secs(self.start_patience_seconds),
            fsync: self.fsync,
            limits: self.limits,
            policy: self.policy.read()?,
        };
        config.check().map(|()| config)
    }
}

fn check_url(key: &str, url: &str) -> Result<(), ConfigError> {
    let parsed = reqwest::Url::parse(url).ok();
    if parsed.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host()) {
        return Ok(());
    }
    Err(value(key, format!("{url:?} is not a URL"), "write it as http://host:port or https://host/path"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Config {
        let [registry, consilium, treasury, licences, study_token, set_court, sum_kind, privacy_budget] =
            [1, 2, 3, 4, 5, 6, 7, 8].map(Address::repeat_byte);
        let addresses = Addresses {
            chain_id: 7,
            registry,
            consilium,
            treasury,
            licences,
            study_token,
            set_court,
            sum_kind,
            privacy_budget,
            trial_token: None,
            deployed_at: 3,
        };
        let rpc = vec!["http://127.0.0.1:8545".to_owned()];
        let mut config = Config::new("127.0.0.1:7001".parse().unwrap(), "/d".into(), "/k".into(), rpc, addresses);
        config.peers.insert(Address::repeat_byte(9), "http://10.0.0.2:7001".into());
        config.forget_keys = false;
        config
    }

    fn load(text: &str) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.toml");
        std::fs::write(&path, text).unwrap();
        Config::load_with(&path, |_| None)
    }

    #[test]
    fn a_file_reads_back_as_what_was_written() {
        assert_eq!(load(&sample().to_toml()).unwrap(), sample());
        let mut odd = sample();
        odd.addresses.trial_token = Some(Address::repeat_byte(6));
        odd.data = "/\u{7f}\u{1f}\"\\\u{2028}".into();
        odd.policy.studies = Some([3].into());
        assert_eq!(load(&odd.to_toml()).unwrap(), odd);
    }

    #[test]
    fn a_peer_in_two_spellings_is_refused() {
        let peer = "\"0x0909090909090909090909090909090909090909\" = \"http://10.0.0.2:7001\"\n";
        let text = sample().to_toml();
        assert!(text.contains(peer));
        let error = load(&text.replace(peer, &format!("{peer}{}", peer.replace("0x", "")))).unwrap_err().to_string();
        assert!(error.contains("there twice"), "{error}");
        let error = load(&text.replace("\"0x0909", "\"0x")).unwrap_err().to_string();
        assert!(error.contains("is no address"), "{error}");
    }

    #[test]
    fn replaced_keys_are_erased_unless_that_is_switched_off() {
        let text = sample().to_toml();
        assert!(!load(&text).unwrap().forget_keys);
        assert!(load(&text.replace("forget_keys = false\n", "")).unwrap().forget_keys);
    }

    #[test]
    fn unknown_keys_and_bad_values_are_named_with_a_remedy() {
        let good = sample().to_toml();
        for (text, words) in [
            (format!("polling = 3\n{good}"), ["polling", "unknown"]),
            (good.replace("127.0.0.1:7001", "somewhere"), ["`listen`", "127.0.0.1:7001"]),
            (good.replace("http://127.0.0.1:8545", "localhost"), ["`rpc`", "http://host:port"]),
            (good.replace("[\"http://127.0.0.1:8545\"]", "[]"), ["`rpc`", "at least one"]),
            (good.replace("http://10.0.0.2:7001", "10.0.0.2"), ["`peers.0x09", "http://host:port"]),
            (good.replace("poll_millis = 200", "poll_millis = 0"), ["`poll_millis`", "50"]),
            (good.replace("contracts", "limit"), ["limit", "unknown"]),
            (format!("addresses_file = \"a.json\"\n{good}"), ["`contracts`", "not both"]),
            ("listen = 3".into(), ["listen", "string"]),
            (good.replace("[limits]", "[limits]\ndimension = 3"), ["dimension", "unknown"]),
            (good.replace("resign = true", "studies = []"), ["`policy.studies`", "leave the key out"]),
        ] {
            let error = load(&text).unwrap_err().to_string();
            assert!(words.iter().all(|word| error.contains(word)), "{words:?}: {error}");
        }
    }

    #[test]
    fn the_environment_goes_over_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.toml");
        std::fs::write(&path, sample().to_toml()).unwrap();
        let environment = |name: &str| match name {
            "CONSILIUM_NODE_LISTEN" => Some("0.0.0.0:1".into()),
            "CONSILIUM_NODE_RPC" => Some("http://a:1, http://b:2".into()),
            _ => None,
        };
        let config = Config::load_with(&path, environment).unwrap();
        assert_eq!(config.listen.to_string(), "0.0.0.0:1");
        assert_eq!(config.rpc, ["http://a:1", "http://b:2"]);
    }
}
