//! The treasury's transactions: a study's money in and out, and what it owes.

use crate::contracts::{Consilium as C, ITreasury, Treasury as T};
use crate::endpoint::Ledger;
use crate::error::{Error, Malformed, Misuse};
use crate::event::Event;
use crate::money::Money;
use crate::wallet::{Mined, Receipt, Wallet};
use alloy::sol_types::SolCall;
use alloy_primitives::ruint::UintTryTo;
use alloy_primitives::{Address, B256, U256};

/// Seconds for which a permit is good.
const PERMIT_SECONDS: u64 = 3600;

impl Ledger {
    /// Gives a study money: allows the treasury to take it, then has it taken.
    ///
    /// # Errors
    /// [`Misuse::NoCurrency`]; `AmountTooLarge`, `AmountNotReceived`; the currency's own refusals, such as
    /// `ERC20InsufficientBalance`.
    pub async fn fund(&self, wallet: &Wallet, study: u64, amount: U256) -> Result<Receipt, Error> {
        let currency = self.currency(study).await?;
        self.allow(wallet, currency, amount).await?;
        self.treasury(wallet, &T::fundCall { study, amount }).await
    }

    /// As [`Self::fund`] in one transaction, with the allowance as a signature, where the currency knows ERC-2612 and
    /// ERC-5267. The caller names the currency: a permit is signed for what it says, whatever the endpoint says.
    ///
    /// # Errors
    /// As [`Self::fund`]; [`Error::Reverted`] or [`Error::Malformed`] when the currency has no permits.
    pub async fn fund_with_permit(&self, wallet: &Wallet, study: u64, currency: Address, amount: U256) -> Result<Receipt, Error> {
        let deadline = U256::from(self.head().await?.timestamp + PERMIT_SECONDS);
        let signed = self.permit(wallet, currency, amount, deadline).await?;
        let bytes = signed.as_bytes();
        let (r, s) = (B256::from_slice(&bytes[..32]), B256::from_slice(&bytes[32..64]));
        let call = T::fundWithPermitCall { study, amount, deadline, v: bytes[64], r, s };
        self.treasury(wallet, &call).await
    }

    /// Sponsor: takes money out that no round has reserved.
    ///
    /// # Errors
    /// `NotSponsor`, `FundsMissing`, `NoCurrency`; [`Misuse::Amount`].
    pub async fn withdraw_funds(&self, wallet: &Wallet, study: u64, amount: U256, to: Address) -> Result<Receipt, Error> {
        let amount: u128 = amount.uint_try_to().map_err(|_| Misuse::Amount(amount))?;
        self.treasury(wallet, &T::withdrawCall { study, amount, to }).await
    }

    /// Sponsor: what rounds pay from the next opened one on.
    ///
    /// # Errors
    /// `NotSponsor`, `InvalidRewards`; [`Misuse::Amount`].
    pub async fn set_rewards(&self, wallet: &Wallet, study: u64, budget: U256, node_share: u16) -> Result<Receipt, Error> {
        let budget = budget.uint_try_to().map_err(|_| Misuse::Amount(budget))?;
        self.transact(wallet, &C::setRewardsCall { study, budget, nodeShare: node_share }).await
    }

    /// Anyone: pays accounts what they are still owed, in one transaction. [`crate::Books::claims`] makes the claims; what
    /// somebody paid since is passed over.
    ///
    /// # Errors
    /// `NothingOwed` when somebody was first with all of it, `NotFinal` when a round may still be challenged or has just left the record:
    /// read the books again.
    pub async fn claim(&self, wallet: &Wallet, claims: &[ITreasury::Claim]) -> Result<Receipt, Error> {
        self.treasury(wallet, &T::claimCall { claims: claims.to_vec() }).await
    }

    /// The bytes of calldata that [`Self::claim`] sends for these claims: pools refuse transactions beyond 128 KiB.
    #[must_use]
    pub fn claim_bytes(claims: &[ITreasury::Claim]) -> usize {
        T::claimCall { claims: claims.to_vec() }.abi_encode().len()
    }

    /// Anyone: shares out a study's licence revenue. Yields the period.
    ///
    /// # Errors
    /// `PeriodOpen`, `NothingToShare`.
    pub async fn close_period(&self, wallet: &Wallet, study: u64) -> Result<Mined<u32>, Error> {
        let receipt = self.treasury(wallet, &T::closePeriodCall { study }).await?;
        let closed = receipt.events.iter().find_map(|event| match event.event {
            Event::Money(Money::PeriodClosed { period, .. }) => Some(period),
            _ => None,
        });
        let output = closed.ok_or_else(|| self.malformed(Malformed::Unasked("a call that announces what it did")))?;
        Ok(Mined { output, receipt })
    }

    /// Sponsor: takes a site back that was struck off for a round.
    ///
    /// # Errors
    /// `NotPermitted`, `NotStruck`.
    pub async fn restore_site(&self, wallet: &Wallet, study: u64, site: Address, round: u64) -> Result<Receipt, Error> {
        self.treasury(wallet, &T::restoreCall { study, site, round }).await
    }

    /// The ERC-20 in which a study pays.
    ///
    /// # Errors
    /// [`Misuse::NoCurrency`].
    pub async fn currency(&self, study: u64) -> Result<Address, Error> {
        let purse = self.view_of(self.addresses().treasury, T::purseOfCall { study }, None).await?;
        if purse.currency.is_zero() { Err(Misuse::NoCurrency(study).into()) } else { Ok(purse.currency) }
    }

    async fn treasury<C: SolCall>(&self, wallet: &Wallet, call: &C) -> Result<Receipt, Error> {
        self.send(wallet, self.addresses().treasury.into(), U256::ZERO, call.abi_encode().into()).await
    }
}
