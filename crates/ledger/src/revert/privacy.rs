//! The refusals of the accounts of what studies may reveal.

use crate::contracts::PrivacyBudget::PrivacyBudgetErrors as P;

/// The error's name, and what it means.
pub(super) fn words(error: &P) -> (&'static str, String) {
    match error {
        P::BudgetSpent(e) => (
            "BudgetSpent",
            format!(
                "privacy account {} has {} billionths of rho left and a round costs {}: no round opens beyond the budget, use a \
                 study with another account",
                e.account, e.left, e.cost
            ),
        ),
        P::InvalidAccount(_) => (
            "InvalidAccount",
            "a privacy account has a budget above zero, a delta between zero and one, and a name of 1 to 64 bytes: correct it"
                .into(),
        ),
        P::NotConsilium(e) => ("NotConsilium", format!("{} is not the Consilium that charges privacy accounts", e.caller)),
        P::NotTheOwner(e) => (
            "NotTheOwner",
            format!("privacy account {} is not {}'s: a study draws on its own sponsor's accounts", e.account, e.sponsor),
        ),
    }
}
