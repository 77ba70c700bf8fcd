//! Dividing rows among sites: nothing lost, nobody empty, no patient at two sites, labels as skewed as asked.

use std::collections::BTreeMap;

use consilium_training::dataset::{DataSet, Samples};
use consilium_training::partition::{PartitionError, split};
use proptest::prelude::*;

/// Rows that carry their own number, so that a partition can be traced.
fn numbered(labels: Vec<u8>, patients: Option<Vec<u32>>) -> Samples {
    let width = 2;
    let rows = (0..labels.len()).flat_map(|row| (row as u16).to_be_bytes()).collect();
    Samples::new(width, rows, labels, patients).expect("columns of one length")
}

fn row_numbers(site: &Samples) -> Vec<usize> {
    let number = |row| site.row(row).fold(0, |sum, byte| sum * 256 + (byte * 255.0).round() as usize);
    (0..site.len()).map(number).collect()
}

fn check(samples: &Samples, sites: &[Samples]) {
    let mut rows: Vec<usize> = sites.iter().flat_map(row_numbers).collect();
    rows.sort_unstable();
    assert_eq!(rows, (0..samples.len()).collect::<Vec<_>>(), "each row is at exactly one site");
    let mut home: BTreeMap<u32, usize> = BTreeMap::new();
    for (number, site) in sites.iter().enumerate() {
        assert!(!site.is_empty(), "site {number} has nothing");
        for (at, row) in row_numbers(site).into_iter().enumerate() {
            assert_eq!(site.labels()[at], samples.labels()[row], "labels stay with their rows");
        }
        for patient in site.patients().unwrap_or_default() {
            assert_eq!(*home.entry(*patient).or_insert(number), number, "patient {patient} is at two sites");
        }
    }
}

proptest! {
    #[test]
    fn any_partition_is_whole(rows in prop::collection::vec((0..5u8, 0..40u32), 1..300), sites in 1..60usize,
                              tenths in -30..=60i32, seed in any::<u64>(), known in any::<bool>()) {
        let (labels, patients): (Vec<u8>, Vec<u32>) = rows.into_iter().unzip();
        let samples = numbered(labels, known.then_some(patients.clone()));
        let mut distinct = patients;
        distinct.sort_unstable();
        distinct.dedup();
        let patients = if known { distinct.len() } else { samples.len() };
        match split(&samples, sites, 10f64.powf(f64::from(tenths) / 10.0), seed) {
            Ok(parts) => {
                prop_assert!(sites <= patients);
                prop_assert_eq!(parts.len(), sites);
                check(&samples, &parts);
            }
            Err(error) => {
                prop_assert!(sites > patients);
                prop_assert_eq!(error, PartitionError::Sites { sites, patients });
            }
        }
    }
}

#[test]
fn lidc_goes_to_10_100_and_300_sites() -> Result<(), Box<dyn std::error::Error>> {
    let train = DataSet::lidc()?.train;
    let traced = numbered(train.labels().to_vec(), train.patients().map(<[u32]>::to_vec));
    for sites in [10, 100, 300] {
        for alpha in [0.001, 0.1, 0.5, 100.0, 1e6] {
            let parts = split(&traced, sites, alpha, 1)?;
            assert_eq!(parts.len(), sites);
            check(&traced, &parts);
        }
    }
    Ok(())
}

#[test]
fn the_seed_decides() -> Result<(), Box<dyn std::error::Error>> {
    let train = DataSet::lidc()?.train;
    assert_eq!(split(&train, 100, 0.5, 1)?, split(&train, 100, 0.5, 1)?);
    assert_ne!(split(&train, 100, 0.5, 1)?, split(&train, 100, 0.5, 2)?);
    Ok(())
}

/// The mean over the sites, weighted by rows, of how far the share of label 1 is from that of all rows.
fn skew(sites: &[Samples]) -> f64 {
    let ones = |site: &Samples| site.labels().iter().filter(|label| **label == 1).count() as f64;
    let rows: f64 = sites.iter().map(|site| site.len() as f64).sum();
    let share = sites.iter().map(ones).sum::<f64>() / rows;
    sites.iter().map(|site| (ones(site) - share * site.len() as f64).abs()).sum::<f64>() / rows
}

#[test]
fn small_alpha_is_skewed_and_large_alpha_even() -> Result<(), Box<dyn std::error::Error>> {
    let train = DataSet::lidc()?.train;
    let at = |alpha| split(&train, 10, alpha, 1).map(|sites| skew(&sites));
    let (strong, middle, even) = (at(0.1)?, at(0.5)?, at(1000.0)?);
    assert!(strong > middle && middle > even, "{strong} {middle} {even}");
    assert!(strong > 0.3 && even < 0.08, "{strong} {even}");
    Ok(())
}

#[test]
fn what_cannot_be_divided_is_refused() {
    let samples = numbered(vec![0, 1, 0], Some(vec![5, 5, 6]));
    assert_eq!(split(&samples, 3, 0.5, 1), Err(PartitionError::Sites { sites: 3, patients: 2 }));
    assert_eq!(split(&samples, 0, 0.5, 1), Err(PartitionError::Sites { sites: 0, patients: 2 }));
    for alpha in [0.0, -1.0, f64::INFINITY, 1e-9] {
        assert_eq!(split(&samples, 2, alpha, 1), Err(PartitionError::Alpha(alpha)));
    }
    assert!(matches!(split(&samples, 2, f64::NAN, 1), Err(PartitionError::Alpha(_))));
}
