//! The most memory that a piece of work takes.

/// The C library may keep vectors of up to this many bytes when they are freed, and the next step takes them without
/// growing. Larger ones it gives back (`DEFAULT_MMAP_THRESHOLD_MAX` in malloc/malloc.c of glibc).
pub(super) const KEPT: f64 = (32 << 20) as f64;

/// The bytes by which this process's resident memory grew at most while `work` ran; `None` where the system does not
/// say. Linux keeps the highest mark of a process and sets it back when a 5 is written to `clear_refs`.
pub(super) fn of(work: impl FnOnce()) -> Option<f64> {
    let before = std::fs::write("/proc/self/clear_refs", "5").ok().and_then(|()| status("VmRSS:"));
    work();
    Some((status("VmHWM:")? - before?).max(0.0))
}

/// A line of this process's status, in bytes.
fn status(name: &str) -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok().map(|kilobytes| 1024.0 * kilobytes)
}
