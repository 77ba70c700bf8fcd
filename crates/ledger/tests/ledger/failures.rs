//! Wrong addresses, wrong chains, nobody there, nothing to pay with: the cause and the remedy must be named.

use crate::court::{Bench, honest};
use crate::scenario::{Stage, root};
use crate::worlds::{CHAIN_ID, Liar, Lie, START, World, ether, wallet};
use alloy::sol_types::SolEvent;
use alloy_primitives::{Address, Bytes, U256};
use consilium_core::eip712::Vote;
use consilium_core::merkle::vector_root;
use consilium_core::params::Finality;
use consilium_ledger::contracts::Consilium;
use consilium_ledger::error::Refusal;
use consilium_ledger::{Addresses, Certified, Cursor, DeployOptions, Error, Ledger, Progress, Wallet, Watcher, deploy};
use serde_json::json;

async fn addresses(world: &World) -> Addresses {
    deploy(world.provider(), &wallet(1), DeployOptions::default()).await.unwrap().addresses
}

#[tokio::test]
async fn a_wrong_chain_id_names_both_ids() {
    let world = World::embedded();
    let elsewhere = Addresses { chain_id: 10, ..addresses(&world).await };
    let error = Ledger::new(world.provider(), elsewhere).await.unwrap_err();
    assert!(matches!(error, Error::WrongChain { expected: 10, .. }));
    assert!(error.to_string().contains(&CHAIN_ID.to_string()) && !error.is_temporary(), "{error}");
}

#[tokio::test]
async fn an_address_without_a_contract_is_named() {
    let world = World::embedded();
    let empty = Address::repeat_byte(9);
    let error = Ledger::new(world.provider(), Addresses { consilium: empty, ..addresses(&world).await }).await.unwrap_err();
    let said = error.to_string();
    assert!(said.contains(&empty.to_string()) && said.contains("Consilium should be there") && said.contains("deploy"), "{said}");
}

#[tokio::test]
async fn a_registry_of_another_deployment_is_refused() {
    let world = World::embedded();
    let (first, second) = (addresses(&world).await, addresses(&world).await);
    let mixed = Addresses { registry: first.registry, ..second };
    assert!(matches!(Ledger::new(world.provider(), mixed).await, Err(Error::WrongContract { contract: "NodeRegistry", .. })));
}

#[tokio::test]
async fn an_unreachable_endpoint_names_its_url_and_what_to_do() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{free}");
    let nowhere = Addresses { chain_id: 1, ..Addresses::default() };
    let error = Ledger::connect(&url, nowhere).await.unwrap_err();
    let said = error.to_string();
    assert!(error.is_temporary() && said.contains(&url) && said.contains("check that a node runs there"), "{said}");
}

#[tokio::test]
async fn an_empty_account_is_told_to_get_money() {
    let world = World::embedded();
    let ledger = Ledger::new(world.provider(), addresses(&world).await).await.unwrap();
    let error = ledger.transfer(&wallet(200), Address::repeat_byte(1), ether(1)).await.unwrap_err();
    assert!(matches!(error, Error::Rejected { cause: Refusal::Funds, .. }), "{error:?}");
    assert!(error.to_string().contains("send the account native currency"), "{error}");
}

#[tokio::test]
async fn a_wallet_finds_its_nonce_again_after_somebody_used_its_key() {
    let world = World::embedded();
    let ledger = Ledger::new(world.provider(), addresses(&world).await).await.unwrap();
    let (ours, theirs, to) = (wallet(2), wallet(2), Address::repeat_byte(1));
    for sender in [&ours, &theirs] {
        ledger.transfer(sender, to, U256::from(1)).await.unwrap();
    }
    let error = ledger.transfer(&ours, to, U256::from(1)).await.unwrap_err();
    assert!(matches!(error, Error::Rejected { cause: Refusal::Nonce, .. }) && error.is_temporary(), "{error:?}");
    ledger.transfer(&ours, to, U256::from(1)).await.unwrap();
    assert_eq!(ledger.balance(to).await.unwrap(), U256::from(3));
}

#[tokio::test]
async fn clones_of_a_wallet_send_at_once_without_colliding() {
    let world = World::embedded();
    let ledger = Ledger::new(world.provider(), addresses(&world).await).await.unwrap();
    let (sender, to) = (wallet(2), Address::repeat_byte(1));
    let sends = (0..20).map(|_| {
        let (ledger, sender): (Ledger, Wallet) = (ledger.clone(), sender.clone());
        tokio::spawn(async move { ledger.transfer(&sender, to, U256::from(1)).await })
    });
    for send in sends.collect::<Vec<_>>() {
        send.await.unwrap().unwrap();
    }
    assert_eq!(ledger.balance(to).await.unwrap(), U256::from(20));
}

#[tokio::test]
async fn a_refusal_has_its_name_and_words() {
    let world = World::embedded();
    let stage = Stage::set(&world).await;
    let error = stage.ledger.open_round(&stage.sponsor, 1, root("model"), START, START).await.unwrap_err();
    assert!(error.revert().is_some_and(|revert| revert.is("InvalidDeadlines")), "{error:?}");
    assert!(error.to_string().contains("must lie in the future, in this order"), "{error}");
    let error = stage.ledger.open_round(&stage.sponsor, 9, root("model"), START, START).await.unwrap_err();
    assert!(error.revert().is_some_and(|revert| revert.is("UnknownStudy")), "{error:?}");
}

/// A deployed study with one certified round, seen through an endpoint that lies.
async fn lied_to(lie: Lie) -> Ledger {
    let world = World::embedded();
    let mut stage = Stage::set(&world).await;
    stage.open("model 1", START).await.unwrap();
    stage.certify(1).await;
    stage.ledger.round(1, 1).await.unwrap();
    Ledger::new(Liar::provider(world.sequencer(), lie), *stage.ledger.addresses()).await.unwrap()
}

#[tokio::test]
async fn an_endpoint_that_leaves_an_event_out_is_found_out() {
    let ledger = lied_to(|method, answer| {
        if method == "eth_getLogs" {
            answer.as_array_mut().unwrap().pop();
        }
    });
    let ledger = ledger.await;
    let error = ledger.round(1, 1).await.unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }) && !error.is_temporary(), "{error:?}");
    assert!(error.to_string().contains("otherwise than the contract's storage about the last certified round"), "{error}");
}

#[tokio::test]
async fn a_malformed_log_spoils_its_study_and_does_not_stop_a_watcher() {
    let ledger = lied_to(|method, answer| {
        if method == "eth_getLogs" {
            answer.as_array_mut().unwrap().last_mut().into_iter().for_each(|last| last["data"] = json!("0x1234"));
        }
    });
    let ledger = ledger.await;
    let error = ledger.study(1).await.unwrap_err();
    assert!(error.to_string().contains("it is not the canonical encoding of a RoundCertified"), "{error}");
    let Progress::Read { batch, .. } = Watcher::new(ledger, Cursor::default()).next_events().await.unwrap() else { panic!() };
    assert_eq!((batch.events.len(), batch.malformed.len()), (29, 1));
    assert_eq!(batch.malformed[0].study, Some(1));
}

#[tokio::test]
async fn a_sponsor_who_publishes_rubbish_spoils_the_next_rounds_and_no_earlier_one() {
    let world = World::embedded();
    let mut stage = Stage::set(&world).await;
    stage.open("model 1", START).await.unwrap();
    stage.certify(1).await;
    stage.ledger.set_policy(&stage.sponsor, 1, 3, Finality::Instant).await.unwrap();
    let lie: Lie = |method, answer| {
        if method == "eth_getLogs" {
            let policy = json!(Consilium::PolicySet::SIGNATURE_HASH);
            let policies = answer.as_array_mut().unwrap().iter_mut().filter(|log| log["topics"][0] == policy);
            policies.for_each(|log| log["data"] = json!("0x12"));
        }
    };
    let ledger = Ledger::new(Liar::provider(world.sequencer(), lie), *stage.ledger.addresses()).await.unwrap();
    let error = ledger.study(1).await.unwrap_err();
    assert!(error.to_string().contains("PolicySet"), "{error}");
    assert!(ledger.round(1, 1).await.unwrap().certificate.is_some());
    assert_eq!(ledger.certified_subjects(1).await.unwrap().len(), 1);
}

#[tokio::test]
async fn logs_out_of_order_or_of_other_blocks_are_refused() {
    let lies: [Lie; 3] = [
        |method, answer| {
            if method == "eth_getLogs" {
                answer.as_array_mut().unwrap().reverse();
            }
        },
        |method, answer| {
            if method == "eth_getLogs" {
                answer[0]["blockNumber"] = json!("0xffff");
            }
        },
        |method, answer| {
            if method == "eth_getLogs" {
                let twice = answer[0].clone();
                answer.as_array_mut().unwrap().insert(0, twice);
            }
        },
    ];
    for lie in lies {
        let error = lied_to(lie).await.events(0, 100).await.unwrap_err();
        assert!(error.to_string().contains("not in order"), "{error}");
    }
}

#[tokio::test]
async fn answers_of_the_wrong_form_are_errors() {
    let lies: [Lie; 4] = [
        |method, answer| {
            if method == "eth_getBlockByNumber" {
                *answer = json!({"number": "x"});
            }
        },
        |method, answer| {
            if method == "eth_getBlockByNumber" {
                *answer = json!(null);
            }
        },
        |method, answer| {
            if method == "eth_getLogs" {
                *answer = json!("0x");
            }
        },
        |method, answer| {
            if method == "eth_call" && answer.as_str().unwrap().len() > 66 {
                *answer = json!("0xff");
            }
        },
    ];
    for lie in lies {
        let error = lied_to(lie).await.round(1, 1).await.unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{error:?}");
        assert!(error.to_string().contains("use another endpoint"), "{error}");
    }
}

#[tokio::test]
async fn a_chain_id_beyond_the_protocol_is_refused() {
    let world = World::embedded();
    let addresses = addresses(&world).await;
    let liar = Liar::provider(world.sequencer(), |method, answer| {
        if method == "eth_chainId" {
            *answer = json!("0x10000000000000000");
        }
    });
    let error = Ledger::new(liar, addresses).await.unwrap_err();
    assert!(matches!(error, Error::ChainIdTooLarge { .. }), "{error:?}");
}

#[tokio::test]
async fn a_vote_that_an_endpoint_invents_is_told_apart_from_the_genuine_ones() {
    let ledger = lied_to(|method, answer| {
        let certified = json!(Consilium::RoundCertified::SIGNATURE_HASH);
        let logs = answer.as_array_mut().filter(|_| method == "eth_getLogs");
        for log in logs.into_iter().flatten().filter(|log| log["topics"][0] == certified) {
            let mut data: Bytes = serde_json::from_value(log["data"].clone()).unwrap();
            let mut bytes = data.to_vec();
            // In the third of four signatures, after root, size, bitmap, and offset and length of the votes.
            bytes[5 * 32 + 2 * 65 + 20] ^= 1;
            data = bytes.into();
            log["data"] = json!(data);
        }
    });
    let round = ledger.await.round(1, 1).await.unwrap();
    let certificate = round.certificate.unwrap();
    assert_eq!(certificate.voters(), [1, 3, 4, 5]);
    assert_eq!(certificate.votes().map(|(node, _)| node).collect::<Vec<_>>(), [1, 3, 4, 5]);
    let genuine = certificate.genuine_votes(&round.terms);
    assert_eq!(genuine.into_keys().collect::<Vec<_>>(), [1, 3, 5]);
}

#[tokio::test]
async fn votes_for_another_set_or_round_are_not_genuine() {
    let round = lied_to(|_, _| {}).await.round(1, 1).await.unwrap();
    let certificate = round.certificate.unwrap();
    assert_eq!(certificate.genuine_votes(&round.terms).len(), 4);
    let vote = |change: fn(&mut Vote)| {
        let mut other = certificate.clone();
        change(&mut other.vote);
        other.genuine_votes(&round.terms).len()
    };
    assert_eq!(vote(|vote| vote.setRoot = root("another set")), 0);
    assert_eq!(vote(|vote| vote.size += 1), 0);
    assert_eq!(vote(|vote| vote.round += 1), 0);
    assert_eq!(vote(|vote| vote.study += 1), 0);
    let elsewhere = Certified { voters: certificate.voters << 1, ..certificate.clone() };
    assert_eq!(elsewhere.genuine_votes(&round.terms).len(), 0, "under other numbers, one of which the committee lacks");
    let mut terms = round.terms.clone();
    terms.domain.chain_id += 1;
    assert_eq!(certificate.genuine_votes(&terms).len(), 0);
}

#[tokio::test]
async fn a_signature_under_a_settlement_that_an_endpoint_invents_proves_nothing() {
    let world = World::embedded();
    let bench = Bench::set(&world, 5).await;
    let roots: Vec<_> = honest(5, 1, 40, 2).iter().map(|values| vector_root(values)).collect();
    let settled = bench.settle(1, 40, &roots, &[1, 2, 3, 4]).await;
    let lie: Lie = |method, answer| {
        if method == "eth_getTransactionByHash" {
            let input = answer["input"].as_str().unwrap();
            // The last byte of the last signature, before the padding to whole words.
            let at = input.trim_end_matches('0').len() - 3;
            let other = if &input[at..=at] == "a" { "b" } else { "a" };
            answer["input"] = json!(format!("{}{other}{}", &input[..at], &input[at + 1..]));
        }
    };
    let liar = Ledger::new(Liar::provider(world.sequencer(), lie), *bench.ledger.addresses()).await.unwrap();
    let round = bench.round(&settled).await;
    let settlement = round.settlement.unwrap();
    let signed = async |ledger: &Ledger| ledger.settlement_signatures(&round.terms, &settlement).await.unwrap().unwrap();
    assert_eq!(signed(&bench.ledger).await.unwrap().len(), 4);
    assert!(signed(&liar).await.is_err());
}

#[test]
fn an_addresses_file_reads_back_and_a_damaged_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("addresses.json");
    let [registry, consilium, treasury, licences, study_token, set_court, sum_kind, privacy_budget] =
        [1, 2, 3, 4, 5, 6, 7, 8].map(Address::repeat_byte);
    let addresses = Addresses {
        chain_id: 7,
        registry,
        consilium,
        treasury,
        licences,
        study_token,
        set_court,
        sum_kind,
        privacy_budget,
        trial_token: None,
        deployed_at: 3,
    };
    addresses.save(&path).unwrap();
    assert_eq!(Addresses::load(&path).unwrap(), addresses);
    std::fs::write(&path, "{}").unwrap();
    let error = Addresses::load(&path).unwrap_err().to_string();
    assert!(error.contains("addresses.json") && error.contains("chain_id"), "{error}");
    assert!(Addresses::load(&folder.path().join("none")).unwrap_err().to_string().contains("cannot read"));
}
