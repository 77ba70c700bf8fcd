//! What the chain itself can have wrong.
