//! Prio3 with a bounded L2 norm of `prio` 0.17, 16-bit fixed point: the norm is proved to be below 1.

use crate::Size;
use crate::measure::{AGGREGATOR, COLLECTOR, Row, SITE, Upload};
use fixed::types::I1F15;
use prio17::codec::{Encode, ParameterizedDecode};
use prio17::vdaf::prio3::{Prio3FixedPointBoundedL2VecSum, Prio3InputShare, Prio3PublicShare};
use prio17::vdaf::{Aggregator, Client, Collector, PrepareTransition, Vdaf};
use std::error::Error;

const CONTEXT: &[u8] = b"consilium bench";
const KEY: [u8; 32] = [7; 32];
const NONCE: [u8; 16] = [9; 16];

type Prio3 = Prio3FixedPointBoundedL2VecSum<I1F15>;
type State = <Prio3 as Aggregator<32, 16>>::PrepareState;
type Share = <Prio3 as Aggregator<32, 16>>::PrepareShare;
type Output = <Prio3 as Vdaf>::OutputShare;

/// One site's vector under one set of parameters.
struct Study {
    vdaf: Prio3,
    vector: Vec<I1F15>,
}

impl Study {
    fn new(size: Size) -> Result<Self, Box<dyn Error>> {
        if size.bits != 16 {
            return Err("bounded-l2 is built for 16 bits".into());
        }
        let vdaf = Prio3::new_fixedpoint_boundedl2_vec_sum(2, size.d)?;
        let scale = (size.d as f64).sqrt().recip();
        let vector = (0..size.d).map(|i| I1F15::from_num((i as f64 * 0.37).sin() * scale)).collect();
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
        Ok(self.vdaf.prepare_init(&KEY, CONTEXT, aggregator, &(), &NONCE, &public, &share)?)
    }

    /// From the received bytes and the other aggregator's message to an output share.
    fn check(&self, aggregator: usize, upload: &Upload, other: &Share) -> Result<Output, Box<dyn Error>> {
        let (state, own) = self.init(aggregator, upload)?;
        let mut both = [own, other.clone()];
        both.rotate_left(aggregator);
        let message = self.vdaf.prepare_shares_to_prepare_message(CONTEXT, &(), both)?;
        match self.vdaf.prepare_next(CONTEXT, state, message)? {
            PrepareTransition::Finish(output) => Ok(output),
            PrepareTransition::Continue(..) => Err("Prio3 has one round".into()),
        }
    }
}

/// Site, both aggregators and the collector at one size.
///
/// # Errors
/// Parameters that the crate refuses, or a sum that is not the vector that went in.
pub(crate) fn rows(size: Size) -> Result<Vec<Row>, Box<dyn Error>> {
    let name = "Prio3 with an L2 bound, prio 0.17.0, 16 bits";
    let study = Study::new(size)?;
    let upload = study.shard()?;
    let site = Row::measure(name, SITE, size, || study.shard())?.uploading(upload.len());
    let messages = [study.init(0, &upload)?.1, study.init(1, &upload)?.1];
    let mut rows = vec![site];
    let mut aggregates = Vec::new();
    for aggregator in 0..2 {
        let check = || study.check(aggregator, &upload, &messages[1 - aggregator]);
        aggregates.push(study.vdaf.aggregate(&(), [check()?])?);
        rows.push(Row::measure(name, AGGREGATOR[aggregator], size, check)?);
    }
    let open = || Ok(study.vdaf.unshard(&(), aggregates.clone(), 1)?);
    let wanted = study.vector.iter().map(|x| x.to_num::<f64>());
    if !open()?.into_iter().eq(wanted) {
        return Err("the sum is not what went in".into());
    }
    rows.push(Row::measure(name, COLLECTOR, size, open)?);
    Ok(rows)
}
