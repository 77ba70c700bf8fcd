//! What is kept of a round is kept of one opening of it, and names that opening.

use super::StoreError;
use super::database::{json, parse, round_key};
use alloy_primitives::{Address, B256};
use consilium_core::terms::Terms;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// An opening of a round. A reorganisation may take it back, and the round be opened again under the same number and other
/// terms: what is kept of a round is kept of an opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Opening {
    pub(crate) study: u64,
    pub(crate) round: u64,
    /// What the contributions of this opening are bound to, of no site.
    pub(crate) context: B256,
}

impl Opening {
    pub(crate) fn of(terms: &Terms) -> Self {
        Self { study: terms.study, round: terms.round, context: terms.context().of_site(Address::ZERO) }
    }

    pub(super) fn key(&self) -> String {
        round_key(self.study, self.round)
    }
}

/// A record with the opening that it belongs to.
#[derive(Debug)]
pub(super) struct Kept<T> {
    pub(super) what: T,
    /// [`Opening::context`]; records of the first version lack it and belong to any.
    context: Option<B256>,
}

/// What a record has beside its own fields.
#[derive(Debug, Deserialize)]
struct Tag {
    #[serde(default)]
    context: Option<B256>,
}

impl<T> Kept<T> {
    pub(super) fn is_of(&self, opening: &Opening) -> bool {
        self.context.is_none_or(|context| context == opening.context)
    }
}

impl<T: DeserializeOwned> Kept<T> {
    pub(super) fn parse(key: &str, value: &[u8]) -> Result<Self, StoreError> {
        Ok(Self { what: parse(key, value)?, context: parse::<Tag>(key, value)?.context })
    }
}

/// A record of an opening, for [`Kept::parse`].
pub(super) fn tagged<T: Serialize>(what: &T, opening: &Opening) -> Vec<u8> {
    let unreachable = |_| unreachable!("records have string keys and no failing serializers");
    let mut record = serde_json::to_value(what).unwrap_or_else(unreachable);
    record["context"] = serde_json::json!(opening.context);
    json(&record)
}
