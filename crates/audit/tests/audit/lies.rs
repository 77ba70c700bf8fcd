//! Signatures that an endpoint makes up: the audit checks those of nodes and sites, and takes nobody's word for them.

use crate::world::World;
use alloy::sol_types::SolEvent;
use alloy_primitives::{B256, Bytes};
use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use consilium_audit::{Check, Status, Verdict};
use consilium_chain::serve;
use consilium_ledger::Ledger;
use consilium_ledger::contracts::{Consilium, Treasury};
use serde_json::{Value, json};
use std::sync::Arc;

/// What an endpoint does to the logs that it answers with, given the question's filter.
type Lie = Arc<dyn Fn(&Value, &mut Vec<Value>) + Send + Sync>;

async fn pass_on(State((honest, lie)): State<(String, Lie)>, Json(question): Json<Value>) -> Json<Value> {
    let asked = reqwest::Client::new().post(honest).body(question.to_string()).header("content-type", "application/json");
    let mut answer: Value = serde_json::from_slice(&asked.send().await.unwrap().bytes().await.unwrap()).unwrap();
    if question["method"] == "eth_getLogs"
        && let Some(logs) = answer["result"].as_array_mut()
    {
        lie(&question["params"][0], logs);
    }
    Json(answer)
}

/// The world's chain behind an endpoint that lies.
async fn behind(world: &World, lie: Lie) -> Ledger {
    let [honest, liar] = [(); 2].map(|()| tokio::net::TcpListener::bind("127.0.0.1:0"));
    let (honest, liar) = (honest.await.unwrap(), liar.await.unwrap());
    let [at, url] = [&honest, &liar].map(|listener| format!("http://{}", listener.local_addr().unwrap()));
    tokio::spawn(serve(world.sequencer.clone(), honest, std::future::pending()));
    let router = Router::new().route("/", post(pass_on)).with_state((at, lie));
    tokio::spawn(async move { axum::serve(liar, router).await.unwrap() });
    Ledger::connect(&url, *world.ledger.addresses()).await.unwrap()
}

/// Why a check fails when all that is known of the chain is an endpoint that lies.
async fn reasons(world: &World, check: Check, lie: impl Fn(&Value, &mut Vec<Value>) + Send + Sync + 'static) -> Vec<String> {
    let auditor = world.auditor_with(vec![behind(world, Arc::new(lie)).await], &world.urls(), None);
    let report = auditor.audit_public(1).await;
    let failed: Vec<String> =
        report.with(Status::Fail).filter(|line| line.check == check).map(|line| line.reason.clone()).collect();
    assert_eq!(report.verdict == Verdict::Pass, failed.is_empty(), "{report}");
    failed
}

#[tokio::test]
async fn votes_that_an_endpoint_invents_fail_the_certificate() {
    let (world, _) = World::settled().await;
    assert_eq!(reasons(&world, Check::Certificate, |_, _| {}).await, [""; 0]);
    let lie = |_: &Value, logs: &mut Vec<Value>| {
        let certified = json!(Consilium::RoundCertified::SIGNATURE_HASH);
        for log in logs.iter_mut().filter(|log| log["topics"][0] == certified) {
            let data: Bytes = serde_json::from_value(log["data"].clone()).unwrap();
            let mut bytes = data.to_vec();
            // In the first signature, after root, size, bitmap, and offset and length of the votes.
            bytes[5 * 32 + 20] ^= 1;
            log["data"] = json!(Bytes::from(bytes));
        }
    };
    let failed = reasons(&world, Check::Certificate, lie).await;
    assert!(matches!(&failed[..], [one] if one.contains("the contract cannot have accepted it")), "{failed:?}");
}

#[tokio::test]
async fn a_strike_that_an_endpoint_invents_is_told_as_a_lie() {
    let (world, _) = World::settled().await;
    let (treasury, site) = (world.ledger.addresses().treasury, world.sites[0].address().into_word());
    let lie = move |filter: &Value, logs: &mut Vec<Value>| {
        let asked = filter["address"].as_array().is_some_and(|asked| asked.contains(&json!(treasury)));
        let Some(mut log) = logs.last().cloned().filter(|_| asked) else { return };
        let word = B256::with_last_byte(1);
        let data = [vec![word, site], vec![word; 8]].concat();
        log["address"] = json!(treasury);
        log["topics"] = json!([Treasury::SiteStruck::SIGNATURE_HASH, word]);
        log["data"] = json!(Bytes::from(data.concat()));
        log["logIndex"] = json!("0xff");
        logs.push(log);
    };
    let failed = reasons(&world, Check::Claims, lie).await;
    assert!(matches!(&failed[..], [one] if one.contains("without two contributions that the site signed")), "{failed:?}");
}
