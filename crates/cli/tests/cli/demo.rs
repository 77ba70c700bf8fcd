//! `consilium demo`: small, with everything that goes wrong in its marked part.

use super::support::{answers, run, until};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;
use tempfile::tempdir;

/// The names of an object's fields.
fn fields(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap_or_else(|| panic!("not an object: {value}")).keys().map(String::as_str).collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("not a number: {value}"))
}

/// The ports of the nodes, from their configurations.
fn node_ports(dir: &Path, nodes: usize) -> Vec<u16> {
    let port = |j| {
        let text = std::fs::read_to_string(dir.join(format!("node-{j}/node.toml"))).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("listen = \"127.0.0.1:")).expect("a line `listen`");
        line.trim_end_matches('"').parse().unwrap()
    };
    (1..=nodes).map(port).collect()
}

#[test]
fn a_small_demo_with_its_marked_part() {
    let here = tempdir().unwrap();
    let arguments = "demo --sites 12 --rounds 4 --seed 3 --json figures.json --dir run";
    let done = run(here.path(), &arguments.split(' ').collect::<Vec<_>>()).exits(0);
    assert!(done.out.contains("verdict: pass"), "{}", done.out);
    assert!(done.out.contains("signed another output share than the settled one: convicted in transaction"), "{}", done.out);

    for port in node_ports(&here.path().join("run"), 6) {
        until("the demo's nodes end with it", Duration::from_secs(10), || (!answers(port)).then_some(()));
    }

    let figures: Value = serde_json::from_slice(&std::fs::read(here.path().join("figures.json")).unwrap()).unwrap();
    let top = "sites nodes t d rounds plain alone_mean_accuracy misbehaviour money audit seconds_total";
    assert_eq!(fields(&figures), top.split(' ').collect());
    assert_eq!((&figures["sites"], &figures["nodes"], &figures["t"]), (&12.into(), &5.into(), &1.into()));
    assert_eq!(figures["d"], 784 * 32 + 32 + 32 * 2 + 2);
    assert_eq!(figures["audit"], "pass");
    assert!(number(&figures["seconds_total"]) > 0.0);
    assert_eq!(fields(&figures["plain"]), BTreeSet::from(["accuracy", "auc"]));
    for share in [&figures["plain"]["accuracy"], &figures["plain"]["auc"], &figures["alone_mean_accuracy"]] {
        assert!((0.0..=1.0).contains(&number(share)), "{figures}");
    }
    check_rounds(figures["rounds"].as_array().unwrap());
    check_misbehaviour(figures["misbehaviour"].as_array().unwrap());
    check_money(&figures["money"]);
}

/// Everyone was paid for four rounds, and nothing is missing.
fn check_money(money: &Value) {
    let amount = |value: &Value| value.as_str().unwrap_or_else(|| panic!("not an amount: {value}")).parse::<u128>().unwrap();
    assert_eq!(fields(money), "accounts claimed funded gas held revenue transactions".split(' ').collect());
    let coin = 10_u128.pow(18);
    assert_eq!(amount(&money["funded"]), 4 * 1_000 * coin);
    assert_eq!(amount(&money["revenue"]), 600 * coin);
    assert_eq!(amount(&money["funded"]) + 600 * coin, amount(&money["claimed"]) + amount(&money["held"]));
    assert!(amount(&money["held"]) < coin, "what rounding leaves: {money}");
    let accounts = money["accounts"].as_array().unwrap();
    let (nodes, sites): (Vec<_>, Vec<_>) = accounts.iter().partition(|account| account["node"] == true);
    assert_eq!(sites.len(), 12);
    assert!(nodes.len() >= 4, "{money}");
    let paid: u128 = accounts.iter().map(|account| amount(&account["amount"])).sum();
    assert_eq!(paid, amount(&money["claimed"]));
    let revenue = |account: &&Value| amount(&account["revenue"]);
    assert!(sites.iter().all(|site| revenue(site) > 30 * coin), "{money}");
    let of_licence: u128 = accounts.iter().map(|account| amount(&account["revenue"])).sum();
    assert!(of_licence <= 600 * coin && of_licence + coin > 600 * coin, "{money}");
}

#[test]
fn a_cheat_that_is_not_in_the_set_counts_as_rejected() {
    let here = tempdir().unwrap();
    let arguments = "demo --sites 12 --rounds 2 --seed 3 --json figures.json";
    run(here.path(), &arguments.split(' ').collect::<Vec<_>>()).exits(0);
    let figures: Value = serde_json::from_slice(&std::fs::read(here.path().join("figures.json")).unwrap()).unwrap();
    let round = &figures["rounds"][1];
    assert_eq!((&round["accepted"], &round["rejected"]), (&9.into(), &3.into()));
    let oversized = &figures["misbehaviour"][0];
    assert!(!oversized["evidence"].as_str().unwrap().contains("is in the set"), "{oversized}");
}

fn check_rounds(rounds: &[Value]) {
    let expected =
        "round status accuracy auc accepted rejected upload_bytes_per_site close_seconds gas max_abs_error error_bound";
    assert_eq!(rounds.len(), 4);
    for (round, i) in rounds.iter().zip(1..) {
        assert_eq!(fields(round), expected.split(' ').collect());
        assert_eq!(round["round"].as_u64(), Some(i));
        assert_eq!(round["status"], "settled");
        // Of the four that cheat in round 2, the one with a garbage box is repaired.
        let accepted = if i == 2 { 9 } else { 12 };
        assert_eq!(round["accepted"], accepted, "round {i}");
        if i != 2 {
            assert_eq!(round["rejected"], 0, "round {i}");
        }
        assert!((0.0..=1.0).contains(&number(&round["accuracy"])) && (0.0..=1.0).contains(&number(&round["auc"])));
        assert!(round["upload_bytes_per_site"].as_u64().unwrap() > 25_000, "{round}");
        assert!(round["gas"].as_u64().unwrap() > 21_000 * 3, "opened, certified and settled: {round}");
        assert!(number(&round["close_seconds"]) > 0.0);
        assert!(number(&round["error_bound"]) > 0.0);
        assert!(number(&round["max_abs_error"]) <= number(&round["error_bound"]), "{round}");
    }
}

fn check_misbehaviour(list: &[Value]) {
    for line in list {
        assert_eq!(fields(line), BTreeSet::from(["who", "what", "caught_by", "evidence"]));
        assert!(line.as_object().unwrap().values().all(|text| text.as_str().is_some_and(|text| !text.is_empty())), "{line}");
    }
    let expected = [
        ("site 9 ", "1000 times too large"),
        ("site 10 ", "corrupted proof"),
        ("site 11 ", "replayed"),
        ("site 12 ", "garbage"),
        ("node 5 ", "wrong share"),
        // The spare node has the liar's seat by then, and leads this round.
        ("node 6 ", "SIGKILL"),
    ];
    assert_eq!(list.len(), expected.len(), "{list:?}");
    for (line, (who, what)) in list.iter().zip(expected) {
        assert!(line["who"].as_str().unwrap().starts_with(who), "{line}");
        assert!(line["what"].as_str().unwrap().contains(what), "{line}");
    }
    let liar = &list[4];
    assert!(liar["caught_by"].as_str().unwrap().contains("proved it to the contract"), "{liar}");
    assert!(liar["evidence"].as_str().unwrap().contains("lost its bond: 10000000000000000 wei to node "), "{liar}");
}
