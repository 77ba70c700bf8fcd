//! The journal: what this node has bound itself to, on disk before it is signed.
//!
//! Every statement has a slot, and a slot holds one statement for ever: Receipt (study, round, site), Final (study,
//! subject), ShareRoot (study, round), Settlement (study, round). Votes have a slot for each set, as several are
//! harmless. Signatures are deterministic, so that the statement alone is kept.
//!
//! Beside them stand the receipt certificates with the times since when this node has held them: what it votes for must
//! not depend on whether it was started again.

use super::StoreError;
use super::database::{Database, JOURNAL, json, parse, round_key};
use alloy_primitives::{Address, B256};
use consilium_core::certify::{DatedCertificate, SetMember};
use consilium_core::eip712::{Final, Receipt, Settlement, ShareRoot, Vote};
use consilium_core::round::Statement;
use redb::{Durability, ReadableTable as _, Table};
use serde::{Deserialize, Serialize};

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
        }
    }
}

/// Enters a statement, unless its slot holds another.
fn enter(table: &mut Table<'_, &'static str, &'static [u8]>, statement: &Statement) -> Result<Result<(), Conflict>, StoreError> {
    let entry = Entry::from(statement);
    let slot = entry.slot();
    let held = table.get(slot.as_str())?.map(|value| parse::<Entry>(&slot, value.value())).transpose()?;
    Ok(match held {
        Some(held) if held != entry => Err(Conflict { slot }),
        Some(_) => Ok(()),
        None => table.insert(slot.as_str(), json(&entry).as_slice()).map(|_| Ok(()))?,
    })
}

fn certificates_key(study: u64, round: u64) -> String {
    format!("certificate/{}", round_key(study, round))
}

impl Database {
    #[cfg(test)]
    fn journal(&self, statements: &[Statement]) -> Result<Vec<Result<(), Conflict>>, StoreError> {
        self.journal_with(statements, (0, 0), &[])
    }

    /// Writes statements in one durable transaction. Those whose slot is free or holds the very same statement may be
    /// signed once this returns; the others never. With them certificates of a round, which keep the time that they were
    /// first written with.
    pub(crate) fn journal_with(
        &self,
        statements: &[Statement],
        round: (u64, u64),
        certificates: &[DatedCertificate],
    ) -> Result<Vec<Result<(), Conflict>>, StoreError> {
        self.write(Durability::Immediate, |transaction| {
            let mut table = transaction.open_table(JOURNAL)?;
            for kept in certificates {
                let SetMember { site, digest } = kept.certificate.member;
                let key = format!("{}{}/{}", certificates_key(round.0, round.1), hex::encode(site), hex::encode(digest));
                if table.get(key.as_str())?.is_none() {
                    table.insert(key.as_str(), json(kept).as_slice())?;
                }
            }
            statements.iter().map(|statement| enter(&mut table, statement)).collect()
        })
    }

    /// The certificates that were kept for a round.
    pub(crate) fn certificates(&self, study: u64, round: u64) -> Result<Vec<DatedCertificate>, StoreError> {
        let found = self.under(JOURNAL, &certificates_key(study, round))?;
        found.into_iter().map(|(key, value)| parse(&key, &value)).collect()
    }

    /// The statements about one round, and the Final about its subject if it was given for this round.
    pub(crate) fn journalled(&self, study: u64, round: u64, subject: &B256) -> Result<Vec<Statement>, StoreError> {
        let of_round = self.under(JOURNAL, &format!("round/{}", round_key(study, round)))?;
        let finals = self.under(JOURNAL, &format!("final/{study:016x}/{}", hex::encode(subject)))?;
        let mut statements = Vec::new();
        for (key, value) in of_round.into_iter().chain(finals) {
            let entry: Entry = parse(&key, &value)?;
            if !matches!(&entry, Entry::Final { round: of, .. } if *of != round) {
                statements.push(entry.into());
            }
        }
        Ok(statements)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn final_of(round: u64, set: u8) -> Statement {
        Statement::Final(Final { study: 1, subject: B256::repeat_byte(7), round, setRoot: B256::repeat_byte(set) })
    }

    #[test]
    fn a_second_final_for_one_subject_is_refused_even_in_another_round_and_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.redb");
        let database = Database::open(&path, "x").unwrap();
        assert_eq!(database.journal(&[final_of(1, 1), final_of(1, 1)]).unwrap(), [Ok(()), Ok(())]);
        drop(database);
        let database = Database::open(&path, "x").unwrap();
        for other in [final_of(1, 2), final_of(2, 1)] {
            assert!(database.journal(&[other]).unwrap()[0].is_err());
        }
        assert_eq!(database.journalled(1, 1, &B256::repeat_byte(7)).unwrap(), [final_of(1, 1)]);
        assert!(database.journalled(1, 2, &B256::repeat_byte(7)).unwrap().is_empty());
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
            database.journal_with(&[], (1, 2), &[since(time)]).unwrap();
        }
        drop(database);
        let database = Database::open(&path, "x").unwrap();
        assert_eq!(database.certificates(1, 2).unwrap(), [since(5)]);
        assert!(database.certificates(1, 3).unwrap().is_empty());
        assert!(database.journalled(1, 2, &B256::ZERO).unwrap().is_empty());
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
        assert!(database.journal(&first).unwrap().iter().all(Result::is_ok));
        let second = database.journal(&[receipt(b), share(b), settlement(b)]).unwrap();
        assert!(second.iter().all(Result::is_err), "{second:?}");
        let mut back = database.journalled(1, 1, &a).unwrap();
        assert_eq!(back.len(), 5);
        back.retain(|statement| !first.contains(statement));
        assert!(back.is_empty(), "{back:?}");
    }
}
