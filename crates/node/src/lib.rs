//! The committee node as a service.
