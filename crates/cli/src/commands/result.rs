//! `consilium result`: a round's aggregate, never unchecked.

use super::contribute::{SiteOptions, failure, read_tensors};
use crate::failure::Failure;
use crate::output::{print, spinner, write_file};
use consilium_site::{Checked, Inclusion, Outcome, Site};
use std::path::{Path, PathBuf};

/// Wait for a round's end, fetch its aggregate from any node, and check it against the chain before using it.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Print machine-readable JSON instead of text.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    site: SiteOptions,
    /// The base model of the round, as safetensors: gives the mean its tensor names.
    #[arg(long, value_name = "FILE")]
    base: Option<PathBuf>,
    /// Where to write the weighted mean of the updates, as safetensors.
    #[arg(long, value_name = "FILE", requires = "base")]
    out: Option<PathBuf>,
    /// Where to write the next model, base plus mean, as safetensors.
    #[arg(long, value_name = "FILE", requires = "base")]
    model: Option<PathBuf>,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let site = Site::load(&arguments.site.config).await.map_err(failure)?;
    let work = spinner("waiting for the round's end");
    let outcome = site.await_result(arguments.site.study, arguments.site.round).await.map_err(failure)?;
    work.finish_and_clear();
    let checked = match outcome {
        Outcome::Settled(checked) => checked,
        Outcome::Void => {
            return Err(Failure::refused("the round is void: no set was certified in time, and nothing was released"));
        }
        Outcome::Abandoned => {
            return Err(Failure::refused("the round was certified and not settled in time: there is no result"));
        }
        Outcome::Fraudulent => return Err(Failure::wrong("the settlement was proved wrong: there is no result")),
    };
    if let Some(base) = &arguments.base {
        write_files(&site, &arguments, base, &checked).await?;
    }
    print(arguments.json, &describe(&checked), |_| {
        let inclusion = match &checked.inclusion {
            Inclusion::Included => "your contribution is in it",
            Inclusion::NotContributed => "you have not contributed to it",
            Inclusion::Omitted { proof: Some(_) } => {
                "your contribution is NOT in it, although Q nodes signed receipts for it: these came too late, or nodes kept them \
                 back; with --json you get them"
            }
            Inclusion::Omitted { proof: None } => "your contribution is NOT in it: fewer than Q nodes signed receipts for it",
            Inclusion::Foreign { .. } => "ANOTHER contribution with your signature is in it: your key is used elsewhere",
        };
        let aggregate = &checked.aggregate;
        format!(
            "settled over {} sites, total weight {}, aggregate {}: {inclusion}",
            aggregate.cohort_size(),
            aggregate.total_weight(),
            aggregate.root()
        )
    });
    Ok(())
}

async fn write_files(site: &Site, arguments: &Arguments, base: &Path, checked: &Checked) -> Result<(), Failure> {
    let base = read_tensors(base)?;
    let next = site.successor(arguments.site.study, &base, checked).await.map_err(failure)?;
    if let Some(file) = &arguments.out {
        write_file(file, &base.layout().safetensors_of(checked.aggregate.mean()).map_err(Failure::failed)?)?;
    }
    if let Some(file) = &arguments.model {
        write_file(file, &next.to_safetensors().map_err(Failure::failed)?)?;
    }
    Ok(())
}

fn describe(checked: &Checked) -> serde_json::Value {
    let aggregate = &checked.aggregate;
    let (included, proof) = match &checked.inclusion {
        Inclusion::Omitted { proof } => (false, proof.as_ref()),
        inclusion => (*inclusion == Inclusion::Included, None),
    };
    serde_json::json!({
        "sites": aggregate.cohort_size(), "total_weight": aggregate.total_weight(), "aggregate_root": aggregate.root(),
        "subject": aggregate.subject(), "included": included, "omission_proof": proof,
        "node_faults": checked.faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "tally": if aggregate.total_weight() == 0 { Some(aggregate.sums()) } else { None },
    })
}
