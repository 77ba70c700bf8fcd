//! One artefact at a time, first at one node, then at all: the audit names it and says why.

use crate::world::{N, Played, Script, World};
use alloy_primitives::{Address, B256};
use consilium_audit::{Check, Copies, Line, Report, Scope, Status, Verdict};
use consilium_core::eip712::Final;
use consilium_core::field::MODULUS;
use consilium_core::round::SignedFinal;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

/// What is changed where, and what the audit must say.
struct Tamper {
    name: &'static str,
    path: fn(&Played) -> String,
    change: fn(&mut Vec<u8>),
    check: Check,
    words: &'static str,
}

fn flip(at: usize) -> impl Fn(&mut Vec<u8>) {
    move |bytes| bytes[at] ^= 1
}

fn json_edit(bytes: &mut Vec<u8>, change: impl FnOnce(&mut Value)) {
    let mut value = serde_json::from_slice(bytes).unwrap();
    change(&mut value);
    *bytes = value.to_string().into_bytes();
}

/// Another value at each signature's first byte of a list of statements.
fn spoil_signatures(bytes: &mut Vec<u8>, list: &str) {
    json_edit(bytes, |all| {
        for item in all[list].as_array_mut().unwrap() {
            let said = item["signature"].as_str().unwrap().to_owned();
            let other = if said.as_bytes()[3] == b'1' { "2" } else { "1" };
            item["signature"] = format!("{}{other}{}", &said[..3], &said[4..]).into();
        }
    });
}

const fn tamper(
    name: &'static str,
    path: fn(&Played) -> String,
    change: fn(&mut Vec<u8>),
    check: Check,
    words: &'static str,
) -> Tamper {
    Tamper { name, path, change, check, words }
}

fn set(played: &Played) -> String {
    played.path("set")
}

fn statements(played: &Played) -> String {
    played.path("statements")
}

fn header(played: &Played) -> String {
    played.contribution(1, "header")
}

fn values(played: &Played) -> String {
    played.contribution(2, "values")
}

fn share(played: &Played) -> String {
    played.path("share")
}

fn aggregate(played: &Played) -> String {
    played.path("aggregate")
}

fn edit_members(bytes: &mut Vec<u8>, change: fn(&mut Vec<Value>)) {
    json_edit(bytes, |all| change(all["members"].as_array_mut().unwrap()));
}

fn artefacts() -> Vec<Tamper> {
    let huge = |bytes: &mut Vec<u8>| bytes.resize(1 << 20, 7);
    let half = |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() / 2);
    let junk = |bytes: &mut Vec<u8>| bytes.iter_mut().enumerate().for_each(|(i, byte)| *byte = (i * 37 + 11) as u8);
    vec![
        tamper("a member left out", set, |b| edit_members(b, |m| drop(m.pop())), Check::Set, "2 members, 3 are certified"),
        tamper("members out of order", set, |b| edit_members(b, |m| m.reverse()), Check::Set, "strictly increasing"),
        tamper(
            "another digest",
            set,
            |b| edit_members(b, |m| m[0]["digest"] = json!(B256::repeat_byte(7))),
            Check::Set,
            "its root is",
        ),
        tamper("another site", set, |b| edit_members(b, |m| m[0]["site"] = json!(Address::ZERO)), Check::Set, "its root is"),
        tamper("half a set", set, half, Check::Set, "documented form"),
        tamper("an oversized set", set, huge, Check::Set, "more than"),
        tamper(
            "a forged receipt",
            statements,
            |b| spoil_signatures(b, "receipts"),
            Check::Receipts,
            "receipt that proves nothing",
        ),
        tamper("a forged Final", statements, |b| spoil_signatures(b, "finals"), Check::Finals, "Final that proves nothing"),
        tamper(
            "a forged share root",
            statements,
            |b| spoil_signatures(b, "share_roots"),
            Check::ShareRoots,
            "share root that proves nothing",
        ),
        tamper("half the statements", statements, half, Check::Statements, "documented form"),
        tamper("a header's proof", header, |b| flip(700)(b), Check::Contributions, "its digest in this round's context is"),
        tamper("a header's site", header, |b| flip(20)(b), Check::Contributions, "it is of site"),
        tamper("a header's round", header, |b| flip(9)(b), Check::Contributions, "for round 0 of study 1"),
        tamper(
            "a header's box",
            header,
            |b| flip(b.len() - 100)(b),
            Check::Contributions,
            "signature over digest and boxes does not hold",
        ),
        tamper("half a header", header, half, Check::Contributions, "truncated"),
        tamper("an oversized header", header, huge, Check::Contributions, "more than"),
        tamper("junk for a header", header, junk, Check::Contributions, "unknown contribution version"),
        tamper("a bit of a masked vector", values, |b| flip(33)(b), Check::MaskedVectors, "its hash is"),
        tamper("half a masked vector", values, half, Check::MaskedVectors, "bytes, 320 are due"),
        tamper("an oversized masked vector", values, huge, Check::MaskedVectors, "more than 320 bytes"),
        tamper("an output share", share, |b| flip(8)(b), Check::OutputShares, "not the settled one"),
        tamper("half an output share", share, half, Check::OutputShares, "has length 164, expected 328"),
        tamper(
            "an output share above p",
            share,
            |b| b[..8].copy_from_slice(&MODULUS.to_le_bytes()),
            Check::OutputShares,
            "below the field modulus",
        ),
        tamper("an aggregate", aggregate, |b| flip(8)(b), Check::PublishedAggregate, "aggregate that is not the settled one"),
        tamper("an oversized aggregate", aggregate, huge, Check::PublishedAggregate, "more than 328 bytes"),
    ]
}

fn says<'a>(report: &'a Report, status: Status, check: Check, words: &str) -> Option<&'a Line> {
    report.with(status).find(|line| line.check == check && line.reason.contains(words))
}

/// Serves one artefact wrong at these nodes, audits, and puts it back.
async fn audit_tampered(world: &World, played: &Played, tamper: &Tamper, nodes: &[usize]) -> Report {
    let path = (tamper.path)(played);
    let mut kept = Vec::new();
    for &node in nodes {
        world.served[node - 1].edit(&path, |bytes| {
            kept.push(bytes.clone());
            (tamper.change)(bytes);
        });
    }
    let report = world.auditor().audit_full(1).await;
    for (&node, bytes) in nodes.iter().zip(kept) {
        world.served[node - 1].put(path.clone(), bytes);
    }
    report
}

#[tokio::test]
async fn every_artefact_tampered_with_at_one_node_is_named_with_the_node_and_the_reason() {
    let (world, played) = World::settled().await;
    for tamper in artefacts() {
        let report = audit_tampered(&world, &played, &tamper, &[2]).await;
        let line = says(&report, Status::Note, tamper.check, tamper.words);
        let line = line.unwrap_or_else(|| panic!("{}: {report}", tamper.name));
        assert!(matches!(line.scope, Scope::Node { node: 2, round: 1, .. }), "{}: {report}", tamper.name);
        assert_eq!(report.verdict, Verdict::Pass, "{}: the others serve the right one\n{report}", tamper.name);
    }
    assert_eq!(world.auditor().audit_full(1).await.with(Status::Note).count(), 2, "everything is back in its place");
}

#[tokio::test]
async fn every_artefact_tampered_with_at_all_nodes_denies_the_pass() {
    let (world, played) = World::settled().await;
    for tamper in artefacts() {
        let report = audit_tampered(&world, &played, &tamper, &[1, 2, 3, 4, 5]).await;
        assert_ne!(report.verdict, Verdict::Pass, "{}: {report}", tamper.name);
        let named =
            says(&report, Status::Fail, tamper.check, "").or_else(|| says(&report, Status::Unavailable, tamper.check, ""));
        assert!(named.is_some() || tamper.check == Check::Statements, "{}: {report}", tamper.name);
        if tamper.check != Check::Statements {
            assert_eq!(report.verdict, Verdict::Fail, "{}: {report}", tamper.name);
        }
    }
}

#[tokio::test]
async fn a_node_that_serves_another_nodes_share_is_named_with_whose_it_is() {
    let (world, played) = World::settled().await;
    let mut other = Vec::new();
    world.served[4].edit(&share(&played), |bytes| other = bytes.clone());
    world.served[1].put(share(&played), other);
    let report = world.auditor().audit_full(1).await;
    let line = says(&report, Status::Note, Check::OutputShares, "the output share of node 5, not its own").unwrap();
    assert!(matches!(line.scope, Scope::Node { node: 2, .. }), "{report}");
    assert_eq!(report.verdict, Verdict::Pass, "{report}");
}

#[tokio::test]
async fn a_missing_receipt_quorum_is_a_failure_only_when_everyone_has_answered() {
    let (world, played) = World::settled().await;
    let site = played.members[0].site;
    for node in 1..=N {
        world.edit_json(node, &statements(&played), |all| {
            all["receipts"].as_array_mut().unwrap().retain(|r| r["node"].as_u64().unwrap() > 2 || r["site"] != json!(site));
        });
    }
    let report = world.auditor().audit_public(1).await;
    let line = says(&report, Status::Fail, Check::Receipts, "only 3 valid receipts").unwrap_or_else(|| panic!("{report}"));
    assert_eq!(line.scope, Scope::Site { round: 1, site });

    world.served[0].remove(&statements(&played));
    let report = world.auditor().audit_public(1).await;
    assert_eq!(report.verdict, Verdict::Incomplete, "{report}");
    assert!(says(&report, Status::Unavailable, Check::Receipts, "not every node has answered").is_some(), "{report}");
}

#[tokio::test]
async fn what_all_nodes_have_erased_is_unavailable_and_the_audit_incomplete() {
    let (world, played) = World::settled().await;
    world.served.iter().for_each(|node| node.remove(&values(&played)));
    let report = world.auditor().audit_full(1).await;
    assert_eq!(report.verdict, Verdict::Incomplete, "{report}");
    let told =
        |line: &Line| matches!(line.scope, Scope::Site { .. }) && line.reason.contains("not here (not-found); ask another node");
    assert!(report.with(Status::Unavailable).any(told), "{report}");
}

#[tokio::test]
async fn two_finals_of_one_node_are_a_contradiction_even_when_no_node_shows_both() {
    let (world, played) = World::settled().await;
    let set_root = B256::repeat_byte(9);
    let said = Final { study: 1, subject: played.terms.subject, round: 1, setRoot: set_root };
    let second = SignedFinal { node: 4, set_root, signature: world.sign(4, &said) };
    world.edit_json(1, &statements(&played), |all| all["finals"][3] = json!(second));
    let report = world.auditor().audit_public(1).await;
    let line = says(&report, Status::Note, Check::Statements, "two Finals for one subject").unwrap_or_else(|| panic!("{report}"));
    assert!(matches!(line.scope, Scope::Node { node: 4, .. }));
    assert_eq!(line.evidence["signed"].as_array().unwrap().len(), 2);
    assert!(says(&report, Status::Note, Check::Finals, "another one than the certified").is_some(), "{report}");
}

#[tokio::test]
async fn evidence_that_a_node_holds_is_taken_up_whatever_its_frame() {
    let (world, played) = World::settled().await;
    let (root, set_root) = (B256::repeat_byte(3), played_root(&played));
    let lie = world.share_root(&played.terms, set_root, 2, root);
    world.edit_json(5, &statements(&played), |all| all["evidence"] = json!([{ "offence": { "of": 2, "proof": [lie] } }]));
    let report = world.auditor().audit_public(1).await;
    assert!(says(&report, Status::Note, Check::Evidence, "1 pieces of evidence").is_some(), "{report}");
    let line =
        says(&report, Status::Note, Check::ShareRoots, "signed a wrong output share").unwrap_or_else(|| panic!("{report}"));
    assert!(matches!(line.scope, Scope::Node { node: 2, .. }));
}

#[tokio::test]
async fn a_final_of_another_round_over_the_same_subject_is_a_contradiction_that_evidence_shows() {
    let (world, played) = World::settled().await;
    let (subject, set_root) = (played.terms.subject, B256::repeat_byte(9));
    let said = Final { study: 1, subject, round: 8, setRoot: set_root };
    let other = json!({ "node": 3, "set_root": set_root, "signature": world.sign(3, &said), "round": 8, "subject": subject });
    let evidence = json!([{ "offence": "two-finals", "node": 3, "statements": [other] }]);
    world.edit_json(5, &statements(&played), |all| all["evidence"] = evidence);
    let report = world.auditor().audit_public(1).await;
    let line = says(&report, Status::Note, Check::Statements, "two Finals for one subject").unwrap_or_else(|| panic!("{report}"));
    assert!(matches!(line.scope, Scope::Node { node: 3, .. }), "{report}");
}

fn played_root(played: &Played) -> B256 {
    consilium_core::certify::Cohort::new(played.members.clone()).unwrap().root()
}

#[tokio::test]
async fn a_committee_that_settles_what_does_not_follow_fails_the_audit() {
    type Fraud = fn(&mut consilium_core::eip712::Settlement, &mut Vec<B256>);
    let frauds: [(Fraud, Check, &str); 3] = [
        (|result, _| result.aggregateRoot = B256::repeat_byte(1), Check::Aggregate, "the result does not follow"),
        (|result, _| result.rewardRoot = B256::repeat_byte(2), Check::Rewards, "the set and the recorded voters give"),
        (|_, roots| roots[2] = B256::repeat_byte(3), Check::Aggregate, "node 3's share does not lie on the polynomial"),
    ];
    for (fraud, check, words) in frauds {
        let mut world = World::new().await;
        let study = world.study().await;
        world.play(study, "model", &Script { fraud: Some(fraud), ..Script::default() }).await;
        let report = world.auditor().audit_full(study).await;
        assert_eq!(report.verdict, Verdict::Fail, "{report}");
        assert!(says(&report, Status::Fail, check, words).is_some(), "{words}: {report}");
        assert!(report.to_string().starts_with("FAIL (study 1, round 1"), "{report}");
    }
}

#[tokio::test]
async fn one_copy_each_is_asked_of_all_nodes_in_turn() {
    let (world, played) = World::settled().await;
    world.served[2].edit(&values(&played), |bytes| flip(0)(bytes));
    let report = world.auditor().with_copies(Copies::One).audit_full(1).await;
    let line = says(&report, Status::Note, Check::MaskedVectors, "its hash is");
    assert!(line.is_some_and(|line| matches!(line.scope, Scope::Node { node: 3, .. })), "site 3 is asked of node 3\n{report}");
    assert_eq!(report.verdict, Verdict::Pass, "the next node has it right\n{report}");
}

#[test]
fn no_answer_whatever_breaks_the_auditor_or_passes() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (world, _) = runtime.block_on(World::settled());
    let mut runner = TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
    let bodies = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..2000),
        Just(b"{\"members\":{}}".to_vec()),
        Just(b"{\"receipts\":[1,null,{}],\"finals\":[{\"node\":99}],\"evidence\":[[[[]]]]}".to_vec()),
        Just(vec![b'['; 100_000]),
        Just(Vec::new()),
    ];
    let path_count = world.served[0].paths().len();
    runner
        .run(&(bodies, 0..path_count), |(body, pick)| {
            let path = world.served[0].paths()[pick].clone();
            let before: Vec<Vec<u8>> = world.served.iter().map(|node| replace(node, &path, body.clone())).collect();
            let report = runtime.block_on(world.auditor().audit_full(1));
            for (node, bytes) in world.served.iter().zip(before) {
                node.put(path.clone(), bytes);
            }
            prop_assert_ne!(report.verdict, Verdict::Pass, "{}", report);
            let shown = report.to_string();
            prop_assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "a control character");
            Ok(())
        })
        .unwrap();
}

fn replace(node: &crate::nodes::Served, path: &str, body: Vec<u8>) -> Vec<u8> {
    let mut before = Vec::new();
    node.edit(path, |bytes| before = std::mem::replace(bytes, body));
    before
}

#[tokio::test]
async fn more_liars_than_may_be_corrupt_fail_the_audit() {
    let (world, played) = World::settled().await;
    let lies = [2, 4].map(|node| world.share_root(&played.terms, played_root(&played), node, B256::repeat_byte(6)));
    world.edit_json(1, &statements(&played), |all| all["share_roots"].as_array_mut().unwrap().extend(lies.map(|lie| json!(lie))));
    let report = world.auditor().audit_public(1).await;
    assert_eq!(report.verdict, Verdict::Fail, "{report}");
    assert!(says(&report, Status::Fail, Check::Statements, "{2, 4} are proved to have lied").is_some(), "{report}");
}
