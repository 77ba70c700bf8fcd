//! Sends old messages again, of this round and of earlier ones.

use super::{Me, Mischief, to};
use crate::draw::Draw;
use consilium_core::round::{Effect, Message};

#[derive(Debug)]
pub(super) struct Replayer {
    heard: Vec<Message>,
    draw: Draw,
}

impl Replayer {
    pub(super) fn new(draw: Draw) -> Self {
        Self { heard: Vec::new(), draw }
    }
}

impl Mischief for Replayer {
    fn overhear(&mut self, _me: &Me<'_>, message: &Message) -> Vec<Effect> {
        if self.heard.len() < 200 {
            self.heard.push(message.clone());
        }
        Vec::new()
    }

    fn tick(&mut self, me: &Me<'_>) -> Vec<Effect> {
        let old = |heard: &[Message], draw: &mut Draw| heard.get(draw.below(heard.len() as u64) as usize).cloned();
        me.others().filter_map(|node| Some(to(node, old(&self.heard, &mut self.draw)?))).collect()
    }
}
