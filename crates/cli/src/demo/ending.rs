//! What it cost and what it was worth: the same training in the open, each hospital alone, time and bytes, and the audit.

use super::pay;
use super::report::{Quality, Report, bytes};
use super::rounds::Game;
use super::setup::Stage;
use crate::failure::Failure;
use crate::output::spinner;
use consilium_audit::{Auditor, Copies, Status, Verdict};
use consilium_core::capability::Holder;
use consilium_ledger::Endpoints;
use consilium_training::dataset::{DataSet, Samples};
use consilium_training::fedavg::{Options, alone, plain_run};
use consilium_training::metrics::{Metrics, evaluate};
use std::time::Instant;
use tokio::task::JoinHandle;

/// The same training without protection, and each hospital alone.
pub(super) struct Comparison {
    plain: Metrics,
    plain_seconds: f64,
    alone: Metrics,
}

/// Computes the comparison beside the rounds.
pub(super) fn start_comparison(
    data: &DataSet,
    samples: &[Samples],
    options: &Options,
) -> JoinHandle<Result<Comparison, Failure>> {
    let (data, samples, options) = (data.clone(), samples.to_vec(), *options);
    tokio::task::spawn_blocking(move || {
        let started = Instant::now();
        let model = plain_run(&data, &samples, &options, |_| ()).map_err(Failure::failed)?;
        let plain_seconds = started.elapsed().as_secs_f64();
        let plain = evaluate(&model, &data.test).map_err(Failure::failed)?;
        let alone = alone(&data, &samples, &options).map_err(Failure::failed)?;
        Ok(Comparison { plain, plain_seconds, alone })
    })
}

/// Completes and prints the report.
pub(super) async fn finish(
    report: &mut Report,
    stage: &Stage,
    game: Game,
    comparison: JoinHandle<Result<Comparison, Failure>>,
    started: Instant,
) -> Result<(), Failure> {
    let comparison = comparison.await.map_err(Failure::failed)??;
    report.plain = Quality { accuracy: comparison.plain.accuracy, auc: comparison.plain.auc };
    report.alone_mean_accuracy = comparison.alone.accuracy;
    for what in game.left_out() {
        println!("left out of the marked part: {what}");
    }
    print_worth(report, &comparison);
    print_cost(report, &game, &comparison);
    report.misbehaviour = game.misbehaviour;
    report.money = Some(pay::everyone(stage).await?);
    audit(report, stage).await?;
    report.seconds_total = started.elapsed().as_secs_f64();
    println!("\nall of it took {:.0} s", report.seconds_total);
    Ok(())
}

fn print_worth(report: &Report, comparison: &Comparison) {
    let Some(last) = report.rounds.last() else { return };
    let worst = report.rounds.iter().map(|r| r.max_abs_error / r.error_bound).fold(0.0, f64::max);
    println!("\nwhat it was worth        accuracy    AUC");
    println!("  together, protected       {:.3}  {:.3}", last.accuracy, last.auc);
    println!("  together, in the open     {:.3}  {:.3}", comparison.plain.accuracy, comparison.plain.auc);
    println!("  each hospital alone       {:.3}  {:.3}  (mean)", comparison.alone.accuracy, comparison.alone.auc);
    println!(
        "every settled mean equals the plain weighted mean of the same updates up to rounding: at most {:.0}% of the bound",
        100.0 * worst
    );
}

fn print_cost(report: &Report, game: &Game, comparison: &Comparison) {
    let rounds = report.rounds.len().max(1) as f64;
    let contributions: usize = report.rounds.iter().map(|r| r.accepted).sum();
    let upload = report.rounds.last().map_or(0, |r| r.upload_bytes_per_site);
    let seconds = &game.seconds;
    println!("\nwhat it cost");
    println!(
        "  bytes   {} a site and round, {:.2} times the update as float32",
        bytes(upload),
        upload as f64 / (4.0 * report.d as f64)
    );
    println!("  proving {:.0} ms a contribution", 1e3 * seconds.proving / contributions.max(1) as f64);
    println!(
        "  rounds  {:.1} s training, {:.1} s contributing and verifying, {:.1} s closing on average; in the open {:.1} s",
        seconds.training / rounds,
        seconds.contributing / rounds,
        seconds.closing / rounds,
        comparison.plain_seconds / rounds
    );
    println!("  all hospitals and nodes share this machine's cores; on machines of their own they work at the same time");
}

async fn audit(report: &mut Report, stage: &Stage) -> Result<(), Failure> {
    let work = spinner("auditing everything");
    let endpoints = Endpoints::new(vec![stage.ledger.clone()])?;
    let auditor = Auditor::new(endpoints, &stage.urls(), Some(Holder::Key(stage.auditor.clone()))).map_err(Failure::failed)?;
    // One copy of every contribution, from the nodes in turn: the auditor shares this machine's cores with the committee.
    let auditor = auditor.with_copies(Copies::One);
    let audited = auditor.audit_full(stage.study).await;
    work.finish_and_clear();
    let count = |status| audited.with(status).count();
    println!(
        "\naudit of {} rounds, from the chain, the statements, all contributions and all shares: {} checks hold, {} do not, {} could not be made",
        audited.rounds.len(),
        count(Status::Pass),
        count(Status::Fail),
        count(Status::Unavailable)
    );
    for line in audited.lines.iter().filter(|line| matches!(line.status, Status::Fail | Status::Unavailable)) {
        println!("  {:?} {}: {}", line.status, line.check.title(), line.reason);
    }
    for line in audited.with(Status::Note) {
        println!("  note, {}: {}", line.check.title(), line.reason);
    }
    report.audit = if audited.verdict == Verdict::Pass { "pass" } else { "fail" }.to_owned();
    println!("verdict: {}", report.audit);
    Ok(())
}
