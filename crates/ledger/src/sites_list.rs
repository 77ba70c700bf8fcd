//! Where a study's list of admitted sites is: in the event that announces it, or elsewhere, so that a list of thousands of
//! hospitals costs the chain one root.

use crate::event::Defect;
use alloy_primitives::Address;

/// Longest place of a list in bytes, as the contract has it.
const MAX_URI: usize = 256;
/// How a place begins, as the contract has it.
const HTTPS: &str = "https://";

/// The admitted sites, or where their list is. Whether a list is the one that the sponsor means, the root beside it tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SitesList {
    /// The list itself, by increasing address.
    Listed(Vec<Address>),
    /// A place that begins with `https://`.
    At(String),
}

impl SitesList {
    /// As an event has it: the list, or a place.
    pub(crate) fn published(sites: Vec<Address>, uri: String) -> Result<Self, Defect> {
        if uri.is_empty() {
            return Ok(Self::Listed(sites));
        }
        let is_place = uri.len() > HTTPS.len() && uri.len() <= MAX_URI && uri.starts_with(HTTPS);
        if is_place && sites.is_empty() { Ok(Self::At(uri)) } else { Err(Defect::Length("the place of the list of sites")) }
    }

    /// The sites, if the chain itself has them.
    #[must_use]
    pub fn listed(&self) -> Option<&[Address]> {
        if let Self::Listed(sites) = self { Some(sites) } else { None }
    }

    /// Whether a site is known to be on the list; of a list that is elsewhere, none is.
    #[must_use]
    pub fn contains(&self, site: &Address) -> bool {
        self.listed().is_some_and(|sites| sites.contains(site))
    }
}
