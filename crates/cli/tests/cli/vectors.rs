//! `consilium vectors`.

use super::support::run;
use std::path::{Path, PathBuf};
use tempfile::tempdir;

fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/vectors")
}

#[test]
fn the_committed_known_answers_hold() {
    let here = tempdir().unwrap();
    let done = run(here.path(), &["vectors".as_ref(), committed().as_os_str()]).exits(0);
    let lines: Vec<&str> = done.out.lines().collect();
    assert_eq!(lines.last(), Some(&"24 passed, 0 failed"), "{}", done.out);
    assert_eq!(lines.len(), 25, "one line a case, and the count");
    assert!(lines[..24].iter().all(|line| line.starts_with("ok ")), "{}", done.out);
}

#[test]
fn an_altered_case_is_named_and_the_others_still_checked() {
    let here = tempdir().unwrap();
    let text = std::fs::read_to_string(committed().join("honest-5-1.json")).unwrap();
    let mut case: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(case["context"]["study"], 7, "the vectors' format");
    case["context"]["study"] = 8.into();
    std::fs::write(here.path().join("honest-altered.json"), case.to_string()).unwrap();
    std::fs::write(here.path().join("no-json.json"), &text[..text.len() / 2]).unwrap();
    std::fs::copy(committed().join("ballot-honest.json"), here.path().join("ballot-honest.json")).unwrap();

    let done = run(here.path(), &["vectors", "."]).exits(5).says(&["2 known answers do not hold"]);
    let lines: Vec<&str> = done.out.lines().collect();
    assert_eq!(lines.len(), 4, "{}", done.out);
    assert_eq!(lines[0], "ok    ballot-honest");
    assert!(lines[1].starts_with("FAIL  honest-altered: "), "{}", done.out);
    assert!(lines[2].starts_with("FAIL  no-json: "), "{}", done.out);
    assert_eq!(lines[3], "1 passed, 2 failed");

    let done = run(here.path(), &["vectors", "--json", "."]).exits(5);
    let lines: Vec<serde_json::Value> = done.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[1]["case"], &lines[1]["passed"]), (&"honest-altered".into(), &false.into()));
    assert_eq!(lines[3], serde_json::json!({ "passed": 1, "failed": 2 }));
}

#[test]
fn a_folder_without_cases_is_wrong_usage() {
    let here = tempdir().unwrap();
    run(here.path(), &["vectors", "."]).exits(2).says(&["holds no .json file"]);
    run(here.path(), &["vectors", "nowhere"]).exits(2).says(&["nowhere"]);
}
