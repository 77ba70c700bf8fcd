//! From an update to a journalled message, and from there to Q receipts.
//!
//! `admit -> ask the nodes -> encode -> mask -> prove -> seal, sign -> journal -> deliver`. Whatever happens after the journal's line is on
//! disk, a repeated call sends the same bytes.

use crate::admission::{About, check_committee, check_open};
use crate::deliver::Delivered;
use crate::error::{Error, Refusal};
use crate::journal::{Hasher, Recorded, Slot};
use crate::message::Message;
use crate::progress::Progress;
use crate::site::{Site, blocking};
use crate::tensors::Tensors;
use alloy_primitives::{Address, B256};
use consilium_core::certify::{ReceiptCertificate, SetMember};
use consilium_core::contribution::Contributor;
use consilium_core::cores::Cores;
use consilium_core::eip712::SecretKey;
use consilium_core::encode::{Encoded, encode_choice, encode_on};
use consilium_core::program::AnyProgram;
use consilium_core::terms::Terms;
use consilium_core::transcript::Context;
use consilium_ledger::Round;
use rand_core::CryptoRng;
use std::time::Instant;
use zeroize::Zeroizing;

/// A contribution that Q nodes have signed for.
#[derive(Debug, Clone, PartialEq)]
pub struct Submitted {
    /// In which round.
    pub slot: Slot,
    /// What was signed.
    pub digest: B256,
    /// At least Q valid receipts of distinct nodes. If n-3t honest nodes know them Δ before the cutoff, the contribution is in the
    /// set or there is no set; that this site has them is not enough.
    pub receipts: ReceiptCertificate,
    /// The nodes that took an upload, in order.
    pub uploaded_to: Vec<Address>,
    /// Whether the message was in the journal already.
    pub resumed: bool,
    /// Bytes and times.
    pub cost: Cost,
}

/// What a contribution cost.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cost {
    /// Bytes of the message: header and masked vector.
    pub message_bytes: u64,
    /// Bytes of all request bodies that were sent, failed attempts included.
    pub uploaded_bytes: u64,
    /// Seconds for encoding, masking, proving, sealing, signing.
    pub prove_seconds: f64,
    /// Seconds for all uploads.
    pub upload_seconds: f64,
    /// Seconds from the first upload to the last receipt needed.
    pub deliver_seconds: f64,
}

/// Coordinates of an update that are hashed together.
const HASHED: usize = 1 << 13;

/// What goes in: wiped on drop.
#[derive(Clone)]
enum Input {
    Update { values: Zeroizing<Vec<f64>>, weight: u64 },
    Choice(usize),
}

/// A round's terms with the pieces of a contribution to it. Nothing of this site's rules has been checked: use it to
/// study or to test the protocol, [`Site::contribute`] to take part.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Everything that a contribution's context binds, read from the chain.
    pub terms: Terms,
    /// The context that this site built from them.
    pub context: Context,
}

impl Prepared {
    /// Terms from anywhere.
    #[must_use]
    pub fn new(terms: Terms) -> Self {
        Self { context: terms.context(), terms }
    }

    /// What masks, proves, seals and signs for this round.
    #[must_use]
    pub fn contributor<'a>(&'a self, key: &'a SecretKey) -> Contributor<'a> {
        let Terms { domain, committee, program, .. } = &self.terms;
        Contributor { domain: *domain, committee, program: &**program, context: &self.context, key }
    }
}

/// A message that is in the journal.
pub(crate) struct Journalled {
    pub(crate) recorded: Recorded,
    pub(crate) message: Message,
    resumed: bool,
    prove_seconds: f64,
}

impl Site {
    /// Reads a round's terms and checks none of this site's rules.
    ///
    /// # Errors
    /// [`Error::Ledger`].
    pub async fn prepare(&self, study: u64, round: u64) -> Result<Prepared, Error> {
        Ok(Prepared::new(self.read(study, round).await?.1.terms))
    }

    /// Contributes an update, in canonical order, to a round of program `weighted-mean`: an update of `base` with weight
    /// `weight`, 1..=2^b. Returns when Q nodes have signed receipts.
    ///
    /// # Errors
    /// [`Error::Refused`] when this site's rules forbid it; [`Error::TooFewAnswers`] when too few nodes say what they hold of
    /// this site; [`Error::Encode`]; [`Error::Undelivered`] when too few receipts came: call again.
    pub async fn contribute(&self, study: u64, round: u64, update: &[f64], weight: u64, base: B256) -> Result<Submitted, Error> {
        let input = Input::Update { values: Zeroizing::new(update.to_vec()), weight };
        self.submit(study, round, input, About::Model(base)).await
    }

    /// [`Self::contribute`] with named tensors.
    ///
    /// # Errors
    /// As [`Self::contribute`].
    pub async fn contribute_tensors(
        &self,
        study: u64,
        round: u64,
        update: &Tensors,
        weight: u64,
        base: B256,
    ) -> Result<Submitted, Error> {
        self.contribute(study, round, update.values(), weight, base).await
    }

    /// Casts a ballot in a round of program `one-hot`: choice number `choice`, from 0. With `question`, the round must be
    /// about it.
    ///
    /// # Errors
    /// As [`Self::contribute`].
    pub async fn vote(&self, study: u64, round: u64, choice: usize, question: Option<B256>) -> Result<Submitted, Error> {
        self.submit(study, round, Input::Choice(choice), question.map_or(About::Anything, About::Question)).await
    }

    /// Sends the journalled contribution to a round again, the same bytes, and collects its receipts.
    ///
    /// # Errors
    /// [`Refusal::NothingToResume`], [`Refusal::NotOpen`], [`Refusal::DeadlinePassed`]; [`Error::Undelivered`].
    pub async fn resume(&self, study: u64, round: u64) -> Result<Submitted, Error> {
        let slot = Slot::new(self.config().addresses.domain(), study, round);
        let recorded = self.journal().contribution(&slot).copied().ok_or(Refusal::NothingToResume(slot))?;
        let round = self.read(study, round).await?.1;
        check_committee(&self.config().policy, &round.terms)?;
        check_open(&round, self.now().as_secs())?;
        let message = self.stored(recorded).await?;
        self.send(&round.terms, message).await
    }

    async fn submit(&self, study: u64, round: u64, input: Input, about: About) -> Result<Submitted, Error> {
        let round = self.admit(study, round, about).await?;
        check_program(&round.terms, &input)?;
        self.tell(Progress::Admitted);
        let slot = Slot::new(round.terms.domain, study, round.terms.round);
        let known = self.journal().contribution(&slot).copied();
        let message = match known {
            Some(recorded) if recorded.input == self.fingerprint(&input, round.terms.subject) => self.stored(recorded).await?,
            Some(Recorded { digest: signed, .. }) => return Err(Refusal::AnotherDigest { place: slot, signed }.into()),
            None => {
                self.ask_what_nodes_hold(&round.terms).await?;
                self.make(&round, slot, input).await?
            }
        };
        self.send(&round.terms, message).await
    }

    async fn stored(&self, recorded: Recorded) -> Result<Journalled, Error> {
        let site = self.clone();
        let message = blocking(move || Ok(site.journal().message(&recorded)?)).await?;
        Ok(Journalled { recorded, message, resumed: true, prove_seconds: 0.0 })
    }

    /// Everything between the plain update and the disk, on a thread of its own.
    async fn make(&self, round: &Round, slot: Slot, input: Input) -> Result<Journalled, Error> {
        let (site, prepared) = (self.clone(), Prepared::new(round.terms.clone()));
        self.tell(Progress::Proving { coordinates: prepared.terms.program.dimension() });
        let mut rng = self.draw_rng()?;
        let made = blocking(move || {
            let (cores, started) = (Cores::all(), Instant::now());
            let fingerprint = site.fingerprint(&input, prepared.terms.subject);
            let (ctx, secret) = (prepared.context.of_site(site.address()), site.keys().expose_device_secret());
            let encoded = input.encode(cores, &prepared.terms.program, &ctx, secret, &mut *rng)?;
            drop(input);
            let contributor = prepared.contributor(site.keys().signing());
            let (contribution, values) = contributor.contribute(cores, encoded, secret, &mut *rng)?;
            let digest = contribution.body.digest(&ctx);
            let message = Message::new(&contribution.to_bytes(), values);
            let prove_seconds = started.elapsed().as_secs_f64();
            let (subject, committee) = (prepared.terms.subject, prepared.terms.committee.hash());
            let recorded = Recorded { slot, committee, subject, digest, input: fingerprint, message: message.hash() };
            site.journal().record(recorded, &message, &site.config().policy.shared)?;
            Ok(Journalled { recorded, message, resumed: false, prove_seconds })
        });
        let made = made.await?;
        self.tell(Progress::Journalled { digest: made.recorded.digest });
        Ok(made)
    }

    /// Recognises the same input again, and tells nothing to who reads the journal without the device secret.
    fn fingerprint(&self, input: &Input, subject: B256) -> B256 {
        let mut hasher = Hasher::new();
        hasher.update(self.keys().expose_device_secret());
        hasher.update(subject.as_slice());
        match input {
            Input::Update { values, weight } => {
                hasher.update(&weight.to_le_bytes());
                let mut bytes = Zeroizing::new(Vec::with_capacity(8 * HASHED));
                for values in values.chunks(HASHED) {
                    bytes.clear();
                    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
                    hasher.update(&bytes);
                }
            }
            Input::Choice(choice) => hasher.update(&(*choice as u64).to_le_bytes()),
        }
        hasher.finish()
    }

    async fn send(&self, terms: &Terms, journalled: Journalled) -> Result<Submitted, Error> {
        let Journalled { recorded: Recorded { slot, digest, .. }, message, resumed, prove_seconds } = journalled;
        let message_bytes = message.length() as u64 - 4;
        let member = SetMember { site: self.address(), digest };
        let delivered = self.deliver(terms, member, message, resumed).await;
        let Delivered { receipts, uploaded_to, uploaded_bytes, upload_seconds, deliver_seconds } = match delivered {
            Ok(delivered) => delivered,
            Err(error) => {
                if let Error::Undelivered { have, .. } = &error {
                    let have = (**have).clone();
                    self.in_journal(move |journal| journal.note_receipts(slot, have)).await?;
                }
                return Err(error);
            }
        };
        let kept = receipts.clone();
        self.in_journal(move |journal| journal.note_receipts(slot, kept)).await?;
        let cost = Cost { message_bytes, uploaded_bytes, prove_seconds, upload_seconds, deliver_seconds };
        Ok(Submitted { slot, digest, receipts, uploaded_to, resumed, cost })
    }
}

impl Input {
    fn encode(
        &self,
        cores: Cores,
        program: &AnyProgram,
        ctx: &B256,
        device_secret: &[u8; 32],
        rng: &mut dyn CryptoRng,
    ) -> Result<Encoded, Error> {
        match (self, program) {
            (Self::Update { values, weight }, AnyProgram::WeightedMean(program)) => {
                Ok(encode_on(cores, program, ctx, values, *weight, device_secret, rng)?)
            }
            (Self::Choice(choice), AnyProgram::OneHot(program)) => Ok(encode_choice(program, *choice)?),
            (_, program) => Err(mismatch(0, program).into()),
        }
    }
}

fn check_program(terms: &Terms, input: &Input) -> Result<(), Refusal> {
    match (input, &terms.program) {
        (Input::Update { .. }, AnyProgram::WeightedMean(_)) | (Input::Choice(_), AnyProgram::OneHot(_)) => Ok(()),
        (_, program) => Err(mismatch(terms.study, program)),
    }
}

fn mismatch(study: u64, program: &AnyProgram) -> Refusal {
    let hint = match program {
        AnyProgram::WeightedMean(_) => "contribute an update, not a ballot",
        AnyProgram::OneHot(_) => "cast a ballot (`vote`), not an update",
    };
    Refusal::OtherProgram { study, program: program.name(), hint }
}
