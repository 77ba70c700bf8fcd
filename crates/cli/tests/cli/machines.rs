//! Several machines on one: every party has its own folder, and does everything with commands, as the README tells.

use super::support::{Done, Service, command, free_ports, run, until};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::{TempDir, tempdir};

const NODES: usize = 5;
pub const SITES: usize = 3;
const DIMENSION: usize = 40;
const WEIGHTS: [u64; SITES] = [10, 20, 50];
const WRONG_PIN: &str = "0x2222222222222222222222222222222222222222222222222222222222222222";

/// A safetensors file of two f32 tensors.
pub fn safetensors(values: &[f32]) -> Vec<u8> {
    let (split, end) = (4 * 32, 4 * values.len());
    let header = json!({
        "bias": { "dtype": "F32", "shape": [32], "data_offsets": [0, split] },
        "weight": { "dtype": "F32", "shape": [2, (end - split) / 8], "data_offsets": [split, end] },
    });
    let mut header = header.to_string();
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

/// The values of a file with the same two tensors, of f32 or f64, in the order of their names.
fn values(file: &Path) -> Vec<f64> {
    let bytes = std::fs::read(file).unwrap();
    let (length, rest) = bytes.split_first_chunk::<8>().unwrap();
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let header: Value = serde_json::from_slice(header).unwrap();
    let tensor = |name: &str| {
        let of = |i: usize| header[name]["data_offsets"][i].as_u64().unwrap() as usize;
        let data = &data[of(0)..of(1)];
        match header[name]["dtype"].as_str() {
            Some("F32") => data.as_chunks().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect::<Vec<_>>(),
            Some("F64") => data.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect(),
            other => panic!("{name} is of type {other:?}"),
        }
    };
    [tensor("bias"), tensor("weight")].concat()
}

/// What site i trains: small enough for the clip radius.
fn update(site: usize) -> Vec<f32> {
    (0..DIMENSION).map(|k| ((k * 7 + site * 13) % 11) as f32 / 100.0 - 0.05).collect()
}

pub fn base() -> Vec<f32> {
    (0..DIMENSION).map(|k| k as f32 / 10.0).collect()
}

/// The parties, their folders and what runs. Fields drop in order: nodes end before the chain.
pub struct World {
    nodes: Vec<Service>,
    _chain: Service,
    pub rpc: String,
    sponsor: String,
    /// Address and URL of every node.
    pub places: Vec<(String, String)>,
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        Self::in_folder(tempdir().unwrap())
    }

    /// In a folder that may have the certificates that everybody trusts, see [`command`].
    pub fn in_folder(folder: TempDir) -> Self {
        let dir = |name: String| std::fs::create_dir(folder.path().join(name)).unwrap();
        dir("sponsor".into());
        (1..=NODES).for_each(|j| dir(format!("node-{j}")));
        (1..=SITES).for_each(|i| dir(format!("site-{i}")));
        let key = |party: &str, role: &str| {
            let done = run(&folder.path().join(party), &["keys", "new", role, "--out", "key.json", "--json"]).exits(0);
            done.json()["address"].as_str().unwrap().to_owned()
        };
        let sponsor = key("sponsor", "account");
        let nodes: Vec<String> = (1..=NODES).map(|j| key(&format!("node-{j}"), "node")).collect();
        let sites: Vec<String> = (1..=SITES).map(|i| key(&format!("site-{i}"), "site")).collect();
        std::fs::write(folder.path().join("sponsor/sites.txt"), format!("# admitted\n{}\n", sites.join("\n"))).unwrap();

        let fund = [std::slice::from_ref(&sponsor), &nodes].concat().join(",");
        let arguments = ["chain", "serve", "--json", "--listen", "127.0.0.1:0", "--data", "chain", "--fund", &fund];
        let chain = Service::start(folder.path(), &arguments, &folder.path().join("chain.log"));
        let rpc = serde_json::from_str::<Value>(&chain.ready).unwrap()["rpc"].as_str().unwrap().to_owned();
        let urls = free_ports(NODES).into_iter().map(|port| format!("http://127.0.0.1:{port}"));
        let mut world =
            Self { nodes: Vec::new(), _chain: chain, rpc, sponsor, places: nodes.into_iter().zip(urls).collect(), folder };

        let rpc = world.rpc.clone();
        world.sponsor(&["chain", "deploy", "--trial", "--trial-token", "--rpc", &rpc, "--key", "key.json"]).exits(0);
        let parties = (1..=NODES).map(|j| format!("node-{j}")).chain((1..=SITES).map(|i| format!("site-{i}")));
        for party in parties {
            std::fs::copy(world.at("sponsor/addresses.json"), world.at(&party).join("addresses.json")).unwrap();
        }
        for j in 1..=NODES {
            world.start_node(j);
        }
        world
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn sponsor(&self, arguments: &[&str]) -> Done {
        run(&self.at("sponsor"), arguments)
    }

    fn start_node(&mut self, j: usize) {
        let dir = self.at(&format!("node-{j}"));
        let (rpc, operator) = (self.rpc.as_str(), format!("Operator {j}"));
        let arguments = ["--rpc", rpc, "--key", "key.json", "--operator", &operator, "--jurisdiction", "CH"];
        let registered = run(&dir, &[["node", "register", "--json"].as_slice(), &arguments].concat()).exits(0).json();
        assert_eq!(registered["address"].as_str(), Some(self.places[j - 1].0.as_str()));
        let bounds = ["--max-bond", "100000000000000000", "--minimum-window", "1"];
        let consent = ["node", "consent", &self.sponsor, "--rpc", rpc, "--key", "key.json", "--json"];
        let agreed = run(&dir, &[consent.as_slice(), &bounds].concat()).exits(0).json();
        assert_eq!((agreed["max_total"].as_str(), agreed["bonded"].as_str()), (Some("100000000000000000"), Some("0")));

        let listen = self.places[j - 1].1.trim_start_matches("http://");
        let mut arguments: Vec<String> =
            ["node", "config", "--rpc", rpc, "--key", "key.json", "--listen", listen].map(str::to_owned).to_vec();
        for (address, url) in self.places.iter().filter(|(address, _)| *address != self.places[j - 1].0) {
            arguments.extend(["--peer".to_owned(), format!("{address}={url}")]);
        }
        let config = run(&dir, &arguments).exits(0).out;
        std::fs::write(dir.join("node.toml"), config).unwrap();
        self.nodes.push(Service::start(&dir, &["node", "run", "--json"], &dir.join("node.log")));
    }

    /// A study of everyone; returns the committee's fingerprint.
    pub fn create_study(&self) -> String {
        let members = self.places.iter().map(|(address, _)| address.as_str()).collect::<Vec<_>>().join(",");
        let (rpc, dimension) = (self.rpc.as_str(), DIMENSION.to_string());
        let create = "study create --json --key key.json --threshold 1 --sites sites.txt --minimum-cohort 2 --finality instant";
        let mut arguments: Vec<&str> = create.split(' ').collect();
        let currency = self.currency();
        let money = ["--currency", &currency, "--budget", "1000", "--node-share", "2000", "--challenge-window", "1"];
        arguments.extend(["--rpc", rpc, "--dimension", &dimension, "--member", &members]);
        arguments.extend(money);
        assert_eq!(self.sponsor(&arguments).exits(0).json()["study"], 1);

        let shown = self.sponsor(&["study", "show", "--study", "1", "--rpc", rpc, "--json"]).exits(0).json();
        assert_eq!((&shown["dimension"], &shown["threshold"]), (&DIMENSION.into(), &1.into()));
        assert_eq!((&shown["sites"], &shown["minimum_cohort"]), (&SITES.into(), &2.into()));
        assert_eq!((&shown["program"], &shown["finality"]), (&"weighted-mean".into(), &"instant".into()));
        let committee: Vec<&str> = self.places.iter().map(|(address, _)| address.as_str()).collect();
        assert_eq!(shown["committee"], json!(committee));
        shown["fingerprint"].as_str().unwrap().to_owned()
    }

    /// Files that a site needs; `name` is that of its configuration.
    pub fn configure_site(&self, i: usize, name: &str, pin: &str) {
        let dir = self.at(&format!("site-{i}"));
        let mut text = format!(
            "rpc = [{:?}]\naddresses = \"addresses.json\"\nkey_file = \"key.json\"\ndata = \"data\"\n\n\
             [policy]\nminimum_cohort = 2\n\n[studies.1]\ncommittees = [{pin:?}]\n\n\
             [timeouts]\ndeliver = 40\nresult = 50\n\n[nodes]\n",
            self.rpc
        );
        for (address, url) in &self.places {
            writeln!(text, "{address:?} = {url:?}").unwrap();
        }
        std::fs::write(dir.join(name), text).unwrap();
        std::fs::write(dir.join("update.safetensors"), safetensors(&update(i))).unwrap();
        std::fs::write(dir.join("base.safetensors"), safetensors(&base())).unwrap();
    }

    fn contribution(&self, i: usize, config: &str) -> std::process::Command {
        let mut command = command(&self.at(&format!("site-{i}")));
        command.args("contribute --json --study 1 --round 1 --update update.safetensors --base base.safetensors".split(' '));
        command.args(["--config", config, "--weight", &WEIGHTS[i - 1].to_string()]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn contribute(&self, i: usize, config: &str) -> Done {
        Done::new(self.contribution(i, config).output().unwrap())
    }

    /// The trial currency, as everyone finds it in the addresses file.
    fn currency(&self) -> String {
        let addresses: Value = serde_json::from_slice(&std::fs::read(self.at("sponsor/addresses.json")).unwrap()).unwrap();
        addresses["trial_token"].as_str().unwrap().to_owned()
    }

    /// A command of a party about study 1, with the chain; its words are parted by spaces.
    pub fn about(&self, party: &str, words: &str) -> Done {
        let arguments = words.split(' ').chain(["--json", "--study", "1", "--rpc", &self.rpc]);
        run(&self.at(party), &arguments.collect::<Vec<_>>())
    }

    /// The same with every node's URL.
    fn at_nodes(&self, party: &str, words: &str) -> Done {
        let nodes: Vec<String> = self.places.iter().map(|(address, url)| format!("{address}={url}")).collect();
        self.about(party, &format!("{words} --node {}", nodes.join(",")))
    }

    pub fn round(&self) -> Value {
        self.sponsor(&["round", "show", "--json", "--study", "1", "--round", "1", "--rpc", &self.rpc]).exits(0).json()
    }

    pub fn audit(&self) -> Done {
        let mut arguments = vec!["audit".to_owned(), "--json".to_owned(), "--study".to_owned(), "1".to_owned()];
        arguments.extend(["--rpc".to_owned(), self.rpc.clone()]);
        for (address, url) in &self.places {
            arguments.extend(["--node".to_owned(), format!("{address}={url}")]);
        }
        run(&self.at("sponsor"), &arguments)
    }
}

#[test]
fn a_round_by_commands_only() {
    let mut world = World::new();
    let pin = world.create_study();
    for i in 1..=SITES {
        world.configure_site(i, "site.toml", &pin);
    }
    std::fs::write(world.at("sponsor/model.safetensors"), safetensors(&base())).unwrap();
    let mint = ["chain", "mint", "--json", "--key", "key.json", "--amount", "5000", "--rpc", &world.rpc];
    assert_eq!(world.sponsor(&mint).exits(0).json()["balance"], "5000");
    world.about("sponsor", "study fund --key key.json --amount 1000").exits(0);
    // What one endpoint says of the currency is nothing to sign for unasked.
    let permit = "study fund --key key.json --amount 500 --permit";
    world.about("sponsor", permit).exits(2).says(&["study 1 pays in 0x", "--currency"]);
    let other = format!("{permit} --currency 0x00000000000000000000000000000000000000aa");
    world.about("sponsor", &other).exits(4).says(&["--currency"]);
    world.about("sponsor", &format!("{permit} --currency {}", world.currency())).exits(0);
    world.about("sponsor", "study fund --key key.json --amount 99999").exits(4).says(&["ERC20InsufficientBalance"]);
    let open = "round open --json --study 1 --key key.json --model model.safetensors --certify-within 300 --settle-within 600";
    let mut arguments: Vec<&str> = open.split(' ').collect();
    arguments.extend(["--rpc", &world.rpc]);
    let opened = world.sponsor(&arguments).exits(0).json();
    assert_eq!(opened["round"], 1);
    let before = world.round();
    assert_eq!((&before["state"], &before["committee"], &before["subject"]), (&"Open".into(), &json!(pin), &opened["subject"]));

    // A site that was told of another committee sends nothing, and says what it was told and what it found.
    world.configure_site(1, "wrong.toml", WRONG_PIN);
    world.contribute(1, "wrong.toml").exits(4).says(&["fingerprint", &pin, WRONG_PIN]);

    // The same call again sends the same bytes.
    let first = world.contribute(1, "site.toml").exits(0).json();
    let again = world.contribute(1, "site.toml").exits(0).json();
    assert_eq!((&first["resumed"], &again["resumed"]), (&false.into(), &true.into()));
    assert_eq!(first["digest"], again["digest"]);
    assert!(first["receipts"]["receipts"].as_object().unwrap().len() >= 4, "Q receipts: {first}");

    // The same key with a data folder that was restored from before the round.
    let configured = std::fs::read_to_string(world.at("site-1/site.toml")).unwrap();
    std::fs::write(world.at("site-1/restored.toml"), configured.replace("data = \"data\"", "data = \"restored\"")).unwrap();
    let digest = first["digest"].as_str().unwrap();
    world.contribute(1, "restored.toml").exits(4).says(&["signed with this site's key", digest, "restored from a backup"]);

    let others: Vec<_> = (2..=SITES).map(|i| world.contribution(i, "site.toml").spawn().unwrap()).collect();
    for child in others {
        Done::new(child.wait_with_output().unwrap()).exits(0);
    }
    check_results(&world);
    check_payments(&world);
    check_forgotten(&world);
    check_licences(&world);
    check_watch(&world);

    let after = world.round();
    assert_eq!((&after["state"], &after["size"]), (&"Settled".into(), &SITES.into()));
    let report = world.audit().exits(0).json();
    assert_eq!(report["verdict"].as_str().map(str::to_lowercase).as_deref(), Some("pass"), "{report}");

    for node in world.nodes.drain(..) {
        assert!(node.terminate(), "a node ends well on SIGTERM");
    }
    assert_eq!(world.audit().code, 3, "an audit to which no node answers is incomplete, not failed");
}

/// Every site fetches the result; it is the weighted mean of the updates.
fn check_results(world: &World) {
    let total: u64 = WEIGHTS.iter().sum();
    let mean = |k: usize| (1..=SITES).map(|i| WEIGHTS[i - 1] as f64 * f64::from(update(i)[k])).sum::<f64>() / total as f64;
    for i in 1..=SITES {
        let dir = world.at(&format!("site-{i}"));
        let result = "result --json --study 1 --round 1 --base base.safetensors --out mean.safetensors --model next.safetensors";
        let result = run(&dir, &result.split(' ').collect::<Vec<_>>()).exits(0).json();
        assert_eq!((&result["sites"], &result["total_weight"]), (&SITES.into(), &total.into()));
        assert_eq!((&result["included"], &result["omission_proof"]), (&true.into(), &Value::Null));
        assert_eq!(result["node_faults"], json!([]));
        assert_eq!(result["aggregate_root"], world.round()["aggregate_root"]);
        let (got, next) = (values(&dir.join("mean.safetensors")), values(&dir.join("next.safetensors")));
        assert_eq!((got.len(), next.len()), (DIMENSION, DIMENSION));
        for k in 0..DIMENSION {
            assert!((got[k] - mean(k)).abs() < 1e-6, "coordinate {k}: {} is not {}", got[k], mean(k));
            assert!((next[k] - f64::from(base()[k]) - got[k]).abs() < 1e-6, "coordinate {k} of the next model");
        }
    }
}

/// The sponsor pays everyone; no site has a coin of native currency, nor sends anything.
fn check_payments(world: &World) {
    let pay = || {
        let paid = world.at_nodes("sponsor", "claim --all --key key.json").exits(0).json();
        (paid["total"] != "0").then_some(paid)
    };
    let paid = until("the challenge window is over", Duration::from_secs(30), pay);
    // 800 for three sites; 200 for the four or five that voted.
    let voters = paid["paid"].as_array().unwrap().iter().filter(|account| account["node"] == true).count() as u64;
    assert!((4..=5).contains(&voters), "{paid}");
    let expected = 3 * (800 / 3) + voters * (200 / voters);
    assert_eq!(paid["total"], expected.to_string());
    assert_eq!(world.at_nodes("site-1", "claim --all --key key.json").exits(0).json()["total"], "0", "each once");

    let books = world.at_nodes("site-1", "study money").exits(0).json();
    assert_eq!((&books["funded"], &books["free"], &books["claimed"]), (&"1500".into(), &"500".into(), &paid["total"]));
    let accounts = books["accounts"].as_array().unwrap();
    assert!(accounts.iter().all(|account| account["owed"] == "0" && account["later"] == "0"), "{books}");
    let sites = accounts.iter().filter(|account| account["paid"] == "266").count();
    assert_eq!(sites, SITES, "{books}");

    world.about("sponsor", "study withdraw --key key.json --amount 501").exits(4).says(&["FundsMissing"]);
    world.about("sponsor", "study withdraw --key key.json --amount 500").exits(0);
    world.about("node-1", "study rewards --key key.json --budget 5 --node-share 0").exits(4).says(&["sponsor"]);
    world.about("sponsor", "study rewards --key key.json --budget 0 --node-share 0").exits(0);
}

/// Nothing of a round that has just been paid is nobody's.
fn check_forgotten(world: &World) {
    world.at_nodes("site-1", "study return-forfeits --key key.json").exits(4).says(&["NothingOwed"]);
    let announced = world.at_nodes("site-1", "study announce-escheat --key key.json").exits(0).json();
    assert_eq!((&announced["announced"], &announced["transactions"]), (&json!([]), &json!([])));
    let escheat = "study escheat --key key.json";
    world.at_nodes("site-1", escheat).exits(2).says(&["--yes"]);
    let taken = world.at_nodes("site-1", &format!("{escheat} --yes")).exits(0).json();
    assert_eq!((&taken["amount"], &taken["transactions"]), (&"0".into(), &json!([])));
    let node = &world.places[0].0;
    world
        .at_nodes("site-1", &format!("study announce-unpaid-escheat --key key.json --account {node}"))
        .exits(2)
        .says(&["--node"]);
    world
        .about("site-1", &format!("study announce-unpaid-escheat --key key.json --account {node}"))
        .exits(4)
        .says(&["NothingOwed"]);
    let unpaid = format!("study escheat-unpaid --key key.json --account {node}");
    world.about("site-1", &unpaid).exits(2).says(&["--yes"]);
    world.about("site-1", &format!("{unpaid} --yes")).exits(4).says(&["EscheatTooEarly"]);
}

/// A stranger buys a licence and reads the result with it; what it paid goes to those who made it.
fn check_licences(world: &World) {
    std::fs::create_dir(world.at("buyer")).unwrap();
    std::fs::copy(world.at("sponsor/addresses.json"), world.at("buyer/addresses.json")).unwrap();
    let made = run(&world.at("buyer"), &["keys", "new", "account", "--out", "key.json", "--json"]).exits(0).json();
    let buyer = made["address"].as_str().unwrap();
    let download = "licence download --key key.json --round 1";
    world.at_nodes("buyer", download).exits(3).says(&["forbidden", "licence"]);

    world.about("sponsor", "licence offer --key key.json --price 700").exits(0);
    world.about("sponsor", &format!("licence buy --key key.json --to {buyer}")).exits(2).says(&["700", "--at-most"]);
    world.about("sponsor", &format!("licence buy --key key.json --to {buyer} --at-most 700")).exits(0);
    let shown = world.about("buyer", &format!("licence show --account {buyer}")).exits(0).json();
    assert_eq!((&shown["price"], &shown["account"]["may_download"]), (&"700".into(), &true.into()));
    let fetch = || {
        let done = world.at_nodes("buyer", download);
        (done.code == 0).then(|| done.json())
    };
    let fetched = until("the nodes know of the licence", Duration::from_secs(30), fetch);
    assert_eq!(fetched["aggregate_root"], world.round()["aggregate_root"]);

    let paid = world.at_nodes("sponsor", "claim --all --key key.json").exits(0).json();
    // Of the round's node share, a fifth: three sites weigh 8,000 each, whatever is paid to nodes by now.
    let (sites, nodes): (Vec<_>, Vec<_>) = paid["paid"].as_array().unwrap().iter().partition(|account| account["node"] == false);
    assert_eq!(sites.len(), SITES, "{paid}");
    assert!(sites.iter().all(|site| site["amount"] == "186" && site["revenue"] == "186"), "{paid}");
    assert!((4..=5).contains(&nodes.len()) && paid["refused"] == json!([]), "{paid}");
}

/// Anyone may watch; whoever may read the shares holds them against the settlement as well.
fn check_watch(world: &World) {
    let seen = world.at_nodes("sponsor", "watch --once --key key.json").exits(0).json();
    assert_eq!((&seen["outcome"], &seen["round"]), (&"sound".into(), &1.into()), "{seen}");
    let seen = world.at_nodes("buyer", "watch --once --dry-run --key key.json").exits(3).json();
    assert_eq!(seen["outcome"], "unavailable", "{seen}");
}

/// Roles, pauses, a sale and the end; and transactions that are made up for somebody else to send.
#[test]
fn a_study_is_governed_and_changes_hands_by_commands() {
    let world = World::new();
    world.create_study();
    let (guardian, buyer) = (world.places[0].0.clone(), world.places[1].0.clone());
    let policy = "study policy --key key.json --minimum-cohort 3 --finality depth:2";
    world.about("node-1", policy).exits(4).says(&["NotSponsor"]);
    world.about("sponsor", policy).exits(0);
    world.about("sponsor", &format!("study role --key key.json --role guardian --to {guardian}")).exits(0);
    world.about("sponsor", "study pause --key key.json --seconds 60").exits(4).says(&["NotGuardian"]);
    world.about("node-1", "study pause --key key.json --seconds 60").exits(0);
    world.about("sponsor", "study withdraw --key key.json --amount 0").exits(4).says(&["PausedUntil"]);
    world.about("node-1", "study resume --key key.json").exits(0);
    // A treasurer's own account is not where the sponsor's money goes unasked.
    world.about("sponsor", &format!("study role --key key.json --role treasurer --to {}", world.places[2].0)).exits(0);
    let withdrawn = world.about("node-3", "study withdraw --key key.json --amount 0").exits(0).json();
    assert_eq!(withdrawn["to"].as_str(), Some(world.sponsor.as_str()));

    let addresses: Value = serde_json::from_slice(&std::fs::read(world.at("sponsor/addresses.json")).unwrap()).unwrap();
    let offer = format!("study transfer --account {buyer}");
    let made = world.about("sponsor", &format!("{offer} --calldata --from {}", world.sponsor)).exits(0).json();
    assert_eq!(made["to"].as_str().map(str::to_lowercase), addresses["study_token"].as_str().map(str::to_lowercase));
    assert_eq!(made["value"], "0");
    // approve(address,uint256) of the buyer and study 1.
    let data = format!("0x095ea7b3{:0>64}{:0>64}", buyer.trim_start_matches("0x").to_lowercase(), "1");
    assert_eq!(made["data"].as_str(), Some(data.as_str()));
    // Nothing was sent, and what a contract would refuse is refused.
    world.about("node-2", "study take --key key.json").exits(4).says(&["ERC721InsufficientApproval"]);
    world.about("sponsor", &format!("study end --yes --calldata --from {buyer}")).exits(4).says(&["NotSponsor"]);
    world.about("sponsor", "study end --yes").exits(2).says(&["--key"]);

    world.about("sponsor", &format!("{offer} --key key.json")).exits(0);
    world.about("node-2", "study take --key key.json").exits(0);
    // A study that changes hands loses its roles and its committee, also to its own sponsor.
    world.about("node-2", "study take --key key.json").exits(2).says(&["is yours already"]);
    let shown = world.sponsor(&["study", "show", "--study", "1", "--rpc", &world.rpc, "--json"]).exits(0).json();
    assert_eq!((shown["sponsor"].as_str(), &shown["minimum_cohort"]), (Some(buyer.as_str()), &3.into()));
    world.about("sponsor", "study end --yes --key key.json").exits(4).says(&["NotSponsor"]);
    world.about("node-2", "study end --yes --key key.json").exits(0);
    world.about("node-2", "study end --yes --key key.json").exits(4).says(&["Ended"]);
    world.about("node-3", &format!("study payee --key key.json --account {guardian}")).exits(0);
    world.about("node-3", &format!("study unpaid --key key.json --account {guardian}")).exits(4).says(&["NothingOwed"]);
}
