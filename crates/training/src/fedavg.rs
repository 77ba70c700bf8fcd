//! Federated averaging in the open (`McMahan` et al., 2017), as the yardstick for the protected run.
//!
//! A round: each site trains the global model on its own samples and gives the difference; each difference is clipped to
//! the study's radius; the mean, weighted by [`site_weight`], is added to the global model. The protected run does the
//! same with [`train_local`] and [`site_weight`], but nobody sees a difference or a weight. [`weighted_mean`] of the same
//! differences is what its aggregate is compared with.

use crate::dataset::{DataSet, Samples};
use crate::error::TrainingError;
use crate::local::{LocalOptions, Turn, train_local};
use crate::metrics::{Metrics, evaluate};
use crate::model::{Parameters, Shape};

/// The largest weight of a site, 2^b with the protocol's default b = 8.
pub const LARGEST_WEIGHT: u32 = 256;

/// The weight of a site with so many samples: their number, at least 1 and at most [`LARGEST_WEIGHT`].
///
/// Each site computes it from what it alone knows. Scaling by the largest site instead would need that site's sample
/// count to be public, and the weights are hidden for a reason.
pub fn site_weight(samples: usize) -> u32 {
    u32::try_from(samples).unwrap_or(u32::MAX).clamp(1, LARGEST_WEIGHT)
}

/// The Euclidean norm, in f64.
pub fn norm(update: &[f32]) -> f64 {
    update.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt()
}

/// The mean of updates, each clipped to `radius`, weighted; in f64, in the order given.
pub fn weighted_mean(updates: &[(u32, Parameters)], radius: f64) -> Result<Vec<f64>, TrainingError> {
    check_radius(radius)?;
    let total: u64 = updates.iter().map(|(weight, _)| u64::from(*weight)).sum();
    let Some((_, first)) = updates.first().filter(|_| total > 0) else {
        return Err(TrainingError::NoSites);
    };
    let mut mean = vec![0.0; first.values().len()];
    for (weight, update) in updates {
        first.same_shape(update.shape())?;
        let norm = norm(update.values());
        let clip = if norm > radius { radius / norm } else { 1.0 };
        let factor = clip * f64::from(*weight) / total as f64;
        for (sum, value) in mean.iter_mut().zip(update.values()) {
            *sum += factor * f64::from(*value);
        }
    }
    Ok(mean)
}

/// A whole training, apart from the data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Units of the hidden layer.
    pub hidden: usize,
    /// Rounds of federated averaging.
    pub rounds: u32,
    /// How a site trains.
    pub local: LocalOptions,
    /// The longest update a site may give, C of the protocol.
    pub clip_radius: f64,
    /// Fixes the first model and the order of samples at every site.
    pub seed: u64,
}

impl Default for Options {
    /// 32 hidden units, 20 rounds, seed 1, and a radius that few updates of the LIDC demo reach.
    fn default() -> Self {
        Self { hidden: 32, rounds: 20, local: LocalOptions::default(), clip_radius: 1.0, seed: 1 }
    }
}

impl Options {
    /// The model that round 0 starts from.
    pub fn initial(&self, data: &DataSet) -> Result<Parameters, TrainingError> {
        Ok(Parameters::initial(Shape::new(data.features, self.hidden, data.classes)?, self.seed))
    }

    /// What one site gives in one round, before clipping: what it learned from its own samples.
    pub fn update(&self, global: &Parameters, own: &Samples, site: u64, round: u64) -> Result<Parameters, TrainingError> {
        let turn = Turn { seed: self.seed, site, round };
        train_local(global, own, &self.local, turn)?.delta(global)
    }
}

/// One round of [`plain_run`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlainRound {
    /// Counted from 0.
    pub round: u32,
    /// The global model after the round, judged by the test rows.
    pub metrics: Metrics,
    /// Updates that were longer than the radius.
    pub clipped: usize,
    /// The norm of the longest update.
    pub longest: f64,
}

/// The same training without any protection: every update is there to be seen.
///
/// Returns the last model; `on_round` is told of each round as it ends.
pub fn plain_run(
    data: &DataSet,
    sites: &[Samples],
    options: &Options,
    mut on_round: impl FnMut(&PlainRound),
) -> Result<Parameters, TrainingError> {
    let mut global = options.initial(data)?;
    for round in 0..options.rounds {
        let mut updates = Vec::with_capacity(sites.len());
        for (site, own) in (0..).zip(sites) {
            updates.push((site_weight(own.len()), options.update(&global, own, site, u64::from(round))?));
        }
        global = global.plus(&weighted_mean(&updates, options.clip_radius)?)?;
        let norms = || updates.iter().map(|(_, update)| norm(update.values()));
        on_round(&PlainRound {
            round,
            metrics: evaluate(&global, &data.test)?,
            clipped: norms().filter(|norm| *norm > options.clip_radius).count(),
            longest: norms().fold(0.0, f64::max),
        });
    }
    Ok(global)
}

/// Every site alone: as many passes over its own samples as in the federated run, no exchange. The mean over the sites
/// of what the test rows say.
pub fn alone(data: &DataSet, sites: &[Samples], options: &Options) -> Result<Metrics, TrainingError> {
    let mut mean = Metrics::default();
    for (site, own) in (0..).zip(sites) {
        let mut model = options.initial(data)?;
        for round in 0..u64::from(options.rounds) {
            model = train_local(&model, own, &options.local, Turn { seed: options.seed, site, round })?;
        }
        let metrics = evaluate(&model, &data.test)?;
        mean.accuracy += metrics.accuracy / sites.len() as f64;
        mean.auc += metrics.auc / sites.len() as f64;
    }
    if sites.is_empty() { Err(TrainingError::NoSites) } else { Ok(mean) }
}

fn check_radius(radius: f64) -> Result<(), TrainingError> {
    if radius.is_finite() && radius > 0.0 {
        return Ok(());
    }
    Err(TrainingError::Option { name: "clip radius", value: radius, must: "a positive number" })
}
