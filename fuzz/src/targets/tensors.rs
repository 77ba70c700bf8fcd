//! safetensors files: finite values in canonical order, no more of them than the file has bytes, and the same again after
//! writing.

use consilium_site::tensors::{MAX_NAME_BYTES, MAX_TENSORS, Tensors, apply_mean};

pub(crate) fn target(data: &[u8]) {
    let Ok(tensors) = Tensors::from_safetensors(data) else { return };
    let layout = tensors.layout();
    assert_eq!(layout.dimension(), tensors.values().len());
    assert!(2 * tensors.values().len() <= data.len(), "values from nowhere");
    assert!(tensors.values().iter().all(|value| value.is_finite()));
    assert!(layout.tensors().len() <= MAX_TENSORS);
    assert!(layout.tensors().windows(2).all(|pair| pair[0].name.as_bytes() < pair[1].name.as_bytes()));
    assert!(layout.tensors().iter().all(|tensor| tensor.name.len() <= MAX_NAME_BYTES));
    reads_back(&tensors);
}

fn reads_back(tensors: &Tensors) {
    let shapes = |tensors: &Tensors| -> Vec<(String, Vec<usize>)> {
        tensors.layout().tensors().iter().map(|tensor| (tensor.name.clone(), tensor.shape.clone())).collect()
    };
    let exact = tensors.layout().safetensors_of(tensors.values()).expect("what was read can be written");
    let again = Tensors::from_safetensors(&exact).expect("and read again");
    assert_eq!(shapes(&again), shapes(tensors));
    assert!(again.values().iter().zip(tensors.values()).all(|(a, b)| a.to_bits() == b.to_bits()));

    // Rounding to binary32 may leave its range: then there is no next model either.
    // Minus zero is the mean that changes no value, not even minus zero.
    let nothing = vec![-0.0; tensors.values().len()];
    let Ok(model) = apply_mean(tensors, &nothing) else { return };
    let file = model.to_safetensors().expect("a model can be written");
    let back = Tensors::from_safetensors(&file).expect("and read again");
    assert_eq!((back.model_digest(), &back), (tensors.model_digest(), &model));
}
