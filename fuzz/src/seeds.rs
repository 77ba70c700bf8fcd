//! The seed corpus, made by the project's own encoders: `FUZZ_SEEDS=corpus fuzz`. Inputs that once failed are not made here;
//! they lie beside the seeds under names that begin with `failed-`.

use crate::parts::sized;
use crate::targets::fixed::{DOMAIN, kem, key, round, rounds};
use crate::targets::record;
use alloy::sol_types::SolStruct;
use alloy_primitives::{Address, B256, Bytes};
use consilium_core::accusation::{Accusation, Charge, FinalOf, SignedContribution};
use consilium_core::capability::{AccountForm, Capability, Holder, Request};
use consilium_core::certify::{Cohort, ReceiptCertificate, SetMember};
use consilium_core::contribution::{Body, Contribution};
use consilium_core::cores::Cores;
use consilium_core::eip712::{self, Receipt, Signed, Vote};
use consilium_core::field::{self, Ext, Fp};
use consilium_core::mask::{Seed, Seeds};
use consilium_core::openings::{Flaw, open};
use consilium_core::program::AnyProgram;
use consilium_core::round::{
    IntentKind, Known, Message, SignedFinal, SignedIntent, SignedReceipt, SignedSettlement, SignedShareRoot, SignedVote,
};
use consilium_core::seal::seal_boxes;
use consilium_core::terms::Terms;
use consilium_core::transcript::{hash, values_hash};
use rand_core::SeedableRng as _;
use std::path::Path;

mod chain;
mod files;

/// Writes all seeds into a folder with one folder a target.
pub(crate) fn write_all(folder: &Path) {
    let put = |target: &str, name: &str, bytes: &[u8]| {
        let folder = folder.join(target);
        std::fs::create_dir_all(&folder).expect("the folder can be made");
        std::fs::write(folder.join(name), bytes).expect("and written");
    };
    contributions(&put);
    boxes(&put);
    elements(&put);
    messages(&put);
    evidence(&put);
    openings(&put);
    small(&put);
    files::all(&put);
    chain::all(&put);
    for (number, answers) in record().iter().enumerate() {
        put("rpc_answer", &format!("question-{number}"), answers);
    }
}

/// Takes a target, the name of a seed, and the seed.
type Put<'a> = dyn Fn(&str, &str, &[u8]) + 'a;

fn contributions(put: &Put<'_>) {
    for (number, terms) in (0..).zip(rounds()) {
        put("contribution", &format!("round-{number}"), &[&[number], &contribution(terms)[..]].concat());
    }
}

/// The header of a contribution by site 21, in every part of the form that its round demands.
fn contribution(terms: &Terms) -> Vec<u8> {
    let (sizes, site) = (terms.committee.sizes(), key(21).address());
    let ctx = terms.context().of_site(site);
    let fp = |i: usize| Fp::reduce((i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let body = Body {
        commitments: sizes.excluded().iter().map(|subset| hash("seed", &[&[subset[0] as u8][..]])).collect(),
        values_hash: values_hash(&field::to_bytes(&vec![fp(1); terms.program.dimension()])),
        witness: (0..terms.program.witness_len()).map(fp).collect(),
        proof: (0..2 * sizes.t()).map(|i| Ext { a: fp(i), b: fp(i + 1) }).collect(),
    };
    let digest = body.digest(&ctx);
    let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
    let seeds = (0..sizes.excluded().len()).map(|number| Seed::new([number as u8; 32])).collect();
    let boxes = seal_boxes(Cores::ONE, &terms.committee, [ctx, digest], &Seeds::from_vec(seeds), &mut rng);
    let (study, round) = (terms.study, terms.round);
    let unsigned = Contribution { study, round, site, body, boxes, signature: key(21).sign(&digest) };
    let signature = terms.domain.sign(&key(21), &unsigned.statement(digest));
    Contribution { signature, ..unsigned }.to_bytes()
}

fn boxes(put: &Put<'_>) {
    put("boxes", "plaintext", &[&[1, 9, 1], &[5; 96][..]].concat());
    put("boxes", "plaintext-odd", &[&[1, 80, 4], &[5; 33][..]].concat());
    put("boxes", "repair", &[&[2, 7], &[6; 32][..]].concat());
    put("boxes", "public-key", &[&[3], &kem(1).public_key()[..]].concat());
    let read = Contribution::from_bytes(&contribution(round()), &round().shape());
    put("boxes", "sealed", &[&[0], &read.expect("our own").boxes[2][..]].concat());
}

fn elements(put: &Put<'_>) {
    for length in [0_u16, 1, 33, 257] {
        let values: Vec<Fp> = (0..u64::from(length)).map(|i| Fp::reduce(i.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
        let seed = [&length.to_le_bytes()[..], &[13, 0], &field::to_bytes(&values)].concat();
        put("elements", &format!("length-{length}"), &seed);
    }
    put("elements", "not-below-p", &[&[2, 0, 3, 0], &1_u64.to_le_bytes()[..], &field::MODULUS.to_le_bytes()].concat());
}

fn member(site: u8) -> SetMember {
    SetMember { site: key(site).address(), digest: [site; 32].into() }
}

fn receipt(node: u8, site: u8) -> SignedReceipt {
    let (terms, member) = (round(), member(site));
    let said = Receipt { study: terms.study, round: terms.round, site: member.site, digest: member.digest };
    SignedReceipt { node: node.into(), member, signature: terms.domain.sign(&key(node), &said) }
}

fn messages(put: &Put<'_>) {
    let mut members: Vec<SetMember> = (21..=23).map(member).collect();
    members.sort_unstable();
    let cohort = Cohort::new(members).expect("sorted");
    let (set_root, size) = (cohort.root(), cohort.size());
    let said = Vote { study: round().study, round: round().round, setRoot: set_root, size };
    let vote = SignedVote { node: 2, set_root, size, signature: round().domain.sign(&key(2), &said) };
    let sealed = [(0, Bytes::from(vec![7; 40]))].into_iter().collect();
    let recalled = Message::Recalled {
        start: set_root,
        from: None,
        intents: vec![intent_by(2, IntentKind::Final, set_root), intent_by(2, IntentKind::ShareRoot, set_root)],
        receipts: vec![receipt(2, 21)],
        next: Some(key(22).address()),
    };
    let all = [
        ("receipts", Message::Receipts(vec![receipt(1, 21), receipt(2, 21), receipt(1, 22), receipt(1, 99)])),
        ("proposal", Message::Proposal { cohort: cohort.clone(), vote: vote.clone() }),
        ("vote", Message::Vote(vote)),
        ("cohort", Message::Cohort(cohort)),
        ("sync", Message::Sync { receipts: set_root }),
        ("seed-request", Message::SeedRequest { member: member(21), numbers: vec![0, 3] }),
        ("seeds", Message::Seeds { member: member(21), sealed }),
        ("final", Message::Final(final_by(2, set_root))),
        ("share-root", Message::ShareRoot(share_root_by(2, set_root))),
        ("settlement", Message::Settlement(settlement_by(2, set_root))),
        ("intent", Message::Intent(intent_by(1, IntentKind::Settlement, set_root))),
        ("acknowledged", Message::Acknowledged(intent_by(2, IntentKind::Final, set_root))),
        ("recall", Message::Recall { start: set_root, from: Some(key(21).address()) }),
        ("recalled", recalled),
    ];
    for (name, message) in all {
        assert!(message.clone().checked(round(), &Known::default()).is_some(), "{name} goes no further than its signature");
        put("messages", name, &serde_json::to_vec(&[message]).expect("messages are JSON"));
    }
}

fn sign<S: SolStruct>(node: u8, said: &S) -> Signed {
    round().domain.sign(&key(node), said)
}

fn final_by(node: u8, set_root: B256) -> SignedFinal {
    let Terms { study, subject, round, .. } = *self::round();
    let said = eip712::Final { study, subject, round, setRoot: set_root };
    SignedFinal { node: node.into(), set_root, signature: sign(node, &said) }
}

fn share_root_by(node: u8, set_root: B256) -> SignedShareRoot {
    let Terms { study, round, .. } = *self::round();
    let root = B256::repeat_byte(node);
    let said = eip712::ShareRoot { study, round, setRoot: set_root, index: node, root };
    SignedShareRoot { node: node.into(), set_root, root, signature: sign(node, &said) }
}

fn settlement_by(node: u8, set_root: B256) -> SignedSettlement {
    let mut said = SignedSettlement {
        node: node.into(),
        set_root,
        share_roots_hash: B256::repeat_byte(3),
        aggregate_root: B256::repeat_byte(4),
        reward_root: B256::repeat_byte(5),
        signature: key(node).sign(&B256::ZERO),
    };
    said.signature = sign(node, &said.statement(round()));
    said
}

fn intent_by(node: u8, kind: IntentKind, set_root: B256) -> SignedIntent {
    let Terms { study, subject, round, .. } = *self::round();
    let hash = match kind {
        IntentKind::Final => eip712::Final { study, subject, round, setRoot: set_root }.eip712_hash_struct(),
        IntentKind::ShareRoot | IntentKind::Settlement => B256::repeat_byte(6),
    };
    let said = eip712::Intent { study, round, kind: kind as u8, hash };
    SignedIntent { node: node.into(), round, kind, set_root, hash, signature: sign(node, &said) }
}

fn evidence(put: &Put<'_>) {
    let site = key(21).address();
    let said = |byte: u8| {
        let (digest, boxes) = ([byte; 32].into(), [9; 32].into());
        let statement = eip712::Contribution { study: 1, round: 7, site, digest, boxes };
        SignedContribution { digest, boxes, signature: DOMAIN.sign(&key(21), &statement) }
    };
    let values: Vec<Fp> = (0..40).map(Fp::reduce).collect();
    let (address, [one, other]) = (key(2).address(), [B256::repeat_byte(1), B256::repeat_byte(2)]);
    let said_by_site = said(1);
    let (share_root, settlement) = (|root| share_root_by(2, root), |root| settlement_by(2, root));
    let final_of = |root| FinalOf { round: round().round, subject: round().subject, signed: final_by(2, root) };
    let charges = [
        ("two-finals", Charge::TwoFinals { address, statements: Box::new([one, other].map(final_of)) }),
        ("two-share-roots", Charge::TwoShareRoots { address, statements: Box::new([one, other].map(share_root)) }),
        ("two-settlements", Charge::TwoSettlements { address, statements: Box::new([one, other].map(settlement)) }),
        ("wrong-share-root", Charge::WrongShareRoot { address, statements: Box::new([share_root(round().subject)]) }),
        ("two-contributions", Charge::TwoContributions { site, statements: Box::new([said_by_site, said(2)]) }),
        ("root", Charge::WrongSettlement(Flaw::Root { point: 3, preimage: vec![1, 2].into() })),
        ("leaf", Charge::WrongSettlement(Flaw::Leaf { leaf: 1, opening: open(0, &values, 1) })),
    ];
    for (name, charge) in charges {
        let json = serde_json::to_vec(&Accusation { study: 1, round: 7, charge }).expect("evidence is JSON");
        put("evidence", name, &[&[0], &json[..]].concat());
    }
    let receipts = (1..=4).map(|node| (usize::from(node), receipt(node, 21).signature)).collect();
    let certificate = serde_json::to_string(&ReceiptCertificate { member: member(21), receipts }).expect("JSON");
    put("evidence", "certificate", format!("\u{1}{certificate}").as_bytes());
    let receipt = serde_json::to_string(&receipt(1, 21)).expect("JSON");
    let uploaded = format!(r#"{{"site":"{site}","digest":"{}","receipts":[{receipt}]}}"#, member(21).digest);
    put("evidence", "uploaded", format!("\u{2}{uploaded}").as_bytes());
    let said = serde_json::to_string(&settlement(one)).expect("JSON");
    put("evidence", "statements", format!("\u{3}{{\"settlements\":[{said}]}}").as_bytes());
    let said = serde_json::to_string(&said_by_site).expect("JSON");
    put("evidence", "held", format!("\u{4}{{\"contributions\":[{said}],\"receipts\":[{receipt}]}}").as_bytes());
}

fn openings(put: &Put<'_>) {
    put("openings", "path", &[0, 200, 5, 70, 0, 255]);
    put("openings", "path-longer", &[&[0, 200, 5, 70, 0, 3], &[8; 64][..]].concat());
    let words = |count: u64| -> Vec<u8> { (0..count).flat_map(u64::to_le_bytes).collect() };
    put("openings", "served", &[&[1, 39, 0, 0, 2], &words(40)[..]].concat());
    put("openings", "served-longer", &[&[1, 33, 0, 1, 0], &words(40)[..]].concat());
    let values: Vec<Fp> = (0..4).map(Fp::reduce).collect();
    let openings = (0..3).map(|point| open(point, &values, 0)).collect();
    for (name, flaw) in [
        ("misfit", Flaw::Misfit { element: 1, openings }),
        ("leaf", Flaw::Leaf { leaf: 0, opening: open(2, &values, 0) }),
        ("root", Flaw::Root { point: 1, preimage: vec![2; 41].into() }),
    ] {
        put("openings", name, &[&[2], &serde_json::to_vec(&flaw).expect("JSON")[..]].concat());
    }
}

/// Inputs of a line or two.
fn small(put: &Put<'_>) {
    for (number, terms) in (0..).zip(rounds()) {
        let kind = u8::from(matches!(terms.program, AnyProgram::OneHot(_)));
        put("program", &format!("round-{number}"), &[&[kind], &terms.program.parameters()[..]].concat());
    }
    put("program", "unknown", &[&[2], &sized(b"sum")[..], &[0; 40]].concat());
    for rule in ["instant", "depth:12", "safe", "finalized"] {
        put("program", rule, format!("\u{3}{rule}").as_bytes());
    }
    let request = Request { method: "GET", path: "/v1/status", body: b"" };
    let capability = Capability::sign(&DOMAIN, &Holder::Key(key(21)), (1, 7), 2_000_000_240, &request);
    put("access", "capability", capability.to_string().as_bytes());
    let holder = Holder::Account { account: Address::repeat_byte(0x5a), key: key(21), form: AccountForm::Digest };
    let capability = Capability::sign(&DOMAIN, &holder, (1, 7), 2_000_000_240, &request);
    put("access", "account", capability.to_string().as_bytes());
}
