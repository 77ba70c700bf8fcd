//! Thousands of random scenarios. `CONSILIUM_SEEDS` says how many in all (2,000 by default); `CONSILIUM_SEED` runs one.

use consilium_simulator::{Scenario, check};

const PARTS: u64 = 6;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

/// Seeds are dealt to the parts like cards, so that the parts run in parallel and more seeds extend all of them.
fn run_part(part: u64) {
    if let Some(seed) = number("CONSILIUM_SEED") {
        if seed % PARTS == part {
            check(&Scenario::draw(seed)).unwrap_or_else(|failure| panic!("{failure}"));
        }
        return;
    }
    let count = number("CONSILIUM_SEEDS").unwrap_or(2_000);
    let failures: Vec<(u64, String)> = (0..count)
        .filter(|seed| seed % PARTS == part)
        .filter_map(|seed| Some((seed, check(&Scenario::draw(seed)).err()?)))
        .collect();
    if let Some((_, first)) = failures.first() {
        let seeds: Vec<u64> = failures.iter().map(|(seed, _)| *seed).collect();
        panic!("{} of {count} seeds fail: {seeds:?}\nthe first one, again with CONSILIUM_SEED:\n{first}", seeds.len());
    }
}

#[test]
fn thousands_of_seeds_part_1() {
    run_part(0);
}

#[test]
fn thousands_of_seeds_part_2() {
    run_part(1);
}

#[test]
fn thousands_of_seeds_part_3() {
    run_part(2);
}

#[test]
fn thousands_of_seeds_part_4() {
    run_part(3);
}

#[test]
fn thousands_of_seeds_part_5() {
    run_part(4);
}

#[test]
fn thousands_of_seeds_part_6() {
    run_part(5);
}
