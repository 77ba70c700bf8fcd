//! Key files on the disk: read with their permissions checked, changed under a lock, replaced atomically, old bytes wiped.
//!
//! A replacement takes four steps: write `NAME.new` and flush it; link the old file as `NAME.old`; rename `NAME.new` over
//! `NAME`, so that NAME is at all times one complete file or the other; overwrite `NAME.old` with zeros and remove it. The
//! folder is flushed after each. A crash leaves `NAME.new` or `NAME.old` behind; the next holder of the lock wipes both.
//!
//! Overwriting reaches the blocks of the file where the file system writes in place. Copy-on-write file systems, snapshots,
//! flash memory and backups may keep the old bytes: docs/OPERATORS.md says what to do about that.

use super::error::KeyError;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// How long a change waits for another process to finish its own, which takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

/// Reads a key file that only its owner can read.
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let failed = |source| KeyError::Read { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyError::Exposed { path: path.to_owned(), mode });
        }
    }
    // One byte more than there is: the text does not move in memory while it is read.
    let mut text = Zeroizing::new(Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0) + 1));
    file.read_to_end(&mut text).map_err(failed)?;
    Ok(text)
}

/// Writes a file that does not exist, for its owner alone, and flushes it and its folder.
pub(super) fn create(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = for_owner(OpenOptions::new().write(true).create_new(true)).open(path)?;
    file.write_all(text)?;
    file.sync_all()?;
    flush_folder(path)
}

fn for_owner(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

fn flush_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Whether a change was broken off and has left files behind.
pub(super) fn has_leftovers(path: &Path) -> bool {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    [".new", ".old"].iter().any(|ending| beside(&path, ending).exists())
}

/// A key file that nobody else changes meanwhile. The lock ends with the value, or with the process.
pub(super) struct Locked {
    /// The file itself: a symbolic link to it stays one.
    path: PathBuf,
    _lock: File,
}

impl Locked {
    /// Waits for the lock, and clears away what a change that was broken off left behind.
    pub(super) fn of(path: &Path) -> Result<Self, KeyError> {
        Self::within(path, PATIENCE)
    }

    fn within(path: &Path, patience: Duration) -> Result<Self, KeyError> {
        let path = fs::canonicalize(path).map_err(|source| KeyError::Read { path: path.to_owned(), source })?;
        let place = beside(&path, ".lock");
        let failed = |source| KeyError::Replace { path: place.clone(), source };
        let lock = for_owner(OpenOptions::new().write(true).create(true).truncate(false)).open(&place).map_err(failed)?;
        same_owner(&path, &lock).map_err(failed)?;
        let end = Instant::now() + patience;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < end => std::thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => return Err(KeyError::Busy { path: place }),
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
        }
        let locked = Self { path, _lock: lock };
        locked.wipe(".new")?;
        locked.wipe(".old")?;
        Ok(locked)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces the file by this text and wipes what it held.
    pub(super) fn replace(&self, text: &[u8]) -> Result<(), KeyError> {
        self.write_new(text)?;
        self.link_old()?;
        self.swap()?;
        self.wipe(".old")
    }

    fn step(&self, ending: &str, work: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), KeyError> {
        let path = beside(&self.path, ending);
        work(&path).and_then(|()| flush_folder(&path)).map_err(|source| KeyError::Replace { path, source })
    }

    fn write_new(&self, text: &[u8]) -> Result<(), KeyError> {
        self.step(".new", |new| {
            let mut file = for_owner(OpenOptions::new().write(true).create_new(true)).open(new)?;
            same_owner(&self.path, &file)?;
            file.write_all(text)?;
            file.sync_all()
        })
    }

    fn link_old(&self) -> Result<(), KeyError> {
        // Without the number of links a leftover could not be told from the file itself.
        if cfg!(unix) { self.step(".old", |old| fs::hard_link(&self.path, old)) } else { Ok(()) }
    }

    fn swap(&self) -> Result<(), KeyError> {
        self.step(".new", |new| fs::rename(new, &self.path))
    }

    /// Overwrites a leftover and removes it. While another name has the same file, which is so when a change broke off
    /// before its last step but one, the name alone is removed.
    fn wipe(&self, ending: &str) -> Result<(), KeyError> {
        let leftover = beside(&self.path, ending);
        match OpenOptions::new().write(true).open(&leftover) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(KeyError::Replace { path: leftover, source }),
            Ok(file) => self.step(ending, |leftover| {
                if is_only_name(&file)? {
                    overwrite(file)?;
                }
                fs::remove_file(leftover)
            })?,
        }
        Ok(())
    }
}

fn overwrite(mut file: File) -> io::Result<()> {
    let length = file.metadata()?.len();
    io::copy(&mut io::repeat(0).take(length), &mut file)?;
    file.flush()?;
    file.sync_all()
}

#[cfg(unix)]
fn is_only_name(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    Ok(file.metadata()?.nlink() == 1)
}

#[cfg(not(unix))]
fn is_only_name(_file: &File) -> io::Result<bool> {
    Ok(true)
}

/// Gives a file to the owner of another one: an administrator's command must not take the keys from the node's account.
#[cfg(unix)]
fn same_owner(owned: &Path, file: &File) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    let (wanted, found) = (fs::metadata(owned)?, file.metadata()?);
    if (wanted.uid(), wanted.gid()) == (found.uid(), found.gid()) {
        return Ok(());
    }
    fchown(file, Some(wanted.uid()), Some(wanted.gid()))
}

#[cfg(not(unix))]
fn same_owner(_owned: &Path, _file: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    /// A part of a replacement.
    type Step = fn(&Locked);

    const OLD: &[u8] = b"an old secret, and more of it";
    const NEW: &[u8] = b"a new secret";

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn after_a_crash_at_any_step_the_file_is_whole_and_the_next_change_clears_up() {
        let steps: [(Step, &[u8]); 5] = [
            // Broken off within the first step.
            (|locked| fs::write(beside(locked.path(), ".new"), &NEW[..5]).unwrap(), OLD),
            (|locked| locked.write_new(NEW).unwrap(), OLD),
            (|locked| locked.link_old().unwrap(), OLD),
            (|locked| locked.swap().unwrap(), NEW),
            (|locked| locked.wipe(".old").unwrap(), NEW),
        ];
        for crash in 0..steps.len() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("k");
            create(&path, OLD).unwrap();
            let locked = Locked::of(&path).unwrap();
            let done = if crash == 0 { &steps[..1] } else { &steps[1..=crash] };
            done.iter().for_each(|(step, _)| step(&locked));
            drop(locked);

            let whole = steps[crash].1;
            assert_eq!(*read(&path).unwrap(), whole, "after step {crash}");
            let locked = Locked::of(&path).unwrap();
            assert_eq!(names(folder.path()), ["k", "k.lock"], "after step {crash}");
            assert_eq!(*read(&path).unwrap(), whole, "clearing up after step {crash} spoilt the file");
            locked.replace(b"the next").unwrap();
            assert_eq!(*read(&path).unwrap(), b"the next");
        }
    }

    #[test]
    fn what_is_replaced_is_overwritten_and_what_replaces_it_is_for_the_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k");
        create(&path, OLD).unwrap();
        let mut held = File::open(&path).unwrap();
        Locked::of(&path).unwrap().replace(NEW).unwrap();
        let mut left = Vec::new();
        held.read_to_end(&mut left).unwrap();
        assert_eq!(left, [0; OLD.len()], "the old file's own blocks");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(folder.path().join("k.lock")).unwrap().permissions().mode() & 0o077, 0);

        // A second name that somebody made is a copy: the file under it is left alone.
        fs::hard_link(&path, folder.path().join("copy")).unwrap();
        Locked::of(&path).unwrap().replace(b"third").unwrap();
        assert_eq!(fs::read(folder.path().join("copy")).unwrap(), NEW);
        assert_eq!(fs::metadata(&path).unwrap().nlink(), 1);
    }

    #[test]
    fn a_symbolic_link_stays_one_and_its_target_is_replaced() {
        let (folder, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (link, target) = (folder.path().join("k"), there.path().join("real"));
        create(&target, OLD).unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        Locked::of(&link).unwrap().replace(NEW).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&target).unwrap(), NEW);
        assert_eq!(names(folder.path()), ["k"]);
    }

    #[test]
    fn a_folder_that_cannot_be_written_in_is_named_and_the_file_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k");
        create(&path, OLD).unwrap();
        // A folder where the new file should be: also for an administrator, to whom permissions mean nothing.
        let locked = Locked::of(&path).unwrap();
        fs::create_dir(beside(locked.path(), ".new")).unwrap();
        let error = locked.replace(NEW).unwrap_err().to_string();
        assert!(error.contains("k.new") && error.contains("right to write"), "{error}");
        assert_eq!(*read(&path).unwrap(), OLD);
    }

    #[test]
    fn a_lock_that_is_held_for_long_is_named_and_one_that_is_let_go_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k");
        create(&path, OLD).unwrap();
        let held = Locked::of(&path).unwrap();
        let error = Locked::within(&path, PAUSE).err().unwrap().to_string();
        assert!(error.contains("k.lock") && error.contains("try again"), "{error}");
        drop(held);
        Locked::within(&path, PAUSE).unwrap();
    }
}
