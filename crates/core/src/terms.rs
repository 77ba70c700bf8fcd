//! The terms of one round, as anyone reads them from the chain: everything that a contribution's context binds.

use crate::certify::{Cohort, sites_root};
use crate::contribution::Shape;
use crate::eip712::Domain;
use crate::error::{InvalidParameters, Malformed};
use crate::params::{CommitteeMembers, KIND_SUM, Policy};
use crate::program::AnyProgram;
use crate::transcript::Context;
use alloy_primitives::{Address, B256};
use thiserror::Error;

/// Every time of a round is below this many Unix seconds, so that no sum and no product of times overflows.
pub const TIMES_BELOW: u64 = 1 << 40;

/// What `open` froze, and the study's committee, program and sites. Hashes are computed here, never taken from anyone.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    /// The signing domain.
    pub domain: Domain,
    /// Study number.
    pub study: u64,
    /// Round number, from 1.
    pub round: u64,
    /// What the round is about.
    pub subject: B256,
    /// The committee of the round's epoch.
    pub committee: CommitteeMembers,
    /// The study's program.
    pub program: AnyProgram,
    /// What `open` froze.
    pub policy: Policy,
    /// The admitted sites, addresses strictly increasing.
    pub sites: Vec<Address>,
}

/// Terms that no honest party takes part in.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TermsError {
    /// A parameter breaks a rule.
    #[error(transparent)]
    Parameters(#[from] InvalidParameters),
    /// The published list of sites is not sorted.
    #[error(transparent)]
    Sites(#[from] Malformed),
    /// The published list of sites is not the one under the root.
    #[error(
        "the sponsor's list of admitted sites has root {computed}, the round was opened with {frozen}: the sponsor must publish the right list"
    )]
    SitesRoot {
        /// Root of the list.
        computed: B256,
        /// Root that was frozen.
        frozen: B256,
    },
}

impl Terms {
    /// Checks everything that the contract cannot check: the program's production rules, the deadlines, the minimum
    /// cohort and the list of sites against its root.
    ///
    /// # Errors
    /// [`TermsError`] that names the broken rule.
    pub fn check(&self) -> Result<(), TermsError> {
        self.program.check_production()?;
        let Policy { opened, deadline, settle_by, minimum_cohort, .. } = self.policy;
        if !(opened < deadline && deadline < settle_by && settle_by < TIMES_BELOW) {
            return Err(InvalidParameters::Deadlines { opened, deadline, settle_by }.into());
        }
        if minimum_cohort < 2 {
            return Err(InvalidParameters::MinimumCohort(minimum_cohort).into());
        }
        let computed = sites_root(&self.sites)?;
        if computed != self.policy.sites_root {
            return Err(TermsError::SitesRoot { computed, frozen: self.policy.sites_root });
        }
        Ok(())
    }

    /// What every contribution of the round is bound to.
    #[must_use]
    pub fn context(&self) -> Context {
        Context {
            chain_id: self.domain.chain_id,
            contract: self.domain.contract,
            study: self.study,
            round: self.round,
            kind: KIND_SUM.into(),
            subject: self.subject,
            committee: self.committee.hash(),
            program: self.program.hash(),
            policy: self.policy.hash(),
        }
    }

    /// The lengths that contributions must have.
    #[must_use]
    pub fn shape(&self) -> Shape {
        Shape::new(self.committee.sizes(), &*self.program)
    }

    /// Whether a site may contribute.
    #[must_use]
    pub fn admits(&self, site: &Address) -> bool {
        self.sites.binary_search(site).is_ok()
    }

    /// Whether a set is large enough and only of admitted sites.
    #[must_use]
    pub fn allows(&self, cohort: &Cohort) -> bool {
        u64::from(cohort.size()) >= self.policy.minimum_cohort && cohort.members().iter().all(|m| self.admits(&m.site))
    }

    /// The scheduled cutoff in Unix milliseconds: halfway between opening and deadline. A round is proposed then, or as
    /// soon as every admitted site has a receipt certificate.
    #[must_use]
    pub fn cutoff_millis(&self) -> u64 {
        500 * (self.policy.opened + self.policy.deadline)
    }

    /// The length of a view in milliseconds: the time from cutoff to deadline holds t+2 of them.
    #[must_use]
    pub fn view_millis(&self) -> u64 {
        self.view_millis_from(self.cutoff_millis())
    }

    /// The length of a view for a node whose cutoff is at Unix millisecond `cutoff`: the time to the deadline holds t+2.
    #[must_use]
    pub(crate) fn view_millis_from(&self, cutoff: u64) -> u64 {
        let window = self.deadline_millis().saturating_sub(cutoff);
        (window / (self.committee.sizes().t() as u64 + 2)).max(1)
    }

    /// The deadline in Unix milliseconds.
    #[must_use]
    pub fn deadline_millis(&self) -> u64 {
        1000 * self.policy.deadline
    }

    /// How many views node `node` waits before it proposes: the leader of view v is node 1 + (round + v) mod n.
    #[must_use]
    pub fn rank(&self, node: usize) -> u64 {
        let n = self.committee.sizes().n() as u64;
        (node as u64 - 1 + n - self.round % n) % n
    }

    /// Δ in milliseconds: a certificate that a node has known for this long before the cutoff must be in the set that
    /// it votes for. A fifth of a view.
    #[must_use]
    pub fn delta_millis(&self) -> u64 {
        self.view_millis() / 5
    }
}
