//! A node's cryptographic work: verifying, repairing, releasing, unmasking.

use crate::draw::Draw;
use crate::keys::Keys;
use crate::shell::{Note, Output, Shell};
use crate::wire::{Party, Wire};
use alloy_primitives::Bytes;
use consilium_core::certify::{Cohort, SetMember};
use consilium_core::field::{self, Fp};
use consilium_core::mask::Seed;
use consilium_core::merkle::vector_root;
use consilium_core::release::RunningSum;
use consilium_core::round::{Event, Message, Unmasked, Verdict};
use consilium_core::seal::{self, BoxContext};
use consilium_core::settle::settlement;
use consilium_core::terms::Terms;
use consilium_core::transcript::seed_commitment;
use consilium_core::unmask::unmask;
use std::collections::BTreeMap;

impl Shell {
    pub(crate) fn verify(&mut self, terms: &Terms, member: SetMember) -> Option<Event> {
        let blob = self.blob(&member)?.clone();
        let ctx = terms.context().of_site(member.site);
        let verifier = self.verifier(terms);
        let held = {
            let held = self.process.as_ref()?.seeds.get(&member).cloned();
            held.unwrap_or_else(|| verifier.open_box(&ctx, member.digest, &blob.contribution, &self.keys().kem))
        };
        let missing = verifier.missing_seeds(&held);
        let checked = verifier.verify(member.site, &ctx, &blob.contribution.body, &blob.values, &held);
        let process = self.process.as_mut()?;
        process.seeds.insert(member, held);
        let verdict = match checked {
            Ok(accepted) => {
                process.accepted.insert(member, accepted);
                Verdict::Accepted
            }
            Err(consilium_core::error::Rejection::Seed) => Verdict::MissingSeeds(missing),
            Err(step) => Verdict::Rejected(step),
        };
        let verdict = self.mischief.as_mut().map_or(verdict.clone(), |mischief| mischief.verdict(verdict));
        Some(Event::Verified { member, verdict })
    }

    pub(crate) fn open_seeds(&mut self, terms: &Terms, member: SetMember, sealed: &BTreeMap<usize, Bytes>) -> Option<Event> {
        let blob = self.blob(&member)?.clone();
        let ctx = terms.context().of_site(member.site);
        let context = BoxContext { ctx, digest: member.digest, node: self.node };
        let commitments = &blob.contribution.body.commitments;
        let open = |(&number, sealed): (&usize, &Bytes)| {
            let seed = self.keys().kem.open_repair(&context, number, sealed).ok()?;
            let right = commitments.get(number) == Some(&seed_commitment(&ctx, number as u64, seed.expose()));
            right.then_some((number, seed))
        };
        let opened: Vec<(usize, Seed)> = sealed.iter().filter_map(open).collect();
        self.process.as_mut()?.seeds.entry(member).or_default().extend(opened);
        self.verify(terms, member)
    }

    pub(crate) fn answer_seeds(&mut self, terms: &Terms, to: usize, member: SetMember, numbers: Vec<usize>, out: &mut Output) {
        let ctx = terms.context().of_site(member.site);
        let context = BoxContext { ctx, digest: member.digest, node: to };
        let Some(held) = self.process.as_ref().and_then(|process| process.seeds.get(&member)) else { return };
        let Some(key) = terms.committee.member(to).map(|to| &to.kem_key) else { return };
        let mut sealed = BTreeMap::new();
        for number in &numbers {
            let Some(seed) = held.get(number) else { continue };
            if let Ok(bytes) = seal::seal_repair(key, &context, *number, seed, self.draw.rng()) {
                sealed.insert(*number, Bytes::from(bytes));
            }
        }
        out.notes.push(Note::Answers { to, numbers });
        let message = Message::Seeds { member, sealed };
        let bytes = serde_json::to_vec(&message).unwrap_or_default();
        out.packets.push((Party::Node(to), Wire::Peer(bytes.into())));
    }

    pub(crate) fn release(&mut self, cohort: &Cohort, out: &mut Output) -> Option<Event> {
        let process = self.process.as_mut()?;
        let sum = RunningSum::new(process.terms.program.output_len());
        for member in cohort.members() {
            sum.add(process.accepted.get(member)?);
        }
        let share = sum.release(cohort).ok()?.values().to_vec();
        let share = self.mischief.as_mut().map_or(share.clone(), |mischief| mischief.compute(share));
        let root = vector_root(&share);
        out.notes.push(Note::Releases(cohort.clone()));
        process.share = Some(share);
        Some(Event::Released { root })
    }

    pub(crate) fn serve(&mut self, to: Party, out: &mut Output) {
        let Some(share) = self.process.as_ref().and_then(|process| process.share.clone()) else { return };
        let share = self.mischief.as_mut().map_or(share.clone(), |mischief| mischief.serve(share));
        out.packets.push((to, Wire::Share(field::to_bytes(&share).into())));
    }

    pub(crate) fn unmask(&mut self, terms: &Terms, nodes: &[usize], out: &mut Output) -> Option<Event> {
        let process = self.process.as_ref()?;
        let share = |node: usize| if node == self.node { process.share.as_ref() } else { process.fetched.get(&node) };
        let served: BTreeMap<usize, &[Fp]> = nodes.iter().filter_map(|&node| Some((node, share(node)?.as_slice()))).collect();
        let aggregate = unmask(terms.committee.sizes(), &served, Draw::new(self.node as u64).rng()).ok()?;
        let cohort = process.round.certified()?;
        let voters = process.round.voters();
        let settlement = settlement(terms.study, terms.round, cohort, voters, &aggregate);
        out.notes.push(Note::Aggregate(aggregate.values().to_vec()));
        let (share_roots, liars) = (aggregate.share_roots().to_vec(), aggregate.liars().to_vec());
        Some(Event::Unmasked(Unmasked { settlement, share_roots, liars }))
    }
}

/// The address of every recorded voter, in node order.
pub(crate) fn addresses(voters: &[usize]) -> Vec<alloy_primitives::Address> {
    voters.iter().map(|node| Keys::get().node(*node).signing.address()).collect()
}
