//! Federated averaging in the open: `plain_run DATA SITES ALPHA SEED [LEARNING_RATE EPOCHS BATCH RADIUS]`.
//! DATA is `lidc`, a folder of IDX files or a MedMNIST `.npz` file.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use consilium_training::dataset::{DataSet, Samples};
use consilium_training::fedavg::{Options, alone, plain_run};
use consilium_training::partition::split;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let get = |place: usize, default: &str| arguments.get(place).cloned().unwrap_or_else(|| default.to_owned());
    let data = match get(0, "lidc").as_str() {
        "lidc" => DataSet::lidc()?,
        path => DataSet::open(Path::new(path))?,
    };
    let mut options = Options { seed: get(3, "1").parse()?, ..Options::default() };
    let local = &mut options.local;
    local.learning_rate = get(4, &local.learning_rate.to_string()).parse()?;
    local.epochs = get(5, &local.epochs.to_string()).parse()?;
    local.batch = get(6, &local.batch.to_string()).parse()?;
    options.clip_radius = get(7, &options.clip_radius.to_string()).parse()?;

    let sites = split(&data.train, get(1, "100").parse()?, get(2, "0.5").parse()?, options.seed)?;
    let largest = sites.iter().map(Samples::len).max().unwrap_or_default();
    println!("{}: {} rows at {} sites, the largest has {largest}", data.name, data.train.len(), sites.len());
    let start = Instant::now();
    plain_run(&data, &sites, &options, |round| {
        let (number, metrics) = (round.round, round.metrics);
        let (accuracy, auc) = (metrics.accuracy, metrics.auc);
        println!("{number:>3}  accuracy {accuracy:.3}  AUC {auc:.3}  longest {:.3}  clipped {}", round.longest, round.clipped);
    })?;
    println!("{:.3} s a round", start.elapsed().as_secs_f64() / f64::from(options.rounds));
    let start = Instant::now();
    let single = alone(&data, &sites, &options)?;
    println!("alone: accuracy {:.3}  AUC {:.3}  {:.2} s", single.accuracy, single.auc, start.elapsed().as_secs_f64());
    Ok(())
}
