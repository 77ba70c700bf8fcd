//! What a hospital configures: where the chain and the nodes are, what it insists on, how long it waits.
//!
//! A TOML file, with paths relative to it:
//!
//! ```
//! # let text = r#"
//! rpc = ["http://127.0.0.1:8545"]       # several: a settlement must be final on all of them
//! addresses = "addresses.json"          # chain id and contracts
//! key_file = "site-key.json"
//! data = "site-data"                    # the journal; one folder a key, kept for good
//!
//! [nodes]                               # the nodes' addresses and where they listen
//! "0x1111111111111111111111111111111111111111" = "http://127.0.0.1:9001"
//!
//! [policy]
//! minimum_cohort = 3                    # refuse rounds that may hide this site among fewer
//! operators = ["Charité"]               # optional: only these may run nodes
//! jurisdictions = ["DE", "FR"]          # optional
//!
//! [studies.1]
//! ## obtained out of band, from people, never from the chain:
//! committees = ["0x2222222222222222222222222222222222222222222222222222222222222222"]
//! ## genesis = "0x.."                    # digest of the first model; else that of the study's first round
//!
//! [timeouts]                            # seconds
//! deliver = 120
//! # "#;
//! # let file = consilium_site::ConfigFile::parse(text, "site.toml".as_ref()).unwrap();
//! # assert_eq!(file.timeouts.deliver, 120.0);
//! ```
//!
//! `CONSILIUM_RPC` (comma-separated), `CONSILIUM_ADDRESSES`, `CONSILIUM_KEY_FILE` and `CONSILIUM_DATA` take precedence.

use crate::error::ConfigError;
use alloy_primitives::{Address, B256};
use consilium_ledger::Addresses;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A site's configuration, ready for use.
#[derive(Debug, Clone)]
pub struct SiteConfig {
    /// Chain endpoints; the first that answers is read, a result must be final on all.
    pub rpc: Vec<String>,
    /// Chain id and contracts.
    pub addresses: Addresses,
    /// Base URL of each node.
    pub nodes: BTreeMap<Address, String>,
    /// The data folder.
    pub data: PathBuf,
    /// What the site insists on.
    pub policy: SitePolicy,
    /// How long it waits.
    pub timeouts: Timeouts,
}

/// What a site insists on before it contributes.
#[derive(Debug, Clone, Default)]
pub struct SitePolicy {
    /// Fewest sites of a set that this site agrees to be in; a round's own minimum below is refused.
    pub minimum_cohort: u64,
    /// If not empty, who may run nodes.
    pub operators: BTreeSet<String>,
    /// If not empty, where nodes may be.
    pub jurisdictions: BTreeSet<String>,
    /// What is known about each study, out of band.
    pub studies: BTreeMap<u64, StudyPins>,
    /// Contribute to any base model, not only to the genesis or a declared successor. Off by default: a sponsor who chooses
    /// the base model freely can choose one whose updates give more away.
    pub any_base_model: bool,
}

/// What is known about one study, out of band.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StudyPins {
    /// Fingerprints of committees that this site trusts: [`consilium_core::params::CommitteeMembers::hash`].
    pub committees: BTreeSet<B256>,
    /// Digest of the first model; without it, the subject of the study's first round counts.
    pub genesis: Option<B256>,
}

/// How long a site waits, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// For a connection to a node.
    pub connect: f64,
    /// For one answer of a node, uploads and downloads included.
    pub request: f64,
    /// For Q receipts after an upload, before the next node is given the contribution too.
    pub receipts: f64,
    /// For Q receipts in all; the round's deadline ends it as well.
    pub deliver: f64,
    /// For a result; 0: until the round's settle-by, and five minutes.
    pub result: f64,
    /// The longest pause between two looks at the chain or at a node.
    pub poll: f64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: 5.0, request: 120.0, receipts: 15.0, deliver: 600.0, result: 0.0, poll: 0.5 }
    }
}

/// Seconds as a duration; nonsense counts as an hour.
pub(crate) fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value).unwrap_or(Duration::from_secs(3600))
}

/// The configuration file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigFile {
    /// Chain endpoints.
    #[serde(default)]
    pub rpc: Vec<String>,
    /// The addresses file.
    pub addresses: Option<PathBuf>,
    /// The key file.
    pub key_file: Option<PathBuf>,
    /// The data folder.
    pub data: Option<PathBuf>,
    /// Base URL by address of the node.
    #[serde(default, deserialize_with = "consilium_ledger::urls_by_address")]
    pub nodes: BTreeMap<Address, String>,
    /// What the site insists on.
    #[serde(default)]
    pub policy: PolicySection,
    /// Pins by study number.
    #[serde(default)]
    pub studies: BTreeMap<String, StudyPins>,
    /// How long the site waits.
    #[serde(default)]
    pub timeouts: Timeouts,
}

/// The section `[policy]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicySection {
    /// See [`SitePolicy::minimum_cohort`]; 3 unless said otherwise.
    pub minimum_cohort: u64,
    /// See [`SitePolicy::operators`].
    pub operators: BTreeSet<String>,
    /// See [`SitePolicy::jurisdictions`].
    pub jurisdictions: BTreeSet<String>,
    /// See [`SitePolicy::any_base_model`].
    pub any_base_model: bool,
}

impl Default for PolicySection {
    fn default() -> Self {
        Self { minimum_cohort: 3, operators: BTreeSet::new(), jurisdictions: BTreeSet::new(), any_base_model: false }
    }
}

impl ConfigFile {
    /// Parses the text of a file; `path` is for messages and for relative paths.
    ///
    /// # Errors
    /// [`ConfigError::Parse`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| ConfigError::Parse { path: path.to_owned(), reason: error.to_string() })
    }
}

impl SiteConfig {
    /// Reads a configuration file and the environment. Also returns where the key file is.
    ///
    /// # Errors
    /// [`ConfigError`] that names the file and the setting.
    pub fn load(path: &Path) -> Result<(Self, PathBuf), ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::from_file(ConfigFile::parse(&text, path)?, path, |name| std::env::var(name).ok())
    }

    /// Puts a file and an environment together.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn from_file(
        file: ConfigFile,
        path: &Path,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<(Self, PathBuf), ConfigError> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let setting = |variable: &'static str, setting: &'static str, value: Option<PathBuf>| {
            let chosen = environment(variable).map(PathBuf::from).or_else(|| value.map(|value| folder.join(value)));
            chosen.ok_or(ConfigError::Missing { setting, variable })
        };
        let addresses = setting("CONSILIUM_ADDRESSES", "addresses", file.addresses)?;
        let key_file = setting("CONSILIUM_KEY_FILE", "key_file", file.key_file)?;
        let data = setting("CONSILIUM_DATA", "data", file.data)?;
        let from_environment =
            environment("CONSILIUM_RPC").map(|list| list.split(',').map(|url| url.trim().to_owned()).collect());
        let rpc: Vec<String> = from_environment.unwrap_or(file.rpc);
        if rpc.is_empty() {
            return Err(ConfigError::Missing { setting: "rpc", variable: "CONSILIUM_RPC" });
        }
        // `01` is another key than `1`, and would put its pins in the place of the other's.
        let plain = |text: &str| text.parse::<u64>().ok().filter(|number| number.to_string() == text);
        let number = |text: String| plain(&text).ok_or(ConfigError::StudyNumber(text));
        let studies = file.studies.into_iter().map(|(study, pins)| Ok((number(study)?, pins)));
        let policy = SitePolicy {
            minimum_cohort: file.policy.minimum_cohort,
            operators: file.policy.operators,
            jurisdictions: file.policy.jurisdictions,
            studies: studies.collect::<Result<_, ConfigError>>()?,
            any_base_model: file.policy.any_base_model,
        };
        let addresses = Addresses::load(&addresses)?;
        Ok((Self { rpc, addresses, nodes: file.nodes, data, policy, timeouts: file.timeouts }, key_file))
    }
}
