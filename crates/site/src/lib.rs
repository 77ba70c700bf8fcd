//! The hospital's side: from a named-tensor update to a checked aggregate.
//!
//! **Who.** A *site* holds updates that must not leave it in the clear, a key, a journal, and a list of *nodes*. It trusts
//! neither a node nor one chain endpoint: what it signs is bound to terms that it reads and hashes itself, and what it
//! returns has been held against the chain.
//!
//! **The path of one update**, in the order in which it walks through the modules:
//!
//! | stage | what happens | module |
//! |---|---|---|
//! | read | safetensors -> flat vector in canonical order; the model's digest | [`tensors`] |
//! | admit | the round is read from the chain; every rule of this site has its refusal | [`Refusal`], `admission` |
//! | ask | nodes that hold a contribution of this key stop a copied or restored data folder | `inquiry` |
//! | encode, mask, prove, seal, sign | by [`consilium_core`], on a thread of its own | [`Site::contribute`] |
//! | journal | the message is on disk before it is on the wire | [`message`], [`journal`] |
//! | deliver | one upload to one node; receipts of Q nodes, each signature checked | [`Submitted`], [`nodes`] |
//! | wait | settlement, final on all own endpoints, signed by Q nodes of the known committee | [`Site::await_result`] |
//! | check | aggregate and set against their roots on the chain; own contribution in the set | [`Aggregate`] |
//! | go on | base + mean is the next base model, declared in the journal | [`Site::successor`] |
//!
//! Beneath lie [`SiteConfig`] (endpoints, nodes, policy, pins), [`SiteKeys`] and [`Progress`].
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use consilium_site::{Outcome, Site, tensors::Tensors};
//!
//! let site = Site::load("site.toml".as_ref()).await?;
//! let base = Tensors::from_safetensors(&std::fs::read("model.safetensors")?)?;
//! let update = Tensors::from_safetensors(&std::fs::read("update.safetensors")?)?;
//!
//! let submitted = site.contribute_tensors(1, 1, &update, 120, base.model_digest()).await?;
//! println!("{} receipts for {}", submitted.receipts.receipts.len(), submitted.digest);
//!
//! match site.await_result(1, 1).await? {
//!     Outcome::Settled(checked) => {
//!         let next = site.successor(1, &base, &checked).await?;
//!         std::fs::write("next.safetensors", next.to_safetensors()?)?;
//!     }
//!     Outcome::Void | Outcome::Abandoned | Outcome::Fraudulent => println!("no result this time"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! **For tests and studies**, the pieces are public: [`Site::prepare`] gives a round's terms and core's
//! [`Contributor`](consilium_core::contribution::Contributor) without asking this site's rules, and
//! [`nodes::NodeClient::upload`] sends any bytes to one node and returns its refusal word for word.

mod admission;
mod aggregate;
mod config;
mod contribute;
mod deliver;
pub mod error;
mod inquiry;
pub mod journal;
mod keys;
pub mod message;
pub mod nodes;
mod outcome;
mod pause;
mod progress;
mod reader;
pub mod sharing;
mod site;
pub mod tensors;

pub use aggregate::Aggregate;
pub use config::{ClockSection, ConfigFile, NamedStudy, PolicySection, SharedGroup, SiteConfig, SitePolicy, StudyPins, Timeouts};
pub use contribute::{Cost, Prepared, Submitted};
pub use error::{Error, Refusal};
pub use keys::SiteKeys;
pub use outcome::{Checked, Inclusion, Outcome};
pub use progress::{Observer, Progress, log};
pub use reader::Reader;
pub use site::{RngSource, Site, TimeSource};
