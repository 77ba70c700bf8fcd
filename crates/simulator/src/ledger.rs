//! The chain: the real contracts in the embedded EVM chain, in memory, with the simulation's own clock.

use crate::keys::{Keys, MAX_PARTIES};
use crate::scenario::Scenario;
use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy::eips::Encodable2718;
use alloy::rpc::types::TransactionReceipt;
use alloy::signers::{SignerSync, local::PrivateKeySigner};
use alloy::sol_types::{SolCall, SolEvent};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use consilium_chain::{Chain, Genesis, TRANSACTION_GAS_CAP};
use consilium_core::certify::sites_root;
use consilium_core::eip712::{Domain, Signed, nodes_in};
use consilium_core::params::{Committee, CommitteeMembers, Finality, KIND_SUM, Policy};
use consilium_core::round::SignedVote;
use consilium_core::terms::Terms;
use consilium_ledger::contracts::{Consilium as C, Creations, IRecords, NodeRegistry as R};
use consilium_ledger::{Conditions, Consent, DeployOptions};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Unix seconds at which simulations start.
pub(crate) const GENESIS_TIME: u64 = 1_800_000_000;
const CHAIN_ID: u64 = 31_337;

/// A certificate in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Certified {
    pub(crate) block: B256,
    pub(crate) number: u64,
    pub(crate) set_root: B256,
    pub(crate) size: u32,
    pub(crate) voters: Vec<usize>,
    /// The votes that its event carries.
    pub(crate) votes: Vec<SignedVote>,
}

/// A settlement in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) number: u64,
    pub(crate) set_root: B256,
    pub(crate) share_roots: Vec<B256>,
    pub(crate) aggregate_root: B256,
}

#[derive(Debug, Clone)]
enum Noted {
    Certified(u64, Certified),
    Settled(u64, Settled),
}

/// One study on one chain.
#[derive(Debug)]
pub(crate) struct Ledger {
    chain: Chain,
    contract: Address,
    study: u64,
    finality: Finality,
    noted: Vec<Noted>,
}

struct Deployed {
    chain: Chain,
    contract: Address,
}

thread_local! {
    static DEPLOYED: RefCell<BTreeMap<(), Deployed>> = const { RefCell::new(BTreeMap::new()) };
}

fn signer(secret: &B256) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(secret).unwrap_or_else(|_| unreachable!("a hash is a valid secp256k1 secret"))
}

fn send(
    chain: &mut Chain,
    secret: &B256,
    to: TxKind,
    value: U256,
    input: Bytes,
    at: u64,
) -> Result<TransactionReceipt, consilium_chain::Error> {
    let signer = signer(secret);
    let tx = TxEip1559 {
        chain_id: CHAIN_ID,
        nonce: chain.state().nonce(signer.address()),
        gas_limit: TRANSACTION_GAS_CAP,
        max_fee_per_gas: 1_000_000_000,
        to,
        value,
        input,
        ..TxEip1559::default()
    };
    let signature = signer.sign_hash_sync(&tx.signature_hash()).unwrap_or_else(|_| unreachable!("a local key signs any hash"));
    let at = at.max(chain.head().timestamp());
    chain.submit(&TxEnvelope::from(tx.into_signed(signature)).encoded_2718(), at)
}

fn done(receipt: Result<TransactionReceipt, consilium_chain::Error>, what: &str) -> TransactionReceipt {
    match receipt {
        Ok(receipt) if receipt.status() => receipt,
        other => panic!("the simulation could not {what}: {other:?}"),
    }
}

/// All contracts, with every node registered.
fn deploy() -> Deployed {
    let keys = Keys::get();
    let accounts = (1..=MAX_PARTIES).map(|node| keys.node(node).signing.address()).chain([signer(&keys.sponsor).address()]);
    let genesis = Genesis::new(CHAIN_ID).at(GENESIS_TIME - 1000).fund(accounts, U256::from(10).pow(U256::from(26)));
    let mut chain = Chain::in_memory(&genesis);
    let (stake, nothing) = (U256::from(10).pow(U256::from(18)), U256::ZERO);
    let options = DeployOptions { minimum_stake: stake, ..DeployOptions::default() };
    let sponsor = signer(&keys.sponsor).address();
    let Creations { addresses, codes } = Creations::by(sponsor, 0, CHAIN_ID, &options);
    let (registry, contract) = (addresses.registry, addresses.consilium);
    for (_, _, code) in codes {
        done(send(&mut chain, &keys.sponsor, TxKind::Create, nothing, code, 0), "deploy");
    }
    for node in 1..=MAX_PARTIES {
        let (kem_key, operator) = (keys.node(node).public.clone().into(), format!("operator {node}"));
        let call = R::registerCall { kemKey: kem_key, operator, jurisdiction: "CH".into() }.abi_encode();
        done(send(&mut chain, &keys.node(node).secret, registry.into(), stake, call.into(), 0), "register a node");
        let consent = Consent::ALL.try_into().unwrap_or_else(|error| panic!("{error}"));
        let call = R::setConsentCall { party: sponsor, consent }.abi_encode();
        done(send(&mut chain, &keys.node(node).secret, registry.into(), nothing, call.into(), 0), "consent");
    }
    Deployed { chain, contract }
}

impl Ledger {
    /// A chain of its own with the scenario's study on it.
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let (chain, contract) = DEPLOYED.with(|cache| {
            let mut cache = cache.borrow_mut();
            let deployed = cache.entry(()).or_insert_with(deploy);
            (deployed.chain.fork(), deployed.contract)
        });
        let finality = scenario.finality();
        let mut ledger = Self { chain, contract, study: 0, finality, noted: Vec::new() };
        ledger.create_study(scenario);
        ledger
    }

    fn create_study(&mut self, scenario: &Scenario) {
        let keys = Keys::get();
        let program = scenario.program();
        let sites: Vec<Address> = (0..scenario.sites.len()).map(|site| keys.site_address(site)).collect();
        let terms = IRecords::StudyTerms {
            kind: KIND_SUM,
            program: program.name().to_owned(),
            parameters: program.parameters().into(),
            outputLength: program.output_len() as u64,
            weightUnit: String::new(),
            description: B256::ZERO,
            threshold: scenario.t as u8,
            minimumCohort: scenario.minimum_cohort as u32,
            finality: self.finality.to_string(),
            sitesRoot: sites_root(&sites).unwrap_or_default(),
            sitesUri: String::new(),
        };
        let nodes = (1..=scenario.n()).map(|node| keys.node(node).signing.address()).collect();
        let conditions = Conditions::default().try_into().unwrap_or_else(|error| panic!("{error}"));
        let call = C::createStudyCall { terms, conditions, nodes, sites }.abi_encode();
        let receipt = done(self.sponsor(call), "create the study");
        let created = receipt.logs().iter().find_map(|log| C::StudyCreated::decode_log(&log.inner).ok());
        self.study = created.map_or(0, |event| event.study);
    }

    fn sponsor(&mut self, call: Vec<u8>) -> Result<TransactionReceipt, consilium_chain::Error> {
        send(&mut self.chain, &Keys::get().sponsor, self.contract.into(), U256::ZERO, call.into(), 0)
    }

    /// Opens a round, `None` when the contract refuses, and checks that what it froze is what the terms say.
    pub(crate) fn open(&mut self, scenario: &Scenario, subject: B256, now: u64) -> Option<Terms> {
        let (opened, keys) = (now / 1000, Keys::get());
        let (deadline, settle_by) = (opened + scenario.window, opened + 2 * scenario.window);
        let call = C::openRoundCall { study: self.study, subject, deadline, settleBy: settle_by }.abi_encode();
        let to = self.contract.into();
        let receipt = send(&mut self.chain, &keys.sponsor, to, U256::ZERO, call.into(), opened)
            .ok()
            .filter(alloy::rpc::types::TransactionReceipt::status)?;
        let event = receipt.logs().iter().find_map(|log| C::RoundOpened::decode_log(&log.inner).ok())?;
        let sites: Vec<Address> = (0..scenario.sites.len()).map(|site| keys.site_address(site)).collect();
        let sizes = Committee::new(scenario.n(), scenario.t).unwrap_or_else(|error| panic!("{error}"));
        let members = (1..=scenario.n()).map(|node| keys.node(node).member()).collect();
        let terms = Terms {
            domain: Domain { chain_id: CHAIN_ID, contract: self.contract },
            study: self.study,
            round: event.round,
            subject: event.subject,
            committee: CommitteeMembers::new(sizes, event.epoch, members).unwrap_or_else(|error| panic!("{error}")),
            program: scenario.program(),
            policy: Policy {
                minimum_cohort: event.minimumCohort.into(),
                sites_root: event.sitesRoot,
                finality: self.finality,
                opened: event.opened,
                deadline: event.deadline,
                settle_by: event.settleBy,
            },
            sites,
        };
        terms.check().unwrap_or_else(|error| panic!("the simulation opened a bad round: {error}"));
        Some(terms)
    }

    /// A node's transaction, at Unix millisecond `now`. True when it succeeded.
    pub(crate) fn submit(&mut self, node: usize, call: Vec<u8>, now: u64) -> bool {
        let secret = Keys::get().node(node).secret;
        let sent = send(&mut self.chain, &secret, self.contract.into(), U256::ZERO, call.into(), now / 1000);
        let succeeded = sent.is_ok_and(|receipt| receipt.status());
        self.note_head();
        succeeded
    }

    pub(crate) fn mine(&mut self, now: u64) {
        let at = (now / 1000).max(self.chain.head().timestamp());
        self.chain.mine_empty(at).unwrap_or_else(|error| panic!("an empty block was refused: {error}"));
    }

    fn note_head(&mut self) {
        let head = self.chain.head().clone();
        for log in head.included.iter().flat_map(|included| included.receipt.logs()) {
            if let Ok(event) = C::RoundCertified::decode_log(log) {
                let (set_root, size) = (event.setRoot, event.size);
                let pieces = nodes_in(event.voters).into_iter().zip(event.signatures.as_chunks::<65>().0);
                let vote = |(node, piece): (usize, &[u8; 65])| {
                    Some(SignedVote { node, set_root, size, signature: Signed::from_bytes(piece).ok()? })
                };
                let certified = Certified {
                    block: head.hash(),
                    number: head.number(),
                    set_root: event.setRoot,
                    size: event.size,
                    voters: nodes_in(event.voters),
                    votes: pieces.filter_map(vote).collect(),
                };
                self.noted.push(Noted::Certified(event.round, certified));
            } else if let Ok(event) = C::RoundSettled::decode_log(log) {
                let settled = Settled {
                    number: head.number(),
                    set_root: event.setRoot,
                    share_roots: event.shareRoots.clone(),
                    aggregate_root: event.aggregateRoot,
                };
                self.noted.push(Noted::Settled(event.round, settled));
            }
        }
    }

    /// Drops the round's certificate and all that came after it, if it is not final. True when it did.
    pub(crate) fn reorganise(&mut self, round: u64, now: u64) -> bool {
        let Some(number) = self.certificate(round).map(|certified| certified.number) else { return false };
        if self.is_final(number) {
            return false;
        }
        let Ok(fork) = self.chain.fork_at(number - 1) else { return false };
        self.chain = fork;
        self.noted.retain(|noted| match noted {
            Noted::Certified(_, Certified { number: at, .. }) | Noted::Settled(_, Settled { number: at, .. }) => *at < number,
        });
        self.mine(now);
        true
    }

    pub(crate) fn certificate(&self, wanted: u64) -> Option<&Certified> {
        self.noted.iter().find_map(|noted| match noted {
            Noted::Certified(round, certified) if *round == wanted => Some(certified),
            _ => None,
        })
    }

    pub(crate) fn settlement(&self, wanted: u64) -> Option<&Settled> {
        self.noted.iter().find_map(|noted| match noted {
            Noted::Settled(round, settled) if *round == wanted => Some(settled),
            _ => None,
        })
    }

    /// Whether block `number` is final by the study's rule.
    pub(crate) fn is_final(&self, number: u64) -> bool {
        match self.finality {
            Finality::Depth(depth) => self.chain.head().number() >= number + depth,
            _ => true,
        }
    }
}
