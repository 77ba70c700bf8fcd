//! The refusals of the treasury, the licences and the token of studies.

use crate::contracts::Licences::LicencesErrors as L;
use crate::contracts::StudyToken::StudyTokenErrors as S;
use crate::contracts::Treasury::TreasuryErrors as T;

/// The error's name, and what it means.
pub(super) fn words(error: &T) -> (&'static str, String) {
    match error {
        T::AlreadyStruck(e) => {
            ("AlreadyStruck", format!("site {} is struck for round {} of study {} already", e.site, e.round, e.study))
        }
        T::AmountNotReceived(e) => (
            "AmountNotReceived",
            format!("the currency handed over {} of {}: one that takes a fee on transfers cannot be used", e.received, e.asked),
        ),
        T::AmountTooLarge(e) => ("AmountTooLarge", format!("{} is more than a study can hold", e.amount)),
        T::InvalidPath(e) => (
            "InvalidPath",
            format!("{} siblings do not lead from leaf {} to the root of {} leaves", e.siblings, e.index, e.leaves),
        ),
        T::NoCurrency(e) => ("NoCurrency", format!("study {} has no currency, so it takes and pays nothing", e.study)),
        T::NoEquivocation(e) => {
            ("NoEquivocation", format!("the two contributions are signed by {} and {} or are the same one", e.first, e.second))
        }
        T::NotInPeriod(e) => {
            ("NotInPeriod", format!("round {} of study {} has no part in the revenue of period {}", e.round, e.study, e.period))
        }
        T::NotPermitted(e) => ("NotPermitted", format!("{} may not do this: the study's sponsor can", e.caller)),
        T::NotStruck(e) => ("NotStruck", format!("site {} is not struck for round {} of study {}", e.site, e.round, e.study)),
        T::NothingOwed(_) => {
            ("NothingOwed", "all of it was claimed before, was lost by equivocation, or is worth nothing: look again".into())
        }
        T::NothingToShare(e) => ("NothingToShare", format!("no revenue of study {} waits to be shared", e.study)),
        T::PeriodOpen(e) => ("PeriodOpen", format!("the period of study {} ends at second {}: close it then", e.study, e.until)),
        T::ReentrancyGuardReentrantCall(_) => {
            ("ReentrancyGuardReentrantCall", "the currency called back during a payment: it cannot be used".into())
        }
        T::SafeCastOverflowedUintDowncast(e) => {
            ("SafeCastOverflowedUintDowncast", format!("{} does not fit {} bits", e.value, e.bits))
        }
        T::SafeERC20FailedOperation(e) => (
            "SafeERC20FailedOperation",
            format!("the currency {} refused the transfer: check balance and approval for the treasury", e.token),
        ),
        T::UnreadableSignature(_) => {
            ("UnreadableSignature", "a signature is r and s with v in its highest bit, and s is low".into())
        }
    }
}

/// The error's name, and what it means, of the licences.
pub(super) fn licences(error: &L) -> (&'static str, String) {
    match error {
        L::NotOffered(e) => ("NotOffered", format!("study {} sells no licences", e.study)),
        L::NotSponsor(e) => ("NotSponsor", format!("{} is not the sponsor of study {}", e.caller, e.study)),
        L::PriceRisen(e) => {
            ("PriceRisen", format!("the price is {} by now, above the {} that you would pay: look again", e.price, e.highest))
        }
        L::RoyaltyTooHigh(e) => {
            ("RoyaltyTooHigh", format!("a royalty of {} ten-thousandths is above the {} allowed", e.royalty, e.highest))
        }
        L::ERC1155InsufficientBalance(e) => (
            "ERC1155InsufficientBalance",
            format!("{} holds {} licences of study {}, {} are needed", e.sender, e.balance, e.tokenId, e.needed),
        ),
        L::ERC1155MissingApprovalForAll(e) => (
            "ERC1155MissingApprovalForAll",
            format!("{} may not move the licences of {}: the owner has to approve it", e.operator, e.owner),
        ),
        L::ERC1155InvalidReceiver(e) => {
            ("ERC1155InvalidReceiver", format!("{} cannot hold licences: send them to another account", e.receiver))
        }
        L::ReentrancyGuardReentrantCall(_) => {
            ("ReentrancyGuardReentrantCall", "the currency called back during a payment: it cannot be used".into())
        }
        L::ERC1155InvalidApprover(_)
        | L::ERC1155InvalidArrayLength(_)
        | L::ERC1155InvalidOperator(_)
        | L::ERC1155InvalidSender(_)
        | L::ERC2981InvalidDefaultRoyalty(_)
        | L::ERC2981InvalidDefaultRoyaltyReceiver(_)
        | L::ERC2981InvalidTokenRoyalty(_)
        | L::ERC2981InvalidTokenRoyaltyReceiver(_) => {
            ("InvalidTransfer", "the licences refused the transfer: check accounts and amounts".into())
        }
    }
}

/// The error's name, and what it means, of the token of studies.
pub(super) fn study_token(error: &S) -> (&'static str, String) {
    match error {
        S::NotConsilium(e) => ("NotConsilium", format!("{} is not the token's Consilium", e.caller)),
        S::ERC721NonexistentToken(e) => ("ERC721NonexistentToken", format!("there is no study {}", e.tokenId)),
        S::ERC721InsufficientApproval(e) => (
            "ERC721InsufficientApproval",
            format!("{} may not hand over study {}: its sponsor has to approve it", e.operator, e.tokenId),
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
