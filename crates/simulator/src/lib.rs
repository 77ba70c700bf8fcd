//! The whole of Consilium in one process, from one seed: sites, nodes, a chain, a clock and a network.
//!
//! Every node is the state machine that the real service runs ([`consilium_core::round::Round`]) with a simulated disk,
//! network and chain around it. The chain is the real contracts in the embedded EVM chain. Time is virtual; delays,
//! losses, repetitions, crashes, keys and inputs are drawn from the seed, so that a run can be repeated exactly.
//!
//! # What counts as a failure
//!
//! Decided before any code was run, and checked by `oracle.rs` with predicates of its own:
//!
//! 1. **Two sums for one subject.** Honest nodes released output shares over two different sets, or the contract let a
//!    certified subject be opened again.
//! 2. **A wrong settled sum.** The settled aggregate differs from the plain sum of what the sites of the certified set
//!    put in, or an honest node unmasked something else.
//! 3. **An honest node punishable.** Among everything it ever signed, over all crashes, there are two receipts for a
//!    site, two Finals for a subject, two share roots or settlements for a round, or a share root that is not the settled
//!    one; or an honest node reports it.
//! 4. **An included cheat.** A contribution that violates the program, or that nobody made for this round, is certified.
//! 5. **An omitted site.** An honest node that voted for the certified set, and did not crash, had Q receipts for
//!    another contribution earlier than Δ before the scheduled cutoff.
//! 6. **A stuck round.** At most t nodes are faulty (silent, crashing, lied to or corrupt) and 4t+1 <= n, or none is;
//!    messages arrive in the end; and yet a round that enough sites contributed to is void, or a certified one is not
//!    settled before its time is over.
//! 7. **An early release.** An honest node releases its output share without having Q Finals for exactly that set.
//! 8. **An unvoted release.** An honest node releases its output share over a set for which fewer than 2t+1 honest nodes
//!    voted.
//! 9. **An early vote.** An honest node votes before half of the time from the round's true appearance to its deadline,
//!    although it does not know Q receipts for every admitted site.
//! 10. **A seed for a stranger.** An honest node answers with a seed to a node in that seed's subset.
//! 11. **A seed in the clear.** Any message contains the first 8 bytes of any seed, as they are or in hexadecimal.
//!
//! | file | what |
//! |---|---|
//! | `scenario.rs` | who takes part and what goes wrong |
//! | `world.rs` | the loop: time, network, everyone's turn |
//! | `shell.rs`, `work.rs`, `disk.rs`, `endpoint.rs` | a node around its machine: effects, cryptography, journal, chain |
//! | `site.rs` | sites, honest and cheating |
//! | `adversary/` | corrupt nodes, one a file, and broken ones that the oracle must notice |
//! | `ledger.rs` | the chain |
//! | `oracle.rs`, `search.rs` | the judge |
//!
//! ```
//! use consilium_simulator::{Outcome, Scenario, run};
//!
//! let report = run(&Scenario::honest(7, 5, 1, 5));
//! assert_eq!(report.outcomes, [Outcome::Settled]);
//! assert!(report.failures.is_empty());
//! ```

mod adversary;
mod disk;
mod draw;
mod endpoint;
mod keys;
mod ledger;
mod oracle;
mod scenario;
mod search;
mod shell;
mod site;
mod wire;
mod work;
mod world;

pub use oracle::Failure;
pub use scenario::{Cheat, Corruption, Defect, Lie, Network, NodeRole, Opening, Scenario, SiteRole};
pub use world::{Outcome, Report};

/// Runs one scenario to its end.
#[must_use]
pub fn run(scenario: &Scenario) -> Report {
    world::World::new(scenario).run()
}

/// Runs one scenario.
///
/// # Errors
/// Everything that somebody needs in order to understand the failure: seed, scenario, failures and trace.
pub fn check(scenario: &Scenario) -> Result<Report, String> {
    let report = run(scenario);
    if report.failures.is_empty() {
        return Ok(report);
    }
    let failures: Vec<String> = report.failures.iter().map(|failure| format!("  {failure:?}")).collect();
    Err(format!("seed {}:\n{}\ntrace:\n{}", scenario.seed, failures.join("\n"), report.trace.join("\n")))
}
