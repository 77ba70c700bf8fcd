//! Every committed known answer holds, and one that is altered anywhere does not.

use consilium_core::known_answers::{KnownAnswerError, check};
use consilium_core::simd::{self, InstructionSet};
use std::path::PathBuf;

fn files() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn every_committed_answer_holds() {
    let files = files();
    assert_eq!(files.len(), 24);
    for (set, file) in InstructionSet::ALL.into_iter().flat_map(|set| files.iter().map(move |file| (set, file))) {
        simd::use_at_most(set);
        let answer = std::fs::read_to_string(file).unwrap();
        check(&answer).unwrap_or_else(|error| panic!("{} with {}: {error}", file.display(), simd::in_use().name()));
    }
}

#[test]
fn an_altered_answer_does_not_hold() {
    let honest = std::fs::read_to_string(files().iter().find(|f| f.ends_with("honest-5-1.json")).unwrap()).unwrap();
    let json: serde_json::Value = serde_json::from_str(&honest).unwrap();
    for field in ["committee", "policy", "program", "ctx", "digest", "values", "witness", "commitments"] {
        let mut altered = json.clone();
        let text = altered[field].as_str().unwrap().to_owned();
        let last = if text.ends_with('0') { "1" } else { "0" };
        altered[field] = format!("{}{last}", &text[..text.len() - 1]).into();
        assert!(matches!(check(&altered.to_string()), Err(KnownAnswerError::Differs(_))), "{field}");
    }
    for (field, index) in [("verdicts", 2), ("share_roots", 0)] {
        let mut altered = json.clone();
        altered[field][index] = if field == "verdicts" { "proof".into() } else { "00".repeat(32).into() };
        assert!(matches!(check(&altered.to_string()), Err(KnownAnswerError::Differs(_))), "{field}");
    }
}

#[test]
fn garbage_is_no_answer() {
    for text in ["", "{}", "[]", "{\"n\": 5}", "null"] {
        assert!(matches!(check(text), Err(KnownAnswerError::Format(_))), "{text}");
    }
}
