//! Counters, as Prometheus text.

use consilium_core::error::Rejection;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What the node counts.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) accepted: AtomicU64,
    rejected_format: AtomicU64,
    rejected_seed: AtomicU64,
    rejected_proof: AtomicU64,
    pub(crate) refused_uploads: AtomicU64,
    pub(crate) boxes_repaired: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
    verify_micros: AtomicU64,
    verify_count: AtomicU64,
    pub(crate) peer_errors: AtomicU64,
    pub(crate) messages_in: AtomicU64,
    pub(crate) messages_dropped: AtomicU64,
    pub(crate) journal_refusals: AtomicU64,
    pub(crate) resignations: AtomicU64,
    pub(crate) chain_errors: AtomicU64,
    pub(crate) chain_head: AtomicU64,
}

impl Metrics {
    pub(crate) fn add(counter: &AtomicU64, amount: usize) {
        counter.fetch_add(amount as u64, Relaxed);
    }

    pub(crate) fn rejected(&self, step: Rejection) {
        let counter = match step {
            Rejection::Format => &self.rejected_format,
            Rejection::Seed => &self.rejected_seed,
            Rejection::Proof => &self.rejected_proof,
        };
        Self::add(counter, 1);
    }

    pub(crate) fn verified(&self, took: Duration) {
        self.verify_micros.fetch_add(took.as_micros() as u64, Relaxed);
        Self::add(&self.verify_count, 1);
    }

    /// The Prometheus text, with the open rounds by stage, and the seats that are beyond the policy.
    pub(crate) fn render(&self, stages: &[(&'static str, usize)], beyond_policy: usize) -> String {
        let mut out = String::new();
        let mut line = |name: &str, kind: &str, help: &str, samples: &[(String, f64)]| {
            // Writing to a String does not fail.
            let _ok = writeln!(out, "# HELP consilium_{name} {help}\n# TYPE consilium_{name} {kind}");
            for (labels, value) in samples {
                let _ok = writeln!(out, "consilium_{name}{labels} {value}");
            }
        };
        let plain = |counter: &AtomicU64| vec![(String::new(), counter.load(Relaxed) as f64)];
        let label = |name: &str, value: &str, count: f64| (format!("{{{name}=\"{value}\"}}"), count);
        let steps = [("format", &self.rejected_format), ("seed", &self.rejected_seed), ("proof", &self.rejected_proof)];
        let rejected: Vec<_> = steps.iter().map(|(step, counter)| label("step", step, counter.load(Relaxed) as f64)).collect();
        let by_stage: Vec<_> = stages.iter().map(|(stage, count)| label("stage", stage, *count as f64)).collect();

        line("contributions_accepted_total", "counter", "Contributions verified.", &plain(&self.accepted));
        line("contributions_rejected_total", "counter", "Contributions rejected, by step.", &rejected);
        line("uploads_refused_total", "counter", "Uploads refused before verification.", &plain(&self.refused_uploads));
        line("boxes_repaired_total", "counter", "Contributions whose seeds came from peers.", &plain(&self.boxes_repaired));
        line("bytes_in_total", "counter", "Bytes of contributions, shares and messages received.", &plain(&self.bytes_in));
        line("bytes_out_total", "counter", "Bytes of contributions, shares and messages sent.", &plain(&self.bytes_out));
        line(
            "verify_seconds_sum",
            "counter",
            "Seconds spent verifying.",
            &[(String::new(), self.verify_micros.load(Relaxed) as f64 / 1e6)],
        );
        line("verify_seconds_count", "counter", "Verifications.", &plain(&self.verify_count));
        line("rounds", "gauge", "Open rounds, by stage.", &by_stage);
        line("peer_errors_total", "counter", "Failed requests to peers.", &plain(&self.peer_errors));
        line("messages_in_total", "counter", "Committee messages received.", &plain(&self.messages_in));
        line(
            "messages_dropped_total",
            "counter",
            "Messages not sent because a peer is slow or dead.",
            &plain(&self.messages_dropped),
        );
        line(
            "journal_refusals_total",
            "counter",
            "Statements that the journal refused to let be signed.",
            &plain(&self.journal_refusals),
        );
        let beyond = [(String::new(), beyond_policy as f64)];
        line("seats_beyond_policy", "gauge", "Studies whose committee seats this node beyond its policy.", &beyond);
        line("resignations_total", "counter", "Committees left for being beyond the policy.", &plain(&self.resignations));
        line("chain_errors_total", "counter", "Failed requests to the chain.", &plain(&self.chain_errors));
        line("chain_head", "gauge", "Newest block seen.", &plain(&self.chain_head));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_help_type_and_labels() {
        let metrics = Metrics::default();
        metrics.rejected(Rejection::Proof);
        metrics.verified(Duration::from_millis(1500));
        let text = metrics.render(&[("collecting", 2)], 3);
        for line in [
            "# TYPE consilium_contributions_rejected_total counter",
            "consilium_contributions_rejected_total{step=\"proof\"} 1",
            "consilium_verify_seconds_sum 1.5",
            "consilium_rounds{stage=\"collecting\"} 2",
            "consilium_seats_beyond_policy 3",
            "consilium_resignations_total 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} not in\n{text}");
        }
    }
}
