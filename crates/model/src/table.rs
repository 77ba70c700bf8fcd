//! Every state of a node that was ever reached, under a number. The real machine takes each step from each of them once;
//! after that the step is looked up, so that a model with millions of states runs the machine some ten thousand times.
//!
//! Two nodes are the same when everything is that `Debug` prints of them, which for the machine and all it holds is
//! every field (the implementations are derived).

use crate::disk::Disk;
use crate::node::{Node, Stage, Stimulus};
use consilium_core::round::SignedIntent;
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher;
use std::sync::Arc;

/// The intents in a node's answer to a peer, if it gave one.
pub(crate) type Reply = Option<Arc<[SignedIntent]>>;

/// The nodes, and what happens to them.
#[derive(Default)]
pub(crate) struct Table {
    nodes: Vec<Arc<Node>>,
    numbers: HashMap<[u64; 2], u32>,
    steps: HashMap<(u32, u64, Stimulus), (u32, Reply)>,
}

/// 128 bits of everything that a node is.
fn digest(node: &Node) -> [u64; 2] {
    let Node { me, seats, disk, said, lives, reply: _ } = node;
    let text = format!("{me} {seats:?} {disk:?} {said:?} {lives}");
    [0, 1].map(|salt| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(salt);
        hasher.write(text.as_bytes());
        hasher.finish()
    })
}

impl Table {
    pub(crate) fn node(&self, number: u32) -> &Arc<Node> {
        &self.nodes[number as usize]
    }

    /// How many different states of nodes there are, and how many steps the machine took.
    pub(crate) fn sizes(&self) -> [usize; 2] {
        [self.nodes.len(), self.steps.len()]
    }

    pub(crate) fn add(&mut self, mut node: Node) -> u32 {
        node.reply = None;
        let next = self.nodes.len() as u32;
        let number = *self.numbers.entry(digest(&node)).or_insert(next);
        if number == next {
            self.nodes.push(Arc::new(node));
        }
        number
    }

    /// The node after a stimulus, and what it answers.
    pub(crate) fn step(&mut self, stage: &Stage<'_>, backup: &Disk, from: u32, stimulus: &Stimulus) -> (u32, Reply) {
        let key = (from, stage.now, stimulus.clone());
        if let Some(known) = self.steps.get(&key) {
            return known.clone();
        }
        let mut node = Node::clone(self.node(from));
        node.step(stage, backup, stimulus);
        let reply: Reply = node.reply.take().map(Arc::from);
        let to = self.add(node);
        self.steps.insert(key, (to, reply.clone()));
        (to, reply)
    }
}
