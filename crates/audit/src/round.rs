//! The public part of one round: order, certificate, set, receipts, Finals, settlement, statements.

use crate::blame::Blames;
use crate::chain::{self, View, status_of};
use crate::client::{Client, Peer, Route};
use crate::report::{Book, Check, Scope};
use crate::sets::{self, ServedSet};
use crate::statements::{Gathered, gather};
use crate::{listed, offences};
use consilium_core::accusation::Accusation;
use consilium_core::certify::{CertificateError, Cohort, SetLeaves, SetMember};
use consilium_core::eip712::nodes_in;
use consilium_ledger::{Certified, Endpoints, Error, LateVotes, Rewarded, Round, Settled, Signatures, Standing, State};
use futures::future::join_all;

/// One round under audit.
pub(crate) struct Case<'a> {
    pub(crate) client: &'a Client,
    /// The committee of the round's epoch, node 1 first.
    pub(crate) peers: Vec<Peer>,
    pub(crate) round: &'a Round,
    pub(crate) state: State,
}

impl Case<'_> {
    pub(crate) fn number(&self) -> u64 {
        self.round.terms.round
    }

    pub(crate) fn scope(&self) -> Scope {
        Scope::Round(self.number())
    }

    pub(crate) fn route<'a>(&self, rest: &'a str, limit: usize) -> Route<'a> {
        Route { study: self.round.terms.study, round: self.number(), rest, limit }
    }

    pub(crate) fn quorum(&self) -> usize {
        self.round.terms.committee.sizes().quorum()
    }
}

/// The round as the chain has it, with its rules checked. `None` when there is nothing to go on with.
pub(crate) async fn recorded(view: &View, number: u64, book: &mut Book) -> Option<Round> {
    let scope = Scope::Round(number);
    let wrong: Vec<_> = view.violations.iter().filter(|(round, _)| *round == number).collect();
    for (_, reason) in &wrong {
        book.fail(Check::Order, scope, reason.clone());
    }
    match view.history.round(number).await {
        Ok(round) => {
            let state = round.state_at(view.history.head().timestamp);
            if wrong.is_empty() {
                book.pass(Check::Order, scope, format!("{} in order and in time", in_words(state)));
            }
            let terms = &round.terms;
            let reason = format!(
                "program {} with {} coordinates, at least {} of {} admitted sites, finality {}; policy {}",
                terms.program.name(),
                terms.program.dimension(),
                terms.policy.minimum_cohort,
                terms.sites.len(),
                terms.policy.finality,
                terms.policy.hash()
            );
            book.pass(Check::Terms, scope, reason);
            Some(round)
        }
        Err(error) => {
            book.write(status_of(&error), Check::Terms, scope, error.to_string());
            None
        }
    }
}

fn in_words(state: State) -> &'static str {
    match state {
        State::None => "not opened",
        State::Open => "opened, still collecting:",
        State::Void => "opened, then void for want of a certificate:",
        State::Certified => "opened, certified, not yet settled:",
        State::Settled => "opened, certified, settled:",
        State::Abandoned => "opened, certified, then abandoned without a result:",
        State::Fraudulent => "certified, then proved fraudulent:",
        State::Refuted => "settled, paid, then proved wrong:",
    }
}

/// All public checks of a round. Yields the certified set, if there is one and somebody shows it.
pub(crate) async fn public(endpoints: &Endpoints, view: &View, case: &Case<'_>, book: &mut Book) -> Option<Cohort> {
    if case.state == State::Open {
        book.note(Check::Certificate, case.scope(), "the round is still open: there is no result to audit yet");
        return None;
    }
    let gathered = gather(case.client, &case.peers, &case.round.terms, book).await;
    let Some(certificate) = &case.round.certificate else {
        offences::void(case, &gathered, book);
        listed::tell(view, case, &gathered, &[], book);
        return None;
    };
    chain::subject(view, case.number(), case.round.terms.subject, book);
    certified(endpoints, case, certificate, book).await;
    let (cohort, leaves) = set(case, certificate, book).await;
    match &cohort {
        Some(cohort) => receipts(case, cohort, &gathered, book),
        None => book.unavailable(Check::Receipts, case.scope(), "without the set, nobody knows whose receipts to check"),
    }
    finals(case, certificate, &gathered, book);
    let mut found: Vec<Accusation> = leaves.iter().filter_map(|leaves| sets::foreign_site(case.round, leaves)).collect();
    match &case.round.settlement {
        Some(settled) => found.extend(settlement(view, case, settled, leaves.as_ref(), book).await),
        None => book.note(Check::Settlement, case.scope(), "there is no settlement, so there is no result to rely on"),
    }
    offences::certified(case, certificate, &gathered, book);
    listed::tell(view, case, &gathered, &found, book);
    cohort
}

async fn certified(endpoints: &Endpoints, case: &Case<'_>, certificate: &Certified, book: &mut Book) {
    let (scope, terms) = (case.scope(), &case.round.terms);
    votes(case, certificate, book);
    late_votes(case, book);
    let rule = terms.policy.finality;
    match endpoints.certificate(certificate, rule).await {
        Ok(Standing::Final) => {
            let block = certificate.at.block.number;
            book.pass(Check::Finality, scope, format!("block {block} is final by the rule {rule} on every endpoint"));
        }
        Ok(Standing::Pending) => {
            let reason = format!("not yet final by the rule {rule}, or an endpoint lags behind: audit again later");
            book.unavailable(Check::Finality, scope, reason);
        }
        Ok(Standing::Replaced) => {
            book.fail(Check::Finality, scope, "the block with the certificate has been replaced by another");
        }
        Err(error) => book.write(status_of(&error), Check::Finality, scope, error.to_string()),
    }
}

fn votes(case: &Case<'_>, certificate: &Certified, book: &mut Book) {
    let genuine: Vec<usize> = certificate.genuine_votes(&case.round.terms).into_keys().collect();
    let (named, needed) = (certificate.voters(), case.quorum());
    if genuine.len() >= needed && genuine == named {
        let reason =
            format!("{} votes for the set ({needed} needed), by nodes {genuine:?}, as its event shows them", genuine.len());
        return book.pass(Check::Certificate, case.scope(), reason);
    }
    let reason = format!(
        "the certificate names nodes {named:?} ({needed} needed), and only the votes of {genuine:?} are genuine: the contract \
         cannot have accepted it"
    );
    book.fail(Check::Certificate, case.scope(), reason);
}

/// Votes that came after the certificate: whoever cast them is paid as the certificate's voters are.
fn late_votes(case: &Case<'_>, book: &mut Book) {
    let named = nodes_in(LateVotes::voters_of(&case.round.late));
    if named.is_empty() {
        return;
    }
    let genuine: Vec<usize> = case.round.genuine_late_votes().into_keys().collect();
    if genuine == named {
        let reason = format!("after the certificate came the votes of nodes {named:?}, who are paid for them too");
        return book.pass(Check::Certificate, case.scope(), reason);
    }
    let reason = format!(
        "after the certificate, nodes {named:?} are said to have voted, and only the votes of {genuine:?} are genuine: the \
         contract cannot have accepted the others"
    );
    book.fail(Check::Certificate, case.scope(), reason);
}

fn signatures(case: &Case<'_>, found: Result<Option<Result<Signatures, CertificateError>>, Error>, book: &mut Book) {
    let (scope, check) = (case.scope(), Check::Settlement);
    match found {
        Ok(Some(Ok(signed))) => {
            let nodes: Vec<usize> = signed.keys().copied().collect();
            let reason = format!(
                "{} signatures under the result ({} needed), by nodes {nodes:?}, recovered from the transaction",
                signed.len(),
                case.quorum()
            );
            book.pass(check, scope, reason);
        }
        Ok(Some(Err(reason))) => {
            let reason = format!("the transaction's signatures do not hold ({reason}): the contract cannot have accepted it");
            book.fail(check, scope, reason);
        }
        Ok(None) => {
            let reason = "the transaction did not call the contract directly, so its input does not show the signatures under \
                          the result: they are attested by the contract alone";
            book.note(check, scope, reason);
        }
        Err(error) => book.write(status_of(&error), check, scope, error.to_string()),
    }
}

/// The set under the certified root, from whichever node shows it, and its leaves, also those of what is no set.
async fn set(case: &Case<'_>, certificate: &Certified, book: &mut Book) -> (Option<Cohort>, Option<SetLeaves>) {
    let route = sets::route(case.round);
    let answers = join_all(case.peers.iter().map(|peer| case.client.json::<ServedSet>(peer, route))).await;
    let (mut found, mut leaves, mut blames, mut wrong) = (None, None, Blames::default(), 0);
    for (peer, answer) in case.peers.iter().zip(answers) {
        let checked = match answer {
            Err(error) => {
                wrong += usize::from(error.is_wrong());
                blames.fetch(Check::Set, peer, &error);
                continue;
            }
            Ok(served) => {
                leaves = leaves.or_else(|| served.leaves(&certificate.vote));
                served.under(&certificate.vote)
            }
        };
        match checked {
            Ok(cohort) => found = Some(cohort),
            Err(reason) => {
                wrong += 1;
                blames.wrong(
                    Check::Set,
                    peer,
                    format!("serves a set that is not the certified one: {reason}"),
                    serde_json::Value::Null,
                );
            }
        }
    }
    blames.write(case.number(), book);
    match &found {
        Some(cohort) => judge_set(case, cohort, book),
        None if wrong > 0 => {
            let reason =
                format!("no node shows the set under the certified root {}, and {wrong} show another", certificate.vote.setRoot);
            book.fail(Check::Set, case.scope(), reason);
        }
        None => book.unavailable(Check::Set, case.scope(), "no node shows the certified set: bring one back, then audit again"),
    }
    (found, leaves)
}

fn judge_set(case: &Case<'_>, cohort: &Cohort, book: &mut Book) {
    let (scope, terms) = (case.scope(), &case.round.terms);
    let foreign: Vec<_> = cohort.members().iter().filter(|member| !terms.admits(&member.site)).collect();
    if let Some(first) = foreign.first() {
        let reason = format!("{} members of the set are not admitted sites, the first is {}", foreign.len(), first.site);
        book.fail(Check::Set, scope, reason);
    } else if u64::from(cohort.size()) < terms.policy.minimum_cohort {
        let reason = format!("the set has {} sites, the policy demands {}", cohort.size(), terms.policy.minimum_cohort);
        book.fail(Check::Set, scope, reason);
    } else {
        let reason = format!("{} sites, all admitted, under root {}", cohort.size(), cohort.root());
        book.pass(Check::Set, scope, reason);
    }
}

fn receipts(case: &Case<'_>, cohort: &Cohort, gathered: &Gathered, book: &mut Book) {
    let count = |member: &SetMember| gathered.receipts.get(member).map_or(0, std::collections::BTreeSet::len);
    let lacking: Vec<_> = cohort.members().iter().filter(|member| count(member) < case.quorum()).collect();
    if lacking.is_empty() {
        let reason = format!("each of the {} members has {} or more valid receipts", cohort.size(), case.quorum());
        return book.pass(Check::Receipts, case.scope(), reason);
    }
    for member in lacking.iter().take(8) {
        let found = count(member);
        let scope = Scope::Site { round: case.number(), site: member.site };
        missing(case, gathered, Check::Receipts, scope, found, "valid receipts for its contribution", book);
    }
    if lacking.len() > 8 {
        let reason = format!("{} members in all lack receipts", lacking.len());
        missing_line(gathered, Check::Receipts, case.scope(), &reason, book);
    }
}

/// Signatures that must exist and that nobody shows.
fn missing(case: &Case<'_>, gathered: &Gathered, check: Check, scope: Scope, found: usize, what: &str, book: &mut Book) {
    let reason = format!("only {found} {what} are shown, {} must exist", case.quorum());
    missing_line(gathered, check, scope, &reason, book);
}

fn missing_line(gathered: &Gathered, check: Check, scope: Scope, reason: &str, book: &mut Book) {
    if gathered.complete {
        book.fail(check, scope, format!("{reason}, and every node has answered"));
    } else {
        book.unavailable(check, scope, format!("{reason}; not every node has answered: bring them back, then audit again"));
    }
}

fn finals(case: &Case<'_>, certificate: &Certified, gathered: &Gathered, book: &mut Book) {
    let for_set = gathered.finals.iter().filter(|signed| signed.set_root == certificate.vote.setRoot);
    let nodes: std::collections::BTreeSet<usize> = for_set.map(|signed| signed.node).collect();
    if nodes.len() >= case.quorum() {
        let reason = format!("{} Finals for the certified set ({} needed)", nodes.len(), case.quorum());
        book.pass(Check::Finals, case.scope(), reason);
    } else if case.round.settlement.is_some() {
        missing(case, gathered, Check::Finals, case.scope(), nodes.len(), "Finals for the certified set", book);
    } else {
        book.note(Check::Finals, case.scope(), format!("{} Finals for the certified set so far", nodes.len()));
    }
}

/// The signatures under the result, and its credits; evidence if these are not those of the set.
async fn settlement(
    view: &View,
    case: &Case<'_>,
    settled: &Settled,
    leaves: Option<&SetLeaves>,
    book: &mut Book,
) -> Option<Accusation> {
    let scope = case.scope();
    let signed = view.ledger.settlement_signatures(&case.round.terms, settled).await;
    signatures(case, signed, book);
    let (recorded, voters) = (settled.settlement.rewardRoot, case.round.voters().len());
    let wrong = format!("the settled credits have root {recorded}; the set and the recorded voters give another");
    match view.ledger.rewarded(case.round, leaves).await {
        Ok(Rewarded::Right) => {
            let sites = case.round.certificate.as_ref().map_or(0, |certificate| certificate.vote.size);
            book.pass(Check::Rewards, scope, format!("{sites} sites and {voters} voters are credited"));
        }
        Ok(Rewarded::Proved(flaw)) => {
            book.fail(Check::Rewards, scope, wrong);
            return Some(sets::wrong_reward(case.round, flaw));
        }
        Ok(Rewarded::Wrong) => {
            let why = "it cannot be proved to the contract yet, as nobody has shown a leaf of their tree: `consilium watch` \
                       proves it as soon as one of these credits is paid";
            book.fail(Check::Rewards, scope, format!("{wrong}; {why}"));
        }
        Ok(Rewarded::Unknown) => {
            book.unavailable(Check::Rewards, scope, "without the set, the credits cannot be recomputed");
        }
        Err(error) => {
            let reason = format!("the credits are not held against the claims that may show them: {error}; try again");
            book.write(status_of(&error), Check::Rewards, scope, reason);
        }
    }
    None
}
