//! What the node's own disk may do to it, and what must be gone from it.

use crate::harness::World;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

pub(crate) fn contributions(world: &World, node: usize) -> Vec<PathBuf> {
    files(&world.configs[node].data.join("blobs").join("contributions"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_share_that_the_disk_did_not_take_is_released_when_it_does() {
    let mut world = World::prepare(4, 2).await;
    // A file where a folder must be made: every write of a share or an aggregate fails.
    let obstacle = world.configs[0].data.join("blobs").join("rounds");
    std::fs::create_dir_all(obstacle.parent().unwrap()).unwrap();
    std::fs::write(&obstacle, b"").unwrap();
    for node in 0..4 {
        world.start_node(node).await;
    }
    let round = world.open_round(1, 600).await;
    for site in 0..2 {
        assert_eq!(world.upload(0, 1, world.contribution(&round.terms, site).body()).await.0, 200);
    }
    let share_roots = async || world.get_json(1, 1, "/statements").await["share_roots"].as_array().unwrap().len();
    world.eventually("the shares of the other three", async || share_roots().await == 3).await;
    // With four nodes nothing is settled without this one's.
    assert!(world.ledger.round(1, 1).await.unwrap().settlement.is_none());
    std::fs::remove_file(&obstacle).unwrap();
    let settled = world.settled(1).await;
    world.check_aggregate(&settled, &[0, 1]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn masked_vectors_and_boxes_of_a_settled_round_are_deleted_after_the_retention() {
    let mut world = World::prepare(4, 2).await;
    for node in 0..4 {
        // One node deletes soon, the others keep for a week.
        if node == 0 {
            world.configs[node].retention = Duration::from_secs(1);
        }
        world.start_node(node).await;
    }
    let round = world.open_round(1, 600).await;
    let mut sent = world.contribution(&round.terms, 0);
    world.resealed(&round.terms, 0, &mut sent, |boxes| boxes[0].fill(7));
    assert_eq!(world.upload(1, 1, sent.body()).await.0, 200);
    assert_eq!(world.upload(1, 1, world.contribution(&round.terms, 1).body()).await.0, 200);
    let settled = world.settled(1).await;
    world.eventually("empty folders", async || contributions(&world, 0).is_empty()).await;
    assert_eq!(contributions(&world, 1).len(), 4, "two headers and two masked vectors");
    let kept = files(&world.configs[0].data.join("blobs").join("rounds"));
    assert!(kept.iter().any(|path| path.ends_with("share")) && kept.iter().any(|path| path.ends_with("aggregate")));
    world.check_aggregate(&settled, &[0, 1]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn masked_vectors_and_boxes_of_a_void_round_are_deleted_when_it_is_final() {
    let world = World::start(4, 2).await;
    let round = world.open_round(1, 8).await;
    assert_eq!(world.upload(0, 1, world.contribution(&round.terms, 0).body()).await.0, 200);
    for node in 0..4 {
        world.eventually("the contribution", async || contributions(&world, node).len() == 2).await;
    }
    // One site is no cohort: the deadline passes, and blocks tell the time.
    for node in 0..4 {
        world
            .eventually("empty folders", async || {
                let _mined = world.sequencer.mine_empty();
                contributions(&world, node).is_empty()
            })
            .await;
        assert_eq!(world.get_json(node, 1, "").await["stage"], "closed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contribution_that_the_disk_damaged_is_pulled_again() {
    let mut world = World::start(4, 3).await;
    let round = world.open_round(1, 600).await;
    for site in 0..2 {
        assert_eq!(world.upload(1, 1, world.contribution(&round.terms, site).body()).await.0, 200);
    }
    for node in 0..4 {
        world.eventually("two contributions", async || world.get_json(node, 1, "").await["accepted"] == 2).await;
    }
    world.kill_node(0);
    // A changed bit, a missing end, a header that was made of something else.
    let mut damaged = contributions(&world, 0);
    damaged.sort();
    assert_eq!(damaged.len(), 4);
    for (place, path) in damaged.iter().enumerate() {
        let mut bytes = std::fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        match place {
            1 => bytes[middle] ^= 1,
            2 => bytes.fill(7),
            3 => bytes.truncate(middle),
            _ => continue,
        }
        std::fs::write(path, bytes).unwrap();
    }
    world.start_node(0).await;
    assert_eq!(world.upload(1, 1, world.contribution(&round.terms, 2).body()).await.0, 200);
    // With four nodes nothing is certified without this one's vote.
    let settled = world.settled(1).await;
    assert_eq!(settled.certificate.as_ref().unwrap().vote.size, 3);
    world.check_aggregate(&settled, &[0, 1, 2]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_ends_after_its_round_is_void_leaves_nothing() {
    let world = World::start(4, 2).await;
    let round = world.open_round(1, 6).await;
    let body = world.contribution(&round.terms, 0).body();
    let (first, rest) = body.split_at(body.len() - 100);
    let mut late = tokio::net::TcpStream::connect(world.url(0).trim_start_matches("http://")).await.unwrap();
    let head =
        format!("POST /v1/studies/1/rounds/1/contributions HTTP/1.1\r\nhost: node\r\ncontent-length: {}\r\n\r\n", body.len());
    late.write_all(head.as_bytes()).await.unwrap();
    late.write_all(first).await.unwrap();
    assert_eq!(world.upload(0, 1, world.contribution(&round.terms, 1).body()).await.0, 200);
    world.eventually("the other contribution", async || contributions(&world, 0).len() >= 2).await;
    world
        .eventually("nothing but what is on its way", async || {
            let _mined = world.sequencer.mine_empty();
            contributions(&world, 0).iter().all(|path| !path.ends_with("header"))
        })
        .await;
    late.write_all(rest).await.unwrap();
    let mut answer = [0; 12];
    late.read_exact(&mut answer).await.unwrap();
    assert_eq!(std::str::from_utf8(&answer).unwrap(), "HTTP/1.1 409");
    assert!(contributions(&world, 0).is_empty(), "{:?}", contributions(&world, 0));
}
