//! Section 6.8: a node's output share, the sum of its shares over the certified set.

use crate::certify::{Cohort, SetMember};
use crate::cores::Cores;
use crate::field::Fp;
use crate::merkle::{SUBTREE_ELEMENTS, vector_root_on};
use crate::simd::pages;
use crate::verify::Accepted;
use alloy_primitives::B256;
use std::collections::BTreeSet;
use thiserror::Error;
use zeroize::Zeroize;

/// The running sum of a node's shares over the contributions it has accepted. Wiped on drop, never printed: before
/// certification it is a sum over a set that nobody agreed on.
pub struct RunningSum {
    sum: Vec<Fp>,
    members: BTreeSet<SetMember>,
}

/// The running sum is not over the certified set.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the running sum differs from the certified set: {} to add, {} to take out", .missing.len(), .surplus.len())]
pub struct SetMismatch {
    /// Members of the certified set that are not in the sum.
    pub missing: Vec<SetMember>,
    /// Contributions in the sum that are not in the certified set.
    pub surplus: Vec<SetMember>,
}

impl RunningSum {
    /// The empty sum for outputs of this length.
    #[must_use]
    pub fn new(output_len: usize) -> Self {
        Self { sum: vec![Fp::ZERO; output_len], members: BTreeSet::new() }
    }

    fn key(accepted: &Accepted) -> SetMember {
        SetMember { site: accepted.site(), digest: accepted.digest() }
    }

    /// Adds an accepted contribution; a second time it changes nothing.
    pub fn add(&mut self, accepted: &Accepted) {
        if self.members.insert(Self::key(accepted)) {
            for (sum, &share) in self.sum.iter_mut().zip(accepted.share()) {
                *sum += share;
            }
        }
    }

    /// Takes out a contribution that was added; without effect for any other.
    pub fn subtract(&mut self, accepted: &Accepted) {
        if self.members.remove(&Self::key(accepted)) {
            for (sum, &share) in self.sum.iter_mut().zip(accepted.share()) {
                *sum -= share;
            }
        }
    }

    /// What separates the sum from one over `cohort`.
    ///
    /// # Errors
    /// [`SetMismatch`] unless there is no difference.
    pub fn compare(&self, cohort: &Cohort) -> Result<(), SetMismatch> {
        let missing: Vec<_> = cohort.members().iter().filter(|m| !self.members.contains(m)).copied().collect();
        let surplus: Vec<_> = self.members.iter().filter(|m| !cohort.contains(m)).copied().collect();
        if missing.is_empty() && surplus.is_empty() { Ok(()) } else { Err(SetMismatch { missing, surplus }) }
    }

    /// The output share over exactly the certified set.
    ///
    /// # Errors
    /// [`SetMismatch`]: add and take out what it names first.
    pub fn release(&self, cohort: &Cohort) -> Result<OutputShare, SetMismatch> {
        self.release_on(Cores::ONE, cohort)
    }

    /// [`Self::release`] on several cores.
    ///
    /// # Errors
    /// As [`Self::release`].
    pub fn release_on(&self, cores: Cores, cohort: &Cohort) -> Result<OutputShare, SetMismatch> {
        self.compare(cohort)?;
        let values =
            pages::filled(cores, self.sum.len(), SUBTREE_ELEMENTS, |range, room| room.write_copy_of_slice(&self.sum[range]));
        Ok(OutputShare { values })
    }
}

impl Drop for RunningSum {
    fn drop(&mut self) {
        self.sum.zeroize();
    }
}

impl core::fmt::Debug for RunningSum {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "RunningSum(over {} contributions, redacted)", self.members.len())
    }
}

/// a_j: a node's share of the aggregate, d+1 elements. Served to the committee and to auditors after Q Finals.
#[derive(Clone, PartialEq, Eq)]
pub struct OutputShare {
    values: Vec<Fp>,
}

impl OutputShare {
    /// The elements.
    #[must_use]
    pub fn values(&self) -> &[Fp] {
        &self.values
    }

    /// The elements, without a copy.
    #[must_use]
    pub fn into_values(self) -> Vec<Fp> {
        self.values
    }

    /// The vector root that the node signs in its `ShareRoot`.
    #[must_use]
    pub fn root(&self) -> B256 {
        self.root_on(Cores::ONE)
    }

    /// [`Self::root`] on several cores.
    #[must_use]
    pub fn root_on(&self, cores: Cores) -> B256 {
        vector_root_on(cores, &self.values)
    }
}

impl core::fmt::Debug for OutputShare {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "OutputShare({} elements)", self.values.len())
    }
}
