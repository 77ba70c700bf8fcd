//! A model of the protocol's rounds, explored exhaustively within named bounds by a model checker (Stateright).
//!
//! The transition of a node is the product's own: every step of a node is [`consilium_core::round::Round::apply`], with real
//! statements and signatures. This crate supplies what stands around the machine: a folder that keeps the journal's
//! rules, a network, sites, endpoints that lie, a chain that reorganises, a liar, and old copies of folders. It is
//! neither part of the product nor published.
//!
//! | module | what |
//! |---|---|
//! | `bounds` | the configurations, by name, and the mends that can be switched off |
//! | `world`, `actions`, `urgent` | a state of the whole, what may happen in it, what follows by itself |
//! | `node`, `shell`, `disk` | a node: the machine, what its shell does with effects, what survives |
//! | `table` | every state of a node under a number, so that the machine takes each step once |
//! | [`explore`] | the properties, and the checker |
//!
//! The README says what each part corresponds to in the product and in docs/PROTOCOL.md, what is left out, and why the
//! reductions lose nothing.
//!
//! ```
//! use consilium_model::{explore, gate};
//!
//! let bounds = gate().into_iter().find(|bounds| bounds.name == "retry-4").unwrap();
//! let report = explore(bounds).unwrap();
//! assert!(report.is_whole && report.is_good());
//! ```

mod actions;
mod bounds;
mod cast;
mod disk;
mod explore;
mod node;
mod shell;
mod table;
mod urgent;
mod world;

pub use bounds::{Bounds, Endpoints, Mutation, Places, Start, assurance, gate, mutants};
pub use explore::{
    AGREED, CERTIFIED, INCLUDED, NOT_PUNISHABLE, NOT_WEDGED, ONE_SUM, RELEASED, Report, SMALLER_RELEASED, VOTED, explore,
};
pub use world::{Action, State, World};
