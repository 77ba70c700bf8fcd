//! What the demo measured, as JSON for scripts and as lines for people.

use serde::Serialize;

/// The figures of one run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    pub(crate) sites: u32,
    pub(crate) nodes: u32,
    pub(crate) t: u32,
    /// Number of parameters.
    pub(crate) d: usize,
    pub(crate) rounds: Vec<RoundReport>,
    /// The same training without any of this.
    pub(crate) plain: Quality,
    pub(crate) alone_mean_accuracy: f64,
    pub(crate) misbehaviour: Vec<Misbehaviour>,
    /// Who was paid.
    pub(crate) money: Option<super::pay::Payments>,
    /// `pass` or `fail`.
    pub(crate) audit: String,
    pub(crate) seconds_total: f64,
}

/// One round.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RoundReport {
    pub(crate) round: u64,
    /// `settled`, `void` or `abandoned`.
    pub(crate) status: String,
    pub(crate) accuracy: f64,
    pub(crate) auc: f64,
    pub(crate) accepted: usize,
    pub(crate) rejected: usize,
    pub(crate) upload_bytes_per_site: u64,
    /// From the last upload's end to a settlement that a site has checked.
    pub(crate) close_seconds: f64,
    /// Opening, certificate and settlement together.
    pub(crate) gas: u64,
    /// Largest deviation of a coordinate of the settled mean from the plain weighted mean of the same updates.
    pub(crate) max_abs_error: f64,
    pub(crate) error_bound: f64,
}

/// How good a model is.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Quality {
    pub(crate) accuracy: f64,
    pub(crate) auc: f64,
}

/// Who did what, and what came of it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Misbehaviour {
    pub(crate) who: String,
    pub(crate) what: String,
    pub(crate) caught_by: String,
    pub(crate) evidence: String,
}

/// The table's heading.
pub(crate) const HEADING: &str =
    "round  status     accuracy    AUC  accepted  rejected  upload/site  close     gas   max |error|   bound";

impl RoundReport {
    /// One line of the table.
    pub(crate) fn line(&self) -> String {
        format!(
            "{:5}  {:9}  {:8.3}  {:5.3}  {:8}  {:8}  {:>11}  {:4.1}s  {:6}  {:12.1e}  {:.1e}",
            self.round,
            self.status,
            self.accuracy,
            self.auc,
            self.accepted,
            self.rejected,
            bytes(self.upload_bytes_per_site),
            self.close_seconds,
            self.gas,
            self.max_abs_error,
            self.error_bound
        )
    }
}

/// A number of bytes for people.
pub(crate) fn bytes(count: u64) -> String {
    match count {
        0..10_000 => format!("{count} B"),
        10_000..10_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        _ => format!("{:.1} MB", count as f64 / 1e6),
    }
}
