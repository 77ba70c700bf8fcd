//! Contracts that ask nodes: an auditor or a licensee may be one, a site or a member never is.

use crate::harness::{World, now};
use crate::licences::license;
use alloy::primitives::hex;
use alloy_primitives::Address;
use consilium_core::capability::{AccountForm, Capability, Holder, Request};
use consilium_core::eip712::SecretKey;

fn key(number: u8) -> SecretKey {
    SecretKey::from_bytes(&[number; 32]).unwrap()
}

/// Creation code of a contract that accepts what its owner signed, by ERC-1271: ecrecover over the digest and the 65 bytes
/// r, s, v of the signature has to give the owner. It takes licences, as ERC-1155 asks of contracts.
fn account_of(owner: Address) -> Vec<u8> {
    let judge = [
        &hex!("6020 6004 6000 37 60a4 35 6000 1a 6020 52 6040 6064 6040 37 6020 6000 6080 6000 6001 5a fa 50 6000 51 73")[..],
        owner.as_slice(),
        &hex!("14 631626ba7e 60e0 1b 02 6000 52 6020 6000 f3"),
    ];
    let judge = judge.concat();
    // Jumps behind the judge if it is called as the receiver of a licence.
    let receiver = u8::try_from(15 + judge.len()).unwrap();
    let code = [
        &hex!("6000 35 60e0 1c 63f23a6e61 14 60")[..],
        &[receiver, 0x57],
        &judge,
        &hex!("5b 63f23a6e61 60e0 1b 6000 52 6020 6000 f3"),
    ];
    let code = code.concat();
    [&[0x60, u8::try_from(code.len()).unwrap()], &hex!("80600b6000396000f3")[..], &code].concat()
}

impl World {
    /// GET in the name of a contract, signed by a key.
    async fn get_for(&self, account: Address, by: &SecretKey, round: u64, rest: &str) -> u16 {
        let path = format!("/v1/studies/1/rounds/{round}{rest}");
        let holder = Holder::Account { account, key: by.clone(), form: AccountForm::Digest };
        let request = Request { method: "GET", path: &path, body: b"" };
        let capability = Capability::sign(&self.addresses.domain(), &holder, (1, round), now() + 60, &request).to_string();
        let sent = self.client.get(format!("{}{path}", self.url(0))).header("authorization", capability).send();
        sent.await.unwrap().status().as_u16()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contract_that_the_sponsor_names_reads_as_an_auditor() {
    let world = World::start(4, 2).await;
    let (owner, stranger) = (key(77), key(78));
    let account = world.create(account_of(owner.address()));
    let round = world.open_round(1, 600).await;
    let number = round.terms.round;
    let (status, answer) = world.upload(0, number, world.contribution(&round.terms, 0).body()).await;
    assert_eq!(status, 200);
    let header = format!("/contributions/{}/header", answer["digest"].as_str().unwrap());

    assert_eq!(world.get_for(account, &owner, number, &header).await, 403, "nobody has named it");
    world.ledger.set_auditor(&world.sponsor, 1, account, true).await.unwrap();
    world.eventually("the auditor counts", async || world.get_for(account, &owner, number, &header).await == 200).await;
    assert_eq!(world.get_for(account, &stranger, number, &header).await, 401, "the contract does not accept the key");
    // A key does not become its contract, nor a contract a site or a member, whose own keys sign.
    assert_eq!(world.get_for(owner.address(), &owner, number, &header).await, 403);
    for plain in [&world.sites[0], world.member_key(1)] {
        assert_eq!(world.get(0, number, &header, Some(plain)).await.0, 200);
        assert_eq!(world.get_for(plain.address(), plain, number, &header).await, 403);
    }
    assert_eq!(world.get_for(world.sites[0].address(), &world.sites[0], number, "/contributions").await, 403);
    // An account without code accepts nothing, also where the chain names it.
    world.ledger.set_auditor(&world.sponsor, 1, stranger.address(), true).await.unwrap();
    let named = async || world.get(0, number, &header, Some(&stranger)).await.0 == 200;
    world.eventually("the key counts", named).await;
    assert_eq!(world.get_for(stranger.address(), &stranger, number, &header).await, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contract_that_holds_a_licence_reads_the_aggregate() {
    let world = World::start(4, 2).await;
    let owner = key(77);
    let account = world.create(account_of(owner.address()));
    license(&world, account).await;
    let round = world.open_round(1, 600).await;
    let number = round.terms.round;
    for site in 0..2 {
        assert_eq!(world.upload(0, number, world.contribution(&round.terms, site).body()).await.0, 200);
    }
    world.settled(number).await;
    let served = async || world.get_for(account, &owner, number, "/aggregate").await == 200;
    world.eventually("the aggregate is served", served).await;
    assert_eq!(world.get_for(account, &key(78), number, "/aggregate").await, 401);
    assert_eq!(world.get_for(account, &owner, number, "/share").await, 403);
}
