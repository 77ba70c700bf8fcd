//! Evidence with the contract's answer, and which settlements have been checked.

use super::StoreError;
use super::database::{CONTRIBUTIONS, Database, EVIDENCE, META, json, parse, parse_round, round_key};
use alloy_primitives::{Address, B256, Bytes, U256};
use consilium_core::accusation::{Accusation, Charge};
use consilium_core::certify::SetMember;
use consilium_ledger::Cursor;
use redb::{Durability, TableDefinition};
use serde::{Deserialize, Serialize};

type Table = TableDefinition<'static, &'static str, &'static [u8]>;

/// What the contract answered, under the key of the evidence.
pub(super) const ANSWERS: Table = Table::new("answers");
/// The [`Verdict`] on a settlement's vectors; null while there is something to check.
pub(super) const CHECKS: Table = Table::new("checks");
/// The same on a settlement's rewards.
pub(super) const REWARD_CHECKS: Table = Table::new("reward checks");
/// The same on a certified set.
pub(super) const SET_CHECKS: Table = Table::new("set checks");
/// The rounds for which this node was convicted of a share of another set than the certified one.
pub(super) const ACCUSED: Table = Table::new("accused");
/// Every [`SeenCertificate`] of a round of this node, also one that a reorganisation took back, by its set.
pub(super) const CERTIFICATES: Table = Table::new("certificates");

/// The bonds of others that proofs have taken and that are to be assigned: study and node.
pub(super) const TAKEN: Table = Table::new("taken");

const CURSOR: &str = "settlements cursor";

/// What of a round is checked, in the order in which it is: a settlement is proved wrong before its set is, as nothing can
/// be proved about the settlement of a fraudulent round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Checked {
    /// The settled vectors.
    Vectors,
    /// The settled rewards.
    Rewards,
    /// The certified set.
    Set,
}

impl Checked {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Vectors, Self::Rewards, Self::Set];

    /// Its name in the log.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Vectors => "settled vectors",
            Self::Rewards => "settled rewards",
            Self::Set => "certified set",
        }
    }

    fn table(self) -> Table {
        match self {
            Self::Vectors => CHECKS,
            Self::Rewards => REWARD_CHECKS,
            Self::Set => SET_CHECKS,
        }
    }
}

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    /// It is in order.
    Sound,
    /// It is proved wrong.
    Wrong,
    /// It cannot be checked any more, or not by this node.
    OutOfReach,
}

/// The votes behind a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SeenCertificate {
    pub(crate) set_root: B256,
    pub(crate) size: u32,
    /// Bit j-1: node j voted.
    pub(crate) voters: U256,
    /// 65 bytes for each voter, by node number.
    pub(crate) votes: Bytes,
}

impl Database {
    /// Keeps evidence until the contract has answered it; the same twice is kept once. Whether it is new.
    pub(crate) fn keep_accusation(&self, accusation: &Accusation) -> Result<bool, StoreError> {
        let value = serde_json::to_value(accusation).map_err(|_| StoreError::Damaged("of evidence".into()))?;
        self.add_evidence(accusation.study, accusation.round, &value)
    }

    /// Evidence that no contract has answered yet, with its key. Records of before the court are no accusations and
    /// stay as they are.
    pub(crate) fn unanswered(&self) -> Result<Vec<(String, Accusation)>, StoreError> {
        let answered: Vec<String> = self.under(ANSWERS, "")?.into_iter().map(|(key, _)| key).collect();
        let open = self.under(EVIDENCE, "")?.into_iter().filter(|(key, _)| !answered.contains(key));
        Ok(open.filter_map(|(key, value)| Some((key, serde_json::from_slice(&value).ok()?))).collect())
    }

    /// Marks evidence as answered.
    pub(crate) fn answer(&self, key: &str, words: &str) -> Result<(), StoreError> {
        self.put(ANSWERS, key, &json(&words), Durability::Immediate)
    }

    /// Whether two contributions of this site to the round are among the evidence.
    pub(crate) fn is_accused(&self, study: u64, round: u64, wanted: &Address) -> Result<bool, StoreError> {
        let found = self.under(EVIDENCE, &round_key(study, round))?;
        let about = |value: &[u8]| match serde_json::from_slice(value) {
            Ok(Accusation { charge: Charge::TwoContributions { site, .. }, .. }) => site == *wanted,
            Ok(_) | Err(_) => false,
        };
        Ok(found.iter().any(|(_, value)| about(value)))
    }

    /// The contributions of one site to a round that are here.
    pub(crate) fn contributions_by(&self, study: u64, round: u64, site: &Address) -> Result<Vec<SetMember>, StoreError> {
        let members = self.under(CONTRIBUTIONS, &format!("{}{}/", round_key(study, round), hex::encode(site)))?;
        members.into_iter().map(|(key, value)| parse(&key, &value)).collect()
    }

    /// Notes that something of a round is to be checked, or what its check found.
    pub(crate) fn set_checked(&self, what: Checked, study: u64, round: u64, found: Option<Verdict>) -> Result<(), StoreError> {
        self.put(what.table(), &round_key(study, round), &json(&found), Durability::Immediate)
    }

    /// What the check of a settlement's vectors found, if it is over.
    pub(crate) fn verdict(&self, study: u64, round: u64) -> Result<Option<Verdict>, StoreError> {
        let found = self.under(CHECKS, &round_key(study, round))?;
        Ok(found.first().and_then(|(_, value)| verdict(value)))
    }

    /// The rounds of which this is still to be checked, among them those whose record is no verdict: the first version wrote
    /// words.
    pub(crate) fn unchecked(&self, what: Checked) -> Result<Vec<(u64, u64)>, StoreError> {
        let open = self.under(what.table(), "")?.into_iter().filter(|(_, value)| verdict(value).is_none());
        open.map(|(key, _)| parse_round(&key)).collect()
    }

    /// Notes that this node was convicted of a share of another set than a round's certified one.
    pub(crate) fn add_accused(&self, study: u64, round: u64) -> Result<(), StoreError> {
        self.put(ACCUSED, &round_key(study, round), b"", Durability::Immediate)
    }

    /// The rounds about which this node has to answer.
    pub(crate) fn accused(&self) -> Result<Vec<(u64, u64)>, StoreError> {
        self.under(ACCUSED, "")?.into_iter().map(|(key, _)| parse_round(&key)).collect()
    }

    /// Notes that there is nothing to answer any more about a round.
    pub(crate) fn remove_accused(&self, study: u64, round: u64) -> Result<(), StoreError> {
        let key = round_key(study, round);
        self.write(Durability::None, |transaction| Ok(transaction.open_table(ACCUSED)?.remove(key.as_str()).map(drop)?))
    }

    /// Keeps the votes behind a certificate, whatever becomes of the block that it stands in.
    pub(crate) fn keep_certificate(&self, study: u64, round: u64, seen: &SeenCertificate) -> Result<(), StoreError> {
        let key = format!("{}{}", round_key(study, round), hex::encode(seen.set_root));
        self.put(CERTIFICATES, &key, &json(seen), Durability::Immediate)
    }

    /// The votes behind every certificate that this round has ever had.
    pub(crate) fn certificates_of(&self, study: u64, round: u64) -> Result<Vec<SeenCertificate>, StoreError> {
        self.under(CERTIFICATES, &round_key(study, round))?.iter().map(|(key, value)| parse(key, value)).collect()
    }

    /// Notes that a proof has taken a node's bond.
    pub(crate) fn add_taken(&self, study: u64, node: &Address) -> Result<(), StoreError> {
        self.put(TAKEN, &taken_key(study, node), &json(&(study, node)), Durability::Immediate)
    }

    /// The bonds that are to be assigned to harmed sites.
    pub(crate) fn taken(&self) -> Result<Vec<(u64, Address)>, StoreError> {
        self.under(TAKEN, "")?.iter().map(|(key, value)| parse(key, value)).collect()
    }

    /// Notes that there is nothing to assign any more.
    pub(crate) fn remove_taken(&self, study: u64, node: &Address) -> Result<(), StoreError> {
        let key = taken_key(study, node);
        self.write(Durability::None, |transaction| Ok(transaction.open_table(TAKEN)?.remove(key.as_str()).map(drop)?))
    }

    /// How far the chain was read for settlements.
    pub(crate) fn settlements_cursor(&self) -> Result<Option<Cursor>, StoreError> {
        self.get(META, CURSOR)
    }

    /// Notes it. A settlement that is unchecked is on the disk before the cursor beyond it.
    pub(crate) fn set_settlements_cursor(&self, cursor: &Cursor) -> Result<(), StoreError> {
        self.put(META, CURSOR, &json(cursor), Durability::None)
    }
}

fn taken_key(study: u64, node: &Address) -> String {
    format!("{study:016x}/{}", hex::encode(node))
}

fn verdict(record: &[u8]) -> Option<Verdict> {
    serde_json::from_slice(record).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Opening;
    use alloy_primitives::B256;
    use consilium_core::openings::Flaw;

    #[test]
    fn evidence_is_open_until_it_is_answered_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.redb");
        let flaw = |point| Charge::WrongSettlement(Flaw::Root { point, preimage: vec![point].into() });
        let [first, second] = [1, 2].map(|point| Accusation { study: 1, round: 2, charge: flaw(point) });
        let database = Database::open(&path, "x").unwrap();
        assert!(database.keep_accusation(&first).unwrap() && database.keep_accusation(&second).unwrap());
        assert!(!database.keep_accusation(&first).unwrap());
        database.add_evidence(1, 3, &serde_json::json!({"offence": "of an older version"})).unwrap();
        let open = database.unanswered().unwrap();
        assert_eq!(open.len(), 2);
        database.answer(&open[0].0, "proved").unwrap();
        drop(database);
        let database = Database::open(&path, "x").unwrap();
        assert_eq!(database.unanswered().unwrap(), open[1..]);
        assert_eq!(database.evidence(1, 2).unwrap().len(), 2, "answered evidence is served all the same");
    }

    #[test]
    fn a_settlement_is_unchecked_until_something_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("node.redb"), "x").unwrap();
        let note = |what, round, found| database.set_checked(what, 1, round, found).unwrap();
        note(Checked::Vectors, 2, None);
        note(Checked::Vectors, 3, None);
        note(Checked::Vectors, 2, Some(Verdict::Sound));
        note(Checked::Rewards, 2, None);
        note(Checked::Set, 5, None);
        database.put(CHECKS, &round_key(1, 4), b"\"it is what this node computed\"", Durability::Immediate).unwrap();
        let open = Checked::ALL.map(|what| database.unchecked(what).unwrap());
        assert_eq!(open, [vec![(1, 3), (1, 4)], vec![(1, 2)], vec![(1, 5)]], "each thing for itself");
        assert_eq!([2, 3, 4, 5].map(|round| database.verdict(1, round).unwrap()), [Some(Verdict::Sound), None, None, None]);
    }

    #[test]
    fn a_sites_contributions_are_found_by_site() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("node.redb"), "x").unwrap();
        let member = |site, digest| SetMember { site: Address::repeat_byte(site), digest: B256::repeat_byte(digest) };
        let opening = Opening { study: 1, round: 1, context: B256::ZERO };
        database.add_seat(1, 1, 1).unwrap();
        for one in [member(1, 1), member(1, 2), member(2, 3)] {
            assert!(database.add_contribution(&opening, &one).unwrap());
        }
        assert_eq!(database.contributions_by(1, 1, &Address::repeat_byte(1)).unwrap(), [member(1, 1), member(1, 2)]);
        assert!(!database.is_accused(1, 1, &Address::repeat_byte(1)).unwrap());
    }
}
