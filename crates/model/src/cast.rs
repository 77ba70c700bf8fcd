//! Who and what a model is about: fixed keys, rounds, sites and sets, with every signature made once.

use crate::bounds::{Bounds, Places};
use alloy_primitives::{Address, B256};
use alloy_sol_types::SolStruct;
use consilium_core::certify::{Cohort, SetMember, sites_root};
use consilium_core::eip712::{Domain, SecretKey, Settlement, Signed};
use consilium_core::error::InvalidParameters;
use consilium_core::params::{Committee, CommitteeMembers, Finality, Member, Policy};
use consilium_core::program::{AnyProgram, WeightedMean};
use consilium_core::round::{
    Genuine, Known, Message, SignedFinal, SignedReceipt, SignedSettlement, SignedShareRoot, SignedVote, Statement,
};
use consilium_core::terms::Terms;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Sites of every round: 0 and 1 are honest, 2 is with the adversary.
pub(crate) const SITES: u32 = 3;
/// The sites that keep the rules.
pub(crate) const HONEST_SITES: [u32; 2] = [0, 1];
/// The site of which nodes may learn late.
pub(crate) const LATE_SITE: u32 = 1;
/// The sets that can be proposed, by number: without the late site, with it, and without site 0.
pub(crate) const SETS: [&[u32]; 3] = [&[0, 2], &[0, 1, 2], &[1, 2]];
/// The set that leaves nobody out.
pub(crate) const WHOLE: u8 = 1;
/// Unix seconds at which every round opens.
pub(crate) const OPENED: u64 = 1_000;
/// The opening time that endpoints invent: by it, the cutoff is at 1,000 s.
pub(crate) const FORGED_OPENING: u64 = 900;
/// Unix seconds of every round's deadline.
pub(crate) const DEADLINE: u64 = 1_100;

/// One round: its terms and what belongs to them.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) terms: Terms,
    /// The same round as endpoints show it with a false opening time.
    pub(crate) forged: Terms,
    /// Whose journal its nodes keep: rounds with different members have different journals.
    pub(crate) house: usize,
    pub(crate) sets: Vec<Cohort>,
}

/// Everything that stays the same while a model is explored.
pub(crate) struct Cast {
    pub(crate) sizes: Committee,
    pub(crate) places: Vec<Place>,
    signatures: Mutex<HashMap<(usize, usize, String), Signed>>,
    genuine: Mutex<HashMap<(usize, String), Option<Genuine>>>,
}

/// Locks, ignoring poisoning: the tables only ever gain whole entries.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn site(number: u32) -> Address {
    let mut address = [0; 20];
    address[..4].copy_from_slice(&number.to_be_bytes());
    address.into()
}

fn key(house: usize, node: usize) -> SecretKey {
    SecretKey::from_bytes(&[(16 * house + node) as u8; 32]).unwrap_or_else(|_| unreachable!("small numbers are valid keys"))
}

fn terms(sizes: &Committee, study: u64, epoch: u64, round: u64, house: usize) -> Terms {
    let members = (1..=sizes.n()).map(|node| Member { address: key(house, node).address(), kem_key: vec![node as u8] });
    let members = CommitteeMembers::new(sizes.clone(), epoch, members.collect());
    let sites: Vec<Address> = (0..SITES).map(site).collect();
    let policy = Policy {
        minimum_cohort: 2,
        sites_root: sites_root(&sites).unwrap_or_else(|_| unreachable!("sites are numbered upwards")),
        finality: Finality::Instant,
        opened: OPENED,
        deadline: DEADLINE,
        settle_by: 2 * DEADLINE,
    };
    let program = WeightedMean::new(10, 25, 8, 128, 1.0).unwrap_or_else(|_| unreachable!("these are within the rules"));
    Terms {
        domain: Domain { chain_id: 31_337, contract: Address::repeat_byte(0xcc) },
        study,
        round,
        subject: B256::repeat_byte(7),
        committee: members.unwrap_or_else(|_| unreachable!("every node has a key of its own")),
        program: AnyProgram::WeightedMean(program),
        policy,
        sites,
    }
}

fn place(sizes: &Committee, study: u64, epoch: u64, round: u64, house: usize) -> Place {
    let terms = terms(sizes, study, epoch, round, house);
    let mut forged = terms.clone();
    forged.policy.opened = FORGED_OPENING;
    let number = (study * 64 + epoch * 32 + round) as u8;
    let cohort = |sites: &&[u32]| {
        let members = sites.iter().map(|site| member(number, *site));
        Cohort::new(members.collect()).unwrap_or_else(|_| unreachable!("sets are written in order"))
    };
    let sets = SETS.iter().map(cohort).collect();
    Place { terms, forged, house, sets }
}

/// A contribution of its own for every round.
fn member(round: u8, number: u32) -> SetMember {
    let mut digest = B256::repeat_byte(round);
    digest[0] = number as u8;
    SetMember { site: site(number), digest }
}

impl Cast {
    pub(crate) fn new(bounds: &Bounds) -> Result<Self, InvalidParameters> {
        let sizes = Committee::new(bounds.n, bounds.t)?;
        let n = bounds.n as u64;
        // The leader of the first view is node 1 + round mod n.
        let round = (bounds.leader as u64 - 1) + n;
        let first = place(&sizes, 1, 1, round, 0);
        let second = match bounds.places {
            Places::One => None,
            Places::Retry => Some(place(&sizes, 1, 1, round + n, 0)),
            Places::Studies => Some(place(&sizes, 2, 1, round, 0)),
            Places::Epochs => Some(place(&sizes, 1, 2, round + n, 1)),
        };
        let places = [Some(first), second].into_iter().flatten().collect();
        Ok(Self { sizes, places, signatures: Mutex::default(), genuine: Mutex::default() })
    }

    pub(crate) fn member(&self, place: usize, site: u32) -> SetMember {
        let whole = &self.places[place].sets[usize::from(WHOLE)];
        whole.members()[site as usize]
    }

    /// The number of a set.
    pub(crate) fn set_of(&self, place: usize, root: B256) -> Option<u8> {
        self.places[place].sets.iter().position(|set| set.root() == root).map(|set| set as u8)
    }

    pub(crate) fn root(&self, place: usize, set: u8) -> B256 {
        self.places[place].sets[usize::from(set)].root()
    }

    /// Signs what node `node` says in a round.
    pub(crate) fn sign(&self, place: usize, node: usize, statement: &Statement) -> Signed {
        let Place { terms, house, .. } = &self.places[place];
        let known = (*house, node, format!("{statement:?}"));
        *locked(&self.signatures).entry(known).or_insert_with(|| statement.sign(&terms.domain, &key(*house, node)))
    }

    /// A message with its signatures checked, as a node's shell hands it to the machine.
    pub(crate) fn genuine(&self, place: usize, message: Message) -> Option<Genuine> {
        let known = (place, format!("{message:?}"));
        let check = || message.checked(&self.places[place].terms, &Known::default());
        locked(&self.genuine).entry(known).or_insert_with(check).clone()
    }

    pub(crate) fn vote(&self, place: usize, node: usize, set: u8) -> SignedVote {
        let cohort = &self.places[place].sets[usize::from(set)];
        let mut vote = SignedVote { node, set_root: cohort.root(), size: cohort.size(), signature: self.any() };
        vote.signature = self.sign(place, node, &Statement::Vote(vote.statement(&self.places[place].terms)));
        vote
    }

    pub(crate) fn a_final(&self, place: usize, node: usize, set: u8) -> Message {
        let mut said = SignedFinal { node, set_root: self.root(place, set), signature: self.any() };
        said.signature = self.sign(place, node, &Statement::Final(said.statement(&self.places[place].terms)));
        Message::Final(said)
    }

    pub(crate) fn share_root(&self, place: usize, node: usize, set: u8, root: B256) -> Message {
        let mut said = SignedShareRoot { node, set_root: self.root(place, set), root, signature: self.any() };
        said.signature = self.sign(place, node, &Statement::ShareRoot(said.statement(&self.places[place].terms)));
        Message::ShareRoot(said)
    }

    pub(crate) fn receipt(&self, place: usize, node: usize, site: u32) -> SignedReceipt {
        let mut receipt = SignedReceipt { node, member: self.member(place, site), signature: self.any() };
        receipt.signature = self.sign(place, node, &Statement::Receipt(receipt.statement(&self.places[place].terms)));
        receipt
    }

    pub(crate) fn settlement(&self, node: usize, said: &Settlement, signature: Signed) -> Message {
        Message::Settlement(SignedSettlement {
            node,
            set_root: said.setRoot,
            share_roots_hash: said.shareRootsHash,
            aggregate_root: said.aggregateRoot,
            reward_root: said.rewardRoot,
            signature,
        })
    }

    pub(crate) fn digest<S: SolStruct>(&self, place: usize, statement: &S) -> B256 {
        self.places[place].terms.domain.digest(statement)
    }

    /// Fills a statement's field until the right one is known.
    fn any(&self) -> Signed {
        key(0, 1).sign(&B256::ZERO)
    }
}

/// The root of node `node`'s output share over a set: the sum over a set is always the same.
pub(crate) fn root_of(node: usize, set_root: B256) -> B256 {
    let mut root = set_root;
    root[0] = 0xa0 + node as u8;
    root
}

/// The nodes in a mask, node 1 in bit 0.
pub(crate) fn nodes_in(mask: u8) -> impl Iterator<Item = usize> {
    (1..=8).filter(move |node| mask & bit(*node) != 0)
}

/// A node's bit in a mask.
pub(crate) fn bit(node: usize) -> u8 {
    1 << (node - 1)
}
