//! How long unmasking takes when t nodes lie: `cargo bench -p consilium-core --bench liars`.
//!
//! The liars are the first t nodes, each wrong in the last coordinate alone: their shares look right until the end. Honest
//! nodes and liars run in turn, so that a machine that others use too slows both alike. The lowest of all times is shown, and the
//! median of what each run with liars took beside the run before it: more than [`MOST`] is a failure.
//! Arguments: the dimension, how often, and the number of cores.

use consilium_core::cores::Cores;
use consilium_core::field::{self, Fp};
use consilium_core::params::Committee;
use consilium_core::stream::Stream;
use consilium_core::unmask::unmask_on;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Instant;

const COMMITTEES: [(usize, usize); 3] = [(5, 1), (9, 2), (13, 3)];

/// What liars may cost, as a multiple of the honest time.
const MOST: f64 = 1.5;

/// The output shares of all nodes, and those that the first t serve when they lie.
struct Shares {
    committee: Committee,
    right: Vec<Vec<Fp>>,
    wrong: Vec<Vec<Fp>>,
}

impl Shares {
    fn new((n, t): (usize, usize), d: usize) -> Self {
        let coefficients: Vec<Vec<Fp>> = (0..=t).map(|e| Stream::new(&[e as u8; 32], "values", &[]).elements(d)).collect();
        let vectors: Vec<&[Fp]> = coefficients.iter().map(Vec::as_slice).collect();
        let share = |node: usize| {
            let powers: Vec<Fp> = (0..=t).map(|e| Fp::reduce(node as u64).power(e as u64)).collect();
            let mut share = vec![Fp::ZERO; d];
            field::add_products(&mut share, &powers, &vectors);
            share
        };
        let right: Vec<Vec<Fp>> = (1..=n).map(share).collect();
        let mut wrong = right[..t].to_vec();
        wrong.iter_mut().for_each(|share| share[d - 1] += Fp::ONE);
        Self { committee: Committee::new(n, t).unwrap(), right, wrong }
    }

    /// What the first `count` nodes serve.
    fn served(&self, count: usize, lying: bool) -> BTreeMap<usize, &[Fp]> {
        let liars = if lying { self.wrong.len() } else { 0 };
        let served = self.wrong[..liars].iter().chain(&self.right[liars..]).take(count);
        served.enumerate().map(|(i, share)| (i + 1, share.as_slice())).collect()
    }

    fn milliseconds(&self, cores: Cores, served: &BTreeMap<usize, &[Fp]>) -> f64 {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let started = Instant::now();
        black_box(unmask_on(cores, &self.committee, served, &mut rng).unwrap());
        started.elapsed().as_secs_f64() * 1e3
    }

    /// The lowest times with honest nodes and with liars, of `count` served shares, and the median ratio.
    fn measured(&self, cores: Cores, count: usize, repeat: usize) -> [f64; 3] {
        let pair = |_| [false, true].map(|lying| self.milliseconds(cores, &self.served(count, lying)));
        let runs: Vec<[f64; 2]> = (0..repeat).map(pair).collect();
        let lowest = |i: usize| runs.iter().map(|run| run[i]).fold(f64::INFINITY, f64::min);
        let mut ratios: Vec<f64> = runs.iter().map(|[honest, lying]| lying / honest).collect();
        ratios.sort_by(f64::total_cmp);
        [lowest(0), lowest(1), ratios[repeat / 2]]
    }
}

fn main() -> ExitCode {
    let numbers: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let number = |i: usize, default| numbers.get(i).copied().unwrap_or(default).max(1);
    let (d, repeat) = (number(0, 1_000_000), number(1, 9));
    let cores = Cores::new(NonZeroUsize::new(number(2, 1)).unwrap());
    println!("d = {d}, {} cores, {repeat} runs", cores.count());
    println!(" n  t  served    honest   t liars   ratio");
    let mut holds = true;
    for (n, t) in COMMITTEES {
        let shares = Shares::new((n, t), d);
        for count in [3 * t + 1, n] {
            let [honest, lying, ratio] = shares.measured(cores, count, repeat);
            println!("{n:2} {t:2} {count:7} {honest:6.1} ms {lying:6.1} ms {ratio:7.2}");
            holds &= ratio <= MOST;
        }
    }
    if holds {
        return ExitCode::SUCCESS;
    }
    eprintln!("liars cost more than {MOST} times the honest time");
    ExitCode::FAILURE
}
