//! `consilium study`: the sponsor's side of a study, and a look at it.

use super::connection::ChainOptions;
use super::funds::{self, Sending};
use super::governance;
use super::keys::KeyOption;
use crate::failure::Failure;
use crate::output::print;
use alloy_primitives::{Address, B256, U256, keccak256};
use consilium_core::params::Finality;
use consilium_core::program::{AnyProgram, OneHot, WeightedMean};
use consilium_ledger::{Conditions, NewStudy, SitesList, Study};
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
    Show(Show),
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
    /// File with one site address a line.
    #[arg(long, value_name = "FILE")]
    sites: PathBuf,
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
}

impl From<ConditionOptions> for Conditions {
    fn from(options: ConditionOptions) -> Self {
        let ConditionOptions { currency, budget, node_share, bond, no_newcomers, challenge_window, ring, guardian, source } =
            options;
        let newcomers = !no_newcomers;
        let money = Self { currency, budget, node_share, bond, newcomers, challenge_window, ring, ..Self::default() };
        Self { guardian, source, ..money }
    }
}

#[derive(Debug, clap::Args)]
struct Show {
    #[command(flatten)]
    chain: ChainOptions,
    /// Study number.
    #[arg(long)]
    study: u64,
}

#[derive(Debug, clap::Args)]
struct Sites {
    #[command(flatten)]
    sending: Sending,
    /// File with one site address a line.
    #[arg(long, value_name = "FILE")]
    sites: PathBuf,
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
        Command::Show(options) => show(&options, json).await,
        Command::Sites(options) => sites(&options, json).await,
        Command::Committee(options) => committee(&options, json).await,
        Command::Fund(options) => funds::fund(options, json).await,
        Command::Withdraw(options) => funds::withdraw(options, json).await,
        Command::Rewards(options) => funds::rewards(options, json).await,
        Command::Restore(options) => funds::restore(options, json).await,
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
        sites: read_addresses(&options.sites)?,
        sites_uri: String::new(),
        minimum_cohort: options.minimum_cohort,
        finality: options.finality,
        conditions: options.conditions.into(),
        weight_unit: options.weight_unit,
        description: options.description.as_deref().map(hash_of).transpose()?.unwrap_or_default(),
    };
    let ledger = options.chain.ledger().await?;
    let study = ledger.create_study(&options.key.wallet()?, &new).await?;
    print(json, &serde_json::json!({ "study": study.output, "gas": study.receipt.gas_used }), |_| {
        format!("study {} created ({} gas)", study.output, study.receipt.gas_used)
    });
    Ok(())
}

async fn show(options: &Show, json: bool) -> Result<(), Failure> {
    let study = options.chain.ledger().await?.study(options.study).await?;
    let fingerprint = study.committee().map(consilium_core::params::CommitteeMembers::hash);
    let members = study.committee().map(|c| c.members().iter().map(|m| m.address).collect::<Vec<_>>()).unwrap_or_default();
    let value = serde_json::json!({
        "study": study.id, "sponsor": study.sponsor, "program": study.program.name(), "dimension": study.program.dimension(),
        "committee": members, "threshold": study.committee().map(|c| c.sizes().t()), "fingerprint": fingerprint,
        "sites": study.sites.listed().map(<[Address]>::len), "sites_uri": sites_uri(&study), "minimum_cohort": study.minimum_cohort, "finality": study.finality.to_string(),
    });
    print(json, &value, |_| describe(&study, &members));
    Ok(())
}

fn describe(study: &Study, members: &[Address]) -> String {
    let mut text = format!(
        "study {} of sponsor {}\nprogram {} over {} coordinates",
        study.id,
        study.sponsor,
        study.program.name(),
        study.program.dimension()
    );
    if let Some(committee) = study.committee() {
        let sizes = committee.sizes();
        text += &format!("\ncommittee of {} nodes, {} may be corrupt, epoch {}", sizes.n(), sizes.t(), committee.epoch());
        text += &format!("\nfingerprint to pin, after comparing it out of band: {}", committee.hash());
    }
    for (i, member) in members.iter().enumerate() {
        text += &format!("\n  node {:2}  {member}", i + 1);
    }
    let sites = match &study.sites {
        SitesList::Listed(sites) => format!("{} admitted sites", sites.len()),
        SitesList::At(uri) => format!("the list of sites is published at {uri}"),
    };
    text + &format!("\n{sites}, at least {} in a set, certificates final by rule {}", study.minimum_cohort, study.finality)
}

/// Where the list of sites is, if not on the chain.
fn sites_uri(study: &Study) -> Option<&str> {
    if let SitesList::At(uri) = &study.sites { Some(uri) } else { None }
}

async fn sites(options: &Sites, json: bool) -> Result<(), Failure> {
    let Sending { chain, key, study } = &options.sending;
    let list = read_addresses(&options.sites)?;
    let receipt = chain.ledger().await?.set_sites(&key.wallet()?, *study, &list).await?;
    print(json, &serde_json::json!({ "sites": list.len(), "gas": receipt.gas_used }), |_| {
        format!("{} sites admitted from the next round on ({} gas)", list.len(), receipt.gas_used)
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

/// One address a line; blank lines and lines that start with # do not count.
fn read_addresses(file: &Path) -> Result<Vec<Address>, Failure> {
    let text =
        std::fs::read_to_string(file).map_err(|error| Failure::usage(format!("cannot read {}: {error}", file.display())))?;
    let mut addresses = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if !line.is_empty() && !line.starts_with('#') {
            let wrong = |error| Failure::usage(format!("{}:{}: {line:?} is not an address: {error}", file.display(), number + 1));
            addresses.push(line.parse().map_err(wrong)?);
        }
    }
    Ok(addresses)
}
