//! IDX files, the format of MNIST: two zero bytes, the type (8 is unsigned byte), the number of dimensions, each
//! dimension as a big-endian u32, then the values; nothing after them.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::{DataError, DataSet, LARGEST_ARRAY, Problem, Samples, name_of};

/// An array of bytes as a file declares it.
pub(super) struct Array {
    pub(super) shape: Vec<u64>,
    pub(super) values: Vec<u8>,
}

impl Array {
    /// Reads exactly the values that `shape` declares and makes sure that nothing follows.
    ///
    /// Memory grows with what is really there, never with what is declared, and never beyond [`LARGEST_ARRAY`].
    pub(super) fn read(shape: Vec<u64>, source: impl Read) -> Result<Self, Problem> {
        let declared = shape.iter().fold(1u64, |product, side| product.saturating_mul(*side));
        if declared > LARGEST_ARRAY {
            return Err(Problem::TooLarge { declared });
        }
        let mut values = Vec::new();
        source.take(declared + 1).read_to_end(&mut values)?;
        let found = values.len() as u64;
        match found.cmp(&declared) {
            std::cmp::Ordering::Less => Err(Problem::Truncated { declared, found }),
            std::cmp::Ordering::Equal => Ok(Self { shape, values }),
            std::cmp::Ordering::Greater => Err(Problem::Trailing { declared }),
        }
    }

    /// Values a row, for an array whose first dimension counts rows.
    pub(super) fn width(&self) -> Result<usize, Problem> {
        match self.shape.as_slice() {
            [] | [_] => Err(Problem::Shape { shape: self.shape.clone() }),
            // A zero hides the other sides from the size check of `read`.
            sides if sides.contains(&0) => Err(Problem::Empty),
            [_, sides @ ..] => Ok(sides.iter().product::<u64>() as usize),
        }
    }

    /// The values of an array with one value a row: shape (N) or (N, 1).
    pub(super) fn column(self) -> Result<Vec<u8>, Problem> {
        match self.shape.as_slice() {
            [_] | [_, 1] => Ok(self.values),
            _ => Err(Problem::Shape { shape: self.shape }),
        }
    }
}

/// The content of a file, unpacked if its first two bytes are those of gzip.
fn unpacked<'a>(mut source: impl BufRead + 'a) -> Result<Box<dyn Read + 'a>, Problem> {
    let gzip = source.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    Ok(if gzip { Box::new(MultiGzDecoder::new(source)) } else { Box::new(source) })
}

/// An IDX file of unsigned bytes, 1 to 4 dimensions.
fn array(source: impl BufRead) -> Result<Array, Problem> {
    let mut source = unpacked(source)?;
    let mut magic = [0; 4];
    source.read_exact(&mut magic)?;
    let [0, 0, 8, dimensions @ 1..=4] = magic else {
        return Err(Problem::NotIdx { found: magic });
    };
    let mut shape = Vec::new();
    for _ in 0..dimensions {
        let mut side = [0; 4];
        source.read_exact(&mut side)?;
        shape.push(u64::from(u32::from_be_bytes(side)));
    }
    Array::read(shape, source)
}

/// A header line, then one patient number a row.
fn patients(source: impl BufRead, rows: usize) -> Result<Vec<u32>, Problem> {
    // No honest line is longer than ten digits and a line end, the header is a few words.
    let limit = 1024 + 12 * rows as u64;
    let mut text = String::new();
    unpacked(source)?.take(limit).read_to_string(&mut text)?;
    let numbers = text
        .lines()
        .enumerate()
        .skip(1)
        .map(|(line, number)| number.trim().parse().map_err(|_| Problem::PatientNumber { line: line + 1 }));
    let numbers: Vec<u32> = numbers.collect::<Result<_, _>>()?;
    if numbers.len() == rows { Ok(numbers) } else { Err(Problem::Patients { found: numbers.len(), rows }) }
}

/// One table from its three files: images, labels, and patients if there are any.
pub(super) fn samples<R: BufRead>(images: (&Path, R), labels: (&Path, R), of: Option<(&Path, R)>) -> Result<Samples, DataError> {
    let pixels = array(images.1).map_err(|problem| problem.of(images.0))?;
    let width = pixels.width().map_err(|problem| problem.of(images.0))?;
    let column = array(labels.1).and_then(Array::column).map_err(|problem| problem.of(labels.0))?;
    let rows = pixels.values.len() / width;
    let patients = match of {
        Some((path, source)) => Some(patients(source, rows).map_err(|problem| problem.of(path))?),
        None => None,
    };
    Samples::new(width, pixels.values, column, patients).map_err(|problem| problem.of(labels.0))
}

/// A data set compiled into the program: images, labels and patients, gzipped, of train and test.
pub(super) fn embedded(name: &str, train: [&'static [u8]; 3], test: [&'static [u8]; 3]) -> Result<DataSet, DataError> {
    let path = Path::new(name);
    let table = |[images, labels, of]: [&'static [u8]; 3]| samples((path, images), (path, labels), Some((path, of)));
    DataSet::new(name, table(train)?, table(test)?).map_err(|problem| problem.of(path))
}

/// A folder of IDX files.
pub(super) fn folder(folder: &Path) -> Result<DataSet, DataError> {
    let train = part(folder, &["train"])?;
    let test = part(folder, &["test", "t10k"])?;
    DataSet::new(&name_of(folder), train, test).map_err(|problem| problem.of(folder))
}

fn part(folder: &Path, prefixes: &[&str]) -> Result<Samples, DataError> {
    let images = wanted(folder, prefixes, "images", &[2, 3, 4])?;
    let labels = wanted(folder, prefixes, "labels", &[1])?;
    let listed = prefixes.iter().flat_map(|prefix| ["csv.gz", "csv"].map(|end| format!("{prefix}-patients.{end}")));
    let listed = listed.map(|name| folder.join(name)).find(|path| path.is_file());
    let of = match &listed {
        Some(path) => Some((path.as_path(), opened(path)?)),
        None => None,
    };
    samples((&images, opened(&images)?), (&labels, opened(&labels)?), of)
}

/// The first file of the folder with one of the names such a file may have.
fn wanted(folder: &Path, prefixes: &[&str], what: &str, dimensions: &[u8]) -> Result<PathBuf, DataError> {
    for prefix in prefixes {
        for count in dimensions {
            for (dot, end) in [(".", ".gz"), (".", ""), ("-", ".gz"), ("-", "")] {
                let path = folder.join(format!("{prefix}-{what}{dot}idx{count}-ubyte{end}"));
                if path.is_file() {
                    return Ok(path);
                }
            }
        }
    }
    let usual = if what == "images" { 3 } else { 1 };
    let wanted = format!("{}-{what}.idx{usual}-ubyte.gz or the same unpacked", prefixes.join("/"));
    Err(Problem::Missing { wanted }.of(folder))
}

fn opened(path: &Path) -> Result<BufReader<File>, DataError> {
    File::open(path).map(BufReader::new).map_err(|error| Problem::from(error).of(path))
}
