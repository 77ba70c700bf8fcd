//! The result of a settled round, fetched from whichever node serves it, and held against the chain before anyone sees it.
//!
//! Length, canonical form and SHA-256 vector root must be those of the settlement; the set must have the certified root and
//! size. A node that serves anything else is named, and the next one is asked.

use crate::config::seconds;
use crate::error::Error;
use crate::journal::Slot;
use crate::nodes::{NodeClient, NodeFailure, NodeFault};
use crate::outcome::{Checked, Inclusion, check_signatures};
use crate::pause::Pauses;
use crate::progress::Progress;
use crate::site::Site;
use alloy_primitives::B256;
use consilium_core::certify::{Cohort, SetMember};
use consilium_core::cores::Cores;
use consilium_core::eip712::Vote;
use consilium_core::encode::decode;
use consilium_core::field::{self, Fp};
use consilium_core::merkle::vector_root_on;
use consilium_core::program::AnyProgram;
use consilium_core::terms::Terms;
use consilium_ledger::{Certified, Round, Settled};
use std::future::Future;
use std::time::Instant;

/// A sum that is the one on the chain. Only this module makes one.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    subject: B256,
    root: B256,
    values: Vec<Fp>,
    sums: Vec<i64>,
    total_weight: u64,
    mean: Vec<f64>,
    cohort_size: u32,
}

impl Aggregate {
    /// Checks bytes that somebody served against the settlement.
    ///
    /// # Errors
    /// What is wrong with them, to be put after "served".
    pub fn check(bytes: &[u8], terms: &Terms, certificate: &Certified, settled: &Settled) -> Result<Self, String> {
        let expected = terms.program.output_len();
        let values = field::from_bytes(bytes, expected, "the aggregate")
            .map_err(|error| format!("an aggregate of wrong form: {error}"))?;
        let (found, root) = (vector_root_on(Cores::all(), &values), settled.settlement.aggregateRoot);
        if found != root {
            return Err(format!("an aggregate with root {found}, the chain says {root}"));
        }
        let mut aggregate = Self {
            subject: terms.subject,
            root,
            sums: values.iter().take(terms.program.dimension()).map(|value| value.signed()).collect(),
            total_weight: u64::from(certificate.vote.size),
            mean: Vec::new(),
            cohort_size: certificate.vote.size,
            values,
        };
        if let AnyProgram::WeightedMean(program) = &terms.program {
            aggregate.mean =
                decode(program, &aggregate.values).map_err(|error| format!("an aggregate that does not decode: {error}"))?;
            aggregate.total_weight = aggregate.values.last().map_or(0, |weight| weight.value());
        } else {
            let votes = f64::from(certificate.vote.size);
            aggregate.mean = aggregate.sums.iter().map(|&sum| sum as f64 / votes).collect();
        }
        Ok(aggregate)
    }

    /// What the round was about.
    #[must_use]
    pub fn subject(&self) -> B256 {
        self.subject
    }

    /// Its root on the chain.
    #[must_use]
    pub fn root(&self) -> B256 {
        self.root
    }

    /// All field elements: d sums, and the total weight where the program has one.
    #[must_use]
    pub fn values(&self) -> &[Fp] {
        &self.values
    }

    /// The d sums: of encoded coordinates, or the votes for each choice.
    #[must_use]
    pub fn sums(&self) -> &[i64] {
        &self.sums
    }

    /// Σw; the number of voters for a ballot.
    #[must_use]
    pub fn total_weight(&self) -> u64 {
        self.total_weight
    }

    /// The weighted mean of the clipped updates in canonical order; the share of votes for a ballot.
    #[must_use]
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// Number of sites in the sum.
    #[must_use]
    pub fn cohort_size(&self) -> u32 {
        self.cohort_size
    }
}

impl Site {
    /// Fetches set and aggregate of a settled round and checks both.
    pub(crate) async fn checked_result(&self, round: &Round, settled: &Settled) -> Result<Checked, Error> {
        let terms = &round.terms;
        let missing = |what| Error::NoResult { round: terms.round, what, faults: Vec::new() };
        let certificate = round.certificate.as_ref().ok_or_else(|| missing("certificate"))?;
        let nodes = self.nodes_of(terms.study, terms.round, &terms.committee)?;
        check_signatures(self.ledger(), nodes, terms, settled).await?;
        let mut faults = Vec::new();
        let set = |node: NodeClient| async move { fetch_set(&node, &certificate.vote).await };
        let cohort = self.ask_nodes(terms, "set", &mut faults, set).await?;
        let caller = self.caller();
        let aggregate = |node: NodeClient| {
            self.tell(Progress::Fetching { node: node.address() });
            let caller = caller.clone();
            async move {
                let limit = 8 * terms.program.output_len();
                let bytes = node.aggregate(terms.study, terms.round, limit, &caller).await?;
                Aggregate::check(&bytes, terms, certificate, settled).map_err(|what| node.failure(NodeFault::False(what)))
            }
        };
        let aggregate = self.ask_nodes(terms, "aggregate", &mut faults, aggregate).await?;
        let inclusion = self.inclusion(terms, &cohort);
        Ok(Checked { aggregate, cohort, settled: settled.clone(), inclusion, faults })
    }

    /// Asks one node after the other until one answers well. Those that may answer later are asked again, until time is up.
    /// Among the faults of a success is none that was only asked too early.
    async fn ask_nodes<T, F: Future<Output = Result<T, NodeFailure>>>(
        &self,
        terms: &Terms,
        what: &'static str,
        faults: &mut Vec<NodeFailure>,
        ask: impl Fn(NodeClient) -> F,
    ) -> Result<T, Error> {
        let mut nodes = self.nodes_of(terms.study, terms.round, &terms.committee)?;
        let (started, patience) = (Instant::now(), seconds(self.config().timeouts.deliver));
        let mut said: Vec<NodeFailure> = Vec::new();
        let mut pauses = Pauses::of(self);
        loop {
            for node in std::mem::take(&mut nodes) {
                match ask(node.clone()).await {
                    Ok(answer) => {
                        faults.extend(said.into_iter().filter(|failure| !failure.fault.is_early()));
                        return Ok(answer);
                    }
                    Err(failure) => {
                        self.tell(Progress::NodeFailed(failure.to_string()));
                        if failure.fault.is_temporary() {
                            nodes.push(node);
                        }
                        said.retain(|earlier| earlier.node != failure.node);
                        said.push(failure);
                    }
                }
            }
            if nodes.is_empty() || started.elapsed() >= patience {
                return Err(Error::NoResult { round: terms.round, what, faults: said });
            }
            pauses.wait().await;
        }
    }

    fn inclusion(&self, terms: &Terms, cohort: &Cohort) -> Inclusion {
        let slot = Slot::new(terms.domain, terms.study, terms.round);
        let in_set = cohort.members().iter().find(|member| member.site == self.address()).map(|member| member.digest);
        let journal = self.journal();
        match (journal.contribution(&slot), in_set) {
            (None, None) => Inclusion::NotContributed,
            (Some(own), Some(digest)) if own.digest == digest => Inclusion::Included,
            (_, Some(digest)) => Inclusion::Foreign { digest },
            (Some(own), None) => {
                let member = SetMember { site: self.address(), digest: own.digest };
                let genuine = |proof: &&consilium_core::certify::ReceiptCertificate| {
                    proof.member == member && proof.check(&terms.domain, &terms.committee, terms.study, terms.round).is_ok()
                };
                Inclusion::Omitted { proof: journal.receipts(&slot).filter(genuine).cloned() }
            }
        }
    }
}

/// The members under a certified root.
pub(crate) async fn fetch_set(node: &NodeClient, vote: &Vote) -> Result<Cohort, NodeFailure> {
    let cohort = node.set(vote.study, vote.round, vote.size).await?;
    if (cohort.root(), cohort.size()) == (vote.setRoot, vote.size) {
        return Ok(cohort);
    }
    let what = format!(
        "a set of {} sites with root {}, the chain says {} with {}",
        cohort.size(),
        cohort.root(),
        vote.size,
        vote.setRoot
    );
    Err(node.failure(NodeFault::False(what)))
}
