//! Encoding, decoding, and the ball in which the mean of what is accepted lies.

use alloy_primitives::{Address, B256};
use consilium_core::contribution::Body;
use consilium_core::cores::Cores;
use consilium_core::encode::{Encoded, decode, encode, encode_choice, encode_on, error_bound};
use consilium_core::error::{EncodeError, InvalidParameters};
use consilium_core::field::{self, Fp};
use consilium_core::mask::Seeds;
use consilium_core::params::Committee;
use consilium_core::program::{OneHot, Program, WeightedMean};
use consilium_core::prove::prove;
use consilium_core::verify::Verifier;
use proptest::prelude::*;
use rand_core::SeedableRng;

type Rng = rand_chacha::ChaCha20Rng;

const CTX: B256 = B256::repeat_byte(4);
const SECRET: [u8; 32] = [3; 32];

fn study(d: u64) -> WeightedMean {
    WeightedMean::new(d, 25, 8, 128, 2.0).unwrap()
}

fn square_norm(values: &[Fp]) -> u128 {
    values.iter().map(|value| u128::from(value.signed().unsigned_abs()).pow(2)).sum()
}

/// Clip radii and magnitudes from one end of what is allowed to the other.
fn magnitude() -> impl Strategy<Value = f64> {
    prop_oneof![prop::sample::select(vec![1e-100, 1e-99, 1.0, 1e99, 1e100]), (-99i32..=99).prop_map(|e| 10f64.powi(e))]
}

/// A coordinate beside a clip radius: about as long, far shorter or longer, or at an end of the range of numbers.
fn coordinate(clip: f64) -> impl Strategy<Value = f64> {
    let ends = vec![0.0, -0.0, 5e-324, f64::MIN_POSITIVE, -1e-160, 1e-154, 9.9e99, -9.9e99, 1e100f64.next_down(), clip.min(9e99)];
    prop_oneof![
        3 => (-1.0f64..1.0, -3i32..3).prop_map(move |(v, e)| (v * clip * 10f64.powi(e)).clamp(-9e99, 9e99)),
        1 => prop::sample::select(ends),
    ]
}

fn update() -> impl Strategy<Value = (f64, Vec<f64>)> {
    let same = |clip: f64| (coordinate(clip), 1usize..1_500).prop_map(|(value, d)| vec![value; d]);
    let mixed = |clip: f64| prop::collection::vec(coordinate(clip), 1..200);
    magnitude().prop_flat_map(move |clip| (Just(clip), prop_oneof![same(clip), mixed(clip)]))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// ‖x‖ <= kappa·w, and there is a proof, whatever the update is: with every scale that a study may have for its dimension, the
    /// smallest and the largest weight, and clip radii from one end to the other.
    #[test]
    fn an_encoded_update_is_within_its_bound_and_provable((clip, update) in update(), kappa in 0u64..=25, b in 0u64..=16, largest: bool, seed: u64) {
        let d = update.len() as u64;
        let programs = (kappa..=25).filter_map(|kappa| WeightedMean::new(d, (kappa + b).min(25), b.min(25 - kappa), 128, clip).ok());
        let Some(program) = programs.into_iter().find(|program| program.check_production().is_ok()) else {
            return Err(TestCaseError::fail("kappa = 2^25 is enough for these dimensions"));
        };
        let weight = if largest { program.max_weight() } else { 1 };
        let encoded = encode(&program, &CTX, &update, weight, &SECRET, &mut Rng::seed_from_u64(seed)).unwrap();
        prop_assert!(square_norm(encoded.values()) <= u128::from(program.kappa() * weight).pow(2));
        let committee = Committee::new(4, 1).unwrap();
        let seeds = Seeds::draw(&committee, &CTX, encoded.values(), &SECRET, &mut Rng::seed_from_u64(seed));
        prop_assert!(prove(&committee, &program, &CTX, &encoded, &seeds).is_ok());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Encoding on several cores gives the same integers, and names the same place of what is not a number.
    #[test]
    fn several_cores_encode_as_one(length in 1usize..5_000, threads in 2usize..6, seed: u64, bad in prop::option::of(any::<[prop::sample::Index; 2]>())) {
        let program = study(length as u64);
        let mut update: Vec<f64> = (0..length).map(|i| (i as f64 + seed as f64).sin()).collect();
        let bad = bad.map(|bad| bad.map(|at| at.index(length)));
        for (i, at) in bad.into_iter().flatten().enumerate() {
            update[at] = [f64::NAN, f64::INFINITY, -1e100][(seed as usize).wrapping_add(i) % 3];
        }
        let cores = Cores::new(threads.try_into().unwrap());
        let one = encode(&program, &CTX, &update, 7, &SECRET, &mut Rng::seed_from_u64(seed));
        prop_assert_eq!(&encode_on(cores, &program, &CTX, &update, 7, &SECRET, &mut Rng::seed_from_u64(seed)), &one);
        match bad {
            Some([a, b]) => prop_assert_eq!(one, Err(EncodeError::NotFinite(a.min(b)))),
            None => prop_assert!(one.is_ok()),
        }
    }

    /// The mean of many sites differs from the exact one by less than the stated bound.
    #[test]
    fn a_decoded_mean_is_within_its_error(sites in prop::collection::vec((prop::collection::vec(-0.5f64..0.5, 6), 1u64..=256), 1..8), seed: u64) {
        let (program, mut rng) = (study(6), Rng::seed_from_u64(seed));
        let mut sum = vec![Fp::ZERO; 7];
        let mut exact = [0.0; 6];
        for (update, weight) in &sites {
            let encoded = encode(&program, &CTX, update, *weight, &SECRET, &mut rng).unwrap();
            let output = encoded.values().iter().copied().chain([Fp::reduce(*weight)]);
            sum.iter_mut().zip(output).for_each(|(sum, v)| *sum += v);
            exact.iter_mut().zip(update).for_each(|(mean, v)| *mean += v * *weight as f64);
        }
        let total: u64 = sites.iter().map(|(_, weight)| weight).sum();
        let bound = error_bound(&program, sites.len(), total);
        for (decoded, exact) in decode(&program, &sum).unwrap().iter().zip(exact) {
            let difference = (decoded - exact / total as f64).abs();
            prop_assert!(difference <= bound, "{difference} > {bound}");
        }
    }
}

/// Rounding is unbiased: the average of many encodings of 0.3 units is near 0.3, and below zero alike.
#[test]
fn rounding_is_unbiased() {
    let (program, mut rng) = (WeightedMean::new(1, 25, 8, 128, 1.0).unwrap(), Rng::seed_from_u64(1));
    let unit = 1.0 / (program.kappa() as f64 * program.shrink());
    let draws = 20_000;
    for value in [0.3, -0.3, 2.75, -2.75] {
        let mut one = || encode(&program, &CTX, &[value * unit], 1, &SECRET, &mut rng).unwrap().values()[0].signed();
        let total: i64 = (0..draws).map(|_| one()).sum();
        let mean = total as f64 / f64::from(draws);
        assert!((mean - value).abs() < 0.02, "{mean} is not {value}");
    }
}

#[test]
fn what_is_no_number_is_refused_by_its_place() {
    let program = study(3);
    for bad in [f64::NAN, f64::INFINITY, -f64::INFINITY, 1e100, -f64::MAX] {
        for place in 0..3 {
            let mut update = [0.5, 9.9e99, -5e-324];
            update[place] = bad;
            let refused = encode(&program, &CTX, &update, 1, &SECRET, &mut Rng::seed_from_u64(1));
            assert_eq!(refused, Err(EncodeError::NotFinite(place)), "{bad}");
        }
    }
}

#[test]
fn a_clip_radius_whose_squares_leave_the_numbers_is_refused_at_creation() {
    for clip in [1e-200, 1e-100f64.next_down(), 1e100f64.next_up(), 1e300, 0.0, -1.0, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE]
    {
        let Err(refused) = WeightedMean::new(3, 25, 8, 128, clip) else { panic!("{clip} is accepted") };
        assert!(refused.to_string().contains("from 1e-100 to 1e100"), "{refused}");
        assert_eq!(refused, InvalidParameters::Clip(format!("{clip:e}")));
    }
    for clip in [1e-100, 1e100] {
        assert!(WeightedMean::new(3, 25, 8, 128, clip).is_ok(), "{clip}");
    }
}

#[test]
fn a_ballot_has_at_most_sixteen_million_choices() {
    for d in [2, 1 << 24] {
        assert!(OneHot::new(d).is_ok(), "{d}");
    }
    for d in [0, 1, (1 << 24) + 1, 1 << 32] {
        let refused = OneHot::new(d).unwrap_err().to_string();
        assert!(refused.contains("2..=16777216 choices"), "{refused}");
    }
}

#[test]
fn a_ballot_is_one_at_its_choice_and_proved_only_if_it_is_a_ballot() {
    let ballot = OneHot::new(5).unwrap();
    for choice in 0..5 {
        let values: Vec<u64> = encode_choice(&ballot, choice).unwrap().values().iter().map(|value| value.value()).collect();
        assert_eq!(values, (0..5).map(|place| u64::from(place == choice)).collect::<Vec<_>>());
    }
    assert_eq!(encode_choice(&ballot, 5), Err(EncodeError::Choice { choices: 5, choice: 5 }));
    let has_witness = |values: [i128; 5]| ballot.witness(&values.map(Fp::from_signed), 1, &mut |_| {}).is_ok();
    assert!(has_witness([0, 0, 0, 1, 0]));
    for wrong in
        [[0; 5], [1, 0, 1, 0, 0], [1, 1, 1, 0, 0], [2, -1, 0, 0, 0], [0, 3, 0, 0, 0], [-1, 1, 1, 0, 0], [1 << 62, 1, 0, 0, 0]]
    {
        assert!(!has_witness(wrong), "{wrong:?}");
    }
}

/// How many of five nodes accept an input, and the norm of its mean.
fn accepted(program: &WeightedMean, input: &Encoded) -> (usize, f64) {
    let committee = Committee::new(5, 1).unwrap();
    let seeds = Seeds::draw(&committee, &CTX, input.values(), &SECRET, &mut Rng::seed_from_u64(1));
    let proved = prove(&committee, program, &CTX, input, &seeds).unwrap();
    let (body, bytes) = (Body::from(&proved), field::to_bytes(&proved.values));
    let accepts = |node: &usize| {
        let held = committee.seeds_of(*node).map(|number| (number, seeds.as_slice()[number].clone())).collect();
        let verifier = Verifier { committee: &committee, program, node: *node };
        verifier.verify(Address::ZERO, &CTX, &body, &bytes, &held).is_ok()
    };
    let mut aggregate = input.values().to_vec();
    aggregate.push(Fp::reduce(input.weight()));
    let mean = decode(program, &aggregate).unwrap();
    ((1..=5).filter(accepts).count(), mean.iter().map(|v| v * v).sum::<f64>().sqrt())
}

/// A cheat needs no rounding and may use the room that is left for it. That is all that it gains, and the proof allows no more.
#[test]
fn the_mean_of_what_is_accepted_lies_in_the_ball_of_radius_c_over_1_minus_e() {
    for (d, s, b, radius) in [(1_000_000, 25, 8, 1.000_044), (260_100, 10, 0, 1.0375), (181_000, 25, 16, 1.111)] {
        let program = WeightedMean::new(d, s, b, 128, 1.0).unwrap();
        program.check_production().unwrap();
        let (weight, bound) = (program.max_weight(), program.kappa() * program.max_weight());
        let mut values = vec![Fp::ZERO; d as usize];
        values[5] = Fp::reduce(bound);
        let (nodes, norm) = accepted(&program, &Encoded::unchecked(values.clone(), weight));
        assert_eq!(nodes, 5);
        assert!((norm * program.shrink() - 1.0).abs() < 1e-12 && norm < radius, "{norm} at d = {d}");
        // A little outside of the ball there is no proof.
        values[7] = Fp::ONE;
        let seeds = Seeds::draw(&Committee::new(5, 1).unwrap(), &CTX, &values, &SECRET, &mut Rng::seed_from_u64(1));
        let outside = Encoded::unchecked(values, weight);
        let refused = prove(&Committee::new(5, 1).unwrap(), &program, &CTX, &outside, &seeds);
        assert!(matches!(refused, Err(EncodeError::Constraint(_))));
    }
}

#[test]
fn a_study_whose_ball_would_be_a_ninth_larger_than_its_clip_radius_is_refused() {
    for (d, s, b, allowed) in [
        (1_000_000, 25, 8, true),
        (100_000_000, 25, 8, true),
        (200_000_000, 25, 8, true),
        (4_000_000, 20, 8, true),
        (260_100, 10, 0, true),
        (260_100, 9, 0, false),
        (1 << 32, 25, 8, true),
        (1 << 32, 25, 9, false),
        (1, 5, 0, false),
        (1, 6, 0, true),
    ] {
        let program = WeightedMean::new(d, s, b, 128, 1.0).unwrap();
        let checked = program.check_production();
        assert_eq!(checked.is_ok(), allowed, "d = {d}, s = {s}, b = {b}: 1 - e = {}", program.shrink());
        assert!(!allowed || 1.0 / program.shrink() < 10.0 / 9.0);
        let update = vec![0.0; if d < 1 << 20 { d as usize } else { 0 }];
        if !update.is_empty() {
            let encoded = encode(&program, &CTX, &update, 1, &SECRET, &mut Rng::seed_from_u64(1));
            assert_eq!(encoded.is_ok(), allowed);
        }
    }
}
