//! `consilium contribute`: a hospital's update or ballot, once.

use crate::failure::Failure;
use crate::output::{bar, print};
use alloy_primitives::B256;
use consilium_core::transcript;
use consilium_site::tensors::Tensors;
use consilium_site::{Error, Observer, Progress, Site, Submitted};
use indicatif::ProgressBar;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Contribute to a round: clip, encode, mask, prove, seal, sign, write to disk, upload, and collect Q receipts. Calling it
/// again after a failure sends the same bytes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Print machine-readable JSON instead of text.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    site: SiteOptions,
    /// The update (new weights minus base model), as safetensors.
    #[arg(long, value_name = "FILE", requires_all = ["weight", "base"], required_unless_present = "choice")]
    update: Option<PathBuf>,
    /// The update's weight, for example the number of samples; 1 to 2^b of the study.
    #[arg(long)]
    weight: Option<u64>,
    /// The base model, as safetensors: what the round is about.
    #[arg(long, value_name = "FILE")]
    base: Option<PathBuf>,
    /// A ballot's choice, from 0.
    #[arg(long, conflicts_with = "update")]
    choice: Option<usize>,
    /// The ballot's question; the round must be about it.
    #[arg(long, requires = "choice", value_name = "TEXT")]
    question: Option<String>,
}

/// Which site, and which round.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct SiteOptions {
    /// The site's configuration.
    #[arg(long, value_name = "FILE", env = "CONSILIUM_SITE_CONFIG", default_value = "site.toml")]
    pub(crate) config: PathBuf,
    /// Study number.
    #[arg(long)]
    pub(crate) study: u64,
    /// Round number.
    #[arg(long)]
    pub(crate) round: u64,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let SiteOptions { config, study, round } = &arguments.site;
    let progress = bar(0, "contributing");
    let site = Site::load(config).await.map_err(failure)?.with_observer(observer(progress.clone()));
    let submitted = match (&arguments.update, arguments.weight, &arguments.base, arguments.choice) {
        (Some(update), Some(weight), Some(base), _) => {
            let (update, base) = (read_tensors(update)?, model_digest(base)?);
            site.contribute_tensors(*study, *round, &update, weight, base).await
        }
        (_, _, _, Some(choice)) => {
            let question = arguments.question.as_ref().map(|text| transcript::hash("question", &[text.as_bytes()]));
            site.vote(*study, *round, choice, question).await
        }
        _ => return Err(Failure::usage("give --update with --weight and --base, or --choice")),
    };
    progress.finish_and_clear();
    let submitted = submitted.map_err(failure)?;
    print(arguments.json, &describe(&submitted), |_| {
        format!(
            "contributed {} with {} receipts, {} bytes uploaded",
            submitted.digest,
            submitted.receipts.receipts.len(),
            submitted.cost.uploaded_bytes
        )
    });
    Ok(())
}

fn describe(submitted: &Submitted) -> serde_json::Value {
    serde_json::json!({
        "digest": submitted.digest, "receipts": submitted.receipts, "resumed": submitted.resumed,
        "uploaded_bytes": submitted.cost.uploaded_bytes, "prove_seconds": submitted.cost.prove_seconds,
        "upload_seconds": submitted.cost.upload_seconds,
    })
}

/// Sorts a site's error: refused by a rule, not reachable, or failed.
pub(crate) fn failure(error: Error) -> Failure {
    if error.is_temporary() {
        Failure::unreachable(error)
    } else if matches!(error, Error::Refused(_)) {
        Failure::refused(error)
    } else {
        Failure::failed(error)
    }
}

fn observer(progress: ProgressBar) -> Observer {
    Arc::new(move |event| match event {
        Progress::Proving { coordinates } => progress.set_message(format!("proving {coordinates} coordinates")),
        Progress::Uploading { sent, total, .. } => {
            progress.set_message("uploading");
            progress.set_length(total);
            progress.set_position(sent);
        }
        Progress::Receipts { have, needed } => {
            progress.set_message("collecting receipts");
            progress.set_length(needed as u64);
            progress.set_position(have as u64);
        }
        Progress::NodeFailed(reason) | Progress::ChainFailed(reason) | Progress::UnknownReceipt(reason) => {
            progress.println(reason);
        }
        _ => {}
    })
}

/// Named tensors from a file.
pub(crate) fn read_tensors(file: &Path) -> Result<Tensors, Failure> {
    let bytes = std::fs::read(file).map_err(|error| Failure::usage(format!("cannot read {}: {error}", file.display())))?;
    Tensors::from_safetensors(&bytes).map_err(|error| Failure::usage(format!("{}: {error}", file.display())))
}

/// The digest of a base model: the subject of the rounds that train it.
pub(crate) fn model_digest(file: &Path) -> Result<B256, Failure> {
    Ok(read_tensors(file)?.model_digest())
}
