//! `consilium study`: the sponsor's side of a study, and a look at it.

use super::admitted::Admitted;
use super::connection::ChainOptions;
use super::funds::{self, Sending};
use super::keys::KeyOption;
use super::{escheat, governance, overview};
use crate::failure::Failure;
use crate::output::print;
use alloy_primitives::{Address, B256, U256, keccak256};
use consilium_core::params::Finality;
use consilium_core::program::{AnyProgram, OneHot, WeightedMean};
use consilium_ledger::{Conditions, NewStudy};
use std::path::{Path, PathBuf};

/// Studies: a program, a committee, the sites and the policy.
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
    /// Create a study; you become its sponsor.
    Create(Box<Create>),
    /// Show a study and the committee fingerprint that sites are to pin.
    Show(overview::Show),
    /// Replace the list of admitted sites from the next round on.
    Sites(Sites),
    /// Form the committee of the next epoch, as after a conviction or a resignation. Sites have to be told its fingerprint.
    Committee(FormCommittee),
    /// Give the study money.
    Fund(funds::Fund),
    /// Take money out that no round has reserved.
    Withdraw(funds::Withdraw),
    /// Set what rounds pay from the next opened one on.
    Rewards(funds::Rewards),
    /// Give the sponsor back what nobody has a right to: what struck sites lost (with --node, which tells the sets), and what
    /// was left over. Anyone may.
    ReturnForfeits(escheat::OfRounds),
    /// Announce that what nobody claimed of old rounds goes to the sink a quarter later. Anyone may.
    AnnounceEscheat(escheat::OfRounds),
    /// Send what nobody claimed of rounds to the sink, a quarter after its announcement. Anyone may.
    Escheat(escheat::Taking),
    /// Announce that what the currency refused to pay an account years ago goes to the sink a quarter later. Anyone may.
    AnnounceUnpaidEscheat(governance::About),
    /// Send what the currency refused to pay an account to the sink, a quarter after its announcement. Anyone may.
    EscheatUnpaid(escheat::TakingUnpaid),
    /// Take a site back that was struck off for signing two contributions.
    Restore(funds::Restore),
    /// Show what came in, went out and is held; with --node, also who was paid and who is owed.
    Money(funds::Show),
    /// Let an auditor read the study's vectors, or stop it.
    Auditor(Auditor),
    /// Set minimum cohort and finality rule from the next round on.
    Policy(governance::Policy),
    /// Give a role to an account: operator of rounds, treasurer or guardian.
    Role(governance::GiveRole),
    /// Let an account take the study over, with its funds, rounds and licences. It has to take it itself.
    Transfer(governance::About),
    /// Take over a study that its sponsor lets you have.
    Take(Sending),
    /// Guardian: stop the study's proofs and payouts for a while.
    Pause(governance::Pause),
    /// Guardian: end a pause.
    Resume(Sending),
    /// End the study: its committee is discharged, and no round opens any more.
    End(governance::End),
    /// Guardian: put off the compensation out of a node's bond, once.
    Postpone(governance::About),
    /// Have what you earn in the study paid to another account.
    Payee(governance::About),
    /// Pay an account what the currency refused before.
    Unpaid(governance::About),
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum ProgramName {
    /// Federated averaging of norm-bounded updates.
    WeightedMean,
    /// A ballot: one choice of d.
    OneHot,
}

#[derive(Debug, clap::Args)]
struct Create {
    #[command(flatten)]
    chain: ChainOptions,
    #[command(flatten)]
    key: KeyOption,
    /// What is proved about each input.
    #[arg(long, value_enum, default_value = "weighted-mean")]
    program: ProgramName,
    /// Number of coordinates, or of choices.
    #[arg(long, short)]
    dimension: u64,
    /// Scale bits s of weighted-mean.
    #[arg(long, default_value_t = 25)]
    scale: u64,
    /// Weight bits b of weighted-mean: weights are 1 to 2^b.
    #[arg(long, default_value_t = 8)]
    weight_bits: u64,
    /// Clip radius C of weighted-mean.
    #[arg(long, default_value_t = 1.0)]
    clip: f64,
    /// The committee, node 1 first.
    #[arg(long = "member", value_name = "ADDRESS", value_delimiter = ',', required = true)]
    members: Vec<Address>,
    /// t: how many nodes may be corrupt; 4t+1 <= n <= 5t+1 recommended.
    #[arg(long, short)]
    threshold: u8,
    #[command(flatten)]
    admitted: Admitted,
    /// Fewest sites of a certified set.
    #[arg(long, default_value_t = 10)]
    minimum_cohort: u32,
    /// When nodes take a certificate as final: instant, depth:N, safe or finalized.
    #[arg(long, default_value = "finalized")]
    finality: Finality,
    /// What a weight of 1 stands for, such as patients; at most 32 bytes.
    #[arg(long, value_name = "NAME", default_value = "")]
    weight_unit: String,
    /// File that describes the study to its sites; its keccak256 hash is on chain for good.
    #[arg(long, value_name = "FILE")]
    description: Option<PathBuf>,
    #[command(flatten)]
    conditions: ConditionOptions,
}

/// What the money and the stake of a study follow, for good.
#[derive(Debug, clap::Args)]
struct ConditionOptions {
    /// ERC-20 in which rounds and licences are paid; without one, the study runs without money.
    #[arg(long, value_name = "ADDRESS", default_value_t = Address::ZERO, hide_default_value = true)]
    currency: Address,
    /// What one settled round pays, in the currency's smallest unit.
    #[arg(long, default_value_t = U256::ZERO, requires = "currency")]
    budget: U256,
    /// The part of it for the nodes that sign, in ten-thousandths; the sites share the rest.
    #[arg(long, default_value_t = 0)]
    node_share: u16,
    /// What each node answers with, in wei: lost if an offence is proved.
    #[arg(long, default_value_t = U256::from(10).pow(U256::from(17)))]
    bond: U256,
    /// Refuse nodes that have registered only lately.
    #[arg(long)]
    no_newcomers: bool,
    /// Seconds after a settlement in which proving it wrong undoes it.
    #[arg(long, value_name = "SECONDS", default_value_t = Conditions::default().challenge_window)]
    challenge_window: u32,
    /// Rounds on record at once, 2 to 1024: as many as you may open within one challenge window.
    #[arg(long, value_name = "ROUNDS", default_value_t = Conditions::default().ring)]
    ring: u16,
    /// Who may hold compensation back, and stop proofs and payouts for a while.
    #[arg(long, value_name = "ADDRESS", default_value_t = Address::ZERO, hide_default_value = true)]
    guardian: Address,
    /// The contract that has to approve of committees.
    #[arg(long, value_name = "ADDRESS", default_value_t = Address::ZERO, hide_default_value = true)]
    source: Address,
    /// One of your privacy accounts, on which every round draws.
    #[arg(long, value_name = "ACCOUNT", requires = "privacy_cost", default_value_t = 0, hide_default_value = true)]
    privacy_account: u64,
    /// What a round costs that account: rho of zero-concentrated differential privacy, in billionths.
    #[arg(long, value_name = "BILLIONTHS", requires = "privacy_account", default_value_t = 0, hide_default_value = true)]
    privacy_cost: u64,
}

impl From<ConditionOptions> for Conditions {
    fn from(options: ConditionOptions) -> Self {
        let ConditionOptions { currency, budget, node_share, bond, no_newcomers, challenge_window, ring, .. } = options;
        let ConditionOptions { guardian, source, privacy_account, privacy_cost, .. } = options;
        let newcomers = !no_newcomers;
        let money = Self { currency, budget, node_share, bond, newcomers, challenge_window, ring, ..Self::default() };
        Self { guardian, source, privacy_account, privacy_cost, ..money }
    }
}

#[derive(Debug, clap::Args)]
struct Sites {
    #[command(flatten)]
    sending: Sending,
    #[command(flatten)]
    admitted: Admitted,
}

#[derive(Debug, clap::Args)]
struct FormCommittee {
    #[command(flatten)]
    sending: Sending,
    /// The committee, node 1 first.
    #[arg(long = "member", value_name = "ADDRESS", value_delimiter = ',', required = true)]
    members: Vec<Address>,
    /// t: how many nodes may be corrupt.
    #[arg(long, short)]
    threshold: u8,
}

#[derive(Debug, clap::Args)]
struct Auditor {
    #[command(flatten)]
    sending: Sending,
    /// The auditor's address.
    address: Address,
    /// Take the right away.
    #[arg(long)]
    revoke: bool,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let json = arguments.json;
    match arguments.command {
        Command::Create(options) => create(*options, json).await,
        Command::Show(options) => overview::show(&options, json).await,
        Command::Sites(options) => sites(&options, json).await,
        Command::Committee(options) => committee(&options, json).await,
        Command::Fund(options) => funds::fund(options, json).await,
        Command::Withdraw(options) => funds::withdraw(options, json).await,
        Command::Rewards(options) => funds::rewards(options, json).await,
        Command::Restore(options) => funds::restore(options, json).await,
        Command::ReturnForfeits(options) => escheat::return_forfeits(options, json).await,
        Command::AnnounceEscheat(options) => escheat::announce_escheat(options, json).await,
        Command::Escheat(options) => escheat::escheat(options, json).await,
        Command::AnnounceUnpaidEscheat(options) => escheat::announce_unpaid(options, json).await,
        Command::EscheatUnpaid(options) => escheat::escheat_unpaid(options, json).await,
        Command::Money(options) => funds::show(options, json).await,
        Command::Auditor(options) => auditor(&options, json).await,
        Command::Policy(options) => governance::policy(&options, json).await,
        Command::Role(options) => governance::role(&options, json).await,
        Command::Transfer(options) => governance::transfer(&options, json).await,
        Command::Take(options) => governance::take(&options, json).await,
        Command::Pause(options) => governance::pause(&options, json).await,
        Command::Resume(options) => governance::resume(&options, json).await,
        Command::End(options) => governance::end(&options, json).await,
        Command::Postpone(options) => governance::postpone(&options, json).await,
        Command::Payee(options) => governance::payee(&options, json).await,
        Command::Unpaid(options) => governance::unpaid(&options, json).await,
    }
}

async fn create(options: Create, json: bool) -> Result<(), Failure> {
    let program = match options.program {
        ProgramName::OneHot => AnyProgram::OneHot(OneHot::new(options.dimension).map_err(Failure::usage)?),
        ProgramName::WeightedMean => {
            let tests = WeightedMean::PRODUCTION_TESTS;
            let program = WeightedMean::new(options.dimension, options.scale, options.weight_bits, tests, options.clip);
            AnyProgram::WeightedMean(program.map_err(Failure::usage)?)
        }
    };
    program.check_production().map_err(Failure::usage)?;
    let new = NewStudy {
        program,
        threshold: options.threshold,
        nodes: options.members,
        sites: options.admitted.list()?,
        sites_uri: options.admitted.at().unwrap_or_default().to_owned(),
        minimum_cohort: options.minimum_cohort,
        finality: options.finality,
        conditions: options.conditions.into(),
        weight_unit: options.weight_unit,
        description: options.description.as_deref().map(hash_of).transpose()?.unwrap_or_default(),
    };
    let ledger = options.chain.ledger().await?;
    let study = ledger.create_study(&options.key.wallet()?, &new).await?;
    print(json, &serde_json::json!({ "study": study.output, "gas": study.receipt.gas_used }), |_| {
        format!("study {} created ({} gas){}", study.output, study.receipt.gas_used, options.admitted.reminder())
    });
    Ok(())
}

async fn sites(options: &Sites, json: bool) -> Result<(), Failure> {
    let Sending { chain, key, study } = &options.sending;
    let (ledger, wallet, list) = (chain.ledger().await?, key.wallet()?, options.admitted.list()?);
    let receipt = match options.admitted.at() {
        Some(uri) => ledger.set_sites_at(&wallet, *study, &list, uri).await?,
        None => ledger.set_sites(&wallet, *study, &list).await?,
    };
    let value = serde_json::json!({ "sites": list.len(), "sites_uri": options.admitted.at(), "gas": receipt.gas_used });
    print(json, &value, |_| {
        let (sites, gas) = (list.len(), receipt.gas_used);
        format!("{sites} sites admitted from the next round on ({gas} gas){}", options.admitted.reminder())
    });
    Ok(())
}

async fn committee(options: &FormCommittee, json: bool) -> Result<(), Failure> {
    let Sending { chain, key, study } = &options.sending;
    let ledger = chain.ledger().await?;
    let formed = ledger.set_committee(&key.wallet()?, *study, options.threshold, &options.members).await?;
    let study = ledger.study(*study).await?;
    let fingerprint = study.committee().map(consilium_core::params::CommitteeMembers::hash);
    let value = serde_json::json!({
        "study": study.id, "epoch": formed.output, "fingerprint": fingerprint, "gas": formed.receipt.gas_used,
    });
    print(json, &value, |_| {
        let shown = fingerprint.map_or_else(|| "none".to_owned(), |hash| hash.to_string());
        format!("committee of epoch {}; fingerprint for the sites to pin: {shown}", formed.output)
    });
    Ok(())
}

async fn auditor(options: &Auditor, json: bool) -> Result<(), Failure> {
    let Sending { chain, key, study } = &options.sending;
    let allowed = !options.revoke;
    let receipt = chain.ledger().await?.set_auditor(&key.wallet()?, *study, options.address, allowed).await?;
    print(json, &serde_json::json!({ "auditor": options.address, "allowed": allowed, "gas": receipt.gas_used }), |_| {
        format!("{} {} read the vectors of study {study}", options.address, if allowed { "may" } else { "may no longer" })
    });
    Ok(())
}

fn hash_of(file: &Path) -> Result<B256, Failure> {
    let read = std::fs::read(file).map_err(|error| Failure::usage(format!("cannot read {}: {error}", file.display())))?;
    Ok(keccak256(read))
}
