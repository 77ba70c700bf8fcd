//! The Consilium protocol: verified private sums, settled on a chain.
//!
//! **Who.** N *sites* (hospitals) hold private updates. A *committee* of n *nodes*, of which t may be corrupt, computes
//! the weighted sum over a certified set of sites; nothing else becomes known. A *chain* says who is a member, which set
//! counts, what the result is.
//!
//! **The path of one update**, in the order in which it walks through the modules:
//!
//! | stage | type | module | section of docs/PROTOCOL.md |
//! |---|---|---|---|
//! | clip, scale, round | [`encode::Encoded`] | [`encode`] | 2 |
//! | seeds and masked vector | [`mask::Seeds`] | [`mask`] | 3.1, 3.2 |
//! | challenges, witness, proof | [`prove::Proved`] | [`prove`] | 3.3 to 3.6, 4, 5 |
//! | boxes and signature: the one message | [`contribution::Contribution`] | [`seal`], [`contribution`] | 3.7, 3.8 |
//! | each node alone | [`verify::Accepted`] | [`verify`] | 5 |
//! | receipts, set, vote | [`certify::Cohort`] | [`certify`] | 6.2 to 6.6 |
//! | sum over the certified set | [`release::OutputShare`] | [`release`] | 6.7, 6.8 |
//! | interpolation | [`unmask::Aggregate`] | [`unmask`] | 6.10 |
//! | what the chain records | [`eip712::Settlement`] | [`settle`] | 6.11 |
//! | offences and checks | [`audit::Offence`] | [`audit`], [`openings`], [`foreign`], [`rewards`], [`accusation`] | 6.12 |
//!
//! [`round`] drives a node through these stages as a state machine `apply(event) -> effects`. Beneath lie [`terms`] (what a round is about), [`params`]
//! (committee, policy), [`program`] (what is proved), [`field`], [`stream`], [`transcript`], [`merkle`], [`eip712`],
//! [`capability`] (who asks a node for what), [`codec`] and [`error`].
//!
//! The crate does no I/O, reads no clock and draws no entropy of its own: randomness and time come in as arguments.
//!
//! ```
//! use consilium_core::{encode, field, mask::Seeds, params::Committee, program::{Program, WeightedMean}};
//! use consilium_core::{contribution::Body, prove::prove, verify::Verifier};
//! use rand_core::SeedableRng;
//!
//! let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(7);
//! let committee = Committee::new(5, 1)?;
//! let program = WeightedMean::new(3, 25, 8, 128, 1.0)?;
//! let ctx = Default::default(); // a real one comes from transcript::Context
//!
//! // The site: encode, mask, prove.
//! let input = encode::encode(&program, &ctx, &[0.1, -0.2, 0.05], 40, &[1; 32], &mut rng)?;
//! let seeds = Seeds::draw(&committee, &ctx, input.values(), &[1; 32], &mut rng);
//! let proved = prove(&committee, &program, &ctx, &input, &seeds)?;
//!
//! // Node 3, alone, with the seeds of its box.
//! let verifier = Verifier { committee: &committee, program: &program, node: 3 };
//! let held = committee.seeds_of(3).map(|i| (i, seeds.as_slice()[i].clone())).collect();
//! let values = field::to_bytes(&proved.values);
//! let accepted = verifier.verify(Default::default(), &ctx, &Body::from(&proved), &values, &held);
//! assert!(accepted.is_ok());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod accusation;
pub mod audit;
pub mod capability;
pub mod certify;
pub mod clock;
pub mod codec;
pub mod contribution;
pub mod cores;
pub mod eip712;
pub mod encode;
pub mod error;
pub mod field;
pub mod foreign;
pub mod known_answers;
pub mod mask;
pub mod merkle;
pub mod openings;
pub mod params;
pub mod program;
pub mod prove;
pub mod release;
pub mod rewards;
pub mod round;
pub mod seal;
mod secret;
pub mod settle;
#[allow(unsafe_code)]
pub mod simd;
pub mod stream;
pub mod terms;
pub mod transcript;
pub mod unmask;
pub mod verify;
