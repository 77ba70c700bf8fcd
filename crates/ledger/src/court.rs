//! Proofs of offences, shown to the court that holds the stake (PROTOCOL.md 6.12).
//!
//! The contract looks at nothing but the signed statements and what it has recorded itself, so a wrong accusation costs its
//! sender the gas and nobody else anything.

use crate::contracts::{ICourt, NodeRegistry as R};
use crate::endpoint::Ledger;
use crate::error::{Error, Unknown};
use crate::study::Settled;
use crate::wallet::{Receipt, Wallet};
use alloy::sol_types::SolCall;
use alloy_primitives::{Bytes, U256};
use consilium_core::audit::Evidence;
use consilium_core::eip712::{Final, Settlement, ShareRoot, Signed};
use consilium_core::round::Offender;

impl Ledger {
    /// Proves an offence of a node. The node loses its bond, the wallet's account is paid a tenth of it, and the study
    /// needs a new committee.
    ///
    /// # Errors
    /// `NotLiable` when the node was convicted already, or its bond is free again; `NotTheSettlement`, `NotCertified` when
    /// the round is off the record; `NoOffence`, `NotItsIndex`, `TwoSigners`, `UnreadableSignature` when the evidence
    /// proves nothing; [`Unknown::Round`] when a share root is held against a settlement that there is not.
    pub async fn accuse(&self, wallet: &Wallet, offender: &Offender) -> Result<Receipt, Error> {
        let call = match offender {
            Offender::Finals(_, pair) => two_finals(pair),
            Offender::ShareRoots(_, pair) => two_shares(pair),
            Offender::Settlements(_, pair) => two_settlements(pair),
            Offender::WrongShareRoot(_, said) => self.wrong_share(said).await?,
        };
        self.send(wallet, self.addresses().registry.into(), U256::ZERO, call.into()).await
    }

    async fn wrong_share(&self, said: &Evidence<ShareRoot>) -> Result<Vec<u8>, Error> {
        let Evidence { statement: share, signature } = said;
        let (study, round) = (share.study, share.round);
        let settled = self.round(study, round).await?.settlement.ok_or(Unknown::Round { study, round })?;
        if share.setRoot != settled.settlement.setRoot {
            return Ok(foreign_share(said));
        }
        let call = R::proveWrongShareCall {
            study,
            round,
            roots: roots(&settled),
            index: share.index,
            root: share.root,
            signature: bytes(signature),
        };
        Ok(call.abi_encode())
    }
}

fn bytes(signature: &Signed) -> Bytes {
    Bytes::copy_from_slice(signature.as_bytes())
}

fn roots(settled: &Settled) -> ICourt::Roots {
    ICourt::Roots {
        setRoot: settled.settlement.setRoot,
        shareRoots: settled.share_roots.clone(),
        aggregateRoot: settled.settlement.aggregateRoot,
        rewardRoot: settled.settlement.rewardRoot,
    }
}

fn foreign_share(said: &Evidence<ShareRoot>) -> Vec<u8> {
    let share = &said.statement;
    let call = R::proveForeignShareCall {
        study: share.study,
        round: share.round,
        setRoot: share.setRoot,
        index: share.index,
        root: share.root,
        signature: bytes(&said.signature),
    };
    call.abi_encode()
}

fn two_finals([first, second]: &[Evidence<Final>; 2]) -> Vec<u8> {
    let call = R::proveTwoFinalsCall {
        study: first.statement.study,
        subject: first.statement.subject,
        round: first.statement.round,
        setRoot: first.statement.setRoot,
        signature: bytes(&first.signature),
        otherRound: second.statement.round,
        otherSetRoot: second.statement.setRoot,
        otherSignature: bytes(&second.signature),
    };
    call.abi_encode()
}

fn two_shares([first, second]: &[Evidence<ShareRoot>; 2]) -> Vec<u8> {
    let call = R::proveTwoSharesCall {
        study: first.statement.study,
        round: first.statement.round,
        index: first.statement.index,
        setRoot: first.statement.setRoot,
        root: first.statement.root,
        signature: bytes(&first.signature),
        otherSetRoot: second.statement.setRoot,
        otherRoot: second.statement.root,
        otherSignature: bytes(&second.signature),
    };
    call.abi_encode()
}

fn two_settlements([first, second]: &[Evidence<Settlement>; 2]) -> Vec<u8> {
    let said = |said: &Evidence<Settlement>| ICourt::Said {
        setRoot: said.statement.setRoot,
        shareRootsHash: said.statement.shareRootsHash,
        aggregateRoot: said.statement.aggregateRoot,
        rewardRoot: said.statement.rewardRoot,
        signature: bytes(&said.signature),
    };
    let (study, round) = (first.statement.study, first.statement.round);
    R::proveTwoSettlementsCall { study, round, said: said(first), otherSaid: said(second) }.abi_encode()
}
