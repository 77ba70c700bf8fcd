//! `consilium bench`: what a contribution costs on this machine, beside what the machine allows.

use crate::bench;
use crate::failure::Failure;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use consilium_core::simd::InstructionSet;
use std::path::PathBuf;

/// Measure proving, verifying, releasing, unmasking and closing a round on this machine.
///
/// Every figure stands beside its floor, measured in the same run: the time that the machine needs for nothing but
/// the hash output that a step expands, or for nothing but moving the bytes that it moves.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// Coordinates of the vectors, one or more, with spaces or commas between them.
    #[arg(long, num_args = 1.., value_delimiter = ',', default_values_t = [100_000, 1_000_000], value_parser = clap::value_parser!(u64).range(1..=200_000_000))]
    pub(crate) dimension: Vec<u64>,
    /// Number of committee nodes, n.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(4..=32))]
    pub(crate) nodes: u32,
    /// How many of them may be corrupt, t.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10))]
    pub(crate) threshold: u32,
    /// Threads that a step may use. A node verifies several contributions at once: that many, and the time is that of one
    /// of them.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) threads: u32,
    /// Use these instructions in this program's own loops, not the widest that the processor has.
    #[arg(long, value_name = "SET", value_parser = instruction_sets())]
    pub(crate) instructions: Option<InstructionSet>,
    /// Repetitions of every step.
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) repeat: u32,
    /// Hospitals in the rounds that are closed, over loopback with all nodes on this machine; 0 leaves that out.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub(crate) close_sites: u32,
    /// Coordinates in the rounds that are closed.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub(crate) close_dimension: u64,
    /// Write the figures to this file as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

fn instruction_sets() -> impl TypedValueParser<Value = InstructionSet> {
    let named = |name: String| InstructionSet::ALL.into_iter().find(|set| set.name() == name).ok_or("there is no such set");
    PossibleValuesParser::new(InstructionSet::ALL.map(InstructionSet::name)).try_map(named)
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    bench::run(arguments).await
}
