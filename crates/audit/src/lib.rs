//! The auditor: recomputes a study from the chain and the nodes, and says what holds.
//!
//! **Who.** An *auditor* is anyone with a chain endpoint (public audit), or someone whom a study's sponsor has named on
//! chain and who holds that key (full audit). It shares no folder and no database with the nodes: it has
//! sockets, the protocol's predicates (`consilium-core`) and the chain's data (`consilium-ledger`).
//!
//! **What is checked**, in order:
//!
//! | step | module | level |
//! |---|---|---|
//! | endpoints against each other, contract code, committees and stake | `chain` | public |
//! | states in order and in time | `order` | public |
//! | certificate, finality, set, receipts, Finals, settlement, credits | `round` | public |
//! | money: what came in, what rounds pay, who got it | `money` | public |
//! | signed statements: valid, without contradiction, and as settled | `statements`, `offences` | public |
//! | which of it is an offence on the list, against whom, and proved in which transaction | `listed` | public |
//! | the right to read | `capability` | full |
//! | headers (digest, signature, boxes) and masked vectors | `contributions` | full |
//! | output shares, the aggregate interpolated anew and as served | `outputs` | full |
//!
//! **What comes out** is a [`Report`]: a [`Line`] a check, and a [`Verdict`]. A result that does not follow from its inputs
//! is [`Status::Fail`]. A node that lied and was outvoted is a [`Status::Note`] with the node's name and its own
//! signature as evidence: the result stands. What cannot be reached is [`Status::Unavailable`] with the URL and the
//! remedy, and the verdict is [`Verdict::Incomplete`] when nobody else shows the same.
//!
//! **Three words** are kept apart throughout. *Recomputed*: the auditor has done it again. *Proved*: a signature or a hash
//! shows it to anyone. *Attested*: Q committee members have signed that they saw it. The proofs in contributions, and the
//! output shares as sums over the set, need seeds that only nodes hold: they are attested, and the report says so.
//!
//! Nothing that comes over the network is believed: bodies are bounded by what the round's terms allow, vectors are
//! hashed as they arrive, answers have a time limit, and whatever is malformed becomes a line, not an error.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use consilium_audit::{Auditor, Verdict};
//! use consilium_ledger::{Addresses, Endpoints};
//! use std::collections::BTreeMap;
//!
//! let addresses = Addresses::load("addresses.json".as_ref())?;
//! let endpoints = Endpoints::connect(&["http://127.0.0.1:8545"], addresses).await?;
//! let node = "0x00000000000000000000000000000000000000aa".parse()?;
//! let nodes = BTreeMap::from([(node, "http://127.0.0.1:9001".to_owned())]);
//!
//! let report = Auditor::new(endpoints, &nodes, None)?.audit_public(1).await;
//! println!("{report}");
//! assert_eq!(report.verdict, Verdict::Pass);
//! # Ok(())
//! # }
//! ```

mod auditor;
mod blame;
mod capability;
mod chain;
mod client;
mod contributions;
mod display;
mod listed;
mod money;
mod offences;
mod order;
mod outputs;
mod report;
mod round;
mod sets;
mod statements;
mod watchman;

pub use auditor::{Auditor, Copies, SetupError};
pub use report::{Check, Level, Line, Report, Scope, Status, Verdict};
pub use watchman::{Outcome, Sighting, Watchman};
