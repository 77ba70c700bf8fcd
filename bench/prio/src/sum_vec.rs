//! Prio3SumVec of `prio` 0.18: every coordinate is proved to lie in a range, nothing is said about a norm.

use crate::Size;
use crate::measure::{AGGREGATOR, COLLECTOR, Row, SITE, Upload};
use prio::codec::{Encode, ParameterizedDecode};
use prio::vdaf::prio3::{Prio3InputShare, Prio3PublicShare, Prio3SumVec, optimal_chunk_length};
use prio::vdaf::{Aggregator, Client, Collector, Vdaf, VerifyTransition};
use std::error::Error;

const CONTEXT: &[u8] = b"consilium bench";
const KEY: [u8; 32] = [7; 32];
const NONCE: [u8; 16] = [9; 16];

type State = <Prio3SumVec as Aggregator<32, 16>>::VerifyState;
type Share = <Prio3SumVec as Aggregator<32, 16>>::VerifierShare;
type Output = <Prio3SumVec as Vdaf>::OutputShare;

/// One site's vector under one set of parameters.
struct Study {
    vdaf: Prio3SumVec,
    vector: Vec<u128>,
}

impl Study {
    fn new(size: Size) -> Result<Self, Box<dyn Error>> {
        let largest = (1_u128 << size.bits) - 1;
        let vdaf = Prio3SumVec::new_sum_vec(2, largest, size.d, optimal_chunk_length(size.bits * size.d))?;
        let vector = (0..size.d as u128).map(|i| (i * 0x9e37_79b9) & largest).collect();
        Ok(Self { vdaf, vector })
    }

    fn shard(&self) -> Result<Upload, Box<dyn Error>> {
        let (public, shares) = self.vdaf.shard(CONTEXT, &self.vector, &NONCE)?;
        let shares = shares.iter().map(Encode::get_encoded).collect::<Result<_, _>>()?;
        Ok(Upload { public: public.get_encoded()?, shares })
    }

    fn init(&self, aggregator: usize, upload: &Upload) -> Result<(State, Share), Box<dyn Error>> {
        let public = Prio3PublicShare::get_decoded_with_param(&self.vdaf, &upload.public)?;
        let share = Prio3InputShare::get_decoded_with_param(&(&self.vdaf, aggregator), &upload.shares[aggregator])?;
        Ok(self.vdaf.verify_init(&KEY, CONTEXT, aggregator, &(), &NONCE, &public, &share)?)
    }

    /// From the received bytes and the other aggregator's message to an output share.
    fn check(&self, aggregator: usize, upload: &Upload, other: &Share) -> Result<Output, Box<dyn Error>> {
        let (state, own) = self.init(aggregator, upload)?;
        let mut both = [own, other.clone()];
        both.rotate_left(aggregator);
        let message = self.vdaf.verifier_shares_to_message(CONTEXT, &(), both)?;
        match self.vdaf.verify_next(CONTEXT, state, message)? {
            VerifyTransition::Finish(output) => Ok(output),
            VerifyTransition::Continue(..) => Err("Prio3 has one round".into()),
        }
    }
}

/// Site, both aggregators and the collector at one size.
///
/// # Errors
/// Parameters that the crate refuses, or a sum that is not the vector that went in.
pub(crate) fn rows(size: Size) -> Result<Vec<Row>, Box<dyn Error>> {
    let name = format!("Prio3SumVec, prio 0.18.1, {} bits", size.bits);
    let study = Study::new(size)?;
    let upload = study.shard()?;
    let site = Row::measure(&name, SITE, size, || study.shard())?.uploading(upload.len());
    let messages = [study.init(0, &upload)?.1, study.init(1, &upload)?.1];
    let mut rows = vec![site];
    let mut aggregates = Vec::new();
    for aggregator in 0..2 {
        let check = || study.check(aggregator, &upload, &messages[1 - aggregator]);
        aggregates.push(study.vdaf.aggregate(&(), [check()?])?);
        rows.push(Row::measure(&name, AGGREGATOR[aggregator], size, check)?);
    }
    let open = || Ok(study.vdaf.unshard(&(), aggregates.clone(), 1)?);
    if open()? != study.vector {
        return Err("the sum is not what went in".into());
    }
    rows.push(Row::measure(&name, COLLECTOR, size, open)?);
    Ok(rows)
}
