//! What a node remembers for others, and of its first sight of a round.
//!
//! A peer's first intent for a slot is kept for ever: the peer itself may lose it. Slots are named by the peer's address, since
//! committees may number a node differently.

use super::StoreError;
use super::database::{Database, JOURNAL, json, parse};
use super::opening::{Opening, tagged};
use alloy_primitives::{Address, B256};
use consilium_core::certify::{Cohort, SetMember};
use consilium_core::round::{IntentKind, SignedIntent};
use redb::{Durability, ReadableTable as _, Table};
use serde::{Deserialize, Serialize};

/// How a node first saw a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sight {
    /// When, in Unix milliseconds.
    pub(crate) at: u64,
    /// Whether the node was following the chain then, so that it could judge the round's age.
    pub(crate) in_time: bool,
}

fn held_key(opening: &Opening, subject: &B256, of: &Address, kind: IntentKind) -> String {
    match kind {
        IntentKind::Final => format!("{}{}", held_finals_key(opening.study, subject), hex::encode(of)),
        kind => format!("{}{}/{}", held_round_key(opening), hex::encode(of), kind as u8),
    }
}

fn held_finals_key(study: u64, subject: &B256) -> String {
    format!("held-final/{study:016x}/{}/", hex::encode(subject))
}

fn held_round_key(opening: &Opening) -> String {
    format!("held/{}", opening.key())
}

/// Keeps a peer's intent unless its slot holds one, of whichever opening; the one that the slot holds.
pub(super) fn hold(
    table: &mut Table<'_, &'static str, &'static [u8]>,
    opening: &Opening,
    subject: &B256,
    of: &Address,
    intent: &SignedIntent,
) -> Result<SignedIntent, StoreError> {
    let key = held_key(opening, subject, of, intent.kind);
    if let Some(value) = table.get(key.as_str())? {
        let first: SignedIntent = parse(&key, value.value())?;
        return Ok(SignedIntent { node: intent.node, ..first });
    }
    table.insert(key.as_str(), json(intent).as_slice())?;
    Ok(intent.clone())
}

pub(super) fn sets_key(opening: &Opening) -> String {
    sets_prefix(&opening.key())
}

pub(super) fn sets_prefix(round: &str) -> String {
    format!("set/{round}")
}

/// A set as it is kept: address and digest of each member, 52 bytes.
pub(super) fn packed(set: &Cohort) -> Vec<u8> {
    set.members().iter().flat_map(|member| member.site.iter().chain(member.digest.iter()).copied()).collect()
}

fn unpacked(bytes: &[u8]) -> Option<Cohort> {
    let (members, rest) = bytes.as_chunks::<52>();
    let member = |bytes: &[u8; 52]| {
        let (site, digest) = bytes.split_at(Address::len_bytes());
        SetMember { site: Address::from_slice(site), digest: B256::from_slice(digest) }
    };
    Cohort::new(members.iter().map(member).collect()).ok().filter(|_| rest.is_empty())
}

impl Database {
    /// The sets of a round that this node voted for, or was about to, in whichever opening: their roots tell them apart.
    pub(crate) fn sets(&self, opening: &Opening) -> Result<Vec<Cohort>, StoreError> {
        let found = self.under(JOURNAL, &sets_key(opening))?;
        found.into_iter().map(|(root, bytes)| unpacked(&bytes).ok_or(StoreError::Damaged(root))).collect()
    }

    /// The first intents of peers for the slots of a round about a subject, with the peers' addresses.
    pub(crate) fn intents(&self, opening: &Opening, subject: &B256) -> Result<Vec<(Address, SignedIntent)>, StoreError> {
        let mut found = self.under(JOURNAL, &held_round_key(opening))?;
        found.extend(self.under(JOURNAL, &held_finals_key(opening.study, subject))?);
        let read = |(key, value): (String, Vec<u8>)| {
            let address = key.split('/').next().and_then(|address| address.parse().ok());
            Ok((address.ok_or_else(|| StoreError::Damaged(key.clone()))?, parse(&key, &value)?))
        };
        found.into_iter().map(read).collect()
    }

    /// How this node first saw an opening: as it says now, if it has not seen it before. A sight that is lost in a crash is
    /// taken anew by a latecomer.
    pub(crate) fn sight(&self, opening: &Opening, now: Sight) -> Result<Sight, StoreError> {
        let key = format!("sight/{}", opening.key());
        let first = self.kept::<Sight>(JOURNAL, &key)?.into_iter().find(|kept| kept.is_of(opening));
        match first {
            Some(first) => Ok(first.what),
            None => self.put(JOURNAL, &key, &tagged(&now, opening), Durability::None).map(|()| now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::journal::Entries;
    use consilium_core::eip712::{Domain, SecretKey, Vote};

    fn opening(round: u64) -> Opening {
        Opening { study: 1, round, context: B256::repeat_byte(round as u8) }
    }

    const PEER: Address = Address::repeat_byte(0xaa);
    const SUBJECT: B256 = B256::repeat_byte(7);

    fn intent(round: u64, kind: IntentKind, hash: u8) -> SignedIntent {
        let key = SecretKey::from_bytes(&[3; 32]).unwrap();
        let vote = Vote { study: 1, round, setRoot: B256::repeat_byte(hash), size: kind as u32 };
        let signature = Domain { chain_id: 1, contract: PEER }.sign(&key, &vote);
        SignedIntent { node: 2, round, kind, set_root: B256::ZERO, hash: B256::repeat_byte(hash), signature }
    }

    fn hold_in(database: &Database, round: u64, subject: B256, intent: &SignedIntent) -> SignedIntent {
        let entries = Entries { intents: vec![(PEER, intent.clone())], subject, ..Entries::default() };
        database.journal_unless(&opening(round), &entries, || false).unwrap().unwrap().intents.remove(0)
    }

    #[test]
    fn the_first_intent_of_a_slot_stays_over_restarts_and_a_final_has_the_slot_of_its_subject() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.redb");
        let database = Database::open(&path, "x").unwrap();
        let (first, other) = (intent(1, IntentKind::Final, 1), intent(2, IntentKind::Final, 2));
        assert_eq!(hold_in(&database, 1, SUBJECT, &first), first);
        let root = intent(1, IntentKind::ShareRoot, 3);
        assert_eq!(hold_in(&database, 1, SUBJECT, &root), root);
        drop(database);
        let database = Database::open(&path, "x").unwrap();
        // Another round about the same subject, in whose committee the peer has another number.
        assert_eq!(
            hold_in(&database, 2, SUBJECT, &SignedIntent { node: 4, ..other.clone() }),
            SignedIntent { node: 4, ..first.clone() }
        );
        assert_eq!(hold_in(&database, 2, B256::ZERO, &other), other, "another subject");
        let next = intent(2, IntentKind::ShareRoot, 4);
        assert_eq!(hold_in(&database, 2, SUBJECT, &next), next, "another round");
        assert_eq!(hold_in(&database, 1, SUBJECT, &intent(1, IntentKind::ShareRoot, 5)), root);
        assert_eq!(database.intents(&opening(1), &SUBJECT).unwrap(), [(PEER, root), (PEER, first.clone())]);
        assert_eq!(database.intents(&opening(2), &SUBJECT).unwrap(), [(PEER, next), (PEER, first)]);
    }

    #[test]
    fn a_set_reads_back_over_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.redb");
        let member = |byte| SetMember { site: Address::repeat_byte(byte), digest: B256::repeat_byte(byte + 100) };
        let sets: Vec<Cohort> = [vec![member(1)], vec![member(1), member(2)]].map(|set| Cohort::new(set).unwrap()).into();
        let entries = Entries { sets: sets.clone(), ..Entries::default() };
        let database = Database::open(&path, "x").unwrap();
        database.journal_unless(&opening(1), &entries, || false).unwrap().unwrap();
        drop(database);
        let mut found = Database::open(&path, "x").unwrap().sets(&opening(1)).unwrap();
        found.sort_by_key(Cohort::size);
        assert_eq!(found, sets);
        // They go with the round's contributions, and no other round's do.
        let database = Database::open(&path, "x").unwrap();
        let other = opening(2);
        for round in [1, 2] {
            database.add_seat(1, round, 7).unwrap();
            database.journal_unless(&opening(round), &entries, || false).unwrap().unwrap();
        }
        database.unseat(1, 1, 9).unwrap();
        database.forget(1, 1).unwrap();
        assert!(database.sets(&opening(1)).unwrap().is_empty());
        assert_eq!(database.sets(&other).unwrap().len(), 2);
        let (mut short, mut unsorted) = (packed(&sets[1]), packed(&sets[1]));
        short.pop();
        unsorted.rotate_left(52);
        assert!(unpacked(&short).is_none() && unpacked(&unsorted).is_none());
    }

    #[test]
    fn the_first_sight_of_an_opening_counts() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("node.redb"), "x").unwrap();
        let (first, later) = (Sight { at: 5, in_time: true }, Sight { at: 9, in_time: false });
        assert_eq!(database.sight(&opening(1), first).unwrap(), first);
        assert_eq!(database.sight(&opening(1), later).unwrap(), first);
        assert_eq!(database.sight(&opening(2), later).unwrap(), later);
        let again = Opening { context: B256::repeat_byte(0xdd), ..opening(1) };
        assert_eq!(database.sight(&again, later).unwrap(), later, "opened again on other terms");
    }
}
