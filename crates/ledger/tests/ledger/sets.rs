//! Rust against Solidity: foreign sites in certified sets and rewards that are not those of their set. Both blame the same
//! nodes, or nobody, whatever is shown.

use crate::court::{BOND, Bench, convictions};
use crate::scenario::root;
use crate::worlds::{CHAIN_ID, World, wallet};
use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy::eips::Encodable2718;
use alloy::providers::Provider;
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::SolCall;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use consilium_core::accusation::{Accusation, Charge, Record};
use consilium_core::certify::{CertifiedSet, Cohort, SetLeaves, SetMember};
use consilium_core::eip712::{Settlement, Vote};
use consilium_core::foreign::{ForeignSite, SiteList};
use consilium_core::merkle::{self, TreeKind};
use consilium_core::openings::Roots;
use consilium_core::params::{Committee, CommitteeMembers, Finality, Member};
use consilium_core::rewards::{RewardFlaw, RewardLeaf, Rewards};
use consilium_core::settle::{node_reward, share_roots_hash, site_reward};
use consilium_ledger::contracts::Consilium;
use consilium_ledger::{Offence, State};
use proptest::prelude::Rng as _;
use proptest::test_runner::{RngAlgorithm, TestRng};

const CASES: usize = 24;
const LENGTH: usize = 40;

fn below(rng: &mut TestRng, bound: usize) -> usize {
    rng.next_u32() as usize % bound
}

/// Site number `place`, with room for others around it.
fn site(place: usize) -> Address {
    Address::left_padding_from(&(0x5_1000 + 16 * place as u32).to_be_bytes())
}

/// One that would stand before site `place`.
fn stranger(place: usize) -> Address {
    Address::left_padding_from(&(0x5_1000 + 16 * place as u32 - 7).to_be_bytes())
}

/// All five nodes, or all but one.
fn quorum(rng: &mut TestRng) -> Vec<usize> {
    let missing = below(rng, 6);
    (1..=5).filter(|node| *node != missing).collect()
}

/// A round whose set a case made up.
struct Case<'a> {
    bench: &'a Bench,
    study: u64,
    committee: CommitteeMembers,
    sites_root: B256,
    set: CertifiedSet,
    leaves: SetLeaves,
    voters: Vec<usize>,
    share_roots: Vec<B256>,
    settled: Option<Settlement>,
}

impl<'a> Case<'a> {
    /// A set of these leaves is certified, the first so many of which are sites.
    async fn certify(bench: &'a Bench, sites_root: B256, study: u64, sites: &[Address], size: usize, voters: Vec<usize>) -> Self {
        bench.open(study).await;
        let member = |site: &Address| SetMember { site: *site, digest: root("a digest") };
        let leaves = SetLeaves::from(&Cohort::new(sites.iter().map(member).collect()).unwrap());
        let set_root = Cohort::new(leaves.members().to_vec()).unwrap().root();
        let vote = Vote { study, round: 1, setRoot: set_root, size: size as u32 };
        bench.ledger.certify(&bench.sponsor, &vote, &bench.signed(&vote, &voters)).await.unwrap();
        let members = bench.nodes.iter().map(|node| Member { address: node.address(), kem_key: Vec::new() });
        let committee = CommitteeMembers::new(Committee::new(5, 1).unwrap(), 1, members.collect()).unwrap();
        let bits = voters.iter().fold(U256::ZERO, |bits, node| bits | (U256::ONE << (node - 1)));
        let set = CertifiedSet { root: set_root, size: size as u32, voters: bits };
        let share_roots = (1..=5).map(B256::with_last_byte).collect();
        Self { bench, study, committee, sites_root, set, leaves, voters, share_roots, settled: None }
    }

    async fn settle(&mut self, reward_root: B256, signers: &[usize]) {
        let settlement = Settlement {
            study: self.study,
            round: 1,
            setRoot: self.set.root,
            shareRootsHash: share_roots_hash(&self.share_roots),
            aggregateRoot: root("an aggregate"),
            rewardRoot: reward_root,
        };
        let signed = self.bench.signed(&settlement, signers);
        self.bench.ledger.settle(&self.bench.sponsor, &settlement, &self.share_roots, &signed).await.unwrap();
        self.settled = Some(settlement);
    }

    fn record(&self) -> Record<'_> {
        let roots = |said: &Settlement| Roots { aggregate: said.aggregateRoot, shares: &self.share_roots };
        Record {
            committee: &self.committee,
            length: LENGTH,
            sites_root: self.sites_root,
            set: Some(self.set),
            roots: self.settled.as_ref().map(roots),
            reward_root: self.settled.as_ref().map(|said| said.rewardRoot),
        }
    }

    fn rewards(&self, root: B256) -> Rewards<'_> {
        Rewards { committee: &self.committee, set: self.set, leaves: Some(&self.leaves), root }
    }

    /// Whom both convict; panics if they differ.
    async fn charge(&self, charge: Charge, offence: Offence) -> Vec<Address> {
        let accusation = Accusation { study: self.study, round: 1, charge };
        let holds = accusation.holds(&self.bench.ledger.domain(), &self.record());
        let answer = self.bench.ledger.accuse(&self.bench.reporter, &accusation).await;
        assert_eq!(holds, answer.is_ok(), "{accusation:?}: {answer:?}");
        let found: Vec<_> = answer.iter().flat_map(convictions).collect();
        assert!(found.iter().all(|one| one.offence == offence), "{found:?}");
        found.into_iter().map(|one| one.node).collect()
    }

    async fn foreign(&self, proof: ForeignSite) -> Vec<Address> {
        self.charge(Charge::ForeignSite(Box::new(proof)), Offence::ForeignSite).await
    }

    async fn reward(&self, flaw: RewardFlaw) -> Vec<Address> {
        self.charge(Charge::WrongReward(flaw), Offence::WrongReward).await
    }

    fn accounts(&self, nodes: &[usize]) -> Vec<Address> {
        nodes.iter().map(|node| self.bench.address(*node)).collect()
    }

    /// The right contents of all leaves of the rewards.
    fn contents(&self) -> Vec<Vec<u8>> {
        let sites = self.leaves.members()[..self.set.size as usize].iter().map(|member| site_reward(member.site).to_vec());
        sites.chain(self.accounts(&self.voters).into_iter().map(|node| node_reward(node).to_vec())).collect()
    }
}

/// Publishes a list by its root alone, as the sponsor of a list with powers does. Its wallet counts anew afterwards.
async fn publish(bench: &mut Bench, study: u64, root: B256, sites: Vec<Address>) {
    let signer = PrivateKeySigner::from_bytes(&B256::repeat_byte(1)).unwrap();
    assert_eq!(signer.address(), bench.sponsor.address());
    let provider = bench.ledger.provider();
    let tx = TxEip1559 {
        chain_id: CHAIN_ID,
        nonce: provider.get_transaction_count(signer.address()).await.unwrap(),
        gas_limit: 3_000_000,
        max_fee_per_gas: 100_000_000_000,
        to: TxKind::Call(bench.ledger.addresses().consilium),
        input: Consilium::setSitesCall { study, sitesRoot: root, sites, uri: String::new() }.abi_encode().into(),
        ..TxEip1559::default()
    };
    let signature = signer.sign_hash_sync(&tx.signature_hash()).unwrap();
    let raw = TxEnvelope::from(tx.into_signed(signature)).encoded_2718();
    let receipt = provider.send_raw_transaction(&raw).await.unwrap().get_receipt().await.unwrap();
    assert!(receipt.status());
    bench.sponsor = wallet(1);
}

fn list(count: usize, powers: bool) -> SiteList {
    if powers {
        SiteList::with_powers(&(0..count).map(|place| (site(place), 1 + 3 * place as u64)).collect::<Vec<_>>()).unwrap()
    } else {
        SiteList::new((0..count).map(site).collect()).unwrap()
    }
}

/// What is shown with something wrong about it, or at least something else.
fn spoilt(proof: &ForeignSite, list: &SiteList, count: usize, how: usize) -> ForeignSite {
    let mut other = proof.clone();
    let neighbours = &mut other.absence.neighbours;
    match how {
        0 => drop(neighbours.pop()),
        1 => neighbours.reverse(),
        2 => neighbours.push(neighbours[0].clone()),
        3 => neighbours[0].index ^= 1,
        4 => neighbours[0].content = [&neighbours[0].content[..], &[0; 8]].concat().into(),
        5 => other.absence.powers = !other.absence.powers,
        6 => other.absence.length += 1,
        7 => drop(neighbours[0].path.pop()),
        8 => neighbours[0].path.push(B256::ZERO),
        9 => other.absence = list.absence(&stranger(0)).unwrap(),
        10 => other.absence = list.absence(&stranger(count)).unwrap(),
        11 => other.leaf.member.site = stranger(count / 2),
        12 => other.leaf.index ^= 1,
        13 => other.leaf.length += 1,
        14 => other.leaf.path.push(B256::ZERO),
        _ => neighbours.clear(),
    }
    other
}

/// Lists with and without powers; strangers before the first site, between two, behind the last.
#[tokio::test]
async fn a_foreign_site_is_one_to_rust_and_to_the_contract_wherever_it_would_stand() {
    let world = World::embedded();
    let mut bench = Bench::set(&world, 5).await;
    let mut rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[31; 32]);
    for case in 0..CASES {
        let (count, powers) = (2 + below(&mut rng, 7), case % 2 == 1);
        let place = [0, count, 1 + below(&mut rng, count - 1)][case % 3];
        let list = list(count, powers);
        let study = bench.study(5, 1, LENGTH).await;
        publish(&mut bench, study, list.root(), (0..count).map(site).collect()).await;
        let mut sites: Vec<Address> = (0..count).map(site).collect();
        sites.insert(place, stranger(place));
        // A member of the committee may have contributed: a leaf behind the sites, which no list admits.
        sites.extend((case % 4 == 0).then(|| Address::repeat_byte(0xff)));
        let case = Case::certify(&bench, list.root(), study, &sites, count + 1, quorum(&mut rng)).await;
        let proof = ForeignSite::find(&case.set, &case.leaves, &list).unwrap();
        assert_eq!(proof.leaf.member.site, stranger(place));
        for how in 0..16 {
            let other = spoilt(&proof, &list, count, how);
            assert!(other == proof || case.foreign(other).await.is_empty(), "{count} {place} {how}");
        }
        for index in (0..count + 1).filter(|index| *index != place) {
            let leaf = case.leaves.open(index).unwrap();
            let absence = list.absence(&stranger(index)).unwrap();
            assert!(case.foreign(ForeignSite { leaf, absence }).await.is_empty(), "an admitted site is never missing");
        }
        assert_eq!(case.foreign(proof).await, case.accounts(&case.voters));
    }
}

#[tokio::test]
async fn a_member_behind_the_sites_of_a_set_is_no_foreign_site_to_either() {
    let bench = Bench::set(&World::embedded(), 5).await;
    let (list, study) = (list(4, false), bench.study(5, 1, LENGTH).await);
    bench.ledger.set_sites(&bench.sponsor, study, &(0..4).map(site).collect::<Vec<_>>()).await.unwrap();
    let sites: Vec<Address> = (0..4).map(site).chain([Address::repeat_byte(0xee), Address::repeat_byte(0xff)]).collect();
    let case = Case::certify(&bench, list.root(), study, &sites, 4, vec![1, 2, 3, 4]).await;
    assert_eq!(ForeignSite::find(&case.set, &case.leaves, &list), None);
    for index in 4..6 {
        let leaf = case.leaves.open(index).unwrap();
        let absence = list.absence(&leaf.member.site).unwrap();
        assert!(absence.holds(&leaf.member.site, &list.root()));
        assert!(case.foreign(ForeignSite { leaf, absence }).await.is_empty());
    }
}

/// The contract takes the proof again and pays nobody: Rust tells when nothing is left to prove.
#[tokio::test]
async fn a_foreign_site_is_answered_when_the_round_is_off_the_record_and_no_voter_is_liable() {
    let bench = Bench::set(&World::embedded(), 5).await;
    let (list, study) = (list(4, false), bench.study(5, 1, LENGTH).await);
    bench.ledger.set_sites(&bench.sponsor, study, &(0..4).map(site).collect::<Vec<_>>()).await.unwrap();
    let sites = [site(0), site(1), stranger(2)];
    let case = Case::certify(&bench, list.root(), study, &sites, 3, vec![1, 2, 3, 4]).await;
    let proof = ForeignSite::find(&case.set, &case.leaves, &list).unwrap();
    let accusation = Accusation { study, round: 1, charge: Charge::ForeignSite(Box::new(proof.clone())) };
    let round = bench.ledger.round(study, 1).await.unwrap();
    assert_eq!((round.record().set, round.record().sites_root), (case.record().set, case.record().sites_root));
    assert_eq!(round.site_list().unwrap(), list);
    let is_answered = async |rule| bench.ledger.is_answered(&accusation, rule).await.unwrap();
    assert!(!is_answered(Finality::Instant).await);
    assert_eq!(case.foreign(proof.clone()).await.len(), 4);
    assert_eq!(bench.ledger.round(study, 1).await.unwrap().state, State::Fraudulent);
    assert!(is_answered(Finality::Instant).await && !is_answered(Finality::Depth(1)).await);
    assert!(case.foreign(proof).await.is_empty(), "taken again, and nobody is convicted twice");
    assert!(bench.ledger.bond(study, bench.address(5)).await.unwrap().amount == U256::from(BOND), "node 5 did not vote");
}

/// A content with another account, role, number of units, or length, or that of another place.
fn false_content(rng: &mut TestRng, right: &[u8], other: &[u8]) -> Vec<u8> {
    let mut wrong = right.to_vec();
    match below(rng, 7) {
        0 => wrong[19] ^= 1,
        1 => wrong[20] ^= 1,
        2 => wrong[28] = 2,
        3 => wrong[28] = 0,
        4 => wrong.push(0),
        5 => wrong.clear(),
        _ => wrong = other.to_vec(),
    }
    wrong
}

fn hashes(contents: &[Vec<u8>]) -> Vec<B256> {
    contents.iter().map(|content| merkle::leaf(content)).collect()
}

fn top(contents: &[Vec<u8>]) -> B256 {
    merkle::root(TreeKind::Reward, contents.len() as u64, hashes(contents))
}

/// What is shown of the leaf of a place, with something else about it.
fn shown(case: &Case<'_>, contents: &[Vec<u8>], index: usize, how: usize) -> RewardFlaw {
    let content = Bytes::from(contents[index].clone());
    let mut leaf = RewardLeaf { index: index as u32, content, path: merkle::open(&hashes(contents), index) };
    let mut member = case.leaves.open(index);
    match how {
        0 => {}
        1 => leaf.index += 1,
        2 => leaf.path.push(B256::ZERO),
        3 => drop(leaf.path.pop()),
        4 => leaf.content = node_reward(Address::repeat_byte(3)).into(),
        5 => member = case.leaves.open((index + 1) % case.leaves.members().len()),
        6 => member = None,
        _ => leaf.index += contents.len() as u32,
    }
    RewardFlaw::Leaf { leaf, member }
}

/// A false leaf of a site or of a voter: another account, role, units or length.
#[tokio::test]
async fn a_false_reward_is_one_to_rust_and_to_the_contract_and_a_right_one_to_neither() {
    let world = World::embedded();
    let bench = Bench::set(&world, 5).await;
    let mut rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[37; 32]);
    for number in 0..CASES {
        let (count, study) = (2 + below(&mut rng, 6), bench.study(5, 1, LENGTH).await);
        let mut sites: Vec<Address> = (0..count).map(site).collect();
        sites.extend((number % 4 == 0).then(|| Address::repeat_byte(0xff)));
        let root = bench.ledger.study(study).await.unwrap().sites_root;
        let mut case = Case::certify(&bench, root, study, &sites, count, quorum(&mut rng)).await;
        let mut contents = case.contents();
        let of_site = number % 2 == 0;
        let lied = if of_site { below(&mut rng, count) } else { count + below(&mut rng, contents.len() - count) };
        let other = contents[(lied + 1) % contents.len()].clone();
        contents[lied] = false_content(&mut rng, &contents[lied], &other);
        let signers = quorum(&mut rng);
        case.settle(top(&contents), &signers).await;
        let flaw = case.rewards(top(&contents)).judge_tree(&contents).unwrap();
        for index in 0..contents.len() {
            // A member of the set that is not the place's is unread for a voter's leaf: there it spoils nothing.
            let spoils = |how: &usize| index != lied || (1..5).contains(how) || *how == 7 || (of_site && *how != 0);
            for how in (0..8).filter(spoils) {
                let other = shown(&case, &contents, index, how);
                assert!(case.reward(other.clone()).await.is_empty(), "{lied} {index} {how}: {other:?}");
            }
        }
        let preimage = merkle::preimage(TreeKind::Reward, contents.len() as u64, hashes(&contents)).into();
        assert!(case.reward(RewardFlaw::Root { preimage }).await.is_empty(), "its top is in order");
        assert_eq!(case.reward(flaw).await, case.accounts(&signers));
    }
}

/// Bytes with the root that they are the SHA-256 of.
type Top = (Vec<u8>, B256);

fn tops(bench: &Bench, contents: &[Vec<u8>]) -> [Top; 7] {
    let of_tree = |kind, length: usize, leaves: Vec<B256>| {
        (merkle::preimage(kind, length as u64, leaves.clone()), merkle::root(kind, length as u64, leaves))
    };
    let of_bytes = |bytes: &[u8]| ([&[0], bytes].concat(), merkle::leaf(bytes));
    let (n, all) = (contents.len(), [contents, &[node_reward(bench.address(5)).to_vec()]].concat());
    [
        of_tree(TreeKind::Reward, n + 1, hashes(&all)),
        of_tree(TreeKind::Reward, n - 1, hashes(&contents[1..])),
        of_tree(TreeKind::Set, n, hashes(contents)),
        of_tree(TreeKind::Reward, n, Vec::new()),
        of_bytes(&[4; 40]),
        of_bytes(&[]),
        of_tree(TreeKind::Reward, n, hashes(contents)),
    ]
}

/// The root of a tree of another length or kind, of a tree without leaves, or of no tree.
#[tokio::test]
async fn malformed_rewards_are_so_to_rust_and_to_the_contract() {
    let world = World::embedded();
    let bench = Bench::set(&world, 5).await;
    for which in 0..7 {
        let study = bench.study(5, 1, LENGTH).await;
        let list = bench.ledger.study(study).await.unwrap().sites_root;
        let mut case = Case::certify(&bench, list, study, &[site(0), site(1)], 2, vec![1, 2, 3, 4]).await;
        let all = tops(&bench, &case.contents());
        let settled = all[which].1;
        case.settle(settled, &[2, 3, 4, 5]).await;
        assert_eq!(case.rewards(settled).guess(U256::ZERO).is_some(), which == 0, "the whole committee is credited");
        let proof = |top: &Top| RewardFlaw::Root { preimage: top.0.clone().into() };
        for other in (0..7).filter(|other| *other != which) {
            assert!(case.reward(proof(&all[other])).await.is_empty(), "{which} {other}");
        }
        let convicted = case.reward(proof(&all[which])).await;
        assert_eq!(convicted, if which < 6 { case.accounts(&[2, 3, 4, 5]) } else { Vec::new() }, "{which}");
    }
}
