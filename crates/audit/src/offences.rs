//! Signed statements against each other and against the chain (section 6.12): who said what that cannot be.

use crate::report::{Book, Check, Line, Scope, Status};
use crate::round::Case;
use crate::statements::{FinalOfRound, Gathered};
use consilium_core::audit::{self, Contradicts, Evidence, Offence, contradiction, share_root_offence};
use consilium_core::eip712::Signed;
use consilium_core::round::{SignedSettlement, SignedShareRoot};
use consilium_core::terms::Terms;
use consilium_ledger::Certified;
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeSet;

/// A void round: nothing may have been released.
pub(crate) fn void(case: &Case<'_>, gathered: &Gathered, book: &mut Book) {
    let released: BTreeSet<usize> = gathered.share_roots.iter().map(|signed| signed.node).collect();
    for signed in &gathered.share_roots {
        let reason = "signed the root of an output share in a round that has no certified set";
        accuse(case, signed.node, Check::ShareRoots, Status::Note, reason, signed, book);
    }
    for signed in &gathered.finals {
        let reason = "signed a Final in a round that has no certified set";
        accuse(case, signed.node, Check::Finals, Status::Note, reason, signed, book);
    }
    contradictions(case, gathered, book);
    if released.len() > case.round.terms.committee.sizes().t() {
        let reason = format!("nodes {released:?} released output shares without a certificate, more than may be corrupt");
        book.fail(Check::ShareRoots, case.scope(), reason);
    } else if gathered.complete {
        book.pass(
            Check::Statements,
            case.scope(),
            "the round is void: no result, its subject is free, and no honest release is on show",
        );
    } else {
        let reason = "the round is void on the chain; not every node shows what it signed, so a release cannot be excluded";
        book.note(Check::Statements, case.scope(), reason);
    }
}

/// A certified round: share roots against the settled ones, and every statement against every other.
pub(crate) fn certified(case: &Case<'_>, certificate: &Certified, gathered: &Gathered, book: &mut Book) {
    let before = book.lines.len();
    for signed in gathered.finals.iter().filter(|signed| signed.set_root != certificate.vote.setRoot) {
        let reason = format!("signed a Final for the set {}, another one than the certified", signed.set_root);
        accuse(case, signed.node, Check::Finals, Status::Note, &reason, signed, book);
    }
    contradictions(case, gathered, book);
    settled(case, gathered, book);
    let proved = |line: &Line| match (line.check, line.scope) {
        (Check::Statements | Check::ShareRoots, Scope::Node { node, .. }) => Some(node),
        _ => None,
    };
    let liars: BTreeSet<usize> = book.lines[before..].iter().filter_map(proved).collect();
    let bound = case.round.terms.committee.sizes().t();
    if liars.len() > bound {
        let reason = format!(
            "nodes {liars:?} are proved to have lied by their own signatures, more than the {bound} that may be corrupt: nothing that \
             rests on the committee's word holds"
        );
        return book.fail(Check::Statements, case.scope(), reason);
    }
    if !book.lines[before..].iter().any(|line| line.status <= Status::Note) {
        let counts = (gathered.finals.len(), gathered.share_roots.len(), gathered.settlements.len());
        let reason = format!(
            "{} Finals, {} share roots and {} settlements agree with each other and the chain",
            counts.0, counts.1, counts.2
        );
        book.pass(Check::Statements, case.scope(), reason);
    }
}

fn settled(case: &Case<'_>, gathered: &Gathered, book: &mut Book) {
    let Some(settled) = &case.round.settlement else { return };
    let terms = &case.round.terms;
    let record = audit::Settled {
        study: terms.study,
        round: terms.round,
        set_root: settled.settlement.setRoot,
        share_roots: settled.share_roots.clone(),
    };
    let (mut off, mut agreeing) = (BTreeSet::new(), BTreeSet::new());
    for signed in &gathered.share_roots {
        let Some(member) = terms.committee.member(signed.node) else { continue };
        let evidence = Evidence { statement: signed.statement(terms), signature: signed.signature };
        match share_root_offence(&terms.domain, member.address, &evidence, &record) {
            Ok(Some(offence)) => {
                off.insert(signed.node);
                let reason = wrong_share(case, offence, signed);
                accuse(case, signed.node, Check::ShareRoots, Status::Note, &reason, signed, book);
            }
            Ok(None) => drop(agreeing.insert(signed.node)),
            // Gathered statements have their signatures checked; one that fails here proves nothing about anyone.
            Err(_) => {}
        }
    }
    judge_share_roots(case, &off, &agreeing, gathered.complete, book);
    for signed in gathered.settlements.iter().filter(|signed| signed.statement(terms) != settled.settlement) {
        let reason = "signed another result than the settled one";
        accuse(case, signed.node, Check::Settlement, Status::Note, reason, signed, book);
    }
}

fn wrong_share(case: &Case<'_>, offence: Offence, signed: &SignedShareRoot) -> String {
    let settled = case.round.settlement.as_ref().and_then(|settled| settled.share_roots.get(signed.node.wrapping_sub(1)));
    if offence == Offence::ForeignShareRoot {
        return format!("signed the root of an output share over the set {}, which is not the certified one", signed.set_root);
    }
    let settled = settled.map_or_else(|| "nothing".to_owned(), ToString::to_string);
    format!(
        "signed a wrong output share: its root is {}, {settled} is settled; the others outvoted it and the result stands, and this \
         signature is proof against the node",
        signed.root
    )
}

fn judge_share_roots(case: &Case<'_>, off: &BTreeSet<usize>, agreeing: &BTreeSet<usize>, complete: bool, book: &mut Book) {
    let (scope, sizes) = (case.scope(), case.round.terms.committee.sizes());
    if off.len() > sizes.t() {
        let reason =
            format!("nodes {off:?} signed other shares than the settled ones: more than the {} that may be corrupt", sizes.t());
        book.fail(Check::ShareRoots, scope, reason);
    } else if agreeing.len() >= sizes.agreement() {
        let reason = format!("the signed share roots of nodes {agreeing:?} are the settled ones ({} needed)", sizes.agreement());
        book.pass(Check::ShareRoots, scope, reason);
    } else {
        let reason = format!(
            "only {} signed share roots that agree with the settled ones are shown, {} must exist",
            agreeing.len(),
            sizes.agreement()
        );
        if complete {
            book.fail(Check::ShareRoots, scope, reason);
        } else {
            book.unavailable(Check::ShareRoots, scope, format!("{reason}; bring the silent nodes back, then audit again"));
        }
    }
}

fn contradictions(case: &Case<'_>, gathered: &Gathered, book: &mut Book) {
    let terms = &case.round.terms;
    let here = gathered.finals.iter().map(|signed| FinalOfRound { round: terms.round, signed: signed.clone() });
    let finals: Vec<FinalOfRound> = here.chain(gathered.elsewhere.iter().cloned()).collect();
    let said = |s: &FinalOfRound, t: &Terms| (s.signed.node, evidence(s.statement(t), s.signed.signature));
    pairs(case, &finals, |s| said(s, terms), "two Finals for one subject", book);
    let roots = |s: &SignedShareRoot, t: &Terms| (s.node, evidence(s.statement(t), s.signature));
    pairs(case, &gathered.share_roots, |s| roots(s, terms), "two share roots for one round", book);
    let results = |s: &SignedSettlement, t: &Terms| (s.node, evidence(s.statement(t), s.signature));
    pairs(case, &gathered.settlements, |s| results(s, terms), "two results for one round", book);
}

fn evidence<S>(statement: S, signature: Signed) -> Evidence<S> {
    Evidence { statement, signature }
}

/// The first contradiction of each node.
fn pairs<T: Serialize, S: Contradicts>(
    case: &Case<'_>,
    signed: &[T],
    read: impl Fn(&T) -> (usize, Evidence<S>),
    what: &str,
    book: &mut Book,
) {
    let mut told = BTreeSet::new();
    let read: Vec<(&T, usize, Evidence<S>)> = signed.iter().map(|s| (s, read(s))).map(|(s, (node, e))| (s, node, e)).collect();
    for (i, (first, node, a)) in read.iter().enumerate() {
        let Some(member) = case.round.terms.committee.member(*node) else { continue };
        for (second, _, b) in read[i + 1..].iter().filter(|(_, other, _)| other == node) {
            let found = contradiction(&case.round.terms.domain, member.address, a, b);
            if matches!(found, Ok(Some(_))) && told.insert(*node) {
                let reason = format!("signed {what}: each signature is genuine, together they are proof against the node");
                accuse(case, *node, Check::Statements, Status::Note, &reason, &json!([first, second]), book);
            }
        }
    }
}

fn accuse(case: &Case<'_>, node: usize, check: Check, status: Status, reason: &str, proof: &impl Serialize, book: &mut Book) {
    let Some(member) = case.round.terms.committee.member(node) else { return };
    let scope = Scope::Node { round: case.number(), node, address: member.address };
    let proof = serde_json::to_value(proof).unwrap_or_default();
    book.prove(status, check, scope, reason, json!({ "round": case.number(), "signed": proof }));
}
