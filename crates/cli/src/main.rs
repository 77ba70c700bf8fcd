//! The `consilium` binary: one file a command under [`commands`], and the demo.

mod bench;
mod calldata;
mod commands;
mod consent;
mod demo;
mod failure;
mod output;
mod payments;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Verified private sums, settled on a chain.
///
/// Hospitals add up model updates without showing them to anyone: a committee of nodes verifies each masked update
/// against a zero-knowledge proof and releases only the sum over a set that the chain has certified.
#[derive(Debug, Parser)]
#[command(name = "consilium", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "Exit codes: 0 done; 1 failed; 2 wrong usage; 3 not reachable for now, try again; \
4 refused by a policy, a contract or a node; 5 checked and found wrong.")]
struct Cli {
    /// Log filter, for example `info` or `consilium_node=debug`; logs go to standard error.
    #[arg(long, global = true, value_name = "FILTER", env = "CONSILIUM_LOG", default_value = "warn")]
    log: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train one model over many hospitals on this machine, with cheats and failures, and audit it.
    Demo(commands::demo::Arguments),
    /// Run a committee node, or register one.
    Node(commands::node::Arguments),
    /// Serve the embedded chain, deploy the contracts, look at a chain.
    Chain(commands::chain::Arguments),
    /// Make keys and show their public parts.
    Keys(commands::keys::Arguments),
    /// Create studies and look at them.
    Study(commands::study::Arguments),
    /// Open rounds and look at them.
    Round(commands::round::Arguments),
    /// Contribute an update or a ballot to a round.
    Contribute(commands::contribute::Arguments),
    /// Fetch a round's aggregate, checked against the chain.
    Result(commands::result::Arguments),
    /// Pay sites and nodes what a study owes them; anyone may, for anyone.
    Claim(commands::claim::Arguments),
    /// Sell, buy and use licences to a study's aggregates.
    Licence(commands::licence::Arguments),
    /// Open privacy accounts and look at them.
    Privacy(commands::privacy::Arguments),
    /// Audit a study from the chain and the nodes.
    Audit(commands::audit::Arguments),
    /// Watch over studies: prove offences to the contracts, pay compensations.
    Watch(commands::watch::Arguments),
    /// Measure this machine: proving, verifying, releasing, unmasking, closing a round.
    Bench(commands::bench::Arguments),
    /// Check a folder of known answers.
    Vectors(commands::vectors::Arguments),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    output::start_log(&cli.log);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return failure::Failure::failed(format!("cannot start the runtime: {error}")).report(cli.command.wants_json());
        }
    };
    let json = cli.command.wants_json();
    match runtime.block_on(run(cli.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(json),
    }
}

impl Command {
    /// Whether a failure is to be printed as JSON, too.
    fn wants_json(&self) -> bool {
        match self {
            Self::Demo(_) | Self::Bench(_) => false,
            Self::Node(arguments) => arguments.json,
            Self::Chain(arguments) => arguments.json,
            Self::Keys(arguments) => arguments.json,
            Self::Study(arguments) => arguments.json,
            Self::Round(arguments) => arguments.json,
            Self::Contribute(arguments) => arguments.json,
            Self::Result(arguments) => arguments.json,
            Self::Claim(arguments) => arguments.json,
            Self::Licence(arguments) => arguments.json,
            Self::Privacy(arguments) => arguments.json,
            Self::Audit(arguments) => arguments.json,
            Self::Watch(arguments) => arguments.json,
            Self::Vectors(arguments) => arguments.json,
        }
    }
}

async fn run(command: Command) -> Result<(), failure::Failure> {
    match command {
        Command::Demo(arguments) => commands::demo::run(arguments).await,
        Command::Node(arguments) => commands::node::run(arguments).await,
        Command::Chain(arguments) => commands::chain::run(arguments).await,
        Command::Keys(arguments) => commands::keys::run(&arguments),
        Command::Study(arguments) => commands::study::run(arguments).await,
        Command::Round(arguments) => commands::round::run(arguments).await,
        Command::Contribute(arguments) => commands::contribute::run(arguments).await,
        Command::Result(arguments) => commands::result::run(arguments).await,
        Command::Claim(arguments) => commands::claim::run(arguments).await,
        Command::Licence(arguments) => commands::licence::run(arguments).await,
        Command::Privacy(arguments) => commands::privacy::run(arguments).await,
        Command::Audit(arguments) => commands::audit::run(arguments).await,
        Command::Watch(arguments) => commands::watch::run(arguments).await,
        Command::Bench(arguments) => commands::bench::run(arguments).await,
        Command::Vectors(arguments) => commands::vectors::run(&arguments),
    }
}
