//! A leader that puts a site of its own into the set, which the sponsor never admitted, and votes for it.

use super::{Me, Mischief, to_all};
use alloy_primitives::{Address, B256};
use consilium_core::certify::{Cohort, SetMember};
use consilium_core::round::{Effect, Message};

#[derive(Debug)]
pub(super) struct ForeignSite;

/// An address that no site of the simulation has, behind all of theirs.
const STRANGER: Address = Address::repeat_byte(0xff);

impl Mischief for ForeignSite {
    fn perform(&mut self, me: &Me<'_>, effect: Effect) -> Vec<Effect> {
        let Effect::Send { to: None, message: Message::Proposal { cohort, .. } } = &effect else { return vec![effect] };
        let stranger = SetMember { site: STRANGER, digest: B256::repeat_byte(0x5e) };
        let more = Cohort::new([cohort.members(), &[stranger]].concat());
        more.map_or(Vec::new(), |cohort| vec![to_all(me.proposal(cohort))])
    }
}
