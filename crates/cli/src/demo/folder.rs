//! Where the demo's keys, logs and stores are.

use crate::commands::demo::Arguments;
use crate::failure::Failure;
use std::path::{Path, PathBuf};

/// The demo's folder; a temporary one is removed at the end.
pub(crate) struct Folder {
    path: PathBuf,
    temporary: bool,
}

impl Folder {
    /// The given folder, or a temporary one for about this many bytes.
    pub(crate) fn new(given: Option<PathBuf>, bytes: u64) -> Result<Self, Failure> {
        let temporary = given.is_none();
        let path = given.unwrap_or_else(|| base(bytes).join(format!("consilium-demo-{}", std::process::id())));
        std::fs::create_dir_all(&path).map_err(|error| Failure::failed(format!("cannot create {}: {error}", path.display())))?;
        if std::fs::read_dir(&path)?.next().is_some() {
            return Err(Failure::usage(format!("{} is not empty: give the demo a folder of its own", path.display())));
        }
        Ok(Self { path: path.canonicalize()?, temporary })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.temporary {
            drop(std::fs::remove_dir_all(&self.path));
        }
    }
}

/// What all nodes' copies of all masked vectors take, which is most of what the demo writes, and half as much again.
pub(crate) fn bytes_needed(arguments: &Arguments, dimension: usize) -> u64 {
    let contributions = u64::from(arguments.sites) * u64::from(arguments.rounds) * u64::from(arguments.nodes);
    contributions.saturating_mul(8 * dimension as u64 + 40_000).saturating_mul(3) / 2
}

/// A file system in memory if the machine has plenty: all nodes' disks are one disk here, and it would be the slowest part.
fn base(bytes: u64) -> PathBuf {
    let memory = Path::new("/dev/shm");
    if free_in(memory) >= bytes && free_memory() / 3 >= bytes { memory.to_owned() } else { std::env::temp_dir() }
}

#[cfg(target_os = "linux")]
fn free_in(path: &Path) -> u64 {
    rustix::fs::statvfs(path).map_or(0, |free| free.f_bavail.saturating_mul(free.f_frsize))
}

#[cfg(not(target_os = "linux"))]
fn free_in(_path: &Path) -> u64 {
    0
}

/// Bytes that programs can have without swapping, by Linux' own estimate.
fn free_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0).saturating_mul(1024)
}
