//! Answers every request for seeds with garbage, and first.

use super::{Me, Mischief, to};
use consilium_core::round::{Effect, Message};

#[derive(Debug)]
pub(super) struct BadRepairs;

impl Mischief for BadRepairs {
    fn perform(&mut self, _me: &Me<'_>, effect: Effect) -> Vec<Effect> {
        match effect {
            Effect::AnswerSeeds { to: node, member, numbers } => {
                let sealed = numbers.into_iter().map(|number| (number, vec![number as u8; 1168].into())).collect();
                vec![to(node, Message::Seeds { member, sealed })]
            }
            other => vec![other],
        }
    }

    fn overhear(&mut self, me: &Me<'_>, message: &Message) -> Vec<Effect> {
        let Message::SeedRequest { member, numbers } = message else { return Vec::new() };
        let answer = |node| Effect::AnswerSeeds { to: node, member: *member, numbers: numbers.clone() };
        me.others().flat_map(|node| self.perform(me, answer(node))).collect()
    }
}
