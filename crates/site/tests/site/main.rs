//! The site against the real contracts on the embedded chain, and against nodes that answer the documented API.
//!
//! What counts as failure: bytes on the wire that were not in the journal first, two digests of one site in one round, two
//! contributions to one subject in two studies that nobody has allowed, a contribution that this site's own rules forbid, a receipt counted that its node has not signed, an aggregate returned that is
//! not the one on the chain, an error that does not name its cause.

mod committee;
mod delivery;
mod files;
mod refusals;
mod restored;
mod results;
mod subjects;
mod world;
