//! `consilium round`: opening rounds and looking at them.

use super::connection::ChainOptions;
use super::keys::KeyOption;
use crate::failure::Failure;
use crate::output::print;
use alloy_primitives::B256;
use consilium_core::transcript;
use consilium_ledger::Round;
use std::path::PathBuf;

/// Rounds: one sum about one subject.
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
    /// Open the study's next round.
    Open(Open),
    /// Show a round.
    Show(Which),
    /// Record that a round passed its deadline without a certificate.
    Void(Close),
    /// Record that a certified round was not settled in time.
    Abandon(Close),
}

#[derive(Debug, clap::Args)]
#[group(id = "about", required = true, multiple = false)]
struct Subject {
    /// The subject's digest.
    #[arg(long, value_name = "HASH")]
    subject: Option<B256>,
    /// The base model of the round, as safetensors.
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// The question of a ballot.
    #[arg(long, value_name = "TEXT")]
    question: Option<String>,
}

impl Subject {
    fn digest(&self) -> Result<B256, Failure> {
        match (self.subject, &self.model, &self.question) {
            (Some(subject), ..) => Ok(subject),
            (_, Some(file), _) => super::contribute::model_digest(file),
            (_, _, Some(question)) => Ok(transcript::hash("question", &[question.as_bytes()])),
            _ => Err(Failure::usage("give --subject, --model or --question")),
        }
    }
}

#[derive(Debug, clap::Args)]
struct Open {
    #[command(flatten)]
    chain: ChainOptions,
    #[command(flatten)]
    key: KeyOption,
    /// Study number.
    #[arg(long)]
    study: u64,
    #[command(flatten)]
    subject: Subject,
    /// Seconds from now until a certificate must be on the chain; sets are proposed at half of it.
    #[arg(long, default_value_t = 600, value_name = "SECONDS")]
    certify_within: u64,
    /// Seconds from now until the round must be settled.
    #[arg(long, default_value_t = 3600, value_name = "SECONDS")]
    settle_within: u64,
}

#[derive(Debug, clap::Args)]
struct Which {
    #[command(flatten)]
    chain: ChainOptions,
    /// Study number.
    #[arg(long)]
    study: u64,
    /// Round number.
    #[arg(long)]
    round: u64,
}

#[derive(Debug, clap::Args)]
struct Close {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    key: KeyOption,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let json = arguments.json;
    match arguments.command {
        Command::Open(options) => open(&options, json).await,
        Command::Show(which) => show(&which, json).await,
        Command::Void(close) => {
            let ledger = close.which.chain.ledger().await?;
            let receipt = ledger.void_round(&close.key.wallet()?, close.which.study, close.which.round).await?;
            print(json, &serde_json::json!({ "gas": receipt.gas_used }), |_| "void".to_owned());
            Ok(())
        }
        Command::Abandon(close) => {
            let ledger = close.which.chain.ledger().await?;
            let receipt = ledger.abandon_round(&close.key.wallet()?, close.which.study, close.which.round).await?;
            print(json, &serde_json::json!({ "gas": receipt.gas_used }), |_| "abandoned".to_owned());
            Ok(())
        }
    }
}

async fn open(options: &Open, json: bool) -> Result<(), Failure> {
    let subject = options.subject.digest()?;
    let ledger = options.chain.ledger().await?;
    let now = ledger.head().await?.timestamp.max(unix_seconds());
    let (deadline, settle_by) = (now + options.certify_within, now + options.settle_within);
    let round = ledger.open_round(&options.key.wallet()?, options.study, subject, deadline, settle_by).await?;
    let value = serde_json::json!({
        "study": options.study, "round": round.output, "subject": subject, "deadline": deadline, "settle_by": settle_by,
        "gas": round.receipt.gas_used,
    });
    print(json, &value, |_| format!("round {} of study {} is open about {subject}", round.output, options.study));
    Ok(())
}

/// The machine's clock.
pub(crate) fn unix_seconds() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

async fn show(which: &Which, json: bool) -> Result<(), Failure> {
    let round = which.chain.ledger().await?.round(which.study, which.round).await?;
    let certificate = round.certificate.as_ref();
    let value = serde_json::json!({
        "study": which.study, "round": which.round, "subject": round.terms.subject, "state": format!("{:?}", round.state),
        "deadline": round.terms.policy.deadline, "settle_by": round.terms.policy.settle_by,
        "minimum_cohort": round.terms.policy.minimum_cohort, "committee": round.terms.committee.hash(),
        "set_root": certificate.map(|c| c.vote.setRoot), "size": certificate.map(|c| c.vote.size),
        "aggregate_root": round.settlement.as_ref().map(|s| s.settlement.aggregateRoot),
    });
    print(json, &value, |_| describe(&round));
    Ok(())
}

fn describe(round: &Round) -> String {
    let policy = &round.terms.policy;
    let mut text = format!(
        "round {} of study {}: {:?}\nsubject    {}\ndeadline   {}, settle by {}\ncommittee  {}",
        round.terms.round,
        round.terms.study,
        round.state,
        round.terms.subject,
        policy.deadline,
        policy.settle_by,
        round.terms.committee.hash()
    );
    if let Some(certificate) = &round.certificate {
        let vote = &certificate.vote;
        text += &format!("\ncertified  {} sites, set {}, by nodes {:?}", vote.size, vote.setRoot, certificate.voters());
    }
    if let Some(settled) = &round.settlement {
        text += &format!("\nsettled    aggregate {}, by nodes {:?}", settled.settlement.aggregateRoot, settled.signers());
    }
    text
}
