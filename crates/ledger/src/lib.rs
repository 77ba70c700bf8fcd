//! The Consilium contracts as typed calls and events over an alloy provider.
