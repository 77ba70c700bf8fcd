//! What goes wrong outside of the program gets an exit code and a message that names cause and remedy.

use super::support::{Service, free_ports, run};
use std::os::unix::fs::PermissionsExt;
use tempfile::tempdir;

const ADDRESSES: &str = r#"{"chain_id": 31337, "registry": "0x1111111111111111111111111111111111111111",
    "consilium": "0x2222222222222222222222222222222222222222", "treasury": "0x3333333333333333333333333333333333333333",
    "licences": "0x4444444444444444444444444444444444444444", "study_token": "0x5555555555555555555555555555555555555555",
    "set_court": "0x6666666666666666666666666666666666666666", "sum_kind": "0x7777777777777777777777777777777777777777",
    "privacy_budget": "0x8888888888888888888888888888888888888888", "deployed_at": 0}"#;

#[test]
fn an_unreachable_chain_is_named_and_worth_another_try() {
    let here = tempdir().unwrap();
    std::fs::write(here.path().join("addresses.json"), ADDRESSES).unwrap();
    let url = format!("http://127.0.0.1:{}", free_ports(1)[0]);
    run(here.path(), &["chain", "status", "--rpc", &url]).exits(3).says(&[&url, "try again"]);
    run(here.path(), &["study", "show", "--study", "1", "--rpc", &url]).exits(3).says(&[&url]);
    run(here.path(), &["audit", "--study", "1", "--rpc", &url]).exits(3).says(&[&url]);

    let done = run(here.path(), &["study", "show", "--json", "--study", "1", "--rpc", &url]).exits(3);
    let error: serde_json::Value = serde_json::from_str(&done.err).unwrap();
    assert_eq!(error["error"]["exit_code"], 3);
    assert!(error["error"]["message"].as_str().unwrap().contains(&url), "{error}");
}

#[test]
fn a_key_file_that_others_can_read_is_refused() {
    let here = tempdir().unwrap();
    for role in ["account", "node", "site"] {
        let file = format!("{role}.json");
        run(here.path(), &["keys", "new", role, "--out", &file]).exits(0);
        let path = here.path().join(&file);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{role}");
        run(here.path(), &["keys", "show", &file]).exits(0);

        let before = std::fs::read(&path).unwrap();
        run(here.path(), &["keys", "new", role, "--out", &file]).exits(1).says(&[&file]);
        assert_eq!(std::fs::read(&path).unwrap(), before, "a key file is never overwritten");

        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let done = run(here.path(), &["keys", "show", &file]).exits(2).says(&[&file, "644", "chmod 600"]);
        let text = String::from_utf8(before).unwrap();
        let secret = serde_json::from_str::<serde_json::Value>(&text).unwrap()["signing_key"].as_str().unwrap().to_owned();
        assert!(!done.err.contains(secret.trim_start_matches("0x")), "a message must not repeat the key");
    }
}

#[test]
fn addresses_of_another_chain_are_noticed() {
    let here = tempdir().unwrap();
    std::fs::write(here.path().join("addresses.json"), ADDRESSES).unwrap();
    let log = here.path().join("chain.log");
    let arguments = ["chain", "serve", "--json", "--listen", "127.0.0.1:0", "--chain-id", "4711"];
    let chain = Service::start(here.path(), &arguments, &log);
    let ready: serde_json::Value = serde_json::from_str(&chain.ready).unwrap();
    assert_eq!(ready["chain_id"], 4711);
    let rpc = ready["rpc"].as_str().unwrap();
    run(here.path(), &["chain", "status", "--rpc", rpc]).exits(1).says(&["4711", "31337", rpc]);
    run(here.path(), &["round", "show", "--study", "1", "--round", "1", "--rpc", rpc]).exits(1).says(&["4711", "31337"]);

    let right = ADDRESSES.replace("31337", "4711");
    std::fs::write(here.path().join("addresses.json"), right).unwrap();
    run(here.path(), &["chain", "status", "--rpc", rpc]).exits(1).says(&["no contract", "4711"]);
}

#[test]
fn arguments_that_cannot_be_meant_are_wrong_usage() {
    let here = tempdir().unwrap();
    run(here.path(), &["contribute", "--study", "1"]).exits(2).says(&["--round"]);
    run(here.path(), &["chain", "status", "--rpc", "http://127.0.0.1:1"]).exits(2).says(&["addresses.json"]);
    run(here.path(), &["demo", "--sites", "1"]).exits(2).says(&["--sites"]);
    run(here.path(), &["demo", "--nodes", "4", "--threshold", "2", "--sites", "4"]).exits(2);
    std::fs::write(here.path().join("addresses.json"), "{").unwrap();
    run(here.path(), &["chain", "status", "--rpc", "http://127.0.0.1:1"]).exits(2).says(&["addresses.json"]);
    run(here.path(), &["node", "run", "--config", "absent.toml"]).exits(2).says(&["absent.toml", "--config"]);
    // What needs the key itself does not offer to do without it.
    for words in ["chain deploy", "watch", "licence download", "node register"] {
        let help = run(here.path(), &[words, "--help"].join(" ").split(' ').collect::<Vec<_>>()).exits(0);
        assert!(help.out.contains("--key") && !help.out.contains("--calldata"), "{words}:\n{}", help.out);
    }
    let help = run(here.path(), &["study", "fund", "--help"]).exits(0);
    assert!(help.out.contains("--calldata") && help.out.contains("--from"), "{}", help.out);
    let help = run(here.path(), &["--help"]).exits(0);
    for name in
        ["demo", "node", "chain", "keys", "study", "round", "contribute", "result", "privacy", "audit", "vectors", "Exit codes"]
    {
        assert!(help.out.contains(name), "{name} is missing in the help");
    }
}
