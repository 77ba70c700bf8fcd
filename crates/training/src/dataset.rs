//! Data sets: rows of byte intensities with one class label a row, already divided into training and test rows.
//!
//! [`DataSet::lidc`] is compiled in, so that the demo needs no files. [`DataSet::open`] reads what a user brings:
//!
//! - a folder of IDX files, plain or gzipped: `train-images.idx3-ubyte.gz`, `train-labels.idx1-ubyte.gz`, the same with
//!   `test` (or `t10k`), and, if patients are known, `train-patients.csv.gz` and `test-patients.csv.gz` (a header line,
//!   then one number a row). MNIST's own names (`train-images-idx3-ubyte`) are read too, `val-*` files are not used;
//! - a MedMNIST `.npz` file with `train_images`, `train_labels`, `test_images`, `test_labels` as uint8.
//!
//! A row may have any number of dimensions: 28 x 28 grey and 28 x 28 x 3 colour are 784 and 2352 features.

mod error;
mod idx;
mod npz;

use std::io::{BufRead, Read, Seek};
use std::path::Path;

pub use error::{DataError, Problem};

/// The most bytes one array of a file may hold; every declared size is checked against it before anything is read.
pub const LARGEST_ARRAY: u64 = 512 << 20;

/// Rows of features with their labels and, where known, the patient each row is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Samples {
    width: usize,
    intensities: Vec<u8>,
    labels: Vec<u8>,
    patients: Option<Vec<u32>>,
}

impl Samples {
    /// Joins the columns of a sample table.
    ///
    /// `intensities` holds `width` bytes a row, 0 is feature value 0 and 255 is 1. Fails if the lengths do not agree or
    /// there is nothing in them.
    pub fn new(width: usize, intensities: Vec<u8>, labels: Vec<u8>, patients: Option<Vec<u32>>) -> Result<Self, Problem> {
        if width == 0 || labels.is_empty() {
            return Err(Problem::Empty);
        }
        let images = intensities.len() / width;
        if images != labels.len() || !intensities.len().is_multiple_of(width) {
            return Err(Problem::Rows { rows: images, labels: labels.len() });
        }
        if let Some(patients) = &patients
            && patients.len() != labels.len()
        {
            return Err(Problem::Patients { found: patients.len(), rows: labels.len() });
        }
        Ok(Self { width, intensities, labels, patients })
    }

    /// Reads one table from the content of its three files, plain or gzipped: images, labels, and patients if they are
    /// known. Each comes with its path, for messages.
    pub fn from_idx<R: BufRead>(images: (&Path, R), labels: (&Path, R), of: Option<(&Path, R)>) -> Result<Self, DataError> {
        idx::samples(images, labels, of)
    }

    /// Number of rows; never 0.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Always false: a sample table has at least one row.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Features a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The class of each row.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// The patient of each row, if the data say so.
    pub fn patients(&self) -> Option<&[u32]> {
        self.patients.as_deref()
    }

    /// The feature values of one row, each in 0..=1; nothing if there is no such row.
    pub fn row(&self, row: usize) -> impl Iterator<Item = f32> {
        let start = row.saturating_mul(self.width);
        let bytes = self.intensities.get(start..start.saturating_add(self.width)).unwrap_or_default();
        bytes.iter().map(|byte| f32::from(*byte) / 255.0)
    }

    /// The rows in the given order. The caller took the row numbers from this table.
    pub(crate) fn select(&self, rows: &[usize]) -> Self {
        let width = self.width;
        Self {
            width,
            intensities: rows.iter().flat_map(|row| &self.intensities[row * width..][..width]).copied().collect(),
            labels: rows.iter().map(|row| self.labels[*row]).collect(),
            patients: self.patients.as_ref().map(|patients| rows.iter().map(|row| patients[*row]).collect()),
        }
    }
}

/// Training and test rows of one classification task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataSet {
    /// What the data are called in reports.
    pub name: String,
    /// The rows that are divided among the sites.
    pub train: Samples,
    /// The rows every model is judged by; no site has them.
    pub test: Samples,
    /// Features a row.
    pub features: usize,
    /// Labels are `0..classes`.
    pub classes: usize,
}

impl DataSet {
    /// Joins training and test rows; they must have the same width and the test rows at least two classes.
    pub fn new(name: &str, train: Samples, test: Samples) -> Result<Self, Problem> {
        if train.width != test.width {
            return Err(Problem::Widths { train: train.width, test: test.width });
        }
        let first = test.labels[0];
        if test.labels.iter().all(|label| *label == first) {
            return Err(Problem::OneClass);
        }
        let largest = train.labels.iter().chain(&test.labels).max().copied().unwrap_or_default();
        let (features, classes) = (train.width, usize::from(largest) + 1);
        Ok(Self { name: name.to_owned(), train, test, features, classes })
    }

    /// The LIDC-IDRI lung nodules of `data/lidc_nodules`: 28 x 28 thickness maps, benign or malignant by the median
    /// rating of at least two radiologists, 986 training and 275 test rows, no patient in both.
    pub fn lidc() -> Result<Self, DataError> {
        idx::embedded(
            "LIDC nodules",
            [
                include_bytes!("../../../data/lidc_nodules/train-images.idx3-ubyte.gz"),
                include_bytes!("../../../data/lidc_nodules/train-labels.idx1-ubyte.gz"),
                include_bytes!("../../../data/lidc_nodules/train-patients.csv.gz"),
            ],
            [
                include_bytes!("../../../data/lidc_nodules/test-images.idx3-ubyte.gz"),
                include_bytes!("../../../data/lidc_nodules/test-labels.idx1-ubyte.gz"),
                include_bytes!("../../../data/lidc_nodules/test-patients.csv.gz"),
            ],
        )
    }

    /// Reads the content of a MedMNIST `.npz` file; `path` is for messages, and its stem names the data.
    pub fn from_npz(path: &Path, source: impl Read + Seek) -> Result<Self, DataError> {
        npz::archive(path, source)
    }

    /// Reads a folder of IDX files or a MedMNIST `.npz` file; see the top of this module for the names.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        if path.is_dir() {
            idx::folder(path)
        } else if !path.exists() {
            Err(Problem::Missing { wanted: "a folder of IDX files or a MedMNIST .npz file".to_owned() }.of(path))
        } else if path.extension().is_some_and(|end| end.eq_ignore_ascii_case("npz")) {
            npz::file(path)
        } else {
            Err(Problem::UnknownKind.of(path))
        }
    }
}

/// The name a report gives to data read from `path`.
fn name_of(path: &Path) -> String {
    path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
