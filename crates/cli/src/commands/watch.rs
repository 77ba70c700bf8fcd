//! `consilium watch`: follows the chain, checks settlements, collects what nodes signed, and files every proof.

use super::connection::{ChainOptions, NodeOptions};
use super::keys::OwnKey;
use crate::failure::Failure;
use crate::output::print;
use alloy_primitives::B256;
use consilium_audit::{Outcome, Sighting, Watchman};
use consilium_ledger::{Endpoints, Error, Ledger};
use futures::StreamExt;
use futures::future::{join_all, try_join_all};
use futures::stream::FuturesUnordered;
use std::collections::BTreeSet;
use std::time::Duration;

/// Studies that are looked at at the same time: one whose nodes are slow keeps nobody waiting but itself.
const AT_ONCE: usize = 16;
const GWEI: u128 = 1_000_000_000;

/// Watch over studies: check each settlement as it lands, prove every offence to the contracts, assign and pay out
/// compensations. Anyone can: the key pays for gas and is paid a tenth of each bond; with the key of a sponsor or of an
/// auditor whom it has named, the vectors behind settlements are checked too. With several --rpc nothing is sent unless all
/// of them show the same.
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
    key: OwnKey,
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
    /// The most that is paid for a gas, tip included, whatever the endpoint asks for.
    #[arg(long, value_name = "GWEI", default_value_t = 500)]
    max_fee_gwei: u64,
}

/// What was seen, all studies together.
#[derive(Debug, Default)]
struct Tally {
    offences: usize,
    unavailable: usize,
}

/// Which studies are to be looked at.
#[derive(Debug, Default)]
struct Rota {
    due: BTreeSet<u64>,
    busy: BTreeSet<u64>,
    /// Those of which something could not be checked: they are due again, also without a new block.
    again: BTreeSet<u64>,
}

impl Rota {
    /// The studies to begin with now.
    fn start(&mut self) -> Vec<u64> {
        let free = AT_ONCE.saturating_sub(self.busy.len());
        let next: Vec<u64> = self.due.difference(&self.busy).take(free).copied().collect();
        for study in &next {
            self.due.remove(study);
            self.busy.insert(*study);
        }
        next
    }

    fn end(&mut self, study: u64, is_complete: bool) {
        self.busy.remove(&study);
        if !is_complete {
            self.again.insert(study);
        }
    }

    fn tick(&mut self) {
        self.due.append(&mut self.again);
    }
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let endpoints = arguments.chain.endpoints().await?;
    let wallet = arguments.key.wallet()?.paying_at_most(u128::from(arguments.max_fee_gwei) * GWEI);
    let watchman =
        Watchman::new(endpoints.clone(), &arguments.nodes.urls(), wallet, arguments.dry_run).map_err(Failure::usage)?;
    match arguments.once {
        true => once(&arguments, &endpoints, &watchman).await,
        false => forever(&arguments, &endpoints, &watchman).await,
    }
}

async fn once(arguments: &Arguments, endpoints: &Endpoints, watchman: &Watchman) -> Result<(), Failure> {
    let mut tally = Tally::default();
    let passes = futures::stream::iter(studies(arguments, endpoints).await?).map(|study| watchman.pass(study));
    let mut passes = passes.buffer_unordered(AT_ONCE);
    while let Some(seen) = passes.next().await {
        tally.take(arguments.json, &seen?);
    }
    tally.verdict()
}

async fn forever(arguments: &Arguments, endpoints: &Endpoints, watchman: &Watchman) -> Result<(), Failure> {
    let (mut rota, mut running, mut heads) = (Rota::default(), FuturesUnordered::new(), Vec::new());
    let mut clock = tokio::time::interval(Duration::from_secs(arguments.interval));
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = clock.tick() => {
                rota.tick();
                match moved(endpoints, &mut heads).await {
                    false => {}
                    true => match studies(arguments, endpoints).await {
                        Ok(studies) => rota.due.extend(studies),
                        Err(error) => {
                            heads.clear();
                            tracing::warn!(%error, "the chain cannot be read: trying again");
                        }
                    },
                }
            }
            Some((study, seen)) = running.next() => rota.end(study, report(arguments.json, study, seen)),
        }
        for study in rota.start() {
            running.push(async move { (study, watchman.pass(study).await) });
        }
    }
}

/// Tells what a pass has seen. Whether all of it could be checked.
fn report(json: bool, study: u64, seen: Result<Vec<Sighting>, Error>) -> bool {
    match seen {
        Ok(seen) => {
            let mut tally = Tally::default();
            tally.take(json, &seen);
            tally.unavailable == 0
        }
        // Nobody's study may keep the others from being watched.
        Err(error) => {
            tracing::warn!(study, %error, "a study cannot be watched for now: trying again");
            false
        }
    }
}

/// Whether any endpoint has another block than before; one that does not answer is asked again.
async fn moved(endpoints: &Endpoints, known: &mut Vec<Option<B256>>) -> bool {
    let heads = join_all(endpoints.all().iter().map(Ledger::head)).await;
    let heads: Vec<Option<B256>> = heads.into_iter().map(|head| head.ok().map(|block| block.hash)).collect();
    let moved = *known != heads || heads.contains(&None);
    *known = heads;
    moved
}

/// The studies to watch: by default all that any endpoint shows.
async fn studies(arguments: &Arguments, endpoints: &Endpoints) -> Result<Vec<u64>, Error> {
    if !arguments.study.is_empty() {
        return Ok(arguments.study.clone());
    }
    let shown = try_join_all(endpoints.all().iter().map(Ledger::studies)).await?;
    Ok((1..=shown.into_iter().max().unwrap_or(0)).collect())
}

impl Tally {
    fn take(&mut self, json: bool, seen: &[Sighting]) {
        for sighting in seen {
            self.offences += usize::from(matches!(sighting.outcome, Outcome::Proved | Outcome::WouldProve));
            self.unavailable += usize::from(sighting.outcome == Outcome::Unavailable);
            print(json, sighting, in_words);
        }
    }

    fn verdict(&self) -> Result<(), Failure> {
        if self.offences > 0 {
            return Err(Failure::wrong(format!("{} offences were found", self.offences)));
        }
        if self.unavailable > 0 {
            return Err(Failure::unreachable(format!("{} things could not be checked for now", self.unavailable)));
        }
        Ok(())
    }
}

fn in_words(sighting: &Sighting) -> String {
    let how = match sighting.outcome {
        Outcome::Sound => "sound",
        Outcome::Proved => "PROVED",
        Outcome::WouldProve => "WOULD PROVE",
        Outcome::Settled => "nothing to take",
        Outcome::Paid => "paid",
        Outcome::Forfeited => "forfeited",
        Outcome::Left => "left",
        Outcome::Unavailable => "unknown",
    };
    let transaction = sighting.transaction.map(|hash| format!(" (transaction {hash})")).unwrap_or_default();
    format!("study {} round {}: {how}: {}{transaction}", sighting.study, sighting.round, sighting.words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_study_that_takes_long_keeps_nobody_waiting_and_is_never_begun_twice() {
        let mut rota = Rota::default();
        rota.due.extend(1..=20);
        assert_eq!(rota.start().len(), AT_ONCE, "not more at once");
        for study in 2..=16 {
            rota.end(study, true);
        }
        assert_eq!(rota.start(), [17, 18, 19, 20], "study 1 is still being looked at");
        rota.due.extend(1..=3);
        assert_eq!(rota.start(), [2, 3], "study 1 waits for itself alone");
        rota.end(1, false);
        assert_eq!(rota.start(), [1], "a block has come since");
        rota.end(1, false);
        assert!(rota.start().is_empty(), "what could not be checked waits for its time");
        rota.tick();
        assert_eq!(rota.start(), [1]);
    }
}
