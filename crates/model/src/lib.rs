//! A model of the protocol's rounds.

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
pub use explore::{AGREED, CERTIFIED, INCLUDED, NOT_PUNISHABLE, NOT_WEDGED, ONE_SUM, RELEASED, Report, SMALLER_RELEASED, VOTED, explore};
pub use world::{Action, State, World};
