//! `consilium licence`: selling, buying and using licences to a study's aggregates.

use super::connection::{ChainOptions, NodeOptions};
use super::contribute::{failure, read_tensors};
use super::funds::Sending;
use super::keys::{OwnKey, holder};
use crate::consent::Consent;
use crate::failure::Failure;
use crate::output::{print, spinner, write_file};
use alloy_primitives::{Address, U256};
use consilium_ledger::Offer;
use consilium_site::tensors::apply_mean;
use consilium_site::{Aggregate, Reader};
use serde_json::json;
use std::path::PathBuf;

/// Licences to a study's aggregates. What they bring is, at once, that of the sites and nodes of the rounds settled before;
/// `consilium claim` pays it.
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
    /// Treasurer or sponsor: set what a licence costs.
    Offer(SetOffer),
    /// Buy licences.
    Buy(Buy),
    /// Show what a licence costs, and whether an account may download.
    Show(Show),
    /// Download the aggregate of a settled round from the nodes, checked against the chain.
    Download(Download),
}

#[derive(Debug, clap::Args)]
struct SetOffer {
    #[command(flatten)]
    sending: Sending,
    /// For one licence, in the smallest unit of the study's currency; 0 ends the sale.
    #[arg(long)]
    price: U256,
    /// What you ask of resales (ERC-2981), in ten-thousandths; 1,000 at most.
    #[arg(long, default_value_t = 0)]
    royalty: u16,
}

#[derive(Debug, clap::Args)]
struct Buy {
    #[command(flatten)]
    sending: Sending,
    /// How many.
    #[arg(long, default_value_t = 1)]
    quantity: u32,
    /// The most that you pay for one; the price of now if not given. With one --rpc, give it, or --yes, where nobody can be
    /// asked.
    #[arg(long, value_name = "PRICE")]
    at_most: Option<U256>,
    #[command(flatten)]
    consent: Consent,
    /// Who is to hold them; you if not given.
    #[arg(long, value_name = "ADDRESS")]
    to: Option<Address>,
}

#[derive(Debug, clap::Args)]
struct Show {
    #[command(flatten)]
    chain: ChainOptions,
    /// Study number.
    #[arg(long)]
    study: u64,
    /// Whose licences to count.
    #[arg(long, value_name = "ADDRESS")]
    account: Option<Address>,
}

#[derive(Debug, clap::Args)]
struct Download {
    #[command(flatten)]
    chain: ChainOptions,
    #[command(flatten)]
    nodes: NodeOptions,
    #[command(flatten)]
    key: OwnKey,
    /// Contract in whose name the key asks, such as a Safe that holds the licence: one that accepts the key's signature alone
    /// (ERC-1271).
    #[arg(long, value_name = "ADDRESS")]
    account: Option<Address>,
    /// Study number.
    #[arg(long)]
    study: u64,
    /// Round number.
    #[arg(long)]
    round: u64,
    /// The base model of the round, as safetensors: gives the mean its tensor names.
    #[arg(long, value_name = "FILE")]
    base: Option<PathBuf>,
    /// Where to write the weighted mean of the updates, as safetensors.
    #[arg(long, value_name = "FILE", requires = "base")]
    out: Option<PathBuf>,
    /// Where to write the next model, base plus mean, as safetensors.
    #[arg(long, value_name = "FILE", requires = "base")]
    model: Option<PathBuf>,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let json = arguments.json;
    match arguments.command {
        Command::Offer(options) => offer(&options, json).await,
        Command::Buy(options) => buy(&options, json).await,
        Command::Show(options) => show(&options, json).await,
        Command::Download(options) => download(options, json).await,
    }
}

async fn offer(options: &SetOffer, json: bool) -> Result<(), Failure> {
    let Sending { chain, key, study } = &options.sending;
    let offer = Offer { price: options.price, royalty: options.royalty };
    let receipt = chain.ledger().await?.set_offer(&key.wallet()?, *study, offer).await?;
    let value = json!({ "study": study, "price": offer.price.to_string(), "royalty": offer.royalty, "gas": receipt.gas_used });
    print(json, &value, |_| format!("a licence to study {study} costs {} ({} gas)", offer.price, receipt.gas_used));
    Ok(())
}

async fn buy(options: &Buy, json: bool) -> Result<(), Failure> {
    let Sending { chain, key, study } = &options.sending;
    let (endpoints, wallet, study) = (chain.endpoints().await?, key.wallet()?, *study);
    let (quantity, to) = (options.quantity, options.to.unwrap_or(wallet.address()));
    let price = endpoints.agreed(|ledger| async move { ledger.offer(study).await }).await?.price;
    if options.at_most.is_none() && endpoints.all().len() == 1 {
        let question = format!("one endpoint says that a licence to study {study} costs {price}; buy {quantity}");
        options.consent.ask(&question, &format!("--at-most {price}, a second --rpc, or --yes"))?;
    }
    let highest = options.at_most.unwrap_or(price);
    let receipt = endpoints.primary().buy_licences(&wallet, study, quantity, highest, to).await?;
    let value = json!({ "study": study, "quantity": quantity, "price": price.to_string(), "to": to, "gas": receipt.gas_used });
    print(json, &value, |_| {
        format!("{to} has {quantity} more licences to study {study}, {price} each ({} gas)", receipt.gas_used)
    });
    Ok(())
}

async fn show(options: &Show, json: bool) -> Result<(), Failure> {
    let ledger = options.chain.ledger().await?;
    let (study, offer) = (options.study, ledger.offer(options.study).await?);
    let mut value = json!({ "study": study, "price": offer.price.to_string(), "royalty": offer.royalty });
    let mut text = match offer.price.is_zero() {
        true => format!("study {study} sells no licences"),
        false => format!("a licence to study {study} costs {}, {} ten-thousandths of resales", offer.price, offer.royalty),
    };
    if let Some(account) = options.account {
        let (held, may) = (ledger.licences_of(study, account).await?, ledger.may_download(study, account).await?);
        value["account"] = json!({ "address": account, "licences": held.to_string(), "may_download": may });
        text += &format!("\n{account} holds {held} and may{} download", if may { "" } else { " not" });
    }
    print(json, &value, |_| text);
    Ok(())
}

async fn download(options: Download, json: bool) -> Result<(), Failure> {
    let (study, round) = (options.study, options.round);
    let endpoints = options.chain.endpoints().await?;
    let holder = holder(endpoints.primary(), options.account, options.key.secret()?).await?;
    let reader = Reader::new(endpoints, &options.nodes.urls()).map_err(Failure::usage)?;
    let work = spinner("fetching and checking");
    let aggregate = reader.aggregate(study, round, &holder).await.map_err(failure)?;
    work.finish_and_clear();
    write(&options, &aggregate)?;
    let tally = (aggregate.total_weight() == 0).then(|| aggregate.sums());
    let value = json!({
        "study": study, "round": round, "sites": aggregate.cohort_size(), "total_weight": aggregate.total_weight(),
        "aggregate_root": aggregate.root(), "subject": aggregate.subject(), "tally": tally,
    });
    print(json, &value, |_| {
        format!(
            "round {round} of study {study}: {} sites, total weight {}, aggregate {}, as settled on the chain",
            aggregate.cohort_size(),
            aggregate.total_weight(),
            aggregate.root()
        )
    });
    Ok(())
}

fn write(options: &Download, aggregate: &Aggregate) -> Result<(), Failure> {
    let Some(base) = &options.base else { return Ok(()) };
    let base = read_tensors(base)?;
    if base.model_digest() != aggregate.subject() {
        let (given, wanted) = (base.model_digest(), aggregate.subject());
        return Err(Failure::usage(format!("the round is about the model {wanted}, --base is {given}")));
    }
    if let Some(file) = &options.out {
        write_file(file, &base.layout().safetensors_of(aggregate.mean()).map_err(Failure::failed)?)?;
    }
    if let Some(file) = &options.model {
        let next = apply_mean(&base, aggregate.mean()).map_err(Failure::failed)?;
        write_file(file, &next.to_safetensors().map_err(Failure::failed)?)?;
    }
    Ok(())
}
