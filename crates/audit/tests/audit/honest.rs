//! Nothing was tampered with.

use crate::world::{Script, World};
use consilium_audit::{Check, Copies, Level, Report, Scope, Status, Verdict};
use consilium_core::eip712::SecretKey;
use std::collections::BTreeMap;

fn passes(report: &Report, check: Check) -> bool {
    report.with(Status::Pass).any(|line| line.check == check)
}

#[tokio::test]
async fn a_settled_study_passes_both_audits_and_every_check_is_made() {
    let (mut world, played) = World::settled().await;
    world.pass(200);
    world.play(played.terms.study, "model 2", &Script::default()).await;
    let full = world.auditor().audit_full(1).await;
    println!("{full}");
    assert_eq!(full.verdict, Verdict::Pass, "{full}");
    assert_eq!((full.level, &full.rounds[..]), (Level::Full, &[1, 2][..]));
    let public = [
        Check::Endpoints,
        Check::Contracts,
        Check::Committee,
        Check::Order,
        Check::Terms,
        Check::Subject,
        Check::Certificate,
        Check::Finality,
        Check::Set,
        Check::Receipts,
        Check::Finals,
        Check::Settlement,
        Check::Rewards,
        Check::Money,
        Check::Pay,
        Check::Claims,
        Check::ShareRoots,
        Check::Statements,
    ];
    let vectors = [
        Check::Capability,
        Check::Contributions,
        Check::MaskedVectors,
        Check::OutputShares,
        Check::Aggregate,
        Check::PublishedAggregate,
    ];
    for check in public.iter().chain(&vectors) {
        assert!(passes(&full, *check), "{check:?}\n{full}");
    }
    let report = world.auditor().audit_public(1).await;
    assert_eq!(report.verdict, Verdict::Pass, "{report}");
    assert!(public.iter().all(|check| passes(&report, *check)) && !vectors.iter().any(|check| passes(&report, *check)));
    assert!(report.to_string().contains("attested by the committee's signatures"), "{report}");
}

#[tokio::test]
async fn a_report_reads_back_from_json_and_says_it_in_words() {
    let (world, _) = World::settled().await;
    let report = world.auditor().with_copies(Copies::One).audit_full(1).await;
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    let words = report.to_string();
    assert!(words.starts_with("PASS (study 1, round 1, full audit)"), "{words}");
    assert!(words.contains("What this audit does not show") && words.contains("need the seeds"), "{words}");
}

#[tokio::test]
async fn a_void_round_passes_and_a_release_in_it_is_told() {
    let mut world = World::new().await;
    let study = world.study().await;
    let terms = world.open(study, "model").await;
    world.pass(100);
    for (i, node) in world.served.iter().enumerate() {
        let signed = world.share_root(&terms, terms.subject, 3, terms.subject);
        let roots = if i == 0 { vec![signed] } else { Vec::new() };
        let body = serde_json::json!({ "receipts": [], "finals": [], "share_roots": roots, "settlements": [], "evidence": [] });
        node.put("/v1/studies/1/rounds/1/statements".into(), body.to_string().into_bytes());
    }
    let played = world.play(study, "model", &Script::default()).await;
    assert_eq!(played.terms.round, 2, "a void round frees its subject");
    let report = world.auditor().audit_full(study).await;
    assert_eq!(report.verdict, Verdict::Pass, "{report}");
    let told = |line: &&consilium_audit::Line| matches!(line.scope, Scope::Node { round: 1, node: 3, .. });
    let line = report.with(Status::Note).find(told).unwrap_or_else(|| panic!("{report}"));
    assert!(line.reason.contains("no certified set") && !line.evidence.is_null(), "{report}");
}

#[tokio::test]
async fn an_open_round_is_no_failure() {
    let world = World::new().await;
    let study = world.study().await;
    world.open(study, "model").await;
    let report = world.auditor().audit_public(study).await;
    assert_eq!(report.verdict, Verdict::Pass, "{report}");
    assert!(report.to_string().contains("still open"), "{report}");
}

#[tokio::test]
async fn a_second_sum_over_one_subject_in_another_study_is_told() {
    let (mut world, _) = World::settled().await;
    let second = world.study().await;
    world.play(second, "model", &Script::default()).await;
    let report = world.auditor().audit_full(second).await;
    assert_eq!(report.verdict, Verdict::Pass, "{report}");
    let line = report.with(Status::Note).find(|line| line.check == Check::Subject).unwrap();
    assert!(line.reason.contains("round 1 of study 1"), "{report}");
}

#[tokio::test]
async fn a_node_that_lied_about_its_share_is_named_with_its_signature_and_the_result_stands() {
    let mut world = World::new().await;
    let study = world.study().await;
    world.play(study, "model", &Script { liar: Some(3), ..Script::default() }).await;
    let report = world.auditor().audit_full(study).await;
    assert_eq!(report.verdict, Verdict::Pass, "{report}");
    for check in [Check::ShareRoots, Check::OutputShares] {
        let line = report.with(Status::Note).find(|line| line.check == check).unwrap_or_else(|| panic!("{report}"));
        assert!(matches!(line.scope, Scope::Node { node: 3, .. }) && !line.evidence.is_null(), "{report}");
    }
}

#[tokio::test]
async fn without_the_capability_a_full_audit_is_incomplete_and_says_whom_to_ask() {
    let (world, _) = World::settled().await;
    let ledgers = || vec![world.ledger.clone()];
    let report = world.auditor_with(ledgers(), &world.urls(), None).audit_full(1).await;
    assert_eq!(report.verdict, Verdict::Incomplete, "{report}");
    assert!(report.to_string().contains("no auditor key was given"), "{report}");
    let stranger = SecretKey::from_bytes(&[99; 32]).unwrap();
    let report = world.auditor_with(ledgers(), &world.urls(), Some(stranger)).audit_full(1).await;
    assert_eq!(report.verdict, Verdict::Incomplete, "{report}");
    assert!(report.to_string().contains(&format!("ask its sponsor {}", world.sponsor.address())), "{report}");
}

#[tokio::test]
async fn a_silent_node_is_named_with_its_url_and_the_others_suffice() {
    let (world, _) = World::settled().await;
    let mut urls = world.urls();
    let silent = *urls.keys().next().unwrap();
    urls.insert(silent, "http://127.0.0.1:9".into());
    let report = world.auditor_with(vec![world.ledger.clone()], &urls, Some(world.auditor.clone())).audit_full(1).await;
    assert_eq!(report.verdict, Verdict::Pass, "{report}");
    let line = report.with(Status::Unavailable).next().unwrap();
    assert!(line.reason.contains("http://127.0.0.1:9 cannot be reached"), "{report}");
    let nobody = world.auditor_with(vec![world.ledger.clone()], &BTreeMap::new(), Some(world.auditor.clone()));
    let report = nobody.audit_full(1).await;
    assert_eq!(report.verdict, Verdict::Incomplete, "{report}");
    assert!(report.to_string().contains("no URL was given for this node"), "{report}");
}

#[tokio::test]
async fn rounds_can_be_chosen_and_missing_ones_are_told() {
    let (world, _) = World::settled().await;
    let report = world.auditor().with_rounds([1]).audit_public(1).await;
    assert_eq!((report.verdict, &report.rounds[..]), (Verdict::Pass, &[1][..]), "{report}");
    let report = world.auditor().with_rounds([7]).audit_public(1).await;
    assert_eq!(report.verdict, Verdict::Incomplete, "{report}");
    assert!(report.to_string().contains("the study has no round 7"), "{report}");
    let report = world.auditor().audit_public(9).await;
    assert_eq!(report.verdict, Verdict::Incomplete, "{report}");
    assert!(report.to_string().contains("there is no study 9"), "{report}");
}

#[tokio::test]
async fn a_busy_node_is_asked_again() {
    let (world, _) = World::settled().await;
    world.served[0].busy.store(2, std::sync::atomic::Ordering::SeqCst);
    let report = world.auditor().audit_public(1).await;
    assert_eq!((report.verdict, report.with(Status::Unavailable).count()), (Verdict::Pass, 0), "{report}");
    world.served[0].busy.store(1000, std::sync::atomic::Ordering::SeqCst);
    let report = world.auditor().audit_public(1).await;
    assert!(report.to_string().contains("refused with 503: too much to do (busy); ask again"), "{report}");
}

#[tokio::test]
async fn what_is_the_same_in_all_rounds_is_said_once() {
    let (mut world, played) = World::settled().await;
    world.pass(200);
    world.play(played.terms.study, "model 2", &Script { liar: Some(3), ..Script::default() }).await;
    let mut urls = world.urls();
    urls.remove(&played.terms.committee.members()[4].address);
    let auditor = world.auditor_with(vec![world.ledger.clone()], &urls, Some(world.auditor.clone()));
    let report = auditor.audit_full(1).await;
    println!("{report}");
    let words = report.to_string();
    assert_eq!(words.matches("rounds 1-2 node 5  signed statements: no URL was given").count(), 1, "{words}");
    assert!(words.contains("round 2 node 3     signed shares: signed a wrong output share"), "{words}");
}
