//! A node's KEM keys by commands: rotated beside the running node, broken off, and forgotten.

use super::support::{Done, Service, command, run};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tempfile::{TempDir, tempdir};

const NODES: usize = 4;

/// A chain with registered nodes and a study of theirs. Every party has a key file in the one folder.
pub struct World {
    _chain: Service,
    pub rpc: String,
    pub sponsor: String,
    pub nodes: Vec<String>,
    folder: TempDir,
}

impl World {
    pub fn new() -> Self {
        let folder = tempdir().unwrap();
        let key = |name: &str, role: &str| {
            let arguments = ["keys", "new", role, "--out", &format!("{name}.json"), "--json"];
            run(folder.path(), &arguments).exits(0).json()["address"].as_str().unwrap().to_owned()
        };
        let sponsor = key("sponsor", "account");
        let nodes: Vec<String> = (1..=NODES).map(|j| key(&format!("node-{j}"), "node")).collect();
        let sites = [key("site-1", "site"), key("site-2", "site")];
        std::fs::write(folder.path().join("sites.txt"), sites.join("\n")).unwrap();
        let fund = [std::slice::from_ref(&sponsor), &nodes].concat().join(",");
        let arguments = ["chain", "serve", "--json", "--listen", "127.0.0.1:0", "--fund", &fund];
        let chain = Service::start(folder.path(), &arguments, &folder.path().join("chain.log"));
        let rpc = serde_json::from_str::<Value>(&chain.ready).unwrap()["rpc"].as_str().unwrap().to_owned();
        let world = Self { _chain: chain, rpc, sponsor: sponsor.clone(), nodes, folder };
        world.on_chain("chain deploy --key sponsor.json --trial-token").exits(0);
        for j in 1..=NODES {
            world.on_chain(&format!("node register --key node-{j}.json --operator Operator-{j} --jurisdiction CH")).exits(0);
            world.on_chain(&format!("node consent {sponsor} --key node-{j}.json --max-bond 200000000000000000")).exits(0);
        }
        let members = world.nodes.join(",");
        let study = "study create --key sponsor.json --threshold 1 --sites sites.txt --minimum-cohort 2 --finality instant";
        world.on_chain(&format!("{study} --dimension 40 --member {members}")).exits(0);
        world
    }

    pub fn run(&self, words: &str) -> Done {
        run(self.folder.path(), &words.split(' ').collect::<Vec<_>>())
    }

    pub fn on_chain(&self, words: &str) -> Done {
        self.run(&format!("{words} --rpc {}", self.rpc))
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The hashes of the KEM keys in node 1's file.
    fn held(&self) -> Vec<String> {
        let shown = self.run("keys show node-1.json --json").exits(0).json();
        let hash = |key: &Value| key["key_hash"].as_str().unwrap().to_owned();
        shown["kem_keys"].as_array().unwrap().iter().map(hash).collect()
    }

    fn secrets(&self) -> Vec<String> {
        let file: Value = serde_json::from_slice(&std::fs::read(self.at("node-1.json")).unwrap()).unwrap();
        let secret = |key: &Value| key["secret"].as_str().unwrap().trim_start_matches("0x").to_owned();
        file["kem_keys"].as_array().unwrap().iter().map(secret).collect()
    }
}

#[test]
fn a_key_is_rotated_beside_the_running_node_and_forgotten_when_no_committee_needs_it() {
    let world = World::new();
    let config = world.on_chain("node config --key node-1.json --listen 127.0.0.1:0").exits(0).out;
    assert!(config.contains("forget_keys = true"), "{config}");
    std::fs::write(world.at("node.toml"), config.replace("forget_keys = true", "forget_keys = false")).unwrap();
    let log = world.at("node.log");
    let node = Service::start(world.folder.path(), &["--log", "trace", "node", "run", "--json"], &log);

    let [old] = &world.held()[..] else { panic!("a new file has one key") };
    let nothing = world.run("node forget --json").exits(0).json();
    assert_eq!((nothing["erased"].as_array().unwrap().len(), &nothing["kept"][0]["key_hash"]), (0, &Value::from(old.as_str())));

    let rotated = world.run("node rotate-key").exits(0);
    let keys = world.held();
    assert_eq!((keys.len(), &keys[0]), (2, old));
    assert!(rotated.out.contains(&keys[1]) && rotated.out.contains(old), "{}", rotated.out);
    let secrets = world.secrets();

    // The committee was formed with the old key, and may get a round.
    world.run("node forget").exits(4).says(&[old, "study 1", "epoch 1", "resigns"]);
    assert_eq!(world.held(), keys);
    let members = world.nodes.join(",");
    world.on_chain(&format!("study committee --study 1 --key sponsor.json --threshold 1 --member {members}")).exits(0);
    let done = world.run("node forget --json").exits(0).json();
    assert_eq!(done["erased"], serde_json::json!([old]));
    assert_eq!(world.held(), keys[1..]);
    let text = std::fs::read_to_string(world.at("node-1.json")).unwrap();
    assert!(!text.contains(&secrets[0]) && text.contains(&secrets[1]));

    assert!(node.terminate(), "the node ends well");
    let logged = std::fs::read_to_string(log).unwrap();
    assert!(logged.contains("the node is running") && secrets.iter().all(|secret| !logged.contains(secret)));
}

#[test]
fn a_rotation_that_is_killed_at_any_moment_loses_no_key_and_is_finished_by_the_next_run() {
    let world = World::new();
    let config = world.on_chain("node config --key node-1.json").exits(0).out;
    std::fs::write(world.at("node.toml"), config).unwrap();
    let mut before = world.held();
    for millis in [1, 3, 6, 10, 15, 20, 30, 50, 80, 120] {
        let mut child = command(world.folder.path());
        let mut child = child.args(["node", "rotate-key"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(millis));
        drop(child.kill());
        child.wait().unwrap();
        let after = world.held();
        assert_eq!(after[..before.len()], before, "a key is lost");
        before = after;
    }
    let last = world.run("node rotate-key --json").exits(0).json();
    let keys = world.held();
    assert_eq!(last["key_hash"].as_str(), keys.last().map(String::as_str), "the chain has the newest key of the file");
    // The next one replaces exactly that.
    let next = world.run("node rotate-key --json").exits(0).json();
    assert_eq!((&next["previous"], &next["resumed"]), (&last["key_hash"], &Value::Bool(false)));
    assert!(!world.at("node-1.json.new").exists() && !world.at("node-1.json.old").exists());
}

#[test]
fn key_files_of_another_version_and_nodes_that_are_not_registered_are_told_the_remedy() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new();
    let secret = "5a".repeat(32);
    let old = world.at("old.json");
    std::fs::write(&old, format!(r#"{{"signing_key":"0x{secret}","kem_secret":"0x{secret}"}}"#)).unwrap();
    std::fs::set_permissions(&old, std::fs::Permissions::from_mode(0o600)).unwrap();
    let done = world.run("keys show old.json").exits(2).says(&["old.json", "no version", "consilium keys new node"]);
    assert!(!done.err.contains(&secret));

    world.run("keys new node --out stranger.json").exits(0);
    let config = world.on_chain("node config --key stranger.json").exits(0).out;
    std::fs::write(world.at("stranger.toml"), config).unwrap();
    world.run("node rotate-key --config stranger.toml").exits(4).says(&["not registered", "consilium node register"]);
    world.run("node rotate-key --config absent.toml").exits(2).says(&["absent.toml", "--config"]);
    for (command, words) in [("rotate-key", ["key file", "--config"]), ("forget", ["exit code 4", "forget_keys"])] {
        let help = world.run(&format!("node {command} --help")).exits(0).out;
        assert!(words.iter().all(|word| help.contains(word)), "{help}");
    }
}
