//! The auditor: recomputes a study from the chain and the nodes, and says what holds.
