//! What the API shows of a round, while it is open and after its end.

use super::OpenRound;
use crate::service::{Service, locked, now_seconds};
use crate::store::{ClosedRound, StoreError};
use crate::watch::End;
use alloy_primitives::Address;
use consilium_core::round::{SignedReceipt, Stage};
use serde_json::{Value, json};

pub(crate) fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Collecting => "collecting",
        Stage::Certified => "certified",
        Stage::Final => "final",
        Stage::Settled => "settled",
        Stage::Closed => "closed",
    }
}

impl OpenRound {
    /// The answer of `GET /v1/studies/S/rounds/R`.
    pub(crate) fn status(&self) -> Value {
        let machine = locked(&self.machine);
        let certificate = locked(&self.certificate).clone();
        let rejected = machine.rejected().iter();
        let rejected: Vec<Value> = rejected
            .map(|(member, step)| json!({"site": member.site, "digest": member.digest, "step": step.to_string()}))
            .collect();
        json!({
            "stage": stage_name(machine.stage()),
            "paused": machine.is_paused(),
            "accepted": machine.accepted().len(),
            "certified_sites": certificate.as_ref().map_or(0, |c| c.vote.size),
            "rejected": rejected,
            "set_root": certificate.as_ref().map(|c| c.vote.setRoot),
            "size": certificate.as_ref().map(|c| c.vote.size),
        })
    }

    /// The answer of `.../set`.
    pub(crate) fn set(&self) -> Option<Value> {
        locked(&self.machine).certified().map(|cohort| json!({ "members": cohort }))
    }

    /// The answer of `.../receipts/SITE`.
    pub(crate) fn receipts(&self, site: &Address) -> Vec<Value> {
        locked(&self.machine).receipts_of(site).iter().map(receipt).collect()
    }

    /// The answer of `.../statements`, with the evidence that is kept.
    pub(crate) fn statements(&self, evidence: &[Value]) -> Value {
        let machine = locked(&self.machine);
        let sites = self.terms.sites.iter().flat_map(|site| machine.receipts_of(site));
        json!({
            "receipts": sites.map(|signed| receipt(&signed)).collect::<Vec<_>>(),
            "finals": machine.finals(),
            "share_roots": machine.share_roots(),
            "settlements": machine.settlements(),
            "evidence": evidence,
        })
    }
}

fn receipt(signed: &SignedReceipt) -> Value {
    json!(signed)
}

/// What is kept of a round after its end.
pub(super) async fn closed(service: &Service, round: &OpenRound) -> Result<ClosedRound, StoreError> {
    let (study, number) = round.id();
    let evidence = service.database.run(move |db| db.evidence(study, number)).await?;
    let (status, set, statements) = (round.status(), round.set(), round.statements(&evidence));
    let void = round.stage() == Stage::Closed && locked(&round.end).as_ref().is_some_and(End::is_void);
    Ok(ClosedRound { at: now_seconds(), forgotten: false, void, status, set, statements })
}
