//! Section 6.12: evidence of an offence in the form in which it is kept, served and filed. It names study and round, so
//! that it can be judged and proved to the contract by whoever reads it, long after the round.

use crate::certify::CertifiedSet;
use crate::eip712::{self, Domain, Final, Settlement, ShareRoot, Signed};
use crate::foreign::ForeignSite;
use crate::openings::{Flaw, Roots};
use crate::params::CommitteeMembers;
use crate::rewards::RewardFlaw;
use crate::round::{Offender, SignedFinal, SignedSettlement, SignedShareRoot};
use crate::terms::Terms;
use alloy_primitives::{Address, B256};
use alloy_sol_types::SolStruct;
use serde::{Deserialize, Serialize};

/// What somebody did, with everything that the contract needs to see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accusation {
    /// The study.
    pub study: u64,
    /// The round in which it was found.
    pub round: u64,
    /// What happened.
    #[serde(flatten)]
    pub charge: Charge,
}

/// The published list of offences.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "offence", rename_all = "kebab-case")]
pub enum Charge {
    /// Two Finals of one node for one subject.
    TwoFinals {
        /// Who signed both.
        address: Address,
        /// What it signed.
        statements: Box<[FinalOf; 2]>,
    },
    /// Two output shares of one node in one round.
    TwoShareRoots {
        /// Who signed both.
        address: Address,
        /// What it signed.
        statements: Box<[SignedShareRoot; 2]>,
    },
    /// Two settlements of one round by one node.
    TwoSettlements {
        /// Who signed both.
        address: Address,
        /// What it signed.
        statements: Box<[SignedSettlement; 2]>,
    },
    /// A share root that is not the settled one, or for a set that is not the certified one.
    WrongShareRoot {
        /// Who signed it.
        address: Address,
        /// What it signed.
        statements: Box<[SignedShareRoot; 1]>,
    },
    /// A settlement that is wrong: an offence of every node that signed it.
    WrongSettlement(Flaw),
    /// A certified set with a site that was not admitted: an offence of every node that voted for it.
    ForeignSite(Box<ForeignSite>),
    /// Settled rewards that are not those of the set and its voters: an offence of every node that signed them.
    WrongReward(RewardFlaw),
    /// Two contributions of one site to one round.
    TwoContributions {
        /// Who signed both.
        site: Address,
        /// What it signed.
        statements: Box<[SignedContribution; 2]>,
    },
}

impl Charge {
    /// Whether the round is off the record with its proof: nothing that differs from the round's settlement is an offence
    /// then.
    #[must_use]
    pub fn undoes_round(&self) -> bool {
        match self {
            Self::WrongSettlement(_) | Self::ForeignSite(_) | Self::WrongReward(_) => true,
            Self::TwoFinals { .. }
            | Self::TwoShareRoots { .. }
            | Self::TwoSettlements { .. }
            | Self::WrongShareRoot { .. }
            | Self::TwoContributions { .. } => false,
        }
    }
}

/// A Final with the round and subject that it names: two of them may be of two rounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinalOf {
    /// The round.
    pub round: u64,
    /// The subject.
    pub subject: B256,
    /// Node, set and signature.
    #[serde(flatten)]
    pub signed: SignedFinal,
}

/// What a site signs of a contribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedContribution {
    /// The contribution's digest.
    pub digest: B256,
    /// H("boxes", ...).
    pub boxes: B256,
    /// The site's signature.
    pub signature: Signed,
}

impl SignedContribution {
    /// What was signed.
    #[must_use]
    pub fn statement(&self, study: u64, round: u64, site: Address) -> eip712::Contribution {
        eip712::Contribution { study, round, site, digest: self.digest, boxes: self.boxes }
    }
}

/// Two contributions of one site to one round: what a strike rests on. Nobody takes a site out of a round before they hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Equivocation {
    /// The study.
    pub study: u64,
    /// The round.
    pub round: u64,
    /// Who is said to have signed both.
    pub site: Address,
    /// What it is said to have signed.
    pub statements: [SignedContribution; 2],
}

impl Equivocation {
    /// Whether the site signed both, in this domain, and they are not the same.
    #[must_use]
    pub fn holds(&self, domain: &Domain) -> bool {
        let [one, other] = self.statements.map(|said| (said.statement(self.study, self.round, self.site), said.signature));
        one.0 != other.0 && [one, other].iter().all(|(said, signature)| domain.check(said, signature, self.site).is_ok())
    }
}

impl Accusation {
    /// What the round machine found.
    #[must_use]
    pub fn of(terms: &Terms, offender: &Offender) -> Self {
        let address = terms.committee.member(offender.node()).map_or(Address::ZERO, |member| member.address);
        let charge = match offender {
            Offender::Finals(node, pair) => {
                let final_of = |i: usize| {
                    let (said, signature): (&Final, _) = (&pair[i].statement, pair[i].signature);
                    let signed = SignedFinal { node: *node, set_root: said.setRoot, signature };
                    FinalOf { round: said.round, subject: said.subject, signed }
                };
                Charge::TwoFinals { address, statements: Box::new([final_of(0), final_of(1)]) }
            }
            Offender::ShareRoots(node, pair) => {
                let said = |i: usize| share_root(*node, &pair[i].statement, pair[i].signature);
                Charge::TwoShareRoots { address, statements: Box::new([said(0), said(1)]) }
            }
            Offender::Settlements(node, pair) => {
                let said = |i: usize| SignedSettlement::new(*node, &pair[i].statement, pair[i].signature);
                Charge::TwoSettlements { address, statements: Box::new([said(0), said(1)]) }
            }
            Offender::WrongShareRoot(node, said) => {
                Charge::WrongShareRoot { address, statements: Box::new([share_root(*node, &said.statement, said.signature)]) }
            }
        };
        Self { study: terms.study, round: terms.round, charge }
    }

    /// The node that offended; none when it is a site, or all who voted for a set or signed a settlement.
    #[must_use]
    pub fn node(&self) -> Option<Address> {
        match &self.charge {
            Charge::TwoFinals { address, .. }
            | Charge::TwoShareRoots { address, .. }
            | Charge::TwoSettlements { address, .. }
            | Charge::WrongShareRoot { address, .. } => Some(*address),
            Charge::WrongSettlement(_) | Charge::ForeignSite(_) | Charge::WrongReward(_) | Charge::TwoContributions { .. } => {
                None
            }
        }
    }

    /// Whether the evidence proves what it says, given the round's committee and what is certified and settled. What a
    /// Final of another epoch's committee says is the contract's to judge: here the signatures count.
    #[must_use]
    pub fn holds(&self, domain: &Domain, record: &Record<'_>) -> bool {
        let by = |address: &Address| SignedBy { domain, address: *address };
        let (study, round) = (self.study, self.round);
        match &self.charge {
            Charge::TwoFinals { address, statements } => {
                let said = |i: usize| statements[i].statement(study);
                let apart = said(0) != said(1) && said(0).subject == said(1).subject;
                apart && (0..2).all(|i| by(address).said(&said(i), &statements[i].signed.signature))
            }
            Charge::TwoShareRoots { address, statements } => {
                let said = |i: usize| share_root_statement(study, round, &statements[i]);
                let apart = said(0) != said(1) && statements[0].node == statements[1].node;
                apart && (0..2).all(|i| by(address).said(&said(i), &statements[i].signature))
            }
            Charge::TwoSettlements { address, statements } => {
                let said = |i: usize| settlement_statement(study, round, &statements[i]);
                said(0) != said(1) && (0..2).all(|i| by(address).said(&said(i), &statements[i].signature))
            }
            Charge::WrongShareRoot { address, statements } => {
                let said = &statements[0];
                let settled = record.roots.and_then(|roots| roots.at(said.node).filter(|_| said.node != 0));
                let set_root = record.set.map(|set| set.root);
                let foreign = set_root.is_some_and(|set_root| set_root != said.set_root);
                let wrong = set_root == Some(said.set_root) && settled.is_some_and(|root| root != said.root);
                (foreign || wrong) && by(address).said(&share_root_statement(study, round, said), &said.signature)
            }
            Charge::WrongSettlement(flaw) => {
                record.roots.is_some_and(|roots| flaw.holds(record.committee.sizes(), record.length, &roots))
            }
            Charge::ForeignSite(proof) => record.set.is_some_and(|set| proof.holds(&set, &record.sites_root)),
            Charge::WrongReward(flaw) => {
                let settled = record.set.zip(record.reward_root);
                settled.is_some_and(|(set, root)| flaw.holds(record.committee, &set, &root))
            }
            Charge::TwoContributions { site, statements } => {
                Equivocation { study, round, site: *site, statements: **statements }.holds(domain)
            }
        }
    }
}

/// What the chain has of a round, as far as evidence is held against it.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// The committee of the round's epoch.
    pub committee: &'a CommitteeMembers,
    /// Elements of the round's vectors.
    pub length: usize,
    /// Root of the sites that were admitted when the round opened.
    pub sites_root: B256,
    /// The certified set.
    pub set: Option<CertifiedSet>,
    /// The settled vectors.
    pub roots: Option<Roots<'a>>,
    /// The settled rewards.
    pub reward_root: Option<B256>,
}

struct SignedBy<'a> {
    domain: &'a Domain,
    address: Address,
}

impl SignedBy<'_> {
    fn said<S: SolStruct>(&self, statement: &S, signature: &Signed) -> bool {
        self.domain.check(statement, signature, self.address).is_ok()
    }
}

fn share_root(node: usize, said: &ShareRoot, signature: Signed) -> SignedShareRoot {
    SignedShareRoot { node, set_root: said.setRoot, root: said.root, signature }
}

fn share_root_statement(study: u64, round: u64, said: &SignedShareRoot) -> ShareRoot {
    // A number beyond a byte is nobody's index: its statement is not what anyone signed.
    let index = u8::try_from(said.node).unwrap_or(0);
    ShareRoot { study, round, setRoot: said.set_root, index, root: said.root }
}

fn settlement_statement(study: u64, round: u64, said: &SignedSettlement) -> Settlement {
    Settlement {
        study,
        round,
        setRoot: said.set_root,
        shareRootsHash: said.share_roots_hash,
        aggregateRoot: said.aggregate_root,
        rewardRoot: said.reward_root,
    }
}

impl FinalOf {
    /// What was signed.
    #[must_use]
    pub fn statement(&self, study: u64) -> Final {
        Final { study, subject: self.subject, round: self.round, setRoot: self.signed.set_root }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certify::{SetLeaf, SetMember};
    use crate::eip712::SecretKey;
    use crate::foreign::{Absence, Neighbour};
    use crate::params::{Committee, Member};
    use crate::rewards::RewardLeaf;
    use alloy_primitives::{Bytes, U256};

    fn committee() -> CommitteeMembers {
        let member = |i: u8| Member { address: Address::repeat_byte(i), kem_key: Vec::new() };
        CommitteeMembers::new(Committee::new(5, 1).unwrap(), 1, (1..=5).map(member).collect()).unwrap()
    }

    fn key(byte: u8) -> SecretKey {
        SecretKey::from_bytes(&[byte; 32]).unwrap()
    }

    #[test]
    fn evidence_reads_back_from_json_and_holds_only_against_whom_it_names() {
        let domain = Domain { chain_id: 1, contract: Address::repeat_byte(1) };
        let (committee, sites_root) = (committee(), B256::repeat_byte(4));
        let set = Some(CertifiedSet { root: B256::repeat_byte(3), size: 3, voters: U256::from(15) });
        let record = Record { committee: &committee, length: 3, sites_root, set, roots: None, reward_root: None };
        let signed = |root: u8| {
            let mut said =
                SignedShareRoot { node: 2, set_root: B256::repeat_byte(3), root: B256::repeat_byte(root), signature: some() };
            said.signature = domain.sign(&key(2), &share_root_statement(1, 7, &said));
            said
        };
        let charge = |address, statements| Charge::TwoShareRoots { address, statements: Box::new(statements) };
        let accuse = |address, statements| Accusation { study: 1, round: 7, charge: charge(address, statements) };
        let proof = accuse(key(2).address(), [signed(1), signed(2)]);
        let text = serde_json::to_string(&proof).unwrap();
        assert!(text.contains(r#""offence":"two-share-roots""#) && text.contains(r#""study":1"#), "{text}");
        assert_eq!(serde_json::from_str::<Accusation>(&text).unwrap(), proof);
        assert!(proof.holds(&domain, &record));
        assert!(!accuse(key(2).address(), [signed(1), signed(1)]).holds(&domain, &record));
        assert!(!accuse(key(3).address(), [signed(1), signed(2)]).holds(&domain, &record));
        assert!(!Accusation { round: 8, ..proof }.holds(&domain, &record));
    }

    #[test]
    fn an_equivocation_holds_for_two_contributions_of_its_site_to_its_round_alone() {
        let domain = Domain { chain_id: 1, contract: Address::repeat_byte(1) };
        let site = key(5).address();
        let said = |digest: u8, boxes: u8| {
            let (digest, boxes) = (B256::repeat_byte(digest), B256::repeat_byte(boxes));
            let mut said = SignedContribution { digest, boxes, signature: some() };
            said.signature = domain.sign(&key(5), &said.statement(4, 7, site));
            said
        };
        let proof = Equivocation { study: 4, round: 7, site, statements: [said(1, 9), said(2, 9)] };
        assert!(proof.holds(&domain));
        assert!(Equivocation { statements: [said(1, 9), said(1, 8)], ..proof }.holds(&domain), "other boxes");
        let unsigned = SignedContribution { signature: some(), ..said(2, 9) };
        for wrong in [
            Equivocation { study: 5, ..proof },
            Equivocation { round: 8, ..proof },
            Equivocation { site: key(6).address(), ..proof },
            Equivocation { statements: [said(1, 9); 2], ..proof },
            Equivocation { statements: [unsigned, said(1, 9)], ..proof },
            Equivocation { statements: [said(1, 9), unsigned], ..proof },
        ] {
            assert!(!wrong.holds(&domain), "{wrong:?}");
        }
        assert!(!proof.holds(&Domain { chain_id: 2, ..domain }));
        assert!(!proof.holds(&Domain { contract: Address::repeat_byte(2), ..domain }));
    }

    fn some() -> Signed {
        key(9).sign(&B256::ZERO)
    }

    #[test]
    fn openings_and_contributions_read_back_too() {
        let flaw = Flaw::Root { point: 3, preimage: vec![1, 2].into() };
        let two = [1, 2].map(|byte| SignedContribution {
            digest: B256::repeat_byte(byte),
            boxes: B256::repeat_byte(9),
            signature: some(),
        });
        let site = Address::repeat_byte(5);
        let (content, path) = (Bytes::from(vec![5; 20]), vec![B256::repeat_byte(6)]);
        let neighbours = vec![Neighbour { index: 7, content: content.clone(), path: path.clone() }];
        let absence = Absence { powers: true, length: 9, neighbours };
        let member = SetMember { site, digest: B256::repeat_byte(1) };
        let leaf = SetLeaf { index: 2, member, length: 3, path: path.clone() };
        let reward =
            |member| RewardFlaw::Leaf { leaf: RewardLeaf { index: 2, content: content.clone(), path: path.clone() }, member };
        for charge in [
            Charge::WrongSettlement(flaw),
            Charge::ForeignSite(Box::new(ForeignSite { leaf: leaf.clone(), absence })),
            Charge::WrongReward(reward(Some(leaf.clone()))),
            Charge::WrongReward(reward(None)),
            Charge::WrongReward(RewardFlaw::Root { preimage: content.clone() }),
            Charge::TwoContributions { site, statements: Box::new(two) },
        ] {
            let accusation = Accusation { study: 4, round: 5, charge };
            let value = serde_json::to_value(&accusation).unwrap();
            assert_eq!(serde_json::from_value::<Accusation>(value).unwrap(), accusation);
        }
    }
}
