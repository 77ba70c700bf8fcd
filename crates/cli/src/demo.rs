//! The demo: the whole product on one machine, on real data. The story in order: [`setup`], then [`rounds`] (with
//! [`marked`] and its [`cheats`] in between), then what it cost and the audit, in [`ending`].

mod cheats;
mod ending;
mod folder;
mod hospitals;
mod marked;
mod pay;
mod plan;
mod processes;
mod report;
mod rounds;
mod setup;
mod training;

use crate::commands::demo::Arguments;
use crate::failure::Failure;
use crate::output::write_json;
use consilium_core::params::Committee;
use consilium_training::dataset::DataSet;
use consilium_training::fedavg::Options;
use consilium_training::model::Shape;
use consilium_training::partition;
pub(crate) use folder::{Folder, bytes_needed};
pub(crate) use hospitals::sites;
use plan::Plan;
use report::Report;
pub(crate) use setup::{Stage, prepare, start_nodes};

use std::path::Path;
use std::time::Instant;

/// Hospitals that upload at the same time.
pub(crate) const UPLOADS: usize = 8;

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let started = Instant::now();
    let data = match &arguments.data {
        Some(path) => DataSet::open(path).map_err(Failure::usage)?,
        None => DataSet::lidc().map_err(Failure::failed)?,
    };
    let training = Options { hidden: arguments.hidden, rounds: arguments.rounds, seed: arguments.seed, ..Options::default() };
    let samples =
        partition::split(&data.train, arguments.sites as usize, arguments.alpha, arguments.seed).map_err(Failure::usage)?;
    let shape = Shape::new(data.features, arguments.hidden, data.classes).map_err(Failure::usage)?;
    introduce(&arguments, &data, shape);
    let folder = Folder::new(arguments.dir.clone(), bytes_needed(&arguments, shape.parameters()))?;

    let committee = Committee::new(arguments.nodes as usize, arguments.threshold as usize).map_err(Failure::usage)?;
    let plan = Plan::new(&arguments, &committee);
    let mut stage = prepare(&arguments, folder.path(), shape.parameters(), training.clip_radius, plan.needs_spare()).await?;
    start_nodes(&mut stage).await?;
    println!(
        "chain {} with its contracts, study {}, {} nodes running{}, logs in {}\n",
        stage.ledger.chain_id(),
        stage.study,
        stage.everyone().count(),
        if stage.spare.is_some() { ", one of them to spare" } else { "" },
        folder.path().display()
    );

    println!(
        "a stranger asks these nodes to serve a study of its own, and is refused: {}\n",
        setup::stranger(&stage, folder.path()).await?
    );

    let comparison = ending::start_comparison(&data, &samples, &training);
    let hospitals = hospitals::admit(&stage, &samples, folder.path()).await?;
    let mut game = rounds::Game::new(&data, training, hospitals, plan)?;
    println!("{}", report::HEADING);
    let mut lines = Vec::new();
    for round in 1..=u64::from(arguments.rounds) {
        let line = game.play(&mut stage, round).await?;
        println!("{}", line.line());
        lines.push(line);
    }
    let mut report = Report {
        sites: arguments.sites,
        nodes: arguments.nodes,
        t: arguments.threshold,
        d: shape.parameters(),
        rounds: lines,
        plain: report::Quality { accuracy: 0.0, auc: 0.0 },
        alone_mean_accuracy: 0.0,
        misbehaviour: Vec::new(),
        money: None,
        audit: String::new(),
        seconds_total: 0.0,
    };
    ending::finish(&mut report, &stage, game, comparison, started).await?;
    if let Some(file) = &arguments.json {
        write_json(file, &report)?;
    }
    if arguments.serve {
        serve(&stage, folder.path()).await;
    }
    if report.audit == "pass" { Ok(()) } else { Err(Failure::wrong("the audit did not pass")) }
}

fn introduce(arguments: &Arguments, data: &DataSet, shape: Shape) {
    println!(
        "{}: {} training and {} test images, {} classes, labels skewed over {} hospitals (Dirichlet {})",
        data.name,
        data.train.len(),
        data.test.len(),
        data.classes,
        arguments.sites,
        arguments.alpha
    );
    println!(
        "network {}-{}-{}: {} parameters; committee of {} nodes, {} may be corrupt",
        shape.features(),
        shape.hidden(),
        shape.classes(),
        shape.parameters(),
        arguments.nodes,
        arguments.threshold
    );
}

async fn serve(stage: &Stage, folder: &Path) {
    println!(
        "\nstill running, Ctrl-C ends it:\n  chain   {}\n  files   {} (addresses.json, auditor.json)",
        stage.rpc,
        folder.display()
    );
    for node in stage.everyone() {
        println!("  node {}  {}={}", node.number, node.address, node.url);
    }
    drop(tokio::signal::ctrl_c().await);
}
