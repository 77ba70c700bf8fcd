//! KEM keys of running nodes: rotated beside them, used by the committees that were formed with them, and erased.

use crate::harness::{Gate, World, hex, now};
use alloy_primitives::{Address, B256, keccak256};
use consilium_core::contribution::Contribution;
use consilium_core::seal::{BoxContext, KemSecret};
use consilium_ledger::{Endpoints, Ledger, Round, State};
use consilium_node::{
    Deployment, Epoch, Forgotten, Hold, KemKey, Kept, KeyStore, Look, Node, NodeKeys, Phase, Rotated, forget, rotate,
};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Longer than any test.
const LONG: u64 = 100_000;

/// Gives a node its keys in a file in its folder, and starts it with that. A change that broke off has left something.
async fn start_with_file(world: &mut World, node: usize) -> PathBuf {
    let path = world.configs[node].data.join("key.json");
    std::fs::create_dir_all(&world.configs[node].data).unwrap();
    world.keys[node].create(&path).unwrap();
    let leftover = world.configs[node].data.join("key.json.old");
    std::fs::write(&leftover, "an old secret").unwrap();
    world.configs[node].key_file = path.clone();
    restart(world, node).await;
    assert!(!leftover.exists(), "a node clears up when it starts");
    path
}

async fn restart(world: &mut World, node: usize) {
    let builder = Node::builder(world.configs[node].clone());
    world.adopt(node, builder).await;
}

/// As the command does it, in a process of its own.
async fn rotated(path: &Path, ledger: &Ledger) -> Rotated {
    rotate(&Arc::new(KeyStore::open(path).unwrap()), ledger).await.unwrap()
}

async fn forgotten(path: &Path, ledgers: Vec<Ledger>, retention: u64) -> Forgotten {
    let look = Look { retention, now: now(), held: BTreeSet::new() };
    forget(&Arc::new(KeyStore::open(path).unwrap()), &Endpoints::new(ledgers).unwrap(), &look).await.unwrap()
}

fn held(path: &Path) -> Vec<B256> {
    KeyStore::open(path).unwrap().keys().kem_keys().iter().map(KemKey::hash).collect()
}

impl World {
    async fn open_in(&self, study: u64, subject: u8) -> Round {
        let deadline = now() + 600;
        let subject = B256::repeat_byte(subject);
        let opened = self.ledger.open_round(&self.sponsor, study, subject, deadline, deadline + 600).await.unwrap();
        self.ledger.round(study, opened.output).await.unwrap()
    }

    async fn form_committee(&self, study: u64) {
        let nodes: Vec<_> = self.keys.iter().map(NodeKeys::address).collect();
        self.ledger.set_committee(&self.sponsor, study, 1, &nodes).await.unwrap();
    }

    async fn contribute(&self, round: &Round, sites: usize, spoil: Option<usize>) {
        let (study, number) = (round.terms.study, round.terms.round);
        for site in 0..sites {
            let mut sent = self.contribution(&round.terms, site);
            if let Some(node) = spoil.filter(|_| site == 0) {
                self.resealed(&round.terms, site, &mut sent, |boxes| boxes[node].fill(7));
            }
            let path = format!("/v1/studies/{study}/rounds/{number}/contributions");
            let answer = self.post(1, &path, sent.body()).await;
            assert_eq!(answer.0, 200, "{}", answer.1);
        }
    }

    async fn is_settled(&self, round: &Round) -> Round {
        let (study, number) = (round.terms.study, round.terms.round);
        let read = async || self.ledger.round(study, number).await.unwrap();
        self.eventually("the settlement", async || read().await.state == State::Settled).await;
        read().await
    }
}

fn key_of(round: &Round, node: usize) -> B256 {
    keccak256(&round.terms.committee.members()[node].kem_key)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_rotation_beside_the_node_old_epochs_open_old_boxes_and_new_ones_the_new_key() {
    let mut world = World::prepare(4, 2).await;
    let path = start_with_file(&mut world, 0).await;
    for node in 1..4 {
        world.start_node(node).await;
    }
    assert_eq!(world.create_study().await, 2);
    let old = held(&path)[0];
    let Rotated { key, previous, resumed, .. } = rotated(&path, &world.ledger).await;
    assert_eq!((previous, resumed, held(&path)), (old, false, vec![old, key.hash()]));
    world.form_committee(1).await;

    // Four nodes settle only together, so this one opens its boxes with both keys, and the answer to its request for
    // repair with the new one.
    let (new_epoch, old_epoch) = (world.open_in(1, 1).await, world.open_in(2, 2).await);
    assert_eq!((key_of(&new_epoch, 0), key_of(&old_epoch, 0)), (key.hash(), old));
    world.contribute(&old_epoch, 2, None).await;
    world.contribute(&new_epoch, 2, Some(0)).await;
    world.is_settled(&old_epoch).await;
    let settled = world.is_settled(&new_epoch).await;
    world.check_aggregate(&settled, &[0, 1]).await;

    // The same after a restart, and for a repair under the old key.
    world.kill_node(0);
    restart(&mut world, 0).await;
    let again = world.open_in(2, 3).await;
    world.contribute(&again, 2, Some(0)).await;
    world.is_settled(&again).await;

    let at = Deployment::of(&world.addresses);
    let served = |hash: B256| -> Vec<Epoch> {
        let keys = KeyStore::open(&path).unwrap().keys();
        let key = keys.kem_keys().iter().find(|key| key.hash() == hash).unwrap().clone();
        key.uses().iter().filter(|one| one.deployment() == at).flat_map(|one| one.committees().clone()).collect()
    };
    assert_eq!(served(old), [Epoch { study: 2, epoch: 1 }]);
    assert_eq!(served(key.hash()), [Epoch { study: 1, epoch: 2 }]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_that_breaks_off_before_the_chain_is_finished_by_the_next_run() {
    let world = World::prepare(4, 2).await;
    let path = world.folder.path().join("key.json");
    world.keys[0].create(&path).unwrap();
    let old = held(&path)[0];
    let gate = Gate::start(&world.sequencer).await;
    let ledger = Ledger::connect(&gate.url, world.addresses).await.unwrap();
    let registered = async || world.ledger.kem_key_hash(world.keys[0].address()).await.unwrap().unwrap();

    gate.refuse(|body| body.contains("eth_sendRawTransaction"));
    for _ in 0..2 {
        rotate(&Arc::new(KeyStore::open(&path).unwrap()), &ledger).await.unwrap_err();
        assert_eq!((held(&path).len(), held(&path)[0], registered().await), (2, old, old));
    }
    let waiting = held(&path)[1];
    gate.refuse(|_| false);
    let done = rotated(&path, &ledger).await;
    assert_eq!((done.key.hash(), done.previous, done.resumed), (waiting, old, true));
    assert_eq!((registered().await, held(&path)), (waiting, vec![old, waiting]));

    // At once, from two processes: whichever is last, the chain has a key that the file holds, and no key is lost.
    let (one, other) = tokio::join!(rotated(&path, &ledger), rotated(&path, &ledger));
    let keys = held(&path);
    assert_eq!(keys[..2], [old, waiting]);
    assert!(keys[2..].contains(&one.key.hash()) && keys[2..].contains(&other.key.hash()));
    assert!(keys[2..].contains(&registered().await));
    // An unregistered node has no key to replace.
    let stranger = world.folder.path().join("stranger.json");
    NodeKeys::generate().unwrap().create(&stranger).unwrap();
    let error = rotate(&Arc::new(KeyStore::open(&stranger).unwrap()), &ledger).await.unwrap_err().to_string();
    assert!(error.contains("consilium node register") && held(&stranger).len() == 1, "{error}");
}

fn holds(done: &Forgotten, key: B256) -> Vec<Hold> {
    assert!(done.erased.is_empty(), "{done:?}");
    done.kept.iter().find(|kept| kept.key_hash == key).unwrap().holds.iter().cloned().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_kept_while_a_window_is_open_and_then_erased_so_that_nothing_opens_its_boxes() {
    let mut world = World::prepare(4, 2).await;
    world.configs[0].forget_keys = false;
    let path = start_with_file(&mut world, 0).await;
    for node in 1..4 {
        world.start_node(node).await;
    }
    let study = world.create_study_with(4).await;
    let (old, ledger) = (held(&path)[0], world.ledger.clone());
    let look = async |retention| forgotten(&path, vec![ledger.clone()], retention).await;
    assert_eq!(holds(&look(0).await, old), [Hold::Current]);

    let round = world.open_in(study, 1).await;
    rotated(&path, &ledger).await;
    world.form_committee(1).await;
    let committee = Epoch { study, epoch: 1 };
    let in_phase = |phase, until| Hold::Round { committee, round: 1, phase, until };
    let collecting = in_phase(Phase::Collecting, Some(round.terms.policy.deadline));
    assert_eq!(holds(&look(0).await, old), [Hold::Sits(committee), collecting]);
    assert!(holds(&look(0).await, old)[1].to_string().contains(&round.terms.policy.deadline.to_string()));

    world.contribute(&round, 2, None).await;
    let settled = world.is_settled(&round).await;
    world.form_committee(study).await;
    let settled_at = settled.settlement.unwrap().at.block.number;
    let settled_at = ledger.block(settled_at.into()).await.unwrap().unwrap().timestamp;
    let challenged = in_phase(Phase::Challengeable, Some(settled_at + 4));
    assert_eq!(holds(&look(0).await, old), [challenged]);
    world
        .eventually("the end of the challenge window", async || {
            let _mined = world.sequencer.mine_empty();
            ledger.head().await.unwrap().timestamp >= settled_at + 4
        })
        .await;
    assert_eq!(holds(&look(LONG).await, old), [in_phase(Phase::Retained, Some(settled_at + LONG))]);

    // The boxes are still in the node's folder, since its own retention is a week.
    let (secrets, boxes) = (secrets_in(&path), boxes_in(&world, &round));
    assert_eq!(boxes.len(), 2);
    let opens = |secret: &[u8; 32]| {
        let secret = KemSecret::from_bytes(secret);
        boxes.iter().filter(|(context, sealed)| secret.open_box(context, sealed).is_ok()).count()
    };
    assert_eq!(secrets.iter().map(opens).collect::<Vec<_>>(), [2, 0]);
    assert!(copies_of(&secrets[0], &world.configs[0].data) > 0, "the search finds what is there");

    assert_eq!(look(0).await.erased, [old]);
    assert_eq!(secrets_in(&path), secrets[1..]);
    assert_eq!(copies_of(&secrets[0], &world.configs[0].data), 0);
    assert_eq!(boxes_in(&world, &round).len(), 2, "it is for want of the key that they do not open");
    assert_eq!(secrets_in(&path).iter().map(opens).sum::<usize>(), 0);
    assert!(look(0).await.erased.is_empty());
    assert_eq!(held(&path).len(), 1);
}

/// The KEM secrets in a key file.
fn secrets_in(path: &Path) -> Vec<[u8; 32]> {
    let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let secret = |entry: &Value| entry["secret"].as_str().unwrap().parse::<B256>().unwrap().0;
    file["kem_keys"].as_array().unwrap().iter().map(secret).collect()
}

/// What is sealed to node 0 in its own folder.
fn boxes_in(world: &World, round: &Round) -> Vec<(BoxContext, Vec<u8>)> {
    let headers = crate::disk::contributions(world, 0).into_iter().filter_map(|path| {
        let bytes = std::fs::read(path).unwrap();
        Contribution::from_bytes(&bytes, &round.terms.shape()).ok()
    });
    let context = round.terms.context();
    let opened = headers.map(|header| {
        let digest = header.authenticate(&round.terms.domain, &context).unwrap();
        (BoxContext { ctx: context.of_site(header.site), digest, node: 1 }, header.boxes[0].clone())
    });
    opened.collect()
}

/// How many files below a folder have a secret in them, raw or as hex.
fn copies_of(secret: &[u8; 32], folder: &Path) -> usize {
    let needles = [secret.to_vec(), hex(secret).into_bytes(), hex(secret).to_uppercase().into_bytes()];
    let has = |bytes: &[u8], needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    let mut found = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        found += if path.is_dir() {
            copies_of(secret, &path)
        } else {
            let bytes = std::fs::read(&path).unwrap();
            usize::from(needles.iter().any(|needle| has(&bytes, needle)))
        };
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_erases_replaced_keys_by_itself_unless_it_is_told_not_to() {
    let mut world = World::prepare(4, 2).await;
    let mut paths = Vec::new();
    for node in 0..4 {
        world.configs[node].retention = Duration::from_secs(1);
        world.configs[node].forget_keys = node != 1;
        paths.push(start_with_file(&mut world, node).await);
    }
    let study = world.create_study_with(1).await;
    let round = world.open_in(study, 1).await;
    for path in &paths {
        rotated(path, &world.ledger).await;
    }
    world.form_committee(1).await;
    world.contribute(&round, 2, None).await;
    world.is_settled(&round).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    for path in &paths {
        assert_eq!(held(path).len(), 2, "the committee sits: its next round needs the keys");
    }
    world.form_committee(study).await;
    for node in [0, 2, 3] {
        world
            .eventually("one key", async || {
                let _mined = world.sequencer.mine_empty();
                held(&paths[node]).len() == 1
            })
            .await;
    }
    assert_eq!(held(&paths[1]).len(), 2);
    // They serve the next epoch with the keys that are left.
    let next = world.open_in(study, 2).await;
    world.contribute(&next, 2, None).await;
    world.is_settled(&next).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_erased_on_the_word_of_one_endpoint_or_deployment() {
    let world = World::prepare(4, 2).await;
    let path = world.folder.path().join("key.json");
    world.keys[0].create(&path).unwrap();
    let (old, store) = (held(&path)[0], KeyStore::open(&path).unwrap());
    rotated(&path, &world.ledger).await;
    let gate = Gate::start(&world.sequencer).await;
    let liar = Ledger::connect(&gate.url, world.addresses).await.unwrap();
    let formed = alloy_primitives::keccak256("CommitteeFormed(uint64,uint64,uint8,address[],bytes32[])").to_string();
    let hide = move |request: &str, answer: &mut Value| {
        if request.contains("eth_getLogs") && request.contains(&formed) {
            answer["result"] = Value::Array(Vec::new());
        }
    };
    gate.change(hide);
    let sits = Hold::Sits(Epoch { study: 1, epoch: 1 });
    let both = vec![liar.clone(), world.ledger.clone()];
    assert_eq!(holds(&forgotten(&path, both, 0).await, old), std::slice::from_ref(&sits));

    // Alone it is not believed either about a committee that the node has served.
    let at = Deployment::of(&world.addresses);
    store.note(old, at, Some(Epoch { study: 1, epoch: 1 })).unwrap();
    assert_eq!(holds(&forgotten(&path, vec![liar.clone()], 0).await, old), [sits]);
    // Nor about a study that it does not show.
    store.note(old, at, Some(Epoch { study: 9, epoch: 3 })).unwrap();
    let unseen = holds(&forgotten(&path, vec![liar.clone()], 0).await, old);
    assert!(unseen.iter().any(|hold| matches!(hold, Hold::Unseen { committee, .. } if committee.study == 9)), "{unseen:?}");

    // A key that another deployment has as well is released here, and stays.
    let fresh = world.folder.path().join("fresh.json");
    world.keys[0].create(&fresh).unwrap();
    let elsewhere = Deployment { chain_id: 5, contract: Address::repeat_byte(5) };
    KeyStore::open(&fresh).unwrap().note(old, elsewhere, None).unwrap();
    rotated(&fresh, &world.ledger).await;
    let shown = forgotten(&fresh, vec![liar.clone()], 0).await;
    assert_eq!(holds(&shown, old), [Hold::Elsewhere(elsewhere)]);
    assert!(shown.kept[0].holds.iter().next().unwrap().to_string().contains("chain 5"));

    // The registered key stays also when the file has another one after it.
    let gone = world.folder.path().join("gone.json");
    world.keys[1].create(&gone).unwrap();
    gate.refuse(|body| body.contains("eth_sendRawTransaction"));
    rotate(&Arc::new(KeyStore::open(&gone).unwrap()), &liar).await.unwrap_err();
    let kept = forgotten(&gone, vec![liar], 0).await;
    assert!(kept.erased.is_empty() && kept.kept.len() == 2 && kept.kept.iter().all(Kept::is_current), "{kept:?}");
}
