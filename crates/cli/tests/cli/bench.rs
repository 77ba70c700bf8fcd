//! `consilium bench`: every step, at every size, beside its floor; no figure is judged here.

use super::support::run;
use tempfile::tempdir;

#[test]
fn every_step_is_measured_beside_its_floor() {
    let here = tempdir().unwrap();
    let arguments = "bench --dimension 300,700 --repeat 2 --close-sites 2 --close-dimension 400 --json rows.json";
    let done = run(here.path(), &arguments.split(' ').collect::<Vec<_>>()).exits(0);
    let text = std::fs::read_to_string(here.path().join("rows.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(!report["machine"].as_str().unwrap().is_empty() && report["features"].is_array());
    let rows = report["rows"].as_array().unwrap();
    let steps: Vec<(&str, u64)> = rows.iter().map(|row| (row["name"].as_str().unwrap(), row["d"].as_u64().unwrap())).collect();
    let of = |d| ["prove", "verify", "release", "unmask"].map(|name| (name, d));
    assert_eq!(steps, [&of(300)[..], &of(700)[..], &[("close", 400)]].concat());
    for row in rows {
        assert_eq!((&row["n"], &row["t"]), (&5.into(), &1.into()));
        let figure = |name: &str| row[name].as_f64().unwrap();
        assert!(figure("median_ms") > 0.0 && figure("floor_ms") > 0.0 && figure("spread_ms") >= 0.0, "{row}");
        assert!((figure("ratio") - figure("median_ms") / figure("floor_ms")).abs() < 1e-9 * figure("ratio"), "{row}");
        assert!(done.out.contains(row["name"].as_str().unwrap()), "{}", done.out);
    }
}

#[test]
fn steps_can_be_measured_with_fewer_instructions_than_the_processor_has() {
    let here = tempdir().unwrap();
    let small = ["--dimension", "300", "--repeat", "1", "--close-sites", "0"];
    let bench = |set: &[&str]| run(here.path(), &[&["bench"], &small[..], set].concat());
    assert!(bench(&["--instructions", "portable"]).exits(0).out.contains("cores; portable\n"));
    let elsewhere = if cfg!(target_arch = "aarch64") { "avx2" } else { "neon" };
    let refused = bench(&["--instructions", elsewhere]).exits(2);
    assert!(refused.err.contains(&format!("no {elsewhere}")) && refused.err.contains("--instructions "), "{}", refused.err);
    bench(&["--instructions", "mmx"]).exits(2);
}

#[test]
fn a_committee_that_cannot_be_is_wrong_usage() {
    let here = tempdir().unwrap();
    run(here.path(), &["bench", "--nodes", "5", "--threshold", "2"]).exits(2);
}
