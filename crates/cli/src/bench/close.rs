//! Whole rounds with real processes: from the last receipt of the last upload to a settled, checked aggregate in a
//! hospital's hands.

use super::stages::Stages;
use super::{Row, Times};
use crate::commands::bench::Arguments;
use crate::commands::demo;
use crate::demo::{Folder, Stage, UPLOADS, bytes_needed, prepare, sites, start_nodes};
use crate::failure::Failure;
use consilium_core::params::Committee;
use consilium_site::tensors::{Format, Layout, TensorLayout, Tensors};
use consilium_site::{Outcome, Site};
use futures::{StreamExt, TryStreamExt, stream};
use std::time::Instant;

/// Rounds that are closed.
const ROUNDS: u32 = 3;
/// Seconds for the uploads of one round, more than any machine should need.
const PATIENCE: u64 = 3_600;

/// The row `close`; its floor is one release and one unmask of that size.
pub(super) async fn row(arguments: &Arguments, committee: &Committee) -> Result<Row, Failure> {
    let d = arguments.close_dimension;
    let floor = Stages::new(committee, d, arguments)?.closing()?.iter().map(|row| row.median_ms).sum();
    Ok(Row::new("close", d, committee, &Times::new(rounds(arguments, d as usize).await?), floor))
}

async fn rounds(arguments: &Arguments, d: usize) -> Result<Vec<f64>, Failure> {
    let options = demo::Arguments::bare(arguments.close_sites, arguments.nodes, arguments.threshold, ROUNDS);
    let folder = Folder::new(None, bytes_needed(&options, d))?;
    let mut stage = prepare(&options, folder.path(), d, 1.0, false).await?;
    start_nodes(&mut stage).await?;
    let sites = sites(&stage, folder.path()).await?;
    let layout = TensorLayout { name: "bench".to_owned(), shape: vec![d], format: Format::F32 };
    let layout = Layout::new(vec![layout]).map_err(Failure::failed)?;
    let mut base = Tensors::new(layout, vec![0.0; d]).map_err(Failure::failed)?;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        times.push(close(&stage, &sites, &mut base).await?);
    }
    Ok(times)
}

/// Plays one round and says how many milliseconds its end took.
async fn close(stage: &Stage, sites: &[Site], base: &mut Tensors) -> Result<f64, Failure> {
    let opened = stage.open_round(base.model_digest(), PATIENCE, 2 * PATIENCE).await?.output;
    let (subject, d) = (base.model_digest(), base.values().len());
    let uploads = sites.iter().enumerate().map(|(i, site)| async move {
        let update: Vec<f64> = (0..d).map(|k| ((i * 7 + k) as f64 * 0.37).sin() / d as f64).collect();
        site.contribute(stage.study, opened, &update, 40, subject).await.map(drop).map_err(Failure::failed)
    });
    stream::iter(uploads).buffer_unordered(UPLOADS).try_collect::<Vec<()>>().await?;
    let uploaded = Instant::now();
    let first = sites.first().ok_or_else(|| Failure::usage("a round needs hospitals"))?;
    let Outcome::Settled(checked) = first.await_result(stage.study, opened).await.map_err(Failure::failed)? else {
        return Err(Failure::wrong(format!("round {opened} was not settled")));
    };
    let milliseconds = uploaded.elapsed().as_secs_f64() * 1e3;
    let mut next = base.clone();
    for site in sites {
        next = site.successor(stage.study, base, &checked).await.map_err(Failure::failed)?;
    }
    *base = next;
    Ok(milliseconds)
}
