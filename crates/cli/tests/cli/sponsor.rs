//! A sponsor by commands: lists of sites that are elsewhere, roles, privacy accounts, and batches for a Safe.

use super::rotation::World;
use serde_json::{Value, json};

impl World {
    fn addresses(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.at("addresses.json")).unwrap()).unwrap()
    }

    fn shown(&self, study: u64) -> Value {
        self.on_chain(&format!("study show --json --study {study}")).exits(0).json()
    }

    /// Creates another study with these options besides.
    fn create(&self, options: &str) -> super::support::Done {
        let study = "study create --json --key sponsor.json --threshold 1 --minimum-cohort 2 --finality instant --dimension 40";
        self.on_chain(&format!("{study} --bond 0 --member {} {options}", self.nodes.join(",")))
    }
}

fn lower(value: &Value) -> String {
    value.as_str().unwrap().to_lowercase()
}

/// A word of calldata.
fn word(digits: &str) -> String {
    format!("{:0>64}", digits.trim_start_matches("0x").to_lowercase())
}

#[test]
fn a_list_of_sites_is_published_elsewhere_in_its_one_form() {
    let world = World::new();
    let listed = std::fs::read_to_string(world.at("sites.txt")).unwrap().to_lowercase();
    let mut sites: Vec<&str> = listed.lines().collect();
    sites.sort_unstable();
    let on_chain = world.shown(1);
    assert_eq!((&on_chain["sites"], &on_chain["sites_uri"]), (&2.into(), &Value::Null));

    let sites_at = "study sites --json --key sponsor.json --study 1 --sites sites.txt --sites-out list.txt --sites-at";
    for wrong in ["http://sponsor.example/list.txt".to_owned(), format!("https://{}", "s".repeat(249))] {
        world.on_chain(&format!("{sites_at} {wrong}")).exits(2).says(&["https://", "256"]);
    }
    assert!(!world.at("list.txt").exists(), "nothing is written for a place that is refused");
    let place = "https://sponsor.example/list.txt";
    assert_eq!(world.on_chain(&format!("{sites_at} {place}")).exits(0).json()["sites"], 2);
    let list = std::fs::read_to_string(world.at("list.txt")).unwrap();
    assert_eq!(list, format!("consilium sites 1\n{}\n{}\n", sites[0], sites[1]));
    let elsewhere = world.shown(1);
    assert_eq!((&elsewhere["sites"], &elsewhere["sites_uri"]), (&Value::Null, &place.into()));
    assert_eq!(elsewhere["sites_root"], on_chain["sites_root"], "it is the same list");

    // The published form is read as strictly as it is written.
    std::fs::write(world.at("spoilt.txt"), list.replace(sites[1], &sites[1].to_uppercase())).unwrap();
    world.on_chain("study sites --key sponsor.json --study 1 --sites spoilt.txt").exits(2).says(&["spoilt.txt", "line 3"]);
    world.create(&format!("--sites list.txt --sites-at {place}")).exits(0);
    let created = world.shown(2);
    assert_eq!((&created["sites_root"], &created["sites_uri"]), (&on_chain["sites_root"], &place.into()));
    world.create("--sites list.txt --sites-out again.txt").exits(2).says(&["--sites-at"]);
}

#[test]
fn a_study_is_shown_with_its_roles_its_terms_and_who_wants_to_be_paid_elsewhere() {
    let world = World::new();
    let plain = world.shown(1);
    assert_eq!((&plain["weight_unit"], &plain["description"]), (&Value::Null, &Value::Null));
    assert_eq!(plain["roles"], json!({ "operator": world.sponsor, "treasurer": world.sponsor, "guardian": null }));
    std::fs::write(world.at("about.txt"), "abc").unwrap();
    world.create("--sites sites.txt --weight-unit patients --description about.txt").exits(0);
    let [operator, treasurer, guardian, auditor] = &world.nodes[..] else { panic!("four nodes") };
    for (role, account) in [("operator", operator), ("treasurer", treasurer), ("guardian", guardian)] {
        world.on_chain(&format!("study role --study 2 --key sponsor.json --role {role} --to {account}")).exits(0);
    }
    world.on_chain(&format!("study auditor {auditor} --study 2 --key sponsor.json")).exits(0);
    world.on_chain(&format!("study payee --study 2 --key node-4.json --account {guardian}")).exits(0);
    let before = world.shown(2);
    assert_eq!((&before["paused_until"], &before["ended"]), (&Value::Null, &false.into()));
    world.on_chain("study pause --study 2 --key node-3.json --seconds 600").exits(0);
    let shown = world.shown(2);
    // keccak256("abc")
    let description = "0x4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45";
    assert_eq!((&shown["weight_unit"], &shown["description"]), (&"patients".into(), &description.into()));
    assert_eq!(shown["roles"], json!({ "operator": operator, "treasurer": treasurer, "guardian": guardian }));
    assert_eq!((&shown["auditors"], &shown["payees"]), (&json!([auditor]), &json!({ auditor.as_str(): guardian })));
    assert!(shown["longest_pause"].as_u64().unwrap() > 600 && shown["paused_until"].as_u64().unwrap() > 0, "{shown}");

    world.on_chain("study end --study 2 --yes --key sponsor.json").exits(0);
    assert_eq!(world.shown(2)["ended"], true);
    let text = world.on_chain("study show --study 2").exits(0).out;
    let limit = format!("{guardian}; may stop proofs and payouts for {} seconds at most", shown["longest_pause"]);
    let expected = [
        &*format!("opens rounds    {operator}, or the sponsor"),
        &format!("treasurer       {treasurer}, or the sponsor"),
        &limit,
        &format!("auditor         {auditor}"),
        &format!("paid elsewhere  {auditor} to {guardian}"),
        &format!("proofs and payouts are stopped until second {}", shown["paused_until"]),
        "the study has ended",
        "weights in patients",
        description,
    ];
    // Addresses have their capitals here, and none in JSON.
    for words in expected.map(str::to_lowercase) {
        assert!(text.to_lowercase().contains(&words), "{words:?} is missing in:\n{text}");
    }
}

#[test]
fn rounds_draw_on_a_privacy_account_until_it_is_spent() {
    let world = World::new();
    let open = "privacy open --json --key sponsor.json --name Pediatrics --budget 500000000";
    let opened = world.on_chain(open).exits(0).json();
    assert_eq!((&opened["account"], &opened["delta"]), (&1.into(), &1_000_000_000_000_u64.into()));
    world.on_chain("privacy open --key sponsor.json --name none --budget 0").exits(2).says(&["--budget"]);
    world
        .on_chain("privacy open --key sponsor.json --name none --budget 1 --delta 1000000000000000000")
        .exits(2)
        .says(&["--delta"]);
    world.on_chain("privacy show --account 2").exits(1).says(&["no privacy account 2"]);

    world.create("--sites sites.txt --privacy-account 1").exits(2).says(&["--privacy-cost"]);
    let study = world.create("--sites sites.txt --privacy-account 1 --privacy-cost 300000000").exits(0).json();
    assert_eq!(study["study"], 2);
    let beyond = world.create("--sites sites.txt --privacy-account 1 --privacy-cost 300000000").exits(0).json();
    let shown = world.shown(2);
    assert_eq!((&shown["privacy_account"], &shown["privacy_cost"]), (&1.into(), &300_000_000.into()));
    let open = "round open --key sponsor.json --question Which --study";
    world.on_chain(&format!("{open} 2")).exits(0);
    world.on_chain(&format!("{open} {}", beyond["study"])).exits(4).says(&["BudgetSpent", "200000000"]);
    let account = world.on_chain("privacy show --json --account 1").exits(0).json();
    assert_eq!((&account["spent"], &account["left"]), (&300_000_000.into(), &200_000_000.into()));
    assert_eq!(account["studies"], json!({ "2": 300_000_000, "3": 300_000_000 }));
    assert_eq!(account["owner"], world.sponsor.as_str());
    let report = world.on_chain("audit --json --study 2");
    assert!(report.code != 5 && report.json()["verdict"].is_string() && !report.out.contains("do not parse"), "{report:?}");
    let text = world.on_chain("privacy show --account 1").exits(0).out;
    for words in ["\"Pediatrics\"", "left    rho 0.2", "epsilon 5.757", "study 2 costs 0.3 a round: 0 more rounds"] {
        assert!(text.contains(words), "{words:?} is missing in:\n{text}");
    }
}

#[test]
fn an_allowance_and_what_needs_it_are_one_batch_for_a_safe() {
    let world = World::new();
    let (addresses, sponsor) = (world.addresses(), world.sponsor.clone());
    let (currency, treasury) = (lower(&addresses["trial_token"]), lower(&addresses["treasury"]));
    world.create(&format!("--sites sites.txt --currency {currency}")).exits(0);
    let safe = format!("--study 2 --calldata --from {sponsor}");
    let made = world.on_chain(&format!("study fund --json --amount 7 {safe}")).exits(0).json();
    assert_eq!((&made["version"], &made["chainId"]), (&"1.0".into(), &"31337".into()));
    assert_eq!(made["meta"]["createdFromSafeAddress"].as_str().map(str::to_lowercase), Some(sponsor.to_lowercase()));
    let calls = |batch: &Value| {
        let call = |call: &Value| (lower(&call["to"]), lower(&call["value"]), lower(&call["data"]));
        batch["transactions"].as_array().unwrap().iter().map(call).collect::<Vec<_>>()
    };
    // approve(address,uint256), then fund(uint64,uint256).
    let approve = |amount: &str| (currency.clone(), "0".to_owned(), format!("0x095ea7b3{}{}", word(&treasury), word(amount)));
    let fund = (treasury.clone(), "0".to_owned(), format!("0x5c53ba26{}{}", word("2"), word("7")));
    assert_eq!(calls(&made), [approve("7"), fund.clone()]);

    // With the allowance on the chain, the payment is a transaction by itself.
    world.on_chain("study fund --study 2 --amount 99 --key sponsor.json").exits(4).says(&["ERC20InsufficientBalance"]);
    world.on_chain("chain mint --key sponsor.json --amount 100").exits(0);
    let made = world.on_chain(&format!("study fund --amount 7 {safe}")).exits(0).json();
    assert_eq!((lower(&made["to"]), "0".to_owned(), lower(&made["data"])), fund);
    assert_eq!(made["chainId"], 31337);

    world.on_chain("licence offer --study 2 --price 50 --key sponsor.json").exits(0);
    let made = world.on_chain(&format!("licence buy --quantity 4 --at-most 50 {safe}")).exits(0).json();
    let bought = calls(&made);
    assert_eq!(bought[..2], [approve("0"), approve("c8")]);
    assert_eq!((bought.len(), &bought[2].0), (3, &lower(&addresses["licences"])));
    let books = world.on_chain("study money --json --study 2").exits(0).json();
    assert_eq!(books["funded"], "0", "nothing was sent");
}
