//! What travels: bytes, as on a real network, so that they can be searched for secrets.

use consilium_core::certify::SetMember;
use consilium_core::round::SignedReceipt;
use std::rc::Rc;

/// A sender or a receiver. The network authenticates senders, as signed requests do in the real service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Party {
    /// A node, 1..=n.
    Node(usize),
    /// A site, 0..
    Site(usize),
}

/// One message.
#[derive(Debug, Clone)]
pub(crate) enum Wire {
    /// A contribution: header and masked vector. From a site, or in answer to a pull.
    Contribution(Rc<[u8]>, Rc<[u8]>),
    /// A site asks for the receipts of its contribution.
    AskReceipts,
    /// The answer.
    Receipts(Vec<SignedReceipt>),
    /// A node asks for a contribution.
    Pull(SetMember),
    /// A message between nodes, in JSON.
    Peer(Rc<[u8]>),
    /// A node asks for an output share.
    AskShare,
    /// An output share.
    Share(Rc<[u8]>),
}

/// A message on its way, about one round.
#[derive(Debug, Clone)]
pub(crate) struct Packet {
    pub(crate) round: u64,
    pub(crate) from: Party,
    pub(crate) to: Party,
    pub(crate) wire: Wire,
}
