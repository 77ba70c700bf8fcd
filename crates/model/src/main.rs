//! `consilium-model [gate|assurance|mutants|NAME...]`: explores configurations and prints what holds in them.

use consilium_core::error::InvalidParameters;
use consilium_model::{Bounds, Report, assurance, explore, gate, mutants};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Configurations that are explored at a time.
const WORKERS: usize = 2;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (passed, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let wanted = Mutex::new(chosen(&words).into_iter());
    let next = || wanted.lock().ok().and_then(|mut wanted| wanted.next());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(bounds) = next() {
                    let tally = if print(&bounds, explore(bounds.clone())) { &passed } else { &failed };
                    tally.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let (passed, failed) = (passed.into_inner(), failed.into_inner());
    println!("{passed} passed, {failed} failed");
    if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints what came of a configuration; whether it is what should have.
fn print(bounds: &Bounds, outcome: Result<Report, InvalidParameters>) -> bool {
    match (outcome, bounds.mutation) {
        (Ok(report), None) => {
            print!("{report}");
            report.is_good()
        }
        (Ok(report), Some(mutation)) => {
            print!("without a mend ({mutation:?}), {report}");
            !report.broken.is_empty()
        }
        (Err(error), _) => {
            println!("{}: {error}", bounds.name);
            false
        }
    }
}

fn chosen(words: &[String]) -> Vec<Bounds> {
    let named = |name: &str| {
        let found: Vec<_> = gate().into_iter().chain(assurance()).filter(|bounds| bounds.name == name).collect();
        if found.is_empty() {
            eprintln!("there is no configuration {name}: say gate, assurance, mutants or a name that these print");
        }
        found
    };
    let group = |word: &String| match word.as_str() {
        "gate" => gate(),
        "assurance" => assurance(),
        "mutants" => mutants(),
        name => named(name),
    };
    if words.is_empty() { gate() } else { words.iter().flat_map(group).collect() }
}
