//! Whatever arrives, the caller gets a clear error and the service goes on.

use crate::harness::{Gate, World, code, now, reads_history};
use alloy_primitives::{B256, keccak256};
use consilium_core::cores::Cores;
use consilium_core::eip712::{Access, SecretKey};
use consilium_core::transcript::access_object;
use consilium_node::{Config, Node, NodeKeys};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_uploads_are_refused_by_their_fault_and_the_round_settles_all_the_same() {
    let world = World::start(4, 2).await;
    let round = world.open_round(1, 600).await;
    let number = round.terms.round;
    let sent = world.contribution(&round.terms, 0);
    let good = sent.body();
    let header_end = 4 + sent.header.to_bytes().len();
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut random = vec![0; 5000];
    rng.fill_bytes(&mut random);
    random[2..4].fill(0);

    let changed = |at: usize| {
        let mut body = good.clone();
        body[at] ^= 1;
        body
    };
    let huge_header = [&u32::MAX.to_le_bytes()[..], &good[4..]].concat();
    let longer = [&good[..], &[0; 8]].concat();
    let much_longer = [&good[..], &vec![0; 4 << 20][..]].concat();
    for (what, body, expected) in [
        ("nothing", Vec::new(), (400, "format")),
        ("three bytes", vec![1, 2, 3], (400, "format")),
        ("random bytes", random, (400, "format")),
        ("huge header", huge_header, (413, "too-large")),
        ("truncated header", good[..header_end - 1].to_vec(), (400, "format")),
        ("no values", good[..header_end].to_vec(), (400, "format")),
        ("truncated values", good[..good.len() - 1].to_vec(), (400, "format")),
        ("longer values", longer, (413, "too-large")),
        ("much longer values", much_longer, (413, "too-large")),
        ("a changed value", changed(good.len() - 3), (400, "format")),
        ("another version", changed(4), (400, "format")),
        ("another study", changed(5), (422, "wrong-round")),
        ("a changed commitment", changed(4 + 1 + 16 + 20 + 32), (422, "signature")),
        ("a site that is not admitted", changed(4 + 1 + 16), (403, "not-admitted")),
        ("a changed signature", changed(header_end - 40), (422, "signature")),
    ] {
        let answer = world.upload(0, number, body).await;
        assert_eq!(code(&answer), expected, "{what}: {}", answer.1);
        assert!(!answer.1["error"]["remedy"].as_str().unwrap().is_empty());
    }
    let answer = world.upload(0, number + 9, good.clone()).await;
    assert_eq!(code(&answer), (404, "unknown-round"));
    let answer = world.post(0, "/v1/studies/x/rounds/1/contributions", good.clone()).await;
    assert_eq!(code(&answer), (400, "format"));
    assert_eq!(code(&world.post(0, "/v1/nothing", Vec::new()).await), (404, "not-found"));

    assert_eq!(world.upload(0, number, good.clone()).await.0, 200);
    assert_eq!(world.upload(0, number, good).await.0, 200, "the same again is the same");
    let second = world.contribution(&round.terms, 0).body();
    assert_eq!(code(&world.upload(0, number, second).await), (409, "second-contribution"));
    assert_eq!(world.upload(3, number, world.contribution(&round.terms, 1).body()).await.0, 200);
    let settled = world.settled(number).await;
    world.check_aggregate(&settled, &[0, 1]).await;
    world.eventually("closed", async || world.get_json(0, number, "").await["stage"] == "settled").await;
    assert_eq!(code(&world.upload(0, number, world.contribution(&round.terms, 0).body()).await), (409, "round-closed"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_false_proof_is_rejected_at_its_step_and_shown() {
    let world = World::start(4, 2).await;
    let round = world.open_round(1, 600).await;
    let number = round.terms.round;
    let mut sent = world.contribution(&round.terms, 0);
    sent.header.body.witness[0] += consilium_core::field::Fp::ONE;
    // Boxes are bound to the digest, so that they are sealed once more.
    let context = round.terms.context();
    let contributor = consilium_core::contribution::Contributor {
        domain: round.terms.domain,
        committee: &round.terms.committee,
        program: &*round.terms.program,
        context: &context,
        key: &world.sites[0],
    };
    let site = world.sites[0].address();
    let digest = sent.header.body.digest(&context.of_site(site));
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let bound = [context.of_site(site), digest];
    let boxes = consilium_core::seal::seal_boxes(Cores::ONE, &round.terms.committee, bound, &sent.seeds, &mut rng);
    sent.header = contributor.sign(sent.header.body.clone(), boxes);
    assert_eq!(code(&world.upload(0, number, sent.body()).await), (422, "proof"));
    let rejected = world.get_json(0, number, "").await["rejected"].clone();
    assert_eq!((&rejected[0]["step"], rejected.as_array().unwrap().len()), (&"proof".into(), 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vectors_are_for_those_whom_the_chain_names_and_capabilities_end() {
    let world = World::start(4, 2).await;
    let auditor = SecretKey::from_bytes(&[77; 32]).unwrap();
    let stranger = SecretKey::from_bytes(&[78; 32]).unwrap();
    world.ledger.set_auditor(&world.sponsor, 1, auditor.address(), true).await.unwrap();
    let round = world.open_round(1, 600).await;
    let number = round.terms.round;
    let mut digests = Vec::new();
    for site in 0..2 {
        let (status, answer) = world.upload(0, number, world.contribution(&round.terms, site).body()).await;
        assert_eq!(status, 200);
        digests.push(answer["digest"].as_str().unwrap().to_owned());
    }
    world.settled(number).await;
    let values = format!("/contributions/{}/values", digests[0]);
    let header = format!("/contributions/{}/header", digests[0]);
    let (member, sponsor) = (world.member_key(2), world.sponsor.key().unwrap());
    let (own, other) = (&world.sites[0], &world.sites[1]);
    for (rest, key, expected) in [
        (&*values, None, 401),
        (&values, Some(&stranger), 403),
        (&values, Some(other), 403),
        (&values, Some(own), 200),
        (&header, Some(own), 200),
        (&header, Some(member), 200),
        (&values, Some(&auditor), 200),
        (&values, Some(sponsor), 200),
        ("/share", None, 401),
        ("/share", Some(own), 403),
        ("/share", Some(member), 200),
        ("/share", Some(&auditor), 200),
        ("/aggregate", Some(&stranger), 403),
        ("/contributions/0x12/values", Some(member), 400),
    ] {
        let (status, body) = world.get(0, number, rest, key).await;
        assert_eq!(status, expected, "{rest}: {}", String::from_utf8_lossy(&body));
    }
    let path = format!("/v1/studies/1/rounds/{number}/share");
    let (expired, endless) = (now() - 1, now() + 1000);
    for (capability, words) in [
        (world.capability(member, number, "GET", &path, b"", expired), "expired"),
        (world.capability(member, number, "GET", &path, b"", endless), "expired"),
        (world.capability(member, number, "POST", &path, b"", now() + 9), "forbidden"),
        (world.capability(member, number, "GET", "/v1/other", b"", now() + 9), "forbidden"),
        (world.capability(member, number + 1, "GET", &path, b"", now() + 9), "unauthorised"),
        ("Bearer x".to_owned(), "unauthorised"),
    ] {
        let request = world.client.get(format!("{}{path}", world.url(0))).header("authorization", capability);
        let answer = request.send().await.unwrap().text().await.unwrap();
        assert!(answer.contains(words), "{words}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_taken_from_members_only_and_garbage_is_refused() {
    let world = World::start(4, 2).await;
    let round = world.open_round(1, 600).await;
    let path = format!("/v1/studies/1/rounds/{}/messages", round.terms.round);
    let stranger = SecretKey::from_bytes(&[78; 32]).unwrap();
    world.eventually("the round", async || world.get(0, round.terms.round, "", None).await.0 == 200).await;
    let announce = |body: &[u8]| format!("{}.{}", keccak256(body), body.len());
    let send_as = async |key: &SecretKey, announced: String, body: &[u8]| {
        let capability = world.capability(key, round.terms.round, "POST", &path, announced.as_bytes(), now() + 9);
        let request = world.client.post(format!("{}{path}", world.url(0))).header("authorization", capability);
        request.header("consilium-body", announced).body(body.to_vec()).send().await.unwrap().status().as_u16()
    };
    let send = async |key: &SecretKey, body: &[u8]| send_as(key, announce(body), body).await;
    let member = world.member_key(1);
    assert_eq!(send(member, b"[]").await, 204);
    assert_eq!(send(&stranger, b"[]").await, 403);
    assert_eq!(send(&world.sites[0], b"[]").await, 403);
    for garbage in [&b""[..], b"{}", b"[1]", b"[{\"type\":\"vote\"}]", b"[{\"type\":\"seeds\",\"body\":{}}]", &[0xff; 100]] {
        assert_eq!(send(member, garbage).await, 400, "{garbage:?}");
    }
    let nested = "[".repeat(100_000);
    assert_eq!(send(member, nested.as_bytes()).await, 400);
    assert_eq!(send_as(member, format!("{}.{}", B256::ZERO, (16 << 20) + 1), b"[]").await, 413);
    // Another body than the announced one, longer, shorter, or of the same length.
    for (announced, sent) in [(&b"[]"[..], &b"[] "[..]), (b"[] ", b"[]"), (b"[ ]", b"[] ")] {
        assert_eq!(send_as(member, announce(announced), sent).await, 400);
    }
    assert_eq!(send_as(member, "rubbish".into(), b"[]").await, 400);
    // Votes of sets with impossible numbers, receipts of no node.
    let odd = br#"[{"type":"sync","body":{"receipts":"0x0000000000000000000000000000000000000000000000000000000000000000"}},
        {"type":"proposal","body":{"cohort":[],"vote":{"node":99,"set_root":"0x0000000000000000000000000000000000000000000000000000000000000000","size":0,"signature":"0x00"}}}]"#;
    assert_eq!(send(member, odd).await, 400);
    assert_eq!(send(member, b"[]").await, 204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_is_refused_before_a_byte_of_its_body_is_read() {
    let world = World::start(4, 2).await;
    let round = world.open_round(1, 600).await;
    let path = format!("/v1/studies/1/rounds/{}/messages", round.terms.round);
    world.eventually("the round", async || world.get(0, round.terms.round, "", None).await.0 == 200).await;
    let announced = format!("{}.1000000", B256::ZERO);
    let stranger = SecretKey::from_bytes(&[78; 32]).unwrap();
    let (foreign, other) = (
        world.capability(&stranger, 1, "POST", &path, announced.as_bytes(), now() + 60),
        world.capability(world.member_key(1), 1, "POST", &path, b"another announcement", now() + 60),
    );
    // The body never comes: an answer means that nobody waited for it.
    for (capability, status) in [(foreign, "403"), (other, "403"), ("Bearer x".to_owned(), "401")] {
        let mut connection = tokio::net::TcpStream::connect(world.url(0).trim_start_matches("http://")).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: node\r\nauthorization: {capability}\r\nconsilium-body: {announced}\r\ncontent-length: 1000000\r\n\r\n"
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        connection.read_exact(&mut answer).await.unwrap();
        assert_eq!(std::str::from_utf8(&answer).unwrap(), format!("HTTP/1.1 {status}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_study_that_is_too_wide_is_not_served() {
    let mut world = World::prepare(4, 2).await;
    world.configs[0].policy.maximum_dimension = 299;
    world.start_node(0).await;
    let round = world.open_round(1, 600).await;
    let answer = world.upload(0, round.terms.round, world.contribution(&round.terms, 0).body()).await;
    assert_eq!(code(&answer), (409, "not-taking-part"));
    assert!(answer.1["error"]["message"].as_str().unwrap().contains("policy.maximum_dimension"), "{}", answer.1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_do_not_make_a_node_read_history_again_and_again() {
    let mut world = World::prepare(4, 2).await;
    let gate = Gate::start(&world.sequencer).await;
    world.configs[0].rpc = vec![gate.url.clone()];
    world.start_node(0).await;
    let (asked, counted) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counter = Arc::clone(&counted);
    gate.refuse(move |request| {
        let lookup = reads_history(request, 1) || request.contains(&format!("{:064x}", 999));
        counter.fetch_add(usize::from(lookup), Ordering::SeqCst);
        false
    });
    let stranger = SecretKey::from_bytes(&[78; 32]).unwrap();
    for path in ["/v1/studies/1/rounds/77/share", "/v1/studies/999/rounds/77/share"].repeat(40) {
        let study = if path.contains("999") { 999 } else { 1 };
        let access = Access { study, round: 77, object: access_object("GET", path, b""), expires: now() + 60 };
        let capability = world.signed_access(&stranger, &access);
        let request = world.client.get(format!("{}{path}", world.url(0))).header("authorization", capability);
        assert_eq!(request.send().await.unwrap().status().as_u16(), 403);
        asked.fetch_add(1, Ordering::SeqCst);
    }
    assert!(counted.load(Ordering::SeqCst) < 20, "{counted:?} lookups for {asked:?} questions");
    // Ever new numbers, of studies and of rounds: the chain has not so many, and is not asked for them one by one.
    let counter = Arc::new(AtomicUsize::new(0));
    let requests = Arc::clone(&counter);
    gate.refuse(move |request| {
        let asks = |number: u64| request.contains(&format!("{number:064x}"));
        requests.fetch_add(usize::from((5000..5040).any(asks) || reads_history(request, 1)), Ordering::SeqCst);
        false
    });
    for number in 5000..5040 {
        for (study, round) in [(number, 1), (1, number)] {
            let path = format!("/v1/studies/{study}/rounds/{round}/share");
            let access = Access { study, round, object: access_object("GET", &path, b""), expires: now() + 60 };
            let capability = world.signed_access(&stranger, &access);
            let request = world.client.get(format!("{}{path}", world.url(0))).header("authorization", capability);
            assert_eq!(request.send().await.unwrap().status().as_u16(), 403);
        }
    }
    assert!(counter.load(Ordering::SeqCst) < 4, "{counter:?} lookups");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_that_cannot_be_reached_is_named_with_the_remedy() {
    let world = World::prepare(4, 2).await;
    let mut config = world.configs[0].clone();
    config.rpc = vec!["http://127.0.0.1:9".into()];
    config.start_patience = Duration::ZERO;
    let error = Node::builder(config).with_keys(world.keys[0].clone()).start().await.unwrap_err().to_string();
    assert!(error.contains("cannot reach the chain at http://127.0.0.1:9") && error.contains("check that"), "{error}");

    let mut config = world.configs[0].clone();
    config.addresses.chain_id = 5;
    let error = Node::builder(config).with_keys(world.keys[0].clone()).start().await.unwrap_err().to_string();
    assert!(error.contains("31337") && error.contains("correct"), "{error}");

    let config = Config { key_file: world.folder.path().join("missing.json"), ..world.configs[0].clone() };
    let error = Node::start(config).await.unwrap_err().to_string();
    assert!(error.contains("missing.json"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_folder_serves_one_node_only() {
    let mut world = World::prepare(4, 2).await;
    world.start_node(0).await;
    world.kill_node(0);
    let config = world.configs[0].clone();
    let error = Node::builder(config).with_keys(NodeKeys::generate().unwrap()).start().await.unwrap_err().to_string();
    assert!(error.contains("its own folder"), "{error}");
}
