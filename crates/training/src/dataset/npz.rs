//! MedMNIST `.npz` files: a zip archive of NumPy arrays (NEP 1), of which this reads unsigned bytes in C order.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use zip::ZipArchive;

use super::idx::Array;
use super::{DataError, DataSet, Problem, Samples, name_of};

/// NumPy writes headers of 128 bytes; this leaves room for other writers and none for abuse.
const LONGEST_HEADER: usize = 4096;

/// A MedMNIST archive.
pub(super) fn file(path: &Path) -> Result<DataSet, DataError> {
    let file = File::open(path).map_err(|error| Problem::from(error).of(path))?;
    archive(path, BufReader::new(file))
}

/// The content of an archive.
pub(super) fn archive(path: &Path, source: impl Read + Seek) -> Result<DataSet, DataError> {
    let mut archive = ZipArchive::new(source).map_err(|error| Problem::from(error).of(path))?;
    let train = part(&mut archive, path, "train")?;
    let test = part(&mut archive, path, "test")?;
    DataSet::new(&name_of(path), train, test).map_err(|problem| problem.of(path))
}

fn part(archive: &mut ZipArchive<impl Read + Seek>, path: &Path, prefix: &str) -> Result<Samples, DataError> {
    let names = [format!("{prefix}_images.npy"), format!("{prefix}_labels.npy")];
    let [at_images, at_labels] = [path.join(&names[0]), path.join(&names[1])];
    let images = entry(archive, &names[0]).map_err(|problem| problem.of(&at_images))?;
    let width = images.width().map_err(|problem| problem.of(&at_images))?;
    let labels = entry(archive, &names[1]).and_then(Array::column).map_err(|problem| problem.of(&at_labels))?;
    Samples::new(width, images.values, labels, None).map_err(|problem| problem.of(&at_labels))
}

fn entry(archive: &mut ZipArchive<impl Read + Seek>, name: &str) -> Result<Array, Problem> {
    match archive.by_name(name) {
        Ok(entry) => array(entry),
        Err(zip::result::ZipError::FileNotFound) => {
            let wanted = "an archive with train_images, train_labels, test_images and test_labels".to_owned();
            Err(Problem::Missing { wanted })
        }
        Err(error) => Err(error.into()),
    }
}

/// One `.npy` file.
fn array(mut source: impl Read) -> Result<Array, Problem> {
    let mut start = [0; 8];
    source.read_exact(&mut start)?;
    let [0x93, b'N', b'U', b'M', b'P', b'Y', version, 0] = start else {
        return Err(Problem::NotNumpy);
    };
    let length = header_length(version, &mut source)?;
    let mut header = vec![0; length];
    source.read_exact(&mut header)?;
    let header = std::str::from_utf8(&header).map_err(|_| Problem::NotNumpy)?;
    let shape = shape_of_bytes(header).ok_or(Problem::NotNumpy)?;
    Array::read(shape, source)
}

fn header_length(version: u8, source: &mut impl Read) -> Result<usize, Problem> {
    let mut length = [0; 4];
    match version {
        1 => source.read_exact(&mut length[..2])?,
        2 | 3 => source.read_exact(&mut length)?,
        _ => return Err(Problem::NotNumpy),
    }
    let length = u32::from_le_bytes(length) as usize;
    if length <= LONGEST_HEADER { Ok(length) } else { Err(Problem::NotNumpy) }
}

/// The shape of a C-order uint8 array from `{'descr': '|u1', 'fortran_order': False, 'shape': (2, 28, 28), }`;
/// `None` for any other array. Blanks, quotes and the order of the keys are the writer's choice.
fn shape_of_bytes(header: &str) -> Option<Vec<u64>> {
    let text: String = header.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let text = text.replace('"', "'");
    let value = |key: &str| text.split_once(&format!("'{key}':")).map(|(_, rest)| rest);
    let bytes = ["'|u1'", "'u1'", "'<u1'", "'>u1'"].iter().any(|kind| value("descr").is_some_and(|v| v.starts_with(kind)));
    if !bytes || !value("fortran_order")?.starts_with("False") {
        return None;
    }
    let (sides, _) = value("shape")?.strip_prefix('(')?.split_once(')')?;
    sides.split_terminator(',').map(|side| side.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::shape_of_bytes;

    #[test]
    fn headers_of_other_writers_are_read() {
        let plain = "{'descr': '|u1', 'fortran_order': False, 'shape': (7, 28, 28), }";
        assert_eq!(shape_of_bytes(plain), Some(vec![7, 28, 28]));
        let other = "{\"shape\":(7,),\"fortran_order\":False,\"descr\":\"u1\"}";
        assert_eq!(shape_of_bytes(other), Some(vec![7]));
    }

    #[test]
    fn arrays_of_anything_else_are_refused() {
        for header in [
            "{'descr': '<f4', 'fortran_order': False, 'shape': (7, 28), }",
            "{'descr': '|u1', 'fortran_order': True, 'shape': (7, 28), }",
            "{'descr': '|u1', 'fortran_order': False, 'shape': (-7, 28), }",
            "{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999999999, 1), }",
            "{'descr': '|u1', 'fortran_order': False, 'shape': (7",
            "",
        ] {
            assert_eq!(shape_of_bytes(header), None, "{header}");
        }
    }
}
