//! One binary for all fuzz targets, so that everything is built and linked once. The environment variable `FUZZ_TARGET`
//! names the target; `FUZZ_SEEDS` names a folder to which the seed corpus is written instead. See README.md.

#![no_main]

/// The node's own files, compiled here: the crate around them takes as long to build as all else, and has no other decoder.
#[allow(dead_code, unreachable_pub, reason = "a crate's interface, of which this is one user")]
#[path = "../../crates/node/src/config.rs"]
pub(crate) mod config;
mod parts;
#[allow(dead_code, unreachable_pub, reason = "a crate's interface, of which this is one user")]
#[path = "../../crates/node/src/policy/bounds.rs"]
pub(crate) mod policy;
mod seeds;
mod targets;

use std::sync::OnceLock;
use targets::Target;

static CHOSEN: OnceLock<Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(init: prepare(), |data: &[u8]| {
    CHOSEN.get().expect("libFuzzer initialises first")(data);
});

/// Writes the seeds and ends, or finds the target.
fn prepare() {
    if let Some(folder) = std::env::var_os("FUZZ_SEEDS") {
        seeds::write_all(folder.as_ref());
        std::process::exit(0);
    }
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let Some((_, target)) = targets::ALL.iter().find(|(known, _)| *known == name) else {
        let known: Vec<&str> = targets::ALL.iter().map(|(name, _)| *name).collect();
        eprintln!("there is no target {name:?}: set FUZZ_TARGET to one of {}", known.join(", "));
        std::process::exit(2);
    };
    CHOSEN.get_or_init(|| *target);
}
