//! Does one step of the protocol with its secrets marked undefined, for memcheck, which then reports every branch and
//! every address that depends on a secret: `constant_time STEP [portable]`, one of [`STEPS`]. `.ci/constant-time.py` runs it and
//! judges what is reported; without valgrind nothing is marked.
//!
//! Memcheck does not know what the protocol makes public: to it, a masked vector is as undefined as its mask, and so is the
//! public matrix, which a hash of the masked vector gives. The steps `witness` have a matrix that is public to memcheck too.

#![allow(unsafe_code, reason = "one instruction sequence tells valgrind about memory; it does nothing elsewhere")]

use alloy_primitives::{Address, B256};
use consilium_core::contribution::Body;
use consilium_core::cores::Cores;
use consilium_core::encode::{Encoded, encode, encode_choice};
use consilium_core::field::{Fp, to_bytes};
use consilium_core::mask::{Seed, Seeds};
use consilium_core::params::{Committee, CommitteeMembers, Member};
use consilium_core::program::{OneHot, Program, WeightedMean};
use consilium_core::prove::prove;
use consilium_core::seal::{KemSecret, seal_boxes};
use consilium_core::simd::{self, InstructionSet};
use consilium_core::stream::Stream;
use consilium_core::verify::Verifier;
use core::convert::Infallible;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng, TryCryptoRng, TryRng};
use std::collections::BTreeMap;
use std::hint::black_box;

/// More than a block of every loop, and no multiple of any.
const D: usize = 1_337;
const WEIGHT: u64 = 100;
const CHOICE: usize = 17;
const CTX: B256 = B256::repeat_byte(2);
const DEVICE_SECRET: [u8; 32] = [9; 32];

/// Memcheck's request to take memory for undefined.
const MAKE_UNDEFINED: usize = 0x4d43_0001;

/// Tells memcheck that memory is undefined.
#[inline(never)]
fn mark(start: *const (), bytes: usize) {
    let request = [MAKE_UNDEFINED, start as usize, bytes, 0, 0, 0];
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the rotations add up to 128 bits and the exchange is of a register with itself, so that a processor does nothing.
    // Valgrind knows the sequence, reads the six words at rax and writes its answer to rdx.
    unsafe {
        core::arch::asm!(
            "rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
            in("rax") &raw const request, inout("rdx") 0_usize => _,
        );
    }
    black_box(request);
}

/// The value, as a secret. It has been where it could have been changed, so that the compiler knows nothing of it.
#[inline(never)]
fn hidden<T: Copy>(mut value: T) -> T {
    mark((&raw mut value).cast(), size_of::<T>());
    value
}

/// Marks a vector that the core made.
fn secret<T>(values: &[T]) {
    mark(values.as_ptr().cast(), size_of_val(values));
}

/// A generator whose bytes are secrets.
struct SecretRng(ChaCha20Rng);

impl TryRng for SecretRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(hidden(self.0.next_u32()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(hidden(self.0.next_u64()))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill_bytes(bytes);
        secret(bytes);
        Ok(())
    }
}

impl TryCryptoRng for SecretRng {}

/// A committee, a study and a ballot, with everything public until a step marks it.
struct Sample {
    committee: Committee,
    program: WeightedMean,
    ballot: OneHot,
    update: Vec<f64>,
    rng: SecretRng,
}

impl Sample {
    fn new() -> Self {
        let program = WeightedMean::new(D as u64, 25, 8, WeightedMean::PRODUCTION_TESTS, 1.0).unwrap();
        let update = (0..D).map(|k| ((k * 7919 % 100) as f64 - 50.0) / 500.0).collect();
        let (committee, ballot) = (Committee::new(5, 1).unwrap(), OneHot::new(50).unwrap());
        Self { committee, program, ballot, update, rng: SecretRng(ChaCha20Rng::seed_from_u64(1)) }
    }

    fn encoded(&self) -> Encoded {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        encode(&self.program, &CTX, &self.update, WEIGHT, &DEVICE_SECRET, &mut rng).unwrap()
    }

    fn seeds(&self, input: &Encoded) -> Seeds {
        Seeds::draw(&self.committee, &CTX, input.values(), &DEVICE_SECRET, &mut ChaCha20Rng::seed_from_u64(3))
    }

    /// Update, weight, device secret and fresh bytes.
    fn encode(&mut self) {
        secret(&self.update);
        drop(black_box(encode(&self.program, &CTX, &self.update, hidden(WEIGHT), &hidden(DEVICE_SECRET), &mut self.rng)));
    }

    /// Input, device secret and fresh bytes.
    fn draw_seeds(&mut self) {
        let input = self.encoded();
        secret(input.values());
        drop(black_box(Seeds::draw(&self.committee, &CTX, input.values(), &hidden(DEVICE_SECRET), &mut self.rng)));
    }

    /// Input and weight, with a matrix that is public as memcheck sees it.
    fn witness(&self, program: &dyn Program, input: &Encoded) {
        secret(input.values());
        let mut rows = Stream::new(&[5; 32], "rows", &[]);
        drop(black_box(program.witness(input.values(), hidden(input.weight()), &mut |block| rows.fill_bytes(block))));
    }

    /// Input, weight and seeds.
    fn prove(&self, program: &dyn Program, input: &Encoded) {
        let seeds = self.seeds(input);
        let input = Encoded::unchecked(input.values().to_vec(), hidden(input.weight()));
        secret(input.values());
        seeds.as_slice().iter().for_each(|seed| secret(seed.expose()));
        drop(black_box(prove(&self.committee, program, &CTX, &input, &seeds)));
    }

    /// Seeds and fresh bytes.
    fn seal(&mut self, input: &Encoded) {
        let member = |i: u8| Member { address: Address::repeat_byte(i), kem_key: KemSecret::from_bytes(&[i; 32]).public_key() };
        let committee = CommitteeMembers::new(self.committee.clone(), 1, (1..=5).map(member).collect()).unwrap();
        let seeds = self.seeds(input);
        seeds.as_slice().iter().for_each(|seed| secret(seed.expose()));
        drop(black_box(seal_boxes(Cores::ONE, &committee, [CTX; 2], &seeds, &mut self.rng)));
    }

    /// A node's seeds.
    fn verify(&self, program: &dyn Program, input: &Encoded) {
        let (seeds, node) = (self.seeds(input), 2);
        let proved = prove(&self.committee, program, &CTX, input, &seeds).unwrap();
        let (body, bytes) = (Body::from(&proved), to_bytes(&proved.values));
        let held: BTreeMap<usize, Seed> = self.committee.seeds_of(node).map(|i| (i, seeds.as_slice()[i].clone())).collect();
        held.values().for_each(|seed| secret(seed.expose()));
        let verifier = Verifier { committee: &self.committee, program, node };
        drop(black_box(verifier.verify(Address::ZERO, &CTX, &body, &bytes, &held)));
    }

    fn cast_ballot(&self) {
        drop(black_box(encode_choice(&self.ballot, hidden(CHOICE))));
    }
}

/// Depends on a secret by a branch and by an address: the check of the check.
fn leak() {
    let (bit, table) = (hidden(1_usize), black_box([3_u64, 5]));
    if bit == 1 {
        println!("a branch");
    }
    black_box(table[bit & 1]);
}

/// What can be done.
const STEPS: &str = "encode, ballot, seeds, witness, ballot-witness, prove, ballot-prove, seal, verify, ballot-verify, leak";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let argument = |i: usize| arguments.get(i).map_or("", String::as_str);
    if argument(2) == "portable" {
        simd::use_at_most(InstructionSet::Portable);
    }
    println!("{}", simd::in_use().name());
    let mut sample = Sample::new();
    let (encoded, ballot) =
        (sample.encoded(), Encoded::unchecked((0..50).map(|i| Fp::reduce((i == CHOICE).into())).collect(), 1));
    match argument(1) {
        "encode" => sample.encode(),
        "ballot" => sample.cast_ballot(),
        "seeds" => sample.draw_seeds(),
        "witness" => sample.witness(&sample.program, &encoded),
        "ballot-witness" => sample.witness(&sample.ballot, &ballot),
        "prove" => sample.prove(&sample.program, &encoded),
        "ballot-prove" => sample.prove(&sample.ballot, &ballot),
        "seal" => sample.seal(&encoded),
        "verify" => sample.verify(&sample.program, &encoded),
        "ballot-verify" => sample.verify(&sample.ballot, &ballot),
        "leak" => leak(),
        other => panic!("there is no step {other:?}: {STEPS}"),
    }
}
