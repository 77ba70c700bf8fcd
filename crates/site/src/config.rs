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
//!
//! [clock]
//! tolerance = 600                       # seconds by which a round may seem to open in the future; see below
//!
//! ## This site contributes to a subject (a base model, a question) in one study with one committee only. Each group
//! ## names studies, with their committees, that may be about the same subjects all the same: see below.
//! [[shared_subjects]]
//! studies = [
//!   { study = 1, committee = "0x2222222222222222222222222222222222222222222222222222222222222222" },
//!   { study = 4, committee = "0x3333333333333333333333333333333333333333333333333333333333333333" },
//! ]
//! # "#;
//! # let file = consilium_site::ConfigFile::parse(text, "site.toml".as_ref()).unwrap();
//! # assert_eq!(file.timeouts.deliver, 120.0);
//! ```
//!
//! **Shared subjects.** An entry's `chain_id` and `contract` are those of the addresses file unless it gives both.
//! - Two studies that start from one public model: name both. The hospital then takes part in a sum in each. The two sums
//!   together show the sum over the sites that only one of them has: with one such site, its update.
//! - A committee that was changed while a round was void: a retry has another committee, whose nodes know nothing of the
//!   first one's round. Name the study twice, with the old and the new committee, once the old committee's operators
//!   confirm that they released nothing. The earlier round must be void on every endpoint all the same.
//!
//! The rule compares digests: a base model that differs in one unit in the last place of one weight is another subject.
//! The rule does not see such a model; `genesis` and the successors that this site computes itself (see
//! [`SitePolicy::any_base_model`]) keep a sponsor from making one up.
//!
//! **Clock.** A round whose opening time is ahead of this machine's clock is refused. What is tolerated is
//! [`ClockSection::tolerance`], and at most a quarter of the time from opening to deadline. The age of a round is not
//! judged: a hospital may see it for the first time on the second day.
//!
//! **Copies of the data folder.** Before this site signs in a round of which its journal has nothing, it asks the round's
//! nodes what they hold under its address, and stops if they hold anything that its key signed. n - t of them must
//! answer; [`SitePolicy::trust_journal`] lifts that.
//!
//! `CONSILIUM_RPC` (comma-separated), `CONSILIUM_ADDRESSES`, `CONSILIUM_KEY_FILE` and `CONSILIUM_DATA` take precedence.

use crate::error::{ConfigError, SharingError};
use crate::sharing::{SharedSubjects, StudyCommittee};
use alloy_primitives::{Address, B256};
use consilium_core::clock;
use consilium_core::eip712::Domain;
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
    /// What it tolerates of clocks.
    pub clock: ClockSection,
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
    /// Studies that may be about the same subjects. None by default.
    pub shared: SharedSubjects,
    /// Sign although fewer than n - t nodes have said what they hold of this site. Off by default; for a data folder that
    /// is no copy and was never restored, when more than t nodes are down.
    pub trust_journal: bool,
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
    /// For the nodes' answers about what they hold of this site, before it signs.
    pub inquiry: f64,
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
        Self { connect: 5.0, inquiry: 15.0, request: 120.0, receipts: 15.0, deliver: 600.0, result: 0.0, poll: 0.5 }
    }
}

/// The section `[clock]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClockSection {
    /// Seconds by which a round's opening time may be ahead of this machine's clock, 600 unless said otherwise; never more
    /// than a quarter of the time from opening to deadline.
    pub tolerance: u64,
}

impl ClockSection {
    /// The tolerance in milliseconds.
    #[must_use]
    pub fn tolerance_millis(&self) -> u64 {
        self.tolerance.saturating_mul(1000)
    }
}

impl Default for ClockSection {
    fn default() -> Self {
        Self { tolerance: clock::DEFAULT_TOLERANCE_MILLIS / 1000 }
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
    /// What the site tolerates of clocks.
    #[serde(default)]
    pub clock: ClockSection,
    /// Studies that may be about the same subjects.
    #[serde(default)]
    pub shared_subjects: Vec<SharedGroup>,
}

/// A group under `[[shared_subjects]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharedGroup {
    /// At least two.
    pub studies: Vec<NamedStudy>,
}

/// A study with one of its committees, as the configuration names it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedStudy {
    /// Its number.
    pub study: u64,
    /// The committee's fingerprint.
    pub committee: B256,
    /// Its chain; that of the addresses file unless said otherwise.
    pub chain_id: Option<u64>,
    /// Its contract; that of the addresses file unless said otherwise.
    pub contract: Option<Address>,
}

impl NamedStudy {
    /// `group` is for messages, `domain` that of the addresses file.
    fn resolve(&self, group: usize, domain: Domain) -> Result<StudyCommittee, SharingError> {
        let domain = match (self.chain_id, self.contract) {
            (None, None) => domain,
            (Some(chain_id), Some(contract)) => Domain { chain_id, contract },
            _ => return Err(SharingError::Half { group, study: self.study }),
        };
        Ok(StudyCommittee::new(domain, self.study, self.committee))
    }
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
    /// See [`SitePolicy::trust_journal`].
    pub trust_journal: bool,
}

impl Default for PolicySection {
    fn default() -> Self {
        Self {
            minimum_cohort: 3,
            operators: BTreeSet::new(),
            jurisdictions: BTreeSet::new(),
            any_base_model: false,
            trust_journal: false,
        }
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
        let addresses = Addresses::load(&addresses)?;
        let shared = shared(&file.shared_subjects, addresses.domain())?;
        let policy = policy(file.policy, file.studies, shared)?;
        let (nodes, timeouts, clock) = (file.nodes, file.timeouts, file.clock);
        Ok((Self { rpc, addresses, nodes, data, policy, timeouts, clock }, key_file))
    }
}

fn policy(
    section: PolicySection,
    studies: BTreeMap<String, StudyPins>,
    shared: SharedSubjects,
) -> Result<SitePolicy, ConfigError> {
    // `01` is another key than `1`, and would put its pins in the place of the other's.
    let plain = |text: &str| text.parse::<u64>().ok().filter(|number| number.to_string() == text);
    let number = |text: String| plain(&text).ok_or(ConfigError::StudyNumber(text));
    let studies = studies.into_iter().map(|(study, pins)| Ok((number(study)?, pins)));
    Ok(SitePolicy {
        minimum_cohort: section.minimum_cohort,
        operators: section.operators,
        jurisdictions: section.jurisdictions,
        studies: studies.collect::<Result<_, ConfigError>>()?,
        any_base_model: section.any_base_model,
        shared,
        trust_journal: section.trust_journal,
    })
}

fn shared(groups: &[SharedGroup], domain: Domain) -> Result<SharedSubjects, SharingError> {
    let resolve = |(number, group): (usize, &SharedGroup)| {
        group.studies.iter().map(|named| named.resolve(number, domain)).collect::<Result<Vec<_>, _>>()
    };
    SharedSubjects::new((1..).zip(groups).map(resolve).collect::<Result<_, _>>()?)
}
