//! Certified sets as nodes serve them.

use crate::client::Route;
use consilium_core::certify::{Cohort, SetMember};
use consilium_core::eip712::Vote;
use consilium_core::terms::Terms;
use serde::Deserialize;

/// JSON bytes of one member of a set, generously.
const MEMBER_BYTES: usize = 512;

/// What a node shows as a round's set.
#[derive(Deserialize)]
pub(crate) struct ServedSet {
    members: Vec<SetMember>,
}

/// Where nodes serve a round's set, and how much of it is read.
pub(crate) fn route(terms: &Terms) -> Route<'static> {
    let limit = MEMBER_BYTES * (terms.sites.len() + 1);
    Route { study: terms.study, round: terms.round, rest: "set", limit }
}

impl ServedSet {
    /// The set, if it is the one that was voted for; else why it is not.
    pub(crate) fn under(self, vote: &Vote) -> Result<Cohort, String> {
        let cohort = Cohort::new(self.members).map_err(|reason| reason.to_string())?;
        let (size, root) = (cohort.size(), cohort.root());
        if size != vote.size {
            return Err(format!("it has {size} members, {} are certified", vote.size));
        }
        if root != vote.setRoot {
            return Err(format!("its root is {root}, {} is certified", vote.setRoot));
        }
        Ok(cohort)
    }
}
