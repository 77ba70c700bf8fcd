//! A node's folder is put back from an older copy.

use crate::harness::World;
use std::path::Path;

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Node 2's copy is older than the round: of what it signed in it, it knows what the others tell it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_folder_is_older_than_its_receipts_takes_part_and_signs_nothing_twice() {
    let mut world = World::start(5, 3).await;
    world.kill_node(1);
    let older = world.folder.path().join("older");
    copy(&world.configs[1].data, &older);
    world.start_node(1).await;
    let round = world.open_round(1, 600).await;
    let number = round.terms.round;
    for site in 0..2 {
        assert_eq!(world.upload(0, number, world.contribution(&round.terms, site).body()).await.0, 200);
    }
    let receipts = async |node: usize| {
        let said = world.get_json(node, number, "/statements").await["receipts"].as_array().unwrap().clone();
        said.into_iter().filter(|receipt| receipt["node"] == 2).collect::<Vec<_>>()
    };
    world.eventually("both receipts of node 2", async || receipts(0).await.len() == 2).await;
    let before = receipts(0).await;
    world.kill_node(1);
    world.configs[1].data = older;
    world.start_node(1).await;
    let receipts = async |node: usize| {
        let said = world.get_json(node, number, "/statements").await["receipts"].as_array().unwrap().clone();
        said.into_iter().filter(|receipt| receipt["node"] == 2).collect::<Vec<_>>()
    };
    world.eventually("its receipts, from the others", async || receipts(1).await.len() == 2).await;
    assert_eq!(receipts(1).await, before);
    assert_eq!(world.upload(3, number, world.contribution(&round.terms, 2).body()).await.0, 200);
    let settled = world.settled(number).await;
    world.check_aggregate(&settled, &[0, 1, 2]).await;
    world.eventually("its own part", async || world.get_json(1, number, "").await["stage"] == "settled").await;
    let statements = world.get_json(0, number, "/statements").await;
    assert_eq!(statements["evidence"].as_array().unwrap().len(), 0, "{statements}");
    assert_eq!(receipts(0).await.len(), 3);
}
