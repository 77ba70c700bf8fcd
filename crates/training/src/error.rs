//! What can go wrong while a model is trained or judged.

use thiserror::Error;

use crate::model::{MOST_PARAMETERS, Shape};

/// Why a model could not be made, read, trained or judged.
#[derive(Debug, Error)]
pub enum TrainingError {
    /// A layer is empty or the model too large.
    #[error(
        "no model of {features} features, {hidden} hidden units and {classes} classes: at least 1, 1 and 2 are needed, \
         and at most {MOST_PARAMETERS} parameters; change --hidden or the data"
    )]
    Shape {
        /// Features a sample.
        features: usize,
        /// Hidden units.
        hidden: usize,
        /// Classes.
        classes: usize,
    },
    /// Two models cannot be compared.
    #[error("models differ in shape: {left:?} and {right:?}; use models of one study")]
    Shapes {
        /// One of them.
        left: Shape,
        /// The other.
        right: Shape,
    },
    /// A flat vector has the wrong length.
    #[error("{found} parameters, the model has {wanted}; use an update of this model")]
    Length {
        /// Parameters of the model.
        wanted: usize,
        /// Length of the vector.
        found: usize,
    },
    /// Training diverged, or the numbers came from elsewhere and are no numbers.
    #[error("parameter {position} is not a finite number; lower the learning rate or discard this update")]
    NotFinite {
        /// Position in the flat vector.
        position: usize,
    },
    /// A safetensors file has a tensor that the model has not.
    #[error("tensor {name:?} is not part of the model; the file must hold exactly the model's tensors")]
    UnknownTensor {
        /// Its name.
        name: String,
    },
    /// A tensor has another type or shape.
    #[error("tensor {name} is {found}, not F32 {wanted:?}; use an update of this model")]
    Tensor {
        /// Its name.
        name: &'static str,
        /// Dimensions in the model.
        wanted: Vec<usize>,
        /// Type and dimensions in the file.
        found: String,
    },
    /// Not a safetensors file.
    #[error("no readable safetensors file ({0}); write it with safetensors.numpy.save_file or the like")]
    Safetensors(#[from] safetensors::SafeTensorError),
    /// The samples do not fit the model.
    #[error("samples have {features} features and labels up to {label}, the model {model:?}; use data of this study")]
    Samples {
        /// Features a sample.
        features: usize,
        /// The largest label.
        label: u8,
        /// The model.
        model: Shape,
    },
    /// Nothing to tell apart.
    #[error("all samples have the same label; AUC needs at least two classes")]
    OneClass,
    /// An option makes no sense.
    #[error("{name} is {value}; it must be {must}")]
    Option {
        /// The option.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What it must be.
        must: &'static str,
    },
    /// A round needs sites, and each a weight.
    #[error("no site with a weight took part; at least one is needed for a mean")]
    NoSites,
    /// The tensor library failed.
    #[error("tensor computation failed: {0}; this is a defect, please report it")]
    Backend(#[from] candle_core::Error),
}
