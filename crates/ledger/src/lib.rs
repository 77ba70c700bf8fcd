//! The Consilium contracts as typed calls and events over an alloy provider.
//!
//! **Who.** A *sponsor* creates a study and opens rounds; committee *nodes* register, certify and settle; *sites* and
//! *auditors* read. All of them use this crate, against any EVM chain: an HTTP endpoint, or the embedded chain in the
//! same process. It signs transactions and reads the chain; it knows nothing of blobs, nodes' HTTP or anyone's files
//! besides the addresses file.
//!
//! | what | type | module |
//! |---|---|---|
//! | where the contracts are | [`Addresses`] | `addresses`, [`deploy()`] |
//! | one endpoint | [`Ledger`] | `endpoint` |
//! | sending: nonces, fees, receipts | [`Wallet`], [`Receipt`] | `wallet` |
//! | the transactions | `Ledger::{register, create_study, open_round, certify, settle, ...}` | `calls` |
//! | money: in, out, what is owed and the claims for it | [`Books`], [`Credit`], `Ledger::{fund, claim, pay_unpaid, ...}` | `treasury`, `books`, `coins`, `claims`, `paying`, `currency` |
//! | what returns to the sponsor, and what goes to the sink | `Books::{return_forfeits, announce_escheat, escheat}` | `escheat` |
//! | what studies may reveal together | [`PrivacyAccount`], `Ledger::{open_privacy_account, privacy_account}` | `privacy` |
//! | licences | [`Offer`], `Ledger::{set_offer, buy_licences, may_download}` | `licences` |
//! | operators and jurisdictions that nodes name | [`Identity`], `Ledger::identities` | `identities` |
//! | KEM keys and the committees formed with them | [`Membership`], `Ledger::{memberships, kem_key_hash, final_history}` | `kem_keys`, `history` |
//! | who acts for a sponsor, pauses, a study's next owner | [`Role`], `Ledger::{set_role, pause, offer_study, ...}` | `roles` |
//! | the list of sites, or where it is, how it is published there, and fetched | [`SitesList`], [`ListFlaw`] | [`sites_list`], `lists` |
//! | stake | [`Bond`], `Ledger::{deposit, resign, reclaim}` | `stake` |
//! | proofs of offences, and what claims show of wrong rewards | `Ledger::{accuse, rewarded}` | `court`, `shown` |
//! | what is announced | [`event::ChainEvent`] | [`event`], `decode` |
//! | a study, a round, rebuilt from its events | [`Study`], [`Round`] | `history`, `study` |
//! | the signatures behind them | [`Signatures`] | `evidence` |
//! | when a certificate counts | [`Standing`], [`Endpoints`] | `finality` |
//! | following the chain | [`Watcher`], [`Cursor`] | `watcher` |
//! | why it failed, by whose fault | [`Error`] | [`error`], [`Revert`] |
//!
//! **An endpoint is not believed.** Chain data is bounded and checked; hashes (frozen terms, KEM keys, program, sites)
//! are recomputed; events are held against the contract's storage, so that a left-out event shows; a round's
//! [`Terms`](consilium_core::terms::Terms) are built here and checked by core. What one endpoint alone can still do is
//! invent a whole chain: hence [`Endpoints`], [`Certified::genuine_votes`] with the committee's own signatures, and strikes that
//! count only with the site's two.
//!
//! **Nonces.** A [`Wallet`] counts its own and asks the chain again after an error. Do not send with the same key from two
//! processes, nor through a provider with alloy's nonce filler.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use consilium_core::eip712::SecretKey;
//! use consilium_ledger::{Addresses, Cursor, Ledger, Progress, Wallet, Watcher};
//!
//! let addresses = Addresses::load("addresses.json".as_ref())?;
//! let ledger = Ledger::connect("http://127.0.0.1:8545", addresses).await?;
//! let wallet = Wallet::new(SecretKey::from_bytes(&[7; 32])?);
//!
//! let now = ledger.head().await?.timestamp;
//! let opened = ledger.open_round(&wallet, 1, [1; 32].into(), now + 600, now + 1200).await?;
//! let round = ledger.round(1, opened.output).await?;
//! assert_eq!(round.terms.context().round, opened.output);
//!
//! let mut watcher = Watcher::new(ledger, Cursor::default());
//! match watcher.next_events().await? {
//!     Progress::Read { batch, to, .. } => println!("{} events up to block {}", batch.events.len(), to.number),
//!     Progress::RolledBack { to } => println!("forget everything after {to:?}"),
//!     Progress::Idle => {}
//! }
//! # Ok(())
//! # }
//! ```

mod accounts;
mod addresses;
mod books;
mod calls;
mod claims;
mod coins;
mod compensation;
mod conditions;
pub mod contracts;
mod court;
mod currency;
mod decode;
mod deploy;
mod endpoint;
pub mod error;
mod escheat;
pub mod event;
mod evidence;
mod finality;
mod history;
mod identities;
mod kem_keys;
mod licences;
mod lists;
mod money;
mod offence;
mod paying;
mod privacy;
mod revenue;
mod revert;
mod roles;
mod round;
mod shown;
pub mod sites_list;
mod stake;
mod state;
mod strikes;
mod study;
mod treasury;
mod wallet;
mod watcher;

pub use addresses::{Addresses, urls_by_address};
pub use books::{Books, PaidRound, Totals, pay};
pub use calls::{NewStudy, Registration};
pub use claims::{CLAIMS_AT_ONCE, Cohorts, Credit, Leaf};
pub use coins::Moved;
pub use compensation::{Answer, Doubt, Pot};
pub use decode::KEM_KEY_BYTES;
pub use deploy::{DeployOptions, Deployment, deploy};
pub use endpoint::{Block, Ledger, Limits, client_provider, http_provider};
pub use error::Error;
pub use event::{BlockRef, ChainEvent, Conditions, Consent, Conviction, Event, LogPosition, Money, Offence, Privacy, SitesList};
pub use evidence::Signatures;
pub use finality::{Endpoints, Standing};
pub use history::{Batch, History};
pub use identities::Identity;
pub use kem_keys::Membership;
pub use licences::Offer;
pub use lists::ListFlaw;
pub use paying::Paid;
pub use privacy::PrivacyAccount;
pub use revert::Revert;
pub use roles::Role;
pub use round::{Certified, CertifiedSubject, LateVotes, Round, Settled};
pub use shown::Rewarded;
pub use stake::Bond;
pub use state::State;
pub use study::Study;
pub use treasury::Unpaid;
pub use wallet::{Mined, Receipt, Unsent, Wallet};
pub use watcher::{Cursor, Progress, Watcher};
