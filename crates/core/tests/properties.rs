//! Properties that hold for all inputs, and what any tamper must meet.

use alloy_primitives::{Address, B256};
use consilium_core::certify::{Cohort, SetMember};
use consilium_core::contribution::Body;
use consilium_core::cores::Cores;
use consilium_core::encode::{Encoded, encode, encode_choice};
use consilium_core::error::Rejection;
use consilium_core::field::{self, Fp};
use consilium_core::mask::{Seed, Seeds};
use consilium_core::params::Committee;
use consilium_core::program::{OneHot, Program, WeightedMean};
use consilium_core::prove::{prove, prove_on, prove_with, rows_stream};
use consilium_core::release::{NotReleased, RunningSum, SetMismatch};
use consilium_core::unmask::unmask;
use consilium_core::verify::{Accepted, Verifier};
use proptest::prelude::*;
use rand_core::SeedableRng;
use std::collections::BTreeMap;

type Rng = rand_chacha::ChaCha20Rng;

const COMMITTEES: [(usize, usize); 4] = [(4, 1), (5, 1), (6, 1), (9, 2)];

fn weighted(d: u64) -> WeightedMean {
    WeightedMean::new(d, 25, 8, 128, 2.0).unwrap()
}

/// One contribution with everybody's seeds.
struct Made {
    committee: Committee,
    program: Box<dyn Program>,
    ctx: B256,
    body: Body,
    values: Vec<u8>,
    seeds: Seeds,
}

impl Made {
    fn new((n, t): (usize, usize), d: u64, ballot: bool, seed: u64) -> Self {
        let (committee, ctx) = (Committee::new(n, t).unwrap(), B256::repeat_byte(seed as u8));
        let program: Box<dyn Program> = if ballot { Box::new(OneHot::new(d + 1).unwrap()) } else { Box::new(weighted(d)) };
        let input = Self::input(d, ballot, seed);
        let mut rng = Rng::seed_from_u64(seed ^ 1);
        let seeds = Seeds::draw(&committee, &ctx, input.values(), &[3; 32], &mut rng);
        let proved = prove(&committee, &*program, &ctx, &input, &seeds).unwrap();
        let values = field::to_bytes(&proved.values);
        Self { committee, program, ctx, body: Body::from(&proved), values, seeds }
    }

    /// What such a site puts in.
    fn input(d: u64, ballot: bool, seed: u64) -> Encoded {
        if ballot {
            return encode_choice(&OneHot::new(d + 1).unwrap(), (seed % (d + 1)) as usize).unwrap();
        }
        let update: Vec<f64> = (0..d).map(|i| (i as f64 * 0.37 + seed as f64).sin()).collect();
        encode(&weighted(d), &B256::ZERO, &update, 1 + seed % 256, &[3; 32], &mut Rng::seed_from_u64(seed)).unwrap()
    }

    fn accepting(&self, body: &Body, values: &[u8]) -> usize {
        let accepts = |node: &usize| {
            let held: BTreeMap<usize, Seed> =
                self.committee.seeds_of(*node).map(|number| (number, self.seeds.as_slice()[number].clone())).collect();
            let verifier = Verifier { committee: &self.committee, program: &*self.program, node: *node };
            verifier.verify(Address::ZERO, &self.ctx, body, values, &held).is_ok()
        };
        (1..=self.committee.n()).filter(accepts).count()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_proof_is_the_same_on_any_number_of_cores(
        sizes in prop::sample::select(COMMITTEES.to_vec()), d in 1u64..40_000, ballot: bool, threads in 2usize..6, seed: u64,
    ) {
        let Made { committee, program, ctx, body, values, seeds } = Made::new(sizes, d, ballot, seed);
        let mut plain = Made::input(d, ballot, seed);
        let cores = Cores::new(threads.try_into().unwrap());
        let proved = prove_on(cores, &committee, &*program, &ctx, &mut plain, &seeds).unwrap();
        prop_assert!(plain.values().is_empty(), "it is used up");
        prop_assert_eq!(field::to_bytes(&proved.values), values);
        prop_assert_eq!(Body::from(&proved), body);
    }

    #[test]
    fn an_input_that_has_no_proof_is_left_as_it_is(sizes in prop::sample::select(COMMITTEES.to_vec()), d in 2u64..3_000, seed: u64) {
        let Made { committee, program, ctx, seeds, .. } = Made::new(sizes, d, true, seed);
        let wrong = Encoded::unchecked(vec![Fp::ONE; d as usize], 1);
        let mut given = wrong.clone();
        prop_assert!(prove_on(Cores::ONE, &committee, &*program, &ctx, &mut given, &seeds).is_err());
        prop_assert!(given == wrong);
    }

    /// V is the same polynomial whatever points it is evaluated at: an honest proof does not depend on them.
    #[test]
    fn a_proof_is_the_same_at_other_points(which in 0usize..5, d in 1u64..40, ballot: bool, seed: u64) {
        let Made { committee, program, ctx, seeds, .. } = Made::new([(8, 2), (10, 2), (10, 3), (11, 2), (13, 3)][which], d + 1, ballot, seed);
        let plain = Made::input(d + 1, ballot, seed);
        let witness = |rows: &B256| {
            let mut stream = rows_stream(rows);
            program.witness(plain.values(), plain.weight(), &mut |block| stream.fill_bytes(block))
        };
        let at_nodes = prove_with(&committee, &*program, &ctx, &plain, &seeds, witness).unwrap();
        prop_assert_eq!(prove(&committee, &*program, &ctx, &plain, &seeds).unwrap().proof, at_nodes.proof);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Every node accepts what an honest site makes.
    #[test]
    fn honest_contributions_are_accepted_by_all(size in 0usize..4, d in 1u64..50, ballot: bool, seed in 0u64..1000) {
        let made = Made::new(COMMITTEES[size], d, ballot, seed);
        prop_assert_eq!(made.accepting(&made.body, &made.values), made.committee.n());
    }

    /// A vector of many blocks that arrives in pieces of any length is judged as one that arrives whole. Its share is in the sum if it
    /// is accepted, and else taken out again, also in other pieces; other bytes than the first time make the sum start again.
    #[test]
    fn pieces_are_judged_and_added_as_the_whole(
        size in 0usize..4, d in 1u64..1500, ballot: bool, seed in 0u64..1000, cuts in prop::collection::vec(0usize..9000, 0..5), change in 0usize..7,
    ) {
        let made = Made::new(COMMITTEES[size], d, ballot, seed);
        let verifier = Verifier { committee: &made.committee, program: &*made.program, node: 2 };
        let held: BTreeMap<usize, Seed> = made.committee.seeds_of(2).map(|i| (i, made.seeds.as_slice()[i].clone())).collect();
        let (mut body, mut values, mut seeds) = (made.body.clone(), made.values.clone(), held.clone());
        let want = match change {
            1 => { values.pop(); Some(Rejection::Format) }
            2 => { values[0] ^= 1; seeds.clear(); Some(Rejection::Format) }
            3 => { body.proof[0].a += Fp::ONE; seeds.clear(); Some(Rejection::Seed) }
            4 => { body.proof[0].a += Fp::ONE; Some(Rejection::Proof) }
            5 => { let half = values.len() / 16 * 8; values[half..half + 8].fill(0xff); Some(Rejection::Format) }
            6 => { values.extend([3; 17]); Some(Rejection::Format) }
            _ => None,
        };
        let pieces = |values: &[u8]| {
            let mut rest = values;
            let mut pieces: Vec<Vec<u8>> = cuts.iter().map(|&cut| rest.split_off(..cut.min(rest.len())).unwrap().to_vec()).collect();
            pieces.push(rest.to_vec());
            pieces
        };
        let (others, me) = (Address::repeat_byte(1), Address::ZERO);
        let first = verifier.verify(others, &made.ctx, &made.body, &made.values, &held).unwrap();
        let cohort = |sites: &[Address]| {
            let member = |&site: &Address| SetMember { site, digest: made.body.digest(&made.ctx) };
            Cohort::new(sites.iter().map(member).collect()).unwrap()
        };
        let released = |sums: &[&Accepted], sites: &[Address]| {
            let sum = RunningSum::new(made.program.output_len());
            sums.iter().for_each(|accepted| sum.add(accepted));
            sum.release(&cohort(sites)).unwrap()
        };

        prop_assert_eq!(verifier.verify(me, &made.ctx, &body, &values, &seeds).err(), want);
        for same in [true, false] {
            let sum = RunningSum::new(made.program.output_len());
            sum.add(&first);
            let mut addition = verifier.add_to(&sum, me, &made.ctx, &body, &seeds);
            pieces(&values).iter().for_each(|piece| addition.push(piece));
            prop_assert_eq!(sum.compare(&cohort(&[others])), Err(NotReleased::Busy(1)));
            let Some(step) = want else {
                prop_assert!(addition.finish().is_ok());
                let mut removal = verifier.take_from(&sum, me, &made.ctx, &body, &held).unwrap();
                removal.push(&values);
                prop_assert!(removal.finish());
                prop_assert_eq!(sum.release(&cohort(&[others])).unwrap(), released(&[&first], &[others]));
                continue;
            };
            let rejected = addition.finish().err().unwrap();
            prop_assert_eq!(rejected.step, step);
            prop_assert_eq!(rejected.undo.is_some(), !seeds.is_empty());
            if let Some(mut undo) = rejected.undo {
                if same { undo.push(&values) } else { undo.push(&values[1..]) }
                prop_assert_eq!(undo.finish(), same);
                if !same {
                    prop_assert!(matches!(sum.compare(&cohort(&[others])), Err(NotReleased::Mismatch(_))));
                    sum.add(&first);
                }
            }
            prop_assert_eq!(sum.release(&cohort(&[others])).unwrap(), released(&[&first], &[others]));
            prop_assert_eq!(sum.release(&cohort(&[others])), Err(NotReleased::Closed));
        }
        if want.is_none() {
            let sum = RunningSum::new(made.program.output_len());
            let mut addition = verifier.add_to(&sum, me, &made.ctx, &body, &seeds);
            sum.add(&first);
            pieces(&values).iter().for_each(|piece| addition.push(piece));
            prop_assert!(addition.finish().is_ok());
            let accepted = verifier.verify(me, &made.ctx, &body, &values, &seeds).unwrap();
            prop_assert_eq!(sum.release(&cohort(&[me, others])).unwrap(), released(&[&first, &accepted], &[me, others]));
        }
    }

    /// Contributions that are verified at once, on threads, on a sum of several parts, and one of them given up half-way.
    #[test]
    fn contributions_at_once_make_the_sum_of_those_one_by_one(d in 8_000u64..30_000, seed in 0u64..1000, given_up: bool) {
        let made = Made::new((5, 1), d, false, seed);
        let verifier = Verifier { committee: &made.committee, program: &*made.program, node: 4 };
        let held: BTreeMap<usize, Seed> = made.committee.seeds_of(4).map(|i| (i, made.seeds.as_slice()[i].clone())).collect();
        let sites: Vec<Address> = (1..=4).map(Address::repeat_byte).collect();
        let (sum, expected) = (RunningSum::new(made.program.output_len()), RunningSum::new(made.program.output_len()));
        let add = |sum: &RunningSum, site, values: &[u8]| {
            let mut addition = verifier.add_to(sum, site, &made.ctx, &made.body, &held);
            values.chunks(10_000).for_each(|piece| addition.push(piece));
            addition.finish().is_ok()
        };
        let lost = given_up.then(|| {
            let mut addition = verifier.add_to(&sum, Address::ZERO, &made.ctx, &made.body, &held);
            addition.push(&made.values[..made.values.len() / 2]);
            addition
        });
        let accepted: Vec<bool> = std::thread::scope(|scope| {
            let (sum, values, add) = (&sum, &made.values, &add);
            let threads: Vec<_> = sites.iter().map(|&site| scope.spawn(move || add(sum, site, values))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        prop_assert_eq!(accepted, [true; 4]);
        let cohort = Cohort::new(sites.iter().map(|&site| SetMember { site, digest: made.body.digest(&made.ctx) }).collect()).unwrap();
        if let Some(lost) = lost {
            prop_assert_eq!(sum.compare(&cohort), Err(NotReleased::Busy(1)));
            drop(lost);
            let missing = cohort.members().to_vec();
            prop_assert_eq!(sum.compare(&cohort), Err(NotReleased::Mismatch(SetMismatch { missing, surplus: Vec::new() })));
            prop_assert!(sites.iter().all(|&site| add(&sum, site, &made.values)));
        }
        for &site in &sites {
            expected.add(&verifier.verify(site, &made.ctx, &made.body, &made.values, &held).unwrap());
        }
        prop_assert_eq!(sum.release(&cohort).unwrap(), expected.release(&cohort).unwrap());
    }

    /// One altered bit of the body or the vector: at most 2t nodes accept, so there are never Q receipts.
    #[test]
    fn one_altered_bit_is_accepted_by_2t_nodes_at_most(size in 0usize..4, seed in 0u64..1000, part in 0usize..5, at: prop::sample::Index, bit in 0u32..8) {
        let made = Made::new(COMMITTEES[size], 6, false, seed);
        let (mut body, mut values) = (made.body.clone(), made.values.clone());
        let flip = |value: Fp| Fp::new(value.value() ^ 1 << bit).unwrap_or(Fp::ZERO);
        match part {
            0 => { let i = at.index(body.commitments.len()); body.commitments[i].0[0] ^= 1 << bit; }
            1 => body.values_hash.0[at.index(32)] ^= 1 << bit,
            2 => { let i = at.index(body.witness.len()); body.witness[i] = flip(body.witness[i]); }
            3 => { let i = at.index(body.proof.len()); body.proof[i].b = flip(body.proof[i].b); }
            _ => { let i = at.index(values.len()); values[i] ^= 1 << bit; }
        }
        let accepted = made.accepting(&body, &values);
        prop_assert!(accepted <= 2 * made.committee.t(), "{} accept", accepted);
    }

    /// t wrong shares among all n are located, and the sum is right.
    #[test]
    fn t_wrong_shares_are_located(size in 1usize..4, liars in prop::collection::btree_set(1usize..=5, 1..=2), seed: u64) {
        let (n, t) = COMMITTEES[size];
        let committee = Committee::new(n, t).unwrap();
        let liars: Vec<usize> = liars.into_iter().take(t).collect();
        let coefficients: Vec<Vec<Fp>> = (0..=t as u64).map(|e| (0..5).map(|k| Fp::reduce(seed.rotate_left((7 * e + k) as u32))).collect()).collect();
        let share = |node: usize| -> Vec<Fp> {
            let power = |e: usize| Fp::reduce(node as u64).power(e as u64);
            (0..5).map(|k| (0..=t).map(|e| coefficients[e][k] * power(e)).sum()).collect()
        };
        let mut shares: BTreeMap<usize, Vec<Fp>> = (1..=n).map(|node| (node, share(node))).collect();
        for liar in &liars {
            shares.get_mut(liar).unwrap()[*liar % 5] += Fp::ONE;
        }
        let served = shares.iter().map(|(node, share)| (*node, share.as_slice())).collect();
        let aggregate = unmask(&committee, &served, &mut Rng::seed_from_u64(seed)).unwrap();
        prop_assert_eq!(aggregate.values(), &coefficients[0][..]);
        prop_assert_eq!(aggregate.liars(), &liars[..]);
    }
}

/// A sum under pressure: what was dropped half-way or cannot be taken out empties it once nothing else is half added, whoever is not in
/// the set that is to be released cannot hold it up, and a closed one takes nothing.
#[test]
fn a_running_sum_is_right_or_empty_and_only_its_set_can_hold_it_up() {
    let made = Made::new((5, 1), 700, false, 3);
    let verifier = Verifier { committee: &made.committee, program: &*made.program, node: 4 };
    let held: BTreeMap<usize, Seed> = made.committee.seeds_of(4).map(|i| (i, made.seeds.as_slice()[i].clone())).collect();
    let member = |site: u8| SetMember { site: Address::repeat_byte(site), digest: made.body.digest(&made.ctx) };
    let cohort = |sites: &[u8]| Cohort::new(sites.iter().map(|&site| member(site)).collect()).unwrap();
    let start = |sum: &RunningSum, site: u8| verifier.add_to(sum, Address::repeat_byte(site), &made.ctx, &made.body, &held);
    let add = |sum: &RunningSum, site: u8| {
        let mut addition = start(sum, site);
        addition.push(&made.values);
        assert!(addition.finish().is_ok());
    };
    let accepted = verifier.verify(Address::repeat_byte(1), &made.ctx, &made.body, &made.values, &held).unwrap();
    let alone = RunningSum::new(made.program.output_len());
    alone.add(&accepted);
    let alone = alone.release(&cohort(&[1])).unwrap();
    let all_missing = |sites: &[u8]| {
        let missing = sites.iter().map(|&site| member(site)).collect();
        NotReleased::Mismatch(SetMismatch { missing, surplus: Vec::new() })
    };

    let sum = RunningSum::new(made.program.output_len());
    // One that ends well after another was dropped is forgotten with the rest.
    let (mut lost, mut late) = (start(&sum, 1), start(&sum, 2));
    lost.push(&made.values[..4000]);
    drop(lost);
    late.push(&made.values);
    assert_eq!(sum.compare(&cohort(&[2])), Err(NotReleased::Busy(1)));
    assert!(late.finish().is_ok());
    assert_eq!(sum.compare(&cohort(&[2])), Err(all_missing(&[2])));
    // A contribution that is added twice at once is in it once.
    let (mut one, mut same) = (start(&sum, 1), start(&sum, 1));
    one.push(&made.values);
    same.push(&made.values);
    assert!(same.finish().is_ok() && one.finish().is_ok());
    add(&sum, 1);
    assert_eq!(sum.compare(&cohort(&[1])), Ok(()));
    // A stranger that was half added is waited for; from then on none is added any more.
    let mut stranger = start(&sum, 3);
    stranger.push(&made.values);
    assert_eq!(sum.release(&cohort(&[1])), Err(NotReleased::Busy(1)));
    add(&sum, 4);
    assert!(stranger.finish().is_ok());
    let surplus = vec![member(3)];
    assert_eq!(sum.release(&cohort(&[1])), Err(SetMismatch { missing: Vec::new(), surplus }.into()));
    sum.start_again();
    assert_eq!(sum.release(&cohort(&[1])), Err(all_missing(&[1])));
    add(&sum, 1);
    assert_eq!(sum.release(&cohort(&[1])).unwrap(), alone);
    add(&sum, 1);
    assert_eq!(sum.release(&cohort(&[1])), Err(NotReleased::Closed));

    let sum = RunningSum::new(made.program.output_len());
    let mut interrupted = start(&sum, 1);
    interrupted.push(&made.values[..4000]);
    sum.wipe();
    interrupted.push(&made.values[4000..]);
    assert!(interrupted.finish().is_ok());
    assert_eq!(sum.release(&cohort(&[1])), Err(NotReleased::Closed));
}
