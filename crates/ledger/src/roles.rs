//! Who acts for a sponsor, and how a study changes hands: the transactions of the token of studies.

use crate::contracts::StudyToken as S;
use crate::endpoint::Ledger;
use crate::error::Error;
use crate::wallet::{Receipt, Wallet};
use alloy::sol_types::SolCall;
use alloy_primitives::{Address, U256};
use serde::{Deserialize, Serialize};

/// What an account may do for a study's sponsor, who may do the first two as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Opens rounds.
    Operator,
    /// Takes out money that no round has reserved, and sets the price of licences.
    Treasurer,
    /// Puts compensations off, and stops proofs and payouts for a while. Can send no money anywhere.
    Guardian,
}

impl Role {
    /// The role that the contract writes as this number.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::Operator, Self::Treasurer, Self::Guardian].get(usize::from(code)).copied()
    }

    fn code(self) -> u8 {
        self as u8
    }
}

impl Ledger {
    /// Sponsor: gives a role to an account, instead of who had it; zero for nobody. It ends when the study changes hands.
    ///
    /// # Errors
    /// `NotSponsor`.
    pub async fn set_role(&self, wallet: &Wallet, study: u64, role: Role, account: Address) -> Result<Receipt, Error> {
        self.token(wallet, &S::setRoleCall { study, role: role.code(), account }).await
    }

    /// Who has a role in a study; zero for nobody.
    ///
    /// # Errors
    /// [`Error::Unreachable`] and other faults of the endpoint.
    pub async fn holder_of(&self, study: u64, role: Role) -> Result<Address, Error> {
        self.view_of(self.addresses().study_token, S::holderOfCall { study, role: role.code() }, None).await
    }

    /// Sponsor: lets an account read the study's vectors for audit, or stops it.
    ///
    /// # Errors
    /// `NotSponsor`.
    pub async fn set_auditor(&self, wallet: &Wallet, study: u64, auditor: Address, allowed: bool) -> Result<Receipt, Error> {
        self.token(wallet, &S::setAuditorCall { study, auditor, allowed }).await
    }

    /// Guardian: stops proofs and payouts of a study until this block time, for the deployment's longest pause at most.
    ///
    /// # Errors
    /// `NotGuardian`; `PauseNotAllowed` for a longer one, or one that begins too soon after the last.
    pub async fn pause(&self, wallet: &Wallet, study: u64, until: u64) -> Result<Receipt, Error> {
        self.token(wallet, &S::pauseCall { study, until }).await
    }

    /// Guardian: ends a pause.
    ///
    /// # Errors
    /// `NotGuardian`; `PauseNotAllowed` when nothing is stopped.
    pub async fn resume(&self, wallet: &Wallet, study: u64) -> Result<Receipt, Error> {
        self.token(wallet, &S::resumeCall { study }).await
    }

    /// For how many seconds a study's guardian may stop its proofs and payouts at most, by the deployment's rules.
    ///
    /// # Errors
    /// [`Error::Unreachable`] and other faults of the endpoint.
    pub async fn longest_pause(&self) -> Result<u32, Error> {
        self.view(crate::contracts::Consilium::longestPauseCall {}, None).await
    }

    /// Until when proofs and payouts of a study are stopped; 0 if they are not.
    ///
    /// # Errors
    /// [`Error::Unreachable`] and other faults of the endpoint.
    pub async fn paused_until(&self, study: u64) -> Result<u64, Error> {
        self.view(crate::contracts::Consilium::pausedUntilCall { study }, None).await
    }

    /// Sponsor: lets an account take the study over, with its funds, its next rounds and its licences; zero takes that back.
    /// The account does it by [`Self::take_study`].
    ///
    /// # Errors
    /// `ERC721InvalidApprover` for who is not the sponsor.
    pub async fn offer_study(&self, wallet: &Wallet, study: u64, receiver: Address) -> Result<Receipt, Error> {
        self.token(wallet, &S::approveCall { to: receiver, tokenId: U256::from(study) }).await
    }

    /// Who was offered a study: becomes its sponsor. Operator, treasurer, guardian and auditors of the one before have no role
    /// any more, and no round opens before the next committee.
    ///
    /// # Errors
    /// `ERC721InsufficientApproval` without the offer; `ERC721IncorrectOwner` when `sponsor` is not who owns it.
    pub async fn take_study(&self, wallet: &Wallet, study: u64, sponsor: Address) -> Result<Receipt, Error> {
        let call = S::transferFromCall { from: sponsor, to: wallet.address(), tokenId: U256::from(study) };
        self.token(wallet, &call).await
    }

    async fn token<C: SolCall>(&self, wallet: &Wallet, call: &C) -> Result<Receipt, Error> {
        self.send(wallet, self.addresses().study_token.into(), U256::ZERO, call.abi_encode().into()).await
    }
}
