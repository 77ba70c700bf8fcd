//! Sites: honest ones, and cheats with every tamper of the reference's vectors.

use crate::draw::Draw;
use crate::keys::Keys;
use crate::scenario::{Cheat, SiteRole};
use crate::wire::{Party, Wire};
use alloy_primitives::{Address, B256};
use consilium_core::contribution::{Body, Contribution, Contributor};
use consilium_core::cores::Cores;
use consilium_core::encode::{Encoded, encode, encode_choice};
use consilium_core::error::EncodeError;
use consilium_core::field::{self, Fp};
use consilium_core::mask::{Seed, Seeds};
use consilium_core::program::{AnyProgram, Program};
use consilium_core::prove::{Proved, prove_with, rows_stream};
use consilium_core::round::SignedReceipt;
use consilium_core::seal;
use consilium_core::terms::Terms;
use consilium_core::transcript::{Context, values_hash};
use std::rc::Rc;

/// A contribution, and what is true about it.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) header: Rc<[u8]>,
    pub(crate) values: Rc<[u8]>,
    /// The digest that nodes compute for it.
    pub(crate) digest: B256,
    /// Its part of the output if it satisfies the program and is bound to this round.
    pub(crate) truth: Option<Vec<Fp>>,
    pub(crate) seeds: Vec<[u8; 32]>,
}

/// One site in one round.
#[derive(Debug)]
pub(crate) struct Site {
    site: usize,
    n: usize,
    quorum: usize,
    pub(crate) made: Vec<Made>,
    everywhere: bool,
    /// Nodes up to this one get the first contribution, the others the last.
    split: usize,
    next: usize,
    patience: usize,
    done: bool,
}

impl Site {
    pub(crate) fn new(site: usize, role: SiteRole, terms: &Terms, draw: &mut Draw) -> Self {
        let sizes = terms.committee.sizes();
        let made = Workshop { site, terms, draw }.make(role);
        let everywhere = matches!(role, SiteRole::Cheat(_));
        let next = draw.below(sizes.n() as u64) as usize;
        let split = draw.between(1, sizes.n() as u64 - 1) as usize;
        Self { site, n: sizes.n(), quorum: sizes.quorum(), made, everywhere, split, next, patience: 0, done: false }
    }

    pub(crate) fn address(&self) -> Address {
        Keys::get().site_address(self.site)
    }

    /// Uploads to one node; if that brings no receipts, to the next one. Cheats upload everywhere.
    pub(crate) fn step(&mut self, out: &mut Vec<(Party, Wire)>) {
        let wire = |made: &Made| Wire::Contribution(made.header.clone(), made.values.clone());
        if self.done || self.made.is_empty() {
            return;
        }
        if self.everywhere {
            for node in 1..=self.n {
                let which = if node <= self.split { self.made.first() } else { self.made.last() };
                out.extend(which.map(|made| (Party::Node(node), wire(made))));
            }
        } else {
            if self.patience == 0 {
                self.next = self.next % self.n + 1;
                out.push((Party::Node(self.next), wire(&self.made[0])));
                self.patience = 3;
            }
            self.patience -= 1;
            out.push((Party::Node(self.next), Wire::AskReceipts));
        }
    }

    pub(crate) fn receive(&mut self, receipts: &[SignedReceipt]) {
        let digest = self.made.first().map(|made| made.digest);
        let count = receipts.iter().filter(|receipt| Some(receipt.member.digest) == digest).count();
        self.done |= count >= self.quorum && !self.everywhere;
    }
}

/// Makes one site's contributions.
struct Workshop<'a> {
    site: usize,
    terms: &'a Terms,
    draw: &'a mut Draw,
}

impl Workshop<'_> {
    fn make(&mut self, role: SiteRole) -> Vec<Made> {
        let cheat = if let SiteRole::Cheat(cheat) = role { Some(cheat) } else { None };
        match cheat {
            None => vec![self.honest()],
            Some(Cheat::Equivocate) => vec![self.honest(), self.honest()],
            Some(Cheat::GarbageBoxes) => vec![self.bad_boxes(|sealed, draw| sealed.fill(draw.below(256) as u8))],
            Some(Cheat::EmptyBoxes) => vec![self.bad_boxes(|sealed, _| sealed.clear())],
            Some(Cheat::WrongSeeds) => vec![self.wrong_seeds()],
            Some(Cheat::Context | Cheat::Replay) => vec![self.foreign(cheat == Some(Cheat::Replay))],
            Some(cheat) => vec![self.tampered(cheat)],
        }
    }

    fn input(&mut self) -> Encoded {
        let encoded = match &self.terms.program {
            AnyProgram::WeightedMean(program) => {
                let scale = self.draw.pick(&[0.01, 0.3, 5.0]);
                let one = |draw: &mut Draw| (draw.below(2001) as f64 / 1000.0 - 1.0) * scale;
                let update: Vec<f64> = (0..program.dimension()).map(|_| one(self.draw)).collect();
                let weight = self.draw.pick(&[1, 2, 100, 256]);
                let ctx = self.terms.context().of_site(Keys::get().site_address(self.site));
                encode(program, &ctx, &update, weight, &self.draw.bytes(), self.draw.rng())
            }
            AnyProgram::OneHot(program) => encode_choice(program, self.draw.below(program.dimension() as u64) as usize),
        };
        encoded.unwrap_or_else(|error| panic!("an honest site could not encode: {error}"))
    }

    /// What an input adds to the output.
    fn output(&self, input: &Encoded) -> Vec<Fp> {
        let weight = matches!(self.terms.program, AnyProgram::WeightedMean(_)).then(|| Fp::reduce(input.weight()));
        input.values().iter().copied().chain(weight).collect()
    }

    fn prove(&mut self, context: &Context, input: &Encoded, witness_of: &Encoded) -> (Proved, Seeds) {
        let sizes = self.terms.committee.sizes();
        let ctx = context.of_site(Keys::get().site_address(self.site));
        let program: &dyn Program = &*self.terms.program;
        loop {
            let seeds = Seeds::draw(sizes, &ctx, input.values(), &self.draw.bytes(), self.draw.rng());
            let proved = prove_with(sizes, program, &ctx, input, &seeds, |rows| {
                let mut stream = rows_stream(rows);
                program.witness(witness_of.values(), witness_of.weight(), &mut |block| stream.fill_bytes(block))
            });
            match proved {
                Err(EncodeError::RowOutOfRange) => {}
                other => return (other.unwrap_or_else(|error| panic!("a site could not prove: {error}")), seeds),
            }
        }
    }

    fn with<T>(&mut self, context: &Context, work: impl FnOnce(&Contributor<'_>, &mut Draw) -> T) -> T {
        let keys = Keys::get();
        let Terms { domain, committee, program, .. } = self.terms;
        let key = keys.site(self.site);
        work(&Contributor { domain: *domain, committee, program: &**program, context, key }, self.draw)
    }

    fn made(&self, contribution: &Contribution, values: &[u8], truth: Option<Vec<Fp>>, seeds: &Seeds) -> Made {
        let digest = contribution.body.digest(&self.terms.context().of_site(contribution.site));
        let seeds = seeds.as_slice().iter().map(|seed| *seed.expose()).collect();
        Made { header: contribution.to_bytes().into(), values: values.into(), digest, truth, seeds }
    }

    fn honest(&mut self) -> Made {
        let (input, context) = (self.input(), self.terms.context());
        let (proved, seeds) = self.prove(&context, &input, &input);
        let contribution = self.with(&context, |site, draw| site.seal_and_sign(Cores::ONE, &proved, &seeds, draw.rng()));
        let truth = self.output(&input);
        self.made(&contribution, &field::to_bytes(&proved.values), Some(truth), &seeds)
    }

    /// Valid, but t boxes are not.
    fn bad_boxes(&mut self, spoil: impl Fn(&mut Vec<u8>, &mut Draw)) -> Made {
        let (input, context) = (self.input(), self.terms.context());
        let (proved, seeds) = self.prove(&context, &input, &input);
        let mut contribution = self.with(&context, |site, draw| site.seal_and_sign(Cores::ONE, &proved, &seeds, draw.rng()));
        let first = self.draw.below(contribution.boxes.len() as u64) as usize;
        for i in 0..self.terms.committee.sizes().t() {
            let at = (first + i) % contribution.boxes.len();
            spoil(&mut contribution.boxes[at], self.draw);
        }
        let (body, boxes) = (contribution.body, contribution.boxes);
        let contribution = self.with(&context, |site, _| site.sign(body, boxes));
        let truth = self.output(&input);
        self.made(&contribution, &field::to_bytes(&proved.values), Some(truth), &seeds)
    }

    /// Valid, but the boxes of t nodes hold one seed that does not match its commitment.
    fn wrong_seeds(&mut self) -> Made {
        let (input, context) = (self.input(), self.terms.context());
        let (proved, seeds) = self.prove(&context, &input, &input);
        let mut contribution = self.with(&context, |site, draw| site.seal_and_sign(Cores::ONE, &proved, &seeds, draw.rng()));
        let ctx = context.of_site(contribution.site);
        let digest = contribution.body.digest(&ctx);
        let terms = self.terms;
        let sizes = terms.committee.sizes();
        for node in 1..=sizes.t() {
            let mut wrong = seeds.as_slice().to_vec();
            sizes.seeds_of(node).take(1).for_each(|number| wrong[number] = Seed::new(self.draw.bytes()));
            let wrong = Seeds::from_vec(wrong);
            let mut boxes = seal::seal_boxes(Cores::ONE, &terms.committee, [ctx, digest], &wrong, self.draw.rng());
            contribution.boxes[node - 1] = boxes.swap_remove(node - 1);
        }
        let (body, boxes) = (contribution.body, contribution.boxes);
        let contribution = self.with(&context, |site, _| site.sign(body, boxes));
        let truth = self.output(&input);
        self.made(&contribution, &field::to_bytes(&proved.values), Some(truth), &seeds)
    }

    /// Honest work for another round; sent as it is, or signed again as if it were of this one.
    fn foreign(&mut self, as_it_is: bool) -> Made {
        let (input, here) = (self.input(), self.terms.context());
        let there = Context { round: here.round + 1, ..here };
        let (proved, seeds) = self.prove(&there, &input, &input);
        let contribution = self.with(&there, |site, draw| site.seal_and_sign(Cores::ONE, &proved, &seeds, draw.rng()));
        if as_it_is {
            return self.made(&contribution, &field::to_bytes(&proved.values), None, &seeds);
        }
        let (body, boxes) = (contribution.body, contribution.boxes);
        let contribution = self.with(&here, |site, _| site.sign(body, boxes));
        self.made(&contribution, &field::to_bytes(&proved.values), None, &seeds)
    }

    fn tampered(&mut self, cheat: Cheat) -> Made {
        let (input, context) = (self.input(), self.terms.context());
        let bad = self.bad_input(cheat, &input);
        let (mut proved, seeds) = self.prove(&context, &bad, &input);
        let at = self.draw.below(proved.values.len() as u64) as usize;
        match cheat {
            Cheat::Values => proved.values[at] += Fp::ONE,
            Cheat::Witness if !proved.witness.is_empty() => proved.witness[at] += Fp::ONE,
            Cheat::Weight if !proved.witness.is_empty() => proved.witness[0] += Fp::reduce(300),
            // A ballot has neither witness nor weight to forge.
            Cheat::Proof | Cheat::Witness | Cheat::Weight => proved.proof[0].a += Fp::ONE,
            _ => {}
        }
        let mut values = field::to_bytes(&proved.values);
        match cheat {
            Cheat::Short => values.truncate(values.len() - 8),
            Cheat::Long => values.extend([0; 8]),
            Cheat::NonCanonical => values[..8].fill(0xff),
            _ => {}
        }
        let body = Body { values_hash: values_hash(&values), ..Body::from(&proved) };
        let contribution = self.seal(&context, body, &seeds);
        self.made(&contribution, &values, None, &seeds)
    }

    fn bad_input(&self, cheat: Cheat, input: &Encoded) -> Encoded {
        let mut values = input.values().to_vec();
        match (cheat, &self.terms.program) {
            (Cheat::Norm, AnyProgram::WeightedMean(program)) => values[0] = Fp::reduce(1000 * program.kappa() * input.weight()),
            // 2^48 is a square root of -1, so squares of huge numbers can cancel: with a·b = x0² + x1², these two have the
            // same sum of squares.
            (Cheat::Wrap, AnyProgram::WeightedMean(_)) => {
                let (half, root) = (Fp::reduce(2).inverse(), Fp::reduce(1 << 48));
                let b = Fp::reduce(0x1234_5678_9abc_def1);
                let a = (values[0] * values[0] + values[1] * values[1]) * b.inverse();
                (values[0], values[1]) = ((a + b) * half, (a - b) * half * root.inverse());
            }
            (Cheat::Norm, AnyProgram::OneHot(_)) => values.fill(Fp::ONE),
            (Cheat::Wrap, AnyProgram::OneHot(_)) => values[0] -= Fp::reduce(2),
            _ => {}
        }
        Encoded::unchecked(values, input.weight())
    }

    fn seal(&mut self, context: &Context, body: Body, seeds: &Seeds) -> Contribution {
        let ctx = context.of_site(Keys::get().site_address(self.site));
        let (digest, terms) = (body.digest(&ctx), self.terms);
        let boxes = seal::seal_boxes(Cores::ONE, &terms.committee, [ctx, digest], seeds, self.draw.rng());
        self.with(context, |site, _| site.sign(body, boxes))
    }
}
