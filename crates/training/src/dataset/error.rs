//! What can be wrong with a data file, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::LARGEST_ARRAY;

/// A data set that could not be read: which file, and why.
#[derive(Debug, Error)]
#[error("{}: {problem}", file.display())]
pub struct DataError {
    /// The file, `archive.npz/array.npy` for an array in an archive.
    pub file: PathBuf,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a data file. Each message ends with the remedy.
#[derive(Debug, Error)]
pub enum Problem {
    /// The system could not read it, or a compressed stream is damaged.
    #[error("cannot be read ({0}); check that the file exists, may be read and was copied whole")]
    Read(#[from] io::Error),
    /// There is no such file.
    #[error("not found; expected {wanted}")]
    Missing {
        /// The names that were looked for.
        wanted: String,
    },
    /// Neither a folder nor an `.npz` file.
    #[error("is no data set; give a folder of IDX files or a MedMNIST .npz file")]
    UnknownKind,
    /// Not an IDX file of unsigned bytes.
    #[error(
        "is no IDX file of unsigned bytes (starts with {found:02x?}, not with 00 00 08 and 1 to 4 dimensions); \
         write it in MNIST's format"
    )]
    NotIdx {
        /// The first four bytes.
        found: [u8; 4],
    },
    /// Not a NumPy array of unsigned bytes in C order.
    #[error(
        "is no uint8 NumPy array in C order; write it with numpy.ascontiguousarray(a, dtype=numpy.uint8) \
         and numpy.savez_compressed"
    )]
    NotNumpy,
    /// Not a zip archive, or one that this reader cannot open.
    #[error("is no readable .npz archive ({0}); write it with numpy.savez or numpy.savez_compressed")]
    Archive(#[from] zip::result::ZipError),
    /// The declared size is over the limit.
    #[error(
        "declares {declared} values, the limit is {limit}; use fewer or smaller rows",
        limit = LARGEST_ARRAY
    )]
    TooLarge {
        /// The product of the dimensions, saturated.
        declared: u64,
    },
    /// The file ends too early.
    #[error("ends after {found} of {declared} values; copy or download it again")]
    Truncated {
        /// What the header says.
        declared: u64,
        /// What is there.
        found: u64,
    },
    /// The file goes on after its last value.
    #[error("goes on after the {declared} values that its header declares; copy or download it again")]
    Trailing {
        /// What the header says.
        declared: u64,
    },
    /// An array has the wrong number of dimensions.
    #[error("has shape {shape:?}; images need one row a sample, labels one value a sample (several a row are not supported)")]
    Shape {
        /// The dimensions.
        shape: Vec<u64>,
    },
    /// Nothing in it.
    #[error("has no samples; at least one row with one feature is needed")]
    Empty,
    /// Images and labels do not belong together.
    #[error("{rows} images but {labels} labels; both files must describe the same rows")]
    Rows {
        /// Rows of images.
        rows: usize,
        /// Labels.
        labels: usize,
    },
    /// A patient list does not belong to the rows.
    #[error("{found} patient numbers for {rows} rows; the file needs a header line and one number a row")]
    Patients {
        /// Numbers found.
        found: usize,
        /// Rows they are for.
        rows: usize,
    },
    /// A line of a patient list is no number.
    #[error("line {line} is no patient number; the file needs a header line and one number in 0..2^32 a row")]
    PatientNumber {
        /// Counted from 1, the header is line 1.
        line: usize,
    },
    /// Training and test rows differ in width.
    #[error("training rows have {train} features, test rows {test}; both must be made in the same way")]
    Widths {
        /// Features of a training row.
        train: usize,
        /// Features of a test row.
        test: usize,
    },
    /// Nothing to tell apart.
    #[error("all test rows have the same label; accuracy and AUC need at least two classes")]
    OneClass,
}

impl Problem {
    /// Names the file that has the problem.
    pub(super) fn of(self, file: &Path) -> DataError {
        DataError { file: file.to_owned(), problem: self }
    }
}
