//! Section 6: a round's opening time against a party's own clock.
//!
//! The policy binds the opening time, and the cutoff is computed from it. An opening time in the future would move the
//! cutoff with it, so every party refuses one that is ahead of its own clock by more than a tolerance. The tolerance is
//! at most a quarter of the time from opening to deadline: within it, the cutoff (halfway) moves by an eighth at most.

use crate::params::Policy;
use thiserror::Error;

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

/// Whether a round seems to have been opened more than the tolerance before `seen_millis`, when a party that was following
/// the chain first saw it, in Unix milliseconds. Only such a party can judge a round's age.
#[must_use]
pub fn is_stale(policy: &Policy, seen_millis: u64, configured_millis: u64) -> bool {
    let age = seen_millis.saturating_sub(policy.opened.saturating_mul(1000));
    age > tolerance_millis(policy, configured_millis)
}

/// When a round appeared to a node, in Unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// When.
    pub at: u64,
    /// When the node last knew all that its endpoint showed before. Without, or too long ago, it cannot tell when the round
    /// appeared: the endpoint may have kept it waiting.
    pub followed_at: Option<u64>,
}

/// An opening time that no honest chain shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FalseOpening {
    /// It is ahead of the clock.
    #[error(
        "it says it was opened at {opened}, {seconds} seconds ahead of this machine's clock: correct the clock, or find out which \
         endpoint lies"
    )]
    Ahead {
        /// Unix seconds of the opening.
        opened: u64,
        /// By how much.
        seconds: u64,
    },
    /// It is older than the round's appearance.
    #[error(
        "it says it was opened at {opened}, {seconds} seconds before it appeared on the chain that this node was following: \
         correct the clock, or find out which endpoint lies"
    )]
    Stale {
        /// Unix seconds of the opening.
        opened: u64,
        /// By how much.
        seconds: u64,
    },
}

/// Holds a round's opening time against a node's clock, at Unix millisecond `now`, when it can take its seat. The answer is
/// whether the node saw the round in time to judge its age, and has its seat within the tolerance after that: whoever cannot be
/// uploaded to is a latecomer, whatever it has seen. A latecomer votes late.
///
/// # Errors
/// [`FalseOpening`]: the cutoff follows from the opening time, so that a false one closes a round early or late.
pub fn judge(policy: &Policy, seen: Seen, now: u64, configured_millis: u64) -> Result<bool, FalseOpening> {
    let opened = policy.opened;
    if is_ahead(policy, now, configured_millis) {
        return Err(FalseOpening::Ahead { opened, seconds: opened.saturating_sub(now / 1000) });
    }
    let tolerance = tolerance_millis(policy, configured_millis);
    let followed = seen.followed_at.is_some_and(|at| seen.at.saturating_sub(at) <= tolerance);
    if followed && is_stale(policy, seen.at, configured_millis) {
        return Err(FalseOpening::Stale { opened, seconds: (seen.at / 1000).saturating_sub(opened) });
    }
    Ok(followed && now.saturating_sub(seen.at) <= tolerance)
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
    fn an_opening_is_stale_from_the_first_millisecond_over_the_tolerance() {
        let round = policy(1_000, 1_100);
        assert!(!is_stale(&round, 1_025_000, u64::MAX));
        assert!(is_stale(&round, 1_025_001, u64::MAX));
        assert!(!is_stale(&round, 1_001_000, 1_000) && is_stale(&round, 1_001_001, 1_000));
        assert!(!is_stale(&round, 0, 0));
    }

    #[test]
    fn a_node_judges_a_rounds_age_only_if_it_was_following_when_the_round_appeared() {
        let round = policy(1_000, 1_100);
        let of = |followed_at, at| judge(&round, Seen { at, followed_at }, at, DEFAULT_TOLERANCE_MILLIS);
        assert_eq!(of(Some(1_000_900), 1_001_000), Ok(true));
        // The tolerance is 25 s.
        assert_eq!(of(Some(1_030_900), 1_031_000), Err(FalseOpening::Stale { opened: 1_000, seconds: 31 }));
        assert_eq!(of(Some(1_005_000), 1_031_000), Ok(false), "an endpoint that kept the node waiting");
        assert_eq!(of(None, 1_031_000), Ok(false), "a node that has just started");
        assert_eq!(of(None, 970_000), Err(FalseOpening::Ahead { opened: 1_000, seconds: 30 }));
    }

    #[test]
    fn a_node_whose_seat_is_delayed_by_more_than_the_tolerance_is_a_latecomer() {
        let round = policy(1_000, 1_100);
        let seen = Seen { at: 1_001_000, followed_at: Some(1_000_900) };
        let of = |now| judge(&round, seen, now, DEFAULT_TOLERANCE_MILLIS);
        assert_eq!(of(1_026_000), Ok(true));
        assert_eq!(of(1_026_001), Ok(false), "an endpoint that keeps back what a seat needs");
    }

    #[test]
    fn times_that_no_honest_chain_has_overflow_nothing() {
        assert_eq!(tolerance_millis(&policy(9, 3), u64::MAX), 0);
        assert_eq!(tolerance_millis(&policy(0, u64::MAX), u64::MAX), u64::MAX);
        assert!(is_ahead(&policy(u64::MAX, u64::MAX), 1 << 50, u64::MAX));
    }
}
