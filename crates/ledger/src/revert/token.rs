//! The refusals of the token of studies.

use crate::contracts::StudyToken::StudyTokenErrors as S;

/// The error's name, and what it means.
pub(super) fn words(error: &S) -> (&'static str, String) {
    match error {
        S::NotConsilium(e) => ("NotConsilium", format!("{} is not the token's Consilium", e.caller)),
        S::NoApprovalForAll(_) => (
            "NoApprovalForAll",
            "an approval for all studies is the key to all their money: offer one study to the one account that takes it".into(),
        ),
        S::NotGuardian(e) => ("NotGuardian", format!("{} is not the guardian of study {}", e.caller, e.study)),
        S::NotSponsor(e) => ("NotSponsor", format!("{} is not the sponsor of study {}", e.caller, e.study)),
        S::NotTheReceiver(e) => (
            "NotTheReceiver",
            format!("{} cannot hand a study to {}: the receiver takes it by itself, once it is offered", e.caller, e.to),
        ),
        S::ERC721NonexistentToken(e) => ("ERC721NonexistentToken", format!("there is no study {}", e.tokenId)),
        S::ERC721InsufficientApproval(e) => (
            "ERC721InsufficientApproval",
            format!("{} may not take study {}: its sponsor has to offer it to that account first", e.operator, e.tokenId),
        ),
        S::ERC721IncorrectOwner(e) => {
            ("ERC721IncorrectOwner", format!("study {} belongs to {}, not to {}", e.tokenId, e.owner, e.sender))
        }
        S::ERC721InvalidReceiver(e) => {
            ("ERC721InvalidReceiver", format!("{} cannot hold a study: hand it to another account", e.receiver))
        }
        S::ERC721InvalidApprover(_) | S::ERC721InvalidOperator(_) | S::ERC721InvalidOwner(_) | S::ERC721InvalidSender(_) => {
            ("InvalidTransfer", "the token refused the transfer: check the accounts".into())
        }
    }
}
