//! What the chain itself can have wrong: endpoints that disagree or are silent, a list of sites that nobody froze.

use crate::world::{Script, World};
use alloy::network::TransactionBuilder;
use alloy::providers::{Provider, ProviderBuilder};
use alloy::rpc::types::TransactionRequest;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::SolCall;
use alloy_primitives::{Address, B256};
use consilium_audit::{Check, Status, Verdict};
use consilium_chain::{Sequencer, serve, system_clock};
use consilium_ledger::contracts::Consilium;
use consilium_ledger::{Ledger, client_provider};

#[tokio::test]
async fn a_published_list_of_sites_that_is_not_under_its_root_fails_the_round() {
    let world = World::new().await;
    let study = world.study().await;
    let signer = PrivateKeySigner::from_bytes(&B256::repeat_byte(1)).unwrap();
    let provider = ProviderBuilder::new().wallet(signer).connect_client(world.sequencer.client());
    let (sites, uri) = (vec![Address::repeat_byte(1)], String::new());
    let call = Consilium::setSitesCall { study, sitesRoot: B256::repeat_byte(5), sites, uri };
    let to = world.ledger.addresses().consilium;
    let request = TransactionRequest::default().with_to(to).with_input(call.abi_encode());
    provider.send_transaction(request).await.unwrap().get_receipt().await.unwrap();
    let now = world.ledger.head().await.unwrap().timestamp;
    let call = Consilium::openRoundCall { study, subject: B256::repeat_byte(8), deadline: now + 100, settleBy: now + 200 };
    let request = TransactionRequest::default().with_to(to).with_input(call.abi_encode());
    provider.send_transaction(request).await.unwrap().get_receipt().await.unwrap();

    let report = world.auditor().audit_public(study).await;
    assert_eq!(report.verdict, Verdict::Fail, "{report}");
    let line = report.with(Status::Fail).find(|line| line.check == Check::Terms).unwrap();
    assert!(line.reason.contains("the sponsor's list of admitted sites has root"), "{report}");
}

#[tokio::test]
async fn two_endpoints_with_two_histories_fail_the_audit_and_are_both_named() {
    let mut world = World::new().await;
    let study = world.study().await;
    let fork = world.sequencer.chain().fork();
    let other = Sequencer::new(fork, || crate::world::START + 7);
    world.play(study, "model", &Script::default()).await;
    let second = Ledger::new(client_provider(other.client()), *world.ledger.addresses()).await.unwrap();
    let auditor = world.auditor_with(vec![world.ledger.clone(), second.clone()], &world.urls(), None);
    let report = auditor.audit_public(study).await;
    assert_eq!(report.verdict, Verdict::Incomplete, "one that lags is no liar\n{report}");

    let now = crate::world::START + 7;
    second
        .open_round(
            &consilium_ledger::Wallet::new(world.sponsor.key().unwrap().clone()),
            study,
            B256::repeat_byte(8),
            now + 10,
            now + 20,
        )
        .await
        .unwrap();
    let report = auditor.audit_public(study).await;
    assert_eq!(report.verdict, Verdict::Fail, "{report}");
    let line = report.with(Status::Fail).find(|line| line.check == Check::Endpoints).unwrap();
    assert!(line.reason.contains("different histories from block"), "{report}");
}

#[tokio::test]
async fn a_chain_that_went_away_is_incomplete_with_its_url() {
    let (world, _) = World::settled().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let sequencer = Sequencer::new(world.sequencer.chain().fork(), system_clock);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(serve(sequencer, listener, async { drop(stopped.await) }));
    let ledger = Ledger::connect(&url, *world.ledger.addresses()).await.unwrap();
    let auditor = world.auditor_with(vec![ledger], &world.urls(), None);
    assert_eq!(auditor.audit_public(1).await.verdict, Verdict::Pass);
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
    let report = auditor.audit_public(1).await;
    assert_eq!(report.verdict, Verdict::Incomplete, "{report}");
    assert!(report.to_string().contains(&format!("cannot reach the chain at {url}")), "{report}");
}
