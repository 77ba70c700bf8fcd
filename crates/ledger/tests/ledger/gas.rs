//! What every step costs under the rules of today and under the next ones, from receipts of the embedded chain. The figures
//! are kept in `contracts/snapshots/rules.json`; `UPDATE_SNAPSHOTS=1` writes them anew, and the test prints the table.

use crate::court::{Bench, Settled, find, honest};
use crate::money::Till;
use crate::scenario::root;
use crate::worlds::{World, wallet};
use alloy_primitives::{B256, U256};
use consilium_chain::Rules;
use consilium_core::accusation::{Accusation, Charge};
use consilium_core::field::Fp;
use consilium_core::merkle::vector_root;
use consilium_core::openings::Flaw;
use consilium_core::params::Committee;
use consilium_ledger::{Books, Credit, DeployOptions, deploy};
use std::collections::BTreeMap;
use std::path::Path;

/// Gas by step.
type Gas = BTreeMap<String, u64>;

async fn deployment(rules: Rules, gas: &mut Gas) {
    let world = World::under(rules);
    let deployment = deploy(world.provider(), &wallet(1), DeployOptions::default()).await.unwrap();
    gas.insert("deployment of the contracts".into(), deployment.gas_used());
}

/// A round in which every slot of the ring is new, and a later one, whose settlement also archives an older round and joins
/// one pair of the archive's peaks, the average.
async fn rounds(rules: Rules, n: usize, t: usize, gas: &mut Gas) -> Till {
    let mut till = Till::of(World::under(rules), Committee::new(n, t).unwrap()).await;
    till.ledger().fund(&till.stage.sponsor, till.study, U256::from(7_000)).await.unwrap();
    for round in 1..=7 {
        assert_eq!(till.play(3).await, round);
        let lap = match round {
            1 => ", first lap",
            7 => ", later laps",
            _ => "",
        };
        for (step, used) in ["open", "certify", "settle"].into_iter().zip(till.gas) {
            if !lap.is_empty() {
                gas.insert(format!("{step}{lap}, n = {n}"), used);
            }
        }
        till.pass(50).await;
    }
    till
}

/// One site's first and second claim alone, then the rest of a round in one transaction, first claims all of them.
async fn claims(till: &Till, gas: &mut Gas) {
    let books = till.books().await;
    let owed = books.owed(&till.cohorts, till.now).await.unwrap();
    let site = till.stage.sites[0];
    let of_site: Vec<Credit> = owed.iter().filter(|credit| credit.account == site && !as_node(credit)).copied().collect();
    gas.insert("claim, first of an account, alone".into(), claim(till, &books, &of_site[5..6]).await);
    gas.insert("claim, later, alone".into(), claim(till, &books, &of_site[6..7]).await);
    let of_round = |credit: &Credit, round| credit.leaf.is_some_and(|leaf| leaf.round == round);
    let others = |round: u64| owed.iter().filter(|credit| of_round(credit, round) && credit.account != site).copied().collect();
    let (first, later): (Vec<Credit>, Vec<Credit>) = (others(6), others(7));
    gas.insert(format!("claim, each of {} first ones", first.len()), claim(till, &books, &first).await / first.len() as u64);
    gas.insert(format!("claim, each of {} later ones", later.len()), claim(till, &books, &later).await / later.len() as u64);
    // Whoever sells licences pays their revenue with the round.
    till.sell_first().await;
    let (books, shared): (Books, Vec<Credit>) = (till.books().await, others(5));
    let used = claim(till, &books, &shared).await / shared.len() as u64;
    gas.insert(format!("claim, each of {} later ones, first with revenue", shared.len()), used);
}

fn as_node(credit: &Credit) -> bool {
    credit.leaf.is_some_and(|leaf| leaf.as_node)
}

async fn claim(till: &Till, books: &Books, credits: &[Credit]) -> u64 {
    let claims = books.claims(credits, &till.cohorts).unwrap();
    till.ledger().claim(&wallet(9), &claims).await.unwrap().gas_used
}

/// Each proof in a study of its own, with real signatures and openings.
async fn proofs(rules: Rules, wrong: &[Wrong], gas: &mut Gas) {
    let world = World::under(rules);
    let bench = Bench::set(&world, 5).await;
    let (sound, other) = (roots(&honest(5, 1, 100, 2)), root("another"));
    let study = async || bench.settle(1, 100, &sound, &[1, 2, 3, 4, 5]).await;
    let address = bench.address(1);

    let at = study().await;
    let statements = Box::new([bench.share(&at, 1, at.settlement.setRoot, other)]);
    let charge = Charge::WrongShareRoot { address, statements };
    gas.insert("proof of a wrong share".into(), prove(&bench, &at, charge).await);
    let at = study().await;
    let charge = Charge::WrongShareRoot { address, statements: Box::new([bench.share(&at, 1, other, at.roots[1])]) };
    gas.insert("proof of a share of another set".into(), prove(&bench, &at, charge).await);
    let at = study().await;
    let pair = [at.roots[1], other].map(|said| bench.share(&at, 1, at.settlement.setRoot, said));
    let charge = Charge::TwoShareRoots { address, statements: Box::new(pair) };
    gas.insert("proof of two shares".into(), prove(&bench, &at, charge).await);
    let at = study().await;
    let pair = [1, 2].map(|round| bench.final_of(&at, 1, round, at.settlement.setRoot));
    let charge = Charge::TwoFinals { address, statements: Box::new(pair) };
    gas.insert("proof of two Finals".into(), prove(&bench, &at, charge).await);
    let at = study().await;
    let pair = [at.roots[0], other].map(|said| bench.settlement(&at, 1, said));
    let charge = Charge::TwoSettlements { address, statements: Box::new(pair) };
    gas.insert("proof of two settlements".into(), prove(&bench, &at, charge).await);
    let at = study().await;
    let pair = ["one", "two"].map(|digest| bench.contribution(&at, 1, digest));
    let charge = Charge::TwoContributions { site: bench.site(1), statements: Box::new(pair) };
    gas.insert("proof of two contributions, first of an account".into(), prove(&bench, &at, charge).await);

    for Wrong { length, roots, flaw } in wrong {
        let at = bench.settle(1, *length, roots, &[1, 2, 3, 4]).await;
        let used = prove(&bench, &at, Charge::WrongSettlement(flaw.clone())).await;
        gas.insert(format!("proof of a wrong settlement, {length} elements"), used);
    }
}

fn roots(vectors: &[Vec<Fp>]) -> Vec<B256> {
    vectors.iter().map(|values| vector_root(values)).collect()
}

/// Settled roots over an aggregate that does not follow from the shares, and the openings that show it.
struct Wrong {
    length: usize,
    roots: Vec<B256>,
    flaw: Flaw,
}

impl Wrong {
    fn of(length: usize) -> Self {
        let mut vectors = honest(5, 1, length, 2);
        // In the middle: a full leaf with the longest path.
        vectors[0][length / 2] += Fp::ONE;
        let roots = roots(&vectors);
        let flaw = find(&Committee::new(5, 1).unwrap(), &roots, &vectors).unwrap();
        Self { length, roots, flaw }
    }
}

async fn prove(bench: &Bench, settled: &Settled, charge: Charge) -> u64 {
    let accusation = Accusation { study: settled.study, round: 1, charge };
    bench.ledger.accuse(&bench.reporter, &accusation).await.unwrap().gas_used
}

#[tokio::test]
async fn gas_under_todays_rules_and_the_next_ones_is_what_the_snapshot_says() {
    let wrong = [100, 1_000_000].map(Wrong::of);
    let mut found: BTreeMap<&str, Gas> = BTreeMap::new();
    for rules in Rules::ALL {
        let gas = found.entry(rules.name()).or_default();
        deployment(rules, gas).await;
        let till = rounds(rules, 5, 1, gas).await;
        claims(&till, gas).await;
        rounds(rules, 9, 2, gas).await;
        proofs(rules, &wrong, gas).await;
    }
    let [today, next] = Rules::ALL.map(|rules| &found[rules.name()]);
    println!("| step | Osaka | Amsterdam |\n|---|---|---|");
    for (step, used) in today {
        println!("| {step} | {used} | {} |", next[step]);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contracts/snapshots/rules.json");
    let text = serde_json::to_string_pretty(&found).unwrap() + "\n";
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(kept, text, "gas has changed: run this test with UPDATE_SNAPSHOTS=1 and update the table in docs/CONTRACTS.md");
}
