//! Taking a seat in a round: the checks before a node serves it, and what it resumes from after a restart.

use super::actor::{self, Actor};
use super::mailbox::Mailbox;
use super::{Absence, Entry, OpenRound};
use crate::keys::{Deployment, Epoch, KeyError};
use crate::policy::{Breach, SeatTerms};
use crate::service::{Service, locked, now_millis};
use crate::store::{Database, Opening, Sight, StoreError};
use crate::watch::End;
use alloy_primitives::{Address, B256};
use consilium_core::certify::SetMember;
use consilium_core::clock::{self, FalseOpening, Seen};
use consilium_core::params::Finality;
use consilium_core::release::RunningSum;
use consilium_core::round::{ChainEvent, Event, Kept, Message, Round, SignedIntent, SignedVote, Stage, Statement};
use consilium_core::seal::KemSecret;
use consilium_core::terms::Terms;
use consilium_ledger::{BlockRef, Certified, Error as LedgerError, History, Ledger, State};
use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use thiserror::Error;
use tokio::sync::{Notify, Semaphore, mpsc};

/// Why a node takes no part in a round.
#[derive(Debug, Error)]
pub(crate) enum Refusal {
    /// Nobody did wrong: the study has another committee.
    #[error("this node is not in the committee of the round's epoch")]
    NotMember,
    /// The sites would seal to a key that this node does not have.
    #[error(
        "the KEM key that the round's committee has for this node is not among the {0} in its key file: put the key file back that \
         holds it, or run `consilium node rotate-key` and ask the sponsor for a new committee"
    )]
    OtherKemKey(usize),
    /// Section 6.9: no second sum for one subject.
    #[error("its subject has had its sum in round {0}: there are no two sums over one subject")]
    SubjectCertified(u64),
    /// The chain may seat this node where its operator does not want it, or in what it cannot hold.
    #[error("it is beyond the node's policy: {0}; its operator can widen `[policy]` and start the node again")]
    BeyondPolicy(String),
    /// The endpoint answers from an older block than it has shown before, or from another history.
    #[error("the chain was read at block {read}, and not on top of block {known} that was seen before: the endpoint wavers")]
    Behind {
        /// Height at which the round was read.
        read: u64,
        /// Height up to which events were taken in.
        known: u64,
    },
    /// The cutoff follows from the opening time.
    #[error("{0}; `clock_tolerance_seconds` is what is tolerated, and a quarter of the round at most")]
    Opening(#[from] FalseOpening),
    /// All nodes must refuse the same sites, and one endpoint alone may leave a strike out.
    #[error("not every endpoint tells which sites are struck off: {0}; see that it answers, or remove it from `rpc`")]
    Strikes(LedgerError),
    /// The chain cannot be read, or what it says is unsound.
    #[error(transparent)]
    Chain(#[from] LedgerError),
    /// The node's disk.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key file, in which a key that is not in memory may be.
    #[error(transparent)]
    Keys(#[from] KeyError),
}

impl Refusal {
    /// Whether to try again later.
    pub(crate) fn is_temporary(&self) -> bool {
        match self {
            Self::Chain(error) => error.is_temporary() || matches!(error, LedgerError::Unknown(_)),
            Self::Behind { .. } | Self::Opening(FalseOpening::Ahead { .. }) => true,
            Self::Store(_) | Self::Keys(_) | Self::Strikes(_) => true,
            Self::NotMember | Self::OtherKemKey(_) | Self::SubjectCertified(_) | Self::BeyondPolicy(_) => false,
            Self::Opening(FalseOpening::Stale { .. }) => false,
        }
    }

    /// Whether the operator can do something about it: then the seat is taken as soon as that is done, here or after a restart.
    fn has_remedy(&self) -> bool {
        let list = matches!(self, Self::Chain(LedgerError::SitesElsewhere { .. }));
        list || matches!(self, Self::OtherKemKey(_) | Self::BeyondPolicy(_) | Self::Opening(_))
    }
}

/// Takes a seat if there is one to take and it is not taken yet. Refusals that last are remembered and logged once; one that the
/// operator can do something about is remembered and tried again, as long as the round goes on.
/// `opened` is the height of the block that opened the round, `seen` how this node sees it, `known` the block up to which
/// events have been taken in.
pub(crate) async fn take(
    service: &Arc<Service>,
    (study, round): (u64, u64),
    opened: u64,
    seen: Seen,
    known: Option<BlockRef>,
) -> Result<(), Refusal> {
    match service.rounds.get(study, round) {
        Some(Entry::Refused(absence)) if absence.has_remedy => {}
        Some(_) => return Ok(()),
        None => {}
    }
    let over = service.database.run(move |db| db.closed(study, round)).await?.is_some();
    if over {
        return Ok(());
    }
    let seated = match admit(service, study, round, known).await {
        Ok((on_chain, kem)) => seated(service, on_chain, kem, seen).await,
        Err(refusal) => Err(refusal),
    };
    match seated {
        Ok(()) => Ok(()),
        Err(refusal) if refusal.is_temporary() && !refusal.has_remedy() => Err(refusal),
        Err(refusal) => {
            let reason = refusal.to_string();
            let may_change = matches!(refusal, Refusal::SubjectCertified(_) | Refusal::Opening(_));
            let has_remedy = refusal.has_remedy() && !is_over(service, study, round).await?;
            let is_known = matches!(service.rounds.get(study, round), Some(Entry::Refused(known)) if known.reason == reason);
            match refusal {
                Refusal::NotMember => tracing::debug!(study, round, "no seat in this round"),
                Refusal::BeyondPolicy(_) if is_known => {}
                Refusal::BeyondPolicy(_) => tracing::error!(study, round, %reason, "taking no part in this round"),
                _ if has_remedy => {}
                _ => tracing::error!(study, round, %reason, "taking no part in this round"),
            }
            let absence = Absence { reason, opened, may_change, has_remedy };
            service.rounds.insert(study, round, Entry::Refused(Arc::new(absence)));
            if has_remedy { Err(refusal) } else { Ok(()) }
        }
    }
}

/// Whether nothing can be done in a round any more.
async fn is_over(service: &Service, study: u64, round: u64) -> Result<bool, Refusal> {
    // From storage alone: the list of its sites may be what is missing.
    let found = service.ledger().final_state(study, round, Finality::Instant).await?;
    Ok(!matches!(found, Some((_, State::Open | State::Certified))))
}

/// Everything that must hold before a node serves a round. [`consilium_ledger::History::round`] runs
/// [`consilium_core::terms::Terms::check`]. With the secret that opens the boxes of this round.
async fn admit(
    service: &Service,
    study: u64,
    round: u64,
    known: Option<BlockRef>,
) -> Result<(consilium_ledger::Round, Arc<KemSecret>), Refusal> {
    let history = service.ledger().history(study).await?;
    not_behind(service.ledger(), history.head().number, known).await?;
    let found = history.round(round).await?;
    let me = found.terms.committee.index_of(service.address()).ok_or(Refusal::NotMember)?;
    within_policy(service, &history, &found).await?;
    let found = service.endpoints.strike_out(found).await.map_err(Refusal::Strikes)?;
    let registered = found.terms.committee.member(me).map_or_else(Vec::new, |member| member.kem_key.clone());
    let kem = service.with_keys(move |keys| keys.secret_of(&registered)).await?;
    let kem = kem.ok_or_else(|| Refusal::OtherKemKey(service.keys.keys().kem_keys().len()))?;
    let earlier = history.certified_subjects().into_iter().find(|c| c.subject == found.terms.subject && c.round != round);
    match earlier {
        Some(certified) => Err(Refusal::SubjectCertified(certified.round)),
        None => Ok((found, kem)),
    }
}

/// Holds a seat against the operator's policy. A round in which this node has signed something is finished all the same: the
/// others count on what it said; only what it cannot hold it leaves.
async fn within_policy(service: &Service, history: &History, found: &consilium_ledger::Round) -> Result<(), Refusal> {
    let (policy, opening, subject) = (&service.config.policy, Opening::of(&found.terms), found.terms.subject);
    let mut terms = SeatTerms::of_round(history, found);
    let begun = !service.database.run(move |db| db.journalled(&opening, &subject)).await?.is_empty();
    if policy.maximum_seats_per_operator.is_some() && !begun {
        terms.operators = service.operators.of(service.ledger(), &terms.members).await?;
    }
    let breaches = if begun { policy.too_wide(&terms).into_iter().collect() } else { policy.breaches(service.address(), &terms) };
    if breaches.is_empty() { Ok(()) } else { Err(Refusal::BeyondPolicy(Breach::list(&breaches))) }
}

/// Writes down that this committee was formed with the key, so that the secret outlives an endpoint that leaves the committee
/// out. A key file that cannot be written is no reason to leave a round.
async fn note_committee(service: &Service, round: &OpenRound) {
    let committee = &round.terms.committee;
    let Some(hash) = committee.member(round.me).map(|member| alloy_primitives::keccak256(&member.kem_key)) else { return };
    let (at, epoch) = (Deployment::of(&service.config.addresses), Epoch { study: round.terms.study, epoch: committee.epoch() });
    if let Err(error) = service.with_keys(move |keys| keys.note(hash, at, Some(epoch))).await {
        tracing::warn!(study = epoch.study, epoch = epoch.epoch, %error, "which committee a KEM key serves could not be noted");
    }
}

/// Holds a round's opening time against the clock and opens it.
async fn seated(
    service: &Arc<Service>,
    on_chain: consilium_ledger::Round,
    kem: Arc<KemSecret>,
    seen: Seen,
) -> Result<(), Refusal> {
    let opening = Opening::of(&on_chain.terms);
    let tolerance = service.config.clock_tolerance.as_millis().try_into().unwrap_or(u64::MAX);
    let now = now_millis();
    let in_time = clock::judge(&on_chain.terms.policy, seen, now, tolerance)?;
    // Before it has a seat nobody can upload to this node: a latecomer's time begins with it.
    let sight = Sight { at: if in_time { seen.at } else { now }, in_time };
    let first = service.database.run(move |db| db.sight(&opening, sight)).await?;
    open(service, on_chain, kem, first).await
}

/// What was announced up to a block is told once: a round that is read at an earlier one, or in a history without it, may
/// lack it for good.
async fn not_behind(ledger: &Ledger, read: u64, known: Option<BlockRef>) -> Result<(), Refusal> {
    let Some(known) = known else { return Ok(()) };
    if read < known.number || ledger.block_hash(known.number).await? != Some(known.hash) {
        return Err(Refusal::Behind { read, known: known.number });
    }
    Ok(())
}

/// Reads a round again that is open here, and corrects what this node holds of its certificate and its end.
pub(crate) async fn read_again(service: &Service, open: &OpenRound, known: Option<BlockRef>) -> Result<(), Refusal> {
    let (study, round) = open.id();
    let on_chain = service.ledger().round(study, round).await?;
    not_behind(service.ledger(), on_chain.read_at.number, known).await?;
    // Of another opening the watcher hears, and takes this seat back.
    if on_chain.opened == open.opened {
        correct_certificate(open, on_chain.certificate.as_ref());
        open.correct_end(End::of(&on_chain));
    }
    Ok(())
}

/// What was final stays final here.
fn correct_certificate(open: &OpenRound, shown: Option<&Certified>) {
    if !matches!(open.stage(), Stage::Collecting | Stage::Certified) || locked(&open.certificate).as_ref() == shown {
        return;
    }
    match shown {
        Some(certificate) => tell_certified(open, certificate),
        None => {
            *locked(&open.certificate) = None;
            open.tell(Event::Chain(ChainEvent::CertificateGone));
        }
    }
}

/// What this node kept of a round, and contributions that are bound to other openings under its number.
async fn kept(service: &Service, terms: &Terms, sight: Sight) -> Result<(Kept, BTreeSet<SetMember>), Refusal> {
    let (opening, subject) = (Opening::of(terms), terms.subject);
    let read = move |db: &Database| {
        let statements = db.journalled(&opening, &subject)?;
        let of_others = (db.intents(&opening, &subject)?, db.foreign(&opening)?);
        Ok((statements, db.certificates(&opening)?, db.sets(&opening)?, of_others))
    };
    let (statements, mut certificates, sets, (intents, foreign)) = service.database.run(read).await?;
    // A round that is opened again on the same terms may come after a site was struck off.
    certificates.retain(|kept| terms.admits(&kept.certificate.member.site));
    let statements = statements.into_iter().map(|statement| {
        let signature = actor::sign(service, &statement);
        (statement, signature)
    });
    let of_member = |(of, intent): (Address, SignedIntent)| Some(SignedIntent { node: terms.committee.index_of(of)?, ..intent });
    let kept = Kept {
        statements: statements.collect(),
        certificates,
        sets,
        intents: intents.into_iter().filter_map(of_member).collect(),
        late_since: (!sight.in_time).then_some(sight.at),
    };
    Ok((kept, foreign))
}

/// Names this start of the node: no answer to an earlier one counts.
fn new_start() -> B256 {
    let mut start = B256::ZERO;
    getrandom::fill(start.as_mut_slice())
        .unwrap_or_else(|error| panic!("the operating system gives no randomness, so no start can be told apart: {error}"));
    start
}

/// Starts the actor with what the disk and the chain say.
async fn open(
    service: &Arc<Service>,
    on_chain: consilium_ledger::Round,
    kem: Arc<KemSecret>,
    sight: Sight,
) -> Result<(), Refusal> {
    let terms = on_chain.terms.clone();
    let (study, number) = (terms.study, terms.round);
    let me = terms.committee.index_of(service.address()).ok_or(Refusal::NotMember)?;
    let opening = Opening::of(&terms);
    let (kept, foreign) = kept(service, &terms, sight).await?;
    if !foreign.is_empty() {
        let contributions = foreign.len();
        tracing::warn!(study, round = number, contributions, "the round was opened again: what was said before is set aside");
    }
    let machine = Round::new(terms.clone(), me, now_millis(), new_start(), kept);
    let (events, internal) = mpsc::unbounded_channel();
    let (members, most) = (terms.committee.sizes().n(), 2 * service.config.limits.message_bytes);
    let round = Arc::new(OpenRound {
        me,
        kem,
        context: terms.context(),
        shape: terms.shape(),
        opened: on_chain.opened,
        opening,
        foreign,
        machine: Mutex::new(machine),
        certificate: Mutex::default(),
        late_vote: Default::default(),
        end: Mutex::default(),
        sum: RunningSum::new(terms.program.output_len()),
        shares: Mutex::default(),
        fetches: Semaphore::new(3 * terms.committee.sizes().t()),
        fetching: Mutex::default(),
        unmasking: tokio::sync::Mutex::default(),
        missing: Mutex::default(),
        pulling: Mutex::default(),
        repairing: tokio::sync::Mutex::default(),
        changed: Notify::new(),
        dismissed: AtomicBool::new(false),
        events,
        mailbox: Mailbox::new(members, most),
        terms,
    });
    let height = on_chain.opened.block.number;
    service.database.run(move |db| db.add_seat(study, number, height)).await?;
    note_committee(service, &round).await;
    resume(service, &round, &on_chain).await?;
    warn_of_unknown_peers(service, &round);
    service.rounds.insert(study, number, Entry::Open(Arc::clone(&round)));
    tracing::info!(study, round = number, node = me, "taking part in a round");
    service.spawn(Actor::new(Arc::clone(service), round, internal).run());
    Ok(())
}

/// Queues what is on the disk and on the chain, and asks the peers for the rest.
async fn resume(service: &Arc<Service>, round: &Arc<OpenRound>, on_chain: &consilium_ledger::Round) -> Result<(), StoreError> {
    let (study, number) = round.id();
    let opening = round.opening;
    for member in service.database.run(move |db| db.contributions_of(&opening)).await? {
        if service.blobs.holds(&member.digest).await? {
            round.tell(Event::Stored(member));
        } else {
            tracing::warn!(study, round = number, site = %member.site, "a contribution's blobs are gone: asking the peers for them");
        }
    }
    if let Some(certificate) = &on_chain.certificate {
        tell_certified(round, certificate);
    }
    if let Some(end) = End::of(on_chain) {
        round.ends(end);
    }
    broadcast(service, round, None, &Message::Sync { receipts: Default::default() });
    Ok(())
}

/// Tells the machine of a certificate, and remembers it for the finality check.
pub(crate) fn tell_certified(round: &OpenRound, certificate: &Certified) {
    let numbers = certificate.voters();
    let voters = numbers.into_iter().filter_map(|node| round.address_of(node)).collect();
    *locked(&round.certificate) = Some(certificate.clone());
    let (set_root, size) = (certificate.vote.setRoot, certificate.vote.size);
    let votes = certificate.votes().map(|(node, signature)| SignedVote { node, set_root, size, signature }).collect();
    round.tell(Event::Chain(ChainEvent::Certified { set_root, size, voters, votes }));
}

/// Sends a message to one node, or to all others.
pub(super) fn broadcast(service: &Service, round: &OpenRound, to: Option<usize>, message: &Message) {
    let members = round.terms.committee.members().iter().enumerate();
    let wanted = members.filter(|(i, _)| i + 1 != round.me && to.is_none_or(|to| i + 1 == to));
    let addresses: Vec<_> = wanted.map(|(_, member)| member.address).collect();
    service.peers.send(&addresses, round.terms.study, round.terms.round, message);
}

fn warn_of_unknown_peers(service: &Service, round: &OpenRound) {
    let members = round.terms.committee.members().iter();
    for member in members.filter(|member| member.address != service.address() && !service.peers.knows(&member.address)) {
        tracing::warn!(peer = %member.address, "no URL of this committee member is configured: add it to [peers]");
    }
}

/// The round that a statement is about, for the log.
pub(super) fn name_of(statement: &Statement) -> &'static str {
    match statement {
        Statement::Receipt(_) => "receipt",
        Statement::Vote(_) => "vote",
        Statement::Final(_) => "final",
        Statement::ShareRoot(_) => "share root",
        Statement::Settlement(_) => "settlement",
        Statement::Intent { .. } => "intent",
    }
}
