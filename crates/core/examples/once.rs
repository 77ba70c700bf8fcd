//! Does one step a number of times, for a tool that counts instructions: `once contribute|prove|verify|release|unmask|none TIMES
//! [portable]`. `.ci/instructions.py` runs it.

#[path = "../benches/sample/mod.rs"]
mod sample;

use consilium_core::cores::Cores;
use consilium_core::simd::{self, InstructionSet};
use sample::Sample;
use std::hint::black_box;

/// Small, as counting is slow; all blocks of the inner loops are full and there are dozens of them.
const D: usize = 16_384;
/// Most times that a step is done.
const MOST: usize = 3;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let argument = |i: usize| arguments.get(i).map_or("", String::as_str);
    if argument(3) == "portable" {
        simd::use_at_most(InstructionSet::Portable);
    }
    let times = argument(2).parse().unwrap_or(1).min(MOST);
    let sample = Sample::new(D);
    let (sum, served) = (sample.empty_sum(), sample.served());
    // The same preparation whatever is asked for.
    let mut sums: Vec<_> = (0..MOST).map(|_| sample.running_sum(1)).collect();
    println!("{}", simd::in_use().name());
    for _ in 0..times {
        match argument(1) {
            "contribute" => drop(black_box(sample.contribute(Cores::ONE))),
            "prove" => drop(black_box(sample.prove(Cores::ONE, sample.encoded()))),
            "verify" => sample.verify(1, &sum),
            "release" => drop(sums.pop().map(|sum| black_box(sample.release(Cores::ONE, &sum)))),
            "unmask" => drop(black_box(sample.unmask(Cores::ONE, &served))),
            other => panic!("there is no step {other:?}"),
        }
    }
}
