//! `consilium vectors DIR`: checks a folder of known answers in the reference's format.

use crate::failure::Failure;
use consilium_core::known_answers::check;
use std::path::{Path, PathBuf};

/// Check known answers: honest contributions are rebuilt from their seeds, and every node's verdict must be as listed.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Print machine-readable JSON instead of text.
    #[arg(long)]
    pub(crate) json: bool,
    /// Folder with one JSON file a case.
    dir: PathBuf,
}

/// Largest file that is read.
const LARGEST_FILE: u64 = 256 << 20;

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let json = arguments.json;
    let cases = json_files(&arguments.dir)?;
    if cases.is_empty() {
        return Err(Failure::usage(format!("{} holds no .json file", arguments.dir.display())));
    }
    let (mut passed, mut failed) = (0, 0);
    for case in &cases {
        let outcome = check_file(case);
        let name = case.file_stem().unwrap_or_default().to_string_lossy();
        match &outcome {
            Ok(()) => passed += 1,
            Err(_) => failed += 1,
        }
        match (json, outcome) {
            (true, outcome) => {
                println!("{}", serde_json::json!({ "case": name, "passed": outcome.is_ok(), "reason": outcome.err() }));
            }
            (false, Ok(())) => println!("ok    {name}"),
            (false, Err(reason)) => println!("FAIL  {name}: {reason}"),
        }
    }
    if json {
        println!("{}", serde_json::json!({ "passed": passed, "failed": failed }));
    } else {
        println!("{passed} passed, {failed} failed");
    }
    if failed == 0 { Ok(()) } else { Err(Failure::wrong(format!("{failed} known answers do not hold"))) }
}

fn json_files(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = std::fs::read_dir(dir).map_err(|error| Failure::usage(format!("cannot read {}: {error}", dir.display())))?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    Ok(files)
}

fn check_file(file: &Path) -> Result<(), String> {
    let size = std::fs::metadata(file).map_err(|error| error.to_string())?.len();
    if size > LARGEST_FILE {
        return Err(format!("the file is larger than {LARGEST_FILE} bytes"));
    }
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    check(&text).map_err(|error| error.to_string())
}
