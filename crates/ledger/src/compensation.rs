//! What becomes of a bond that a proof has taken: a tenth went to whoever proved it, the rest goes to the harmed sites.

use crate::contracts::NodeRegistry as R;
use crate::endpoint::Ledger;
use crate::error::{Error, Misuse};
use crate::wallet::{Receipt, Wallet};
use alloy::sol_types::SolCall;
use alloy_primitives::{Address, B256, U256};
use consilium_core::certify::Cohort;

/// `INodeRegistry.Standing` of a node that a proof has convicted: for a wrong share, which a fraudulent settlement may take
/// back, and for anything else.
const MISREPORTED: u8 = 3;
const CONVICTED: u8 = 4;

/// The harmed sites of a conviction, and when and how much each is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pot {
    /// Root of their set; zero until the compensation is assigned.
    pub set_root: B256,
    /// How many they are.
    pub size: u32,
    /// What each gets, in wei.
    pub each: U256,
    /// The round that was harmed, as the proof named it.
    pub round: u64,
    /// Unix seconds from which sites can be paid.
    pub due: u64,
    /// Whether the study's guardian has stopped it.
    pub frozen: bool,
    /// Whether the proof was of a share that is not the settled one: then [`Ledger::acquit`] gives the bond back once the
    /// settlement of `round` is proved wrong.
    pub misreported: bool,
}

impl Pot {
    /// Whether it is written down whose the money is.
    #[must_use]
    pub fn is_assigned(&self) -> bool {
        !self.set_root.is_zero()
    }
}

impl Ledger {
    /// What waits for the sites that a convicted node has harmed; `None` when it is not convicted in this study.
    ///
    /// # Errors
    /// [`Error::Unreachable`] and other faults of the endpoint.
    pub async fn pot_of(&self, study: u64, node: Address) -> Result<Option<Pot>, Error> {
        let registry = self.addresses().registry;
        let bond = self.view_of(registry, R::bondOfCall { study, node }, None).await?;
        if !matches!(bond.standing, MISREPORTED | CONVICTED) {
            return Ok(None);
        }
        let pot = self.view_of(registry, R::potOfCall { study, node }, None).await?;
        Ok(Some(Pot {
            set_root: pot.setRoot,
            size: pot.size,
            each: U256::from(pot.each),
            round: bond.round.into(),
            due: u64::try_from(bond.until).unwrap_or(u64::MAX),
            frozen: bond.frozen,
            misreported: bond.standing == MISREPORTED,
        }))
    }

    /// Anyone, best right after the proof: writes down whose the rest of a lost bond is.
    ///
    /// # Errors
    /// `NoCompensation` when it is assigned already, or the node is not convicted; `NotCertified` when the study has no
    /// certified round whose sites could be harmed; `AcquittalDue` when only [`Self::acquit`] applies any more.
    pub async fn assign_compensation(&self, wallet: &Wallet, study: u64, node: Address) -> Result<Receipt, Error> {
        self.tell_court(wallet, &R::assignCompensationCall { study, node }).await
    }

    /// Anyone: pays member number `index` of the harmed set its part.
    ///
    /// # Errors
    /// `CompensationLocked` before it is due, or while it is frozen; `AlreadyCompensated`; `NoCompensation` when the set
    /// is not the harmed one; `AcquittalDue` when only [`Self::acquit`] applies any more; `TransferFailed` when the site is
    /// a contract that does not take its part, or not for 50,000 gas.
    pub async fn compensate(
        &self,
        wallet: &Wallet,
        study: u64,
        node: Address,
        cohort: &Cohort,
        index: usize,
    ) -> Result<Receipt, Error> {
        let Some(member) = cohort.members().get(index) else { return Err(Misuse::Member(index).into()) };
        let (site, digest, path) = (member.site, member.digest, cohort.open(index));
        self.tell_court(wallet, &R::compensateCall { study, node, index: index as u32, site, digest, path }).await
    }

    /// Anyone: gives the bond back to a node whose share had differed from a settlement that was proved wrong.
    ///
    /// # Errors
    /// `NoCompensation` when the node was not convicted for a wrong share; `NoOffence` while the settlement stands.
    pub async fn acquit(&self, wallet: &Wallet, study: u64, node: Address) -> Result<Receipt, Error> {
        self.tell_court(wallet, &R::acquitCall { study, node }).await
    }

    /// The study's guardian: stops a compensation before it is due, or lets it go on.
    ///
    /// # Errors
    /// `NotGuardian`, also once it is due; `NoCompensation`.
    pub async fn freeze_compensation(&self, wallet: &Wallet, study: u64, node: Address, frozen: bool) -> Result<Receipt, Error> {
        self.tell_court(wallet, &R::freezeCompensationCall { study, node, frozen }).await
    }

    async fn tell_court<C: SolCall>(&self, wallet: &Wallet, call: &C) -> Result<Receipt, Error> {
        self.send(wallet, self.addresses().registry.into(), U256::ZERO, call.abi_encode().into()).await
    }
}
