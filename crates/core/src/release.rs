//! Section 6.8: a node's output share, the sum of its shares over the certified set.

use crate::certify::{Cohort, SetMember};
use crate::cores::{Cores, locked};
use crate::field::{self, Fp};
use crate::merkle::vector_root_on;
use crate::simd::{self, shared::Shared};
use crate::verify::Accepted;
use alloy_primitives::B256;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use thiserror::Error;
use zeroize::Zeroize;

/// The running sum of a node's shares over the contributions it has accepted: the one vector that a node keeps while a round
/// collects. A share is added while it is computed and taken out again if the contribution is rejected, so that none is ever
/// in memory whole. Wiped on drop, never printed: before certification it is a sum over a set that nobody agreed on.
///
/// A handle: clones are of the same sum.
#[derive(Clone)]
pub struct RunningSum(Arc<Sum>);

struct Sum {
    values: Shared,
    tally: Mutex<Tally>,
}

/// What the sum is over. Locked before the values, if both are.
#[derive(Default)]
struct Tally {
    members: BTreeSet<SetMember>,
    /// Contributions that are being added or taken out.
    pending: BTreeSet<SetMember>,
    /// The set that was to be released: nothing else is added any more.
    wanted: Option<Cohort>,
    /// A change was given up half-way: all of the sum is to be made again.
    spoilt: bool,
    /// Released or wiped: nothing is added any more.
    closed: bool,
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

/// Why a running sum is not released now.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotReleased {
    /// Add and take out what it names first.
    #[error(transparent)]
    Mismatch(#[from] SetMismatch),
    /// Some contributions are half in the sum: wait until they are verified.
    #[error("{0} contributions are being added to the running sum or taken out of it")]
    Busy(usize),
    /// It was released before, or wiped.
    #[error("the running sum was released or wiped before")]
    Closed,
}

impl RunningSum {
    /// The empty sum for outputs of this length.
    #[must_use]
    pub fn new(output_len: usize) -> Self {
        Self(Arc::new(Sum { values: Shared::zeros(output_len), tally: Mutex::default() }))
    }

    /// Adds an accepted contribution; a second time it changes nothing.
    pub fn add(&self, accepted: &Accepted) {
        if let Some(change) = self.adding(SetMember { site: accepted.site(), digest: accepted.digest() }) {
            change.add(0, accepted.share());
            change.finish(true);
        }
    }

    /// Starts to add a contribution; `None` if it is in the sum or on its way, if another set was to be released already, and for a
    /// sum that is closed.
    pub(crate) fn adding(&self, member: SetMember) -> Option<Change> {
        let mut tally = locked(&self.0.tally);
        let wanted = !tally.closed && tally.wanted.as_ref().is_none_or(|cohort| cohort.contains(&member));
        let new = wanted && !tally.members.contains(&member) && tally.pending.insert(member);
        new.then(|| Change { sum: self.clone(), member, finished: false })
    }

    /// Starts to take a contribution out; `None` unless it is in the sum.
    pub(crate) fn removing(&self, member: SetMember) -> Option<Change> {
        let mut tally = locked(&self.0.tally);
        let wanted = !tally.closed && tally.members.remove(&member) && tally.pending.insert(member);
        wanted.then(|| Change { sum: self.clone(), member, finished: false })
    }

    /// Forgets all that was added, which is to be added again: for what can be taken out in no other way.
    pub fn start_again(&self) {
        let mut tally = locked(&self.0.tally);
        tally.spoilt = true;
        self.0.clear_if_spoilt(&mut tally);
    }

    /// What separates the sum from one over `cohort`.
    ///
    /// # Errors
    /// [`NotReleased`] unless there is no difference and nothing is half added.
    pub fn compare(&self, cohort: &Cohort) -> Result<(), NotReleased> {
        locked(&self.0.tally).compare(cohort)
    }

    /// The output share over exactly the certified set: the sum itself, which is closed with it.
    ///
    /// # Errors
    /// [`NotReleased`]; the sum is as it was. From then on it takes up members of this set alone, so that nobody else can keep it
    /// from being released.
    pub fn release(&self, cohort: &Cohort) -> Result<OutputShare, NotReleased> {
        let mut tally = locked(&self.0.tally);
        if let Err(unequal) = tally.compare(cohort) {
            tally.wanted = Some(cohort.clone());
            return Err(unequal);
        }
        tally.closed = true;
        self.0.values.take().map(|values| OutputShare { values }).ok_or(NotReleased::Closed)
    }

    /// Closes the sum and wipes it, unless it was released.
    pub fn wipe(&self) {
        locked(&self.0.tally).closed = true;
        self.0.values.take().zeroize();
    }
}

impl Sum {
    /// Once no change is half done any more.
    fn clear_if_spoilt(&self, tally: &mut Tally) {
        if tally.spoilt && tally.pending.is_empty() {
            tally.members.clear();
            tally.spoilt = false;
            self.values.change(0..self.values.len(), |_, sum| sum.fill(Fp::ZERO));
        }
    }
}

impl Tally {
    fn compare(&self, cohort: &Cohort) -> Result<(), NotReleased> {
        if self.closed {
            return Err(NotReleased::Closed);
        }
        if !self.pending.is_empty() {
            return Err(NotReleased::Busy(self.pending.len()));
        }
        let missing: Vec<_> = cohort.members().iter().filter(|m| !self.members.contains(m)).copied().collect();
        let surplus: Vec<_> = self.members.iter().filter(|m| !cohort.contains(m)).copied().collect();
        if missing.is_empty() && surplus.is_empty() { Ok(()) } else { Err(SetMismatch { missing, surplus }.into()) }
    }
}

impl core::fmt::Debug for RunningSum {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "RunningSum(over {} contributions, redacted)", locked(&self.0.tally).members.len())
    }
}

/// A contribution on its way into the running sum or out of it. Until it is finished nothing is released; one that is dropped
/// before has left the sum in a state that nobody knows, so that all of it is forgotten and to be made again.
pub(crate) struct Change {
    sum: RunningSum,
    member: SetMember,
    finished: bool,
}

impl Change {
    /// Adds some coordinates of a share, from `start` on.
    pub(crate) fn add(&self, start: usize, share: &[Fp]) {
        self.sum.0.values.change(start..start + share.len(), |part, sum| {
            field::add_words(sum, &[&simd::words(share)[part.start - start..]]);
        });
    }

    /// Takes some coordinates of a share out again.
    pub(crate) fn subtract(&self, start: usize, share: &[Fp]) {
        self.sum.0.values.change(start..start + share.len(), |part, sum| {
            sum.iter_mut().zip(&share[part.start - start..]).for_each(|(sum, &share)| *sum -= share);
        });
    }

    /// All of it was added, and the contribution is a member; or all was taken out, and it is not.
    pub(crate) fn finish(mut self, is_member: bool) {
        self.finished = true;
        self.settle(is_member);
    }

    fn settle(&self, is_member: bool) {
        let mut tally = locked(&self.sum.0.tally);
        tally.pending.remove(&self.member);
        tally.spoilt |= !self.finished;
        if is_member {
            tally.members.insert(self.member);
        }
        self.sum.0.clear_if_spoilt(&mut tally);
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        if !self.finished {
            self.settle(false);
        }
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
