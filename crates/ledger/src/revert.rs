//! What a contract says when it refuses, in words.

mod consilium;
mod currency;
mod kinds;
mod privacy;
mod registry;
mod token;
mod treasury;

use crate::contracts::Licences::LicencesErrors as L;
use crate::contracts::PrivacyBudget::PrivacyBudgetErrors as P;
use crate::contracts::SetCourt::SetCourtErrors as W;
use crate::contracts::StudyToken::StudyTokenErrors as S;
use crate::contracts::SumKind::SumKindErrors as K;
use crate::contracts::Treasury::TreasuryErrors as T;
use crate::contracts::TrialToken::TrialTokenErrors as E;
use crate::contracts::{Consilium::ConsiliumErrors as C, NodeRegistry::NodeRegistryErrors as R};
use alloy::sol_types::{Panic, Revert as Reason, SolError, SolInterface};
use alloy_primitives::Bytes;
use thiserror::Error;

/// A contract's refusal, or the currency's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the contract refused: {words} ({name})")]
pub struct Revert {
    /// The custom error's name, such as `WrongState`; `Unknown` if it is none of the contracts'.
    pub name: &'static str,
    /// What it means, with its values.
    pub words: String,
    /// The ABI-encoded error.
    pub data: Bytes,
}

impl Revert {
    /// Decodes what a failed call returned.
    #[must_use]
    pub fn decode(data: Bytes) -> Self {
        let (name, words) = if let Ok(error) = C::abi_decode(&data) {
            consilium::words(&error)
        } else if let Ok(error) = R::abi_decode(&data) {
            registry::words(&error)
        } else if let Ok(error) = K::abi_decode(&data) {
            kinds::sum(&error)
        } else if let Ok(error) = W::abi_decode(&data) {
            kinds::sets(&error)
        } else if let Ok(error) = T::abi_decode(&data) {
            treasury::words(&error)
        } else if let Ok(error) = L::abi_decode(&data) {
            treasury::licences(&error)
        } else if let Ok(error) = S::abi_decode(&data) {
            token::words(&error)
        } else if let Ok(error) = P::abi_decode(&data) {
            privacy::words(&error)
        } else if let Ok(error) = E::abi_decode(&data) {
            currency::words(&error)
        } else if let Ok(reason) = Reason::abi_decode(&data) {
            ("Error", shorten(&reason.reason))
        } else if let Ok(panic) = Panic::abi_decode(&data) {
            ("Panic", format!("the contract panicked: {panic}"))
        } else {
            ("Unknown", "no reason that the contracts know".to_owned())
        };
        Self { name, words, data }
    }

    /// A failure of which the endpoint gives no reason.
    pub(crate) fn unexplained(words: &str) -> Self {
        Self { name: "Unknown", words: shorten(words), data: Bytes::new() }
    }

    /// Whether it is this custom error.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name == name
    }
}

/// Words from outside, cut to a length that fits a line.
pub(crate) fn shorten(text: &str) -> String {
    const MAX: usize = 300;
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut short: String = clean.take(MAX).collect();
    if text.chars().nth(MAX).is_some() {
        short.push_str("...");
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::sol_types::SolInterface;

    fn all<E: SolInterface>() -> impl Iterator<Item = [u8; 4]> {
        (0..E::COUNT).filter_map(E::selector_at)
    }

    /// Enough zeros for the values of any error: numbers, addresses, and a string at offset 0 of length 0.
    const ZEROS: [u8; 160] = [0; 160];

    #[test]
    fn every_refusal_of_every_contract_has_words() {
        let selectors = all::<C>()
            .chain(all::<R>())
            .chain(all::<K>())
            .chain(all::<W>())
            .chain(all::<T>())
            .chain(all::<L>())
            .chain(all::<S>())
            .chain(all::<P>())
            .chain(all::<E>());
        for selector in selectors {
            let revert = Revert::decode([&selector[..], &ZEROS].concat().into());
            assert!(revert.name != "Unknown", "{}: {revert}", alloy_primitives::hex::encode(selector));
        }
    }
}
