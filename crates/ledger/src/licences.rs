//! Licences to a study's aggregates.

use crate::contracts::Licences as L;
use crate::endpoint::Ledger;
use crate::error::{Error, Misuse};
use crate::wallet::{Receipt, Wallet};
use alloy::sol_types::SolCall;
use alloy_primitives::ruint::UintTryTo;
use alloy_primitives::{Address, U256};

/// What a study asks for a licence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// For one, in the smallest unit of the study's currency; zero if none is for sale.
    pub price: U256,
    /// What the sponsor asks of resales, in ten-thousandths.
    pub royalty: u16,
}

impl Ledger {
    /// Treasurer, or sponsor: sets what a licence costs; a price of zero ends the sale, and so does a new owner of the study.
    ///
    /// # Errors
    /// `NotTreasurer`, `RoyaltyTooHigh`; [`Misuse::Amount`].
    pub async fn set_offer(&self, wallet: &Wallet, study: u64, offer: Offer) -> Result<Receipt, Error> {
        let price = offer.price.uint_try_to().map_err(|_| Misuse::Amount(offer.price))?;
        self.licences(wallet, &L::setOfferCall { study, price, royalty: offer.royalty }).await
    }

    /// Buys licences for an account, for at most this price each: allows the treasury to take as much, then buys.
    ///
    /// # Errors
    /// `NotOffered`, `PriceRisen`; [`Misuse::NoCurrency`]; the currency's own refusals.
    pub async fn buy_licences(
        &self,
        wallet: &Wallet,
        study: u64,
        quantity: u32,
        highest: U256,
        to: Address,
    ) -> Result<Receipt, Error> {
        let currency = self.currency(study).await?;
        let price = self.offer(study).await?.price.min(highest);
        let total = price.checked_mul(U256::from(quantity)).ok_or(Misuse::Amount(price))?;
        let allowed = self.allow(wallet, currency, total).await;
        let call = L::buyCall { study, quantity, highestPrice: highest, to };
        self.send_after(allowed, wallet, self.addresses().licences, call.abi_encode().into()).await
    }

    /// What a licence costs.
    ///
    /// # Errors
    /// [`Error::Unreachable`] and other faults of the endpoint.
    pub async fn offer(&self, study: u64) -> Result<Offer, Error> {
        let offer = self.view_of(self.addresses().licences, L::offerOfCall { study }, None).await?;
        Ok(Offer { price: U256::from(offer.price), royalty: offer.royalty })
    }

    /// How many licences of a study an account holds.
    ///
    /// # Errors
    /// As [`Self::offer`].
    pub async fn licences_of(&self, study: u64, account: Address) -> Result<U256, Error> {
        self.view_of(self.addresses().licences, L::balanceOfCall { account, id: U256::from(study) }, None).await
    }

    /// Whether nodes may serve a study's aggregates to an account: it holds a licence, or is the sponsor or an auditor.
    ///
    /// # Errors
    /// As [`Self::offer`].
    pub async fn may_download(&self, study: u64, account: Address) -> Result<bool, Error> {
        self.view_of(self.addresses().licences, L::mayDownloadCall { study, account }, None).await
    }

    async fn licences<C: SolCall>(&self, wallet: &Wallet, call: &C) -> Result<Receipt, Error> {
        self.send(wallet, self.addresses().licences.into(), U256::ZERO, call.abi_encode().into()).await
    }
}
