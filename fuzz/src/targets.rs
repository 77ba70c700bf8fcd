//! The targets. Each takes any bytes and asserts what a decoder promises: no panic, bounds, and that whatever decodes
//! encodes back to the same bytes, or to a text that decodes to the same value.

mod access;
mod answers;
mod boxes;
pub(crate) mod chain;
mod contribution;
mod data_sets;
mod elements;
pub(crate) mod events;
mod messages;
mod openings;
mod program;
pub(crate) mod settings;
mod tensors;

pub(crate) mod fixed;

pub(crate) type Target = fn(&[u8]);

/// Every target with the name of its corpus.
pub(crate) const ALL: [(&str, Target); 17] = [
    ("contribution", contribution::target),
    ("boxes", boxes::target),
    ("elements", elements::target),
    ("messages", messages::target),
    ("evidence", messages::evidence),
    ("access", access::target),
    ("openings", openings::target),
    ("program", program::target),
    ("safetensors", tensors::target),
    ("idx", data_sets::idx),
    ("npz", data_sets::npz),
    ("node_config", settings::node),
    ("site_config", settings::site),
    ("events", events::target),
    ("rpc_request", chain::request),
    ("rpc_answer", answers::target),
    ("transaction", chain::transaction),
];

pub(crate) use answers::record;
