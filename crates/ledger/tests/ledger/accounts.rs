//! Contracts that sign: what they accept, and what an endpoint alone cannot make of it.

use crate::scenario::Stage;
use crate::worlds::{Liar, World, wallet};
use alloy::primitives::hex;
use alloy_primitives::{Address, B256, Bytes};
use consilium_core::capability::{AccountForm, Holder};
use consilium_core::eip712::SecretKey;
use consilium_ledger::error::Misuse;
use consilium_ledger::{Endpoints, Error, Ledger};
use serde_json::json;

const DIGEST: B256 = B256::repeat_byte(0xd1);

fn key(number: u8) -> SecretKey {
    SecretKey::from_bytes(&[number; 32]).unwrap()
}

/// Creation code of a contract with this code.
fn created(code: &[u8]) -> Vec<u8> {
    // Copies what follows to memory and returns it.
    [&[0x60, u8::try_from(code.len()).unwrap()], hex!("80600b6000396000f3").as_slice(), code].concat()
}

/// Puts the digest that `isValidSignature(bytes32,bytes)` is asked about into the first word of memory.
const TAKE_DIGEST: &[u8] = &hex!("6020 6004 6000 37");

/// Answers with ERC-1271's yes if the 65 bytes r, s, v of the signature recover to the owner from the first word of memory.
fn answer(owner: Address) -> Vec<u8> {
    [
        // v and r, s behind the digest, then ecrecover over it.
        &hex!("60a4 35 6000 1a 6020 52 6040 6064 6040 37 6020 6000 6080 6000 6001 5a fa 50")[..],
        &hex!("6000 51 73"),
        owner.as_slice(),
        &hex!("14 631626ba7e 60e0 1b 02 6000 52 6020 6000 f3"),
    ]
    .concat()
}

/// A contract whose owner signs digests as they are.
fn plain(owner: Address) -> Vec<u8> {
    created(&[TAKE_DIGEST, &answer(owner)].concat())
}

/// A contract that hashes a digest as a Safe does, and wants its owner's signature over that.
fn safe(owner: Address) -> Vec<u8> {
    let code = [
        // keccak256(type, chain id, own address): the domain stays on the stack.
        &hex!("7f 47e79534a245952e8b16893a336b85a3d9ea9fa8c573f3d803afb92a79469218 6000 52 46 6020 52 30 6040 52 6060 6000 20")[..],
        TAKE_DIGEST,
        // keccak256(type, keccak256(digest)).
        &hex!("6020 6000 20 6020 52 7f 60b3cbf8b4a223d68d641b3b6ddf9a298e7f33710cf3d3a9d1146b5a6150fbca 6000 52 6040 6000 20"),
        // keccak256(0x1901, domain, that).
        &hex!("6080 52 6060 52 611901 6040 52 6042 605e 20 6000 52"),
        &answer(owner),
    ];
    created(&code.concat())
}

/// A contract that uses up all gas.
fn endless() -> Vec<u8> {
    created(&hex!("5b 6000 56"))
}

fn signed(form: AccountForm, account: Address, by: &SecretKey) -> Bytes {
    by.sign(&form.wrap(account, DIGEST)).as_bytes().to_vec().into()
}

async fn stage(world: &World) -> (Ledger, SecretKey) {
    (Stage::set(world).await.ledger.clone(), key(9))
}

#[tokio::test]
async fn a_key_asks_for_a_contract_in_the_form_that_the_contract_wants() {
    let world = World::embedded();
    let (ledger, owner) = stage(&world).await;
    let safe_form = AccountForm::SafeMessage { chain_id: ledger.addresses().chain_id };
    for (code, wanted) in [(plain(owner.address()), AccountForm::Digest), (safe(owner.address()), safe_form)] {
        let account = world.create(1, code).await;
        let holder = ledger.holder(account, owner.clone()).await.unwrap();
        let Holder::Account { account: named, form, .. } = holder else { panic!("{holder:?}") };
        assert_eq!((named, form), (account, wanted));
        assert!(ledger.accepts_signature(account, DIGEST, signed(form, account, &owner)).await.unwrap());
        assert!(!ledger.accepts_signature(account, B256::ZERO, signed(form, account, &owner)).await.unwrap());
        let error = ledger.holder(account, key(10)).await.unwrap_err();
        assert!(matches!(error, Error::Misuse(Misuse::NotAccepted { .. })), "{error}");
    }
}

#[tokio::test]
async fn what_does_not_say_yes_says_no() {
    let world = World::embedded();
    let (ledger, owner) = stage(&world).await;
    let (nobody, endless) = (wallet(3).address(), world.create(1, endless()).await);
    // The consortium's own contracts revert.
    for account in [nobody, endless, ledger.addresses().consilium, ledger.addresses().treasury] {
        let signature = signed(AccountForm::Digest, account, &owner);
        assert!(!ledger.accepts_signature(account, DIGEST, signature).await.unwrap(), "{account}");
    }
}

#[tokio::test]
async fn a_signature_counts_where_every_endpoint_accepts_it() {
    let world = World::embedded();
    let (ledger, owner) = stage(&world).await;
    let account = world.create(1, plain(owner.address())).await;
    let yes = format!("0x1626ba7e{}", "00".repeat(28));
    let lying = Liar::provider(world.sequencer(), move |method, answer| {
        if method == "eth_call" && answer.as_str() == Some(&format!("0x{}", "00".repeat(32))) {
            *answer = json!(yes);
        }
    });
    let liar = Ledger::new(lying, *ledger.addresses()).await.unwrap();
    let strange = signed(AccountForm::Digest, account, &key(10));
    assert!(liar.accepts_signature(account, DIGEST, strange.clone()).await.unwrap(), "it does lie");
    let both = Endpoints::new(vec![liar, ledger]).unwrap();
    assert!(!both.accept_signature(account, DIGEST, &strange).await.unwrap());
    assert!(both.accept_signature(account, DIGEST, &signed(AccountForm::Digest, account, &owner)).await.unwrap());
}
