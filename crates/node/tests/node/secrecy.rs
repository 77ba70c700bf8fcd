//! Seeds travel only in sealed boxes and are never on a disk: all bytes of all connections and all files of all folders
//! are searched for every seed, raw and as hex.

use crate::harness::{World, hex};
use std::path::Path;

fn files(folder: &Path, found: &mut Vec<Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(std::fs::read(&path).unwrap());
        }
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    let [first, ..] = needle else { return true };
    let starts = haystack.iter().enumerate().filter(|(_, byte)| *byte == first).map(|(i, _)| i);
    starts.into_iter().any(|i| haystack[i..].starts_with(needle))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_seed_is_in_any_byte_on_the_wire_or_on_disk() {
    let mut world = World::start(4, 3).await;
    let round = world.open_round(1, 600).await;
    let number = round.terms.round;
    let mut sent: Vec<_> = (0..3).map(|site| world.contribution(&round.terms, site)).collect();
    // Repair answers, which carry seeds, are on the wire as well.
    world.resealed(&round.terms, 0, &mut sent[0], |boxes| boxes[3].fill(1));
    for one in &sent {
        let answer = world.upload(0, number, one.body()).await;
        assert_eq!(answer.0, 200, "{}", answer.1);
    }
    world.settled(number).await;
    for node in 0..4 {
        if let Some(running) = world.nodes[node].take() {
            running.shutdown().await;
        }
        world.proxies[node].point_to(None);
    }
    world.client = reqwest::Client::new();
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;

    let mut bytes = world.recorded.lock().unwrap().clone();
    let on_wire = bytes.iter().map(Vec::len).sum::<usize>();
    files(world.folder.path(), &mut bytes);
    let on_disk = bytes.iter().map(Vec::len).sum::<usize>() - on_wire;
    // The search would find something that is there: a masked vector, and a repair.
    let masked = &sent[1].values[..32];
    assert!(bytes.iter().filter(|haystack| contains(haystack, masked)).count() >= 2);
    assert!(bytes.iter().any(|haystack| contains(haystack, b"seed_request")) && bytes.iter().any(|h| contains(h, b"\"seeds\"")));
    assert!(on_wire > 100_000 && on_disk > 100_000, "{on_wire} bytes on the wire, {on_disk} on disk");
    for seed in sent.iter().flat_map(|one| one.seeds.as_slice()) {
        let (raw, text) = (seed.expose(), hex(seed.expose()));
        for haystack in &bytes {
            assert!(!contains(haystack, raw), "a seed is in the clear");
            assert!(!contains(haystack, text.as_bytes()) && !contains(haystack, text.to_uppercase().as_bytes()), "a seed as hex");
        }
    }
}
