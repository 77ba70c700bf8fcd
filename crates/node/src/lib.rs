//! The committee node as a service: it receives contributions, verifies each alone, agrees with its peers on the set that
//! counts, releases its share of the sum over exactly that set, and helps to settle the sum on the chain.
//!
//! **Who.** *Sites* upload a contribution once, to any node. The *peers* pull it from there, and send each other
//! receipts, votes, Finals, share roots and settlements. The *chain* opens rounds and says what counts. *Auditors* read.
//! The protocol itself, as a state machine without I/O, is [`consilium_core::round`]; this crate is the shell around it.
//!
//! **The path of one contribution**, in the order in which it walks through the modules:
//!
//! | step | what happens | module | section of docs/PROTOCOL.md |
//! |---|---|---|---|
//! | the round opens | the chain is followed; terms, committee, key, subject are checked, and the operator's policy | `watch`, `rounds::seat`, `policy` | 6.1, 6.9 |
//! | upload | header checked first, vector hashed while it is written | `api::upload` | 3.8 |
//! | store | blobs by content address, small state in redb | `store` | |
//! | verify | on a blocking thread, one a core; into the running sum | `rounds::verify` | 5 |
//! | receipt | journal first, then signature | `rounds::actor`, `store::journal` | 6.2 |
//! | gossip | receipts to the peers, who pull | `peers`, `api::messages`, `rounds::pull` | 6.2 |
//! | repair | seeds for a bad box, sealed, to those entitled | `rounds::repair` | 6.3 |
//! | set, votes, certificate | core's machine; one transaction | `rounds::actor`, `rounds::transact` | 6.4 to 6.6 |
//! | final | by the study's rule, on all endpoints; ends as well | `watch`, `watch::ends` | 6.7 |
//! | release, unmask | the share over the certified set; the aggregate | `rounds::release` | 6.8, 6.10 |
//! | settle | one transaction | `rounds::transact` | 6.11 |
//! | forget | masked vectors and boxes go, and KEM secrets that nothing needs; shares and statements stay | `forget`, `keys` | 6.13 |
//!
//! A seat that is beyond the operator's [`Policy`] is not served, and given up by `policy::resign`.
//!
//! Beside them: [`Config`], [`NodeKeys`] in their [`KeyStore`], `access` (who may read what), `metrics`, and [`Node`], which puts it together.
//!
//! **What is where.** Seeds are never on disk: they stay in the boxes in which they came, and are opened when needed.
//! The running sum, which before certification is a sum over a set that nobody agreed on, lives in memory only and is
//! computed again after a restart. What a node has bound itself to is in the journal before it is signed.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use consilium_node::{Config, Node, NodeKeys};
//!
//! NodeKeys::generate()?.create("node.json".as_ref())?; // once; register its address and KEM key on the chain
//! let config = Config::load("node.toml".as_ref())?;
//! let node = Node::start(config).await?;
//! println!("{} serves {}", node.address(), node.url());
//! node.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod api;
mod config;
mod court;
mod forget;
mod keys;
mod metrics;
mod node;
mod peers;
mod policy;
mod rounds;
mod service;
mod store;
mod watch;

pub use config::{Config, ConfigError, ENVIRONMENT, Limits};
pub use keys::{
    Deployment, Epoch, ForgetError, Forgotten, Hold, KemKey, Kept, KeyError, KeyStore, Look, NodeKeys, Phase, RotateError,
    Rotated, Use, forget, rotate,
};
pub use node::{Node, NodeBuilder, Running, StartError};
pub use policy::Policy;
pub use service::ShareTamper;
pub use store::StoreError;
