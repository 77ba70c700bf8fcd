//! The refusals of the treasury and the licences.

use crate::contracts::Licences::LicencesErrors as L;
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
        T::NotALateVoter(e) => (
            "NotALateVoter",
            format!("{} cast no late vote in round {} of study {}: read the round again", e.account, e.round, e.study),
        ),
        T::NotPermitted(e) => ("NotPermitted", format!("{} may not do this: the study's sponsor can", e.caller)),
        T::NotStruck(e) => ("NotStruck", format!("site {} is not struck for round {} of study {}", e.site, e.round, e.study)),
        T::NothingOwed(_) => {
            ("NothingOwed", "all of it was claimed before, was lost by equivocation, or is worth nothing: look again".into())
        }
        T::ReentrancyGuardReentrantCall(_) => {
            ("ReentrancyGuardReentrantCall", "the currency called back during a payment: it cannot be used".into())
        }
        T::EscheatTimeTooShort(e) => (
            "EscheatTimeTooShort",
            format!("{} seconds until what nobody claims is lost are too short: use a year or more", e.escheatTime),
        ),
        T::EscheatTooEarly(e) => (
            "EscheatTooEarly",
            format!(
                "this goes to the sink years after it was earned, and a quarter after its announcement: from second {} on",
                e.from
            ),
        ),
        T::GasMissing(_) => {
            ("GasMissing", "whoever is owed money must be able to take it: send the transaction with more gas".into())
        }
        T::InvalidSink(_) => ("InvalidSink", "what nobody claims goes to the sink: give an account that is not zero".into()),
        T::PausedUntil(e) => ("PausedUntil", super::consilium::paused(e.study, e.until)),
        T::SafeCastOverflowedUintDowncast(e) => {
            ("SafeCastOverflowedUintDowncast", format!("{} does not fit {} bits", e.value, e.bits))
        }
        T::SafeCastOverflowedIntDowncast(e) => {
            ("SafeCastOverflowedIntDowncast", format!("{} does not fit {} bits", e.value, e.bits))
        }
        T::SafeCastOverflowedIntToUint(e) => {
            ("SafeCastOverflowedIntToUint", format!("{} is below zero: less was earned than counted", e.value))
        }
        T::SafeCastOverflowedUintToInt(e) => ("SafeCastOverflowedUintToInt", format!("{} does not fit 255 bits", e.value)),
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
        L::NotTreasurer(e) => (
            "NotTreasurer",
            format!("{} does not set the price of licences of study {}: its treasurer does, or its sponsor", e.caller, e.study),
        ),
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
