//! `consilium-model [gate|assurance|mutants|NAME...]`: explores configurations and prints what holds in them.

use consilium_model::{Bounds, assurance, explore, gate, mutants};
use std::process::ExitCode;

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let mut passed = 0;
    let mut failed = 0;
    for bounds in chosen(&wanted) {
        let expected = bounds.mutation.is_none();
        if let Some(mutation) = bounds.mutation {
            println!("without a mend: {mutation:?}");
        }
        let report = match explore(bounds) {
            Ok(report) => report,
            Err(error) => {
                println!("{error}");
                return ExitCode::FAILURE;
            }
        };
        print!("{report}");
        if report.is_good() == expected { passed += 1 } else { failed += 1 }
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn chosen(wanted: &[String]) -> Vec<Bounds> {
    let named = |name: &str| gate().into_iter().chain(assurance()).filter(|bounds| bounds.name == name).collect();
    let group = |word: &String| match word.as_str() {
        "gate" => gate(),
        "assurance" => assurance(),
        "mutants" => mutants(),
        name => named(name),
    };
    if wanted.is_empty() { gate() } else { wanted.iter().flat_map(group).collect() }
}
