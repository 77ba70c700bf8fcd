//! How good a model is: accuracy, and the area under the receiver operating characteristic.

use crate::dataset::Samples;
use crate::error::TrainingError;
use crate::local::logits;
use crate::model::Parameters;

/// How well a model tells the classes apart.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Metrics {
    /// The share of samples whose largest score is that of their class; of equal scores the first class counts.
    pub accuracy: f64,
    /// The probability that a sample of a class scores higher for it than another sample, ties count half; for more than
    /// two classes the mean over the classes, one against the rest.
    pub auc: f64,
}

/// Judges a model by samples of at least two classes.
pub fn evaluate(model: &Parameters, samples: &Samples) -> Result<Metrics, TrainingError> {
    let logits = logits(model, samples)?;
    let right = logits.iter().zip(samples.labels()).filter(|(row, label)| first_largest(row) == usize::from(**label));
    let accuracy = right.count() as f64 / samples.len() as f64;
    Ok(Metrics { accuracy, auc: mean_auc(&logits, samples.labels()).ok_or(TrainingError::OneClass)? })
}

fn first_largest(row: &[f32]) -> usize {
    let best = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    row.iter().position(|score| *score == best).unwrap_or_default()
}

/// With two classes both one-against-the-rest values are the same, so the mean is the binary one.
fn mean_auc(logits: &[Vec<f32>], labels: &[u8]) -> Option<f64> {
    let classes = logits.first().map_or(0, Vec::len);
    let columns: Vec<Vec<f64>> = logits.iter().map(|row| log_odds(row)).collect();
    let each = (0..classes).filter_map(|class| {
        let scores: Vec<f64> = columns.iter().map(|row| row[class]).collect();
        let positive: Vec<bool> = labels.iter().map(|label| usize::from(*label) == class).collect();
        auc(&scores, &positive)
    });
    let each: Vec<f64> = each.collect();
    (!each.is_empty()).then(|| each.iter().sum::<f64>() / each.len() as f64)
}

/// The logarithm of each class's probability against the others, `z - ln(sum of exp of the other z)`. Unlike the
/// probability it does not round to 1 for a sure model, which would make ties.
fn log_odds(row: &[f32]) -> Vec<f64> {
    let odds = |class: usize| {
        let others = || row.iter().enumerate().filter(|(other, _)| *other != class).map(|(_, z)| f64::from(*z));
        let largest = others().fold(f64::NEG_INFINITY, f64::max);
        f64::from(row[class]) - largest - others().map(|z| (z - largest).exp()).sum::<f64>().ln()
    };
    (0..row.len()).map(odds).collect()
}

/// The area under the curve by ranks (Mann and Whitney): 1 if every positive scores above every negative, ties count
/// half. `None` without a positive or without a negative, or if the lengths differ.
pub fn auc(scores: &[f64], positive: &[bool]) -> Option<f64> {
    let positives = positive.iter().filter(|is| **is).count();
    let negatives = positive.len() - positives;
    if positives == 0 || negatives == 0 || scores.len() != positive.len() {
        return None;
    }
    let mut order: Vec<(f64, bool)> = scores.iter().copied().zip(positive.iter().copied()).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut pairs) = (0.0, 0.0);
    for tied in order.chunk_by(|a, b| a.0 == b.0) {
        let ups = tied.iter().filter(|(_, is)| *is).count() as f64;
        let downs = tied.len() as f64 - ups;
        pairs += ups * (below + downs / 2.0);
        below += downs;
    }
    Some(pairs / (positives as f64 * negatives as f64))
}
