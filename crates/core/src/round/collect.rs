//! Sections 6.2 and 6.3: contributions, receipts, certificates and the repair of bad boxes.

use super::{Effect, Message, Round, SignedReceipt, Statement, Verdict};
use crate::certify::{DatedCertificate, ReceiptCertificate, SetMember};
use crate::eip712::{Receipt, Signed};
use crate::error::Rejection;
use crate::transcript::Transcript;
use alloy_primitives::{Address, B256, Bytes};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// Receipts in one message, up to those of the last site: about a megabyte and a half. Receipts of one site are never
/// parted, as a quorum counts when it arrives together.
const PAGE: usize = 4096;
/// Pages in one answer to a peer that lacks receipts.
const PAGES: usize = 8;

/// What is known about the round's contributions.
#[derive(Debug, Clone, Default)]
pub(super) struct Collected {
    /// Stored contributions under verification.
    stored: BTreeSet<SetMember>,
    /// Contributions verified on this node's shares.
    pub(super) held: BTreeSet<SetMember>,
    /// Contributions that were verified since receipts were last signed.
    verified: Vec<SetMember>,
    /// Contributions that this node has rejected.
    pub(super) rejected: BTreeMap<SetMember, Rejection>,
    /// Seeds that this node lacks.
    missing: BTreeMap<SetMember, Vec<usize>>,
    /// Receipts by site, then by signer and digest: the first of each node, and later ones of a node that signed several
    /// if their contribution is here or they came with a quorum. So they are as bounded as the contributions are.
    receipts: BTreeMap<Address, BTreeMap<(usize, B256), Signed>>,
    /// When a contribution's Q-th receipt arrived.
    certificates: BTreeMap<SetMember, u64>,
    /// Certificates that the shell has not been told of yet.
    fresh: Vec<SetMember>,
    /// When the last admitted site's certificate arrived.
    complete_at: Option<u64>,
}

impl Collected {
    /// Hash over the receipts known, to compare with a peer.
    pub(super) fn summary(&self) -> B256 {
        let mut transcript = Transcript::new("receipts");
        for (site, receipts) in &self.receipts {
            for (node, digest) in receipts.keys() {
                transcript.part(site.as_slice()).part(&(*node as u64).to_le_bytes()).part(digest.as_slice());
            }
        }
        transcript.finish()
    }

    fn all_receipts(&self) -> impl Iterator<Item = SignedReceipt> {
        self.receipts.keys().flat_map(|site| self.receipts_of(site))
    }

    /// The next pages of receipts from a site on, and the site with which the pages after them begin.
    pub(super) fn pages(&self, from: Option<Address>) -> (Vec<Vec<SignedReceipt>>, Option<Address>) {
        let start = from.map_or(Bound::Unbounded, Bound::Included);
        let mut sites = self.receipts.range((start, Bound::Unbounded)).map(|(site, _)| *site).peekable();
        let mut pages = Vec::new();
        while pages.len() < PAGES && sites.peek().is_some() {
            let mut page = Vec::new();
            while page.len() < PAGE
                && let Some(site) = sites.next()
            {
                page.extend(self.receipts_of(&site));
            }
            pages.push(page);
        }
        (pages, sites.next())
    }

    pub(super) fn receipts_of(&self, site: &Address) -> Vec<SignedReceipt> {
        let known = self.receipts.get(site).into_iter().flatten();
        known
            .map(|(&(node, digest), &signature)| SignedReceipt { node, member: SetMember { site: *site, digest }, signature })
            .collect()
    }

    /// One node's receipts, one a site, from a site on, and the site with which there are more.
    pub(super) fn receipts_by(&self, node: usize, from: Option<Address>, most: usize) -> (Vec<SignedReceipt>, Option<Address>) {
        let start = from.map_or(Bound::Unbounded, Bound::Included);
        let sites = self.receipts.range((start, Bound::Unbounded)).map(|(site, _)| *site);
        let first = |site: Address| self.receipts_of(&site).into_iter().find(|receipt| receipt.node == node);
        let mut found = sites.filter_map(first);
        let page: Vec<_> = found.by_ref().take(most).collect();
        (page, found.next().map(|receipt| receipt.member.site))
    }

    /// Contributions with Q receipts, sites increasing, with the time of the Q-th.
    pub(super) fn certificates(&self) -> &BTreeMap<SetMember, u64> {
        &self.certificates
    }

    /// The certificates of sites that have one. Two of one site take more than t nodes that lie or forgot what they signed; a
    /// set has a site once, so that none of them has to be in it.
    pub(super) fn unambiguous(&self) -> impl Iterator<Item = (&SetMember, &u64)> {
        let others = |member: &SetMember| {
            let first = SetMember { site: member.site, digest: B256::ZERO };
            let last = SetMember { site: member.site, digest: B256::repeat_byte(0xff) };
            self.certificates.range(first..=last).count() > 1
        };
        self.certificates.iter().filter(move |(member, _)| !others(member))
    }

    /// The certificates that a node kept over a restart, with the times that they had.
    pub(super) fn restore(&mut self, kept: Vec<DatedCertificate>, sites: usize) {
        for DatedCertificate { certificate: ReceiptCertificate { member, receipts }, since } in kept {
            let of_site = self.receipts.entry(member.site).or_default();
            of_site.extend(receipts.into_iter().map(|(node, signature)| ((node, member.digest), signature)));
            self.certificates.insert(member, since);
        }
        if sites > 0 && self.is_complete(sites) {
            self.complete_at = self.certificates.values().max().copied();
        }
    }

    /// Whether as many sites as there are have a certificate. One that has two counts once.
    fn is_complete(&self, sites: usize) -> bool {
        let of_sites = || self.certificates.keys().map(|member| member.site);
        let repeated = || of_sites().zip(of_sites().skip(1)).filter(|(one, next)| one == next).count();
        self.certificates.len() >= sites && self.certificates.len() - repeated() >= sites
    }

    /// Certificates since the last call, for the shell to keep.
    pub(super) fn take_fresh(&mut self) -> Vec<DatedCertificate> {
        let fresh = std::mem::take(&mut self.fresh);
        let dated = |member: SetMember| {
            let since = *self.certificates.get(&member)?;
            let of_contribution = self.receipts_of(&member.site).into_iter().filter(|receipt| receipt.member == member);
            let receipts = of_contribution.map(|receipt| (receipt.node, receipt.signature)).collect();
            Some(DatedCertificate { certificate: ReceiptCertificate { member, receipts }, since })
        };
        fresh.into_iter().filter_map(dated).collect()
    }

    pub(super) fn complete_at(&self) -> Option<u64> {
        self.complete_at
    }

    /// Whether this very receipt was accepted before.
    pub(super) fn knows(&self, receipt: &SignedReceipt) -> bool {
        let SignedReceipt { node, member, signature } = receipt;
        self.receipts.get(&member.site).and_then(|known| known.get(&(*node, member.digest))) == Some(signature)
    }

    fn nodes_with(&self, member: &SetMember) -> Vec<usize> {
        let receipts = self.receipts.get(&member.site).into_iter().flatten();
        receipts.map(|(&signer, _)| signer).filter(|(_, digest)| *digest == member.digest).map(|(node, _)| node).collect()
    }

    pub(super) fn has_receipt_of(&self, site: &Address, node: usize) -> bool {
        self.receipts.get(site).is_some_and(|known| known.keys().any(|(signer, _)| *signer == node))
    }

    fn is_here(&self, member: &SetMember) -> bool {
        self.stored.contains(member) || self.held.contains(member) || self.rejected.contains_key(member)
    }
}

impl Round {
    pub(super) fn on_stored(&mut self, member: SetMember, effects: &mut Vec<Effect>) {
        if !self.is_over() && self.terms.admits(&member.site) && !self.collected.is_here(&member) {
            self.collected.stored.insert(member);
            effects.push(Effect::Verify(member));
        }
    }

    pub(super) fn on_verified(&mut self, member: SetMember, verdict: Verdict, effects: &mut Vec<Effect>) {
        self.progressed();
        match verdict {
            Verdict::Accepted => {
                self.collected.stored.remove(&member);
                self.collected.missing.remove(&member);
                self.collected.held.insert(member);
                self.collected.verified.push(member);
            }
            Verdict::MissingSeeds(numbers) => {
                // Asked at once only when something changed: else a peer that answers with garbage is asked at once again.
                let before = self.collected.missing.insert(member, numbers.clone());
                if before != Some(numbers) {
                    self.ask_for_seeds(&member, effects);
                }
            }
            Verdict::Rejected(step) => {
                self.collected.stored.remove(&member);
                self.collected.missing.remove(&member);
                self.collected.rejected.insert(member, step);
            }
        }
    }

    /// One digest a site: the first that verifies here.
    pub(super) fn sign_receipts(&mut self, effects: &mut Vec<Effect>) {
        let mut asked = BTreeSet::new();
        for member in std::mem::take(&mut self.collected.verified) {
            if !self.collected.has_receipt_of(&member.site, self.me) && asked.insert(member.site) {
                let Self { terms, .. } = self;
                let receipt = Receipt { study: terms.study, round: terms.round, site: member.site, digest: member.digest };
                effects.push(Effect::Sign(Statement::Receipt(receipt)));
            }
        }
    }

    pub(super) fn on_receipts(&mut self, receipts: Vec<SignedReceipt>, effects: &mut Vec<Effect>) {
        self.adopt_certificates(&receipts);
        for receipt in receipts {
            let member = receipt.member;
            if !self.is_news(&receipt) {
                continue;
            }
            self.progressed();
            self.record_receipt(&receipt);
            if !self.is_over() && !self.collected.is_here(&member) {
                effects.push(Effect::Pull { member, from: vec![receipt.node] });
            }
        }
    }

    /// A node that signs two receipts for a site may show one to some and the other to the rest. So Q receipts for one
    /// contribution that arrive together count, whatever was known before; two such sets cannot exist, as n <= 5t+1.
    fn adopt_certificates(&mut self, receipts: &[SignedReceipt]) {
        let mut groups: BTreeMap<SetMember, BTreeMap<usize, &SignedReceipt>> = BTreeMap::new();
        for receipt in receipts {
            groups.entry(receipt.member).or_default().insert(receipt.node, receipt);
        }
        let quorum = self.terms.committee.sizes().quorum();
        for (member, group) in groups {
            let unknown = !self.collected.certificates.contains_key(&member);
            if !unknown || group.len() < quorum {
                continue;
            }
            let of_site = self.collected.receipts.entry(member.site).or_default();
            of_site.extend(group.iter().map(|(&node, receipt)| ((node, member.digest), receipt.signature)));
            self.progressed();
            group.values().for_each(|receipt| self.record_receipt(receipt));
        }
    }

    /// A node that signs several receipts for a site may do so between the receipts of the others: what it signed first
    /// must not keep a later one from counting.
    fn is_news(&self, receipt: &SignedReceipt) -> bool {
        let SignedReceipt { node, member, .. } = receipt;
        let known = self.collected.receipts.get(&member.site).is_some_and(|known| known.contains_key(&(*node, member.digest)));
        !known && (!self.collected.has_receipt_of(&member.site, *node) || self.collected.is_here(member))
    }

    pub(super) fn record_receipt(&mut self, receipt: &SignedReceipt) {
        let member = receipt.member;
        let of_site = self.collected.receipts.entry(member.site).or_default();
        of_site.entry((receipt.node, member.digest)).or_insert(receipt.signature);
        let count = of_site.keys().filter(|(_, digest)| *digest == member.digest).count();
        if count >= self.terms.committee.sizes().quorum() {
            if let Entry::Vacant(new) = self.collected.certificates.entry(member) {
                new.insert(self.now);
                self.collected.fresh.push(member);
            }
            if self.collected.complete_at.is_none() && self.collected.is_complete(self.terms.sites.len()) {
                self.collected.complete_at = Some(self.now);
            }
        }
    }

    fn ask_for_seeds(&self, member: &SetMember, effects: &mut Vec<Effect>) {
        if let Some(numbers) = self.collected.missing.get(member) {
            let message = Message::SeedRequest { member: *member, numbers: numbers.clone() };
            effects.push(Effect::Send { to: None, message });
        }
    }

    /// A seed goes only to a member that is not in its T (section 6.3), and only from a node that holds it.
    pub(super) fn on_seed_request(&mut self, from: usize, member: SetMember, numbers: Vec<usize>, effects: &mut Vec<Effect>) {
        let committee = self.terms.committee.sizes();
        let entitled: BTreeSet<usize> = committee.seeds_of(from).collect();
        let mine: BTreeSet<usize> = committee.seeds_of(self.me).collect();
        let numbers: BTreeSet<usize> = numbers.into_iter().filter(|n| entitled.contains(n) && mine.contains(n)).collect();
        let known_node = (1..=committee.n()).contains(&from) && from != self.me;
        if self.collected.held.contains(&member) && known_node && !numbers.is_empty() && self.is_open() {
            effects.push(Effect::AnswerSeeds { to: from, member, numbers: numbers.into_iter().collect() });
        }
    }

    pub(super) fn on_seeds(&mut self, member: SetMember, sealed: BTreeMap<usize, Bytes>, effects: &mut Vec<Effect>) {
        let Some(missing) = self.collected.missing.get(&member) else { return };
        let wanted: BTreeMap<usize, Bytes> = sealed.into_iter().filter(|(number, _)| missing.contains(number)).collect();
        if !wanted.is_empty() {
            effects.push(Effect::OpenSeeds { member, sealed: wanted });
        }
    }

    /// Pulls again what is certified or receipted and not here, and asks again for missing seeds.
    pub(super) fn retry_collection(&mut self, effects: &mut Vec<Effect>) {
        let mut wanted: BTreeSet<SetMember> = self.collected.certificates.keys().copied().collect();
        wanted.extend(self.collected.all_receipts().map(|receipt| receipt.member));
        wanted.extend(self.certified().into_iter().flat_map(|cohort| cohort.members().iter().copied()));
        for member in wanted.into_iter().filter(|member| !self.collected.is_here(member)) {
            let from = self.collected.nodes_with(&member).into_iter().filter(|node| *node != self.me).collect();
            effects.push(Effect::Pull { member, from });
        }
        for member in self.collected.missing.keys() {
            self.ask_for_seeds(member, effects);
        }
    }
}
