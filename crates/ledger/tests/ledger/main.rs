//! The ledger against real chains: the embedded one and anvil.
//!
//! `scenario` runs one story over both and compares everything that can be compared; `failures` breaks the connection,
//! the addresses and the logs; `following` rewrites history under a watcher and lets endpoints lie; `strikes` lets them
//! invent that sites were struck off; `money` funds, pays and claims; `escheat` returns and sends to the sink what is nobody's; `privacy` draws on accounts; `court`, `differential` and `sets` hold evidence against Rust and Solidity; `gas` tells what all of it costs under two sets of
//! rules.

mod accounts;
mod court;
mod differential;
mod escheat;
mod failures;
mod following;
mod gas;
mod logs;
mod money;
mod privacy;
mod scenario;
mod sets;
mod strikes;
mod worlds;
