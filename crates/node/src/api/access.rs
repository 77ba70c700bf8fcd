//! Who calls, and what the chain lets them do.

use super::Refused;
use crate::rounds::{Entry, OpenRound};
use crate::service::{LookupError, Service, now_seconds};
use alloy_primitives::Address;
use axum::http::{HeaderMap, header};
use consilium_core::capability::{Caller, Capability, NotACapability, Request};
use std::sync::Arc;
use std::time::Duration;

/// Longest validity of a capability in seconds.
const MAX_SECONDS: u64 = 300;
/// How long a request waits for a round that this node has not seen on the chain yet.
const OPENING: Duration = Duration::from_millis(1500);

/// What a caller is in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Committee member with its number.
    Member(usize),
    /// The sponsor, or an auditor whom it named.
    Auditor,
    /// An admitted site.
    Site,
    /// Whoever holds a licence to the study's aggregates.
    Licensee,
}

/// A request, as a capability names it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) study: u64,
    pub(super) round: u64,
    pub(super) method: &'a str,
    /// With query.
    pub(super) path: &'a str,
    pub(super) body: &'a [u8],
}

/// An open round, after a short wait for one that the chain may show any moment.
pub(super) async fn open_round(service: &Service, study: u64, round: u64) -> Result<Arc<OpenRound>, Refused> {
    let mut entry = service.rounds.get(study, round);
    if entry.is_none() {
        if service.database.run(move |db| db.closed(study, round)).await?.is_some() {
            return Err(Refused::round_closed());
        }
        service.look.notify_one();
        entry = service.rounds.wait_for(study, round, OPENING).await;
    }
    match entry {
        Some(Entry::Open(open)) => Ok(open),
        Some(Entry::Refused(absence)) => Err(Refused::not_taking_part(&absence.reason)),
        None => Err(Refused::unknown_round()),
    }
}

/// In whose name the request's capability was signed.
fn claimed(service: &Service, headers: &HeaderMap, asked: &Asked<'_>) -> Result<Caller, Refused> {
    let given = headers.get(header::AUTHORIZATION).ok_or_else(|| Refused::unauthorised("no capability is given"))?;
    let parsed = given.to_str().map_err(|_| NotACapability).and_then(str::parse);
    let capability: Capability = parsed.map_err(|error| Refused::unauthorised(error.to_string()))?;
    if (capability.study, capability.round) != (asked.study, asked.round) {
        return Err(Refused::unauthorised("the capability is for another round"));
    }
    let now = now_seconds();
    if capability.expires < now {
        return Err(Refused::expired("the capability has expired"));
    }
    if capability.expires > now + MAX_SECONDS {
        return Err(Refused::expired("the capability is valid for too long"));
    }
    let request = Request { method: asked.method, path: asked.path, body: asked.body };
    capability.caller(&service.domain, &request).map_err(|error| Refused::unauthorised(error.to_string()))
}

/// The key that signed the request's capability. Members and sites are keys.
pub(super) fn key(service: &Service, headers: &HeaderMap, asked: &Asked<'_>) -> Result<Address, Refused> {
    match claimed(service, headers, asked)? {
        Caller::Key(key) => Ok(key),
        Caller::Account { account, .. } => Err(Refused::forbidden(account)),
    }
}

/// What the chain says that a caller is. Sites are those of the open round, or after its end those that the study admits.
pub(super) async fn role(service: &Service, study: u64, round: u64, caller: Address) -> Result<Option<Role>, Refused> {
    if let Some(Entry::Open(open)) = service.rounds.get(study, round) {
        if let Some(number) = open.terms.committee.index_of(caller) {
            return Ok(Some(Role::Member(number)));
        }
        if open.terms.admits(&caller) {
            return Ok(Some(Role::Site));
        }
    }
    let Some(known) = service.study(study).await.map_err(unreadable)? else { return Ok(None) };
    if known.sponsor == caller || known.auditors.contains(&caller) {
        return Ok(Some(Role::Auditor));
    }
    let committee = service.committee_of(study, round, known.rounds).await.map_err(unreadable)?;
    let seat = committee.and_then(|committee| committee.index_of(caller));
    let role = seat.map(Role::Member).or_else(|| known.admits(&caller).then_some(Role::Site));
    if role.is_some() {
        return Ok(role);
    }
    // Asked last, and in a queue of its own: strangers with ever new keys keep nobody waiting who takes part.
    let licensed = service.licensed(study, caller).await.map_err(unreadable)?;
    Ok(licensed.then_some(Role::Licensee))
}

/// A caller with a role, or a refusal. A contract is asked last, and only one that has a role that a contract can have.
pub(super) async fn admit(service: &Service, headers: &HeaderMap, asked: &Asked<'_>) -> Result<(Address, Role), Refused> {
    let claimed = claimed(service, headers, asked)?;
    let caller = match claimed {
        Caller::Key(caller) | Caller::Account { account: caller, .. } => caller,
    };
    let role = role(service, asked.study, asked.round, caller).await?.ok_or_else(|| Refused::forbidden(caller))?;
    if let Caller::Account { account, digest, signature } = &claimed {
        if !matches!(role, Role::Auditor | Role::Licensee) {
            return Err(Refused::forbidden(account));
        }
        let accepted = service.accepts_signature(*account, *digest, signature).await.map_err(unreadable)?;
        if !accepted {
            return Err(Refused::unauthorised(format!("the contract {account} does not accept the signature")));
        }
    }
    Ok((caller, role))
}

/// A chain that cannot be asked just now.
fn unreadable(error: LookupError) -> Refused {
    match error {
        LookupError::Busy => Refused::busy("too many callers are being looked up on the chain"),
        LookupError::Chain(error) => {
            tracing::warn!(%error, "who may read cannot be looked up");
            Refused::busy("the chain cannot be read just now, so that nobody's rights can be checked")
        }
    }
}
