//! One round: open, train, contribute, close, compare.

use super::UPLOADS;
use super::cheats::Cheat;
use super::hospitals::Hospital;
use super::plan::{Drill, Plan};
use super::report::{Misbehaviour, RoundReport};
use super::setup::Stage;
use super::training::{canonical_places, largest_deviation, parameters, tensors};
use crate::failure::Failure;
use crate::output::bar;
use consilium_core::certify::SetMember;
use consilium_core::encode::error_bound;
use consilium_ledger::Event;
use consilium_site::message::Message;
use consilium_site::tensors::Tensors;
use consilium_site::{Checked, Outcome, Submitted};
use consilium_training::dataset::{DataSet, Samples};
use consilium_training::fedavg::{Options, site_weight, weighted_mean};
use consilium_training::metrics::evaluate;
use consilium_training::model::Parameters;
use futures::{StreamExt, TryStreamExt, stream};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// The training under way, and what has been noticed.
pub(super) struct Game {
    data: DataSet,
    options: Options,
    pub(super) hospitals: Vec<Arc<Hospital>>,
    plan: Plan,
    model: Parameters,
    places: Vec<usize>,
    /// The message of the replaying site in the round before.
    pub(super) kept: Option<Message>,
    /// How long the contributions of the round before took.
    contributing: Option<f64>,
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
pub(super) struct Trained {
    pub(super) updates: Vec<(u32, Parameters)>,
}

impl Game {
    pub(super) fn new(data: &DataSet, options: Options, hospitals: Vec<Hospital>, plan: Plan) -> Result<Self, Failure> {
        let model = options.initial(data).map_err(Failure::failed)?;
        let places = canonical_places(model.shape());
        let hospitals = hospitals.into_iter().map(Arc::new).collect();
        let (misbehaviour, seconds) = (Vec::new(), Seconds::default());
        Ok(Self {
            data: data.clone(),
            options,
            hospitals,
            plan,
            model,
            places,
            kept: None,
            contributing: None,
            misbehaviour,
            seconds,
        })
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

    /// Seconds from opening to the deadline; half of them are for contributions. Marked rounds wait for the scheduled
    /// cutoff or for a view to pass, so they get what the round before took on this machine, with room to spare.
    fn certify_within(&self, drill: Drill) -> u64 {
        match self.contributing {
            Some(seconds) if drill != Drill::None => 2 * (6.0 + 2.5 * seconds).ceil() as u64,
            _ => 96 + self.hospitals.len() as u64,
        }
    }

    async fn open(&self, stage: &Stage, round: u64, drill: Drill, base: &Tensors) -> Result<u64, Failure> {
        let certify_within = self.certify_within(drill);
        let opened = stage.open_round(base.model_digest(), certify_within, certify_within + 600).await?;
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
        let contributing = started.elapsed().as_secs_f64();
        self.contributing = Some(contributing);
        self.seconds.contributing += contributing;
        progress.finish_and_clear();
        Ok((submitted, rejected))
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
