//! The hospital's side: from a named-tensor update to a checked aggregate.
