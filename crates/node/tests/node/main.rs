//! Nodes as they run: several in this process, each with its own folder, port and keys, over HTTP, on an embedded chain
//! that is reached over HTTP as well.

mod accounts;
mod bad_input;
mod chain_faults;
mod disk;
mod harness;
mod inquiry;
mod keys;
mod licences;
mod offences;
mod policy;
mod reorganised;
mod restored;
mod rounds;
mod secrecy;
mod sets;
