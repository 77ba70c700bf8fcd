//! Reading data files: known bytes in, known samples out; damaged, oversized or random bytes give an error that names the
//! file and the remedy, never a panic and never more memory than the limit.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use consilium_training::dataset::{DataError, DataSet, LARGEST_ARRAY, Problem};
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use tempfile::{TempDir, tempdir};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn idx(shape: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, shape.len() as u8];
    bytes.extend(shape.iter().flat_map(|side| side.to_be_bytes()));
    bytes.extend(values);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory does not fail")
}

/// Three training rows of 2 x 2, two test rows.
fn folder() -> std::io::Result<TempDir> {
    let folder = tempdir()?;
    let put = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes);
    put("train-images.idx3-ubyte.gz", &gzip(&idx(&[3, 2, 2], &[0, 51, 102, 255, 1, 2, 3, 4, 5, 6, 7, 8])))?;
    put("train-labels.idx1-ubyte", &idx(&[3], &[0, 2, 1]))?;
    put("train-patients.csv.gz", &gzip(b"patient\n7\n7\n4000000000\n"))?;
    put("test-images.idx3-ubyte", &idx(&[2, 2, 2], &[9; 8]))?;
    put("test-labels.idx1-ubyte.gz", &gzip(&idx(&[2], &[1, 0])))?;
    Ok(folder)
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Replaces one file of the good folder and returns the error.
fn with(name: &str, bytes: &[u8]) -> Result<DataError, Box<dyn std::error::Error>> {
    let folder = folder()?;
    fs::write(folder.path().join(name), bytes)?;
    let error = DataSet::open(folder.path()).err().ok_or("a damaged folder was read")?;
    assert!(error.to_string().contains(name), "{error} does not name {name}");
    assert!(error.to_string().contains(';'), "{error} has no remedy");
    Ok(error)
}

#[test]
fn idx_folder_plain_and_gzipped() -> Outcome {
    let folder = folder()?;
    let data = DataSet::open(folder.path())?;
    assert_eq!((data.features, data.classes, data.train.len(), data.test.len()), (4, 3, 3, 2));
    assert_eq!(data.train.row(0).collect::<Vec<_>>(), [0.0, 0.2, 0.4, 1.0]);
    assert_eq!(data.train.row(3).count(), 0);
    assert_eq!(data.train.labels(), [0, 2, 1]);
    assert_eq!(data.train.patients(), Some([7, 7, 4_000_000_000].as_slice()));
    assert_eq!(data.test.patients(), None);
    Ok(())
}

#[test]
fn mnist_names_and_colour_are_read() -> Outcome {
    let folder = tempdir()?;
    let put = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes);
    put("train-images-idx4-ubyte", &idx(&[1, 2, 1, 3], &[1; 6]))?;
    put("train-labels-idx1-ubyte", &idx(&[1], &[0]))?;
    put("t10k-images-idx4-ubyte.gz", &gzip(&idx(&[2, 2, 1, 3], &[2; 12])))?;
    put("t10k-labels-idx1-ubyte.gz", &gzip(&idx(&[2], &[9, 0])))?;
    let data = DataSet::open(folder.path())?;
    assert_eq!((data.features, data.classes), (6, 10));
    Ok(())
}

#[test]
fn lidc_is_what_its_source_says() -> Outcome {
    let data = DataSet::lidc()?;
    assert_eq!((data.train.len(), data.test.len(), data.features, data.classes), (986, 275, 784, 2));
    let of = |label| [&data.train, &data.test].iter().flat_map(|s| s.labels()).filter(|l| **l == label).count();
    assert_eq!((of(0), of(1)), (769, 492));
    let (train, test) = (data.train.patients().ok_or("no patients")?, data.test.patients().ok_or("no patients")?);
    assert!(test.iter().all(|patient| patient % 5 == 0) && train.iter().all(|patient| patient % 5 != 0));
    Ok(())
}

#[test]
fn npz_compressed_and_stored() -> Outcome {
    let grey = DataSet::open(&fixture("grey.npz"))?;
    assert_eq!((grey.features, grey.classes, grey.train.len(), grey.test.len()), (20, 2, 6, 4));
    let first: Vec<f32> = (0..10u8).map(|value| f32::from(value) / 255.0).collect();
    assert_eq!(grey.train.row(0).take(10).collect::<Vec<_>>(), first);
    assert_eq!(grey.train.labels(), [0, 1, 0, 1, 0, 1]);
    let colour = DataSet::open(&fixture("colour_stored.npz"))?;
    assert_eq!((colour.name.as_str(), colour.features, colour.classes, colour.train.len()), ("colour_stored", 18, 5, 7));
    Ok(())
}

#[test]
fn npz_that_cannot_be_used_names_the_array() {
    let message = |name: &str| DataSet::open(&fixture(name)).map_err(|error| error.to_string()).err().unwrap_or_default();
    assert!(message("floats.npz").contains("floats.npz/train_images.npy: is no uint8 NumPy array"));
    assert!(message("fortran.npz").contains("fortran.npz/test_images.npy: is no uint8 NumPy array in C order"));
    assert!(message("several_labels.npz").contains("test_labels.npy: has shape [4, 14]"));
    assert!(message("no_test.npz").contains("no_test.npz/test_images.npy: not found; expected an archive with"));
    assert!(message("absent.npz").contains("not found; expected a folder of IDX files or a MedMNIST .npz"));
    assert!(message("make.py").contains("is no data set; give a folder"));
}

#[test]
fn damaged_idx_files_say_what_is_wrong() -> Outcome {
    let images = "train-images.idx3-ubyte.gz";
    let labels = "train-labels.idx1-ubyte";
    let whole = gzip(&idx(&[3, 2, 2], &[1; 12]));
    assert!(matches!(with(images, &whole[..whole.len() - 9])?.problem, Problem::Read(_)));
    assert!(matches!(with(images, b"")?.problem, Problem::Read(_)));
    let short = with(images, &idx(&[3, 2, 2], &[1; 11]))?.problem;
    assert!(matches!(short, Problem::Truncated { declared: 12, found: 11 }));
    assert!(matches!(with(images, &idx(&[3, 2, 2], &[1; 13]))?.problem, Problem::Trailing { declared: 12 }));
    assert!(matches!(with(images, b"\x00\x00\x0d\x01 floats")?.problem, Problem::NotIdx { found: [0, 0, 13, 1] }));
    assert!(matches!(with(images, &idx(&[12], &[1; 12]))?.problem, Problem::Shape { .. }));
    assert!(matches!(with(images, &idx(&[0, u32::MAX, u32::MAX, u32::MAX], &[]))?.problem, Problem::Empty));
    assert!(matches!(with(labels, &idx(&[2], &[0, 1]))?.problem, Problem::Rows { rows: 3, labels: 2 }));
    Ok(())
}

#[test]
fn a_header_cannot_make_the_reader_allocate() -> Outcome {
    let images = "train-images.idx3-ubyte.gz";
    let declared = with(images, &gzip(&idx(&[u32::MAX; 4], &[])))?.problem;
    assert!(matches!(declared, Problem::TooLarge { declared: u64::MAX }));
    let most = LARGEST_ARRAY as u32;
    assert!(matches!(with(images, &idx(&[most, 1], &[1; 5]))?.problem, Problem::Truncated { found: 5, .. }));
    Ok(())
}

#[test]
fn a_gzip_bomb_stops_at_what_the_header_declares() -> Outcome {
    let bomb = gzip(&idx(&[3, 2, 2], &vec![0; 64 << 20]));
    assert!(bomb.len() < 1 << 20);
    assert!(matches!(with("train-images.idx3-ubyte.gz", &bomb)?.problem, Problem::Trailing { declared: 12 }));
    let lines = gzip("1\n".repeat(8 << 20).as_bytes());
    assert!(matches!(with("train-patients.csv.gz", &lines)?.problem, Problem::Patients { rows: 3, .. }));
    Ok(())
}

#[test]
fn patients_must_be_numbers_one_a_row() -> Outcome {
    let name = "train-patients.csv.gz";
    assert!(matches!(with(name, b"patient\n1\n2\n")?.problem, Problem::Patients { found: 2, rows: 3 }));
    assert!(matches!(with(name, b"patient\n1\nx\n3\n")?.problem, Problem::PatientNumber { line: 3 }));
    assert!(matches!(with(name, b"patient\n1\n-2\n3\n")?.problem, Problem::PatientNumber { line: 3 }));
    assert!(matches!(with(name, &[0xff; 20])?.problem, Problem::Read(_)));
    Ok(())
}

#[test]
fn tables_that_do_not_belong_together_are_refused() -> Outcome {
    let folder = folder()?;
    fs::write(folder.path().join("test-images.idx3-ubyte"), idx(&[2, 3, 3], &[9; 18]))?;
    let widths = DataSet::open(folder.path()).map_err(|error| error.problem);
    assert!(matches!(widths, Err(Problem::Widths { train: 4, test: 9 })));
    let folder = self::folder()?;
    fs::write(folder.path().join("test-labels.idx1-ubyte.gz"), idx(&[2], &[1, 1]))?;
    assert!(matches!(DataSet::open(folder.path()).map_err(|error| error.problem), Err(Problem::OneClass)));
    fs::remove_file(folder.path().join("train-labels.idx1-ubyte"))?;
    let missing = DataSet::open(folder.path()).map_err(|error| error.to_string()).err().unwrap_or_default();
    assert!(missing.contains("not found; expected train-labels.idx1-ubyte.gz or the same unpacked"), "{missing}");
    Ok(())
}

proptest! {
    #[test]
    fn random_idx_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), real in any::<bool>()) {
        let folder = folder()?;
        let mut file = if real { vec![0, 0, 8, 1 + bytes.first().unwrap_or(&0) % 4] } else { Vec::new() };
        file.extend(bytes);
        fs::write(folder.path().join("train-images.idx3-ubyte.gz"), file)?;
        let _ = DataSet::open(folder.path());
    }

    #[test]
    fn a_damaged_npz_never_panics(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
                                  keep in any::<prop::sample::Index>(), cut in any::<bool>(), stored in any::<bool>()) {
        let mut bytes = fs::read(fixture(if stored { "colour_stored.npz" } else { "grey.npz" }))?;
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if cut {
            bytes.truncate(keep.index(bytes.len()));
        }
        let folder = tempdir()?;
        let path = folder.path().join("damaged.npz");
        fs::write(&path, bytes)?;
        let _ = DataSet::open(&path);
    }
}
