//! Events of the treasury and the licences.

use super::strictly;
use crate::contracts::{Licences as L, Treasury as T};
use crate::event::{Defect, Event};
use crate::money::Money;
use alloy::rpc::types::Log;
use alloy::sol_types::SolEvent;
use alloy_primitives::{B256, U256};
use consilium_core::accusation::{Equivocation, SignedContribution};
use consilium_core::eip712::Signed;

/// The licences' own events; the transfers and approvals of ERC-1155 are no business of this crate.
pub(crate) const OF_LICENCES: [B256; 2] = [L::Offered::SIGNATURE_HASH, L::Bought::SIGNATURE_HASH];

pub(super) fn treasury(log: &Log) -> Result<Event, Defect> {
    let money = match *log.topic0().ok_or(Defect::UnknownEvent)? {
        T::Funded::SIGNATURE_HASH => {
            strictly::<T::Funded>(log).map(|e| Money::Funded { study: e.study, payer: e.payer, amount: e.amount })
        }
        T::FundsWithdrawn::SIGNATURE_HASH => {
            strictly::<T::FundsWithdrawn>(log).map(|e| Money::Withdrawn { study: e.study, to: e.to, amount: e.amount })
        }
        T::Claimed::SIGNATURE_HASH => {
            strictly::<T::Claimed>(log).map(|e| Money::Claimed { study: e.study, account: e.account, amount: e.amount })
        }
        T::RevenueReceived::SIGNATURE_HASH => strictly::<T::RevenueReceived>(log).map(|e| Money::RevenueReceived {
            study: e.study,
            payer: e.payer,
            amount: e.amount,
            period: e.period,
        }),
        T::Returned::SIGNATURE_HASH => strictly::<T::Returned>(log).map(|e| Money::Returned { study: e.study, amount: e.amount }),
        T::SiteStruck::SIGNATURE_HASH => site_struck(log),
        T::SiteRestored::SIGNATURE_HASH => {
            strictly::<T::SiteRestored>(log).map(|e| Money::SiteRestored { study: e.study, site: e.site, round: e.round })
        }
        topic => waiting(topic, log),
    };
    money.map(Event::Money)
}

/// What accounts did not get, or did not want sent to themselves.
fn waiting(topic: B256, log: &Log) -> Result<Money, Defect> {
    match topic {
        T::PaymentRefused::SIGNATURE_HASH => strictly::<T::PaymentRefused>(log).map(|e| {
            let T::PaymentRefused { study, account, to, amount } = e;
            Money::PaymentRefused { study, account, to, amount }
        }),
        T::UnpaidSent::SIGNATURE_HASH => strictly::<T::UnpaidSent>(log).map(|e| {
            let T::UnpaidSent { study, account, to, amount } = e;
            Money::UnpaidSent { study, account, to, amount }
        }),
        T::PayeeSet::SIGNATURE_HASH => {
            strictly::<T::PayeeSet>(log).map(|e| Money::PayeeSet { study: e.study, account: e.account, payee: e.payee })
        }
        T::EscheatAnnounced::SIGNATURE_HASH => strictly::<T::EscheatAnnounced>(log).map(|e| {
            let T::EscheatAnnounced { study, round, from } = e;
            Money::EscheatAnnounced { study, round, from }
        }),
        T::UnpaidEscheatAnnounced::SIGNATURE_HASH => strictly::<T::UnpaidEscheatAnnounced>(log).map(|e| {
            let T::UnpaidEscheatAnnounced { study, account, from } = e;
            Money::UnpaidEscheatAnnounced { study, account, from }
        }),
        T::Escheated::SIGNATURE_HASH => {
            strictly::<T::Escheated>(log).map(|e| Money::Escheated { study: e.study, account: e.account, amount: e.amount })
        }
        _ => Err(Defect::UnknownEvent),
    }
}

fn site_struck(log: &Log) -> Result<Money, Defect> {
    let e = strictly::<T::SiteStruck>(log)?;
    let said = |digest, boxes, signature| {
        let signature = Signed::from_compact(signature).map_err(|_| Defect::Signature)?;
        Ok(SignedContribution { digest, boxes, signature })
    };
    let statements = [said(e.digest, e.boxes, e.signature)?, said(e.otherDigest, e.otherBoxes, e.otherSignature)?];
    Ok(Money::SiteStruck(Box::new(Equivocation { study: e.study, round: e.round, site: e.site, statements })))
}

pub(super) fn licences(log: &Log) -> Result<Event, Defect> {
    let money = match *log.topic0().ok_or(Defect::UnknownEvent)? {
        L::Offered::SIGNATURE_HASH => {
            strictly::<L::Offered>(log).map(|e| Money::Offered { study: e.study, price: U256::from(e.price), royalty: e.royalty })
        }
        L::Bought::SIGNATURE_HASH => strictly::<L::Bought>(log).map(|e| Money::LicencesBought {
            study: e.study,
            payer: e.payer,
            to: e.to,
            quantity: e.quantity,
            price: e.price,
        }),
        _ => Err(Defect::UnknownEvent),
    };
    money.map(Event::Money)
}
