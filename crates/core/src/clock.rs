//! Section 6: a round's opening time against a party's own clock.
//!
//! The policy binds the opening time, and the cutoff is computed from it. An opening time in the future would move the
//! cutoff with it, so every party refuses one that is ahead of its own clock by more than a tolerance. The tolerance is
//! at most a quarter of the time from opening to deadline: within it, the cutoff (halfway) moves by an eighth at most.

use crate::params::Policy;

/// The tolerance of a party that configures none, in milliseconds: ten minutes.
pub const DEFAULT_TOLERANCE_MILLIS: u64 = 600_000;

/// How far, in milliseconds, a round's opening time may be from a party's clock: what the party has configured, and at
/// most a quarter of the time from opening to deadline.
#[must_use]
pub fn tolerance_millis(policy: &Policy, configured_millis: u64) -> u64 {
    // Saturates, since a policy may be judged before its times are checked.
    let quarter = policy.deadline.saturating_sub(policy.opened).saturating_mul(250);
    configured_millis.min(quarter)
}

/// Whether a round opens in the future by a clock that shows `now_millis`, in Unix milliseconds, by more than the
/// tolerance.
#[must_use]
pub fn is_ahead(policy: &Policy, now_millis: u64, configured_millis: u64) -> bool {
    let ahead = policy.opened.saturating_mul(1000).saturating_sub(now_millis);
    ahead > tolerance_millis(policy, configured_millis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::Finality;
    use alloy_primitives::B256;

    fn policy(opened: u64, deadline: u64) -> Policy {
        let settle_by = deadline.saturating_add(1);
        Policy { minimum_cohort: 2, sites_root: B256::ZERO, finality: Finality::Instant, opened, deadline, settle_by }
    }

    #[test]
    fn the_tolerance_is_the_configured_one_up_to_a_quarter_of_the_round() {
        let quarter = |seconds: u64| tolerance_millis(&policy(5, 5 + seconds), DEFAULT_TOLERANCE_MILLIS);
        assert_eq!((quarter(1), quarter(100), quarter(2_399)), (250, 25_000, 599_750));
        assert_eq!((quarter(2_400), quarter(2_401), quarter(1 << 30)), (600_000, 600_000, 600_000));
        assert_eq!(tolerance_millis(&policy(5, 1_005), 249_999), 249_999);
        assert_eq!(tolerance_millis(&policy(5, 1_005), 250_001), 250_000);
        assert_eq!(tolerance_millis(&policy(5, 1_005), 0), 0);
    }

    #[test]
    fn an_opening_is_ahead_from_the_first_millisecond_over_the_tolerance() {
        let round = policy(1_000, 1_100);
        assert!(!is_ahead(&round, 975_000, u64::MAX));
        assert!(is_ahead(&round, 974_999, u64::MAX));
        assert!(!is_ahead(&round, 999_000, 1_000) && is_ahead(&round, 998_999, 1_000));
        // Age is not judged here.
        assert!(!is_ahead(&round, u64::MAX, 0));
    }

    #[test]
    fn times_that_no_honest_chain_has_overflow_nothing() {
        assert_eq!(tolerance_millis(&policy(9, 3), u64::MAX), 0);
        assert_eq!(tolerance_millis(&policy(0, u64::MAX), u64::MAX), u64::MAX);
        assert!(is_ahead(&policy(u64::MAX, u64::MAX), 1 << 50, u64::MAX));
    }
}
