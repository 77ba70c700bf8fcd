//! A site or a node whose random generator is bad: its state is known, or it repeats itself after a snapshot, or it
//! gives the same bytes for ever. Neither the update nor a seed is given away by what travels.

use alloy_primitives::{Address, B256};
use consilium_core::contribution::{Contribution, Contributor};
use consilium_core::cores::Cores;
use consilium_core::eip712::{Domain, SecretKey};
use consilium_core::encode::encode;
use consilium_core::field::Fp;
use consilium_core::mask::{Seed, Seeds};
use consilium_core::params::{Committee, CommitteeMembers, Member};
use consilium_core::program::{Program, WeightedMean};
use consilium_core::seal::{BoxContext, KemSecret, OVERHEAD, seal_repair};
use consilium_core::stream::Stream;
use consilium_core::transcript::{Context, hash, seed_commitment};
use core::convert::Infallible;
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::{Deserializable, Kem, OpModeS, Serializable};
use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRng, Rng as _, SeedableRng, TryCryptoRng, TryRng};

const SIZES: (usize, usize) = (5, 1);
const D: usize = 20;
const WEIGHT: u64 = 200;
const ENC: usize = OVERHEAD - 16;

/// The stream `randomness` of a seed, as a generator.
struct Randomness(Stream);

impl TryRng for Randomness {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.fill_bytes(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.0.fill_bytes(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill_bytes(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Randomness {}

/// Gives zeros for ever.
struct Stuck;

impl TryRng for Stuck {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(0)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(0)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill(0);
        Ok(())
    }
}

impl TryCryptoRng for Stuck {}

/// What everybody knows of a round of a study, and the site that contributes.
struct World {
    committee: CommitteeMembers,
    program: WeightedMean,
    context: Context,
    key: SecretKey,
}

fn kem(node: usize) -> KemSecret {
    KemSecret::from_bytes(&[node as u8 ^ 0x5a; 32])
}

impl World {
    fn new(round: u64) -> Self {
        let (n, t) = SIZES;
        let member = |node: usize| Member { address: Address::repeat_byte(node as u8), kem_key: kem(node).public_key() };
        let committee = CommitteeMembers::new(Committee::new(n, t).unwrap(), 1, (1..=n).map(member).collect()).unwrap();
        let program = WeightedMean::new(D as u64, 25, 8, 128, 1.0).unwrap();
        let context = Context {
            chain_id: 1,
            contract: Address::repeat_byte(9),
            study: 1,
            round,
            kind: 1,
            subject: B256::repeat_byte(3),
            committee: committee.hash(),
            program: program.hash(),
            policy: B256::repeat_byte(4),
        };
        Self { committee, program, context, key: SecretKey::from_bytes(&[7; 32]).unwrap() }
    }

    fn ctx(&self) -> B256 {
        self.context.of_site(self.key.address())
    }

    /// The integers, the header and c of an honest contribution of `update` under the device secret `secret`.
    fn contribute(&self, update: &[f64], secret: &[u8; 32], rng: &mut dyn CryptoRng) -> (Vec<Fp>, Contribution, Vec<Fp>) {
        let Self { committee, program, context, key } = self;
        let encoded = encode(program, &self.ctx(), update, WEIGHT, secret, rng).unwrap();
        let plain = encoded.values().to_vec();
        let domain = Domain { chain_id: 1, contract: context.contract };
        let contributor = Contributor { domain, committee, program, context, key };
        let (header, values) = contributor.contribute(Cores::ONE, encoded, secret, rng).unwrap();
        (plain, header, values)
    }

    fn box_context(&self, header: &Contribution, node: usize) -> BoxContext {
        let ctx = self.ctx();
        BoxContext { ctx, digest: header.body.digest(&ctx), node }
    }

    /// All seeds, as their nodes open them.
    fn seeds(&self, header: &Contribution) -> Vec<Seed> {
        let sizes = self.committee.sizes();
        let mut seeds = vec![Seed::new([0; 32]); sizes.excluded().len()];
        for node in 1..=sizes.n() {
            let opened = kem(node).open_box(&self.box_context(header, node), &header.boxes[node - 1]).unwrap();
            sizes.seeds_of(node).zip(opened).for_each(|(number, seed)| seeds[number] = seed);
        }
        seeds
    }
}

fn update(factor: f64) -> Vec<f64> {
    (0..D).map(|k| 0.01 * factor * (k as f64 + 1.0)).collect()
}

/// The fresh bytes of all boxes, for whoever knows where the generator started: before them it gave a rounding key and the seeds
/// their fresh bytes.
fn fresh_bytes(mut rng: impl CryptoRng) -> Vec<[u8; 32]> {
    let (n, t) = SIZES;
    let before = 1 + Committee::new(n, t).unwrap().excluded().len();
    let mut drawn = vec![[0; 32]; before + n];
    drawn.iter_mut().for_each(|bytes| rng.fill_bytes(bytes));
    drawn.split_off(before)
}

/// Seals zeros: with the randomness of a box, its keystream, and the same encapsulation before it.
fn keystream(key: &[u8], info: &str, length: usize, aad: &[u8], randomness: &[u8; 32]) -> Vec<u8> {
    let key = <XWing as Kem>::PublicKey::from_bytes(key).unwrap();
    let mut rng = Randomness(Stream::new(randomness, "randomness", &[]));
    let (enc, sealed) = hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, XWing>(
        &OpModeS::Base,
        &key,
        info.as_bytes(),
        &vec![0; length],
        aad,
        &mut rng,
    )
    .unwrap();
    [enc.to_bytes().as_slice(), &sealed].concat()
}

fn box_aad(context: &BoxContext) -> Vec<u8> {
    [context.ctx.as_slice(), context.digest.as_slice(), &(context.node as u64).to_le_bytes()].concat()
}

/// H("seal", fresh bytes, seeds, digest, node).
fn hedged(fresh: &[u8; 32], seeds: &[Seed], context: &BoxContext) -> [u8; 32] {
    let seeds: Vec<u8> = seeds.iter().flat_map(|seed| *seed.expose()).collect();
    hash("seal", &[fresh, &seeds, context.digest.as_slice(), &(context.node as u64).to_le_bytes()]).0
}

/// The seeds that a keystream gives where it is that of the boxes, which their commitments show.
fn stolen(world: &World, header: &Contribution, randomness: impl Fn(&BoxContext) -> [u8; 32]) -> Vec<Option<Seed>> {
    let sizes = world.committee.sizes();
    let mut found = vec![None; sizes.excluded().len()];
    for (node, member) in (1..).zip(world.committee.members()) {
        let (context, sealed) = (world.box_context(header, node), &header.boxes[node - 1]);
        let length = 32 * sizes.seeds_of(node).count();
        let stream = keystream(&member.kem_key, "consilium v2 box", length, &box_aad(&context), &randomness(&context));
        for (i, number) in sizes.seeds_of(node).enumerate() {
            let at = ENC + 32 * i;
            let seed: [u8; 32] = core::array::from_fn(|byte| stream[at + byte] ^ sealed[at + byte]);
            if seed_commitment(&world.ctx(), number as u64, &seed) == header.body.commitments[number] {
                assert_eq!(stream[..ENC], sealed[..ENC]);
                found[number] = Some(Seed::new(seed));
            }
        }
    }
    found
}

/// The attacker has the message, the public keys and the generator's state, and neither the device secret nor a node's key.
#[test]
fn a_known_generator_gives_no_seed_away() {
    let world = World::new(1);
    let (plain, header, values) = world.contribute(&update(1.0), &[0xde; 32], &mut ChaCha20Rng::seed_from_u64(42));
    let fresh = fresh_bytes(ChaCha20Rng::seed_from_u64(42));
    let bytes = |context: &BoxContext| fresh[context.node - 1];
    let guesses = vec![Seed::new([0; 32]); world.committee.sizes().excluded().len()];
    for found in [stolen(&world, &header, bytes), stolen(&world, &header, |context| hedged(&bytes(context), &guesses, context))] {
        assert!(found.iter().all(Option::is_none));
    }
    // With the seeds themselves it is the right keystream: they alone keep the boxes shut.
    let seeds = world.seeds(&header);
    let found = stolen(&world, &header, |context| hedged(&bytes(context), &seeds, context));
    let found = Seeds::from_vec(found.into_iter().map(Option::unwrap).collect());
    let masks = found.mask_values(&world.ctx(), &[Fp::ZERO; D]);
    let unmasked: Vec<Fp> = values.iter().zip(masks).map(|(&value, mask)| value - mask).collect();
    assert_eq!(unmasked, plain);
}

#[test]
fn a_generator_that_repeats_after_a_snapshot_encapsulates_anew() {
    let snapshot = || ChaCha20Rng::from_seed([1; 32]);
    let (first, second) = (World::new(1), World::new(2));
    let contributions = [
        (&first, first.contribute(&update(1.0), &[3; 32], &mut snapshot()).1),
        // Another round, another update in the same round, the same in another site's hands.
        (&second, second.contribute(&update(1.0), &[3; 32], &mut snapshot()).1),
        (&first, first.contribute(&update(2.0), &[3; 32], &mut snapshot()).1),
        (&first, first.contribute(&update(1.0), &[4; 32], &mut snapshot()).1),
    ];
    for (i, (_, one)) in contributions.iter().enumerate() {
        for (_, other) in &contributions[i + 1..] {
            for (one, other) in one.boxes.iter().zip(&other.boxes) {
                assert_ne!(one[..ENC], other[..ENC]);
                assert_ne!(one[ENC - 32..ENC], other[ENC - 32..ENC], "the X25519 part");
            }
        }
    }
    let [seeds, others] = [0, 1].map(|i| contributions[i].0.seeds(&contributions[i].1));
    assert!(seeds.iter().zip(&others).all(|(one, other)| one.expose() != other.expose()));
}

#[test]
fn a_generator_that_is_stuck_seals_no_two_boxes_with_the_same_randomness() {
    let world = World::new(1);
    let (_, header, _) = world.contribute(&update(1.0), &[3; 32], &mut Stuck);
    // An ephemeral X25519 key does not depend on the key that is sealed to: the same randomness would show here.
    let mut ephemeral: Vec<&[u8]> = header.boxes.iter().map(|sealed| &sealed[ENC - 32..ENC]).collect();
    ephemeral.sort_unstable();
    ephemeral.dedup();
    assert_eq!(ephemeral.len(), header.boxes.len());
    let seeds = world.seeds(&header);
    assert!(seeds.iter().enumerate().all(|(i, seed)| seeds[..i].iter().all(|other| other.expose() != seed.expose())));
}

#[test]
fn a_bad_generator_at_a_node_gives_away_no_seed_that_it_answers_with() {
    let (world, number, other) = (World::new(1), 3, 2);
    let (_, header, _) = world.contribute(&update(1.0), &[3; 32], &mut ChaCha20Rng::seed_from_u64(1));
    let (seeds, context) = (world.seeds(&header), world.box_context(&header, 2));
    let key = kem(2).public_key();
    let mut fresh = [0; 32];
    ChaCha20Rng::seed_from_u64(42).fill_bytes(&mut fresh);
    let seal = |context: &BoxContext, number: usize, rng: &mut dyn CryptoRng| {
        seal_repair(&key, context, number, &seeds[number], rng).unwrap()
    };
    let sealed = seal(&context, number, &mut ChaCha20Rng::seed_from_u64(42));
    let aad = [box_aad(&context), (number as u64).to_le_bytes().to_vec()].concat();
    let opened = |randomness: [u8; 32]| {
        let stream = keystream(&key, "consilium v2 repair", 32, &aad, &randomness);
        let plain: [u8; 32] = core::array::from_fn(|byte| stream[ENC + byte] ^ sealed[ENC + byte]);
        plain == *seeds[number].expose()
    };
    // Not with the generator alone, nor with the other seeds that a node has; with the seed itself, which is no news then.
    assert!(!opened(fresh));
    assert!(!opened(hedged(&fresh, &seeds[other..=other], &context)));
    assert!(opened(hedged(&fresh, &seeds[number..=number], &context)));
    // Answers with other seeds, to other nodes, about other contributions.
    let elsewhere = BoxContext { digest: B256::ZERO, ..context };
    let answers = [
        sealed.clone(),
        seal(&context, other, &mut ChaCha20Rng::seed_from_u64(42)),
        seal(&BoxContext { node: 4, ..context }, number, &mut ChaCha20Rng::seed_from_u64(42)),
        seal(&elsewhere, number, &mut ChaCha20Rng::seed_from_u64(42)),
    ];
    for (i, one) in answers.iter().enumerate() {
        assert!(answers[..i].iter().all(|other| other[ENC - 32..ENC] != one[ENC - 32..ENC]));
    }
}

/// The integers of an update whose every number is half way between two, and the fresh bytes that they were rounded with.
fn halves(secret: &[u8; 32], ctx: &B256, weight: u64, turned: bool) -> Vec<i64> {
    let program = WeightedMean::new(2_000, 25, 8, 128, 1.0).unwrap();
    let encoded = encode(&program, ctx, &half_units(turned), weight, secret, &mut ChaCha20Rng::seed_from_u64(42)).unwrap();
    encoded.values().iter().map(|value| value.signed()).collect()
}

/// Numbers of half a unit at weight 1, and of three halves at weight 3. One of them is another if `turned`.
fn half_units(turned: bool) -> Vec<f64> {
    let program = WeightedMean::new(2_000, 25, 8, 128, 1.0).unwrap();
    let unit = 1.0 / (program.kappa() as f64 * program.shrink());
    (0..2_000).map(|k| if turned && k == 1_999 { 2.5 * unit } else { 0.5 * unit }).collect()
}

#[test]
fn a_known_or_repeated_generator_does_not_tell_how_numbers_were_rounded() {
    let (secret, ctx) = ([0xde; 32], B256::repeat_byte(5));
    let rounded = halves(&secret, &ctx, 1, false);
    let mut fresh = [0; 32];
    ChaCha20Rng::seed_from_u64(42).fill_bytes(&mut fresh);
    let predicted = |key: [u8; 32]| {
        let mut words = vec![0; rounded.len()];
        Stream::new(&key, "rounding", &[]).fill_words(&mut words);
        // Up if a uniform number is below a half.
        words.iter().map(|word| i64::from(word >> 63 == 0)).collect::<Vec<_>>()
    };
    let numbers: Vec<u8> = half_units(false).iter().flat_map(|number| number.to_le_bytes()).collect();
    let key = |secret: &[u8; 32]| {
        let (weight, attempt) = (1_u64.to_le_bytes(), 0_u64.to_le_bytes());
        hash("rounding", &[&fresh, secret, ctx.as_slice(), &numbers, &weight, &attempt]).0
    };
    let agreeing = |other: &[i64]| rounded.iter().zip(other).filter(|(one, other)| *one % 2 == *other % 2).count();
    // 2,000 fair coins agree 1,000 times, give or take 22.
    let by_chance = |other: &[i64]| (850..1_150).contains(&agreeing(other));
    assert_eq!(predicted(key(&secret)), rounded, "the device secret is all that is missing");
    assert!(by_chance(&predicted(fresh)) && by_chance(&predicted(key(&[0; 32]))));
    // The snapshot, with anything else changed.
    assert_eq!(halves(&secret, &ctx, 1, false), rounded);
    assert!(by_chance(&halves(&[0xdf; 32], &ctx, 1, false)));
    assert!(by_chance(&halves(&secret, &B256::repeat_byte(6), 1, false)));
    assert!(by_chance(&halves(&secret, &ctx, 1, true)));
    assert!(by_chance(&halves(&secret, &ctx, 3, false)));
}
