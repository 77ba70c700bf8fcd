//! A leader that shows its proposal to t+1 nodes only.

use super::{Me, Mischief, to};
use consilium_core::round::{Effect, Message};

#[derive(Debug)]
pub(super) struct SelectiveLeader;

impl Mischief for SelectiveLeader {
    fn perform(&mut self, me: &Me<'_>, effect: Effect) -> Vec<Effect> {
        match effect {
            Effect::Send { to: None, message: message @ Message::Proposal { .. } } => {
                let few = me.terms.committee.sizes().t() + 1;
                me.others().take(few).map(|node| to(node, message.clone())).collect()
            }
            Effect::Send { message: Message::Proposal { .. }, .. } => Vec::new(),
            other => vec![other],
        }
    }
}
