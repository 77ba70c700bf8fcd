//! Measurements on the user's own machine: the steps of [`stages`] on one core or more, and whole rounds in [`close`], each
//! with the machine's own limit from the same run.

mod close;
mod hospital;
mod peak;
mod stages;

use crate::commands::bench::Arguments;
use crate::failure::Failure;
use crate::output::write_json;
use consilium_core::params::Committee;
use consilium_core::simd::{self, InstructionSet};
use serde::Serialize;
use stages::Stages;
use std::time::Instant;

/// What is printed and written.
#[derive(Debug, Serialize)]
struct Report {
    machine: String,
    features: Vec<&'static str>,
    threads: u32,
    rows: Vec<Row>,
}

/// One step at one size.
#[derive(Debug, Serialize)]
struct Row {
    name: &'static str,
    d: u64,
    n: u32,
    t: u32,
    /// Half of the runs took at most this long.
    median_ms: f64,
    /// From the first to the third quartile.
    spread_ms: f64,
    /// What the machine needs for the step's unavoidable work alone.
    floor_ms: f64,
    ratio: f64,
    /// Most memory that the step took beyond what was there before, in units of the vector's 8d bytes; on Linux, for vectors
    /// larger than [`peak::KEPT`].
    #[serde(skip_serializing_if = "Option::is_none")]
    vectors: Option<f64>,
    /// What a site uploads, once, header and masked vector; with `prove` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
}

impl Row {
    fn new(name: &'static str, d: u64, committee: &Committee, times: &Times, floor_ms: f64) -> Self {
        let (median_ms, spread_ms) = (times.median(), times.spread());
        let (n, t) = (committee.n() as u32, committee.t() as u32);
        let vector = 8.0 * d as f64;
        let vectors = times.peak.filter(|_| vector > peak::KEPT).map(|bytes| bytes / vector);
        Self { name, d, n, t, median_ms, spread_ms, floor_ms, ratio: median_ms / floor_ms, vectors, bytes: None }
    }

    fn line(&self) -> String {
        let speed = 8.0 * self.d as f64 / self.median_ms / 1e6;
        let vectors = self.vectors.map_or_else(|| "-".to_owned(), |vectors| format!("{vectors:.1}"));
        let bytes = self.bytes.map_or_else(|| "-".to_owned(), |bytes| bytes.to_string());
        format!(
            "{:8} {:>11} {:>3} {:>2} {:>11.3} {:>9.3} {:>8.2} {:>10.3} {:>7.2} {vectors:>8} {bytes:>11}",
            self.name, self.d, self.n, self.t, self.median_ms, self.spread_ms, speed, self.floor_ms, self.ratio
        )
    }
}

/// Milliseconds of some runs, sorted, and the most memory of the first one in bytes.
struct Times {
    sorted: Vec<f64>,
    peak: Option<f64>,
}

impl Times {
    fn of(repeat: u32, mut work: impl FnMut()) -> Self {
        Self::with(repeat, || Some(()), |()| work())
    }

    /// Of work on what `prepare` makes for each run, untimed; no times if it makes nothing.
    fn with<T>(repeat: u32, mut prepare: impl FnMut() -> Option<T>, mut work: impl FnMut(T)) -> Self {
        let peak = prepare().and_then(|prepared| peak::of(|| work(prepared)));
        let mut run = |prepared| {
            let started = Instant::now();
            work(prepared);
            started.elapsed().as_secs_f64() * 1e3
        };
        Self { peak, ..Self::new((0..repeat).map_while(|_| prepare().map(&mut run)).collect()) }
    }

    fn new(mut all: Vec<f64>) -> Self {
        all.sort_by(f64::total_cmp);
        Self { sorted: all, peak: None }
    }

    /// The time of each of `count` pieces of work that were done at once.
    fn each_of(mut self, count: usize) -> Self {
        self.sorted.iter_mut().for_each(|time| *time /= count as f64);
        self
    }

    fn quantile(&self, part: f64) -> f64 {
        self.sorted[((self.sorted.len() - 1) as f64 * part).round() as usize]
    }

    fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    fn spread(&self) -> f64 {
        self.quantile(0.75) - self.quantile(0.25)
    }
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let committee = Committee::new(arguments.nodes as usize, arguments.threshold as usize).map_err(Failure::usage)?;
    if let Some(set) = arguments.instructions {
        use_only(set)?;
    }
    let threads = arguments.threads;
    let mut report = Report { machine: machine(), features: simd::features(), threads, rows: Vec::new() };
    println!("{}; {}", report.machine, report.features.join(" "));
    println!("threads for prove, verify, release and unmask: {threads}; close takes all cores");
    println!("step               d   n  t   median ms    spread     GB/s   floor ms   ratio  vectors       bytes");
    let show = |report: &mut Report, row: Row| {
        println!("{}", row.line());
        report.rows.push(row);
    };
    for &d in &arguments.dimension {
        for row in Stages::new(&committee, d, &arguments)?.rows()? {
            show(&mut report, row);
        }
    }
    if arguments.close_sites > 0 {
        let row = close::row(&arguments, &committee).await?;
        show(&mut report, row);
    }
    println!("{EXPLAINED}");
    if let Some(file) = &arguments.json {
        write_json(file, &report)?;
    }
    Ok(())
}

const EXPLAINED: &str = "\
prove: a hospital's whole work on an update: clip, quantise, draw seeds, mask, prove, seal and sign
verify: a node's check of a contribution, whose share it adds to its running sum
release: what is left of that sum after certification: the output share and its root
GB/s: the vector's 8d bytes over the median
floor: prove and verify, the hash output that they expand at the speed of the hash; release and unmask, the vectors that \
they read and write at the speed of copying; close, one release and one unmask; both speeds on as many threads
vectors: the most memory that a step took beside its inputs, in units of 8d bytes, for vectors of more than 32 MiB; what \
smaller ones leave, the C library keeps for the next
bytes: what a hospital uploads once, header with sealed boxes and masked vector, counted on a whole message";

fn machine() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ").map(|(_, name)| name.to_owned()));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{} ({}), {cores} cores", name.unwrap_or_else(|| "unknown processor".to_owned()), std::env::consts::ARCH)
}

/// Keeps the process to one instruction set, which the processor must have.
fn use_only(set: InstructionSet) -> Result<(), Failure> {
    let widest = simd::in_use();
    simd::use_at_most(set);
    if simd::in_use() == set {
        return Ok(());
    }
    let (wanted, widest) = (set.name(), widest.name());
    Err(Failure::usage(format!("this processor has no {wanted}: take --instructions {widest} or leave it out")))
}
