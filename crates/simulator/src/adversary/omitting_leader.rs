//! A leader that leaves out the first site of its set, and votes for nothing else.

use super::{Me, Mischief, to_all};
use consilium_core::certify::Cohort;
use consilium_core::round::{Effect, Message};

#[derive(Debug)]
pub(super) struct OmittingLeader;

impl Mischief for OmittingLeader {
    fn perform(&mut self, me: &Me<'_>, effect: Effect) -> Vec<Effect> {
        match effect {
            Effect::Send { to: None, message: Message::Proposal { cohort, .. } } => {
                let fewer = Cohort::new(cohort.members()[1..].to_vec());
                fewer.map_or(Vec::new(), |cohort| vec![to_all(me.proposal(cohort))])
            }
            Effect::Send { message: Message::Proposal { .. } | Message::Vote(_), .. } => Vec::new(),
            other => vec![other],
        }
    }
}
