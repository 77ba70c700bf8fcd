//! What a study names on the chain: program, parameters and the finality rule.

use crate::parts::Parts;
use consilium_core::contribution::Shape;
use consilium_core::params::{Committee, Finality};
use consilium_core::program::{self, OneHot, WeightedMean};

pub(crate) fn target(data: &[u8]) {
    let mut parts = Parts::new(data);
    let name = match parts.byte() % 4 {
        0 => WeightedMean::NAME.to_owned(),
        1 => OneHot::NAME.to_owned(),
        2 => String::from_utf8_lossy(parts.sized()).into_owned(),
        _ => return finality(parts.rest()),
    };
    let parameters = parts.rest();
    let Ok(program) = program::parse(&name, parameters) else { return };
    assert_eq!((program.name(), program.parameters().as_slice()), (name.as_str(), parameters));
    assert!((program.dimension()..=program.dimension() + 1).contains(&program.output_len()));
    let _ = program.check_production();
    let shape = Shape::new(&Committee::new(13, 3).expect("the largest recommended"), &*program);
    assert_eq!(shape.values_len(), 8 * program.dimension());
    assert!(shape.max_header_len() > 8 * program.witness_len());
}

fn finality(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Ok(rule) = text.parse::<Finality>() else { return };
    assert_eq!(rule.to_string(), text, "a rule has one form");
}
