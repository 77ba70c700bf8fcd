//! The treasury's transactions: a study's money in and out, and what it owes.

use crate::contracts::{Consilium as C, ITreasury, Treasury as T};
use crate::endpoint::Ledger;
use crate::error::{Error, Misuse};
use crate::event::Event;
use crate::money::Money;
use crate::wallet::{Receipt, Wallet};
use alloy::rpc::types::Filter;
use alloy::sol_types::{SolCall, SolEvent};
use alloy_primitives::ruint::UintTryTo;
use alloy_primitives::{Address, B256, U256};
use std::collections::BTreeMap;

/// Seconds for which a permit is good.
const PERMIT_SECONDS: u64 = 3600;

/// What the currency refused to pay an account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unpaid {
    /// In the smallest unit of the study's currency; zero if nothing waits.
    pub amount: U256,
    /// Block time of the last refusal.
    pub since: u64,
    /// Block time of the announcement that it goes to the sink; 0 if there was none.
    pub announced: u64,
}

impl Ledger {
    /// Gives a study money: allows the treasury to take it, then has it taken.
    ///
    /// # Errors
    /// [`Misuse::NoCurrency`]; `AmountTooLarge`, `AmountNotReceived`; the currency's own refusals, such as
    /// `ERC20InsufficientBalance`.
    pub async fn fund(&self, wallet: &Wallet, study: u64, amount: U256) -> Result<Receipt, Error> {
        let currency = self.currency(study).await?;
        let allowed = self.allow(wallet, currency, amount).await;
        let call = T::fundCall { study, amount };
        self.send_after(allowed, wallet, self.addresses().treasury, call.abi_encode().into()).await
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

    /// Treasurer, or sponsor: takes money out that no round has reserved.
    ///
    /// # Errors
    /// `NotTreasurer`, `PausedUntil`, `FundsMissing`, `NoCurrency`; [`Misuse::Amount`].
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
    /// `NothingOwed` when somebody was first with all of it, `PausedUntil`, `NotFinal` when a round may still be challenged or has just left the record:
    /// read the books again.
    pub async fn claim(&self, wallet: &Wallet, claims: &[ITreasury::Claim]) -> Result<Receipt, Error> {
        self.treasury(wallet, &T::claimCall { claims: claims.to_vec() }).await
    }

    /// The bytes of calldata that [`Self::claim`] sends for these claims: pools refuse transactions beyond 128 KiB.
    #[must_use]
    pub fn claim_bytes(claims: &[ITreasury::Claim]) -> usize {
        T::claimCall { claims: claims.to_vec() }.abi_encode().len()
    }

    /// Anyone: pays an account what the currency refused before.
    ///
    /// # Errors
    /// `NothingOwed`; `PausedUntil`; `SafeERC20FailedOperation`, or the currency's own refusal, when it refuses again.
    pub async fn pay_unpaid(&self, wallet: &Wallet, study: u64, account: Address) -> Result<Receipt, Error> {
        self.treasury(wallet, &T::payUnpaidCall { study, account }).await
    }

    /// What an account could not be paid.
    ///
    /// # Errors
    /// [`Error::Unreachable`] and other faults of the endpoint.
    pub async fn unpaid(&self, study: u64, account: Address) -> Result<Unpaid, Error> {
        self.unpaid_at(study, account, None).await
    }

    pub(crate) async fn unpaid_at(&self, study: u64, account: Address, at: Option<u64>) -> Result<Unpaid, Error> {
        let told = self.view_of(self.addresses().treasury, T::unpaidOfCall { study, account }, at).await?;
        Ok(Unpaid { amount: U256::from(told.amount), since: told.since.to(), announced: told.announced.to() })
    }

    /// The wallet's account: where what it earns in a study goes from now on; zero for the account itself.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn set_payee(&self, wallet: &Wallet, study: u64, payee: Address) -> Result<Receipt, Error> {
        self.treasury(wallet, &T::setPayeeCall { study, payee }).await
    }

    /// Where an account's money goes.
    ///
    /// # Errors
    /// [`Error::Unreachable`] and other faults of the endpoint.
    pub async fn payee(&self, study: u64, account: Address) -> Result<Address, Error> {
        self.view_of(self.addresses().treasury, T::payeeOfCall { study, account }, None).await
    }

    /// The accounts that want what they earn in a study paid elsewhere, and where. Anyone may name a payee in any study,
    /// whether it earns anything or not.
    ///
    /// # Errors
    /// [`Error::Unreachable`] and other faults of the endpoint.
    pub async fn payees(&self, study: u64) -> Result<BTreeMap<Address, Address>, Error> {
        let filter = Filter::new().address(self.addresses().treasury).event_signature(T::PayeeSet::SIGNATURE_HASH);
        let (filter, head) = (filter.topic1(B256::from(U256::from(study))), self.head().await?.number);
        let batch = self.decode(&self.logs(&filter, self.addresses().deployed_at, head).await?);
        let named = batch.events.into_iter().filter_map(|event| match event.event {
            Event::Money(Money::PayeeSet { account, payee, .. }) => Some((account, payee)),
            _ => None,
        });
        let newest: BTreeMap<Address, Address> = named.collect();
        Ok(newest.into_iter().filter(|(_, payee)| !payee.is_zero()).collect())
    }

    /// What an account may claim of licence revenue for the leaves that it has shown.
    ///
    /// # Errors
    /// [`Error::Unreachable`] and other faults of the endpoint.
    pub async fn revenue_of(&self, study: u64, account: Address) -> Result<U256, Error> {
        self.view_of(self.addresses().treasury, T::revenueOfCall { study, account }, None).await
    }

    /// Anyone: gives the sponsor back what struck sites have lost ([`crate::Books::forfeited`]; may be empty), and the revenue
    /// of rounds that were struck out.
    ///
    /// # Errors
    /// `NothingOwed`, `NotFinal`, `PausedUntil`.
    pub async fn return_forfeits(&self, wallet: &Wallet, study: u64, forfeits: &[ITreasury::Claim]) -> Result<Receipt, Error> {
        self.treasury(wallet, &T::returnForfeitsCall { study, forfeits: forfeits.to_vec() }).await
    }

    /// Anyone: announces that what was not claimed of old rounds goes to the sink a quarter later. The rounds' time for
    /// settlement ([`crate::PaidRound::settle_by`]) was the escheat time ago, less a quarter, or longer.
    ///
    /// # Errors
    /// `EscheatTooEarly`, `NotFinal`, `PausedUntil`.
    pub async fn announce_escheat(&self, wallet: &Wallet, claims: &[ITreasury::Claim]) -> Result<Receipt, Error> {
        self.treasury(wallet, &T::announceEscheatCall { claims: claims.to_vec() }).await
    }

    /// Anyone, a quarter after the announcement: sends what was not claimed to the sink.
    ///
    /// # Errors
    /// `EscheatTooEarly`, `NothingOwed`, `NotFinal`, `PausedUntil`.
    pub async fn escheat(&self, wallet: &Wallet, claims: &[ITreasury::Claim]) -> Result<Receipt, Error> {
        self.treasury(wallet, &T::escheatCall { claims: claims.to_vec() }).await
    }

    /// Anyone: announces that what the currency refuses to pay an account goes to the sink a quarter later.
    ///
    /// # Errors
    /// `EscheatTooEarly`; `NothingOwed` when nothing waits, or it was announced.
    pub async fn announce_unpaid_escheat(&self, wallet: &Wallet, study: u64, account: Address) -> Result<Receipt, Error> {
        self.treasury(wallet, &T::announceUnpaidEscheatCall { study, account }).await
    }

    /// Anyone, a quarter after that announcement: sends it to the sink.
    ///
    /// # Errors
    /// `EscheatTooEarly`, `PausedUntil`.
    pub async fn escheat_unpaid(&self, wallet: &Wallet, study: u64, account: Address) -> Result<Receipt, Error> {
        self.treasury(wallet, &T::escheatUnpaidCall { study, account }).await
    }

    /// Seconds after which what was not claimed may go to the sink.
    ///
    /// # Errors
    /// [`Error::Unreachable`] and other faults of the endpoint.
    pub async fn escheat_time(&self) -> Result<u64, Error> {
        self.view_of(self.addresses().treasury, T::escheatTimeCall {}, None).await
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
