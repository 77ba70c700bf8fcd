//! What becomes of a bond that a proof has taken (docs/CONTRACTS.md, "Offences"): once it is due, a tenth is the reporter's
//! if it was not paid at once, and the rest is that of the harmed sites, or of the sink.

use crate::claims::archive_place;
use crate::contracts::registry::IRecords;
use crate::contracts::{ICourt, NodeRegistry as R};
use crate::endpoint::Ledger;
use crate::error::{Error, Misuse, Unknown};
use crate::wallet::{Receipt, Wallet};
use alloy::sol_types::SolCall;
use alloy_primitives::{Address, B256, U256};
use consilium_core::certify::{Cohort, site_path};
use consilium_core::eip712::{ShareRoot, Signed, Vote};

/// `INodeRegistry.Standing` of a node whose bond a proof has taken: for a share that differs from the settled one, for one of
/// another set, and for good.
const MISREPORTED: u8 = 3;
const STRAYED: u8 = 4;
const CONVICTED: u8 = 5;
/// `INodeRegistry.Bond.marks`: the reporter has its part.
const REPORTED: u8 = 1;

/// Whether a conviction can still be undone, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// By the proof that the settlement is wrong from which the node's share differs. Whoever sends that proof undoes it.
    Settlement,
    /// By Q votes for the set of the node's share: [`Ledger::answer_foreign_share`].
    Votes,
    /// It stands.
    None,
}

/// A bond that a proof has taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pot {
    /// What is left of it, in wei.
    pub amount: U256,
    /// The round whose sites were harmed; 0 if no sites are paid.
    pub round: u64,
    /// Unix seconds from which it is paid out.
    pub due: u64,
    /// Whether and how the conviction can be undone.
    pub doubt: Doubt,
    /// Root of the harmed set; zero until the compensation is assigned.
    pub set_root: B256,
    /// How many sites it has.
    pub size: u32,
    /// What each gets, in wei.
    pub each: U256,
}

impl Pot {
    /// Whether it is written down whose the money is.
    #[must_use]
    pub fn is_assigned(&self) -> bool {
        !self.set_root.is_zero()
    }
}

/// What clears a node that released its share for another set than the one that the chain has: Q votes for that set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What the node signed.
    pub share: ShareRoot,
    /// Its signature.
    pub signature: Signed,
    /// The set that was voted for.
    pub vote: Vote,
    /// Bit j-1: node j voted.
    pub voters: U256,
    /// 65 bytes for each voter, by node number.
    pub votes: alloy_primitives::Bytes,
}

impl Ledger {
    /// A bond that was taken from a node in this study; `None` when none was.
    ///
    /// # Errors
    /// [`Error::Unreachable`] and other faults of the endpoint.
    pub async fn pot_of(&self, study: u64, node: Address) -> Result<Option<Pot>, Error> {
        let registry = self.addresses().registry;
        let bond = self.view_of(registry, R::bondOfCall { study, node }, None).await?;
        let doubt = match bond.standing {
            MISREPORTED if bond.marks & REPORTED == 0 => Doubt::Settlement,
            STRAYED if bond.marks & REPORTED == 0 => Doubt::Votes,
            MISREPORTED | STRAYED | CONVICTED => Doubt::None,
            _ => return Ok(None),
        };
        let pot = self.view_of(registry, R::potOfCall { study, node }, None).await?;
        Ok(Some(Pot {
            amount: U256::from(bond.amount),
            round: bond.round.into(),
            due: bond.until.to(),
            doubt,
            set_root: pot.setRoot,
            size: pot.size,
            each: U256::from(pot.each),
        }))
    }

    /// Anyone, once a bond is due: writes down that the rest of it is that of the sites of the harmed round, and pays the
    /// reporter what it is still owed.
    ///
    /// # Errors
    /// `CompensationLocked` before it is due; `NoCompensation` when it is assigned, or nothing was taken; `NotFinal` when
    /// the round is not settled for good; [`Unknown::Round`] when it was never settled.
    pub async fn assign_compensation(&self, wallet: &Wallet, study: u64, node: Address, round: u64) -> Result<Receipt, Error> {
        let settled = self.settled_for_good(study, round).await?;
        self.tell_court(wallet, &R::assignCompensationCall { study, node, settled }).await
    }

    /// Anyone: pays member number `index` of the harmed set its part. `sites` are those that were admitted to the round.
    ///
    /// # Errors
    /// `CompensationLocked` before it is due; `AlreadyCompensated`; `NoCompensation`, `NotInTheSet`, `NotAdmitted` when the
    /// set or the list is another one; `TransferFailed` when the site is a contract that does not take its part, or not for
    /// 50,000 gas; [`Misuse::Member`] for a place that the set, or a site that the list, does not have.
    pub async fn compensate(
        &self,
        wallet: &Wallet,
        (study, node): (u64, Address),
        cohort: &Cohort,
        sites: &[Address],
        index: usize,
    ) -> Result<Receipt, Error> {
        let unknown = || Misuse::Member(index);
        let member = cohort.members().get(index).ok_or_else(unknown)?;
        let place = sites.binary_search(&member.site).map_err(|_| unknown())?;
        let path = site_path(sites, place).ok_or_else(unknown)?;
        let (length, site, digest) = (cohort.members().len() as u64, member.site, member.digest);
        let member = ICourt::SetMember { index: index as u32, site, digest, length, path: cohort.open(index) };
        let admitted = ICourt::ListMember { index: place as u64, length: sites.len() as u64, power: 0, path };
        self.tell_court(wallet, &R::compensateCall { study, node, member, admitted }).await
    }

    /// Anyone, once a bond is due: sends to the sink what no site may have of it.
    ///
    /// # Errors
    /// `CompensationLocked` while sites may still be paid; `NoCompensation` when nothing is left.
    pub async fn forfeit(&self, wallet: &Wallet, study: u64, node: Address) -> Result<Receipt, Error> {
        self.tell_court(wallet, &R::forfeitCall { study, node }).await
    }

    /// Anyone, before the bond is paid out: clears a node that was convicted of a share of another set than the certified
    /// one, by the votes for that set.
    ///
    /// # Errors
    /// `NoCompensation` when it was not convicted of that, or it is too late; `NoOffence`, `TwoSigners`, `QuorumMissing`,
    /// `InvalidSignature` when the answer is about another share or set.
    pub async fn answer_foreign_share(
        &self,
        wallet: &Wallet,
        study: u64,
        node: Address,
        answer: &Answer,
    ) -> Result<Receipt, Error> {
        let answer = ICourt::Answer {
            setRoot: answer.vote.setRoot,
            size: answer.vote.size,
            index: answer.share.index,
            root: answer.share.root,
            signature: answer.signature.to_compact(),
            voters: answer.voters,
            votes: answer.votes.clone(),
        };
        self.tell_court(wallet, &R::answerForeignShareCall { study, node, answer }).await
    }

    /// The study's guardian, once: puts a payment off by the compensation delay.
    ///
    /// # Errors
    /// `NotGuardian`, also a second time and once it is due; `NoCompensation`.
    pub async fn postpone_compensation(&self, wallet: &Wallet, study: u64, node: Address) -> Result<Receipt, Error> {
        self.tell_court(wallet, &R::postponeCompensationCall { study, node }).await
    }

    /// A round that is settled for good, as the registry wants it shown.
    async fn settled_for_good(&self, study: u64, round: u64) -> Result<IRecords::Settled, Error> {
        let books = self.books(study).await?;
        let found = books.round(round).ok_or(Unknown::Round { study, round })?;
        let place = archive_place(&books, found);
        Ok(IRecords::Settled {
            setRoot: found.settlement.setRoot,
            shareRootsHash: found.settlement.shareRootsHash,
            aggregateRoot: found.settlement.aggregateRoot,
            rewardRoot: found.settlement.rewardRoot,
            sites: found.sites,
            nodes: found.voters.len() as u32,
            record: place.record,
            position: place.position,
            path: place.path,
        })
    }

    async fn tell_court<C: SolCall>(&self, wallet: &Wallet, call: &C) -> Result<Receipt, Error> {
        self.send(wallet, self.addresses().registry.into(), U256::ZERO, call.abi_encode().into()).await
    }
}
