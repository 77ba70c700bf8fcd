//! `consilium privacy`: accounts of what the studies of a sponsor may reveal together.

use super::connection::ChainOptions;
use super::keys::KeyOption;
use crate::failure::Failure;
use crate::output::print;
use alloy_primitives::Address;
use consilium_ledger::PrivacyAccount;
use serde_json::{Value, json};

/// Privacy accounts: what the studies of a sponsor may reveal together. A study that names one (`study create
/// --privacy-account`) draws on it with every round, and no round opens beyond its budget.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Print machine-readable JSON instead of text.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Open an account of your own. Neither its budget nor its delta ever changes.
    Open(Open),
    /// Show an account: what is left of it, and which studies draw on it.
    Show(Show),
}

#[derive(Debug, clap::Args)]
struct Open {
    #[command(flatten)]
    chain: ChainOptions,
    #[command(flatten)]
    key: KeyOption,
    /// What you call it; 1 to 64 bytes.
    #[arg(long)]
    name: String,
    /// What all rounds may cost together: rho of zero-concentrated differential privacy, in billionths.
    #[arg(long, value_name = "BILLIONTHS", value_parser = clap::value_parser!(u64).range(1..))]
    budget: u64,
    /// The delta at which you state epsilon, in 10^-18.
    #[arg(long, default_value_t = 1_000_000_000_000, value_parser = clap::value_parser!(u64).range(1..WHOLE))]
    delta: u64,
}

#[derive(Debug, clap::Args)]
struct Show {
    #[command(flatten)]
    chain: ChainOptions,
    /// Account number.
    #[arg(long)]
    account: u64,
}

const WHOLE: u64 = 1_000_000_000_000_000_000;

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let json = arguments.json;
    match arguments.command {
        Command::Open(options) => open(&options, json).await,
        Command::Show(options) => show(&options, json).await,
    }
}

async fn open(options: &Open, json: bool) -> Result<(), Failure> {
    let (ledger, wallet) = (options.chain.ledger().await?, options.key.wallet()?);
    let opened = ledger.open_privacy_account(&wallet, &options.name, options.budget, options.delta).await?;
    let (account, gas) = (opened.output, opened.receipt.gas_used);
    let value = json!({
        "account": account, "owner": wallet.address(), "name": options.name, "budget": options.budget, "delta": options.delta,
        "gas": gas,
    });
    print(json, &value, |_| {
        format!("privacy account {account} is open: name it with `study create --privacy-account {account}` ({gas} gas)")
    });
    Ok(())
}

async fn show(options: &Show, json: bool) -> Result<(), Failure> {
    let account = options.chain.ledger().await?.privacy_account(options.account).await?;
    print(json, &value_of(&account), |_| describe(&account));
    Ok(())
}

fn value_of(account: &PrivacyAccount) -> Value {
    let owner: Address = account.owner;
    json!({
        "account": account.account, "owner": owner, "name": account.name, "budget": account.budget, "spent": account.spent,
        "left": account.budget.saturating_sub(account.spent), "delta": account.delta, "studies": account.studies,
        "epsilon_of_budget": epsilon(account.budget, account.delta), "epsilon_of_spent": epsilon(account.spent, account.delta),
    })
}

fn describe(account: &PrivacyAccount) -> String {
    let left = account.budget.saturating_sub(account.spent);
    let told = |rho: u64| format!("rho {} (epsilon {:.3} at most)", decimal(rho), epsilon(rho, account.delta));
    let mut text = format!(
        "privacy account {} of {}: {:?}\nbudget  {}\nspent   {}\nleft    rho {}\ndelta   {} x 10^-18",
        account.account,
        account.owner,
        account.name,
        told(account.budget),
        told(account.spent),
        decimal(left),
        account.delta
    );
    for (study, cost) in &account.studies {
        let rounds = left.checked_div(*cost).unwrap_or_default();
        text += &format!("\nstudy {study} costs {} a round: {rounds} more rounds if no other study draws", decimal(*cost));
    }
    text
}

/// Billionths as a decimal number.
fn decimal(billionths: u64) -> String {
    let text = format!("{}.{:09}", billionths / 1_000_000_000, billionths % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// What rho of zCDP means as (epsilon, delta), by the bound of Bun and Steinke 2016, Proposition 1.3: never too small.
fn epsilon(rho: u64, delta: u64) -> f64 {
    let (rho, delta) = (rho as f64 / 1e9, delta as f64 / 1e18);
    rho + 2.0 * (rho * -delta.ln()).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rho_is_told_in_full_and_as_epsilon() {
        assert_eq!([0, 1, 500_000_000, 1_000_000_000, 12_340_000_000].map(decimal), ["0", "0.000000001", "0.5", "1", "12.34"]);
        // 0.5 + 2 sqrt(0.5 ln 10^6)
        assert!((epsilon(500_000_000, 1_000_000_000_000) - 5.756_522).abs() < 1e-6);
        assert_eq!(epsilon(0, 1), 0.0);
    }
}
