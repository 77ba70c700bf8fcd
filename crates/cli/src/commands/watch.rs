//! `consilium watch`: follows the chain, checks settlements, collects what nodes signed, and files every proof.

use super::connection::{ChainOptions, NodeOptions};
use super::keys::KeyOption;
use crate::failure::Failure;
use crate::output::print;
use consilium_audit::{Outcome, Sighting, Watchman};
use consilium_ledger::{Endpoints, Error, Wallet};
use std::time::Duration;

/// Watch over studies: check each settlement as it lands, prove every offence to the contracts, assign and pay out
/// compensations. Anyone can: the key pays for gas and is paid a tenth of each bond; with the key of a sponsor or of an
/// auditor whom it has named, the vectors behind settlements are checked too.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Print machine-readable JSON, one line for each thing seen or done.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    chain: ChainOptions,
    #[command(flatten)]
    nodes: NodeOptions,
    #[command(flatten)]
    key: KeyOption,
    /// Only these studies; repeat it. All without.
    #[arg(long, value_delimiter = ',')]
    study: Vec<u64>,
    /// Look once, then end: 0 nothing wrong, 5 an offence found, 3 something could not be checked.
    #[arg(long)]
    once: bool,
    /// Send no transaction: only say what would be proved.
    #[arg(long)]
    dry_run: bool,
    /// Seconds between two looks.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    interval: u64,
}

/// What a look has seen, all studies together.
#[derive(Default)]
struct Tally {
    offences: usize,
    unavailable: usize,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let endpoints = arguments.chain.endpoints().await?;
    let wallet: Wallet = arguments.key.wallet()?;
    let mut watchman =
        Watchman::new(endpoints.clone(), &arguments.nodes.urls(), wallet, arguments.dry_run).map_err(Failure::usage)?;
    let mut head = None;
    loop {
        let tally = match new_head(&endpoints, &mut head).await {
            Ok(false) => Tally::default(),
            Ok(true) => look(&arguments, &endpoints, &mut watchman).await?,
            Err(error) if error.is_temporary() && !arguments.once => {
                tracing::warn!(%error, "the chain cannot be read: trying again");
                Tally::default()
            }
            Err(error) => return Err(error.into()),
        };
        if arguments.once {
            return verdict(&tally);
        }
        // What could not be checked is looked at again, also without a new block.
        if tally.unavailable > 0 {
            head = None;
        }
        tokio::time::sleep(Duration::from_secs(arguments.interval)).await;
    }
}

async fn new_head(endpoints: &Endpoints, known: &mut Option<alloy_primitives::B256>) -> Result<bool, Error> {
    let hash = endpoints.primary().head().await?.hash;
    Ok(known.replace(hash) != Some(hash))
}

async fn look(arguments: &Arguments, endpoints: &Endpoints, watchman: &mut Watchman) -> Result<Tally, Failure> {
    let studies =
        if arguments.study.is_empty() { (1..=endpoints.primary().studies().await?).collect() } else { arguments.study.clone() };
    let mut tally = Tally::default();
    for study in studies {
        match watchman.pass(study).await {
            Ok(seen) => {
                for sighting in &seen {
                    tally.offences += usize::from(matches!(sighting.outcome, Outcome::Proved | Outcome::WouldProve));
                    tally.unavailable += usize::from(sighting.outcome == Outcome::Unavailable);
                    print(arguments.json, sighting, in_words);
                }
            }
            // Nobody's study may keep the others from being watched.
            Err(error) if !arguments.once => {
                tally.unavailable += 1;
                tracing::warn!(study, %error, "a study cannot be watched for now: trying again");
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(tally)
}

fn in_words(sighting: &Sighting) -> String {
    let how = match sighting.outcome {
        Outcome::Sound => "sound",
        Outcome::Proved => "PROVED",
        Outcome::WouldProve => "WOULD PROVE",
        Outcome::Settled => "nothing to take",
        Outcome::Paid => "paid",
        Outcome::Unavailable => "unknown",
    };
    let transaction = sighting.transaction.map(|hash| format!(" (transaction {hash})")).unwrap_or_default();
    format!("study {} round {}: {how}: {}{transaction}", sighting.study, sighting.round, sighting.words)
}

fn verdict(tally: &Tally) -> Result<(), Failure> {
    if tally.offences > 0 {
        return Err(Failure::wrong(format!("{} offences were found", tally.offences)));
    }
    if tally.unavailable > 0 {
        return Err(Failure::unreachable(format!("{} things could not be checked for now", tally.unavailable)));
    }
    Ok(())
}
