//! Seeds of the chain: logs of every event, requests, transactions.

use super::Put;
use crate::parts::Parts;
use crate::targets::chain::{signed, signer};
use crate::targets::events::{self, known_topics};
use crate::targets::fixed::{ADDRESSES, kem, key};
use alloy::primitives::LogData;
use alloy::sol_types::{SolError, SolEvent};
use alloy_primitives::aliases::{U24, U40, U96};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, keccak256};
use consilium_ledger::ChainEvent;
use consilium_ledger::contracts::{
    Consilium as C, INodeRegistry, IRecords, Licences as L, NodeRegistry as R, StudyToken as S, Treasury as T,
};
use consilium_ledger::event::RoundOpened;

pub(super) fn all(put: &Put<'_>) {
    consilium(put);
    rounds(put);
    registry(put);
    money(put);
    put("events", "revert", &[&[255, 0, 0], &R::AlreadyRegistered { node: Address::ZERO }.abi_encode()[..]].concat());
    put("events", "reason", &[&[255, 0, 0], &alloy::sol_types::Revert::from("why").abi_encode()[..]].concat());
    requests(put);
    let contract = signer(1).address().create(0);
    put("transaction", "create", &signed(2, TxKind::Create, vec![0x60, 0, 0x60, 0, 0xf3].into()));
    put("transaction", "call", &signed(2, contract.into(), Bytes::new()));
    put("transaction", "reverting", &signed(2, contract.into(), vec![1].into()));
}

fn event(put: &Put<'_>, contract: u8, name: &str, data: &LogData) {
    let topics = data.topics();
    let kind = known_topics().iter().position(|topic| *topic == topics[0]).expect("an event of the contracts");
    let rest = topics[1..].iter().flat_map(|topic| topic.0);
    let seed: Vec<u8> = [contract, topics.len() as u8, kind as u8].into_iter().chain(rest).chain(data.data.to_vec()).collect();
    let log = events::log(contract, topics.len() as u8, kind as u8, Parts::new(&seed[3..]));
    assert!(ChainEvent::decode(&ADDRESSES, &log).is_ok(), "{name} goes no further than its name");
    put("events", name, &seed);
}

const STUDY: u64 = 1;
const ONE: Address = Address::repeat_byte(7);

fn consilium(put: &Put<'_>) {
    let put = |name: &str, data: LogData| event(put, 0, name, &data);
    let terms = IRecords::StudyTerms {
        kind: 1,
        program: "weighted-mean".into(),
        parameters: vec![0; 40].into(),
        outputLength: 100,
        weightUnit: "patients".into(),
        description: B256::ZERO,
        threshold: 1,
        minimumCohort: 2,
        finality: "instant".into(),
        sitesRoot: B256::repeat_byte(6),
        sitesUri: String::new(),
    };
    put("study-created", C::StudyCreated { study: STUDY, sponsor: ONE, terms }.encode_log_data());
    let (nodes, hashes) = (vec![ONE; 4], vec![B256::ZERO; 4]);
    let formed = C::CommitteeFormed { study: STUDY, epoch: 1, threshold: 1, nodes, kemKeyHashes: hashes };
    put("committee-formed", formed.encode_log_data());
    let admitted = C::SitesAdmitted { study: STUDY, version: 1, sitesRoot: B256::ZERO, sites: vec![ONE; 3], uri: String::new() };
    put("sites-admitted", admitted.encode_log_data());
    let uri = "https://sponsor.example/sites.json".to_owned();
    let elsewhere = C::SitesAdmitted { study: STUDY, version: 2, sitesRoot: B256::ZERO, sites: Vec::new(), uri };
    put("sites-elsewhere", elsewhere.encode_log_data());
    put("policy-set", C::PolicySet { study: STUDY, minimumCohort: 3, finality: "depth:12".into() }.encode_log_data());
    put("operator-changed", C::OperatorChanged { study: STUDY, operator: ONE }.encode_log_data());
    put("paused", C::Paused { study: STUDY, from: 1, until: 2 }.encode_log_data());
    put("study-ended", C::StudyEnded { study: STUDY }.encode_log_data());
    put("sponsor-changed", C::SponsorChanged { study: STUDY, sponsor: ONE }.encode_log_data());
}

fn rounds(put: &Put<'_>) {
    let put = |name: &str, data: LogData| event(put, 0, name, &data);
    let opened = RoundOpened {
        study: STUDY,
        round: 2,
        subject: B256::repeat_byte(5),
        epoch: 1,
        minimum_cohort: 3,
        sites_root: B256::repeat_byte(6),
        finality: "depth:12".into(),
        deadline: 100,
        settle_by: 200,
        opened: 50,
        frozen: B256::ZERO,
    };
    let announced = C::RoundOpened {
        study: STUDY,
        round: 2,
        subject: opened.subject,
        epoch: 1,
        minimumCohort: 3,
        sitesRoot: opened.sites_root,
        finality: opened.finality.clone(),
        deadline: 100,
        settleBy: 200,
        opened: 50,
        frozen: opened.frozen_hash(),
    };
    put("round-opened", announced.encode_log_data());
    let (root, voters) = (B256::repeat_byte(1), U256::from(15));
    let signatures: Vec<u8> = (1..=4).flat_map(|node| *key(node).sign(&root).as_bytes()).collect();
    let certified = C::RoundCertified { study: STUDY, round: 2, setRoot: root, size: 3, voters, signatures: signatures.into() };
    put("round-certified", certified.encode_log_data());
    let late: Vec<u8> = key(5).sign(&root).as_bytes().to_vec();
    let added = C::VotesAdded { study: STUDY, round: 2, voters: U256::from(16), signatures: late.into() };
    put("votes-added", added.encode_log_data());
    let settled = C::RoundSettled {
        study: STUDY,
        round: 2,
        setRoot: root,
        shareRoots: vec![root; 5],
        aggregateRoot: root,
        rewardRoot: root,
        signers: voters,
    };
    put("round-settled", settled.encode_log_data());
    put("round-voided", C::RoundVoided { study: STUDY, round: 2 }.encode_log_data());
    put("round-abandoned", C::RoundAbandoned { study: STUDY, round: 2 }.encode_log_data());
    put("round-fraudulent", C::RoundFraudulent { study: STUDY, round: 2 }.encode_log_data());
}

fn registry(put: &Put<'_>) {
    let put = |name: &str, data: LogData| event(put, 1, name, &data);
    let (node, amount) = (ONE, U256::from(9));
    let (operator, jurisdiction) = ("Clinic".into(), "AT".into());
    put("node-registered", R::NodeRegistered { node, operator, jurisdiction, stake: amount }.encode_log_data());
    let kem_key = Bytes::from(kem(1).public_key());
    put("kem-key-set", R::KemKeySet { node, keyHash: keccak256(&kem_key), kemKey: kem_key }.encode_log_data());
    let convicted = R::Convicted { study: STUDY, node, round: 2, offence: 3, reporter: ONE, reward: amount, kept: amount };
    put("convicted", convicted.encode_log_data());
    let (bond, window, expires) = (U96::from(9), U24::from(3600), U40::from(1_900_000_000_u64));
    let consent = INodeRegistry::Consent { maxBond: bond, maxTotal: bond, minimumWindow: window, expires };
    put("consent-set", R::ConsentSet { node, party: ONE, consent }.encode_log_data());
    put("acquitted", R::Acquitted { study: STUDY, node, amount }.encode_log_data());
    put("reporter-paid", R::ReporterPaid { study: STUDY, node, reporter: ONE, amount }.encode_log_data());
    put("forfeited", R::Forfeited { study: STUDY, node, amount }.encode_log_data());
    put("postponed", R::CompensationPostponed { study: STUDY, node, until: amount }.encode_log_data());
    put("held", R::Held { study: STUDY, node, until: 9 }.encode_log_data());
    put("bonded", R::Bonded { study: STUDY, node, amount }.encode_log_data());
    put("withdrawn", R::Withdrawn { node, stake: amount }.encode_log_data());
    let (set_root, size) = (B256::ZERO, 3);
    let assigned = R::CompensationAssigned { study: STUDY, node, round: 2, setRoot: set_root, size };
    put("compensation-assigned", assigned.encode_log_data());
}

fn money(put: &Put<'_>) {
    let amount = U256::from(9);
    event(put, 2, "funded", &T::Funded { study: STUDY, payer: ONE, amount }.encode_log_data());
    event(put, 2, "claimed", &T::Claimed { study: STUDY, account: ONE, amount }.encode_log_data());
    let sold = T::RevenueReceived { study: STUDY, payer: ONE, amount, period: 1 };
    event(put, 2, "revenue", &sold.encode_log_data());
    event(put, 2, "refused", &T::PaymentRefused { study: STUDY, account: ONE, to: ONE, amount }.encode_log_data());
    event(put, 2, "unpaid-sent", &T::UnpaidSent { study: STUDY, account: ONE, to: ONE, amount }.encode_log_data());
    event(put, 2, "payee-set", &T::PayeeSet { study: STUDY, account: ONE, payee: ONE }.encode_log_data());
    event(put, 2, "returned", &T::Returned { study: STUDY, amount }.encode_log_data());
    event(put, 2, "escheat-announced", &T::EscheatAnnounced { study: STUDY, round: 2, from: amount }.encode_log_data());
    let unpaid = T::UnpaidEscheatAnnounced { study: STUDY, account: ONE, from: amount };
    event(put, 2, "unpaid-escheat-announced", &unpaid.encode_log_data());
    event(put, 2, "escheated", &T::Escheated { study: STUDY, account: ONE, amount }.encode_log_data());
    event(put, 5, "role-set", &S::RoleSet { study: STUDY, role: 2, account: ONE }.encode_log_data());
    event(put, 5, "auditor-set", &S::AuditorSet { study: STUDY, auditor: ONE, allowed: true }.encode_log_data());
    let (digest, other) = (B256::repeat_byte(1), B256::repeat_byte(2));
    let struck = T::SiteStruck {
        study: STUDY,
        round: 2,
        site: ONE,
        digest,
        boxes: digest,
        signature: key(21).sign(&digest).to_compact(),
        otherDigest: other,
        otherBoxes: digest,
        otherSignature: key(21).sign(&other).to_compact(),
    };
    event(put, 2, "site-struck", &struck.encode_log_data());
    let bought = L::Bought { study: STUDY, payer: ONE, to: ONE, quantity: 2, price: amount };
    event(put, 3, "bought", &bought.encode_log_data());
}

fn requests(put: &Put<'_>) {
    let contract = signer(1).address().create(0);
    let raw = Bytes::from(signed(2, contract.into(), Bytes::new()));
    let calls = [
        ("blocks", "eth_getBlockByNumber", r#"["latest",true]"#.to_owned()),
        ("fees", "eth_feeHistory", r#"["0x2","latest",[25.0]]"#.to_owned()),
        ("call", "eth_call", format!(r#"[{{"to":"{contract}","data":"0x"}},"latest"]"#)),
        ("revert", "eth_call", format!(r#"[{{"to":"{contract}","input":"0x01"}},"0x2"]"#)),
        ("gas", "eth_estimateGas", format!(r#"[{{"from":"{ONE}","to":"{contract}","gas":"0xffff"}}]"#)),
        ("logs", "eth_getLogs", format!(r#"[{{"fromBlock":"0x0","toBlock":"latest","address":"{contract}","topics":[null]}}]"#)),
        ("storage", "eth_getStorageAt", format!(r#"["{contract}","0x0","latest"]"#)),
        ("balance", "eth_getBalance", format!(r#"["{ONE}",{{"blockNumber":"0x1"}}]"#)),
        ("send", "eth_sendRawTransaction", format!(r#"["{raw}"]"#)),
        ("send-sync", "eth_sendRawTransactionSync", format!(r#"["{raw}"]"#)),
        ("receipts", "eth_getBlockReceipts", r#"["0x2"]"#.to_owned()),
    ];
    let body = |method: &str, params: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
    for (name, method, params) in &calls {
        put("rpc_request", name, body(method, params).as_bytes());
    }
    let batch: Vec<String> = calls.iter().take(3).map(|(_, method, params)| body(method, params)).collect();
    put("rpc_request", "batch", format!("[{}]", batch.join(",")).as_bytes());
    put("rpc_request", "notification", br#"{"method":"eth_chainId"}"#);
    let addresses = serde_json::to_string(&ADDRESSES.consilium).expect("JSON");
    put("rpc_request", "count", body("eth_getTransactionCount", &format!("[{addresses}]")).as_bytes());
}
