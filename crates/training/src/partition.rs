//! Dividing training rows among sites the way hospitals differ: skewed labels, whole patients.
//!
//! 1. Rows are put together into patients; a row without a patient number is a patient of its own. A patient's class is
//!    the most frequent label of its rows, the lower one in a tie.
//! 2. For each class, shares over the sites are drawn from the symmetric Dirichlet distribution: at alpha 0.1 most of a
//!    class is at a few sites, at 100 all sites are alike. The class's patients, shuffled, are laid end to end by their
//!    number of rows, and each goes to the site in whose share its middle falls (Hsu, Qi and Brown, 2019, by patient).
//! 3. A site that got nothing takes one patient from the site that then has the most patients. Thus every site has at
//!    least one row as long as there are as many patients as sites.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::dataset::Samples;
use crate::random::{Purpose, Stream};

/// Why rows cannot be divided as asked.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub enum PartitionError {
    /// Sites must have at least one patient each.
    #[error("cannot divide {patients} patients among {sites} sites; choose between 1 and {patients} sites")]
    Sites {
        /// Sites asked for.
        sites: usize,
        /// Patients, or rows where patients are unknown.
        patients: usize,
    },
    /// The Dirichlet parameter is out of range.
    #[error("alpha {0} is not between 0.001 and 1000000; 0.5 is skewed, 100 is even")]
    Alpha(f64),
}

type Patient = Vec<usize>;

/// Divides `samples` among `sites` sites; the same seed gives the same sites.
///
/// Each row is at exactly one site, all rows of a patient at the same one, no site is empty. Rows keep their order.
pub fn split(samples: &Samples, sites: usize, alpha: f64, seed: u64) -> Result<Vec<Samples>, PartitionError> {
    if !(1e-3..=1e6).contains(&alpha) {
        return Err(PartitionError::Alpha(alpha));
    }
    let patients = patients(samples);
    if sites == 0 || sites > patients.len() {
        return Err(PartitionError::Sites { sites, patients: patients.len() });
    }
    let mut stream = Stream::new(Purpose::Partition, seed, 0, 0);
    let mut at: Vec<Vec<Patient>> = vec![Vec::new(); sites];
    for mut class in by_class(patients, samples.labels()).into_values() {
        let shares = stream.dirichlet(alpha, sites);
        stream.shuffle(&mut class);
        deal(class, &shares, &mut at);
    }
    fill_empty(&mut at);
    Ok(at.into_iter().map(|patients| rows_of(samples, &patients)).collect())
}

fn patients(samples: &Samples) -> Vec<Patient> {
    let Some(numbers) = samples.patients() else {
        return (0..samples.len()).map(|row| vec![row]).collect();
    };
    let mut patients: BTreeMap<u32, Patient> = BTreeMap::new();
    for (row, number) in numbers.iter().enumerate() {
        patients.entry(*number).or_default().push(row);
    }
    patients.into_values().collect()
}

fn by_class(patients: Vec<Patient>, labels: &[u8]) -> BTreeMap<u8, Vec<Patient>> {
    let mut classes: BTreeMap<u8, Vec<Patient>> = BTreeMap::new();
    for patient in patients {
        let mut counts: BTreeMap<u8, usize> = BTreeMap::new();
        for row in &patient {
            *counts.entry(labels[*row]).or_default() += 1;
        }
        let class = counts.iter().rev().max_by_key(|(_, count)| **count).map_or(0, |(label, _)| *label);
        classes.entry(class).or_default().push(patient);
    }
    classes
}

/// Gives each patient of one class to the site in whose share its middle falls.
fn deal(class: Vec<Patient>, shares: &[f64], at: &mut [Vec<Patient>]) {
    let total: usize = class.iter().map(Vec::len).sum();
    let ends: Vec<f64> = shares
        .iter()
        .scan(0.0, |end, share| {
            *end += share * total as f64;
            Some(*end)
        })
        .collect();
    let mut dealt = 0;
    for patient in class {
        let middle = dealt as f64 + patient.len() as f64 / 2.0;
        dealt += patient.len();
        // Rounding may leave the last end a little below the total.
        let site = ends.partition_point(|end| *end <= middle).min(at.len() - 1);
        at[site].push(patient);
    }
}

fn fill_empty(at: &mut [Vec<Patient>]) {
    for empty in 0..at.len() {
        if at[empty].is_empty() {
            // As there are at least as many patients as sites, the fullest site has two or more while one has none.
            let fullest = (0..at.len()).rev().max_by_key(|site| at[*site].len()).unwrap_or(empty);
            let moved = at[fullest].pop();
            at[empty].extend(moved);
        }
    }
}

fn rows_of(samples: &Samples, patients: &[Patient]) -> Samples {
    let mut rows = patients.concat();
    rows.sort_unstable();
    samples.select(&rows)
}
