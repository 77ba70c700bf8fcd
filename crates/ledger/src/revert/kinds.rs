//! The refusals of those who judge results and sets. What they share with the registry is in its words.

use crate::contracts::SetCourt::SetCourtErrors as W;
use crate::contracts::SumKind::SumKindErrors as K;

/// The error's name, and what it means, of the judge of sums.
pub(super) fn sum(error: &K) -> (&'static str, String) {
    match error {
        K::NotTheProgram(e) => ("NotTheProgram", format!("study {} was created with other terms", e.study)),
        K::NothingToUnwrap(_) => {
            ("NothingToUnwrap", "a share root of a sum is a vector's root as it is: give no evidence".into())
        }
        K::OpeningPoints(_) => {
            ("OpeningPoints", "t+2 openings are needed, at points in increasing order, the aggregate being point 0".into())
        }
        _ => ("Unknown", "no reason that this version knows".into()),
    }
}

/// The same of the court of sets.
pub(super) fn sets(error: &W) -> (&'static str, String) {
    match error {
        W::NoSuchReward(e) => ("NoSuchReward", format!("there is no voter number {} behind the sites' rewards", e.index)),
        W::NotAbsent(e) => {
            ("NotAbsent", format!("what was shown does not prove that {} is missing from the list of sites", e.site))
        }
        _ => ("Unknown", "no reason that this version knows".into()),
    }
}
