//! The table `[policy]` of a node's configuration: read, checked, written.

use crate::config::{ConfigError, value};
use alloy_primitives::{Address, U256};
use consilium_core::params::Finality;
use consilium_ledger::Consent;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fmt::{Display, Write as _};

/// Rounds that a study may keep on record, as the contract has it.
const RINGS: std::ops::RangeInclusive<u16> = 2..=1024;
/// Fewest nodes beside this one in any committee: n is at least 3t+1.
const FEWEST_FELLOWS: usize = 3;

/// Coordinates of a round that a node serves unless its operator says otherwise.
const USUAL_DIMENSION: usize = 100_000_000;

/// What its operator lets a node serve: the table `[policy]`. A bound that is `None` admits everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Whose studies.
    pub sponsors: Option<BTreeSet<Address>>,
    /// Which studies.
    pub studies: Option<BTreeSet<u64>>,
    /// Fewest seconds after a settlement in which it can be proved wrong. An honest node that a false settlement convicts is
    /// made whole by a proof within that time.
    pub minimum_window: Option<u32>,
    /// Fewest rounds on record at once. With a small ring the record of a round, and every proof that needs it, is gone soon
    /// after the window.
    pub minimum_ring: Option<u16>,
    /// Most rounds on record at once: for all of them the bond answers, and this node keeps shares and votes.
    pub maximum_ring: Option<u16>,
    /// Finality rules; a depth admits every greater one.
    pub finality: Option<Vec<Finality>>,
    /// Which nodes may sit beside this one.
    pub fellow_nodes: Option<BTreeSet<Address>>,
    /// Most seats of one committee whose nodes name the same operator, this node's among them. Names are what nodes say of
    /// themselves.
    pub maximum_seats_per_operator: Option<usize>,
    /// Largest bond of one study, in wei.
    pub maximum_bond: Option<U256>,
    /// Most coordinates of a round. While the round collects, the node holds 8 bytes for each in memory, and up to 3t+2 times
    /// as much while it is settled.
    pub maximum_dimension: usize,
    /// Whether the node resigns from a committee that is beyond this policy.
    pub resign: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            sponsors: None,
            studies: None,
            minimum_window: None,
            minimum_ring: None,
            maximum_ring: None,
            finality: None,
            fellow_nodes: None,
            maximum_seats_per_operator: None,
            maximum_bond: None,
            maximum_dimension: USUAL_DIMENSION,
            resign: true,
        }
    }
}

/// The table's form: texts are read by [`Section::read`], which names the key that is wrong.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Section {
    sponsors: Option<Vec<String>>,
    studies: Option<BTreeSet<u64>>,
    minimum_window: Option<u32>,
    minimum_ring: Option<u16>,
    maximum_ring: Option<u16>,
    finality: Option<Vec<String>>,
    fellow_nodes: Option<Vec<String>>,
    maximum_seats_per_operator: Option<usize>,
    maximum_bond: Option<Wei>,
    maximum_dimension: Option<usize>,
    resign: Option<bool>,
}

/// An amount: TOML's own numbers end at 2^63 wei, some nine ether.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Wei {
    Number(u64),
    Text(String),
}

impl Section {
    pub(crate) fn read(self) -> Result<Policy, ConfigError> {
        let usual = Policy::default();
        let rules = self.finality.map(|rules| rules.iter().map(|rule| finality(rule)).collect::<Result<Vec<_>, _>>());
        Ok(Policy {
            sponsors: self.sponsors.map(|texts| addresses("policy.sponsors", &texts)).transpose()?,
            studies: self.studies,
            minimum_window: self.minimum_window,
            minimum_ring: self.minimum_ring,
            maximum_ring: self.maximum_ring,
            finality: rules.transpose()?,
            fellow_nodes: self.fellow_nodes.map(|texts| addresses("policy.fellow_nodes", &texts)).transpose()?,
            maximum_seats_per_operator: self.maximum_seats_per_operator,
            maximum_bond: self.maximum_bond.map(wei).transpose()?,
            maximum_dimension: self.maximum_dimension.unwrap_or(usual.maximum_dimension),
            resign: self.resign.unwrap_or(usual.resign),
        })
    }
}

fn addresses(key: &str, texts: &[String]) -> Result<BTreeSet<Address>, ConfigError> {
    let read = |text: &String| {
        let wrong = |_| value(key, format!("{text:?} is no address"), "write each as 0x and 40 hexadecimal digits");
        text.parse().map_err(wrong)
    };
    texts.iter().map(read).collect()
}

fn finality(text: &str) -> Result<Finality, ConfigError> {
    let remedy = "write \"instant\", \"safe\", \"finalized\", or \"depth:N\" for N blocks and more";
    text.parse().map_err(|_| value("policy.finality", format!("{text:?} is no finality rule"), remedy))
}

fn wei(written: Wei) -> Result<U256, ConfigError> {
    let remedy = "write wei in decimal digits, in quotes from 2^63 on";
    match written {
        Wei::Number(wei) => Ok(U256::from(wei)),
        Wei::Text(text) => {
            U256::from_str_radix(&text, 10).map_err(|_| value("policy.maximum_bond", format!("{text:?} is no amount"), remedy))
        }
    }
}

impl Policy {
    /// Checks what the types do not: bounds that no study can keep, which mostly are slips.
    ///
    /// # Errors
    /// [`ConfigError::Value`].
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let nothing = "leave the key out to admit any";
        for (key, is_empty) in [
            ("policy.sponsors", self.sponsors.as_ref().is_some_and(BTreeSet::is_empty)),
            ("policy.studies", self.studies.as_ref().is_some_and(BTreeSet::is_empty)),
            ("policy.finality", self.finality.as_ref().is_some_and(Vec::is_empty)),
        ] {
            if is_empty {
                return Err(value(key, "an empty list admits nothing, so the node would leave every committee", nothing));
            }
        }
        if self.sponsors.iter().chain(&self.fellow_nodes).any(|list| list.contains(&Address::ZERO)) {
            let reason = "the zero address is nobody's";
            return Err(value("policy.sponsors or policy.fellow_nodes", reason, "take it out of the list"));
        }
        if self.studies.as_ref().is_some_and(|studies| studies.contains(&0)) {
            return Err(value("policy.studies", "studies are numbered from 1", "take the 0 out of the list"));
        }
        if let Some(few) = self.fellow_nodes.as_ref().map(BTreeSet::len).filter(|few| *few < FEWEST_FELLOWS) {
            let reason = format!("{few} other nodes make no committee, the smallest has 4 with this one");
            return Err(value("policy.fellow_nodes", reason, "name every node that may sit beside this one"));
        }
        self.check_numbers()
    }

    fn check_numbers(&self) -> Result<(), ConfigError> {
        for (key, ring) in [("policy.minimum_ring", self.minimum_ring), ("policy.maximum_ring", self.maximum_ring)] {
            if let Some(ring) = ring.filter(|ring| !RINGS.contains(ring)) {
                return Err(value(key, format!("no study keeps {ring} rounds on record"), "write a number from 2 to 1024"));
            }
        }
        if let (Some(least), Some(most)) = (self.minimum_ring, self.maximum_ring)
            && least > most
        {
            let reason = format!("{least} is more than `policy.maximum_ring`, {most}, so that no study is within both");
            return Err(value("policy.minimum_ring", reason, "exchange the two"));
        }
        if let Some(window) = self.minimum_window.filter(|window| *window > Consent::LONGEST_WINDOW) {
            let reason = format!("no study has a challenge window of {window} seconds");
            return Err(value("policy.minimum_window", reason, "write at most 16777215, which is 194 days"));
        }
        for (key, is_zero) in [
            ("policy.maximum_seats_per_operator", self.maximum_seats_per_operator == Some(0)),
            ("policy.maximum_dimension", self.maximum_dimension == 0),
        ] {
            if is_zero {
                return Err(value(key, "0 admits no study", "write 1 or more, or leave the key out"));
            }
        }
        Ok(())
    }

    /// The table as [`Section`] reads it back, with every key explained; those that bound nothing are comments.
    pub(crate) fn to_toml(&self) -> String {
        let mut out = "\n[policy] # docs/OPERATORS.md, \"What a node serves\"; a key that is left out admits any\n".to_owned();
        let sponsors = self.sponsors.as_ref().map(quoted);
        let studies = self.studies.as_ref().map(|studies| list(studies.iter()));
        line(&mut out, "sponsors", sponsors, "[\"0x..\"]", "whose studies");
        line(&mut out, "studies", studies, "[1, 2]", "which studies");
        line(&mut out, "minimum_window", self.minimum_window, "3600", "seconds to prove a settlement wrong");
        line(&mut out, "minimum_ring", self.minimum_ring, "16", "rounds on record, on which evidence rests");
        line(&mut out, "maximum_ring", self.maximum_ring, "256", "rounds for which the bond answers at once");
        let rules = self.finality.as_ref().map(quoted);
        line(&mut out, "finality", rules, "[\"safe\", \"finalized\", \"depth:12\"]", "depth:12 is 12 blocks or more");
        line(
            &mut out,
            "fellow_nodes",
            self.fellow_nodes.as_ref().map(quoted),
            "[\"0x..\"]",
            "which nodes may sit beside this one",
        );
        let seats = self.maximum_seats_per_operator;
        line(&mut out, "maximum_seats_per_operator", seats, "1", "nodes of a committee that name one operator");
        line(
            &mut out,
            "maximum_bond",
            self.maximum_bond.map(|bond| format!("\"{bond}\"")),
            "\"1000000000000000000\"",
            "wei a study",
        );
        line(
            &mut out,
            "maximum_dimension",
            Some(self.maximum_dimension),
            "",
            "coordinates of a round, 8 bytes of memory each and more",
        );
        line(&mut out, "resign", Some(self.resign), "", "leave a committee that is beyond this; false only refuses its rounds");
        out
    }
}

fn list(items: impl Iterator<Item = impl Display>) -> String {
    format!("[{}]", items.map(|item| item.to_string()).collect::<Vec<_>>().join(", "))
}

fn quoted<'a, T: Display + 'a>(items: impl IntoIterator<Item = &'a T>) -> String {
    list(items.into_iter().map(|item| format!("\"{item}\"")))
}

fn line(out: &mut String, key: &str, set: Option<impl Display>, example: &str, meaning: &str) {
    // Writing to a String does not fail.
    let _ok = match set {
        Some(set) => writeln!(out, "{key} = {set} # {meaning}"),
        None => writeln!(out, "# {key} = {example} # {meaning}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Policy, String> {
        #[derive(Deserialize)]
        struct File {
            #[serde(default)]
            policy: Section,
        }
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        let policy = file.policy.read().map_err(|error| error.to_string())?;
        policy.check().map_err(|error| error.to_string()).map(|()| policy)
    }

    fn full() -> Policy {
        let nodes = [2, 3, 4].map(Address::repeat_byte);
        Policy {
            sponsors: Some([Address::repeat_byte(9)].into()),
            studies: Some([1, 7].into()),
            minimum_window: Some(3600),
            minimum_ring: Some(16),
            maximum_ring: Some(256),
            finality: Some(vec![Finality::Safe, Finality::Depth(12)]),
            fellow_nodes: Some(nodes.into()),
            maximum_seats_per_operator: Some(1),
            maximum_bond: Some(U256::from(10).pow(U256::from(20))),
            maximum_dimension: 300,
            resign: false,
        }
    }

    #[test]
    fn a_policy_reads_back_as_what_was_written() {
        for policy in [Policy::default(), full()] {
            assert_eq!(read(&policy.to_toml()).unwrap(), policy);
        }
        assert_eq!(read("").unwrap(), Policy::default());
        assert_eq!(read("[policy]\nmaximum_bond = 5").unwrap().maximum_bond, Some(U256::from(5)));
    }

    #[test]
    fn the_examples_in_what_is_written_are_good_and_tell_every_key() {
        let (bare, all) = (Policy::default().to_toml(), full().to_toml());
        let keys = |text: &str| {
            text.lines()
                .filter_map(|line| line.trim_start_matches("# ").split_once(" = ").map(|(key, _)| key.to_owned()))
                .collect::<Vec<_>>()
        };
        assert_eq!((keys(&bare).len(), keys(&bare)), (11, keys(&all)));
        let address = "0x0909090909090909090909090909090909090909";
        let used = bare.replace("\n# ", "\n").replace("# sponsors", "sponsors").replace("\"0x..\"", &format!("\"{address}\""));
        let error = read(&used).unwrap_err();
        assert!(
            error.contains("`policy.fellow_nodes`") && error.contains("1 other nodes"),
            "only that list is too short: {error}"
        );
    }

    #[test]
    fn the_operators_guide_explains_every_key_and_its_example_is_good() {
        let guide = include_str!("../../../../docs/OPERATORS.md");
        let example = guide.split("```toml\n").find(|block| block.starts_with("[policy]")).unwrap();
        let example = example.split("```").next().unwrap();
        let policy = read(example).unwrap();
        assert!(policy.resign && policy.maximum_bond == Some(U256::from(10).pow(U256::from(18))));
        for line in Policy::default().to_toml().lines() {
            let Some((key, _)) = line.trim_start_matches("# ").split_once(" = ") else { continue };
            assert!(example.contains(&format!("\n{key} = ")), "{key} is not in the example");
            assert!(guide.contains(&format!("| `{key}` |")) || key == "resign", "{key} is not in the table");
        }
    }

    #[test]
    fn bad_values_and_unknown_keys_are_named_with_cause_and_remedy() {
        let address = "0x0909090909090909090909090909090909090909";
        for (text, words) in [
            ("sponsor = []".to_owned(), ["unknown field `sponsor`", "sponsors"]),
            ("sponsors = []".into(), ["`policy.sponsors`", "leave the key out"]),
            ("sponsors = [\"0x12\"]".into(), ["`policy.sponsors`: \"0x12\" is no address", "40 hexadecimal"]),
            (format!("sponsors = [\"{}\"]", Address::ZERO), ["zero address", "take it out"]),
            ("studies = []".into(), ["`policy.studies`", "leave the key out"]),
            ("studies = [0, 3]".into(), ["`policy.studies`", "from 1"]),
            ("studies = [-1]".into(), ["-1", "studies"]),
            ("minimum_window = 16777216".into(), ["`policy.minimum_window`", "194 days"]),
            ("minimum_ring = 1".into(), ["`policy.minimum_ring`", "2 to 1024"]),
            ("maximum_ring = 1025".into(), ["`policy.maximum_ring`", "2 to 1024"]),
            ("minimum_ring = 9\nmaximum_ring = 8".into(), ["`policy.minimum_ring`: 9 is more", "exchange"]),
            ("finality = []".into(), ["`policy.finality`", "leave the key out"]),
            ("finality = [\"depth\"]".into(), ["`policy.finality`: \"depth\"", "depth:N"]),
            (format!("fellow_nodes = [\"{address}\"]"), ["`policy.fellow_nodes`: 1 other nodes", "name every node"]),
            ("fellow_nodes = [\"me\"]".into(), ["`policy.fellow_nodes`: \"me\" is no address", "40 hexadecimal"]),
            ("maximum_seats_per_operator = 0".into(), ["`policy.maximum_seats_per_operator`", "1 or more"]),
            ("maximum_bond = \"1e18\"".into(), ["`policy.maximum_bond`: \"1e18\"", "decimal"]),
            ("maximum_dimension = 0".into(), ["`policy.maximum_dimension`", "1 or more"]),
            ("resign = \"no\"".into(), ["resign", "boolean"]),
        ] {
            let error = read(&format!("[policy]\n{text}")).expect_err(&text);
            assert!(words.iter().all(|word| error.contains(word)), "{words:?}: {error}");
        }
    }
}
