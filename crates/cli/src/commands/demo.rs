//! `consilium demo`: the whole product on one machine, on real data.

use crate::demo;
use crate::failure::Failure;
use std::path::PathBuf;

/// One hundred hospitals train one model, and nobody sees anyone's update.
///
/// Nodes run as child processes, each with its own key, folder and port; sites talk to them over loopback HTTP; the
/// contracts run on the embedded chain. In a marked part four sites cheat, one node lies and one is killed.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// Number of hospitals.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(2..=10_000))]
    pub(crate) sites: u32,
    /// Number of committee nodes, n.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(4..=32))]
    pub(crate) nodes: u32,
    /// How many of them may be corrupt, t.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10))]
    pub(crate) threshold: u32,
    /// Rounds of federated averaging.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) rounds: u32,
    /// Fixes the split of patients, the first model and the order of training.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Skew of labels between hospitals: Dirichlet concentration, small is skewed.
    #[arg(long, default_value_t = 0.5)]
    pub(crate) alpha: f64,
    /// Units of the hidden layer.
    #[arg(long, default_value_t = 32)]
    pub(crate) hidden: usize,
    /// Data: a folder of IDX files (gzipped or not) or a MedMNIST .npz; the built-in LIDC nodules if not given.
    #[arg(long, value_name = "PATH")]
    pub(crate) data: Option<PathBuf>,
    /// Use this chain instead of the embedded one; needs --key of a funded account.
    #[arg(long, value_name = "URL", requires = "key")]
    pub(crate) rpc: Option<String>,
    /// Key file of the sponsor on --rpc; it pays for everything.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// Write the figures to this file as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Leave chain and nodes running at the end, until Ctrl-C.
    #[arg(long)]
    pub(crate) serve: bool,
    /// Leave out the cheating sites, the lying node and the killed node.
    #[arg(long)]
    pub(crate) honest: bool,
    /// Folder for keys, logs and stores; a temporary one, in memory if there is plenty, if not given.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

impl Arguments {
    /// Rounds of this many hospitals and nodes on the embedded chain, with nothing special about them.
    pub(crate) fn bare(sites: u32, nodes: u32, threshold: u32, rounds: u32) -> Self {
        let (seed, alpha, hidden) = (1, 0.5, 32);
        let (data, rpc, key, json, dir) = (None, None, None, None, None);
        Self { sites, nodes, threshold, rounds, seed, alpha, hidden, data, rpc, key, json, serve: false, honest: true, dir }
    }
}

/// Products of small matrices: threads inside one of them cost more than they give, and without this the library that
/// trains counts the machine's cores anew for each.
const ONE_THREAD: (&str, &str) = ("RAYON_NUM_THREADS", "1");

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    #[cfg(unix)]
    if std::env::var_os(ONE_THREAD.0).is_none() {
        use std::os::unix::process::CommandExt;
        let mut again = std::process::Command::new(std::env::current_exe()?);
        let error = again.args(std::env::args_os().skip(1)).env(ONE_THREAD.0, ONE_THREAD.1).exec();
        tracing::warn!(%error, "the demo could not be started with one thread a matrix product and is slower");
    }
    demo::run(arguments).await
}
