//! What of an audit's findings is an offence on the list of PROTOCOL.md 6.12: against whom, and whether it is proved on chain.

use crate::chain::View;
use crate::report::{Book, Check, Scope, Status};
use crate::round::Case;
use crate::statements::Gathered;
use crate::watchman::suspicions;
use alloy_primitives::{Address, B256};
use consilium_core::accusation::{Accusation, Charge};
use consilium_ledger::{ChainEvent, Event, LogPosition, Money, Offence, State};
use serde_json::Value;
use std::collections::BTreeSet;

/// Names every offence that these statements and this evidence prove, once for each offender, with those that the audit
/// has found otherwise.
pub(crate) fn tell(view: &View, case: &Case<'_>, gathered: &Gathered, found: &[Accusation], book: &mut Book) {
    let shown = gathered.accusations.values().flatten().filter(|accusation| suspicions::concerns(case.round, accusation));
    let mut told = BTreeSet::new();
    for accusation in found.iter().chain(&suspicions::of(case.round, gathered)).chain(shown) {
        if told.insert((name(&accusation.charge), offender(&accusation.charge))) && !tell_one(view, case, accusation, book) {
            told.remove(&(name(&accusation.charge), offender(&accusation.charge)));
        }
    }
}

/// Names one offence. Whether it is one: the evidence has to hold against the chain.
pub(crate) fn tell_one(view: &View, case: &Case<'_>, accusation: &Accusation, book: &mut Book) -> bool {
    let differs = differs(case, &accusation.charge);
    // Once a settlement is proved wrong, what differs from it is no offence.
    if (differs && matches!(case.state, State::Fraudulent | State::Refuted))
        || !accusation.holds(&case.round.terms.domain, &case.round.record())
    {
        return false;
    }
    let (words, offence) = (suspicions::in_words(case.round, accusation), name(&accusation.charge));
    let fate = match (proved_in(view, accusation), differs) {
        (Some(transaction), _) => format!("proved on chain in transaction {transaction}"),
        (None, true) => "not proved on chain yet: `consilium watch` proves it once it has checked the settlement".to_owned(),
        (None, false) => "not proved on chain yet: `consilium watch` proves it".to_owned(),
    };
    let evidence = serde_json::to_value(accusation).unwrap_or_default();
    let reason = format!("{words}: an offence on the list ({offence}), {fate}");
    book.prove(Status::Note, Check::Evidence, scope(case, &accusation.charge), reason, evidence);
    true
}

/// The name of an offence as evidence carries it.
fn name(charge: &Charge) -> String {
    let value = serde_json::to_value(charge).unwrap_or_default();
    value.get("offence").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Who is accused; none for all who voted for a set or signed a settlement.
pub(crate) fn offender(charge: &Charge) -> Option<Address> {
    match charge {
        Charge::TwoFinals { address, .. }
        | Charge::TwoShareRoots { address, .. }
        | Charge::TwoSettlements { address, .. }
        | Charge::WrongShareRoot { address, .. } => Some(*address),
        Charge::TwoContributions { site, .. } => Some(*site),
        Charge::WrongSettlement(_) | Charge::ForeignSite(_) | Charge::WrongReward(_) => None,
    }
}

fn scope(case: &Case<'_>, charge: &Charge) -> Scope {
    let round = case.number();
    match (charge, offender(charge)) {
        (Charge::TwoContributions { site, .. }, _) => Scope::Site { round, site: *site },
        (_, Some(address)) => match case.round.terms.committee.index_of(address) {
            Some(node) => Scope::Node { round, node, address },
            None => case.scope(),
        },
        (_, None) => case.scope(),
    }
}

/// Whether it is about a share of the certified set that is not the settled one.
fn differs(case: &Case<'_>, charge: &Charge) -> bool {
    let Charge::WrongShareRoot { statements, .. } = charge else { return false };
    case.round.certificate.as_ref().is_some_and(|certificate| certificate.vote.setRoot == statements[0].set_root)
}

/// The transaction that proved it.
fn proved_in(view: &View, accusation: &Accusation) -> Option<B256> {
    let proved = |event: &ChainEvent| match &event.event {
        Event::Convicted(told) if told.study == accusation.study => {
            let ours = accusation.node().map_or_else(|| is_about(view, accusation, &event.at), |node| node == told.node);
            ours && is_of(&accusation.charge, told.offence)
        }
        Event::Money(Money::SiteStruck(proof)) => {
            (proof.study, proof.round) == (accusation.study, accusation.round)
                && proof.holds(&view.ledger.domain())
                && matches!(accusation.charge, Charge::TwoContributions { site: accused, .. } if accused == proof.site)
        }
        _ => false,
    };
    view.all.iter().find(|event| proved(event)).map(|event| event.at.transaction)
}

/// Whether a proof against all who voted or signed is about this round. Such convictions name no round, as no site has a
/// part in what they take: the round that is undone with them tells, or that none is, if it was abandoned before.
fn is_about(view: &View, accusation: &Accusation, proof: &LogPosition) -> bool {
    let undone = view.all.iter().filter(|event| event.at.transaction == proof.transaction).find_map(|event| match event.event {
        Event::RoundFraudulent { study, round } | Event::RoundRefuted { study, round } => Some((study, round)),
        _ => None,
    });
    undone.is_none_or(|round| round == (accusation.study, accusation.round))
}

fn is_of(charge: &Charge, offence: Offence) -> bool {
    match charge {
        Charge::TwoFinals { .. } => offence == Offence::TwoFinals,
        Charge::TwoShareRoots { .. } => offence == Offence::TwoShares,
        Charge::TwoSettlements { .. } => offence == Offence::TwoSettlements,
        Charge::WrongShareRoot { .. } => matches!(offence, Offence::WrongShare | Offence::ForeignShare),
        Charge::WrongSettlement(_) => offence == Offence::WrongSettlement,
        Charge::ForeignSite(_) => offence == Offence::ForeignSite,
        Charge::WrongReward(_) => offence == Offence::WrongReward,
        Charge::TwoContributions { .. } => false,
    }
}
