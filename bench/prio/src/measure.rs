//! Timing and the form of the figures, the same as that of `bench/python`.

use crate::Size;
use serde::Serialize;
use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

/// One step of one peer.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    peer: String,
    /// What is measured, in words.
    step: &'static str,
    /// The step of ours that it stands beside: `prove`, `verify` or `unmask`.
    beside: &'static str,
    d: usize,
    runs: u32,
    /// Half of the runs took at most this long.
    median_ms: f64,
    /// From the first to the third quartile.
    spread_ms: f64,
    /// Bytes that a site uploads; only on a site's row.
    bytes: Option<usize>,
    /// The largest resident memory of the process that played all parties one after another.
    pub(crate) memory_bytes: Option<u64>,
}

impl Row {
    /// Run `work`, which the caller has run once before, `size.repeat` times.
    ///
    /// # Errors
    /// Whatever the first failing run says.
    pub(crate) fn measure<T>(
        peer: &str,
        (step, beside): (&'static str, &'static str),
        size: Size,
        work: impl Fn() -> Result<T, Box<dyn Error>>,
    ) -> Result<Self, Box<dyn Error>> {
        let mut times = Vec::new();
        for _ in 0..size.repeat {
            let started = Instant::now();
            let result = black_box(work()?);
            times.push(started.elapsed().as_secs_f64() * 1e3);
            drop(result);
        }
        times.sort_by(f64::total_cmp);
        let quantile = |part: f64| times[((times.len() - 1) as f64 * part).round() as usize];
        Ok(Self {
            peer: peer.to_owned(),
            step,
            beside,
            d: size.d,
            runs: size.repeat,
            median_ms: quantile(0.5),
            spread_ms: quantile(0.75) - quantile(0.25),
            bytes: None,
            memory_bytes: None,
        })
    }

    /// The same row with what a site uploads.
    pub(crate) fn uploading(self, bytes: usize) -> Self {
        Self { bytes: Some(bytes), ..self }
    }
}

/// What a site sends: the part that everybody gets, and one share an aggregator.
pub(crate) struct Upload {
    pub(crate) public: Vec<u8>,
    pub(crate) shares: Vec<Vec<u8>>,
}

impl Upload {
    /// Bytes of all messages to all aggregators; each gets the public part.
    pub(crate) fn len(&self) -> usize {
        self.shares.iter().map(|share| share.len() + self.public.len()).sum()
    }
}

/// The names of an aggregator's step. The first gets a share in full, the second a seed.
pub(crate) const AGGREGATOR: [(&str, &str); 2] =
    [("leader checks one contribution", "verify"), ("helper checks one contribution", "verify")];
/// The name of a site's step.
pub(crate) const SITE: (&str, &str) = ("site shards and proves", "prove");
/// The name of the collector's step.
pub(crate) const COLLECTOR: (&str, &str) = ("collector adds the two aggregate shares", "unmask");

/// The largest resident memory of this process in bytes, where the system tells.
pub(crate) fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}
