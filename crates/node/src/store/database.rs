//! Small durable state in one redb file. Keys are texts whose order groups them by study and round.

use super::StoreError;
use super::deletions::DOOMED;
use super::offences::{ACCUSED, ANSWERS, CERTIFICATES, CHECKS, REWARD_CHECKS, SET_CHECKS, TAKEN};
use super::opening::{Kept, Opening, tagged};
use alloy_primitives::{B256, keccak256};
use consilium_core::certify::SetMember;
use consilium_ledger::Cursor;
use redb::{Durability, ReadableDatabase as _, ReadableTable as _, TableDefinition, WriteTransaction};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) type Table = TableDefinition<'static, &'static str, &'static [u8]>;

pub(super) const META: Table = Table::new("meta");
pub(super) const CONTRIBUTIONS: Table = Table::new("contributions");
pub(super) const REPAIRS: Table = Table::new("repairs");
pub(super) const EVIDENCE: Table = Table::new("evidence");
pub(super) const CLOSED: Table = Table::new("closed");
const SEATS: Table = Table::new("seats");
pub(super) const VANISHED: Table = Table::new("vanished");
pub(super) const JOURNAL: Table = Table::new("journal");

/// How long an opening waits for a previous owner in this process to let go.
const HANDOVER: Duration = Duration::from_secs(5);

/// The database; clones share it. All methods block on the disk: call them through [`Database::run`].
#[derive(Clone)]
pub(crate) struct Database(Arc<redb::Database>);

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Database")
    }
}

/// What is kept about a round after its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ClosedRound {
    /// Unix seconds of the end.
    pub(crate) at: u64,
    /// Whether masked vectors and boxes have been deleted.
    pub(crate) forgotten: bool,
    /// Whether no set was certified, so that nobody needs them any more. Records of the first version lack it.
    #[serde(default)]
    pub(crate) void: bool,
    /// The answer of `GET /v1/studies/S/rounds/R`.
    pub(crate) status: serde_json::Value,
    /// The answer of `.../set`, if the set is known.
    pub(crate) set: Option<serde_json::Value>,
    /// The answer of `.../statements`.
    pub(crate) statements: serde_json::Value,
}

/// A seat as it is kept.
#[derive(Debug, Serialize, Deserialize)]
struct Seat {
    /// Height of the round's opening; records of the first version lack it.
    #[serde(default)]
    opened: Option<u64>,
}

pub(super) fn round_key(study: u64, round: u64) -> String {
    format!("{study:016x}/{round:016x}/")
}

impl Database {
    /// Opens or creates the file, and checks that it belongs to this node and deployment.
    pub(crate) fn open(path: &Path, owner: &str) -> Result<Self, StoreError> {
        let end = Instant::now() + HANDOVER;
        let opened = loop {
            match redb::Database::create(path) {
                Err(redb::DatabaseError::DatabaseAlreadyOpen) if Instant::now() < end => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                Err(redb::DatabaseError::DatabaseAlreadyOpen) => return Err(StoreError::InUse(path.to_owned())),
                other => break other?,
            }
        };
        let database = Self(Arc::new(opened));
        database.write(Durability::Immediate, |transaction| {
            for table in [
                META,
                CONTRIBUTIONS,
                REPAIRS,
                EVIDENCE,
                CLOSED,
                SEATS,
                VANISHED,
                JOURNAL,
                ANSWERS,
                CHECKS,
                REWARD_CHECKS,
                SET_CHECKS,
                ACCUSED,
                CERTIFICATES,
                TAKEN,
                DOOMED,
            ] {
                transaction.open_table(table)?;
            }
            let mut meta = transaction.open_table(META)?;
            let found = meta.get("owner")?.map(|value| String::from_utf8_lossy(value.value()).into_owned());
            match found {
                Some(found) if found != owner => Err(StoreError::Foreign { found, expected: owner.to_owned() }),
                Some(_) => Ok(()),
                None => Ok(meta.insert("owner", owner.as_bytes()).map(drop)?),
            }
        })?;
        Ok(database)
    }

    /// Runs a blocking piece of work on the database where it may block.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let database = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&database)).await;
        done.unwrap_or_else(|stopped| match stopped.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(StoreError::Damaged("of a node that is stopping".into())),
        })
    }

    pub(super) fn write<T>(
        &self,
        durability: Durability,
        work: impl FnOnce(&WriteTransaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut transaction = self.0.begin_write()?;
        transaction.set_durability(durability)?;
        let done = work(&transaction)?;
        transaction.commit()?;
        Ok(done)
    }

    pub(super) fn put(&self, table: Table, key: &str, value: &[u8], durability: Durability) -> Result<(), StoreError> {
        self.write(durability, |transaction| Ok(transaction.open_table(table)?.insert(key, value).map(drop)?))
    }

    pub(super) fn get<T: DeserializeOwned>(&self, table: Table, key: &str) -> Result<Option<T>, StoreError> {
        let table = self.0.begin_read()?.open_table(table)?;
        let Some(value) = table.get(key)? else { return Ok(None) };
        serde_json::from_slice(value.value()).map(Some).map_err(|_| StoreError::Damaged(key.to_owned()))
    }

    /// Keys, without the prefix, and values under a prefix.
    pub(super) fn under(&self, table: Table, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let table = self.0.begin_read()?.open_table(table)?;
        let mut found = Vec::new();
        for entry in table.range(prefix..)? {
            let (key, value) = entry?;
            let Some(rest) = key.value().strip_prefix(prefix) else { break };
            found.push((rest.to_owned(), value.value().to_vec()));
        }
        Ok(found)
    }

    /// How far the chain was read.
    pub(crate) fn cursor(&self) -> Result<Option<Cursor>, StoreError> {
        self.get(META, "cursor")
    }

    pub(crate) fn set_cursor(&self, cursor: &Cursor) -> Result<(), StoreError> {
        self.put(META, "cursor", &json(cursor), Durability::None)
    }

    /// Notes a stored contribution, unless its round has ended here: then nobody would delete it again. It reaches the disk
    /// with the receipt that promises to hold it, at the latest. Whether it is noted.
    pub(crate) fn add_contribution(&self, opening: &Opening, member: &SetMember) -> Result<bool, StoreError> {
        let round = opening.key();
        let key = format!("{round}{}/{}", hex::encode(member.site), hex::encode(member.digest));
        self.write(Durability::None, |transaction| {
            let mut table = transaction.open_table(CONTRIBUTIONS)?;
            if !is_wanted(transaction, &round)? {
                let deleted = record::<ClosedRound>(transaction, CLOSED, &round)?.is_none_or(|end| end.void || end.forgotten);
                return Ok(!deleted && table.get(key.as_str())?.is_some());
            }
            table.insert(key.as_str(), tagged(member, opening).as_slice())?;
            // Its blobs were written before this: what an earlier opening left to be deleted is here again.
            transaction.open_table(DOOMED)?.remove(key.as_str())?;
            Ok(true)
        })
    }

    /// The contributions of all openings of a round.
    pub(crate) fn contributions(&self, study: u64, round: u64) -> Result<Vec<SetMember>, StoreError> {
        let found = self.under(CONTRIBUTIONS, &round_key(study, round))?;
        found.into_iter().map(|(key, value)| parse(&key, &value)).collect()
    }

    /// The contributions of one opening.
    pub(crate) fn contributions_of(&self, opening: &Opening) -> Result<Vec<SetMember>, StoreError> {
        let found = self.kept(CONTRIBUTIONS, &opening.key())?.into_iter();
        Ok(found.filter(|kept| kept.is_of(opening)).map(|kept: Kept<SetMember>| kept.what).collect())
    }

    /// The contributions of other openings under the same number.
    pub(super) fn foreign_contributions(&self, opening: &Opening) -> Result<Vec<SetMember>, StoreError> {
        let found = self.kept(CONTRIBUTIONS, &opening.key())?.into_iter();
        Ok(found.filter(|kept| !kept.is_of(opening)).map(|kept: Kept<SetMember>| kept.what).collect())
    }

    pub(super) fn kept<T: DeserializeOwned>(&self, table: Table, prefix: &str) -> Result<Vec<Kept<T>>, StoreError> {
        self.under(table, prefix)?.into_iter().map(|(key, value)| Kept::parse(&key, &value)).collect()
    }

    /// Keeps sealed seeds that peers sent, as they came, unless the round has ended here. Whether they are kept.
    pub(crate) fn add_repairs(
        &self,
        opening: &Opening,
        digest: &B256,
        sealed: &BTreeMap<usize, alloy_primitives::Bytes>,
    ) -> Result<bool, StoreError> {
        self.write(Durability::None, |transaction| {
            if !is_wanted(transaction, &opening.key())? {
                return Ok(false);
            }
            let mut table = transaction.open_table(REPAIRS)?;
            for (number, bytes) in sealed {
                let key = format!("{}{}/{number:04}", opening.key(), hex::encode(digest));
                table.insert(key.as_str(), &bytes[..])?;
            }
            Ok(true)
        })
    }

    pub(crate) fn repairs(&self, study: u64, round: u64, digest: &B256) -> Result<BTreeMap<usize, Vec<u8>>, StoreError> {
        let found = self.under(REPAIRS, &format!("{}{}/", round_key(study, round), hex::encode(digest)))?;
        let number = |key: String| key.parse().map_err(|_| StoreError::Damaged(key));
        found.into_iter().map(|(key, sealed)| Ok((number(key)?, sealed))).collect()
    }

    /// Keeps evidence of an offence; the same twice is kept once. Whether it is new.
    pub(crate) fn add_evidence(&self, study: u64, round: u64, evidence: &serde_json::Value) -> Result<bool, StoreError> {
        let bytes = json(evidence);
        let key = format!("{}{}", round_key(study, round), hex::encode(keccak256(&bytes)));
        if self.get::<serde_json::Value>(EVIDENCE, &key)?.is_some() {
            return Ok(false);
        }
        self.put(EVIDENCE, &key, &bytes, Durability::Immediate).map(|()| true)
    }

    pub(crate) fn evidence(&self, study: u64, round: u64) -> Result<Vec<serde_json::Value>, StoreError> {
        let found = self.under(EVIDENCE, &round_key(study, round))?;
        found.into_iter().map(|(key, value)| parse(&key, &value)).collect()
    }

    pub(crate) fn closed(&self, study: u64, round: u64) -> Result<Option<ClosedRound>, StoreError> {
        self.get(CLOSED, &round_key(study, round))
    }

    /// Writes down how a round ended, unless the seat that says so has been dismissed by the time that it is written.
    /// What was written before keeps its time, and stays deleted if it is.
    pub(crate) fn set_closed_unless(
        &self,
        study: u64,
        round: u64,
        closed: &ClosedRound,
        dismissed: impl FnOnce() -> bool,
    ) -> Result<(), StoreError> {
        let key = round_key(study, round);
        self.write(Durability::Immediate, |transaction| {
            if dismissed() {
                return Ok(());
            }
            let mut closed = closed.clone();
            if let Some(before) = record::<ClosedRound>(transaction, CLOSED, &key)? {
                (closed.at, closed.forgotten) = (before.at, before.forgotten);
            }
            transaction.open_table(SEATS)?.remove(key.as_str())?;
            Ok(transaction.open_table(CLOSED)?.insert(key.as_str(), json(&closed).as_slice()).map(drop)?)
        })
    }

    /// Forgets that a round ended, because its end is no longer on the chain; its seat is wanted again.
    pub(crate) fn reopen(&self, study: u64, round: u64, opened: u64) -> Result<(), StoreError> {
        let key = round_key(study, round);
        self.write(Durability::Immediate, |transaction| {
            transaction.open_table(CLOSED)?.remove(key.as_str())?;
            Ok(transaction.open_table(SEATS)?.insert(key.as_str(), json(&Seat { opened: Some(opened) }).as_slice()).map(drop)?)
        })
    }

    /// Forgets a seat whose round was never opened on the chain as it is now. Contributions stay for a while, in case the
    /// opening comes back in another block: sites send theirs once.
    pub(crate) fn unseat(&self, study: u64, round: u64, now: u64) -> Result<(), StoreError> {
        let key = round_key(study, round);
        self.write(Durability::Immediate, |transaction| {
            transaction.open_table(CLOSED)?.remove(key.as_str())?;
            transaction.open_table(SEATS)?.remove(key.as_str())?;
            Ok(transaction.open_table(VANISHED)?.insert(key.as_str(), json(&now).as_slice()).map(drop)?)
        })
    }

    /// The rounds whose opening vanished and did not come back, with the Unix second at which it did.
    pub(crate) fn vanished(&self) -> Result<BTreeMap<(u64, u64), u64>, StoreError> {
        let found = self.under(VANISHED, "")?;
        found.into_iter().map(|(key, value)| Ok((parse_round(&key)?, parse(&key, &value)?))).collect()
    }

    /// Every round that has ended here.
    pub(crate) fn all_closed(&self) -> Result<BTreeMap<(u64, u64), ClosedRound>, StoreError> {
        let found = self.under(CLOSED, "")?;
        found.into_iter().map(|(key, value)| Ok((parse_round(&key)?, parse(&key, &value)?))).collect()
    }

    /// Notes that this node takes part in a round that a block at this height opened. It reaches the disk no later than
    /// a cursor beyond the opening.
    pub(crate) fn add_seat(&self, study: u64, round: u64, opened: u64) -> Result<(), StoreError> {
        let key = round_key(study, round);
        self.write(Durability::None, |transaction| {
            transaction.open_table(VANISHED)?.remove(key.as_str())?;
            Ok(transaction.open_table(SEATS)?.insert(key.as_str(), json(&Seat { opened: Some(opened) }).as_slice()).map(drop)?)
        })
    }

    /// The rounds in which this node takes part and that have not ended, with the height of their opening.
    pub(crate) fn seats(&self) -> Result<BTreeMap<(u64, u64), u64>, StoreError> {
        let found = self.under(SEATS, "")?;
        let height = |key: &str, value: &[u8]| parse::<Seat>(key, value).map(|seat| seat.opened.unwrap_or(0));
        found.into_iter().map(|(key, value)| Ok((parse_round(&key)?, height(&key, &value)?))).collect()
    }
}

/// Whether contributions to a round are still taken: it has a seat, or has lost it with an opening that may come back.
fn is_wanted(transaction: &WriteTransaction, round: &str) -> Result<bool, StoreError> {
    let seated = transaction.open_table(SEATS)?.get(round)?.is_some();
    Ok(seated || transaction.open_table(VANISHED)?.get(round)?.is_some())
}

pub(super) fn record<T: DeserializeOwned>(
    transaction: &WriteTransaction,
    table: Table,
    key: &str,
) -> Result<Option<T>, StoreError> {
    let table = transaction.open_table(table)?;
    let found = table.get(key)?;
    found.map(|value| parse(key, value.value())).transpose()
}

pub(super) fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_else(|_| unreachable!("records have string keys and no failing serializers"))
}

pub(super) fn parse<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(value).map_err(|_| StoreError::Damaged(key.to_owned()))
}

pub(super) fn parse_round(key: &str) -> Result<(u64, u64), StoreError> {
    let mut parts = key.split('/').map(|part| u64::from_str_radix(part, 16).ok());
    match (parts.next().flatten(), parts.next().flatten()) {
        (Some(study), Some(round)) => Ok((study, round)),
        _ => Err(StoreError::Damaged(key.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::Address;

    fn opening(round: u64) -> Opening {
        Opening { study: 1, round, context: B256::repeat_byte(0xcc) }
    }

    fn end(void: bool) -> ClosedRound {
        let nothing = serde_json::Value::Null;
        ClosedRound { at: 5, forgotten: false, void, status: nothing.clone(), set: None, statements: nothing }
    }

    #[test]
    fn a_folder_belongs_to_one_node_and_to_one_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.redb");
        let first = Database::open(&path, "node a").unwrap();
        drop(first);
        let error = Database::open(&path, "node b").unwrap_err().to_string();
        assert!(error.contains("node a") && error.contains("its own folder"), "{error}");
    }

    #[test]
    fn a_dismissed_seat_writes_no_end_and_what_vanished_leaves_its_contributions_for_a_while() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("node.redb"), "x").unwrap();
        let member = SetMember { site: Address::repeat_byte(1), digest: B256::repeat_byte(1) };
        let end = end(true);
        database.add_seat(1, 2, 7).unwrap();
        assert!(database.add_contribution(&opening(2), &member).unwrap());
        // The end was written before the opening vanished, and again by the seat that does not know it yet.
        database.set_closed_unless(1, 2, &end, || false).unwrap();
        database.unseat(1, 2, 9).unwrap();
        database.set_closed_unless(1, 2, &end, || true).unwrap();
        assert!(database.closed(1, 2).unwrap().is_none() && database.seats().unwrap().is_empty());
        assert_eq!(database.vanished().unwrap(), [((1, 2), 9)].into());
        // Opened again: the contributions are still here.
        database.add_seat(1, 2, 8).unwrap();
        assert!(database.vanished().unwrap().is_empty());
        assert_eq!(database.contributions(1, 2).unwrap(), [member]);
        // An end that vanished gives the seat back.
        database.set_closed_unless(1, 2, &end, || false).unwrap();
        assert!(database.closed(1, 2).unwrap().is_some() && database.seats().unwrap().is_empty());
        database.reopen(1, 2, 8).unwrap();
        assert!(database.closed(1, 2).unwrap().is_none());
        assert_eq!(database.seats().unwrap(), [((1, 2), 8)].into());
    }

    #[test]
    fn what_arrives_after_a_round_has_ended_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("node.redb"), "x").unwrap();
        let member = |byte| SetMember { site: Address::repeat_byte(byte), digest: B256::repeat_byte(byte) };
        let sealed = [(0, vec![1u8; 4].into())].into();
        for (round, void) in [(1, true), (2, false)] {
            database.add_seat(1, round, 7).unwrap();
            assert!(database.add_contribution(&opening(round), &member(1)).unwrap());
            database.set_closed_unless(1, round, &end(void), || false).unwrap();
            assert!(!database.add_contribution(&opening(round), &member(2)).unwrap());
            assert!(!database.add_repairs(&opening(round), &member(1).digest, &sealed).unwrap());
            // Of a void round everything is deleted, also what was here before; of others only what is new.
            assert_eq!(database.add_contribution(&opening(round), &member(1)).unwrap(), !void);
            assert_eq!(database.forget(1, round).unwrap(), 1);
            assert!(!database.add_contribution(&opening(round), &member(1)).unwrap());
            assert!(database.contributions(1, round).unwrap().is_empty());
        }
        assert!(!database.add_contribution(&opening(3), &member(1)).unwrap(), "a round without a seat");
    }

    #[test]
    fn deleting_contributions_changes_nothing_else_of_the_record_and_news_do_not_bring_them_back() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("node.redb"), "x").unwrap();
        database.add_seat(1, 2, 7).unwrap();
        database.set_closed_unless(1, 2, &end(false), || false).unwrap();
        // The list of what is due was read before; more was written since.
        let newer = ClosedRound { at: 9, statements: serde_json::json!("more"), ..end(false) };
        database.set_closed_unless(1, 2, &newer, || false).unwrap();
        database.forget(1, 2).unwrap();
        let deleted = ClosedRound { at: 5, forgotten: true, ..newer.clone() };
        assert_eq!(database.closed(1, 2).unwrap().unwrap(), deleted);
        database.set_closed_unless(1, 2, &newer, || false).unwrap();
        assert_eq!(database.closed(1, 2).unwrap().unwrap(), deleted);
        // An opening that came back after it was found due: nothing is deleted.
        let member = SetMember { site: Address::repeat_byte(1), digest: B256::repeat_byte(1) };
        database.add_seat(1, 3, 7).unwrap();
        assert!(database.add_contribution(&opening(3), &member).unwrap());
        database.unseat(1, 3, 9).unwrap();
        database.add_seat(1, 3, 8).unwrap();
        assert_eq!(database.forget(1, 3).unwrap(), 0);
        assert_eq!(database.contributions(1, 3).unwrap(), [member]);
    }

    #[test]
    fn records_are_found_by_round_and_forgotten_by_round() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("node.redb"), "x").unwrap();
        let member = |byte| SetMember { site: Address::repeat_byte(byte), digest: B256::repeat_byte(byte) };
        for (round, byte) in [(1, 1), (2, 2), (0x10, 3)] {
            database.add_seat(1, round, 7).unwrap();
            assert!(database.add_contribution(&opening(round), &member(byte)).unwrap());
        }
        let sealed = [(0, vec![1u8; 4].into()), (12, vec![2u8; 4].into())].into();
        assert!(database.add_repairs(&opening(2), &member(2).digest, &sealed).unwrap());
        assert_eq!(database.contributions(1, 2).unwrap(), [member(2)]);
        database.put(SEATS, &round_key(1, 17), b"{}", Durability::Immediate).unwrap();
        assert_eq!(database.seats().unwrap(), [((1, 1), 7), ((1, 2), 7), ((1, 16), 7), ((1, 17), 0)].into());
        assert_eq!(database.repairs(1, 2, &member(2).digest).unwrap(), [(0, vec![1; 4]), (12, vec![2; 4])].into());
        database.forget(1, 2).unwrap();
        assert_eq!(database.contributions(1, 2).unwrap(), [member(2)], "a round with a seat forgets nothing");
        database.unseat(1, 2, 9).unwrap();
        database.forget(1, 2).unwrap();
        assert!(
            database.contributions(1, 2).unwrap().is_empty() && database.repairs(1, 2, &member(2).digest).unwrap().is_empty()
        );
        assert_eq!(database.contributions(1, 1).unwrap(), [member(1)]);
        let said = serde_json::json!({"offence": "two finals"});
        assert!(database.add_evidence(1, 2, &said).unwrap());
        assert!(!database.add_evidence(1, 2, &said).unwrap());
        assert_eq!(database.evidence(1, 2).unwrap(), [said]);
    }
}
