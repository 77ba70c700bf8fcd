//! The demo's data files: what is read is what the file holds, row by row.

use crate::parts::Parts;
use consilium_training::dataset::{DataSet, Samples};
use std::io::Cursor;
use std::path::Path;

const GZIP: [u8; 2] = [0x1f, 0x8b];

pub(crate) fn idx(data: &[u8]) {
    let mut parts = Parts::new(data);
    let with_patients = parts.byte() % 2 == 1;
    let (images, labels, of) = (parts.sized(), parts.sized(), parts.sized());
    let file = |bytes| (Path::new("file"), bytes);
    let Ok(samples) = Samples::from_idx(file(images), file(labels), with_patients.then_some(file(of))) else { return };
    assert_eq!(samples.patients().map(<[u32]>::len), with_patients.then_some(samples.len()));
    let intensities = check(&samples);
    if !images.starts_with(&GZIP) {
        let header = 4 + 4 * usize::from(images[3]);
        assert_eq!(images[header..], intensities, "the file's values and nothing else");
    }
    if !labels.starts_with(&GZIP) {
        assert_eq!(labels[labels.len() - samples.len()..], *samples.labels());
    }
}

pub(crate) fn npz(data: &[u8]) {
    let Ok(set) = DataSet::from_npz(Path::new("set.npz"), Cursor::new(data)) else { return };
    assert_eq!(set.name, "set");
    for samples in [&set.train, &set.test] {
        assert_eq!(samples.width(), set.features);
        assert!(samples.labels().iter().all(|label| usize::from(*label) < set.classes));
        check(samples);
    }
}

/// The bytes of all rows, each of the table's width.
fn check(samples: &Samples) -> Vec<u8> {
    assert!(!samples.is_empty() && samples.width() > 0);
    let byte = |value: f32| (value * 255.0).round() as u8;
    let rows: Vec<u8> = (0..samples.len()).flat_map(|row| samples.row(row).map(byte).collect::<Vec<_>>()).collect();
    assert_eq!(rows.len(), samples.len() * samples.width());
    assert_eq!(samples.row(samples.len()).count(), 0);
    rows
}
