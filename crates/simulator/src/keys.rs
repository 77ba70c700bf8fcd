//! The same keys in every simulation: what is secret about them plays no part, and making them costs time.

use alloy_primitives::{Address, B256, keccak256};
use consilium_core::eip712::SecretKey;
use consilium_core::params::Member;
use consilium_core::seal::KemSecret;
use std::cell::OnceCell;
use std::rc::Rc;

/// Most nodes and sites that a simulation may have.
pub(crate) const MAX_PARTIES: usize = 16;

/// A node's keys.
#[derive(Debug)]
pub(crate) struct NodeKeys {
    pub(crate) secret: B256,
    pub(crate) signing: SecretKey,
    pub(crate) kem: KemSecret,
    pub(crate) public: Vec<u8>,
}

impl NodeKeys {
    pub(crate) fn member(&self) -> Member {
        Member { address: self.signing.address(), kem_key: self.public.clone() }
    }
}

/// All keys: nodes 1.., sites by increasing address, and the sponsor.
#[derive(Debug)]
pub(crate) struct Keys {
    nodes: Vec<NodeKeys>,
    sites: Vec<SecretKey>,
    pub(crate) sponsor: B256,
}

thread_local! {
    static KEYS: OnceCell<Rc<Keys>> = const { OnceCell::new() };
}

impl Keys {
    pub(crate) fn get() -> Rc<Self> {
        KEYS.with(|keys| keys.get_or_init(|| Rc::new(Self::make())).clone())
    }

    fn make() -> Self {
        let nodes = (1..=MAX_PARTIES).map(|node| {
            let secret = keccak256(format!("node {node}"));
            let kem = KemSecret::from_bytes(&keccak256(format!("kem {node}")).0);
            NodeKeys { secret, signing: signing(&secret), public: kem.public_key(), kem }
        });
        let mut sites: Vec<_> = (0..MAX_PARTIES).map(|site| signing(&keccak256(format!("site {site}")))).collect();
        sites.sort_by_key(SecretKey::address);
        Self { nodes: nodes.collect(), sites, sponsor: keccak256("sponsor") }
    }

    pub(crate) fn node(&self, node: usize) -> &NodeKeys {
        &self.nodes[node - 1]
    }

    pub(crate) fn site(&self, site: usize) -> &SecretKey {
        &self.sites[site]
    }

    pub(crate) fn site_address(&self, site: usize) -> Address {
        self.sites[site].address()
    }
}

fn signing(secret: &B256) -> SecretKey {
    SecretKey::from_bytes(&secret.0).unwrap_or_else(|_| unreachable!("a hash is a valid secp256k1 secret"))
}
