//! Checks a file of known answers in the reference's JSON format (docs/PROTOCOL.md, section 9).
//!
//! Honest contributions are rebuilt from their seeds and x and compared field by field; for every contribution, good or
//! bad, every node's verdict must be the listed one. The checker reads the file's bytes as they are: what the reference
//! calls a `format` error may be a length or a value that the codec refuses.

use crate::certify::{Cohort, SetMember};
use crate::codec::{Reader, extension_bytes};
use crate::contribution::Body;
use crate::cores::Cores;
use crate::encode::{Encoded, decode};
use crate::error::Rejection;
use crate::field::{self, Ext, Fp};
use crate::mask::{Seed, Seeds};
use crate::merkle::vector_root;
use crate::params::{Committee, KIND_SUM, Member, committee_hash, policy_hash};
use crate::program::{AnyProgram, OneHot, Program, WeightedMean};
use crate::prove::prove;
use crate::stream::Stream;
use crate::transcript::{Context, hash, values_hash};
use crate::unmask::unmask_with;
use crate::verify::Verifier;
use alloy_primitives::{Address, B256, Bytes};
use serde::Deserialize;
use std::collections::BTreeMap;
use thiserror::Error;

/// Why a known answer does not hold.
#[derive(Debug, Error)]
pub enum KnownAnswerError {
    /// Not a known-answer file.
    #[error("not a known-answer file of the reference's format: {0}")]
    Format(String),
    /// A computed value differs from the listed one.
    #[error("{0} differs from the listed one")]
    Differs(String),
}

type Outcome = Result<(), KnownAnswerError>;

fn same<T: PartialEq>(what: &str, computed: &T, listed: &T) -> Outcome {
    if computed == listed { Ok(()) } else { Err(KnownAnswerError::Differs(what.to_owned())) }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in for a conversion in map_err")]
fn format_error(error: impl ToString) -> KnownAnswerError {
    KnownAnswerError::Format(error.to_string())
}

/// Checks one file's content.
///
/// # Errors
/// [`KnownAnswerError`] that names the first value that differs.
pub fn check(json: &str) -> Outcome {
    let value: serde_json::Value = serde_json::from_str(json).map_err(format_error)?;
    let has = |key| value.get(key).is_some();
    if has("elements") {
        read::<StreamCase>(value)?.check()
    } else if has("served") {
        read::<RoundCase>(value)?.check()
    } else if has("program_name") {
        read::<BallotCase>(value)?.check()
    } else {
        read::<ContributionCase>(value)?.check()
    }
}

fn read<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> Result<T, KnownAnswerError> {
    serde_json::from_value(value).map_err(format_error)
}

#[derive(Deserialize)]
struct StreamCase {
    seed: B256,
    label: String,
    ctx: Bytes,
    elements: BTreeMap<usize, String>,
}

impl StreamCase {
    fn check(&self) -> Outcome {
        let length = self.elements.keys().max().map_or(0, |last| last + 1);
        if length > 1 << 24 {
            return Err(format_error("a stream case may look at the first 2^24 elements only"));
        }
        let stream = Stream::new(&self.seed.0, &self.label, &self.ctx).elements(length);
        for (index, listed) in &self.elements {
            same(&format!("element {index}"), &stream[*index].value().to_string(), listed)?;
        }
        Ok(())
    }
}

/// What contribution and ballot cases share.
#[derive(Deserialize)]
struct Transcript {
    n: usize,
    t: usize,
    d: u64,
    ctx: B256,
    program: B256,
    x: Vec<String>,
    seeds: Vec<B256>,
    commitments: Bytes,
    values: Bytes,
    witness: Bytes,
    proof: Vec<[String; 2]>,
    digest: B256,
    verdicts: Vec<String>,
}

/// Which seed of one node is to be replaced, as the `seed` case has it: the node's first one by 32 bytes 7.
const SWAPPED: [u8; 32] = [7; 32];

impl Transcript {
    fn check(
        &self,
        program: &dyn Program,
        rebuild: bool,
        weight: u64,
        verify_ctx: &B256,
        swap: Option<usize>,
    ) -> Result<Vec<Vec<Fp>>, KnownAnswerError> {
        let committee = Committee::new(self.n, self.t).map_err(format_error)?;
        if self.seeds.len() != committee.excluded().len() {
            return Err(format_error("there must be one seed for each subset T"));
        }
        same("program hash", &program.hash(), &self.program)?;
        same("digest", &self.raw_digest()?, &self.digest)?;
        if rebuild {
            self.rebuild(&committee, program, weight)?;
        }
        let mut shares = Vec::new();
        let mut verdicts = Vec::new();
        for node in 1..=self.n {
            let verifier = Verifier { committee: &committee, program, node };
            match self.verify(&verifier, verify_ctx, swap == Some(node)) {
                Ok(share) => {
                    verdicts.push("ok".to_owned());
                    shares.push(share);
                }
                Err(step) => verdicts.push(step.to_string()),
            }
        }
        same("list of verdicts", &verdicts, &self.verdicts)?;
        Ok(shares)
    }

    fn raw_proof(&self) -> Result<Vec<u8>, KnownAnswerError> {
        let words = self.proof.iter().flatten().map(|word| word.parse::<u64>().map_err(format_error));
        Ok(words.collect::<Result<Vec<_>, _>>()?.into_iter().flat_map(u64::to_le_bytes).collect())
    }

    fn raw_digest(&self) -> Result<B256, KnownAnswerError> {
        let values = values_hash(&self.values);
        Ok(hash("contribution", &[self.ctx.as_slice(), &self.commitments, values.as_slice(), &self.witness, &self.raw_proof()?]))
    }

    fn rebuild(&self, committee: &Committee, program: &dyn Program, weight: u64) -> Outcome {
        let parse = |v: &String| v.parse::<i128>().map(Fp::from_signed).map_err(format_error);
        let x = self.x.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        let seeds = Seeds::from_vec(self.seeds.iter().map(|seed| Seed::new(seed.0)).collect());
        let proved = prove(committee, program, &self.ctx, &Encoded::unchecked(x, weight), &seeds).map_err(format_error)?;
        same(
            "list of commitments",
            &proved.commitments.iter().flat_map(|c| c.0).collect::<Vec<_>>(),
            &self.commitments.to_vec(),
        )?;
        same("masked vector", &field::to_bytes(&proved.values), &self.values.to_vec())?;
        same("masked witness", &field::to_bytes(&proved.witness), &self.witness.to_vec())?;
        same("proof", &extension_bytes(&proved.proof), &self.raw_proof()?)
    }

    fn verify(&self, verifier: &Verifier<'_>, ctx: &B256, swap: bool) -> Result<Vec<Fp>, Rejection> {
        let body = self.decode(verifier).map_err(|_| Rejection::Format)?;
        let mut seeds: BTreeMap<usize, Seed> =
            verifier.committee.seeds_of(verifier.node).map(|number| (number, Seed::new(self.seeds[number].0))).collect();
        if let Some(first) = seeds.values_mut().next().filter(|_| swap) {
            *first = Seed::new(SWAPPED);
        }
        let accepted = verifier.verify(Address::ZERO, ctx, &body, &self.values, &seeds)?;
        Ok(accepted.share().to_vec())
    }

    fn decode(&self, verifier: &Verifier<'_>) -> Result<Body, KnownAnswerError> {
        let committee = verifier.committee;
        let mut commitments = Reader::new(&self.commitments);
        let commitments = (0..committee.excluded().len()).map(|_| commitments.hash("commitment")).collect::<Result<_, _>>();
        let mut witness = Reader::new(&self.witness);
        let witness_elements = witness.elements(verifier.program.witness_len(), "witness").map_err(format_error)?;
        witness.finish().map_err(format_error)?;
        let proof_bytes = self.raw_proof()?;
        let mut proof = Reader::new(&proof_bytes);
        let coefficients: Vec<Ext> = proof.extensions(2 * committee.t(), "proof").map_err(format_error)?;
        proof.finish().map_err(format_error)?;
        let commitments = commitments.map_err(format_error)?;
        Ok(Body { commitments, values_hash: values_hash(&self.values), witness: witness_elements, proof: coefficients })
    }
}

#[derive(Deserialize)]
struct ContributionCase {
    #[serde(flatten)]
    transcript: Transcript,
    tamper: Option<String>,
    s: u64,
    b: u64,
    tests: u64,
    clip: f64,
    context: RawContext,
    committee: B256,
    policy: B256,
    verify_ctx: B256,
    weight: u64,
    swapped_seed_node: Option<usize>,
    share_roots: Option<Vec<B256>>,
    share_1: Option<Bytes>,
}

#[derive(Deserialize)]
struct RawContext {
    chain_id: u64,
    contract: Address,
    study: u64,
    round: u64,
    subject: B256,
    epoch: u64,
    minimum_cohort: u64,
    sites_root: B256,
    finality: String,
    opened: u64,
    deadline: u64,
    settle_by: u64,
    members: Vec<(Address, Bytes)>,
    site: Address,
}

/// Tampers that leave the contribution itself as an honest site made it.
const HONEST_MESSAGE: [&str; 2] = ["seed", "context"];

impl ContributionCase {
    fn check(&self) -> Outcome {
        let (t, raw) = (&self.transcript, &self.context);
        let program = WeightedMean::new(t.d, self.s, self.b, self.tests, self.clip).map_err(format_error)?;
        let members: Vec<Member> =
            raw.members.iter().map(|(address, key)| Member { address: *address, kem_key: key.to_vec() }).collect();
        same("committee hash", &committee_hash(raw.epoch, t.t as u64, &members), &self.committee)?;
        let policy = policy_hash(raw.minimum_cohort, &raw.sites_root, &raw.finality, [raw.opened, raw.deadline, raw.settle_by]);
        same("policy hash", &policy, &self.policy)?;
        let of_round = |round| self.context_of(round, program.hash()).of_site(raw.site);
        same("context", &of_round(raw.round), &t.ctx)?;
        let nodes_round = if self.tamper.as_deref() == Some("context") { raw.round + 1 } else { raw.round };
        same("context of the nodes", &of_round(nodes_round), &self.verify_ctx)?;
        let honest = self.tamper.as_deref().is_none_or(|tamper| HONEST_MESSAGE.contains(&tamper));
        let shares = t.check(&program, honest, self.weight, &self.verify_ctx, self.swapped_seed_node)?;
        if let Some(listed) = &self.share_roots {
            same("list of share roots", &shares.iter().map(|share| vector_root(share)).collect::<Vec<_>>(), listed)?;
        }
        match (&self.share_1, shares.first()) {
            (Some(listed), Some(share)) => same("share of node 1", &field::to_bytes(share), &listed.to_vec()),
            _ => Ok(()),
        }
    }

    fn context_of(&self, round: u64, program: B256) -> Context {
        let raw = &self.context;
        Context {
            chain_id: raw.chain_id,
            contract: raw.contract,
            study: raw.study,
            round,
            kind: KIND_SUM.into(),
            subject: raw.subject,
            committee: self.committee,
            program,
            policy: self.policy,
        }
    }
}

#[derive(Deserialize)]
struct BallotCase {
    #[serde(flatten)]
    transcript: Transcript,
    program_name: String,
}

impl BallotCase {
    fn check(&self) -> Outcome {
        let t = &self.transcript;
        let program = crate::program::parse(&self.program_name, &t.d.to_le_bytes()).map_err(format_error)?;
        let AnyProgram::OneHot(program) = program else {
            return Err(format_error(format!("expected program {:?}", OneHot::NAME)));
        };
        let honest = t.verdicts.iter().all(|verdict| verdict == "ok");
        t.check(&program, honest, 1, &t.ctx, None).map(|_| ())
    }
}

#[derive(Deserialize)]
struct RoundCase {
    n: usize,
    t: usize,
    d: u64,
    s: u64,
    b: u64,
    tests: u64,
    clip: f64,
    served: BTreeMap<usize, Bytes>,
    liar: usize,
    share_roots: Vec<B256>,
    aggregate: Bytes,
    aggregate_root: B256,
    members: Vec<(Address, B256)>,
    set_root: B256,
    mean: Vec<f64>,
}

impl RoundCase {
    fn check(&self) -> Outcome {
        let committee = Committee::new(self.n, self.t).map_err(format_error)?;
        let program = WeightedMean::new(self.d, self.s, self.b, self.tests, self.clip).map_err(format_error)?;
        let mut served = BTreeMap::new();
        for (&node, bytes) in &self.served {
            served.insert(node, field::from_bytes(bytes, program.output_len(), "output share").map_err(format_error)?);
        }
        let views = served.iter().map(|(&node, share)| (node, share.as_slice())).collect();
        let aggregate = unmask_with(Cores::ONE, &committee, &views, || Ext::ONE).map_err(format_error)?;
        same("aggregate", &field::to_bytes(aggregate.values()), &self.aggregate.to_vec())?;
        same("aggregate root", &aggregate.root(), &self.aggregate_root)?;
        same("list of share roots", &aggregate.share_roots().to_vec(), &self.share_roots)?;
        same("liar", &aggregate.liars().to_vec(), &vec![self.liar])?;
        let mut members: Vec<SetMember> = self.members.iter().map(|&(site, digest)| SetMember { site, digest }).collect();
        members.sort_unstable();
        same("set root", &Cohort::new(members).map_err(format_error)?.root(), &self.set_root)?;
        same("mean", &decode(&program, aggregate.values()).map_err(format_error)?, &self.mean)
    }
}
