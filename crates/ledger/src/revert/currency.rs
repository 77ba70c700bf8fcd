//! The refusals of an ERC-20 that names them as the standard (ERC-6093) does.

use crate::contracts::TrialToken::TrialTokenErrors as E;

/// The error's name, and what it means.
pub(super) fn words(error: &E) -> (&'static str, String) {
    match error {
        E::ERC20InsufficientAllowance(e) => (
            "ERC20InsufficientAllowance",
            format!("{} may take {} of the coins, {} are needed: approve more", e.spender, e.allowance, e.needed),
        ),
        E::ERC20InsufficientBalance(e) => {
            ("ERC20InsufficientBalance", format!("{} has {} of the currency, {} are needed", e.sender, e.balance, e.needed))
        }
        E::ERC2612ExpiredSignature(e) => {
            ("ERC2612ExpiredSignature", format!("the permit was good until second {}: sign another one", e.deadline))
        }
        E::ERC2612InvalidSigner(e) => {
            ("ERC2612InvalidSigner", format!("the permit is signed by {}, not by the coins' owner {}", e.signer, e.owner))
        }
        E::InvalidAccountNonce(e) => {
            ("InvalidAccountNonce", format!("another permit of {} was used in between: sign another one", e.account))
        }
        E::ERC20InvalidReceiver(e) => {
            ("ERC20InvalidReceiver", format!("{} cannot hold coins: send them to another account", e.receiver))
        }
        E::ERC20InvalidApprover(_)
        | E::ERC20InvalidSender(_)
        | E::ERC20InvalidSpender(_)
        | E::ECDSAInvalidSignature(_)
        | E::ECDSAInvalidSignatureLength(_)
        | E::ECDSAInvalidSignatureS(_)
        | E::InvalidShortString(_)
        | E::StringTooLong(_) => {
            ("InvalidTransfer", "the currency refused the transfer: check accounts, amounts and signature".into())
        }
    }
}
