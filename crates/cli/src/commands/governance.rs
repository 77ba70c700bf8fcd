//! `consilium study policy | role | transfer | take | pause | resume | end | postpone | payee | unpaid`: who may do what to a
//! study, and where its money goes.

use super::funds::Sending;
use crate::failure::Failure;
use crate::output::print;
use alloy_primitives::Address;
use consilium_core::params::Finality;
use consilium_ledger::{Receipt, Role};

#[derive(Debug, clap::Args)]
pub(super) struct Policy {
    #[command(flatten)]
    sending: Sending,
    /// Fewest sites of a certified set.
    #[arg(long)]
    minimum_cohort: u32,
    /// When nodes take a certificate as final: instant, depth:N, safe or finalized.
    #[arg(long)]
    finality: Finality,
}

#[derive(Debug, clap::Args)]
pub(super) struct GiveRole {
    #[command(flatten)]
    sending: Sending,
    /// Which.
    #[arg(long, value_enum)]
    role: RoleName,
    /// Who has it from now on; the zero address for nobody.
    #[arg(long, value_name = "ADDRESS")]
    to: Address,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum RoleName {
    /// Opens rounds.
    Operator,
    /// Takes out money that no round has reserved, and sets the price of licences.
    Treasurer,
    /// Puts compensations off, and stops proofs and payouts for a while.
    Guardian,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Operator => Self::Operator,
            RoleName::Treasurer => Self::Treasurer,
            RoleName::Guardian => Self::Guardian,
        }
    }
}

/// A transaction about a study and an account.
#[derive(Debug, clap::Args)]
pub(super) struct About {
    #[command(flatten)]
    pub(super) sending: Sending,
    /// The account.
    #[arg(long, value_name = "ADDRESS")]
    pub(super) account: Address,
}

#[derive(Debug, clap::Args)]
pub(super) struct Pause {
    #[command(flatten)]
    sending: Sending,
    /// For how many seconds from now.
    #[arg(long, value_name = "SECONDS")]
    seconds: u64,
}

#[derive(Debug, clap::Args)]
pub(super) struct End {
    #[command(flatten)]
    sending: Sending,
    /// Yes: no round of this study will ever open again.
    #[arg(long, required = true)]
    yes: bool,
}

fn tell(json: bool, study: u64, receipt: &Receipt, words: impl FnOnce() -> String) {
    let value = serde_json::json!({ "study": study, "transaction": receipt.transaction, "gas": receipt.gas_used });
    print(json, &value, |_| format!("{} ({} gas)", words(), receipt.gas_used));
}

pub(super) async fn policy(options: &Policy, json: bool) -> Result<(), Failure> {
    let Sending { chain, key, study } = &options.sending;
    let ledger = chain.ledger().await?;
    let receipt = ledger.set_policy(&key.wallet()?, *study, options.minimum_cohort, options.finality).await?;
    let (cohort, finality) = (options.minimum_cohort, options.finality);
    tell(json, *study, &receipt, || {
        format!("from the next round on, study {study} needs {cohort} sites and is final by {finality}")
    });
    Ok(())
}

pub(super) async fn role(options: &GiveRole, json: bool) -> Result<(), Failure> {
    let Sending { chain, key, study } = &options.sending;
    let receipt = chain.ledger().await?.set_role(&key.wallet()?, *study, options.role.into(), options.to).await?;
    tell(json, *study, &receipt, || format!("{} is the {:?} of study {study}", options.to, Role::from(options.role)));
    Ok(())
}

pub(super) async fn transfer(options: &About, json: bool) -> Result<(), Failure> {
    let Sending { chain, key, study } = &options.sending;
    let receipt = chain.ledger().await?.offer_study(&key.wallet()?, *study, options.account).await?;
    let to = options.account;
    tell(json, *study, &receipt, || format!("study {study} is {to}'s to take with `consilium study take --study {study}`"));
    Ok(())
}

pub(super) async fn take(options: &Sending, json: bool) -> Result<(), Failure> {
    let Sending { chain, key, study } = options;
    let ledger = chain.ledger().await?;
    let (wallet, sponsor) = (key.wallet()?, ledger.study(*study).await?.sponsor);
    if wallet.address() == sponsor {
        return Err(Failure::usage(format!(
            "study {study} is yours already: to take it again would only end its roles and its committee"
        )));
    }
    let receipt = ledger.take_study(&wallet, *study, sponsor).await?;
    tell(json, *study, &receipt, || {
        format!("study {study} is yours: form its committee with `consilium study committee`, of nodes that agreed to serve you")
    });
    Ok(())
}

pub(super) async fn pause(options: &Pause, json: bool) -> Result<(), Failure> {
    let Sending { chain, key, study } = &options.sending;
    let ledger = chain.ledger().await?;
    // The next block has the time of now, however old the newest one is.
    let until = ledger.head().await?.timestamp.max(super::round::unix_seconds()).saturating_add(options.seconds);
    let receipt = ledger.pause(&key.wallet()?, *study, until).await?;
    tell(json, *study, &receipt, || format!("proofs and payouts of study {study} are stopped until block time {until}"));
    Ok(())
}

pub(super) async fn resume(options: &Sending, json: bool) -> Result<(), Failure> {
    let Sending { chain, key, study } = options;
    let receipt = chain.ledger().await?.resume(&key.wallet()?, *study).await?;
    tell(json, *study, &receipt, || format!("proofs and payouts of study {study} go on"));
    Ok(())
}

pub(super) async fn end(options: &End, json: bool) -> Result<(), Failure> {
    let Sending { chain, key, study } = &options.sending;
    let receipt = chain.ledger().await?.end_study(&key.wallet()?, *study).await?;
    tell(json, *study, &receipt, || {
        format!("study {study} has ended: its committee is discharged, and `consilium study withdraw` takes out its free money")
    });
    Ok(())
}

pub(super) async fn payee(options: &About, json: bool) -> Result<(), Failure> {
    let Sending { chain, key, study } = &options.sending;
    let receipt = chain.ledger().await?.set_payee(&key.wallet()?, *study, options.account).await?;
    tell(json, *study, &receipt, || format!("what you earn in study {study} goes to {}", options.account));
    Ok(())
}

pub(super) async fn unpaid(options: &About, json: bool) -> Result<(), Failure> {
    let Sending { chain, key, study } = &options.sending;
    let receipt = chain.ledger().await?.pay_unpaid(&key.wallet()?, *study, options.account).await?;
    tell(json, *study, &receipt, || format!("what the currency had refused to pay {} is paid", options.account));
    Ok(())
}

pub(super) async fn postpone(options: &About, json: bool) -> Result<(), Failure> {
    let Sending { chain, key, study } = &options.sending;
    let receipt = chain.ledger().await?.postpone_compensation(&key.wallet()?, *study, options.account).await?;
    tell(json, *study, &receipt, || format!("the compensation out of {}'s bond is put off", options.account));
    Ok(())
}
