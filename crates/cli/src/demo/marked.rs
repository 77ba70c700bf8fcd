//! The marked part: sites that cheat, a node that lies, a leader that is killed, and what gave them away.

use super::cheats::{Cheat, forge};
use super::hospitals::pin;
use super::plan::{Drill, leader};
use super::report::Misbehaviour;
use super::rounds::{Game, Trained};
use super::setup::Stage;
use super::training::tensors;
use crate::commands::keys::short;
use crate::failure::Failure;
use consilium_core::params::CommitteeMembers;
use consilium_ledger::Event;
use consilium_site::journal::Slot;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// By then every node had several turns at filing the proof.
const CONVICTION: Duration = Duration::from_secs(60);

impl Game {
    /// The message that hospital number N-1 sent, for the replay in the next round.
    pub(super) fn keep_for_replay(&mut self, stage: &Stage, round: u64) -> Result<(), Failure> {
        let replaying = self.hospitals.len().saturating_sub(2);
        let Some(hospital) = self.hospitals.get(replaying) else { return Ok(()) };
        let slot = Slot::new(stage.ledger.domain(), stage.study, round);
        let journal = hospital.site.journal();
        let Some(recorded) = journal.contribution(&slot) else { return Ok(()) };
        self.kept = Some(journal.message(recorded).map_err(Failure::failed)?);
        Ok(())
    }

    /// A cheating hospital's turn. Returns whether its contribution was accepted.
    pub(super) async fn cheat(
        &mut self,
        stage: &Stage,
        round: u64,
        cheat: Cheat,
        i: usize,
        trained: &Trained,
    ) -> Result<bool, Failure> {
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
        let answer = node.upload(stage.study, round, message).await;
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

    pub(super) async fn kill_leader(noted: &mut Vec<Misbehaviour>, stage: &mut Stage, round: u64) -> Result<(), Failure> {
        let number = leader(round, &stage.committee);
        let node = &mut stage.nodes[number - 1];
        node.kill().await?;
        let who = format!("node {} ({})", node.number, short(&node.address));
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
    pub(super) async fn before(&mut self, stage: &mut Stage, drill: Drill) -> Result<(), Failure> {
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
    pub(super) async fn after(&mut self, stage: &mut Stage, round: u64, drill: Drill) -> Result<(), Failure> {
        match drill {
            Drill::LyingNode => {
                self.note_liar(stage, round).await?;
                Self::restart_last(stage, false).await?;
                self.replace_last(stage).await
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

    /// The sponsor's answer to a conviction: a committee with the spare node in the last one's place. Hospitals take part
    /// again once their operators have compared its fingerprint and pinned it.
    async fn replace_last(&mut self, stage: &mut Stage) -> Result<(), Failure> {
        let Some(spare) = stage.spare.take() else { return Err(Failure::failed("there is no spare node")) };
        let (number, out) = (spare.number, stage.nodes.pop());
        stage.nodes.push(spare);
        stage.dismissed = out;
        let members: Vec<_> = stage.nodes.iter().map(|node| node.address).collect();
        let threshold = stage.committee.t() as u8;
        let epoch = stage.ledger.set_committee(&stage.sponsor, stage.study, threshold, &members).await?.output;
        let study = stage.ledger.study(stage.study).await?;
        let fingerprint = study.committee().map(CommitteeMembers::hash).unwrap_or_default();
        println!(
            "   the sponsor forms the committee of epoch {epoch} with node {number} in its place\n   the operators of {} hospitals \
             compare its fingerprint {} and pin it",
            self.hospitals.len(),
            &fingerprint.to_string()[..18]
        );
        let hospitals = std::mem::take(&mut self.hospitals).into_iter();
        self.hospitals = hospitals.map(|hospital| pin(hospital, stage.study, fingerprint)).collect::<Result<_, _>>()?;
        Ok(())
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
                let who = format!("node {} ({})", stage.nodes[liar - 1].number, short(&stage.nodes[liar - 1].address));
                let evidence =
                    format!("it signed share root {}, settled is {settled_root}", said["root"].as_str().unwrap_or_default());
                let (caught_by, sentence) = convicted(stage, round, settled.at.block.number).await?;
                let evidence = format!("{evidence}; {sentence}");
                self.note(&who, "served a wrong share of the sum", &caught_by, &evidence);
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(Failure::failed("the lying node's signed share root did not turn up"))
    }
}

/// Waits until a node has proved the lie on chain. Yields who did, and what it cost the liar.
async fn convicted(stage: &Stage, round: u64, since: u64) -> Result<(String, String), Failure> {
    let ended = Instant::now() + CONVICTION;
    while Instant::now() < ended {
        let head = stage.ledger.head().await?.number;
        for event in stage.ledger.events(since, head).await?.events {
            let Event::Convicted(conviction) = event.event else { continue };
            if (conviction.study, conviction.round) != (stage.study, round) {
                continue;
            }
            let reporter = stage.everyone().find(|node| node.address == conviction.reporter);
            let name = reporter.map_or_else(|| conviction.reporter.to_string(), |node| format!("node {}", node.number));
            let sentence = format!(
                "it was convicted in transaction {} and lost its bond: {} wei to {name}, {} wei kept for the sites of the round",
                event.at.transaction, conviction.reward, conviction.kept
            );
            return Ok((format!("the others, when they interpolated; {name} proved it to the contract"), sentence));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Err(Failure::failed("no node has proved the lie on chain: look for `proof of an offence` in the nodes' logs"))
}
