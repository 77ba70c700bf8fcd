//! A complete study on real contracts, served by nodes that the tests tamper with, one artefact at a time.

mod chain_faults;
mod honest;
mod lies;
mod money;
mod nodes;
mod sets;
mod tampering;
mod watching;
mod world;
