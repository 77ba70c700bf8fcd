//! Deterministic whole-system simulation: sites, nodes and the contracts in one process, from one seed.
