//! Section 6.2 to 6.5: receipts, the set that a round is about, and its root.

use crate::eip712::{Domain, Receipt, Signed};
use crate::error::{Malformed, SignatureError};
use crate::merkle::{TreeKind, check_path, leaf, open, root};
use crate::params::CommitteeMembers;
use alloy_primitives::{Address, B256, U256};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A site and the digest of its contribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SetMember {
    /// The site.
    pub site: Address,
    /// Its contribution's digest.
    pub digest: B256,
}

/// The members of a round's set, addresses strictly increasing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<SetMember>", into = "Vec<SetMember>")]
pub struct Cohort(Vec<SetMember>);

impl Cohort {
    /// Checks the order.
    ///
    /// # Errors
    /// [`Malformed::Order`] when a site comes twice or the list is not sorted.
    pub fn new(members: Vec<SetMember>) -> Result<Self, Malformed> {
        if members.is_sorted_by(|a, b| a.site < b.site) { Ok(Self(members)) } else { Err(Malformed::Order("the sites of a set")) }
    }

    /// The members.
    #[must_use]
    pub fn members(&self) -> &[SetMember] {
        &self.0
    }

    /// Whether this contribution is in the set.
    #[must_use]
    pub fn contains(&self, member: &SetMember) -> bool {
        self.0.binary_search(member).is_ok()
    }

    /// Number of sites.
    #[must_use]
    pub fn size(&self) -> u32 {
        self.0.len() as u32
    }

    /// The set root: leaves SHA-256(0x00 || address || digest), top SHA-256(0x03 || size || tree).
    #[must_use]
    pub fn root(&self) -> B256 {
        set_root(&self.0)
    }

    /// The siblings from member number `index` up to the set root, as [`crate::merkle::open`] gives them.
    #[must_use]
    pub fn open(&self, index: usize) -> Vec<B256> {
        open(&set_leaves(&self.0), index)
    }
}

fn set_leaves(members: &[SetMember]) -> Vec<B256> {
    members.iter().map(member_leaf).collect()
}

fn member_leaf(member: &SetMember) -> B256 {
    leaf(&[member.site.as_slice(), member.digest.as_slice()].concat())
}

fn set_root(members: &[SetMember]) -> B256 {
    root(TreeKind::Set, members.len() as u64, set_leaves(members))
}

/// A certified set as the contract records it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertifiedSet {
    /// Its root.
    pub root: B256,
    /// Its sites: the first so many leaves.
    pub size: u32,
    /// Bit j-1: node j voted.
    pub voters: U256,
}

/// JSON bytes of one member of a set, generously.
const MEMBER_BYTES: usize = 512;
/// Sites beyond those of the list that are read of a set: liars may certify more than were admitted.
const SURPLUS: usize = 1 << 14;

/// Most bytes of an answer that can show a certified set of this size, of a list of so many admitted sites and a committee of
/// so many nodes.
#[must_use]
pub fn longest_set(size: u32, admitted: usize, nodes: usize) -> usize {
    MEMBER_BYTES * ((size as usize).clamp(admitted, admitted + SURPLUS) + nodes + 1)
}

/// The leaves under a set root, in whatever order they are: liars may certify what no [`Cohort`] is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetLeaves(Vec<SetMember>);

impl SetLeaves {
    /// The leaves, if this is their root.
    #[must_use]
    pub fn under(root: &B256, leaves: Vec<SetMember>) -> Option<Self> {
        (set_root(&leaves) == *root).then_some(Self(leaves))
    }

    /// All of them.
    #[must_use]
    pub fn members(&self) -> &[SetMember] {
        &self.0
    }

    /// Leaf number `index` with its path; none where there is no leaf.
    #[must_use]
    pub fn open(&self, index: usize) -> Option<SetLeaf> {
        let member = *self.0.get(index)?;
        Some(SetLeaf { index: index as u32, member, length: self.0.len() as u64, path: open(&set_leaves(&self.0), index) })
    }
}

impl From<&Cohort> for SetLeaves {
    fn from(cohort: &Cohort) -> Self {
        Self(cohort.0.clone())
    }
}

/// A leaf of a certified set with what leads to the root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetLeaf {
    /// Its place.
    pub index: u32,
    /// What it holds.
    #[serde(flatten)]
    pub member: SetMember,
    /// All leaves of the tree; there may be more of them than sites.
    pub length: u64,
    /// Siblings up to the root.
    pub path: Vec<B256>,
}

impl SetLeaf {
    /// Whether it is a leaf of the set with this root.
    #[must_use]
    pub fn leads_to(&self, root: &B256) -> bool {
        let (leaves, hash) = (usize::try_from(self.length).unwrap_or(usize::MAX), member_leaf(&self.member));
        check_path(TreeKind::Set, self.length, leaves, self.index as usize, hash, &self.path, root)
    }
}

impl TryFrom<Vec<SetMember>> for Cohort {
    type Error = Malformed;

    fn try_from(members: Vec<SetMember>) -> Result<Self, Self::Error> {
        Self::new(members)
    }
}

impl From<Cohort> for Vec<SetMember> {
    fn from(cohort: Cohort) -> Self {
        cohort.0
    }
}

/// Root of a study's admitted sites: leaves SHA-256(0x00 || address), addresses strictly increasing, top
/// SHA-256(0x05 || count || tree).
///
/// # Errors
/// [`Malformed::Order`].
pub fn sites_root(sites: &[Address]) -> Result<B256, Malformed> {
    if !sites.is_sorted_by(|a, b| a < b) {
        return Err(Malformed::Order("the list of admitted sites"));
    }
    Ok(root(TreeKind::Sites, sites.len() as u64, sites.iter().map(|site| leaf(site.as_slice())).collect()))
}

/// The siblings that lead from a site to the root of the list of admitted sites; none for a place that it does not have.
#[must_use]
pub fn site_path(sites: &[Address], place: usize) -> Option<Vec<B256>> {
    (place < sites.len()).then(|| open(&sites.iter().map(|site| leaf(site.as_slice())).collect::<Vec<_>>(), place))
}

/// Q receipts of distinct nodes for one contribution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptCertificate {
    /// The contribution.
    #[serde(flatten)]
    pub member: SetMember,
    /// Signatures by node number 1..=n.
    pub receipts: BTreeMap<usize, Signed>,
}

impl ReceiptCertificate {
    /// Checks every signature and that there are Q of them.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn check(&self, domain: &Domain, committee: &CommitteeMembers, study: u64, round: u64) -> Result<(), CertificateError> {
        let needed = committee.sizes().quorum();
        if self.receipts.len() < needed {
            return Err(CertificateError::TooFew { needed, found: self.receipts.len() });
        }
        let receipt = Receipt { study, round, site: self.member.site, digest: self.member.digest };
        for (&node, signature) in &self.receipts {
            let member = committee.member(node).ok_or(CertificateError::NoSuchNode(node))?;
            domain.check(&receipt, signature, member.address)?;
        }
        Ok(())
    }
}

/// A receipt certificate with the time since when a node has held it: what the rule of inclusion goes by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatedCertificate {
    /// The certificate.
    pub certificate: ReceiptCertificate,
    /// Unix milliseconds at which the Q-th receipt arrived.
    pub since: u64,
}

/// Why a list of signatures is no certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Fewer than Q.
    #[error("{found} signatures, {needed} are needed")]
    TooFew {
        /// Q.
        needed: usize,
        /// Found.
        found: usize,
    },
    /// A number outside 1..=n.
    #[error("the committee has no node {0}")]
    NoSuchNode(usize),
    /// A signature is not the node's.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}
