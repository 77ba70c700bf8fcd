//! How the steps scale with the dimension and with the cores: `cargo bench -p consilium-core --bench scaling`.
//!
//! All that is compared runs in turn, again and again, so that a machine that others use too slows all of it alike.
//! The lowest of all times counts. Arguments: the smaller dimension, how many times larger the other one is, how often,
//! the greatest number of cores, and names of steps if not all are wanted.

mod sample;

use consilium_core::cores::Cores;
use consilium_core::encode::Encoded;
use consilium_core::release::{OutputShare, RunningSum};
use sample::Sample;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::time::Instant;

/// One dimension with what its steps start from.
struct Size {
    sample: Sample,
    /// What is verified is added to it.
    sum: RunningSum,
    served: BTreeMap<usize, OutputShare>,
}

impl Size {
    fn new(d: usize) -> Self {
        let sample = Sample::new(d);
        Self { sum: sample.empty_sum(), served: sample.served(), sample }
    }

    /// Does one step; verification of as many contributions as there are cores counts as one.
    fn step(&self, name: &str, cores: Cores, input: Option<Encoded>, sum: &RunningSum) {
        match name {
            "contribute" => drop(black_box(self.sample.contribute(cores))),
            "prove" => drop(black_box(input.map(|input| self.sample.prove(cores, input)))),
            "verify" => std::thread::scope(|scope| {
                (1..cores.count()).for_each(|_| drop(scope.spawn(|| self.sample.verify(1, &self.sum))));
                self.sample.verify(1, &self.sum);
            }),
            "release" => drop(black_box(self.sample.release(cores, sum))),
            _ => drop(black_box(self.sample.unmask(cores, &self.served))),
        }
    }

    fn milliseconds(&self, name: &str, cores: Cores) -> f64 {
        let sum = if name == "release" { self.sample.running_sum(1) } else { self.sum.clone() };
        let input = (name == "prove").then(|| self.sample.encoded());
        let started = Instant::now();
        self.step(name, cores, input, &sum);
        let work = if name == "verify" { cores.count() } else { 1 };
        started.elapsed().as_secs_f64() * 1e3 / work as f64
    }
}

fn lowest(all: Vec<f64>) -> f64 {
    all.into_iter().fold(f64::INFINITY, f64::min)
}

fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let number = |i: usize, default| numbers.get(i).copied().unwrap_or(default).max(1);
    let (d, times, repeat) = (number(0, 1_000_000), number(1, 10), number(2, 15));
    let many = Cores::new(NonZeroUsize::new(number(3, Cores::all().count())).unwrap());
    let (small, large) = (Size::new(d), Size::new(d * times));
    println!("d = {d} and {}, {} cores, lowest of {repeat} runs", d * times, many.count());
    println!("step          one core   many   ratio     large   ratio/{times}   large, many   ratio");
    let asked = |name: &&str| std::env::args().any(|argument| argument == *name);
    let all = ["contribute", "prove", "verify", "release", "unmask"];
    for name in all.into_iter().filter(|name| asked(name) || !all.iter().any(asked)) {
        let mut runs: [Vec<f64>; 4] = Default::default();
        for _ in 0..repeat {
            let setups = [(&small, Cores::ONE), (&small, many), (&large, Cores::ONE), (&large, many)];
            setups.iter().zip(&mut runs).for_each(|((size, cores), times)| times.push(size.milliseconds(name, *cores)));
        }
        let [one, two, big, big_two] = runs.map(lowest);
        println!(
            "{name:10} {one:8.1} ms {two:6.1}   {:5.2} {big:9.1}   {:8.3} {big_two:13.1}   {:5.2}",
            one / two,
            big / one / times as f64,
            big / big_two
        );
    }
}
