//! Configuration files: what is accepted is written and read again as the same, and nothing in the file is passed over.

use super::fixed::ADDRESSES;
use crate::config::Config;
use consilium_ledger::Addresses;
use consilium_site::{ConfigFile, SiteConfig};
use std::path::Path;

/// [`ADDRESSES`], as a file.
const ADDRESSES_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/addresses.json");

pub(crate) fn node(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(addresses) = serde_json::from_str::<Addresses>(text) {
        let again = serde_json::to_string(&addresses).expect("addresses are JSON");
        assert_eq!(serde_json::from_str::<Addresses>(&again).expect("of their own form"), addresses);
    }
    // A file that names another file would have the fuzzer open whatever it likes.
    let Ok(table) = text.parse::<toml::Table>() else { return };
    if table.contains_key("addresses_file") {
        return;
    }
    let none = |_: &str| None;
    let Ok(config) = Config::parse(text, Path::new("folder/node.toml"), none) else { return };
    assert_eq!(config.peers.len(), entries(&table, "peers"), "a peer was passed over");
    assert!(config.check().is_ok());
    let written = config.to_toml();
    let again = Config::parse(&written, Path::new("folder/node.toml"), none);
    // Relative paths were joined to the folder once.
    let placed =
        Config { data: Path::new("folder").join(&config.data), key_file: Path::new("folder").join(&config.key_file), ..config };
    assert_eq!(again.expect("what was written can be read"), placed);
}

pub(crate) fn site(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let path = Path::new("folder/site.toml");
    let Ok(file) = ConfigFile::parse(text, path) else { return };
    // A number of more than 64 bits in the place of a fraction is a configuration, and no table that can be compared.
    let Ok(table) = text.parse::<toml::Table>() else { return };
    // The file's own path would have the fuzzer open whatever it likes.
    let environment = |name: &str| (name == "CONSILIUM_ADDRESSES").then(|| ADDRESSES_FILE.to_owned());
    let Ok((config, _)) = SiteConfig::from_file(file, path, environment) else { return };
    assert_eq!(config.nodes.len(), entries(&table, "nodes"), "a node was passed over");
    assert_eq!(config.policy.studies.len(), entries(&table, "studies"), "the pins of a study were passed over");
    assert_eq!(config.addresses, ADDRESSES);
    assert!(!config.rpc.is_empty());
}

fn entries(table: &toml::Table, key: &str) -> usize {
    table.get(key).and_then(toml::Value::as_table).map_or(0, toml::Table::len)
}
