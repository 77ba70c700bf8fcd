//! `consilium chain`: the embedded chain, and the contracts' deployment.

use super::connection::ChainOptions;
use super::keys::{KeyOption, OwnKey};
use crate::failure::Failure;
use crate::output::{print, spinner};
use alloy_primitives::{Address, U256};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use consilium_chain::{Chain, Genesis, Location, Rules, Sequencer, serve, system_clock};
use consilium_ledger::{Addresses, DeployOptions, Ledger, deploy, http_provider};
use std::net::SocketAddr;
use std::path::PathBuf;

/// The chain: any EVM chain will do; the embedded one is a single sequencer.
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
    /// Serve the embedded chain over JSON-RPC. One sequencer orders everything: whoever runs it can delay or leave out
    /// transactions, but cannot forge statements.
    Serve(Serve),
    /// Deploy the contracts and write their addresses to a file.
    Deploy(Deploy),
    /// Make coins of the currency for test networks. They are worth nothing.
    Mint(Mint),
    /// Show the head and the contracts.
    Status(ChainOptions),
}

#[derive(Debug, clap::Args)]
struct Serve {
    /// Folder of the blocks; in memory if not given.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where to listen. The endpoint has no authentication: keep it on a private address.
    #[arg(long, default_value = "127.0.0.1:8545", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// Chain id.
    #[arg(long, default_value_t = 31337)]
    chain_id: u64,
    /// Rules of execution and gas: Ethereum's fork as it is, or the next one as it is planned, to see what it will cost.
    #[arg(long, default_value = "osaka", value_name = "FORK", value_parser = rules())]
    rules: Rules,
    /// Accounts that start with 1,000,000 units of native currency; repeat it. Same list at every start.
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    fund: Vec<Address>,
}

#[derive(Debug, clap::Args)]
struct Deploy {
    /// URL of a JSON-RPC endpoint.
    #[arg(long, value_name = "URL", env = "CONSILIUM_RPC")]
    rpc: String,
    #[command(flatten)]
    key: OwnKey,
    /// Smallest stake of a node, in wei.
    #[arg(long, default_value_t = DeployOptions::default().minimum_stake)]
    minimum_stake: U256,
    /// Seconds between a node's leaving and its stake's return.
    #[arg(long, default_value_t = DeployOptions::default().unbonding_delay)]
    unbonding_delay: u64,
    /// Seconds for which a node counts as a newcomer, whom a study may refuse.
    #[arg(long, default_value_t = DeployOptions::default().probation)]
    probation: u64,
    /// Seconds between a conviction and the payment to the sites; no study's challenge window is longer, less the longest
    /// pause.
    #[arg(long, default_value_t = DeployOptions::default().compensation_delay)]
    compensation_delay: u64,
    /// Seconds that sites have to take a compensation that is due; then it goes to the sink.
    #[arg(long, default_value_t = DeployOptions::default().claim_time)]
    claim_time: u64,
    /// Who gets what no site may have of a bond that was taken, and what nobody claims in years; it has no other right. Burnt
    /// if not given.
    #[arg(long, value_name = "ADDRESS", default_value_t = DeployOptions::default().sink)]
    sink: Address,
    /// Shortest challenge window of a study, in seconds: an hour or more, but with --trial.
    #[arg(long)]
    minimum_window: Option<u32>,
    /// For trying out: challenge windows may last seconds. The chain says so to everybody, for good.
    #[arg(long)]
    trial: bool,
    /// Seconds for evidence after a challenge window, in which stake stays locked.
    #[arg(long, default_value_t = DeployOptions::default().dispute_time)]
    dispute_time: u64,
    /// Seconds for which a study's guardian may stop its proofs and payouts: less than the compensation delay.
    #[arg(long, default_value_t = DeployOptions::default().longest_pause)]
    longest_pause: u32,
    /// Seconds after which what nobody has claimed of a round may go to the sink, a quarter after an announcement: a year
    /// or more.
    #[arg(long, default_value_t = DeployOptions::default().escheat_time)]
    escheat_time: u64,
    /// Also deploy a currency of which anyone can make coins, for test networks.
    #[arg(long)]
    trial_token: bool,
    /// Where to write the addresses.
    #[arg(long, value_name = "FILE", default_value = "addresses.json")]
    out: PathBuf,
}

#[derive(Debug, clap::Args)]
struct Mint {
    #[command(flatten)]
    chain: ChainOptions,
    #[command(flatten)]
    key: KeyOption,
    /// The currency; that of the addresses file if not given.
    #[arg(long, value_name = "ADDRESS")]
    currency: Option<Address>,
    /// For whom; the key's own account if not given.
    #[arg(long, value_name = "ADDRESS")]
    to: Option<Address>,
    /// How many, in the smallest unit: a coin has 10^18 of them.
    #[arg(long)]
    amount: U256,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let json = arguments.json;
    match arguments.command {
        Command::Serve(options) => serve_chain(options, json).await,
        Command::Deploy(options) => deploy_contracts(options, json).await,
        Command::Mint(options) => mint(options, json).await,
        Command::Status(options) => status(&options, json).await,
    }
}

fn rules() -> impl TypedValueParser<Value = Rules> {
    let named = |name: String| Rules::ALL.into_iter().find(|rules| rules.name() == name).unwrap_or_default();
    PossibleValuesParser::new(Rules::ALL.map(Rules::name)).map(named)
}

/// 1,000,000 units of 10^18 wei.
pub(crate) fn fortune() -> U256 {
    U256::from(10).pow(U256::from(24))
}

async fn serve_chain(options: Serve, json: bool) -> Result<(), Failure> {
    let genesis = Genesis::new(options.chain_id).fund(options.fund, fortune()).under(options.rules);
    let place = options.data.map_or(Location::Memory, Location::Folder);
    let chain = Chain::open(&genesis, place).map_err(Failure::failed)?;
    let listener = tokio::net::TcpListener::bind(options.listen)
        .await
        .map_err(|error| Failure::failed(format!("cannot listen on {}: {error}; choose another --listen", options.listen)))?;
    let url = format!("http://{}", listener.local_addr()?);
    print(json, &serde_json::json!({ "rpc": url, "chain_id": options.chain_id }), |_| {
        format!("chain {} at {url} (one sequencer); Ctrl-C ends it", options.chain_id)
    });
    let interrupted = async { drop(tokio::signal::ctrl_c().await) };
    Ok(serve(Sequencer::new(chain, system_clock), listener, interrupted).await?)
}

async fn deploy_contracts(options: Deploy, json: bool) -> Result<(), Failure> {
    let wallet = options.key.wallet()?;
    let work = spinner("deploying the contracts");
    let terms = DeployOptions {
        minimum_stake: options.minimum_stake,
        unbonding_delay: options.unbonding_delay,
        probation: options.probation,
        compensation_delay: options.compensation_delay,
        dispute_time: options.dispute_time,
        longest_pause: options.longest_pause,
        escheat_time: options.escheat_time,
        claim_time: options.claim_time,
        sink: options.sink,
        minimum_window: options.minimum_window.unwrap_or(if options.trial { 0 } else { DeployOptions::default().minimum_window }),
        trial: options.trial,
    };
    let mut deployment = deploy(http_provider(&options.rpc)?, &wallet, terms).await?;
    if options.trial_token {
        let ledger = Ledger::connect(&options.rpc, deployment.addresses).await?;
        let currency = ledger.deploy_trial_token(&wallet).await?;
        deployment.addresses.trial_token = Some(currency.output);
        deployment.creations.push(("TrialToken", currency.receipt));
    }
    work.finish_and_clear();
    deployment.addresses.save(&options.out).map_err(Failure::failed)?;
    print(json, &deployment.addresses, |addresses| {
        format!("{}\ngas         {}\nwritten to  {}", listed(addresses), deployment.gas_used(), options.out.display())
    });
    Ok(())
}

/// One line a contract.
fn listed(addresses: &Addresses) -> String {
    let Addresses {
        registry, consilium, treasury, licences, study_token, set_court, sum_kind, privacy_budget, trial_token, ..
    } = addresses;
    let currency = trial_token.map(|currency| format!("\ntrial token {currency}")).unwrap_or_default();
    format!(
        "registry    {registry}\nconsilium   {consilium}\ntreasury    {treasury}\nlicences    {licences}\nstudy token {study_token}\nset court   {set_court}\nsum kind    {sum_kind}\nprivacy     {privacy_budget}{currency}"
    )
}

async fn status(options: &ChainOptions, json: bool) -> Result<(), Failure> {
    let ledger = options.ledger().await?;
    let head = ledger.head().await?;
    let studies = ledger.studies().await?;
    let addresses = ledger.addresses();
    let value = serde_json::json!({
        "chain_id": ledger.chain_id(), "block": head.number, "hash": head.hash, "timestamp": head.timestamp,
        "registry": addresses.registry, "consilium": addresses.consilium, "treasury": addresses.treasury,
        "licences": addresses.licences, "study_token": addresses.study_token, "trial_token": addresses.trial_token,
        "studies": studies,
    });
    print(json, &value, |_| {
        format!(
            "chain {} at block {} ({})\n{}\nstudies     {studies}",
            ledger.chain_id(),
            head.number,
            head.hash,
            listed(addresses)
        )
    });
    Ok(())
}

async fn mint(options: Mint, json: bool) -> Result<(), Failure> {
    let (ledger, wallet) = (options.chain.ledger().await?, options.key.wallet()?);
    let missing = || {
        Failure::usage(
            "the addresses file names no trial token: deploy one with `chain deploy --trial-token`, or give --currency",
        )
    };
    let currency = options.currency.or(ledger.addresses().trial_token).ok_or_else(missing)?;
    let to = options.to.unwrap_or(wallet.address());
    let receipt = ledger.mint_trial_coins(&wallet, currency, to, options.amount).await?;
    let balance = ledger.coins(currency, to).await?;
    let value = serde_json::json!({ "currency": currency, "to": to, "balance": balance.to_string(), "gas": receipt.gas_used });
    print(json, &value, |_| format!("{to} has {balance} of the currency {currency} ({} gas)", receipt.gas_used));
    Ok(())
}
