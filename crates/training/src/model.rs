//! The network that the sites train: features - hidden (ReLU) - classes, and its parameters as named tensors.
//!
//! One order holds everywhere a parameter has a position: `hidden.weight` (hidden x features), `hidden.bias` (hidden),
//! `output.weight` (classes x hidden), `output.bias` (classes), each row by row. This is also the alphabet of an update:
//! the difference of two models is again a [`Parameters`].

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::error::TrainingError;
use crate::random::{Purpose, Stream};

/// The most parameters a model may have.
pub const MOST_PARAMETERS: usize = 1 << 26;

/// The sizes of the three layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    features: usize,
    hidden: usize,
    classes: usize,
}

impl Shape {
    /// Checks the sizes: at least one feature and hidden unit, two classes, at most [`MOST_PARAMETERS`] in all.
    pub fn new(features: usize, hidden: usize, classes: usize) -> Result<Self, TrainingError> {
        let shape = Self { features, hidden, classes };
        let few = features <= MOST_PARAMETERS && hidden <= MOST_PARAMETERS && classes <= MOST_PARAMETERS;
        let fits = few && hidden as u128 * (features + 1) as u128 + (classes * 2) as u128 * hidden as u128 <= 1 << 40;
        if features == 0 || hidden == 0 || classes < 2 || !fits || shape.parameters() > MOST_PARAMETERS {
            return Err(TrainingError::Shape { features, hidden, classes });
        }
        Ok(shape)
    }

    /// Features a sample.
    pub fn features(&self) -> usize {
        self.features
    }

    /// Units of the hidden layer.
    pub fn hidden(&self) -> usize {
        self.hidden
    }

    /// Classes told apart.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The number of parameters, d of the protocol.
    pub fn parameters(&self) -> usize {
        self.hidden * (self.features + 1) + self.classes * (self.hidden + 1)
    }

    /// Name and dimensions of each tensor, in the order of the flat vector.
    pub fn tensors(&self) -> [(&'static str, Vec<usize>); 4] {
        [
            ("hidden.weight", vec![self.hidden, self.features]),
            ("hidden.bias", vec![self.hidden]),
            ("output.weight", vec![self.classes, self.hidden]),
            ("output.bias", vec![self.classes]),
        ]
    }
}

/// The parameters of a model, or the difference of two models.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    shape: Shape,
    values: Vec<f32>,
}

impl Parameters {
    /// A model to start from: weights uniform within the square root of 6 / inputs (He et al., 2015), biases zero.
    pub fn initial(shape: Shape, seed: u64) -> Self {
        let mut stream = Stream::new(Purpose::Initial, seed, 0, 0);
        let mut values = Vec::with_capacity(shape.parameters());
        for (_, sides) in shape.tensors() {
            let count: usize = sides.iter().product();
            match sides.as_slice() {
                [_, inputs] => {
                    let bound = (6.0 / *inputs as f64).sqrt();
                    values.extend((0..count).map(|_| (bound * (2.0 * stream.uniform() - 1.0)) as f32));
                }
                _ => values.extend((0..count).map(|_| 0.0)),
            }
        }
        Self { shape, values }
    }

    /// Takes a flat vector in the order of [`Shape::tensors`]; fails on another length or a value that is not finite.
    pub fn from_values(shape: Shape, values: Vec<f32>) -> Result<Self, TrainingError> {
        let wanted = shape.parameters();
        if values.len() != wanted {
            return Err(TrainingError::Length { wanted, found: values.len() });
        }
        if let Some(position) = values.iter().position(|value| !value.is_finite()) {
            return Err(TrainingError::NotFinite { position });
        }
        Ok(Self { shape, values })
    }

    /// The sizes of the layers.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// All values in the order of [`Shape::tensors`].
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// What was learned: `self - from`, an update as a site contributes it.
    pub fn delta(&self, from: &Self) -> Result<Self, TrainingError> {
        self.same_shape(from.shape)?;
        let values = self.values.iter().zip(&from.values).map(|(new, old)| new - old).collect();
        Self::from_values(self.shape, values)
    }

    /// The next model: `self + update`, added in f64.
    pub fn plus(&self, update: &[f64]) -> Result<Self, TrainingError> {
        let wanted = self.values.len();
        if update.len() != wanted {
            return Err(TrainingError::Length { wanted, found: update.len() });
        }
        let values = self.values.iter().zip(update).map(|(old, change)| (f64::from(*old) + change) as f32).collect();
        Self::from_values(self.shape, values)
    }

    /// The tensors as a safetensors file, f32.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, TrainingError> {
        let bytes: Vec<u8> = self.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let mut views = Vec::new();
        let mut rest = bytes.as_slice();
        for (name, sides) in self.shape.tensors() {
            let (own, after) = rest.split_at(4 * sides.iter().product::<usize>());
            rest = after;
            views.push((name, TensorView::new(Dtype::F32, sides, own)?));
        }
        Ok(safetensors::serialize(views, None)?)
    }

    /// Reads a safetensors file that holds exactly the four f32 tensors of this shape.
    pub fn from_safetensors(shape: Shape, file: &[u8]) -> Result<Self, TrainingError> {
        let tensors = SafeTensors::deserialize(file)?;
        let wanted = shape.tensors();
        let mut names = tensors.names().into_iter();
        if let Some(other) = names.find(|name| wanted.iter().all(|(known, _)| known != name)) {
            return Err(TrainingError::UnknownTensor { name: (*other).to_owned() });
        }
        let mut values = Vec::with_capacity(shape.parameters());
        for (name, sides) in wanted {
            let tensor = tensors.tensor(name)?;
            if tensor.dtype() != Dtype::F32 || tensor.shape() != sides {
                let found = format!("{:?} {:?}", tensor.dtype(), tensor.shape());
                return Err(TrainingError::Tensor { name, wanted: sides, found });
            }
            let (words, _) = tensor.data().as_chunks::<4>();
            values.extend(words.iter().map(|word| f32::from_le_bytes(*word)));
        }
        Self::from_values(shape, values)
    }

    pub(crate) fn same_shape(&self, other: Shape) -> Result<(), TrainingError> {
        if self.shape == other { Ok(()) } else { Err(TrainingError::Shapes { left: self.shape, right: other }) }
    }
}
