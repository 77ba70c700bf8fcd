//! The journal: what this node has bound itself to, on disk before it is signed.
//!
//! Every statement has a slot, and a slot holds one statement for ever: Receipt (study, round, site), Final (study,
//! subject), ShareRoot (study, round), Settlement (study, round). Votes have a slot for each set, as several are
//! harmless. Signatures are deterministic, so that the statement alone is kept.
//!
//! An Intent has the slot of the statement that it announces, apart from that statement. What is held of peers' intents
//! has slots likewise, by the peer's address.
//!
//! Beside them stand the receipt certificates with the times since when this node has held them: what it votes for must
//! not depend on whether it was started again.

use super::StoreError;
use super::database::{Database, JOURNAL, round_key};
use super::memory::{hold, packed, sets_key};
use super::opening::{Kept, Opening, tagged};
use alloy_primitives::{Address, B256};
use consilium_core::certify::{Cohort, DatedCertificate, SetMember};
use consilium_core::eip712::{Final, Intent, Receipt, Settlement, ShareRoot, Vote};
use consilium_core::round::{IntentKind, SignedIntent, Statement};
use redb::{Durability, ReadableTable as _, Table};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The slot holds another statement: signing this one would be an offence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Conflict {
    /// The slot.
    pub(crate) slot: String,
}

/// A statement as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "statement", rename_all = "snake_case")]
enum Entry {
    Receipt { study: u64, round: u64, site: Address, digest: B256 },
    Vote { study: u64, round: u64, set_root: B256, size: u32 },
    Final { study: u64, subject: B256, round: u64, set_root: B256 },
    ShareRoot { study: u64, round: u64, set_root: B256, index: u8, root: B256 },
    Settlement { study: u64, round: u64, set_root: B256, share_roots_hash: B256, aggregate_root: B256, reward_root: B256 },
    Intent { study: u64, round: u64, kind: u8, hash: B256, subject: B256, set_root: B256 },
}

impl From<&Statement> for Entry {
    fn from(statement: &Statement) -> Self {
        match statement {
            Statement::Receipt(s) => Self::Receipt { study: s.study, round: s.round, site: s.site, digest: s.digest },
            Statement::Vote(s) => Self::Vote { study: s.study, round: s.round, set_root: s.setRoot, size: s.size },
            Statement::Final(s) => Self::Final { study: s.study, subject: s.subject, round: s.round, set_root: s.setRoot },
            Statement::ShareRoot(s) => {
                Self::ShareRoot { study: s.study, round: s.round, set_root: s.setRoot, index: s.index, root: s.root }
            }
            Statement::Intent { intent, subject, set_root } => {
                let Intent { study, round, kind, hash } = *intent;
                Self::Intent { study, round, kind, hash, subject: *subject, set_root: *set_root }
            }
            Statement::Settlement(s) => Self::Settlement {
                study: s.study,
                round: s.round,
                set_root: s.setRoot,
                share_roots_hash: s.shareRootsHash,
                aggregate_root: s.aggregateRoot,
                reward_root: s.rewardRoot,
            },
        }
    }
}

impl From<Entry> for Statement {
    fn from(entry: Entry) -> Self {
        match entry {
            Entry::Receipt { study, round, site, digest } => Self::Receipt(Receipt { study, round, site, digest }),
            Entry::Vote { study, round, set_root, size } => Self::Vote(Vote { study, round, setRoot: set_root, size }),
            Entry::Final { study, subject, round, set_root } => Self::Final(Final { study, subject, round, setRoot: set_root }),
            Entry::ShareRoot { study, round, set_root, index, root } => {
                Self::ShareRoot(ShareRoot { study, round, setRoot: set_root, index, root })
            }
            Entry::Intent { study, round, kind, hash, subject, set_root } => {
                Self::Intent { intent: Intent { study, round, kind, hash }, subject, set_root }
            }
            Entry::Settlement { study, round, set_root, share_roots_hash, aggregate_root, reward_root } => {
                Self::Settlement(Settlement {
                    study,
                    round,
                    setRoot: set_root,
                    shareRootsHash: share_roots_hash,
                    aggregateRoot: aggregate_root,
                    rewardRoot: reward_root,
                })
            }
        }
    }
}

impl Entry {
    fn slot(&self) -> String {
        match self {
            Self::Receipt { study, round, site, .. } => {
                format!("round/{}receipt/{}", round_key(*study, *round), hex::encode(site))
            }
            Self::Vote { study, round, set_root, .. } => {
                format!("round/{}vote/{}", round_key(*study, *round), hex::encode(set_root))
            }
            Self::Final { study, subject, .. } => format!("final/{study:016x}/{}", hex::encode(subject)),
            Self::ShareRoot { study, round, .. } => format!("round/{}share-root", round_key(*study, *round)),
            Self::Settlement { study, round, .. } => format!("round/{}settlement", round_key(*study, *round)),
            Self::Intent { study, kind, subject, .. } if *kind == IntentKind::Final as u8 => {
                format!("intent/{study:016x}/{}", hex::encode(subject))
            }
            Self::Intent { study, round, kind, .. } => format!("round/{}intent/{kind}", round_key(*study, *round)),
        }
    }
}

/// Enters a statement, unless its slot holds another: of whichever opening, since what was signed does not name it.
fn enter(
    table: &mut Table<'_, &'static str, &'static [u8]>,
    opening: &Opening,
    statement: &Statement,
) -> Result<Result<(), Conflict>, StoreError> {
    let entry = Entry::from(statement);
    let slot = entry.slot();
    let held = table.get(slot.as_str())?.map(|value| Kept::<Entry>::parse(&slot, value.value())).transpose()?;
    Ok(match held {
        Some(held) if held.what != entry => Err(Conflict { slot }),
        Some(held) if held.is_of(opening) => Ok(()),
        _ => table.insert(slot.as_str(), tagged(&entry, opening).as_slice()).map(|_| Ok(()))?,
    })
}

/// What is written in one step, before anything of it is signed or acknowledged.
#[derive(Debug, Clone, Default)]
pub(crate) struct Entries {
    /// What this node is to sign.
    pub(crate) statements: Vec<Statement>,
    /// Certificates, which keep the time that they were first written with.
    pub(crate) certificates: Vec<DatedCertificate>,
    /// Sets that this node is to vote for.
    pub(crate) sets: Vec<Cohort>,
    /// Intents of peers with their addresses.
    pub(crate) intents: Vec<(Address, SignedIntent)>,
    /// What the round is about: the slot of a Final's intent.
    pub(crate) subject: B256,
}

impl Entries {
    pub(crate) fn is_empty(&self) -> bool {
        self.statements.is_empty() && self.certificates.is_empty() && self.sets.is_empty() && self.intents.is_empty()
    }
}

/// What came of [`Entries`].
#[derive(Debug, PartialEq)]
pub(crate) struct Entered {
    /// For each statement whether it may be signed; others never.
    pub(crate) verdicts: Vec<Result<(), Conflict>>,
    /// For each intent the one that its slot holds.
    pub(crate) intents: Vec<SignedIntent>,
}

fn certificates_key(round: &str) -> String {
    format!("certificate/{round}")
}

impl Database {
    /// Writes in one durable transaction. Statements whose slot is free or holds the very same statement may be signed once
    /// this returns; the others never. For a seat that has been dismissed by then nothing is written, and the answer is
    /// `None`.
    pub(crate) fn journal_unless(
        &self,
        opening: &Opening,
        entries: &Entries,
        dismissed: impl FnOnce() -> bool,
    ) -> Result<Option<Entered>, StoreError> {
        self.write(Durability::Immediate, |transaction| {
            if dismissed() {
                return Ok(None);
            }
            let mut table = transaction.open_table(JOURNAL)?;
            for kept in &entries.certificates {
                let SetMember { site, digest } = kept.certificate.member;
                let key = format!("{}{}/{}", certificates_key(&opening.key()), hex::encode(site), hex::encode(digest));
                if table.get(key.as_str())?.is_none() {
                    table.insert(key.as_str(), tagged(kept, opening).as_slice())?;
                }
            }
            for set in &entries.sets {
                let key = format!("{}{}", sets_key(opening), hex::encode(set.root()));
                table.insert(key.as_str(), packed(set).as_slice())?;
            }
            let statements = entries.statements.iter();
            let verdicts = statements.map(|statement| enter(&mut table, opening, statement)).collect::<Result<_, _>>()?;
            let intents = entries.intents.iter();
            let held = |(of, intent): &(Address, SignedIntent)| hold(&mut table, opening, &entries.subject, of, intent);
            Ok(Some(Entered { verdicts, intents: intents.map(held).collect::<Result<_, _>>()? }))
        })
    }

    /// The certificates that were kept for an opening.
    pub(crate) fn certificates(&self, opening: &Opening) -> Result<Vec<DatedCertificate>, StoreError> {
        let found = self.kept(JOURNAL, &certificates_key(&opening.key()))?.into_iter();
        Ok(found.filter(|kept| kept.is_of(opening)).map(|kept: Kept<DatedCertificate>| kept.what).collect())
    }

    /// The statements about one opening, and the Final about its subject and its intent if they were given for it. Those about another
    /// opening of the same number are not repeated, and keep their slots all the same.
    pub(crate) fn journalled(&self, opening: &Opening, subject: &B256) -> Result<Vec<Statement>, StoreError> {
        let mut found = self.kept::<Entry>(JOURNAL, &format!("round/{}", opening.key()))?;
        found.extend(self.kept(JOURNAL, &format!("final/{:016x}/{}", opening.study, hex::encode(subject)))?);
        found.extend(self.kept(JOURNAL, &format!("intent/{:016x}/{}", opening.study, hex::encode(subject)))?);
        let of_other = |entry: &Entry| match entry {
            Entry::Final { round, .. } | Entry::Intent { round, .. } => *round != opening.round,
            _ => false,
        };
        let here = found.into_iter().filter(|kept| kept.is_of(opening) && !of_other(&kept.what));
        Ok(here.map(|kept| kept.what.into()).collect())
    }

    /// Contributions that are known to be bound to other openings under the same number: no node can hold them in this
    /// one, whatever receipts there are for them.
    pub(crate) fn foreign(&self, opening: &Opening) -> Result<BTreeSet<SetMember>, StoreError> {
        let mut foreign = BTreeSet::from_iter(self.foreign_contributions(opening)?);
        let certificates: Vec<Kept<DatedCertificate>> = self.kept(JOURNAL, &certificates_key(&opening.key()))?;
        foreign.extend(certificates.iter().filter(|kept| !kept.is_of(opening)).map(|kept| kept.what.certificate.member));
        let statements: Vec<Kept<Entry>> = self.kept(JOURNAL, &format!("round/{}receipt/", opening.key()))?;
        foreign.extend(statements.iter().filter(|kept| !kept.is_of(opening)).filter_map(|kept| match kept.what {
            Entry::Receipt { site, digest, .. } => Some(SetMember { site, digest }),
            _ => None,
        }));
        Ok(foreign)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opening(round: u64) -> Opening {
        Opening { study: 1, round, context: B256::repeat_byte(0xcc) }
    }

    fn journal(database: &Database, statements: &[Statement]) -> Vec<Result<(), Conflict>> {
        enter_in(database, &opening(1), statements, &[])
    }

    fn enter_in(
        database: &Database,
        opening: &Opening,
        statements: &[Statement],
        certificates: &[DatedCertificate],
    ) -> Vec<Result<(), Conflict>> {
        let entries = Entries { statements: statements.to_vec(), certificates: certificates.to_vec(), ..Entries::default() };
        database.journal_unless(opening, &entries, || false).unwrap().unwrap().verdicts
    }

    fn final_of(round: u64, set: u8) -> Statement {
        Statement::Final(Final { study: 1, subject: B256::repeat_byte(7), round, setRoot: B256::repeat_byte(set) })
    }

    #[test]
    fn a_second_final_for_one_subject_is_refused_even_in_another_round_and_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.redb");
        let database = Database::open(&path, "x").unwrap();
        assert_eq!(journal(&database, &[final_of(1, 1), final_of(1, 1)]), [Ok(()), Ok(())]);
        drop(database);
        let database = Database::open(&path, "x").unwrap();
        for other in [final_of(1, 2), final_of(2, 1)] {
            assert!(journal(&database, &[other])[0].is_err());
        }
        assert_eq!(database.journalled(&opening(1), &B256::repeat_byte(7)).unwrap(), [final_of(1, 1)]);
        assert!(database.journalled(&opening(2), &B256::repeat_byte(7)).unwrap().is_empty());
    }

    #[test]
    fn a_certificate_keeps_the_time_that_it_was_first_written_with() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.redb");
        let member = SetMember { site: Address::repeat_byte(3), digest: B256::repeat_byte(4) };
        let certificate = consilium_core::certify::ReceiptCertificate { member, receipts: [].into() };
        let since = |since| DatedCertificate { certificate: certificate.clone(), since };
        let database = Database::open(&path, "x").unwrap();
        for time in [5, 9] {
            enter_in(&database, &opening(2), &[], &[since(time)]);
        }
        drop(database);
        let database = Database::open(&path, "x").unwrap();
        assert_eq!(database.certificates(&opening(2)).unwrap(), [since(5)]);
        assert!(database.certificates(&opening(3)).unwrap().is_empty());
        assert!(database.journalled(&opening(2), &B256::ZERO).unwrap().is_empty());
    }

    #[test]
    fn what_was_said_about_an_opening_that_vanished_binds_and_is_not_said_about_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("node.redb"), "x").unwrap();
        let (first, again) = (opening(2), Opening { context: B256::repeat_byte(0xdd), ..opening(2) });
        let member = |byte| SetMember { site: Address::repeat_byte(byte), digest: B256::repeat_byte(byte) };
        let signature = consilium_core::eip712::SecretKey::from_bytes(&[1; 32]).unwrap().sign(&B256::ZERO);
        let receipts = [(2, signature)].into();
        let certificate = consilium_core::certify::ReceiptCertificate { member: member(3), receipts };
        let kept = DatedCertificate { certificate, since: 5 };
        let receipt = |digest| {
            Statement::Receipt(Receipt { study: 1, round: 2, site: Address::repeat_byte(4), digest: B256::repeat_byte(digest) })
        };
        database.add_seat(1, 2, 7).unwrap();
        database.add_contribution(&first, &member(5)).unwrap();
        enter_in(&database, &first, &[receipt(4)], std::slice::from_ref(&kept));

        let nothing = BTreeSet::new();
        assert_eq!((database.certificates(&first).unwrap(), database.foreign(&first).unwrap()), (vec![kept], nothing));
        assert_eq!(database.journalled(&first, &B256::ZERO).unwrap(), [receipt(4)]);
        assert_eq!(database.contributions_of(&first).unwrap(), [member(5)]);

        assert!(database.certificates(&again).unwrap().is_empty() && database.contributions_of(&again).unwrap().is_empty());
        assert!(database.journalled(&again, &B256::ZERO).unwrap().is_empty());
        assert_eq!(database.foreign(&again).unwrap(), [member(3), member(4), member(5)].into());
        // Nobody can tell the two openings apart by a receipt: there is no second one.
        let second = enter_in(&database, &again, &[receipt(9)], &[]);
        assert!(second[0].is_err());
        // What is deleted with the round is of all openings.
        assert_eq!(database.contributions(1, 2).unwrap(), [member(5)]);
    }

    #[test]
    fn a_dismissed_seat_writes_nothing_that_could_be_signed() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("node.redb"), "x").unwrap();
        let entries = Entries { statements: vec![final_of(1, 1)], ..Entries::default() };
        assert_eq!(database.journal_unless(&opening(1), &entries, || true).unwrap(), None);
        assert!(database.journalled(&opening(1), &B256::repeat_byte(7)).unwrap().is_empty());
    }

    #[test]
    fn every_slot_holds_one_statement_and_votes_are_free() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("node.redb"), "x").unwrap();
        let (a, b) = (B256::repeat_byte(1), B256::repeat_byte(2));
        let site = Address::repeat_byte(3);
        let receipt = |digest| Statement::Receipt(Receipt { study: 1, round: 1, site, digest });
        let share = |root| Statement::ShareRoot(ShareRoot { study: 1, round: 1, setRoot: a, index: 2, root });
        let vote = |set| Statement::Vote(Vote { study: 1, round: 1, setRoot: set, size: 3 });
        let settlement = |root| {
            Statement::Settlement(Settlement {
                study: 1,
                round: 1,
                setRoot: a,
                shareRootsHash: a,
                aggregateRoot: root,
                rewardRoot: a,
            })
        };
        let first = [receipt(a), share(a), settlement(a), vote(a), vote(b)];
        assert!(journal(&database, &first).iter().all(Result::is_ok));
        let second = journal(&database, &[receipt(b), share(b), settlement(b)]);
        assert!(second.iter().all(Result::is_err), "{second:?}");
        let mut back = database.journalled(&opening(1), &a).unwrap();
        assert_eq!(back.len(), 5);
        back.retain(|statement| !first.contains(statement));
        assert!(back.is_empty(), "{back:?}");
    }
}
