//! What the contracts announce, typed and checked.
//!
//! A log is untrusted twice over: the endpoint may invent it, and anyone may put strange bytes into the strings that the
//! contracts pass on. [`ChainEvent`] exists only for logs that the contracts can have written, whose
//! strings are UTF-8 and whose lists have possible lengths. All others are [`MalformedLog`]s: data, not panics, and not a
//! reason to stop following the chain.

pub use crate::conditions::{Conditions, Consent};
pub use crate::money::Money;
pub use crate::offence::{Conviction, Offence};
pub use crate::privacy::Privacy;
pub use crate::roles::Role;
pub use crate::sites_list::SitesList;
use alloy_primitives::{Address, B256, Bytes, U256};
use consilium_core::params::MAX_NODES;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The longest list of admitted sites that is read.
pub const MAX_SITES: usize = 65_536;
/// Longest program name and finality rule in bytes, as the contract has it.
pub const MAX_NAME: usize = 32;
/// Longest program parameters in bytes, as the contract has it.
pub const MAX_PARAMETERS: usize = 256;
/// Longest operator and jurisdiction in bytes, as the registry has it.
pub const MAX_IDENTITY: usize = 128;
/// Longest name of a privacy account in bytes, as the contract has it.
pub const MAX_ACCOUNT_NAME: usize = 64;
/// Most nodes of a committee.
pub const MAX_COMMITTEE: usize = MAX_NODES;

/// A block by number and hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct BlockRef {
    /// Height.
    pub number: u64,
    /// Hash.
    pub hash: B256,
}

/// Where an event stands on the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct LogPosition {
    /// Its block.
    pub block: BlockRef,
    /// Its number among the logs of the block.
    pub index: u64,
    /// The transaction that caused it.
    pub transaction: B256,
}

/// An event of the contracts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainEvent {
    /// Where it stands.
    pub at: LogPosition,
    /// The block's time, if the endpoint tells.
    pub timestamp: Option<u64>,
    /// What happened.
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A node joined.
    NodeRegistered {
        /// The node.
        node: Address,
        /// Who runs it.
        operator: String,
        /// Where.
        jurisdiction: String,
        /// Locked stake in wei.
        stake: U256,
    },
    /// A node's KEM key from now on. The hash has been recomputed.
    KemKeySet {
        /// The node.
        node: Address,
        /// keccak256 of the key.
        key_hash: B256,
        /// The key.
        kem_key: Bytes,
    },
    /// A node is leaving.
    UnbondingBegun {
        /// The node.
        node: Address,
        /// Block time from which its stake may be withdrawn.
        withdrawable_at: u64,
    },
    /// A node has left.
    StakeWithdrawn {
        /// The node.
        node: Address,
        /// Stake in wei.
        stake: U256,
    },
    /// What a node puts up for the studies of a sponsor, or for the committees of a source.
    ConsentSet {
        /// The node.
        node: Address,
        /// The sponsor or the source.
        party: Address,
        /// How much, and until when.
        consent: Consent,
    },
    /// A node has added to its free stake.
    Deposited {
        /// The node.
        node: Address,
        /// Wei.
        amount: U256,
    },
    /// A node answers for a study with this much of its stake.
    Bonded {
        /// The study.
        study: u64,
        /// The node.
        node: Address,
        /// Wei.
        amount: U256,
    },
    /// A node no longer serves a study; its bond stays locked.
    Discharged {
        /// The study.
        study: u64,
        /// The node.
        node: Address,
        /// Block time from which the bond is free.
        until: u64,
    },
    /// A bond is free stake again.
    Reclaimed {
        /// The study.
        study: u64,
        /// The node.
        node: Address,
        /// Wei.
        amount: U256,
    },
    /// An offence was proved; the bond is taken.
    Convicted(Conviction),
    /// A conviction fell: with the settlement that it rested on, or as Q nodes had voted for the set of a foreign share.
    Acquitted {
        /// The study.
        study: u64,
        /// The node.
        node: Address,
        /// What the node got back, in wei.
        amount: U256,
    },
    /// The sites of this set are to be compensated from a convicted node's bond.
    CompensationAssigned {
        /// The study.
        study: u64,
        /// The convicted node.
        node: Address,
        /// The harmed round.
        round: u64,
        /// Its set.
        set_root: B256,
        /// Number of its sites.
        size: u32,
    },
    /// A site got its part.
    Compensated {
        /// The study.
        study: u64,
        /// The convicted node.
        node: Address,
        /// The site.
        site: Address,
        /// Wei.
        amount: U256,
    },
    /// Who proved what could have been undone has its tenth.
    ReporterPaid {
        /// The study.
        study: u64,
        /// The convicted node.
        node: Address,
        /// Who proved it.
        reporter: Address,
        /// Wei.
        amount: U256,
    },
    /// What no site may have of a bond went to the sink.
    Forfeited {
        /// The study.
        study: u64,
        /// The convicted node.
        node: Address,
        /// Wei.
        amount: U256,
    },
    /// The study's guardian has put a payment off.
    CompensationPostponed {
        /// The study.
        study: u64,
        /// The convicted node.
        node: Address,
        /// Block time from which it is due.
        until: u64,
    },
    /// The study's judge holds a bond.
    Held {
        /// The study.
        study: u64,
        /// The node.
        node: Address,
        /// Block time before which it is not free.
        until: u64,
    },
    /// A study exists.
    StudyCreated {
        /// Its number.
        study: u64,
        /// Who pays and decides.
        sponsor: Address,
        /// What it is.
        terms: StudyTerms,
    },
    /// What the study's money and stake follow, for good.
    ConditionsSet {
        /// The study.
        study: u64,
        /// The conditions.
        conditions: Conditions,
    },
    /// What rounds pay from the next opened one on.
    RewardsSet {
        /// The study.
        study: u64,
        /// Of the policy, from 1; the admitted sites count along.
        version: u16,
        /// What one settled round pays, in the study's currency.
        budget: U256,
        /// The part of the signing nodes, in ten-thousandths.
        node_share: u16,
    },
    /// The study's token has a new owner, who pays, decides and opens rounds from now on. Roles and auditors of the one before
    /// end.
    SponsorChanged {
        /// The study.
        study: u64,
        /// The new sponsor.
        sponsor: Address,
    },
    /// The committee of an epoch.
    CommitteeFormed {
        /// The study.
        study: u64,
        /// From 1.
        epoch: u64,
        /// t.
        threshold: u8,
        /// Node 1 first.
        nodes: Vec<Address>,
        /// keccak256 of their KEM keys in this epoch.
        kem_key_hashes: Vec<B256>,
    },
    /// The sites admitted from the next opened round on.
    SitesAdmitted {
        /// The study.
        study: u64,
        /// Of the policy, from 1; the rewards count along.
        version: u16,
        /// What the rounds freeze. Whether the list matches is for [`consilium_core::terms::Terms::check`].
        sites_root: B256,
        /// The list, or where it is.
        sites: SitesList,
    },
    /// The policy from the next opened round on.
    PolicySet {
        /// The study.
        study: u64,
        /// Fewest sites of a set.
        minimum_cohort: u32,
        /// Finality rule, as text.
        finality: String,
    },
    /// An account may, or may no longer, read the study's vectors.
    AuditorSet {
        /// The study.
        study: u64,
        /// The account.
        auditor: Address,
        /// Whether it may.
        allowed: bool,
    },
    /// A role has another holder, until the study changes hands.
    RoleSet {
        /// The study.
        study: u64,
        /// Which.
        role: Role,
        /// Who has it now; zero for nobody.
        account: Address,
    },
    /// Rounds are opened by another account now, beside the sponsor.
    OperatorChanged {
        /// The study.
        study: u64,
        /// The account.
        operator: Address,
    },
    /// The guardian stopped proofs and payouts, or ended a pause.
    Paused {
        /// The study.
        study: u64,
        /// Block time from which they stand still.
        from: u64,
        /// Block time from which they go on.
        until: u64,
    },
    /// No round opens any more, and the committee is discharged.
    StudyEnded {
        /// The study.
        study: u64,
    },
    /// A round is open. The hash of what was frozen has been recomputed.
    RoundOpened(RoundOpened),
    /// The set that counts.
    RoundCertified {
        /// The study.
        study: u64,
        /// The round.
        round: u64,
        /// Its root.
        set_root: B256,
        /// Number of sites.
        size: u32,
        /// Bit j-1: node j voted.
        voters: U256,
        /// The votes as they came, 65 bytes for each voter, by node number. Nothing about them has been checked but their
        /// length.
        signatures: Bytes,
    },
    /// More votes for the certified set, before its settlement: their nodes are paid as the certificate's voters are.
    VotesAdded {
        /// The study.
        study: u64,
        /// The round.
        round: u64,
        /// Bit j-1: node j voted.
        voters: U256,
        /// As in [`Self::RoundCertified`].
        signatures: Bytes,
    },
    /// The result that counts.
    RoundSettled {
        /// The study.
        study: u64,
        /// The round.
        round: u64,
        /// The certified set.
        set_root: B256,
        /// Root of each node's output share, node 1 first.
        share_roots: Vec<B256>,
        /// Root of the aggregate.
        aggregate_root: B256,
        /// Root of the credits.
        reward_root: B256,
        /// Bit j-1: node j signed.
        signers: U256,
    },
    /// No set was certified in time.
    RoundVoided {
        /// The study.
        study: u64,
        /// The round.
        round: u64,
    },
    /// The certified set was not settled in time.
    RoundAbandoned {
        /// The study.
        study: u64,
        /// The round.
        round: u64,
    },
    /// Certificate or settlement was proved wrong in time: it counts no more.
    RoundFraudulent {
        /// The study.
        study: u64,
        /// The round.
        round: u64,
    },
    /// The settlement was proved wrong too late: the round goes on paying, and convicts nobody any more.
    RoundRefuted {
        /// The study.
        study: u64,
        /// The round.
        round: u64,
    },
    /// Something about a study's money.
    Money(Money),
    /// Something about what a sponsor's studies may reveal together.
    Privacy(Privacy),
}

impl Event {
    /// The study that the event is about; none for what a node does for all of them.
    #[must_use]
    pub fn study(&self) -> Option<u64> {
        match self {
            Self::NodeRegistered { .. }
            | Self::KemKeySet { .. }
            | Self::UnbondingBegun { .. }
            | Self::StakeWithdrawn { .. }
            | Self::ConsentSet { .. }
            | Self::Deposited { .. } => None,
            Self::RoundOpened(opened) => Some(opened.study),
            Self::Convicted(conviction) => Some(conviction.study),
            Self::Money(money) => Some(money.study()),
            Self::Privacy(privacy) => privacy.study(),
            Self::Bonded { study, .. }
            | Self::Discharged { study, .. }
            | Self::Reclaimed { study, .. }
            | Self::Acquitted { study, .. }
            | Self::CompensationAssigned { study, .. }
            | Self::Compensated { study, .. }
            | Self::ReporterPaid { study, .. }
            | Self::Forfeited { study, .. }
            | Self::CompensationPostponed { study, .. }
            | Self::Held { study, .. }
            | Self::StudyCreated { study, .. }
            | Self::ConditionsSet { study, .. }
            | Self::RewardsSet { study, .. }
            | Self::SponsorChanged { study, .. }
            | Self::CommitteeFormed { study, .. }
            | Self::SitesAdmitted { study, .. }
            | Self::PolicySet { study, .. }
            | Self::AuditorSet { study, .. }
            | Self::RoleSet { study, .. }
            | Self::OperatorChanged { study, .. }
            | Self::Paused { study, .. }
            | Self::StudyEnded { study }
            | Self::VotesAdded { study, .. }
            | Self::RoundCertified { study, .. }
            | Self::RoundSettled { study, .. }
            | Self::RoundVoided { study, .. }
            | Self::RoundAbandoned { study, .. }
            | Self::RoundFraudulent { study, .. }
            | Self::RoundRefuted { study, .. } => Some(*study),
        }
    }

    /// The round whose course the event is a step of.
    #[must_use]
    pub fn round(&self) -> Option<u64> {
        match self {
            Self::RoundOpened(opened) => Some(opened.round),
            Self::RoundCertified { round, .. }
            | Self::VotesAdded { round, .. }
            | Self::RoundSettled { round, .. }
            | Self::RoundVoided { round, .. }
            | Self::RoundAbandoned { round, .. }
            | Self::RoundFraudulent { round, .. }
            | Self::RoundRefuted { round, .. } => Some(*round),
            _ => None,
        }
    }
}

/// What a sponsor published about a study.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StudyTerms {
    /// Kind of job.
    pub kind: u8,
    /// Program name.
    pub program: String,
    /// Program parameters.
    pub parameters: Bytes,
    /// Elements of a result.
    pub output_length: u64,
    /// What a weight of 1 stands for.
    pub weight_unit: String,
    /// Hash of the sponsor's description; zero for none.
    pub description: B256,
    /// t of the first committee.
    pub threshold: u8,
    /// Fewest sites of a set, at first.
    pub minimum_cohort: u32,
    /// Finality rule at first, as text.
    pub finality: String,
    /// Root of the first admitted sites.
    pub sites_root: B256,
    /// Where their list is; empty if the event `SitesAdmitted` has it.
    pub sites_uri: String,
}

/// What `openRound` froze.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundOpened {
    /// The study.
    pub study: u64,
    /// The round.
    pub round: u64,
    /// What it is about.
    pub subject: B256,
    /// Committee epoch.
    pub epoch: u64,
    /// Fewest sites of a set.
    pub minimum_cohort: u32,
    /// Root of the admitted sites.
    pub sites_root: B256,
    /// Finality rule, as text.
    pub finality: String,
    /// Block time of the opening.
    pub opened: u64,
    /// Certification is possible before this block time.
    pub deadline: u64,
    /// Settlement is possible before this block time.
    pub settle_by: u64,
    /// Hash of all of it.
    pub frozen: B256,
}

/// A log that is no event of these contracts.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("log {} of block {} (transaction {}): {defect}", show(index.as_ref()), show(block.as_ref()), show(transaction.as_ref()))]
pub struct MalformedLog {
    /// Height of its block.
    pub block: Option<u64>,
    /// Its number in the block.
    pub index: Option<u64>,
    /// Its transaction.
    pub transaction: Option<B256>,
    /// The study that its topics name, if they do.
    pub study: Option<u64>,
    /// What is wrong with it.
    pub defect: Defect,
}

fn show<T: std::fmt::Display>(value: Option<&T>) -> String {
    value.map_or_else(|| "?".to_owned(), ToString::to_string)
}

/// What is wrong with a log.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Defect {
    /// Pending, removed, or without its block, transaction or number.
    #[error("it is not in a block")]
    NotMined,
    /// It was not asked for.
    #[error("it is from {0}, which is not one of the contracts")]
    Foreign(Address),
    /// Outside the blocks that were asked for, or out of order.
    #[error("it is not among the blocks that were asked for, or not in order")]
    Place,
    /// The first topic is none of the contract's events.
    #[error("it is none of the contract's events")]
    UnknownEvent,
    /// Not the canonical ABI encoding of the event.
    #[error("it is not the canonical encoding of a {0}")]
    Encoding(&'static str),
    /// A string is not UTF-8, or a length is impossible.
    #[error("{0} has an impossible length")]
    Length(&'static str),
    /// The KEM key has another hash.
    #[error("the KEM key does not have the announced hash")]
    KeyHash,
    /// The frozen terms have another hash.
    #[error("the round's terms do not have the announced hash")]
    Frozen,
    /// A role has a number that is none.
    #[error("it names a role that there is not")]
    Role,
    /// The offence has a number that is none.
    #[error("it names an offence that there is not")]
    Offence,
    /// A signature is not what the contracts accept.
    #[error("a signature in it is not canonical")]
    Signature,
    /// The bitmap names nodes that no committee has.
    #[error("the bitmap names nodes beyond number 32")]
    Bitmap,
}
