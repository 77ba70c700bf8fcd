//! The rounds in which this node has a seat. Each is one task (`actor`) around core's state machine
//! [`consilium_core::round::Round`]; this module holds what HTTP handlers and the chain watcher see of it.

pub(crate) mod actor;
mod again;
pub(crate) mod late;
mod mailbox;
mod pull;
mod release;
mod repair;
pub(crate) mod seat;
mod transact;
mod verify;
mod view;

pub(crate) use pull::patience;
pub(crate) use view::stage_name;

use crate::service::locked;
use crate::store::Opening;
use crate::watch::End;
use alloy_primitives::Address;
use consilium_core::certify::SetMember;
use consilium_core::contribution::Shape;
use consilium_core::field::Fp;
use consilium_core::release::RunningSum;
use consilium_core::round::{Event, Genuine, Message, Round, SignedReceipt, Stage};
use consilium_core::seal::KemSecret;
use consilium_core::terms::Terms;
use consilium_core::transcript::Context;
use consilium_ledger::{Certified, LogPosition};
use mailbox::Mailbox;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::time::timeout;

/// What HTTP handlers see of a round that is open here.
pub(crate) struct OpenRound {
    pub(crate) terms: Terms,
    /// This node's number, 1..=n.
    pub(crate) me: usize,
    /// The secret of the KEM key that the round's committee has for this node. Boxes and repair answers are sealed to it.
    kem: Arc<KemSecret>,
    pub(crate) context: Context,
    pub(crate) shape: Shape,
    /// Where the round was opened.
    pub(crate) opened: LogPosition,
    /// As what is kept of it names this opening.
    pub(crate) opening: Opening,
    /// Contributions bound to an earlier opening under the same number: receipts for them count for nothing here.
    foreign: BTreeSet<SetMember>,
    /// The machine. Only the actor applies events; others read. Never held across an await.
    pub(crate) machine: Mutex<Round>,
    /// The certificate that the chain shows.
    pub(crate) certificate: Mutex<Option<Certified>>,
    /// What has become of this node's own vote, if the certificate left it out.
    pub(crate) late_vote: late::LateVote,
    /// The end that a block shows, final or not.
    pub(crate) end: Mutex<Option<End>>,
    /// The running sum and everything like it: in memory only.
    sum: RunningSum,
    /// Output shares of peers, and this node's own, until there is an aggregate.
    shares: Mutex<BTreeMap<usize, Arc<Vec<Fp>>>>,
    /// Leave to fetch a share of a peer and to keep it.
    fetches: Semaphore,
    /// Nodes whose share is on its way.
    fetching: Mutex<BTreeSet<usize>>,
    /// Held while an aggregate is looked for among the shares: more of them may arrive meanwhile.
    unmasking: tokio::sync::Mutex<()>,
    /// Contributions whose box was bad here.
    missing: Mutex<BTreeSet<SetMember>>,
    pulling: Mutex<BTreeSet<SetMember>>,
    /// Contributions that are verified again with seeds of peers. Held while an answer is kept.
    repairing: tokio::sync::Mutex<BTreeSet<SetMember>>,
    /// Rings after every step of the machine.
    changed: Notify,
    /// Set when the round's opening is no longer on the chain: this seat writes and signs nothing more.
    dismissed: AtomicBool,
    events: mpsc::UnboundedSender<Event>,
    /// What the other members say.
    pub(crate) mailbox: Mailbox,
}

/// How a contribution fared here.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// This node's receipt, and those of others that it knows.
    Receipts(Vec<SignedReceipt>),
    Rejected(consilium_core::error::Rejection),
    /// The box for this node was bad; it asks its peers.
    BadBox,
    /// Not verified in time.
    Pending,
    Closed,
}

impl OpenRound {
    pub(crate) fn id(&self) -> (u64, u64) {
        (self.terms.study, self.terms.round)
    }

    pub(crate) fn stage(&self) -> Stage {
        locked(&self.machine).stage()
    }

    /// Whether an end of the round is on the chain that is not final yet.
    pub(crate) fn is_paused(&self) -> bool {
        locked(&self.machine).is_paused()
    }

    pub(crate) fn is_over(&self) -> bool {
        locked(&self.machine).is_over()
    }

    /// The address of a committee member, 1..=n.
    pub(crate) fn address_of(&self, node: usize) -> Option<Address> {
        self.terms.committee.member(node).map(|member| member.address)
    }

    /// Whether this contribution is stored and waits for seeds of peers.
    pub(crate) fn is_missing_seeds(&self, member: &SetMember) -> bool {
        locked(&self.missing).contains(member)
    }

    /// How many stored contributions of a site wait for seeds of peers.
    pub(crate) fn missing_of(&self, site: &Address) -> usize {
        locked(&self.missing).iter().filter(|member| member.site == *site).count()
    }

    /// Ends this seat without a trace: its opening or its end turned out not to be on the chain, and the round may be
    /// opened again under the same number.
    pub(crate) fn dismiss(&self) {
        self.dismissed.store(true, Ordering::SeqCst);
        self.tell(Event::Tick);
    }

    pub(crate) fn is_dismissed(&self) -> bool {
        self.dismissed.load(Ordering::SeqCst)
    }

    /// Gives the machine an event.
    pub(crate) fn tell(&self, event: Event) {
        // The actor is gone only when the round is over.
        let _gone = self.events.send(event);
    }

    /// Checks a message's signatures. The machine is asked which of them it knows, and not held up by the others.
    pub(crate) fn checked(&self, mut message: Message) -> Option<Genuine> {
        if let Message::Receipts(receipts) = &mut message {
            receipts.retain(|receipt| !self.foreign.contains(&receipt.member));
        }
        let known = locked(&self.machine).known(&message);
        message.checked(&self.terms, &known)
    }

    fn outcome(&self, member: &SetMember) -> Outcome {
        let machine = locked(&self.machine);
        if let Some(step) = machine.rejected().get(member) {
            return Outcome::Rejected(*step);
        }
        let receipts = machine.receipts_of(&member.site);
        let mine = |receipt: &&SignedReceipt| receipt.node == self.me && receipt.member == *member;
        if receipts.iter().find(mine).is_some() {
            return Outcome::Receipts(receipts);
        }
        if self.is_dismissed() || matches!(machine.stage(), Stage::Settled | Stage::Closed) {
            return Outcome::Closed;
        }
        if locked(&self.missing).contains(member) { Outcome::BadBox } else { Outcome::Pending }
    }

    /// Drops what only an open round needs.
    fn wipe(&self) {
        self.sum.wipe();
        self.forget_shares();
        self.changed.notify_waiters();
    }

    /// Keeps a peer's output share, unless there is an aggregate already; whether it is one more.
    fn keep_share(&self, node: usize, share: Vec<Fp>) -> bool {
        let mut shares = locked(&self.shares);
        !self.fetches.is_closed() && shares.insert(node, Arc::new(share)).is_none()
    }

    /// Keeps no output share in memory any more, and fetches none.
    fn forget_shares(&self) {
        self.fetches.close();
        locked(&self.shares).clear();
    }

    /// Waits until a stored contribution has been judged.
    pub(crate) async fn judged(&self, member: &SetMember, patience: Duration) -> Outcome {
        let judged = async {
            loop {
                let mut ring = std::pin::pin!(self.changed.notified());
                ring.as_mut().enable();
                match self.outcome(member) {
                    Outcome::Pending => ring.await,
                    outcome => return outcome,
                }
            }
        };
        timeout(patience, judged).await.unwrap_or(Outcome::Pending)
    }
}

/// A round as far as this node is concerned.
#[derive(Clone)]
pub(crate) enum Entry {
    /// The node takes part.
    Open(Arc<OpenRound>),
    /// It does not, and says why.
    Refused(Arc<Absence>),
}

/// Why this node takes no part in a round, and what that rests on.
pub(crate) struct Absence {
    pub(crate) reason: String,
    /// The height of the round's opening.
    pub(crate) opened: u64,
    /// Whether later blocks than the opening's are part of the reason, so that a reorganisation may change it.
    pub(crate) may_change: bool,
    /// Whether the operator can do something about it while the round goes on.
    pub(crate) has_remedy: bool,
}

/// All rounds that are open or refused here.
#[derive(Default)]
pub(crate) struct Rounds {
    entries: Mutex<BTreeMap<(u64, u64), Entry>>,
    added: Notify,
}

impl Rounds {
    pub(crate) fn get(&self, study: u64, round: u64) -> Option<Entry> {
        locked(&self.entries).get(&(study, round)).cloned()
    }

    /// Waits a moment for a round that the chain may show any time now.
    pub(crate) async fn wait_for(&self, study: u64, round: u64, patience: Duration) -> Option<Entry> {
        let found = async {
            loop {
                let mut ring = std::pin::pin!(self.added.notified());
                ring.as_mut().enable();
                if let Some(entry) = self.get(study, round) {
                    return entry;
                }
                ring.await;
            }
        };
        timeout(patience, found).await.ok()
    }

    pub(crate) fn insert(&self, study: u64, round: u64, entry: Entry) {
        locked(&self.entries).insert((study, round), entry);
        self.added.notify_waiters();
    }

    /// Removes a round, if it is still this one.
    pub(crate) fn remove(&self, round: &Arc<OpenRound>) {
        let mut entries = locked(&self.entries);
        if let Some(Entry::Open(found)) = entries.get(&round.id())
            && Arc::ptr_eq(found, round)
        {
            entries.remove(&round.id());
        }
    }

    pub(crate) fn forget(&self, study: u64, round: u64) {
        locked(&self.entries).remove(&(study, round));
    }

    /// The rounds in which this node takes no part.
    pub(crate) fn refused(&self) -> Vec<((u64, u64), Arc<Absence>)> {
        let entries = locked(&self.entries);
        let refused = |entry: &Entry| if let Entry::Refused(absence) = entry { Some(Arc::clone(absence)) } else { None };
        entries.iter().filter_map(|(id, entry)| Some((*id, refused(entry)?))).collect()
    }

    pub(crate) fn open(&self) -> Vec<Arc<OpenRound>> {
        let entries = locked(&self.entries);
        entries.values().filter_map(|entry| if let Entry::Open(round) = entry { Some(Arc::clone(round)) } else { None }).collect()
    }
}
