//! Asks everyone for every seed.

use super::{Me, Mischief, to_all};
use consilium_core::round::{Effect, Message};

#[derive(Debug)]
pub(super) struct SeedFisher;

impl Mischief for SeedFisher {
    fn tick(&mut self, me: &Me<'_>) -> Vec<Effect> {
        let numbers: Vec<usize> = (0..me.terms.committee.sizes().excluded().len() + 2).collect();
        let ask = |member: &_| to_all(Message::SeedRequest { member: *member, numbers: numbers.clone() });
        me.round.accepted().iter().map(ask).collect()
    }
}
