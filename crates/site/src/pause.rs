//! Pauses between two looks at something that may have changed: short while news is likely, then ever longer. One is about a
//! quarter of the time waited so far: news is noticed after at most a quarter more time than it took to come.

use crate::site::Site;
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(20);

/// Pauses that grow, up to the configured one.
#[derive(Debug)]
pub(crate) struct Pauses {
    next: Duration,
    longest: Duration,
}

impl Pauses {
    /// Pauses up to the site's `timeouts.poll`.
    pub(crate) fn of(site: &Site) -> Self {
        let longest = crate::config::seconds(site.config().timeouts.poll);
        Self { next: FIRST.min(longest), longest }
    }

    /// How long the next pause is.
    pub(crate) fn next(&self) -> Duration {
        self.next
    }

    /// The next pause.
    pub(crate) async fn wait(&mut self) {
        tokio::time::sleep(self.next).await;
        self.next = (self.next * 5 / 4).min(self.longest);
    }
}
