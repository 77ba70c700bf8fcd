//! Proofs of offences, shown to the contracts (PROTOCOL.md 6.12).
//!
//! The contracts look at nothing but what is signed or opened and at what they have recorded themselves, so a wrong
//! accusation costs its sender the gas and nobody else anything.

use crate::contracts::{ICourt, NodeRegistry as R, SumKind as K, Treasury as T, sum_kind};
use crate::endpoint::Ledger;
use crate::error::{Error, Unknown};
use crate::state::State;
use crate::study::{Round, Settled};
use crate::wallet::{Receipt, Wallet};
use alloy::eips::BlockId;
use alloy::network::TransactionBuilder as _;
use alloy::providers::Provider as _;
use alloy::rpc::types::TransactionRequest;
use alloy::sol_types::SolCall;
use alloy_primitives::{Address, U256};
use consilium_core::accusation::{Accusation, Charge, FinalOf, Record, SignedContribution};
use consilium_core::openings::{Flaw, Opening, Roots};
use consilium_core::params::Finality;
use consilium_core::round::{SignedSettlement, SignedShareRoot};

impl Round {
    /// What evidence about this round is held against.
    #[must_use]
    pub fn record(&self) -> Record<'_> {
        Record {
            committee: self.terms.committee.sizes(),
            length: self.terms.program.output_len(),
            set_root: self.certificate.as_ref().map(|certificate| certificate.vote.setRoot),
            roots: self.settlement.as_ref().map(Settled::roots),
        }
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
    /// once or, where the conviction could still be undone, when the bond is paid out. A wrong settlement costs every signer
    /// its bond and makes the round Fraudulent, or Refuted once it pays; a site loses the round's reward and its place on the
    /// list.
    ///
    /// # Errors
    /// `NotLiable` when the node was convicted already, or its bond is free again, and `AlreadyStruck` for a site;
    /// `NotTheSettlement`, `NotCertified` when the round is off the record, or proved fraudulent before; `NoOffence`,
    /// `NotItsIndex`, `TwoSigners`, `UnreadableSignature`, `OpeningPoints`, `NotTheLeaf`, `NotTheProgram`,
    /// `NoEquivocation` when the evidence proves nothing; [`Unknown::Round`] when it is held against a settlement that
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
        if matches!(accusation.charge, Charge::WrongSettlement(_)) {
            let state = self.final_state(accusation.study, accusation.round, rule).await?;
            return Ok(state.is_some_and(|(_, state)| matches!(state, State::Fraudulent | State::Refuted | State::None)));
        }
        let Some(number) = self.final_height(rule).await? else { return Ok(false) };
        let (contract, input) = self.proof(accusation).await?;
        let request = TransactionRequest::default().with_to(contract).with_input(input);
        match self.ask(self.provider().call(request).block(BlockId::number(number))).await {
            Err(Error::Reverted(revert)) => Ok(revert.is("NotLiable") || revert.is("AlreadyStruck")),
            Err(error) => Err(error),
            Ok(_) => Ok(false),
        }
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
