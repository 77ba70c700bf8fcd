//! The binary as a person or a script meets it: real processes, files and sockets, one module a theme.

#![cfg(unix)]
#![allow(unreachable_pub, reason = "a test binary has no public interface")]

mod bench;
mod demo;
mod errors;
mod lists;
mod machines;
mod rotation;
mod sponsor;
mod support;
mod vectors;
