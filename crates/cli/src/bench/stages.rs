//! The steps of core: a site's proof, a node's verification, its release, and unmasking.

use super::hospital::{Hospital, Received, Sent, generator};
use super::{Row, Times};
use crate::commands::bench::Arguments;
use crate::failure::Failure;
use alloy_primitives::{Address, B256};
use consilium_core::cores::Cores;
use consilium_core::field::Fp;
use consilium_core::params::Committee;
use consilium_core::program::Program;
use consilium_core::release::{OutputShare, RunningSum};
use consilium_core::stream::Stream;
use consilium_core::unmask::unmask_on;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};

/// Words over which the machine's limits are measured: more than its caches hold.
const PROBE: usize = 8 << 20;
/// Bits of randomness that one coordinate takes in the rows' matrix: two a row.
const MATRIX_BYTES: f64 = 32.0;

/// What the machine can do on as many cores as a step has, in milliseconds a byte.
struct Limits {
    hash_output: f64,
    copy: f64,
}

impl Limits {
    fn measure(repeat: u32, cores: Cores) -> Self {
        let source = vec![1_u64; PROBE];
        let mut words = vec![0_u64; PROBE];
        let part = PROBE.div_ceil(cores.count());
        let mut measure = |work: &(dyn Fn(&mut [u64], &[u64]) + Sync)| {
            let times = Times::of(repeat, || {
                std::thread::scope(|scope| {
                    let parts = black_box(&mut words).chunks_mut(part).zip(black_box(&source).chunks(part));
                    parts.for_each(|(words, source)| drop(scope.spawn(|| work(words, source))));
                });
            });
            times.median() / (8.0 * PROBE as f64)
        };
        let hash_output = measure(&|words, _| Stream::new(&[1; 32], "values", &[2; 32]).fill_words(words));
        let copy = measure(&|words, source| words.copy_from_slice(source));
        Self { hash_output, copy }
    }
}

/// The steps at one size. One after the other, so that no more vectors lie in memory than the step needs that is measured.
pub(super) struct Stages<'a> {
    committee: &'a Committee,
    limits: Limits,
    repeat: u32,
    cores: Cores,
    hospital: Hospital,
}

impl<'a> Stages<'a> {
    pub(super) fn new(committee: &'a Committee, d: u64, arguments: &Arguments) -> Result<Self, Failure> {
        let cores = NonZeroUsize::new(arguments.threads as usize).map_or(Cores::ONE, Cores::new);
        let (repeat, hospital) = (arguments.repeat, Hospital::new(committee, d)?);
        Ok(Self { committee, limits: Limits::measure(repeat, cores), repeat, cores, hospital })
    }

    /// `prove`, `verify`, `release` and `unmask`.
    pub(super) fn rows(&self) -> Result<Vec<Row>, Failure> {
        let update = self.hospital.update();
        let expected = self.hospital.expected(self.cores, &update)?;
        let (proving, message) = self.proving(&update)?;
        drop(update);
        let received = self.hospital.receive(message)?;
        let mut rows = vec![proving, self.verifying(&received)];
        rows.extend(self.closing_of(received, expected)?);
        Ok(rows)
    }

    /// `release` and `unmask`.
    pub(super) fn closing(&self) -> Result<[Row; 2], Failure> {
        let update = self.hospital.update();
        let expected = self.hospital.expected(self.cores, &update)?;
        let message = self.hospital.contribute(self.cores, &update)?;
        drop(update);
        self.closing_of(self.hospital.receive(message)?, expected)
    }

    fn proving(&self, update: &[f64]) -> Result<(Row, Sent), Failure> {
        let mut last = None;
        let row = self.row("prove", self.expanded(self.committee.excluded().len()), || {
            drop(last.take());
            last = Some(self.hospital.contribute(self.cores, update));
        });
        let message = last.ok_or_else(|| Failure::usage("nothing was repeated"))??;
        Ok((Row { bytes: Some(message.uploaded()), ..row }, message))
    }

    fn verifying(&self, received: &Received<'_>) -> Row {
        let (sum, sites) = (received.empty_sum(), AtomicU64::new(0));
        let verify = || {
            let site = sites.fetch_add(1, Ordering::Relaxed).to_be_bytes();
            drop(black_box(received.verify(1, &sum, Address::left_padding_from(&site))));
        };
        // What the sum takes is not this step's: it is there while a round collects.
        verify();
        let times = Times::of(self.repeat, || {
            std::thread::scope(|scope| {
                (1..self.cores.count()).for_each(|_| drop(scope.spawn(verify)));
                verify();
            });
        });
        let floor = self.expanded(self.committee.seeds_of(1).count());
        Row::new("verify", self.d(), self.committee, &times.each_of(self.cores.count()), floor)
    }

    fn closing_of(&self, received: Received<'_>, expected: B256) -> Result<[Row; 2], Failure> {
        Ok([self.releasing(&received)?, self.unmasking(received, expected)?])
    }

    fn releasing(&self, received: &Received<'_>) -> Result<Row, Failure> {
        let release = |sum: &RunningSum| sum.release(&received.cohort).map(|share| share.root_on(self.cores));
        release(&received.running_sum(1)?).map_err(Failure::failed)?;
        let times = Times::with(self.repeat, || received.running_sum(1).ok(), |sum| drop(black_box(release(&sum))));
        Ok(Row::new("release", self.d(), self.committee, &times, self.vector() * self.limits.copy))
    }

    fn unmasking(&self, received: Received<'_>, expected: B256) -> Result<Row, Failure> {
        let needed = self.committee.agreement();
        let share = |node| received.running_sum(node)?.release(&received.cohort).map_err(Failure::failed);
        let shares: BTreeMap<usize, OutputShare> =
            (1..=needed).map(|node| Ok((node, share(node)?))).collect::<Result<_, Failure>>()?;
        drop(received);
        let served: BTreeMap<usize, &[Fp]> = shares.iter().map(|(node, share)| (*node, share.values())).collect();
        if unmask_on(self.cores, self.committee, &served, &mut generator()).map_err(Failure::failed)?.root() != expected {
            return Err(Failure::wrong("the unmasked sum is not what went in"));
        }
        let floor = (needed + 1) as f64 * self.vector() * self.limits.copy;
        Ok(self.row("unmask", floor, || {
            let _root = black_box(unmask_on(self.cores, self.committee, &served, &mut generator()).map(|sum| sum.root()));
        }))
    }

    fn row(&self, name: &'static str, floor_ms: f64, work: impl FnMut()) -> Row {
        Row::new(name, self.d(), self.committee, &Times::of(self.repeat, work), floor_ms)
    }

    fn d(&self) -> u64 {
        self.hospital.program().dimension() as u64
    }

    fn vector(&self) -> f64 {
        8.0 * self.d() as f64
    }

    /// Milliseconds for the output of some mask streams and the matrix.
    fn expanded(&self, streams: usize) -> f64 {
        (streams as f64 * self.vector() + MATRIX_BYTES * self.d() as f64) * self.limits.hash_output
    }
}
