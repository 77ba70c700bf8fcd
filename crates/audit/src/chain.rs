//! The chain's part of an audit: endpoints against each other, the contracts' code, committees, and history.

use crate::order;
use crate::report::{Book, Check, Scope, Status};
use alloy::providers::Provider;
use alloy_primitives::{Address, B256, keccak256};
use consilium_core::params::CommitteeMembers;
use consilium_core::seal;
use consilium_ledger::contracts::{
    Consilium, Licences, NodeRegistry, PrivacyBudget, SetCourt, Sponsorship, StudyToken, SumKind, Treasury,
};
use consilium_ledger::{ChainEvent, Endpoints, Error, Event, History, Ledger, LogPosition, Study};
use std::collections::{BTreeMap, BTreeSet};

/// What one endpoint told, after it was held against all others.
pub(crate) struct View {
    pub(crate) ledger: Ledger,
    pub(crate) history: History,
    pub(crate) study: Study,
    /// The events of the registry, of Consilium and of the treasury, of all studies.
    pub(crate) all: Vec<ChainEvent>,
    /// Breaks of a round's order.
    pub(crate) violations: Vec<(u64, String)>,
}

/// A fault of the chain, as a status: only what can be tried again, or configured right, is "unavailable".
pub(crate) fn status_of(error: &Error) -> Status {
    match error {
        Error::Malformed { .. } | Error::Disagreement(_) | Error::Terms { .. } | Error::Unsupported { .. } => Status::Fail,
        Error::Unreachable { .. }
        | Error::NotMined { .. }
        | Error::Reorganised { .. }
        | Error::FeeTooHigh { .. }
        | Error::TooDear { .. }
        | Error::Unsent(_)
        | Error::KeyElsewhere(_)
        | Error::Reverted(_)
        | Error::Rejected { .. }
        | Error::WrongChain { .. }
        | Error::ChainIdTooLarge { .. }
        | Error::NoContract { .. }
        | Error::WrongContract { .. }
        | Error::Url(_)
        | Error::File(_)
        | Error::Unknown(_)
        | Error::SitesElsewhere { .. }
        | Error::Misuse(_) => Status::Unavailable,
    }
}

/// Reads the study from all endpoints. `None` when there is nothing to audit with; the book then says why.
pub(crate) async fn read(endpoints: &Endpoints, study: u64, book: &mut Book) -> Option<View> {
    let mut told: Vec<(Ledger, History)> = Vec::new();
    for ledger in endpoints.all() {
        match ledger.history(study).await {
            Ok(history) => told.push((ledger.clone(), history)),
            Err(error) => book.write(status_of(&error), Check::Endpoints, Scope::Study, error.to_string()),
        }
    }
    agree(&told, book);
    let (ledger, history) = told.into_iter().next()?;
    let read = everything(&ledger, &history, book).await;
    let found = match read {
        Ok((all, violations)) => history.study().map(|study| (all, violations, study)),
        Err(error) => Err(error),
    };
    match found {
        Ok((all, violations, study)) => Some(View { ledger, history, study, all, violations }),
        Err(error) => {
            book.write(status_of(&error), Check::Endpoints, Scope::Study, error.to_string());
            None
        }
    }
}

/// Of any two endpoints, one has told a beginning of what the other has told.
fn agree(told: &[(Ledger, History)], book: &mut Book) {
    let Some(((first, longest), _)) = told.split_first() else { return };
    let mut agreed = true;
    for (other, history) in told {
        let same = |(a, b): (&ChainEvent, &ChainEvent)| a.at == b.at && a.event == b.event;
        let mut pairs = longest.events().iter().zip(history.events());
        if let Some((a, _)) = pairs.find(|pair| !same(*pair)) {
            agreed = false;
            let reason = format!(
                "{} and {} tell different histories from block {} on: one of them lies or is on a fork; find out which before \
                 relying on anything below",
                first.endpoint(),
                other.endpoint(),
                a.at.block.number
            );
            book.fail(Check::Endpoints, Scope::Study, reason);
        }
    }
    if agreed {
        let names: Vec<&str> = told.iter().map(|(ledger, _)| ledger.endpoint()).collect();
        let head = longest.head();
        let reason = format!("chain read at block {} ({}) from {}", head.number, head.hash, names.join(", "));
        book.pass(Check::Endpoints, Scope::Study, reason);
    }
    if told.len() == 1 {
        let reason = "one endpoint only: it could invent a whole chain, apart from the committee's signatures; give a second one";
        book.note(Check::Endpoints, Scope::Study, reason);
    }
}

type Everything = (Vec<ChainEvent>, Vec<(u64, String)>);

async fn everything(ledger: &Ledger, history: &History, book: &mut Book) -> Result<Everything, Error> {
    let batch = ledger.events(ledger.addresses().deployed_at, history.head().number).await?;
    if let Some(strange) = batch.malformed.first() {
        let reason = format!("{} logs of the contracts do not parse, the first: {strange}", batch.malformed.len());
        book.note(Check::Endpoints, Scope::Study, reason);
    }
    let mut times = Vec::new();
    let mut known: BTreeMap<u64, u64> = BTreeMap::new();
    for event in history.events().iter().filter(|event| event.event.round().is_some()) {
        let number = event.at.block.number;
        let time = match (event.timestamp, known.get(&number)) {
            (Some(time), _) | (None, Some(&time)) => time,
            (None, None) => ledger.block(number.into()).await?.ok_or(Error::Reorganised { number })?.timestamp,
        };
        known.insert(number, time);
        times.push((time, &event.event));
    }
    let violations = order::violations(times);
    Ok((batch.events, violations))
}

/// The code at every address against the artefacts that this auditor was built with.
pub(crate) async fn contracts(view: &View, book: &mut Book) {
    let addresses = view.ledger.addresses();
    let parts = [
        ("NodeRegistry", addresses.registry, &NodeRegistry::BYTECODE[..]),
        ("Consilium", addresses.consilium, &Consilium::BYTECODE[..]),
        ("Treasury", addresses.treasury, &Treasury::BYTECODE[..]),
        ("Licences", addresses.licences, &Licences::BYTECODE[..]),
        ("StudyToken", addresses.study_token, &StudyToken::BYTECODE[..]),
        ("PrivacyBudget", addresses.privacy_budget, &PrivacyBudget::BYTECODE[..]),
        ("SetCourt", addresses.set_court, &SetCourt::BYTECODE[..]),
        ("SumKind", addresses.sum_kind, &SumKind::BYTECODE[..]),
    ];
    let mut parts = parts.to_vec();
    // What Consilium does not do itself, it has this contract do on its own storage.
    match view.ledger.sponsorship().await {
        Ok(address) => parts.push(("Sponsorship", address, &Sponsorship::BYTECODE[..])),
        Err(error) => book.write(status_of(&error), Check::Contracts, Scope::Study, error.to_string()),
    }
    for (name, address, creation) in parts {
        let request = view.ledger.provider().get_code_at(address);
        match request.await {
            Ok(code) if runs(creation, &code) => {
                let reason = format!("{name} at {address} on chain {} runs the published code", addresses.chain_id);
                book.pass(Check::Contracts, Scope::Study, reason);
            }
            Ok(code) => {
                let reason = format!(
                    "the code of {name} at {address} (keccak256 {}) is not the one that this auditor knows: nothing that the \
                     contract is said to enforce may be taken for granted; use the auditor of that release, or investigate",
                    keccak256(&code)
                );
                book.fail(Check::Contracts, Scope::Study, reason);
            }
            Err(error) => {
                let reason = format!("the code of {name} cannot be read: {error}; try again");
                book.unavailable(Check::Contracts, Scope::Study, reason);
            }
        }
    }
}

/// PUSH32, whose operand is zero in the artefact where the constructor puts an immutable.
const PUSH32: u8 = 0x7f;

/// Whether `code` is the runtime part at the end of the creation code, but for its immutables.
fn runs(creation: &[u8], code: &[u8]) -> bool {
    let at = creation.len().checked_sub(code.len());
    !code.is_empty() && at.is_some_and(|at| at > 0 && same_code(&creation[at..], code))
}

fn same_code(artefact: &[u8], code: &[u8]) -> bool {
    let mut i = 0;
    while i < code.len() {
        if artefact[i] != code[i] {
            return false;
        }
        let immutable = artefact[i] == PUSH32 && artefact.get(i + 1..i + 33).is_some_and(|operand| operand == [0; 32]);
        i += if immutable { 33 } else { 1 };
    }
    true
}

/// The members of one epoch: registered with stake when the committee was formed, and run by whom.
pub(crate) fn committee(view: &View, committee: &CommitteeMembers, book: &mut Book) {
    let epoch = committee.epoch();
    let Some(formed) = formed_at(view, epoch) else { return };
    let (mut operators, mut places, mut least) = (BTreeMap::new(), BTreeSet::new(), None);
    let mut sound = true;
    for (i, member) in committee.members().iter().enumerate() {
        let node = i + 1;
        match registration(&view.all, member.address, &formed) {
            Some((operator, place, stake)) => {
                operators.entry(operator).or_insert_with(Vec::new).push(node);
                places.insert(place);
                least = Some(least.map_or(stake, |least: alloy_primitives::U256| least.min(stake)));
            }
            None => {
                sound = false;
                let reason =
                    format!("node {node} ({}) was not registered, or was leaving, when epoch {epoch} was formed", member.address);
                book.fail(Check::Committee, Scope::Study, reason);
            }
        }
        if seal::check_public_key(&member.kem_key).is_err() {
            let reason = format!("node {node}'s encryption key is not valid: sites leave it out, it counts as silent");
            book.note(Check::Committee, Scope::Study, reason);
        }
    }
    for (operator, nodes) in operators.iter().filter(|(_, nodes)| nodes.len() > 1) {
        let reason =
            format!("nodes {nodes:?} of epoch {epoch} are all run by {operator}: privacy rests on independent operators");
        book.note(Check::Committee, Scope::Study, reason);
    }
    if sound {
        let sizes = committee.sizes();
        let reason = format!(
            "epoch {epoch}: {} nodes of which {} may be corrupt, {} operators in {} jurisdictions, at least {} wei of stake each; \
             fingerprint {}",
            sizes.n(),
            sizes.t(),
            operators.len(),
            places.len(),
            least.unwrap_or_default(),
            committee.hash()
        );
        book.pass(Check::Committee, Scope::Study, reason);
    }
}

/// What was proved on chain against nodes of the study, and by whom.
pub(crate) fn convictions(view: &View, book: &mut Book) {
    for event in &view.all {
        let Event::Convicted(convicted) = &event.event else { continue };
        if convicted.study != view.study.id {
            continue;
        }
        let reason = format!(
            "node {} {}: convicted in transaction {}, proved by {}; its bond is lost, {} wei to the reporter and {} wei kept for the \
             round's sites",
            convicted.node, convicted.offence, event.at.transaction, convicted.reporter, convicted.reward, convicted.kept
        );
        book.note(Check::Evidence, Scope::Round(convicted.round), reason);
    }
}

fn formed_at(view: &View, wanted: u64) -> Option<LogPosition> {
    let formed = |e: &&ChainEvent| matches!(e.event, Event::CommitteeFormed { epoch, .. } if epoch == wanted);
    view.history.events().iter().find(formed).map(|event| event.at)
}

/// The newest registration before a place on the chain, unless the node began to leave in between.
fn registration(all: &[ChainEvent], wanted: Address, before: &LogPosition) -> Option<(String, String, alloy_primitives::U256)> {
    let mut found = None;
    for event in all.iter().filter(|event| event.at < *before) {
        match &event.event {
            Event::NodeRegistered { node, operator, jurisdiction, stake } if *node == wanted => {
                found = Some((operator.clone(), jurisdiction.clone(), *stake));
            }
            Event::UnbondingBegun { node, .. } | Event::StakeWithdrawn { node, .. } if *node == wanted => found = None,
            _ => {}
        }
    }
    found
}

/// No subject twice in this study; the same subject elsewhere under this contract is worth knowing.
pub(crate) fn subject(view: &View, round: u64, subject: B256, book: &mut Book) {
    let scope = Scope::Round(round);
    let mut subjects = BTreeMap::new();
    let mut certified = Vec::new();
    for event in &view.all {
        match &event.event {
            Event::RoundOpened(opened) => {
                subjects.insert((opened.study, opened.round), opened.subject);
            }
            Event::RoundCertified { study, round, .. } => certified.push((*study, *round)),
            _ => {}
        }
    }
    let same = |place: &&(u64, u64)| subjects.get(*place) == Some(&subject) && **place != (view.study.id, round);
    let others: Vec<(u64, u64)> = certified.iter().filter(same).copied().collect();
    let (here, elsewhere): (Vec<_>, Vec<_>) = others.into_iter().partition(|(study, _)| *study == view.study.id);
    if here.is_empty() {
        book.pass(Check::Subject, scope, format!("no other round of the study has a certified set over subject {subject}"));
    }
    for (_, other) in here {
        let reason = format!(
            "round {other} has a certified set over the same subject {subject}: two sums over the same updates can differ by single \
             sites"
        );
        book.fail(Check::Subject, scope, reason);
    }
    for (study, other) in elsewhere {
        let reason = format!(
            "round {other} of study {study} has a certified set over the same subject {subject}: if sites are in both, the two sums \
             together tell more than one; ask those sites"
        );
        book.note(Check::Subject, scope, reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_the_artefacts_but_for_immutables() {
        let runtime = [&[0x60, 0x80, PUSH32], &[0; 32][..], &[0x52, 0x00, 0x5b]].concat();
        let creation = [&[0x60, 0x40, 0xf3][..], &runtime].concat();
        let mut deployed = runtime.clone();
        deployed[3..35].copy_from_slice(&[7; 32]);
        assert!(runs(&creation, &runtime) && runs(&creation, &deployed));
        for at in [0, 1, 2, 35, 36, 37] {
            let mut other = deployed.clone();
            other[at] ^= 1;
            assert!(!runs(&creation, &other), "byte {at}");
        }
        assert!(!runs(&creation, &[]) && !runs(&runtime, &creation));
    }

    #[test]
    fn a_code_that_is_a_mere_piece_of_the_artefact_is_not_it() {
        let creation = [0x60, 0x80, 0x52, 0x00, 0x5b];
        assert!(!runs(&creation, &creation[1..3]));
    }
}
