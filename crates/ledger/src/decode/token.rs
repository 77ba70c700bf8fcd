//! Events of the token of studies: who acts for the sponsor. Of new owners Consilium tells itself (`SponsorChanged`), and of
//! transfers and approvals of ERC-721 nothing depends.

use super::strictly;
use crate::contracts::StudyToken as S;
use crate::event::{Defect, Event, Role};
use alloy::rpc::types::Log;
use alloy::sol_types::SolEvent;
use alloy_primitives::B256;

/// The token's own events.
pub(crate) const OF_ROLES: [B256; 2] = [S::RoleSet::SIGNATURE_HASH, S::AuditorSet::SIGNATURE_HASH];

pub(super) fn event(log: &Log) -> Result<Event, Defect> {
    match *log.topic0().ok_or(Defect::UnknownEvent)? {
        S::RoleSet::SIGNATURE_HASH => {
            let e = strictly::<S::RoleSet>(log)?;
            let role = Role::from_code(e.role).ok_or(Defect::Role)?;
            Ok(Event::RoleSet { study: e.study, role, account: e.account })
        }
        S::AuditorSet::SIGNATURE_HASH => {
            strictly::<S::AuditorSet>(log).map(|e| Event::AuditorSet { study: e.study, auditor: e.auditor, allowed: e.allowed })
        }
        _ => Err(Defect::UnknownEvent),
    }
}
