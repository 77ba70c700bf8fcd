//! The contracts' transactions as typed calls.

use crate::contracts::{Consilium as C, INodeRegistry, IRecords, NodeRegistry as R};
use crate::endpoint::Ledger;
use crate::error::{Error, Malformed, Misuse};
use crate::event::{Conditions, Consent, Event};
use crate::sites_list::check_place;
use crate::wallet::{Mined, Receipt, Wallet};
use alloy::sol_types::SolCall;
use alloy_primitives::aliases::{U24, U40};
use alloy_primitives::ruint::UintTryTo;
use alloy_primitives::{Address, B256, Bytes, U256};
use consilium_core::certify::sites_root;
use consilium_core::eip712::{Settlement, SignerSet, Vote};
use consilium_core::params::{Finality, KIND_SUM};
use consilium_core::program::AnyProgram;
use consilium_core::settle::share_roots_hash;

/// What a node registers with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// X-Wing public key, 1216 bytes.
    pub kem_key: Bytes,
    /// Who runs the node; 1 to 128 bytes.
    pub operator: String,
    /// Where; 1 to 128 bytes.
    pub jurisdiction: String,
    /// Stake in wei.
    pub stake: U256,
}

/// What a study is created with.
#[derive(Debug, Clone, PartialEq)]
pub struct NewStudy {
    /// What is proved about each input.
    pub program: AnyProgram,
    /// t of the first committee.
    pub threshold: u8,
    /// The first committee, node 1 first.
    pub nodes: Vec<Address>,
    /// The admitted sites, in any order.
    pub sites: Vec<Address>,
    /// Where their list is published, if not on the chain: begins with `https://`. Empty: on the chain.
    pub sites_uri: String,
    /// Fewest sites of a certified set.
    pub minimum_cohort: u32,
    /// When nodes take a certificate as final.
    pub finality: Finality,
    /// What its money and stake follow, for good.
    pub conditions: Conditions,
    /// What a weight of 1 stands for; at most 32 bytes.
    pub weight_unit: String,
    /// Hash of what the sponsor says about the study; zero for nothing.
    pub description: B256,
}

impl TryFrom<Conditions> for IRecords::Conditions {
    type Error = Misuse;

    fn try_from(set: Conditions) -> Result<Self, Misuse> {
        let narrow = |amount: U256| amount.uint_try_to().map_err(|_| Misuse::Amount(amount));
        Ok(Self {
            currency: set.currency,
            budget: narrow(set.budget)?,
            nodeShare: set.node_share,
            bond: narrow(set.bond)?,
            newcomers: set.newcomers,
            challengeWindow: set.challenge_window,
            ring: set.ring,
            guardian: set.guardian,
            source: set.source,
            privacyAccount: set.privacy_account,
            privacyCost: set.privacy_cost,
        })
    }
}

impl TryFrom<Consent> for INodeRegistry::Consent {
    type Error = Misuse;

    fn try_from(consent: Consent) -> Result<Self, Misuse> {
        let narrow = |amount: U256| amount.uint_try_to().map_err(|_| Misuse::Amount(amount));
        Ok(Self {
            maxBond: narrow(consent.max_bond)?,
            maxTotal: narrow(consent.max_total)?,
            minimumWindow: U24::from(consent.minimum_window.min(Consent::LONGEST_WINDOW)),
            expires: U40::from(consent.expires.min(Consent::NEVER)),
        })
    }
}

impl Ledger {
    /// Registers the wallet's account as a node.
    ///
    /// # Errors
    /// [`Error`], as for every call: `AlreadyRegistered`, `StakeTooSmall`, `InvalidKemKey`, `InvalidIdentity`.
    pub async fn register(&self, wallet: &Wallet, node: &Registration) -> Result<Receipt, Error> {
        let call = R::registerCall {
            kemKey: node.kem_key.clone(),
            operator: node.operator.clone(),
            jurisdiction: node.jurisdiction.clone(),
        };
        self.send(wallet, self.addresses().registry.into(), node.stake, call.abi_encode().into()).await
    }

    /// What the wallet's node puts up for the studies of a sponsor, or for committees that a source chooses. Nobody can
    /// take a node that has not consented.
    ///
    /// # Errors
    /// `NoParty`; [`Misuse::Amount`].
    pub async fn set_consent(&self, wallet: &Wallet, party: Address, consent: Consent) -> Result<Receipt, Error> {
        let call = R::setConsentCall { party, consent: consent.try_into()? };
        self.send(wallet, self.addresses().registry.into(), U256::ZERO, call.abi_encode().into()).await
    }

    /// Replaces the KEM key of the wallet's node, for committees formed from now on.
    ///
    /// # Errors
    /// `NodeNotActive`, `InvalidKemKey`.
    pub async fn rotate_kem_key(&self, wallet: &Wallet, kem_key: Bytes) -> Result<Receipt, Error> {
        let call = R::rotateKemKeyCall { kemKey: kem_key };
        self.send(wallet, self.addresses().registry.into(), U256::ZERO, call.abi_encode().into()).await
    }

    /// Begins the exit of the wallet's node.
    ///
    /// # Errors
    /// `NodeNotActive`, `NodeServing`.
    pub async fn begin_unbond(&self, wallet: &Wallet) -> Result<Receipt, Error> {
        self.send(wallet, self.addresses().registry.into(), U256::ZERO, R::beginUnbondCall {}.abi_encode().into()).await
    }

    /// Pays the stake of the wallet's node back.
    ///
    /// # Errors
    /// `StakeLocked`, `TransferFailed`.
    pub async fn withdraw(&self, wallet: &Wallet) -> Result<Receipt, Error> {
        self.send(wallet, self.addresses().registry.into(), U256::ZERO, R::withdrawCall {}.abi_encode().into()).await
    }

    /// Creates a study sponsored by the wallet's account, with its committee and sites. Yields its number.
    ///
    /// # Errors
    /// `InvalidCommittee`, `DuplicateNode`, `NodeNotActive`, `NoConsent`, `BeyondConsent`, `ConsentExhausted`, `Newcomer`, `BondMissing`, `InvalidCohort`,
    /// `InvalidWindow`, `InvalidRing`, `InvalidRewards`, `InvalidSitesUri`, `InvalidPrivacyCost`, `NotTheOwner`;
    /// [`Misuse::Sites`], [`Misuse::SitesUri`], [`Misuse::Amount`].
    pub async fn create_study(&self, wallet: &Wallet, new: &NewStudy) -> Result<Mined<u64>, Error> {
        let (sites, root) = admitted(&new.sites)?;
        if !new.sites_uri.is_empty() {
            check_place(&new.sites_uri)?;
        }
        let terms = IRecords::StudyTerms {
            kind: KIND_SUM,
            program: new.program.name().to_owned(),
            parameters: new.program.parameters().into(),
            outputLength: new.program.output_len() as u64,
            weightUnit: new.weight_unit.clone(),
            description: new.description,
            threshold: new.threshold,
            minimumCohort: new.minimum_cohort,
            finality: new.finality.to_string(),
            sitesRoot: root,
            sitesUri: new.sites_uri.clone(),
        };
        let sites = if new.sites_uri.is_empty() { sites } else { Vec::new() };
        let conditions = new.conditions.try_into()?;
        let call = C::createStudyCall { terms, conditions, nodes: new.nodes.clone(), sites };
        let receipt = self.transact(wallet, &call).await?;
        number_in(self, receipt, |event| if let Event::StudyCreated { study, .. } = event { Some(*study) } else { None })
    }

    /// Sponsor: forms the committee of the next epoch. Yields the epoch.
    ///
    /// # Errors
    /// `NotSponsor`, `RoundInProgress`, `InvalidCommittee`, `NodeNotActive`, `NoConsent`, `BeyondConsent`, `BondMissing`, and
    /// `NodeConvicted` for a node that was convicted in this study.
    pub async fn set_committee(
        &self,
        wallet: &Wallet,
        study: u64,
        threshold: u8,
        nodes: &[Address],
    ) -> Result<Mined<u64>, Error> {
        let receipt = self.transact(wallet, &C::setCommitteeCall { study, threshold, nodes: nodes.to_vec() }).await?;
        number_in(self, receipt, |event| if let Event::CommitteeFormed { epoch, .. } = event { Some(*epoch) } else { None })
    }

    /// Sponsor: the sites admitted from the next opened round on, in any order.
    ///
    /// # Errors
    /// `NotSponsor`; [`Misuse::Sites`].
    pub async fn set_sites(&self, wallet: &Wallet, study: u64, sites: &[Address]) -> Result<Receipt, Error> {
        let (sites, root) = admitted(sites)?;
        self.transact(wallet, &C::setSitesCall { study, sitesRoot: root, sites, uri: String::new() }).await
    }

    /// As [`Self::set_sites`], with the list published at a place that begins with `https://`, and its root alone on the chain.
    ///
    /// # Errors
    /// `NotSponsor`; [`Misuse::Sites`], [`Misuse::SitesUri`].
    pub async fn set_sites_at(&self, wallet: &Wallet, study: u64, sites: &[Address], uri: &str) -> Result<Receipt, Error> {
        check_place(uri)?;
        let (_, root) = admitted(sites)?;
        let call = C::setSitesCall { study, sitesRoot: root, sites: Vec::new(), uri: uri.to_owned() };
        self.transact(wallet, &call).await
    }

    /// Sponsor: minimum cohort and finality rule from the next opened round on.
    ///
    /// # Errors
    /// `NotSponsor`, `InvalidCohort`.
    pub async fn set_policy(
        &self,
        wallet: &Wallet,
        study: u64,
        minimum_cohort: u32,
        finality: Finality,
    ) -> Result<Receipt, Error> {
        let call = C::setPolicyCall { study, minimumCohort: minimum_cohort, finality: finality.to_string() };
        self.transact(wallet, &call).await
    }

    /// Sponsor: ends the study. Its committee is discharged, no round opens any more, and its free money is the treasurer's to
    /// take out; what was settled is challenged and paid as ever.
    ///
    /// # Errors
    /// `NotSponsor`, `RoundInProgress`, `Ended`.
    pub async fn end_study(&self, wallet: &Wallet, study: u64) -> Result<Receipt, Error> {
        self.transact(wallet, &C::endStudyCall { study }).await
    }

    /// Operator of rounds, or sponsor: opens the next round. Deadlines in Unix seconds. Yields its number.
    ///
    /// # Errors
    /// `NotOperator`, `InvalidSubject`, `InvalidDeadlines`, `RoundInProgress`, `SubjectCertified`, `CommitteeVacant`, `Ended`,
    /// `FundsMissing`, `RingFull`, `BudgetSpent`.
    pub async fn open_round(
        &self,
        wallet: &Wallet,
        study: u64,
        subject: B256,
        deadline: u64,
        settle_by: u64,
    ) -> Result<Mined<u64>, Error> {
        let receipt = self.transact(wallet, &C::openRoundCall { study, subject, deadline, settleBy: settle_by }).await?;
        number_in(self, receipt, |event| if let Event::RoundOpened(opened) = event { Some(opened.round) } else { None })
    }

    /// Anyone: certifies the set that Q nodes voted for.
    ///
    /// # Errors
    /// `WrongState` when somebody was first or the deadline has passed; `CohortTooSmall`, `QuorumMissing`,
    /// `InvalidSignature`, `SignaturesLength`, `UnknownSigner`.
    pub async fn certify(&self, wallet: &Wallet, vote: &Vote, signed: &SignerSet) -> Result<Receipt, Error> {
        let call = C::certifyCall {
            study: vote.study,
            round: vote.round,
            setRoot: vote.setRoot,
            size: vote.size,
            signers: signed.signers,
            signatures: signed.signatures.clone(),
        };
        self.transact(wallet, &call).await
    }

    /// Anyone, until the settlement: adds votes for the certified set, so that who sent the certificate does not choose who is
    /// paid.
    ///
    /// # Errors
    /// `AlreadyVoted` when one of the votes counts already; `WrongState` when the round is settled, or the time is over;
    /// `InvalidSignature`, `SignaturesLength`, `UnknownSigner`.
    pub async fn add_votes(&self, wallet: &Wallet, study: u64, round: u64, signed: &SignerSet) -> Result<Receipt, Error> {
        let (signers, signatures) = (signed.signers, signed.signatures.clone());
        self.transact(wallet, &C::addVotesCall { study, round, signers, signatures }).await
    }

    /// Anyone: settles a certified round on the result that Q nodes signed.
    ///
    /// # Errors
    /// `WrongState` when somebody was first or the time is over; `ShareRootCount`, `QuorumMissing`,
    /// `InvalidSignature`; [`Misuse::ShareRoots`].
    pub async fn settle(
        &self,
        wallet: &Wallet,
        settlement: &Settlement,
        share_roots: &[B256],
        signed: &SignerSet,
    ) -> Result<Receipt, Error> {
        let (computed, claimed) = (share_roots_hash(share_roots), settlement.shareRootsHash);
        if computed != claimed {
            return Err(Misuse::ShareRoots { computed, signed: claimed }.into());
        }
        let call = C::settleCall {
            study: settlement.study,
            round: settlement.round,
            shareRoots: share_roots.to_vec(),
            aggregateRoot: settlement.aggregateRoot,
            rewardRoot: settlement.rewardRoot,
            signers: signed.signers,
            signatures: signed.signatures.clone(),
        };
        self.transact(wallet, &call).await
    }

    /// Anyone: records that no set was certified before the deadline.
    ///
    /// # Errors
    /// `WrongState`.
    pub async fn void_round(&self, wallet: &Wallet, study: u64, round: u64) -> Result<Receipt, Error> {
        self.transact(wallet, &C::voidRoundCall { study, round }).await
    }

    /// Anyone: records that a certified round was not settled in time.
    ///
    /// # Errors
    /// `WrongState`.
    pub async fn abandon_round(&self, wallet: &Wallet, study: u64, round: u64) -> Result<Receipt, Error> {
        self.transact(wallet, &C::abandonRoundCall { study, round }).await
    }

    /// Sends native currency.
    ///
    /// # Errors
    /// [`Error::Rejected`] when the wallet cannot pay.
    pub async fn transfer(&self, wallet: &Wallet, to: Address, wei: U256) -> Result<Receipt, Error> {
        self.send(wallet, to.into(), wei, Bytes::new()).await
    }

    pub(crate) async fn transact<C: SolCall>(&self, wallet: &Wallet, call: &C) -> Result<Receipt, Error> {
        self.send(wallet, self.addresses().consilium.into(), U256::ZERO, call.abi_encode().into()).await
    }
}

/// The number that a call announces.
pub(crate) fn number_in(ledger: &Ledger, receipt: Receipt, number: impl Fn(&Event) -> Option<u64>) -> Result<Mined<u64>, Error> {
    let found = receipt.events.iter().find_map(|event| number(&event.event));
    let output = found.ok_or_else(|| ledger.malformed(Malformed::Unasked("a call that announces what it did")))?;
    Ok(Mined { output, receipt })
}

fn admitted(sites: &[Address]) -> Result<(Vec<Address>, B256), Misuse> {
    let mut sorted = sites.to_vec();
    sorted.sort_unstable();
    let root = sites_root(&sorted).map_err(|_| Misuse::Sites)?;
    Ok((sorted, root))
}
