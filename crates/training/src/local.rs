//! What a site does in a round: train the global model on its own samples.

use candle_core::{Device, Tensor, Var};
use candle_nn::{Optimizer, SGD, loss};

use crate::dataset::Samples;
use crate::error::TrainingError;
use crate::model::{Parameters, Shape};
use crate::random::{Purpose, Stream};

/// Rows a forward pass takes when no gradient is needed: few enough for matrix products to stay on one thread.
const EVALUATED_TOGETHER: usize = 16;

/// How a site trains. Part of a study: all sites use the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LocalOptions {
    /// Passes over the site's samples a round.
    pub epochs: u32,
    /// Samples a step; the last step of a pass may have fewer.
    pub batch: usize,
    /// Step length of the gradient descent.
    pub learning_rate: f64,
}

impl Default for LocalOptions {
    /// Found on the LIDC nodules with 10, 100 and 300 sites; see the crate's `plain_run` example to try others.
    fn default() -> Self {
        Self { epochs: 2, batch: 8, learning_rate: 0.1 }
    }
}

/// Whose turn it is; fixes the order of samples, so that a run does not depend on which site trains first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The seed of the run.
    pub seed: u64,
    /// Number of the site.
    pub site: u64,
    /// Number of the round.
    pub round: u64,
}

/// Trains a copy of `global` by stochastic gradient descent on the cross entropy; the same arguments give the same model.
pub fn train_local(
    global: &Parameters,
    samples: &Samples,
    options: &LocalOptions,
    turn: Turn,
) -> Result<Parameters, TrainingError> {
    check_options(options)?;
    check_samples(global.shape(), samples)?;
    let network = Network::new(global)?;
    let mut descent = SGD::new(network.layers.to_vec(), options.learning_rate)?;
    let mut stream = Stream::new(Purpose::Local, turn.seed, turn.site, turn.round);
    let mut order: Vec<usize> = (0..samples.len()).collect();
    for _ in 0..options.epochs {
        stream.shuffle(&mut order);
        for batch in order.chunks(options.batch) {
            let labels: Vec<u32> = batch.iter().map(|row| u32::from(samples.labels()[*row])).collect();
            let labels = Tensor::from_vec(labels, batch.len(), &Device::Cpu)?;
            let logits = network.logits(&rows(samples, batch)?)?;
            descent.backward_step(&loss::cross_entropy(&logits, &labels)?)?;
        }
    }
    network.parameters()
}

/// The logits of every row, row by row.
pub(crate) fn logits(model: &Parameters, samples: &Samples) -> Result<Vec<Vec<f32>>, TrainingError> {
    check_samples(model.shape(), samples)?;
    let network = Network::new(model)?;
    let order: Vec<usize> = (0..samples.len()).collect();
    let mut all = Vec::with_capacity(samples.len());
    for batch in order.chunks(EVALUATED_TOGETHER) {
        all.extend(network.logits(&rows(samples, batch)?)?.detach().to_vec2::<f32>()?);
    }
    Ok(all)
}

/// The model as candle variables, in the order of [`Shape::tensors`].
struct Network {
    shape: Shape,
    layers: [Var; 4],
}

impl Network {
    fn new(model: &Parameters) -> Result<Self, TrainingError> {
        let mut rest = model.values();
        let mut next = |sides: Vec<usize>| {
            let (own, after) = rest.split_at(sides.iter().product());
            rest = after;
            Var::from_slice(own, sides, &Device::Cpu)
        };
        let [(_, a), (_, b), (_, c), (_, d)] = model.shape().tensors();
        Ok(Self { shape: model.shape(), layers: [next(a)?, next(b)?, next(c)?, next(d)?] })
    }

    fn logits(&self, features: &Tensor) -> Result<Tensor, TrainingError> {
        let [hidden, hidden_bias, output, output_bias] = &self.layers;
        let hidden = features.matmul(&hidden.t()?)?.broadcast_add(hidden_bias)?.relu()?;
        Ok(hidden.matmul(&output.t()?)?.broadcast_add(output_bias)?)
    }

    fn parameters(&self) -> Result<Parameters, TrainingError> {
        let mut values = Vec::with_capacity(self.shape.parameters());
        for layer in &self.layers {
            values.extend(layer.flatten_all()?.to_vec1::<f32>()?);
        }
        Parameters::from_values(self.shape, values)
    }
}

fn rows(samples: &Samples, batch: &[usize]) -> Result<Tensor, TrainingError> {
    let values: Vec<f32> = batch.iter().flat_map(|row| samples.row(*row)).collect();
    Ok(Tensor::from_vec(values, (batch.len(), samples.width()), &Device::Cpu)?)
}

fn check_samples(model: Shape, samples: &Samples) -> Result<(), TrainingError> {
    let (features, label) = (samples.width(), samples.labels().iter().max().copied().unwrap_or_default());
    if features == model.features() && usize::from(label) < model.classes() {
        Ok(())
    } else {
        Err(TrainingError::Samples { features, label, model })
    }
}

fn check_options(options: &LocalOptions) -> Result<(), TrainingError> {
    let wrong = |name, value, must| Err(TrainingError::Option { name, value, must });
    if options.batch == 0 {
        return wrong("batch", 0.0, "at least 1");
    }
    if !(options.learning_rate.is_finite() && options.learning_rate > 0.0) {
        return wrong("learning rate", options.learning_rate, "a positive number");
    }
    Ok(())
}
