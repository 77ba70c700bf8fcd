//! Doing again what the node's own disk failed at: the machine asks for most things once.

use super::OpenRound;
use crate::store::StoreError;
use std::future::Future;
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const SLOWEST: Duration = Duration::from_secs(10);

/// Tries until it is done, with growing pauses, as long as the round goes on.
pub(super) async fn until_done<T, F: Future<Output = Result<T, StoreError>>>(
    round: &OpenRound,
    what: &'static str,
    attempt: impl FnMut() -> F,
) -> Option<T> {
    let wanted = || !round.is_over() && !round.is_dismissed();
    while_wanted(wanted, reporting(round, what), attempt).await
}

/// The same for what is wanted also after the round's end, and of a seat that is dismissed.
pub(super) async fn until_written<T, F: Future<Output = Result<T, StoreError>>>(
    round: &OpenRound,
    what: &'static str,
    attempt: impl FnMut() -> F,
) -> Option<T> {
    while_wanted(|| true, reporting(round, what), attempt).await
}

fn reporting(round: &OpenRound, what: &'static str) -> impl Fn(u32, &StoreError) {
    let (study, round) = round.id();
    move |attempts, error| tracing::error!(study, round, %error, attempts, "{what} failed: trying again; check the disk")
}

async fn while_wanted<T, F: Future<Output = Result<T, StoreError>>>(
    wanted: impl Fn() -> bool,
    report: impl Fn(u32, &StoreError),
    mut attempt: impl FnMut() -> F,
) -> Option<T> {
    let mut attempts = 0u32;
    loop {
        match attempt().await {
            Ok(done) => return Some(done),
            Err(error) => {
                attempts = attempts.saturating_add(1);
                if attempts.is_power_of_two() {
                    report(attempts, &error);
                }
            }
        }
        tokio::time::sleep((FIRST * 2u32.saturating_pow(attempts.min(16) - 1)).min(SLOWEST)).await;
        if !wanted() {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[tokio::test]
    async fn what_failed_is_tried_until_it_works_or_nobody_wants_it_any_more() {
        let (tried, reported) = (Cell::new(0), Cell::new(0));
        let attempt = |works_at: u32| {
            tried.set(tried.get() + 1);
            let works = tried.get() == works_at;
            async move { if works { Ok(works_at) } else { Err(StoreError::Damaged("a blob".into())) } }
        };
        let report = |attempts: u32, _: &StoreError| reported.set(attempts);
        assert_eq!(while_wanted(|| true, report, || attempt(3)).await, Some(3));
        assert_eq!((tried.get(), reported.get()), (3, 2));
        assert_eq!(while_wanted(|| tried.get() < 5, report, || attempt(0)).await, None);
        assert_eq!(tried.get(), 5);
    }
}
