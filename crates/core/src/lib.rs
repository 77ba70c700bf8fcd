//! The Consilium protocol: pure, synchronous, without I/O, clock or entropy of its own.
