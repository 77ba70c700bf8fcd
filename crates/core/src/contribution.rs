//! Section 3: the one message of a site.
//!
//! On the wire it is a header (everything but the masked vector) and the masked vector c itself, which is addressed by
//! its hash and travels as raw bytes.

use crate::codec::{Reader, extension_bytes};
use crate::cores::Cores;
use crate::eip712::{self, Domain, SecretKey, Signed};
use crate::encode::Encoded;
use crate::error::{EncodeError, Malformed, SignatureError};
use crate::field::{self, Ext, Fp};
use crate::mask::Seeds;
use crate::params::{Committee, CommitteeMembers};
use crate::program::{Program, check_length};
use crate::prove::{Proved, prove_on};
use crate::seal;
use crate::transcript::{Context, boxes_hash, concat, hash};
use alloy_primitives::{Address, B256};
use rand_core::CryptoRng;

const WIRE_VERSION: u8 = 2;

/// What the digest covers: commitments, the masked vector by its hash, the masked witness and the proof. Of canonical
/// form for its committee and program, and otherwise unverified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// com_i, in the order of T.
    pub commitments: Vec<B256>,
    /// H("values", c).
    pub values_hash: B256,
    /// c_w.
    pub witness: Vec<Fp>,
    /// v_1..v_2t.
    pub proof: Vec<Ext>,
}

impl Body {
    /// Checks lengths.
    ///
    /// # Errors
    /// [`Malformed::Length`].
    pub fn check(&self, committee: &Committee, program: &dyn Program) -> Result<(), Malformed> {
        check_length("list of seed commitments", committee.excluded().len(), self.commitments.len())?;
        check_length("masked witness", program.witness_len(), self.witness.len())?;
        check_length("proof", 2 * committee.t(), self.proof.len())
    }

    /// digest = H("contribution", ctx, com, H("values", c), c_w, v).
    #[must_use]
    pub fn digest(&self, ctx: &B256) -> B256 {
        hash(
            "contribution",
            &[
                ctx.as_slice(),
                &concat(&self.commitments),
                self.values_hash.as_slice(),
                &field::to_bytes(&self.witness),
                &extension_bytes(&self.proof),
            ],
        )
    }
}

impl From<&Proved> for Body {
    fn from(proved: &Proved) -> Self {
        Self {
            commitments: proved.commitments.clone(),
            values_hash: proved.values_hash,
            witness: proved.witness.clone(),
            proof: proved.proof.clone(),
        }
    }
}

/// A contribution as it travels, without its masked vector. Decoded and of the right form; nothing else is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contribution {
    /// Study number.
    pub study: u64,
    /// Round number.
    pub round: u64,
    /// Who contributes.
    pub site: Address,
    /// What the digest covers.
    pub body: Body,
    /// One sealed box a node, 1..=n; empty for a node whose KEM key is invalid.
    pub boxes: Vec<Vec<u8>>,
    /// The site's EIP-712 signature.
    pub signature: Signed,
}

/// The lengths that a committee and a program dictate for one contribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    n: usize,
    commitments: usize,
    witness: usize,
    proof: usize,
    box_len: usize,
    values: usize,
}

impl Shape {
    /// The shape of contributions to `program` at `committee`.
    #[must_use]
    pub fn new(committee: &Committee, program: &dyn Program) -> Self {
        let seeds = committee.excluded().len();
        Self {
            n: committee.n(),
            commitments: seeds,
            witness: program.witness_len(),
            proof: 2 * committee.t(),
            box_len: seal::OVERHEAD + 32 * committee.seeds_of(1).count(),
            values: program.dimension(),
        }
    }

    /// Most bytes that a header may have.
    #[must_use]
    pub fn max_header_len(&self) -> usize {
        1 + 16 + 20 + 32 + 32 * self.commitments + 8 * self.witness + 16 * self.proof + self.n * (4 + self.box_len) + 65
    }

    /// Bytes of the masked vector.
    #[must_use]
    pub fn values_len(&self) -> usize {
        8 * self.values
    }
}

impl Contribution {
    /// The statement that the site signs.
    #[must_use]
    pub fn statement(&self, digest: B256) -> eip712::Contribution {
        eip712::Contribution { study: self.study, round: self.round, site: self.site, digest, boxes: boxes_hash(&self.boxes) }
    }

    /// Builds the context itself, recomputes the digest and checks that the site signed it with these boxes.
    ///
    /// # Errors
    /// [`SignatureError`]: the message proves nothing about anyone.
    pub fn authenticate(&self, domain: &Domain, context: &Context) -> Result<B256, SignatureError> {
        let (study, round) = (context.study, context.round);
        if (self.study, self.round) != (study, round) {
            return Err(SignatureError::OtherRound { study, round, found_study: self.study, found_round: self.round });
        }
        let digest = self.body.digest(&context.of_site(self.site));
        domain.check(&self.statement(digest), &self.signature, self.site)?;
        Ok(digest)
    }

    /// The header's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![WIRE_VERSION];
        out.extend_from_slice(&self.study.to_le_bytes());
        out.extend_from_slice(&self.round.to_le_bytes());
        out.extend_from_slice(self.site.as_slice());
        out.extend_from_slice(self.body.values_hash.as_slice());
        out.extend_from_slice(&concat(&self.body.commitments));
        out.extend_from_slice(&field::to_bytes(&self.body.witness));
        out.extend_from_slice(&extension_bytes(&self.body.proof));
        for sealed in &self.boxes {
            out.extend_from_slice(&(sealed.len() as u32).to_le_bytes());
            out.extend_from_slice(sealed);
        }
        out.extend_from_slice(self.signature.as_bytes());
        out
    }

    /// Decodes a header of the given shape.
    ///
    /// # Errors
    /// [`Malformed`] for anything but the canonical form.
    pub fn from_bytes(bytes: &[u8], shape: &Shape) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        reader.tag(WIRE_VERSION, "contribution version")?;
        let (study, round) = (reader.u64("study")?, reader.u64("round")?);
        let site = reader.address("site")?;
        let values_hash = reader.hash("hash of the masked vector")?;
        let commitments = (0..shape.commitments).map(|_| reader.hash("seed commitment")).collect::<Result<_, _>>()?;
        let witness = reader.elements(shape.witness, "masked witness")?;
        let proof = reader.extensions(shape.proof, "proof")?;
        let boxes = (0..shape.n).map(|_| read_box(&mut reader, shape.box_len)).collect::<Result<_, _>>()?;
        let signature = Signed::from_bytes(reader.bytes(65, "signature")?)
            .map_err(|_| Malformed::Tag { what: "form of signature", found: 0 })?;
        reader.finish()?;
        let body = Body { commitments, values_hash, witness, proof };
        Ok(Self { study, round, site, body, boxes, signature })
    }
}

fn read_box(reader: &mut Reader<'_>, expected: usize) -> Result<Vec<u8>, Malformed> {
    let found = reader.u32("box length")? as usize;
    if found != 0 && found != expected {
        return Err(Malformed::Length { what: "sealed box", expected, found });
    }
    Ok(reader.bytes(found, "sealed box")?.to_vec())
}

/// Everything a site needs to know and hold in order to contribute to one round.
#[derive(Debug, Clone, Copy)]
pub struct Contributor<'a> {
    /// The signing domain.
    pub domain: Domain,
    /// The committee with its KEM keys.
    pub committee: &'a CommitteeMembers,
    /// The study's program.
    pub program: &'a dyn Program,
    /// The round's context.
    pub context: &'a Context,
    /// The site's signing key.
    pub key: &'a SecretKey,
}

impl Contributor<'_> {
    /// Masks, proves, seals and signs one encoded input with fresh seeds. Returns the header and c. The input is used up.
    ///
    /// # Errors
    /// [`EncodeError`] when the input violates the program.
    pub fn contribute(
        &self,
        cores: Cores,
        mut input: Encoded,
        device_secret: &[u8; 32],
        rng: &mut dyn CryptoRng,
    ) -> Result<(Contribution, Vec<Fp>), EncodeError> {
        let ctx = self.context.of_site(self.key.address());
        loop {
            let seeds = Seeds::draw_on(cores, self.committee.sizes(), &ctx, input.values(), device_secret, rng);
            match prove_on(cores, self.committee.sizes(), self.program, &ctx, &mut input, &seeds) {
                Err(EncodeError::RowOutOfRange) => {}
                Err(error) => return Err(error),
                Ok(proved) => return Ok((self.seal_and_sign(cores, &proved, &seeds, rng), proved.values)),
            }
        }
    }

    /// Seals the seeds and signs what [`prove`](crate::prove::prove) made.
    pub fn seal_and_sign(&self, cores: Cores, proved: &Proved, seeds: &Seeds, rng: &mut dyn CryptoRng) -> Contribution {
        let body = Body::from(proved);
        let ctx = self.context.of_site(self.key.address());
        let boxes = seal::seal_boxes(cores, self.committee, [ctx, body.digest(&ctx)], seeds, rng);
        self.sign(body, boxes)
    }

    /// Signs a body and boxes, whatever they are.
    #[must_use]
    pub fn sign(&self, body: Body, boxes: Vec<Vec<u8>>) -> Contribution {
        let site = self.key.address();
        let digest = body.digest(&self.context.of_site(site));
        let (study, round) = (self.context.study, self.context.round);
        let statement = eip712::Contribution { study, round, site, digest, boxes: boxes_hash(&boxes) };
        let signature = self.domain.sign(self.key, &statement);
        Contribution { study, round, site, body, boxes, signature }
    }
}
