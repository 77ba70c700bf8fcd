//! One module a command.

mod admitted;
pub(crate) mod audit;
pub(crate) mod bench;
pub(crate) mod chain;
pub(crate) mod claim;
pub(crate) mod connection;
pub(crate) mod contribute;
pub(crate) mod demo;
mod escheat;
pub(crate) mod funds;
mod governance;
pub(crate) mod keys;
pub(crate) mod licence;
pub(crate) mod node;
mod overview;
pub(crate) mod privacy;
pub(crate) mod result;
mod rotation;
pub(crate) mod round;
mod stake;
pub(crate) mod study;
pub(crate) mod vectors;
pub(crate) mod watch;
