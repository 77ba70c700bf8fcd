//! What is deleted of a round that has ended or vanished: first the records, in the transaction that sees that nobody wants
//! them, then the blobs that they named.

use super::StoreError;
use super::database::{
    CLOSED, CONTRIBUTIONS, ClosedRound, Database, JOURNAL, REPAIRS, Table, VANISHED, json, parse, record, round_key,
};
use super::memory::sets_prefix;
use consilium_core::certify::SetMember;
use redb::{Durability, ReadableTable as _, TableDefinition, WriteTransaction};

/// Contributions whose records are gone and whose blobs are to be deleted, under the keys that the records had.
pub(super) const DOOMED: Table = TableDefinition::new("doomed");

impl Database {
    /// Forgets that contributions and sealed seeds of a round were here, and the sets that were voted for, of which a leader that
    /// lies can have many; and notes it with the round's end; without effect while the round has a seat. Statements and
    /// evidence stay. How many blobs are to be deleted now.
    pub(crate) fn forget(&self, study: u64, round: u64) -> Result<usize, StoreError> {
        let key = round_key(study, round);
        self.write(Durability::Immediate, |transaction| {
            let vanished = transaction.open_table(VANISHED)?.remove(key.as_str())?.is_some();
            let closed = record::<ClosedRound>(transaction, CLOSED, &key)?;
            if !vanished && closed.is_none() {
                return Ok(0);
            }
            if let Some(closed) = closed {
                let closed = ClosedRound { forgotten: true, ..closed };
                transaction.open_table(CLOSED)?.insert(key.as_str(), json(&closed).as_slice())?;
            }
            // The keys of the round: '0' follows '/'.
            let end = format!("{}0", key.trim_end_matches('/'));
            let doomed = doom(transaction, &key, &end)?;
            for table in [CONTRIBUTIONS, REPAIRS] {
                transaction.open_table(table)?.retain_in(key.as_str()..end.as_str(), |_, _| false)?;
            }
            let [first, last] = [&key, &end].map(|round| sets_prefix(round));
            transaction.open_table(JOURNAL)?.retain_in(first.as_str()..last.as_str(), |_, _| false)?;
            Ok(doomed)
        })
    }

    /// The contributions whose blobs are to be deleted.
    pub(crate) fn doomed(&self) -> Result<Vec<(String, SetMember)>, StoreError> {
        self.under(DOOMED, "")?.into_iter().map(|(key, value)| parse(&key, &value).map(|member| (key, member))).collect()
    }

    /// Whether a contribution's blobs are still to be deleted: not once it was sent again to a round that was opened again.
    pub(crate) fn is_doomed(&self, key: &str) -> Result<bool, StoreError> {
        Ok(self.get::<SetMember>(DOOMED, key)?.is_some())
    }

    /// Notes that a contribution's blobs are gone.
    pub(crate) fn deleted(&self, key: &str) -> Result<(), StoreError> {
        self.write(Durability::None, |transaction| Ok(transaction.open_table(DOOMED)?.remove(key).map(drop)?))
    }
}

fn doom(transaction: &WriteTransaction, key: &str, end: &str) -> Result<usize, StoreError> {
    let (contributions, mut doomed) = (transaction.open_table(CONTRIBUTIONS)?, transaction.open_table(DOOMED)?);
    let mut count = 0;
    for entry in contributions.range(key..end)? {
        let (key, member) = entry?;
        doomed.insert(key.value(), member.value())?;
        count += 1;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Opening;
    use alloy_primitives::{Address, B256};

    #[test]
    fn what_is_sent_again_to_a_round_that_was_opened_again_is_not_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.redb");
        let database = Database::open(&path, "x").unwrap();
        let opening = Opening { study: 1, round: 2, context: B256::repeat_byte(0xcc) };
        let member = |byte| SetMember { site: Address::repeat_byte(byte), digest: B256::repeat_byte(byte) };
        database.add_seat(1, 2, 7).unwrap();
        for byte in [1, 2] {
            assert!(database.add_contribution(&opening, &member(byte)).unwrap());
        }
        assert_eq!(database.forget(1, 2).unwrap(), 0, "a round with a seat forgets nothing");
        database.unseat(1, 2, 9).unwrap();
        assert_eq!(database.forget(1, 2).unwrap(), 2);
        assert!(database.contributions(1, 2).unwrap().is_empty());

        // The opening comes back while the blobs are being deleted, and one of the two is sent again.
        database.add_seat(1, 2, 8).unwrap();
        assert!(database.add_contribution(&opening, &member(1)).unwrap());
        drop(database);
        let database = Database::open(&path, "x").unwrap();
        let doomed = database.doomed().unwrap();
        assert_eq!(doomed.iter().map(|(_, member)| *member).collect::<Vec<_>>(), [member(2)]);
        assert!(database.is_doomed(&doomed[0].0).unwrap());
        database.deleted(&doomed[0].0).unwrap();
        assert!(database.doomed().unwrap().is_empty() && !database.is_doomed(&doomed[0].0).unwrap());
        assert_eq!(database.contributions(1, 2).unwrap(), [member(1)]);
    }
}
