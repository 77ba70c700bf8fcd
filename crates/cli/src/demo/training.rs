//! Between the trainer's parameters and the site's named tensors.

use crate::failure::Failure;
use consilium_site::tensors::Tensors;
use consilium_training::model::{Parameters, Shape};

/// The trainer's parameters as named tensors.
pub(super) fn tensors(parameters: &Parameters) -> Result<Tensors, Failure> {
    Tensors::from_safetensors(&parameters.to_safetensors().map_err(Failure::failed)?).map_err(Failure::failed)
}

/// Named tensors as the trainer's parameters.
pub(super) fn parameters(shape: Shape, tensors: &Tensors) -> Result<Parameters, Failure> {
    Parameters::from_safetensors(shape, &tensors.to_safetensors().map_err(Failure::failed)?).map_err(Failure::failed)
}

/// For each coordinate of the canonical order (tensors sorted by name), its place in the trainer's order.
pub(super) fn canonical_places(shape: Shape) -> Vec<usize> {
    let mut start = 0;
    let mut ranges = Vec::new();
    for (name, sides) in shape.tensors() {
        let length: usize = sides.iter().product();
        ranges.push((name, start..start + length));
        start += length;
    }
    ranges.sort_by_key(|(name, _)| *name);
    ranges.into_iter().flat_map(|(_, range)| range).collect()
}

/// The largest deviation of the settled mean (canonical order) from the plain one (trainer's order).
pub(super) fn largest_deviation(settled: &[f64], plain: &[f64], places: &[usize]) -> f64 {
    settled.iter().zip(places).map(|(value, place)| (value - plain[*place]).abs()).fold(0.0, f64::max)
}
