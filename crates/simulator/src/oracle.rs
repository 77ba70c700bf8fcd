//! The judge. What counts as a failure stands in words on the crate's first page; here each of them is checked with
//! predicates of this crate's own, against what was signed, sent and certified, never against what a machine believes.

use crate::keys::Keys;
use crate::ledger::{Certified, Ledger};
use crate::search::Secrets;
use crate::shell::Note;
use crate::site::Made;
use crate::world::Outcome;
use alloy_primitives::{Address, B256};
use consilium_core::audit::{Evidence, Settled, contradiction, leaf_is_fraud, share_root_offence};
use consilium_core::certify::{Cohort, SetMember};
use consilium_core::eip712::Signed;
use consilium_core::field::Fp;
use consilium_core::round::{Message, Statement};
use consilium_core::terms::Terms;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// A failure of the protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Honest nodes released shares over two sets for one subject, or two sets were certified for it.
    TwoSums(String),
    /// The settled aggregate is not the plain sum over the certified set.
    WrongSum(String),
    /// What an honest node signed proves an offence, or another honest node says so.
    HonestPunishable(String),
    /// A contribution that breaks the bound is in the certified set.
    IncludedCheat(String),
    /// A site is not in the certified set although an honest voter knew its Q receipts in time.
    OmittedSite(String),
    /// The assumptions hold and the round did not close as it must.
    Stuck(String),
    /// An honest node released its output share without Q Finals.
    EarlyRelease(String),
    /// An honest node released its output share over a set without 2t+1 honest votes.
    Unvoted(String),
    /// An honest node voted before half of the time from the round's true appearance to its deadline, although not every
    /// admitted site was certified.
    EarlyVote(String),
    /// A node was sent a seed that it is not entitled to.
    SeedToStranger(String),
    /// A seed stands readable in a message.
    SeedInTheClear(String),
}

/// What a round was and what is known about it.
#[derive(Debug)]
struct Case {
    terms: Rc<Terms>,
    /// When it truly appeared, in Unix milliseconds.
    seen: u64,
    truths: BTreeMap<SetMember, Option<Vec<Fp>>>,
    sure: usize,
    possible: usize,
}

impl Case {
    /// Half of the time from the true appearance to the deadline, in Unix milliseconds.
    fn cutoff(&self) -> u64 {
        (self.seen / 1000 + self.terms.policy.deadline) * 500
    }
}

/// Watches a simulation.
#[derive(Debug)]
pub(crate) struct Oracle {
    n: usize,
    t: usize,
    /// Nodes whose deeds the protocol answers for.
    honest: BTreeSet<usize>,
    /// Honest nodes whose process was killed: what they knew went with it.
    crashed: BTreeSet<usize>,
    live: bool,
    cases: BTreeMap<u64, Case>,
    signed: BTreeMap<usize, Vec<(Statement, Signed)>>,
    released: BTreeMap<B256, BTreeSet<B256>>,
    sets: BTreeMap<B256, Cohort>,
    /// Receipts that a node has seen: (round, node) -> contribution -> signers, and when there were Q.
    receipts: BTreeMap<(u64, usize), BTreeMap<SetMember, BTreeSet<usize>>>,
    known_at: BTreeMap<(u64, usize), BTreeMap<SetMember, u64>>,
    finals: BTreeMap<(u64, usize, B256), BTreeSet<usize>>,
    aggregates: BTreeMap<u64, BTreeSet<Vec<u64>>>,
    secrets: Secrets,
    pub(crate) failures: Vec<Failure>,
}

impl Oracle {
    pub(crate) fn new(n: usize, t: usize, honest: BTreeSet<usize>, crashed: BTreeSet<usize>, live: bool) -> Self {
        Self {
            n,
            t,
            honest,
            crashed,
            live,
            cases: BTreeMap::new(),
            signed: BTreeMap::new(),
            released: BTreeMap::new(),
            sets: BTreeMap::new(),
            receipts: BTreeMap::new(),
            known_at: BTreeMap::new(),
            finals: BTreeMap::new(),
            aggregates: BTreeMap::new(),
            secrets: Secrets::default(),
            failures: Vec::new(),
        }
    }

    fn quorum(&self) -> usize {
        3 * self.t + 1
    }

    pub(crate) fn opened(&mut self, terms: &Rc<Terms>, seen: u64, sure: usize, possible: usize) {
        self.cases.insert(terms.round, Case { terms: terms.clone(), seen, truths: BTreeMap::new(), sure, possible });
    }

    pub(crate) fn made(&mut self, round: u64, site: Address, made: &Made) {
        if let Some(case) = self.cases.get_mut(&round) {
            case.truths.insert(SetMember { site, digest: made.digest }, made.truth.clone());
        }
        self.secrets.add(&made.seeds);
    }

    /// Looks for seeds in the bytes of a message that is sent.
    pub(crate) fn sent(&mut self, bytes: &[u8], text: bool, what: &dyn Fn() -> String) {
        if self.secrets.are_in(bytes, text) {
            self.failures.push(Failure::SeedInTheClear(what()));
        }
    }

    /// A message that reached a node.
    pub(crate) fn heard(&mut self, round: u64, node: usize, message: &Message, now: u64) {
        match message {
            Message::Receipts(receipts) => {
                for receipt in receipts {
                    if self.is_genuine(round, receipt.node, receipt.signature) {
                        self.saw_receipt(round, node, receipt.node, receipt.member, now);
                    }
                }
            }
            Message::Final(signed) if self.is_genuine(round, signed.node, signed.signature) => {
                self.finals.entry((round, node, signed.set_root)).or_default().insert(signed.node);
            }
            Message::Proposal { cohort, .. } | Message::Cohort(cohort) => {
                self.sets.insert(cohort.root(), cohort.clone());
            }
            _ => {}
        }
    }

    /// Corrupt nodes may sign what they like; an honest one's signature must be one that it made, about this round.
    fn is_genuine(&self, round: u64, signer: usize, signature: Signed) -> bool {
        let about = |statement: &Statement| match statement {
            Statement::Receipt(said) => said.round == round,
            Statement::Final(said) => said.round == round,
            _ => false,
        };
        let made = |all: &Vec<(Statement, Signed)>| all.iter().any(|(said, known)| *known == signature && about(said));
        !self.honest.contains(&signer) || self.signed.get(&signer).is_some_and(made)
    }

    fn saw_receipt(&mut self, round: u64, node: usize, signer: usize, member: SetMember, now: u64) {
        let quorum = self.quorum();
        let seen = self.receipts.entry((round, node)).or_default().entry(member).or_default();
        seen.insert(signer);
        if seen.len() >= quorum {
            self.known_at.entry((round, node)).or_default().entry(member).or_insert(now);
        }
    }

    /// What a node did.
    pub(crate) fn noted(&mut self, round: u64, node: usize, note: Note, now: u64) {
        let honest = self.honest.contains(&node);
        match note {
            Note::Signed(statement, signature) => {
                if let Statement::Receipt(said) = &statement {
                    let member = SetMember { site: said.site, digest: said.digest };
                    self.saw_receipt(round, node, node, member, now);
                }
                if let Statement::Final(said) = &statement {
                    self.finals.entry((round, node, said.setRoot)).or_default().insert(node);
                }
                if matches!(statement, Statement::Vote(_)) && honest {
                    self.judge_time(round, node, now);
                }
                self.signed.entry(node).or_default().push((statement, signature));
            }
            Note::Releases(cohort) if honest => self.releases(round, node, &cohort),
            Note::Answers { to, numbers } if honest => self.answers(node, to, &numbers),
            Note::Reports(offender) if honest && self.honest.contains(&offender.node()) => {
                self.failures.push(Failure::HonestPunishable(format!("node {node} accuses {offender:?}")));
            }
            Note::Aggregate(values) if honest => {
                self.aggregates.entry(round).or_default().insert(values.iter().map(|value| value.value()).collect());
            }
            _ => {}
        }
    }

    /// A statement that a broken node made besides its journal is found in its messages.
    pub(crate) fn said(&mut self, node: usize, message: &Message, terms: &Terms) {
        let (statement, signature) = match message {
            Message::Final(said) if said.node == node => (Statement::Final(said.statement(terms)), said.signature),
            Message::Vote(said) | Message::Proposal { vote: said, .. } if said.node == node => {
                (Statement::Vote(said.statement(terms)), said.signature)
            }
            _ => return,
        };
        let known = self.signed.entry(node).or_default();
        if !known.iter().any(|(_, known)| *known == signature) {
            known.push((statement, signature));
        }
    }

    fn releases(&mut self, round: u64, node: usize, cohort: &Cohort) {
        let root = cohort.root();
        let finals = self.finals.get(&(round, node, root)).map_or(0, BTreeSet::len);
        if finals < self.quorum() {
            self.failures.push(Failure::EarlyRelease(format!("node {node} releases with {finals} Finals")));
        }
        let votes = self.honest.iter().filter(|node| self.voted(**node, round, root, cohort.size())).count();
        if votes < 2 * self.t + 1 {
            self.failures.push(Failure::Unvoted(format!("node {node} releases with {votes} honest votes")));
        }
        let Some(case) = self.cases.get(&round) else { return };
        let sums = self.released.entry(case.terms.subject).or_default();
        sums.insert(root);
        if sums.len() > 1 {
            self.failures.push(Failure::TwoSums(format!("shares of {} sets were released", sums.len())));
        }
    }

    /// Nobody closes a round early whose sites may still come.
    fn judge_time(&mut self, round: u64, node: usize, now: u64) {
        let Some(case) = self.cases.get(&round) else { return };
        let certified = self.known_at.get(&(round, node)).into_iter().flatten().map(|(member, _)| member.site);
        let complete = certified.collect::<BTreeSet<_>>().len() == case.terms.sites.len();
        if now < case.cutoff() && !complete {
            self.failures.push(Failure::EarlyVote(format!("node {node} votes at {now}, before {}", case.cutoff())));
        }
    }

    fn voted(&self, node: usize, round: u64, root: B256, size: u32) -> bool {
        let for_it = |(statement, _): &(Statement, Signed)| matches!(statement, Statement::Vote(said) if (said.round, said.setRoot, said.size) == (round, root, size));
        self.signed.get(&node).is_some_and(|all| all.iter().any(for_it))
    }

    fn answers(&mut self, node: usize, to: usize, numbers: &[usize]) {
        let subsets = subsets(self.n, self.t);
        let stranger = |number: &&usize| subsets.get(**number).is_none_or(|excluded| excluded.contains(&to));
        if let Some(number) = numbers.iter().find(stranger) {
            self.failures.push(Failure::SeedToStranger(format!("node {node} gives node {to} seed {number}")));
        }
    }

    /// The verdict on a round that is over.
    pub(crate) fn close(&mut self, ledger: &Ledger, round: u64) -> Outcome {
        let Some(case) = self.cases.get(&round) else { return Outcome::Void };
        let terms = case.terms.clone();
        let (sure, possible) = (case.sure, case.possible);
        let certificate = ledger.certificate(round).cloned();
        if let Some(certificate) = &certificate {
            self.judge_set(&terms, certificate);
        }
        let outcome = match (&certificate, ledger.settlement(round)) {
            (_, Some(settled)) => {
                let roots = settled.share_roots.clone();
                let root = settled.set_root;
                self.judge_sum(&terms, root, settled.aggregate_root);
                self.judge_honest(&terms, Some(&Settled { study: terms.study, round, set_root: root, share_roots: roots }));
                Outcome::Settled
            }
            (Some(_), None) => Outcome::Stranded,
            (None, None) => Outcome::Void,
        };
        if outcome != Outcome::Settled {
            self.judge_honest(&terms, None);
        }
        if let Some(certificate) = &certificate {
            self.judge_shares(round, certificate.set_root);
        }
        let minimum = terms.policy.minimum_cohort as usize;
        let late = outcome == Outcome::Stranded || (outcome == Outcome::Void && sure >= minimum);
        if self.live && late {
            self.failures.push(Failure::Stuck(format!("round {round} is {outcome:?} with {sure} good sites")));
        }
        if outcome != Outcome::Void && possible < minimum && !self.failures.iter().any(|f| matches!(f, Failure::IncludedCheat(_)))
        {
            self.failures.push(Failure::IncludedCheat(format!("only {possible} sites could count")));
        }
        outcome
    }

    fn judge_set(&mut self, terms: &Terms, certificate: &Certified) {
        let Some(cohort) = self.sets.get(&certificate.set_root).cloned() else {
            if self.live {
                self.failures.push(Failure::Stuck("nobody knows the certified set".into()));
            }
            return;
        };
        let case = &self.cases[&terms.round];
        for member in cohort.members() {
            if !matches!(case.truths.get(member), Some(Some(_))) {
                self.failures.push(Failure::IncludedCheat(format!("{member:?}")));
            }
        }
        let cutoff = case.cutoff();
        let view = (terms.policy.deadline * 1000 - cutoff) / (self.t as u64 + 2);
        let in_time = cutoff - view / 5;
        for &node in certificate.voters.iter().filter(|node| self.honest.contains(node) && !self.crashed.contains(node)) {
            for (member, at) in self.known_at.get(&(terms.round, node)).into_iter().flatten() {
                if *at < in_time && !cohort.members().contains(member) {
                    let text = format!("{} was known to voter {node} at {at}, before {in_time}", member.site);
                    self.failures.push(Failure::OmittedSite(text));
                }
            }
        }
    }

    fn judge_sum(&mut self, terms: &Terms, set_root: B256, aggregate_root: B256) {
        let (Some(cohort), Some(case)) = (self.sets.get(&set_root), self.cases.get(&terms.round)) else { return };
        let mut sum = vec![Fp::ZERO; terms.program.output_len()];
        for truth in cohort.members().iter().filter_map(|member| case.truths.get(member)?.as_ref()) {
            sum.iter_mut().zip(truth).for_each(|(sum, value)| *sum += *value);
        }
        if root_of(&sum) != aggregate_root {
            self.failures.push(Failure::WrongSum(format!("round {} settled another sum", terms.round)));
        }
        let plain: Vec<u64> = sum.iter().map(|value| value.value()).collect();
        if self.aggregates.get(&terms.round).into_iter().flatten().any(|values| *values != plain) {
            self.failures.push(Failure::WrongSum(format!("an honest node unmasked another sum in round {}", terms.round)));
        }
    }

    /// The contracts convict of a share root for another set than the certified one, settled or not.
    fn judge_shares(&mut self, round: u64, certified: B256) {
        for &node in &self.honest {
            let all = self.signed.get(&node).map_or(&[][..], Vec::as_slice);
            if signed_foreign_share(all, round, certified) {
                let text = format!("node {node}: a share root for a set that was not certified");
                self.failures.push(Failure::HonestPunishable(text));
            }
        }
    }

    /// Section 6.12 over everything that honest nodes signed, in words of this file and with core's predicates.
    fn judge_honest(&mut self, terms: &Terms, settled: Option<&Settled>) {
        let mut offences = Vec::new();
        for &node in &self.honest {
            let all = self.signed.get(&node).map_or(&[][..], Vec::as_slice);
            offences.extend(offences_of(node, all, settled).into_iter().map(|what| (node, what)));
            offences.extend(proven(terms, node, all, settled).into_iter().map(|what| (node, what)));
        }
        for (node, what) in offences {
            self.failures.push(Failure::HonestPunishable(format!("node {node}: {what}")));
        }
    }
}

/// Contradictions between a node's own statements, and with what was settled.
fn offences_of(node: usize, all: &[(Statement, Signed)], settled: Option<&Settled>) -> Vec<&'static str> {
    let mut once: BTreeMap<(&str, u64, B256), &Statement> = BTreeMap::new();
    let mut offences = Vec::new();
    for (statement, _) in all {
        let slot = match statement {
            Statement::Receipt(said) => ("two receipts", said.round, said.site.into_word()),
            Statement::Vote(_) | Statement::Intent { .. } => continue,
            Statement::Final(said) => ("two Finals", 0, said.subject),
            Statement::ShareRoot(said) => ("two share roots", said.round, B256::ZERO),
            Statement::Settlement(said) => ("two settlements", said.round, B256::ZERO),
        };
        if *once.entry(slot).or_insert(statement) != statement {
            offences.push(slot.0);
        }
        if let (Statement::ShareRoot(said), Some(settled)) = (statement, settled) {
            let right = said.setRoot == settled.set_root && settled.share_roots.get(node - 1) == Some(&said.root);
            if said.round == settled.round && !right {
                offences.push("a share root that is not the settled one");
            }
        }
    }
    offences
}

fn signed_foreign_share(all: &[(Statement, Signed)], round: u64, certified: B256) -> bool {
    let foreign = |(statement, _): &(Statement, Signed)| matches!(statement, Statement::ShareRoot(said) if said.round == round && said.setRoot != certified);
    all.iter().any(foreign)
}

/// The same by core's predicates, with signatures.
fn proven(terms: &Terms, node: usize, all: &[(Statement, Signed)], settled: Option<&Settled>) -> Vec<&'static str> {
    let address = Keys::get().node(node).signing.address();
    let mut offences = Vec::new();
    let (mut finals, mut roots) = (Vec::new(), Vec::new());
    for (statement, signature) in all {
        match statement {
            Statement::Final(said) => finals.push(Evidence { statement: said.clone(), signature: *signature }),
            Statement::ShareRoot(said) => roots.push(Evidence { statement: said.clone(), signature: *signature }),
            _ => {}
        }
    }
    for pair in finals.windows(2) {
        if !matches!(contradiction(&terms.domain, address, &pair[0], &pair[1]), Ok(None)) {
            offences.push("core's predicate for two Finals holds");
        }
    }
    for (root, settled) in roots.iter().filter_map(|root| Some((root, settled?))) {
        if !matches!(share_root_offence(&terms.domain, address, root, settled), Ok(None)) {
            offences.push("core's predicate for share roots holds");
        }
    }
    offences
}

/// A vector's root, computed without core: leaves of 32 big-endian words, odd nodes promoted, length at the top.
fn root_of(values: &[Fp]) -> B256 {
    let sha = |bytes: &[u8]| -> [u8; 32] { Sha256::digest(bytes).into() };
    let leaf = |chunk: &[Fp]| {
        let mut bytes = vec![0; 257];
        for (i, value) in chunk.iter().enumerate() {
            bytes[1 + 8 * i..9 + 8 * i].copy_from_slice(&value.value().to_be_bytes());
        }
        sha(&bytes)
    };
    let mut level: Vec<[u8; 32]> = values.chunks(32).map(leaf).collect();
    while level.len() > 1 {
        let up =
            |pair: &[[u8; 32]]| if let [left, right] = pair { sha(&[&[1], &left[..], &right[..]].concat()) } else { pair[0] };
        level = level.chunks(2).map(up).collect();
    }
    sha(&[&[2], &(values.len() as u64).to_be_bytes()[..], &level[0][..]].concat()).into()
}

/// The t-subsets of 1..=n in lexicographic order.
fn subsets(n: usize, t: usize) -> Vec<Vec<usize>> {
    let mut masks: Vec<Vec<usize>> = (0u32..1 << n)
        .filter(|mask| mask.count_ones() as usize == t)
        .map(|mask| (1..=n).filter(|node| mask >> (node - 1) & 1 == 1).collect())
        .collect();
    masks.sort_unstable();
    masks
}

/// Whether t+2 openings of what was settled and served fit no polynomial: an auditor's check, for completeness.
pub(crate) fn openings_are_fraud(terms: &Terms, aggregate: &[Fp], shares: &BTreeMap<usize, Vec<Fp>>) -> bool {
    let sizes = terms.committee.sizes();
    let points = |k: usize| {
        let of_nodes = shares.iter().take(sizes.t() + 1).map(|(node, share)| (*node, share[k]));
        [(0, aggregate[k])].into_iter().chain(of_nodes).collect::<Vec<_>>()
    };
    (0..aggregate.len()).any(|k| leaf_is_fraud(sizes, &points(k)) == Some(true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use consilium_core::eip712::ShareRoot;

    #[test]
    fn a_share_root_for_a_set_that_was_not_certified_is_noticed_also_when_nothing_is_settled() {
        let keys = Keys::get();
        let said = ShareRoot { study: 1, round: 2, setRoot: B256::repeat_byte(1), index: 1, root: B256::ZERO };
        let all = [(Statement::ShareRoot(said), keys.node(1).signing.sign(&B256::ZERO))];
        assert!(offences_of(1, &all, None).is_empty(), "without a settlement nothing else says so");
        assert!(!signed_foreign_share(&all, 2, B256::repeat_byte(1)) && !signed_foreign_share(&all, 3, B256::ZERO));
        assert!(signed_foreign_share(&all, 2, B256::repeat_byte(2)));
    }
}
