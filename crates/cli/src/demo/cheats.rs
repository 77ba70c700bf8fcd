//! Sites that cheat, on core's public API: what a hostile hospital could write.

use crate::failure::Failure;
use consilium_core::contribution::Contributor;
use consilium_core::cores::Cores;
use consilium_core::encode::{self, Encoded};
use consilium_core::field::{Ext, Fp};
use consilium_core::mask::Seeds;
use consilium_core::program::{Program, WeightedMean};
use consilium_core::prove::{prove, prove_with};
use consilium_core::terms::Terms;
use consilium_site::SiteKeys;
use consilium_site::message::Message;
use rand_core::CryptoRng;

/// What a site does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cheat {
    /// An update 1000 times too large, with a witness made up to hide it.
    Oversized,
    /// A valid contribution with one coefficient of the proof changed.
    CorruptProof,
    /// Last round's contribution once more.
    Replay,
    /// A valid contribution whose box for one node holds garbage.
    GarbageBox,
}

impl Cheat {
    pub(super) const ALL: [Self; 4] = [Self::Oversized, Self::CorruptProof, Self::Replay, Self::GarbageBox];

    /// In words.
    pub(super) fn what(self) -> &'static str {
        match self {
            Self::Oversized => "sent an update 1000 times too large with a forged witness",
            Self::CorruptProof => "sent a corrupted proof",
            Self::Replay => "replayed last round's contribution",
            Self::GarbageBox => "gave one node a box of garbage instead of its seeds",
        }
    }
}

/// Makes the contribution of a cheating site. `update` is its real update in canonical order; the replay needs none, the
/// caller has kept last round's message.
pub(super) fn forge(
    cheat: Cheat,
    terms: &Terms,
    program: &WeightedMean,
    keys: &SiteKeys,
    update: &[f64],
    weight: u64,
    rng: &mut dyn CryptoRng,
) -> Result<Message, Failure> {
    let context = terms.context();
    let contributor =
        Contributor { domain: terms.domain, committee: &terms.committee, program, context: &context, key: keys.signing() };
    let (ctx, secret) = (context.of_site(keys.address()), keys.expose_device_secret());
    let input = encode::encode(program, &ctx, update, weight, secret, rng).map_err(Failure::failed)?;
    let thousand = Fp::reduce(1000);
    let input = match cheat {
        Cheat::Oversized => Encoded::unchecked(input.values().iter().map(|&v| v * thousand).collect(), weight),
        Cheat::CorruptProof | Cheat::Replay | Cheat::GarbageBox => input,
    };
    let sizes = terms.committee.sizes();
    let seeds = Seeds::draw(sizes, &ctx, input.values(), secret, rng);
    let mut proved = match cheat {
        Cheat::Oversized => prove_with(sizes, program, &ctx, &input, &seeds, |_| Ok(forged_witness(program, weight))),
        Cheat::CorruptProof | Cheat::Replay | Cheat::GarbageBox => prove(sizes, program, &ctx, &input, &seeds),
    }
    .map_err(Failure::failed)?;
    if let (Cheat::CorruptProof, Some(first)) = (cheat, proved.proof.first_mut()) {
        *first += Ext::ONE;
    }
    let mut header = contributor.seal_and_sign(Cores::ONE, &proved, &seeds, rng);
    if let (Cheat::GarbageBox, Some(last)) = (cheat, header.boxes.last_mut()) {
        rng.fill_bytes(last);
        header = contributor.sign(header.body, header.boxes);
    }
    Ok(Message::new(&header.to_bytes(), proved.values))
}

/// Weight bits as they are, no slack, and every row's projection claimed to be zero (only the offset's bit set).
fn forged_witness(program: &WeightedMean, weight: u64) -> Vec<Fp> {
    let weight_bits = program.max_weight().trailing_zeros() as usize;
    let scale_bits = program.kappa().trailing_zeros() as usize + weight_bits;
    let row_bits = scale_bits + 4;
    let mut witness: Vec<Fp> = (0..weight_bits).map(|i| Fp::reduce((weight - 1) >> i & 1)).collect();
    witness.resize(weight_bits + 2 * scale_bits + 1, Fp::ZERO);
    while witness.len() < program.witness_len() {
        witness.extend((1..=row_bits).map(|bit| if bit == row_bits { Fp::ONE } else { Fp::ZERO }));
    }
    witness
}
