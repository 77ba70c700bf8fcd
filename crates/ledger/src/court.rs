//! Proofs of offences, shown to the contracts (PROTOCOL.md 6.12).
//!
//! The contracts look at nothing but what is signed or opened and at what they have recorded themselves, so a wrong
//! accusation costs its sender the gas and nobody else anything.

use crate::contracts::{ICourt, NodeRegistry as R, SetCourt as S, SumKind as K, Treasury as T, set_court, sum_kind};
use crate::endpoint::Ledger;
use crate::error::{Error, Unknown};
use crate::round::{Certified, Round, Settled};
use crate::state::State;
use crate::wallet::{Receipt, Wallet};
use alloy::eips::BlockId;
use alloy::network::TransactionBuilder as _;
use alloy::providers::Provider as _;
use alloy::rpc::types::TransactionRequest;
use alloy::sol_types::SolCall;
use alloy_primitives::{Address, U256};
use consilium_core::accusation::{Accusation, Charge, FinalOf, Record, SignedContribution};
use consilium_core::certify::{CertifiedSet, SetLeaf, SetLeaves, longest_set};
use consilium_core::error::Malformed;
use consilium_core::foreign::{Absence, ForeignSite, Neighbour, SiteList};
use consilium_core::openings::{Flaw, Opening, Roots};
use consilium_core::params::Finality;
use consilium_core::rewards::RewardFlaw;
use consilium_core::round::{SignedSettlement, SignedShareRoot};

impl Round {
    /// What evidence about this round is held against.
    #[must_use]
    pub fn record(&self) -> Record<'_> {
        Record {
            committee: &self.terms.committee,
            length: self.terms.program.output_len(),
            sites_root: self.terms.policy.sites_root,
            set: self.certificate.as_ref().map(Certified::set),
            roots: self.settlement.as_ref().map(Settled::roots),
            reward_root: self.settlement.as_ref().map(|settled| settled.settlement.rewardRoot),
        }
    }

    /// The list of sites that the round was opened with, those on it that were struck off among them.
    ///
    /// # Errors
    /// [`Malformed::Order`], which [`Ledger::round`] has ruled out.
    pub fn site_list(&self) -> Result<SiteList, Malformed> {
        let mut sites: Vec<Address> = self.terms.sites.iter().chain(&self.struck).copied().collect();
        sites.sort_unstable();
        SiteList::new(sites)
    }

    /// The first site of the certified set that was not admitted, as evidence against its voters; `leaves` are those of the set.
    ///
    /// # Errors
    /// As [`Self::site_list`].
    pub fn foreign_site(&self, leaves: &SetLeaves) -> Result<Option<ForeignSite>, Malformed> {
        let list = self.site_list()?;
        Ok(self.certificate.as_ref().and_then(|certificate| ForeignSite::find(&certificate.set(), leaves, &list)))
    }

    /// Most bytes of an answer that can show the certified set.
    #[must_use]
    pub fn longest_set(&self) -> usize {
        let size = self.certificate.as_ref().map_or(0, |certificate| certificate.vote.size);
        longest_set(size, self.terms.sites.len(), self.terms.committee.members().len())
    }

    /// The accounts of those whose votes the certificate brought, in node order.
    #[must_use]
    pub fn voters(&self) -> Vec<Address> {
        let nodes = self.certificate.as_ref().map(Certified::voters).unwrap_or_default();
        nodes.into_iter().filter_map(|node| Some(self.terms.committee.member(node)?.address)).collect()
    }
}

impl Certified {
    /// The set as evidence is held against it.
    #[must_use]
    pub fn set(&self) -> CertifiedSet {
        CertifiedSet { root: self.vote.setRoot, size: self.vote.size, voters: self.voters }
    }
}

impl Settled {
    /// The settled roots of the aggregate and of the output shares.
    #[must_use]
    pub fn roots(&self) -> Roots<'_> {
        Roots { aggregate: self.settlement.aggregateRoot, shares: &self.share_roots }
    }
}

impl Ledger {
    /// Proves an offence. A node loses its bond and the study needs a new committee; a tenth is the wallet's account's, at
    /// once or, where the conviction could still be undone, when the bond is paid out. A wrong settlement, or wrong rewards,
    /// cost every signer its bond, a foreign site every voter, and the round becomes Fraudulent, or Refuted once it pays; a
    /// site loses the round's reward and its place on the list.
    ///
    /// The contract takes the proof of a foreign site again, for nothing, when all voters are convicted: ask
    /// [`Self::is_answered`] first.
    ///
    /// # Errors
    /// `NotLiable` when the node was convicted already, or its bond is free again, and `AlreadyStruck` for a site;
    /// `NotTheSettlement`, `NotCertified` when the round is off the record, or proved fraudulent before; `NoOffence`,
    /// `NotItsIndex`, `TwoSigners`, `UnreadableSignature`, `OpeningPoints`, `NotTheLeaf`, `NotTheProgram`,
    /// `NotInTheSet`, `NotAbsent`, `NotAdmitted`, `NoSuchReward`, `InvalidPath`, `NoEquivocation` when the evidence proves nothing; [`Unknown::Round`] when it is held against a settlement that
    /// there is not.
    pub async fn accuse(&self, wallet: &Wallet, accusation: &Accusation) -> Result<Receipt, Error> {
        let (contract, input) = self.proof(accusation).await?;
        self.send(wallet, contract.into(), U256::ZERO, input.into()).await
    }

    /// Whether an offence is dealt with for good: at the newest block that is final on this endpoint by a rule its author
    /// answers for it no more. A conviction in a block that is not final may vanish, and wants to be proved again.
    ///
    /// # Errors
    /// [`Error::Unreachable`]; as [`Self::accuse`] when the proof cannot be put together.
    pub async fn is_answered(&self, accusation: &Accusation, rule: Finality) -> Result<bool, Error> {
        match &accusation.charge {
            Charge::WrongSettlement(_) | Charge::WrongReward(_) => {
                let state = self.final_state(accusation.study, accusation.round, rule).await?;
                Ok(state.is_some_and(|(_, state)| matches!(state, State::Fraudulent | State::Refuted | State::None)))
            }
            Charge::ForeignSite(_) => {
                let state = self.final_state(accusation.study, accusation.round, rule).await?;
                let Some((block, state)) = state else { return Ok(false) };
                self.is_disowned(accusation, state, block.number).await
            }
            Charge::TwoFinals { .. }
            | Charge::TwoShareRoots { .. }
            | Charge::TwoSettlements { .. }
            | Charge::WrongShareRoot { .. }
            | Charge::TwoContributions { .. } => self.is_refused(accusation, rule).await,
        }
    }

    /// Whether the contract takes a proof no more, as there is nobody left to convict.
    async fn is_refused(&self, accusation: &Accusation, rule: Finality) -> Result<bool, Error> {
        let Some(number) = self.final_height(rule).await? else { return Ok(false) };
        let (contract, input) = self.proof(accusation).await?;
        let request = TransactionRequest::default().with_to(contract).with_input(input);
        match self.ask(self.provider().call(request).block(BlockId::number(number))).await {
            Err(Error::Reverted(revert)) => Ok(revert.is("NotLiable") || revert.is("AlreadyStruck")),
            Err(error) => Err(error),
            Ok(_) => Ok(false),
        }
    }

    /// Whether the proof of a foreign site would change nothing at a block: the round pays nobody, or is off the record, and
    /// none of the voters answers for anything any more. The contract counts an abandoned round's voters too.
    async fn is_disowned(&self, accusation: &Accusation, state: State, number: u64) -> Result<bool, Error> {
        match state {
            State::None => return Ok(true),
            State::Open | State::Void | State::Certified | State::Settled => return Ok(false),
            State::Abandoned | State::Fraudulent | State::Refuted => {}
        }
        let study = accusation.study;
        for node in self.round(study, accusation.round).await?.voters() {
            if self.bond_at(study, node, Some(number)).await?.liable {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The contract that judges the offence, and what it is shown.
    async fn proof(&self, accusation: &Accusation) -> Result<(Address, Vec<u8>), Error> {
        let (study, round) = (accusation.study, accusation.round);
        let registry = self.addresses().registry;
        Ok(match &accusation.charge {
            Charge::TwoFinals { statements, .. } => (registry, two_finals(study, statements)),
            Charge::TwoShareRoots { statements, .. } => (registry, two_shares(study, round, statements)),
            Charge::TwoSettlements { statements, .. } => (registry, two_settlements(study, round, statements)),
            Charge::WrongShareRoot { statements, .. } => (registry, self.wrong_share(study, round, &statements[0]).await?),
            Charge::WrongSettlement(flaw) => (self.addresses().sum_kind, self.wrong_settlement(study, round, flaw).await?),
            Charge::ForeignSite(proof) => (self.addresses().set_court, foreign_site(study, round, proof)),
            Charge::WrongReward(flaw) => (self.addresses().set_court, self.wrong_reward(study, round, flaw).await?),
            Charge::TwoContributions { site, statements } => {
                (self.addresses().treasury, two_contributions(study, round, *site, statements))
            }
        })
    }

    async fn settled(&self, study: u64, round: u64) -> Result<(Round, Settled), Error> {
        let found = self.round(study, round).await?;
        let settled = found.settlement.clone().ok_or(Unknown::Round { study, round })?;
        Ok((found, settled))
    }

    async fn wrong_share(&self, study: u64, round: u64, said: &SignedShareRoot) -> Result<Vec<u8>, Error> {
        let found = self.round(study, round).await?;
        let certified = found.certificate.as_ref().ok_or(Unknown::Round { study, round })?;
        if said.set_root != certified.vote.setRoot {
            return Ok(foreign_share(study, round, said));
        }
        let settled = found.settlement.as_ref().ok_or(Unknown::Round { study, round })?;
        let call = R::proveWrongShareCall {
            study,
            round,
            roots: roots(settled),
            index: index(said),
            root: said.root,
            signature: said.signature.to_compact(),
        };
        Ok(call.abi_encode())
    }

    /// Wrong settlements are held against what the study was created with.
    async fn wrong_settlement(&self, study: u64, round: u64, flaw: &Flaw) -> Result<Vec<u8>, Error> {
        let (_, settled) = self.settled(study, round).await?;
        let program = self.history(study).await?.fixed_terms()?;
        let ICourt::Roots { setRoot, shareRoots, aggregateRoot, rewardRoot } = roots(&settled);
        let roots = sum_kind::ICourt::Roots { setRoot, shareRoots, aggregateRoot, rewardRoot };
        Ok(match flaw {
            Flaw::Misfit { element, openings } => {
                let openings = openings.iter().map(opening).collect();
                K::proveWrongSettlementCall { study, round, roots, program, element: *element, openings }.abi_encode()
            }
            Flaw::Leaf { leaf, opening: opened } => {
                K::proveMalformedLeafCall { study, round, roots, program, leaf: *leaf, opening: opening(opened) }.abi_encode()
            }
            Flaw::Root { point, preimage } => {
                let preimage = preimage.clone();
                K::proveMalformedRootCall { study, round, roots, program, point: *point, preimage }.abi_encode()
            }
        })
    }
}

impl Ledger {
    async fn wrong_reward(&self, study: u64, round: u64, flaw: &RewardFlaw) -> Result<Vec<u8>, Error> {
        let (_, settled) = self.settled(study, round).await?;
        let ICourt::Roots { setRoot, shareRoots, aggregateRoot, rewardRoot } = roots(&settled);
        let roots = set_court::ICourt::Roots { setRoot, shareRoots, aggregateRoot, rewardRoot };
        Ok(match flaw {
            RewardFlaw::Leaf { leaf, member } => {
                let (index, content, path) = (leaf.index, leaf.content.clone(), leaf.path.clone());
                let member = member.as_ref().map_or_else(nobody, set_member);
                S::proveWrongRewardCall { study, round, roots, index, content, path, member }.abi_encode()
            }
            RewardFlaw::Root { preimage } => {
                S::proveMalformedRewardsCall { study, round, roots, preimage: preimage.clone() }.abi_encode()
            }
        })
    }
}

fn foreign_site(study: u64, round: u64, proof: &ForeignSite) -> Vec<u8> {
    let Absence { powers, length, neighbours } = &proof.absence;
    let neighbour = |one: &Neighbour| set_court::ISetCourt::Neighbour {
        index: one.index,
        content: one.content.clone(),
        path: one.path.clone(),
    };
    let neighbours = neighbours.iter().map(neighbour).collect();
    let absence = set_court::ISetCourt::Absence { powers: *powers, length: *length, neighbours };
    S::proveForeignSiteCall { study, round, member: set_member(&proof.leaf), absence }.abi_encode()
}

fn set_member(leaf: &SetLeaf) -> set_court::ICourt::SetMember {
    let (site, digest) = (leaf.member.site, leaf.member.digest);
    set_court::ICourt::SetMember { index: leaf.index, site, digest, length: leaf.length, path: leaf.path.clone() }
}

/// What stands for the set's leaf where the reward is a voter's: the contract does not read it.
fn nobody() -> set_court::ICourt::SetMember {
    set_court::ICourt::SetMember { index: 0, site: Address::ZERO, digest: Default::default(), length: 0, path: Vec::new() }
}

/// A number that is no index proves nothing to the contract either.
fn index(said: &SignedShareRoot) -> u8 {
    u8::try_from(said.node).unwrap_or(0)
}

fn roots(settled: &Settled) -> ICourt::Roots {
    ICourt::Roots {
        setRoot: settled.settlement.setRoot,
        shareRoots: settled.share_roots.clone(),
        aggregateRoot: settled.settlement.aggregateRoot,
        rewardRoot: settled.settlement.rewardRoot,
    }
}

fn opening(opening: &Opening) -> sum_kind::ISumKind::Opening {
    sum_kind::ISumKind::Opening { point: opening.point, content: opening.content.clone(), path: opening.path.clone() }
}

fn foreign_share(study: u64, round: u64, said: &SignedShareRoot) -> Vec<u8> {
    let call = R::proveForeignShareCall {
        study,
        round,
        setRoot: said.set_root,
        index: index(said),
        root: said.root,
        signature: said.signature.to_compact(),
    };
    call.abi_encode()
}

fn two_finals(study: u64, [first, second]: &[FinalOf; 2]) -> Vec<u8> {
    let call = R::proveTwoFinalsCall {
        study,
        subject: first.subject,
        round: first.round,
        setRoot: first.signed.set_root,
        signature: first.signed.signature.to_compact(),
        otherRound: second.round,
        otherSetRoot: second.signed.set_root,
        otherSignature: second.signed.signature.to_compact(),
    };
    call.abi_encode()
}

fn two_shares(study: u64, round: u64, [first, second]: &[SignedShareRoot; 2]) -> Vec<u8> {
    let call = R::proveTwoSharesCall {
        study,
        round,
        index: index(first),
        setRoot: first.set_root,
        root: first.root,
        signature: first.signature.to_compact(),
        otherSetRoot: second.set_root,
        otherRoot: second.root,
        otherSignature: second.signature.to_compact(),
    };
    call.abi_encode()
}

fn two_settlements(study: u64, round: u64, [first, second]: &[SignedSettlement; 2]) -> Vec<u8> {
    let said = |said: &SignedSettlement| ICourt::Said {
        setRoot: said.set_root,
        shareRootsHash: said.share_roots_hash,
        aggregateRoot: said.aggregate_root,
        rewardRoot: said.reward_root,
        signature: said.signature.to_compact(),
    };
    R::proveTwoSettlementsCall { study, round, said: said(first), otherSaid: said(second) }.abi_encode()
}

fn two_contributions(study: u64, round: u64, site: Address, [first, second]: &[SignedContribution; 2]) -> Vec<u8> {
    let call = T::proveEquivocationCall {
        study,
        round,
        site,
        digest: first.digest,
        boxes: first.boxes,
        signature: first.signature.to_compact(),
        otherDigest: second.digest,
        otherBoxes: second.boxes,
        otherSignature: second.signature.to_compact(),
    };
    call.abi_encode()
}
