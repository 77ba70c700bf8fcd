//! One round: open, train, contribute, close, compare.

use super::cheats::{Cheat, Message, forge};
use super::hospitals::Hospital;
use super::plan::{Drill, Plan, leader};
use super::report::{Misbehaviour, RoundReport};
use super::setup::Stage;
use super::training::{canonical_places, largest_deviation, parameters, tensors};
use crate::commands::keys::short;
use crate::commands::round::unix_seconds;
use crate::failure::Failure;
use crate::output::bar;
use consilium_core::certify::SetMember;
use consilium_core::encode::error_bound;
use consilium_ledger::Event;
use consilium_site::journal::Slot;
use consilium_site::tensors::Tensors;
use consilium_site::{Checked, Outcome, Submitted};
use consilium_training::dataset::{DataSet, Samples};
use consilium_training::fedavg::{Options, site_weight, weighted_mean};
use consilium_training::metrics::evaluate;
use consilium_training::model::Parameters;
use futures::{StreamExt, TryStreamExt, stream};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Hospitals that upload at the same time.
const UPLOADS: usize = 8;

/// The training under way, and what has been noticed.
pub(super) struct Game {
    data: DataSet,
    options: Options,
    hospitals: Vec<Arc<Hospital>>,
    plan: Plan,
    model: Parameters,
    places: Vec<usize>,
    /// The message of the replaying site in the round before.
    kept: Option<Message>,
    pub(super) misbehaviour: Vec<Misbehaviour>,
    pub(super) seconds: Seconds,
}

/// Where the time went, over all rounds and hospitals.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seconds {
    pub(super) training: f64,
    pub(super) proving: f64,
    pub(super) contributing: f64,
    pub(super) closing: f64,
}

/// What the hospitals have trained in one round.
struct Trained {
    updates: Vec<(u32, Parameters)>,
}

impl Game {
    pub(super) fn new(data: &DataSet, options: Options, hospitals: Vec<Hospital>, plan: Plan) -> Result<Self, Failure> {
        let model = options.initial(data).map_err(Failure::failed)?;
        let places = canonical_places(model.shape());
        let hospitals = hospitals.into_iter().map(Arc::new).collect();
        let (misbehaviour, seconds) = (Vec::new(), Seconds::default());
        Ok(Self { data: data.clone(), options, hospitals, plan, model, places, kept: None, misbehaviour, seconds })
    }

    /// What was left out of the marked part, and why.
    pub(super) fn left_out(&self) -> &[String] {
        &self.plan.left_out
    }

    /// Plays one round to its end.
    pub(super) async fn play(&mut self, stage: &mut Stage, round: u64) -> Result<RoundReport, Failure> {
        let drill = self.plan.of(round);
        if drill != Drill::None {
            println!("-- marked: in round {round} {}", drill.what());
        }
        self.before(stage, drill).await?;
        let base = tensors(&self.model)?;
        let opened = self.open(stage, round, drill, &base).await?;
        let trained = self.train(round).await?;
        let (submitted, rejected) = self.contribute(stage, round, drill, &base, &trained).await?;
        let uploaded = Instant::now();
        let checked = self.await_results(stage, round, &submitted).await?;
        let close_seconds = uploaded.elapsed().as_secs_f64();
        self.seconds.closing += close_seconds;
        self.after(stage, round, drill).await?;

        let (max_abs_error, error_bound) = self.compare(stage, &checked, &trained)?;
        let next = self.advance(&base, &checked).await?;
        self.model = parameters(self.model.shape(), &next)?;
        let metrics = evaluate(&self.model, &self.data.test).map_err(Failure::failed)?;
        let gas = opened + self.round_gas(stage, round).await?;
        let sizes: Vec<u64> = submitted.values().map(|s| s.cost.message_bytes).collect();
        Ok(RoundReport {
            round,
            status: "settled".to_owned(),
            accuracy: metrics.accuracy,
            auc: metrics.auc,
            accepted: checked.cohort.members().len(),
            rejected,
            upload_bytes_per_site: sizes.iter().sum::<u64>() / sizes.len().max(1) as u64,
            close_seconds,
            gas,
            max_abs_error,
            error_bound,
        })
    }

    async fn open(&self, stage: &Stage, round: u64, drill: Drill, base: &Tensors) -> Result<u64, Failure> {
        // Marked rounds wait for the scheduled cutoff or for a view to pass, so they are given less time.
        let patience = 24 + self.hospitals.len() as u64 / 5;
        let certify_within = if drill == Drill::None { 4 * patience } else { patience };
        let now = stage.ledger.head().await?.timestamp.max(unix_seconds());
        let (deadline, settle_by) = (now + certify_within, now + certify_within + 600);
        let opened = stage.ledger.open_round(&stage.sponsor, stage.study, base.model_digest(), deadline, settle_by).await?;
        if opened.output == round {
            Ok(opened.receipt.gas_used)
        } else {
            Err(Failure::failed(format!("the chain opened round {} instead of {round}", opened.output)))
        }
    }

    /// Every hospital trains on its own samples; two at a time.
    async fn train(&mut self, round: u64) -> Result<Trained, Failure> {
        let started = Instant::now();
        let work = self.hospitals.iter().cloned().map(|hospital| {
            let (options, model) = (self.options, self.model.clone());
            async move {
                let train = move || -> Result<(u32, Parameters), Failure> {
                    let Hospital { samples, number, .. } = &*hospital;
                    let update = options.update(&model, samples, *number, round - 1).map_err(Failure::failed)?;
                    Ok((site_weight(Samples::len(samples)), update))
                };
                tokio::task::spawn_blocking(train).await.map_err(Failure::failed)?
            }
        });
        let updates = stream::iter(work).buffered(2).try_collect().await?;
        self.seconds.training += started.elapsed().as_secs_f64();
        Ok(Trained { updates })
    }

    /// All honest hospitals contribute; the cheating ones do what they do. Returns what was submitted, by hospital, and how
    /// many contributions were refused.
    async fn contribute(
        &mut self,
        stage: &mut Stage,
        round: u64,
        drill: Drill,
        base: &Tensors,
        trained: &Trained,
    ) -> Result<(BTreeMap<usize, Submitted>, usize), Failure> {
        let started = Instant::now();
        let cheats: &[Cheat] = if drill == Drill::CheatingSites { &Cheat::ALL } else { &[] };
        let study = stage.study;
        let honest = self.hospitals.len() - cheats.len();
        let progress = bar(honest as u64, &format!("round {round}: contributions"));
        let work = self.hospitals.iter().enumerate().take(honest).map(|(i, hospital)| {
            let (hospital, subject) = (Arc::clone(hospital), base.model_digest());
            let (weight, update) = &trained.updates[i];
            let (weight, update) = (u64::from(*weight), tensors(update));
            async move {
                let done = hospital.site.contribute(study, round, update?.values(), weight, subject).await;
                done.map(|submitted| (i, submitted)).map_err(|error| Failure::failed(error).during(format!("hospital {}", i + 1)))
            }
        });
        let mut submissions = stream::iter(work).buffer_unordered(UPLOADS);
        let mut submitted = BTreeMap::new();
        while let Some(done) = submissions.next().await {
            let (i, done) = done?;
            self.seconds.proving += done.cost.prove_seconds;
            submitted.insert(i, done);
            progress.inc(1);
            if drill == Drill::KilledLeader && submitted.len() == honest / 2 {
                Self::kill_leader(&mut self.misbehaviour, stage, round).await?;
            }
        }
        drop(submissions);
        let mut rejected = 0;
        for (i, cheat) in (honest..).zip(cheats) {
            rejected += usize::from(!self.cheat(stage, round, *cheat, i, trained).await?);
        }
        if drill == Drill::None {
            self.keep_for_replay(stage, round)?;
        }
        self.seconds.contributing += started.elapsed().as_secs_f64();
        progress.finish_and_clear();
        Ok((submitted, rejected))
    }

    /// The message that hospital number N-1 sent, for the replay in the next round.
    fn keep_for_replay(&mut self, stage: &Stage, round: u64) -> Result<(), Failure> {
        let replaying = self.hospitals.len().saturating_sub(2);
        let Some(hospital) = self.hospitals.get(replaying) else { return Ok(()) };
        let slot = Slot::new(stage.ledger.domain(), stage.study, round);
        let journal = hospital.site.journal();
        let Some(recorded) = journal.contribution(&slot) else { return Ok(()) };
        self.kept = split_body(&journal.message(recorded).map_err(Failure::failed)?);
        Ok(())
    }

    /// A cheating hospital's turn. Returns whether its contribution was accepted.
    async fn cheat(&mut self, stage: &Stage, round: u64, cheat: Cheat, i: usize, trained: &Trained) -> Result<bool, Failure> {
        let hospital = Arc::clone(&self.hospitals[i]);
        let prepared = hospital.site.prepare(stage.study, round).await.map_err(Failure::failed)?;
        let message = match (cheat, self.kept.take()) {
            (Cheat::Replay, Some(message)) => message,
            (_, kept) => {
                self.kept = kept;
                let (weight, update) = &trained.updates[i];
                let update = tensors(update)?;
                let mut rng = ChaCha20Rng::seed_from_u64(round << 32 | i as u64);
                forge(
                    cheat,
                    &prepared.terms,
                    &stage.program,
                    hospital.site.keys(),
                    update.values(),
                    u64::from(*weight),
                    &mut rng,
                )?
            }
        };
        // A cheat can satisfy the proof's check at 2t nodes of its choice, never at 2t+1: this one chose the first 2t.
        let judge = &stage.nodes[2 * stage.committee.t()];
        let Some(node) = hospital.site.nodes().get(&judge.address) else {
            return Err(Failure::failed(format!("node {} has no URL", judge.number)));
        };
        let answer = node.upload(stage.study, round, &message.0, &message.1).await;
        let caught = match &answer {
            Ok(uploaded) => (
                format!(
                    "node {}, whose box does not open; the others send it its seeds, so the contribution counts",
                    stage.nodes.len()
                ),
                format!("contribution {} is in the set, and every node holds it", &uploaded.digest.to_string()[..10]),
            ),
            Err(failure) => (format!("node {}, alone", judge.number), failure.fault.to_string()),
        };
        let who = format!("site {} ({})", i + 1, short(&hospital.site.address()));
        self.note(&who, cheat.what(), &caught.0, &caught.1);
        Ok(answer.is_ok())
    }

    fn note(&mut self, who: &str, what: &str, caught_by: &str, evidence: &str) {
        println!("   {who} {what}\n      caught by {caught_by}: {evidence}");
        self.misbehaviour.push(Misbehaviour {
            who: who.to_owned(),
            what: what.to_owned(),
            caught_by: caught_by.to_owned(),
            evidence: evidence.to_owned(),
        });
    }

    async fn kill_leader(noted: &mut Vec<Misbehaviour>, stage: &mut Stage, round: u64) -> Result<(), Failure> {
        let number = leader(round, &stage.committee);
        let node = &mut stage.nodes[number - 1];
        node.kill().await?;
        let who = format!("node {number} ({})", short(&node.address));
        println!("   {who} was killed with SIGKILL half-way through the uploads");
        if stage.committee.n() == stage.committee.quorum() {
            tokio::time::sleep(Duration::from_secs(3)).await;
            node.start()?;
            println!("   and started again after 3 s, because with n = 3t+1 no round closes without it");
        }
        noted.push(Misbehaviour {
            who,
            what: "the leader was killed with SIGKILL while contributions arrived, and started again later".to_owned(),
            caught_by: "the other nodes, which proposed in its stead when its view had passed".to_owned(),
            evidence: format!("round {round} was certified and settled"),
        });
        Ok(())
    }

    /// What a marked round needs before it is opened.
    async fn before(&mut self, stage: &mut Stage, drill: Drill) -> Result<(), Failure> {
        if drill == Drill::LyingNode {
            // The last node may still be busy with its repaired contribution.
            tokio::time::sleep(Duration::from_secs(1)).await;
            Self::restart_last(stage, true).await?;
        }
        Ok(())
    }

    async fn restart_last(stage: &mut Stage, lying: bool) -> Result<(), Failure> {
        let client = stage.client.clone();
        let Some(node) = stage.nodes.last_mut() else { return Ok(()) };
        node.kill().await?;
        node.set_lying(lying);
        node.start()?;
        node.ready(&client).await
    }

    /// What a marked round leaves behind.
    async fn after(&mut self, stage: &mut Stage, round: u64, drill: Drill) -> Result<(), Failure> {
        match drill {
            Drill::LyingNode => {
                self.note_liar(stage, round).await?;
                Self::restart_last(stage, false).await
            }
            Drill::KilledLeader if stage.committee.n() > stage.committee.quorum() => {
                let client = stage.client.clone();
                let node = &mut stage.nodes[leader(round, &stage.committee) - 1];
                node.start()?;
                node.ready(&client).await
            }
            _ => Ok(()),
        }
    }

    /// The lying node's own signature, held against the settled roots.
    async fn note_liar(&mut self, stage: &Stage, round: u64) -> Result<(), Failure> {
        let settled = stage.ledger.round(stage.study, round).await?.settlement;
        let Some(settled) = settled else { return Err(Failure::failed(format!("round {round} is not settled"))) };
        let liar = stage.nodes.len();
        let url = format!("{}/v1/studies/{}/rounds/{round}/statements", stage.nodes[0].url, stage.study);
        for _ in 0..50 {
            let statements: serde_json::Value =
                stage.client.get(&url).send().await.map_err(Failure::unreachable)?.json().await.map_err(Failure::failed)?;
            let roots = statements["share_roots"].as_array().cloned().unwrap_or_default();
            if let Some(said) = roots.iter().find(|said| said["node"].as_u64() == Some(liar as u64)) {
                let settled_root = settled.share_roots[liar - 1];
                let who = format!("node {liar} ({})", short(&stage.nodes[liar - 1].address));
                let evidence =
                    format!("it signed share root {}, settled is {settled_root}", said["root"].as_str().unwrap_or_default());
                self.note(&who, "served a wrong share of the sum", "the others, when they interpolated", &evidence);
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(Failure::failed("the lying node's signed share root did not turn up"))
    }

    /// Every hospital that contributed fetches the aggregate and checks it against the chain. Returns one of the equal results.
    async fn await_results(&self, stage: &Stage, round: u64, submitted: &BTreeMap<usize, Submitted>) -> Result<Checked, Failure> {
        let progress = bar(submitted.len() as u64, &format!("round {round}: results"));
        let study = stage.study;
        let work = submitted.iter().map(|(&i, submission)| {
            let hospital = Arc::clone(&self.hospitals[i]);
            let member = SetMember { site: hospital.site.address(), digest: submission.digest };
            async move {
                let outcome = hospital.site.await_result(study, round).await;
                let outcome = outcome.map_err(|error| Failure::failed(error).during(format!("hospital {}", i + 1)))?;
                match outcome {
                    Outcome::Settled(checked) if checked.cohort.contains(&member) => Ok(*checked),
                    Outcome::Settled(_) => {
                        Err(Failure::failed(format!("hospital {} was left out although it holds receipts", i + 1)))
                    }
                    other => Err(Failure::failed(format!("round {round} ended without a result: {other:?}"))),
                }
            }
        });
        let mut results = stream::iter(work).buffer_unordered(submitted.len().max(1));
        let mut first = None;
        while let Some(checked) = results.next().await {
            let checked = checked?;
            first.get_or_insert(checked);
            progress.inc(1);
        }
        progress.finish_and_clear();
        first.ok_or_else(|| Failure::failed("no hospital contributed"))
    }

    /// The settled mean against the plain weighted mean of the same updates.
    fn compare(&self, stage: &Stage, checked: &Checked, trained: &Trained) -> Result<(f64, f64), Failure> {
        let mut same = Vec::new();
        for (hospital, update) in self.hospitals.iter().zip(&trained.updates) {
            if checked.cohort.members().iter().any(|member| member.site == hospital.site.address()) {
                same.push(update.clone());
            }
        }
        let plain = weighted_mean(&same, self.options.clip_radius).map_err(Failure::failed)?;
        let deviation = largest_deviation(checked.aggregate.mean(), &plain, &self.places);
        let bound = error_bound(&stage.program, same.len(), checked.aggregate.total_weight());
        if deviation <= bound {
            Ok((deviation, bound))
        } else {
            Err(Failure::wrong(format!("the settled mean deviates by {deviation:e}, more than rounding explains ({bound:e})")))
        }
    }

    /// Every hospital computes the next model from the checked aggregate and declares it in its journal.
    async fn advance(&self, base: &Tensors, checked: &Checked) -> Result<Tensors, Failure> {
        let mut next = None;
        for hospital in &self.hospitals {
            let study = checked.settled.settlement.study;
            next = Some(hospital.site.successor(study, base, checked).await.map_err(Failure::failed)?);
        }
        next.ok_or_else(|| Failure::failed("there is no hospital"))
    }

    /// Gas of the certificate and the settlement.
    async fn round_gas(&self, stage: &Stage, round: u64) -> Result<u64, Failure> {
        let history = stage.ledger.history(stage.study).await?;
        let mut gas = 0;
        for event in history.events() {
            let counts = matches!(event.event, Event::RoundCertified { .. } | Event::RoundSettled { .. });
            if counts && event.event.round() == Some(round) {
                gas += stage.gas_of(event.at.transaction).await?;
            }
        }
        Ok(gas)
    }
}

/// Header and masked vector of an upload: u32 LE length of the header, header, masked vector.
fn split_body(body: &[u8]) -> Option<Message> {
    let (length, rest) = body.split_first_chunk::<4>()?;
    let (header, values) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    Some((header.to_vec(), values.to_vec()))
}
