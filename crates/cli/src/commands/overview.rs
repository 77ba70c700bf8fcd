//! `consilium study show`: a study as it is now, and who may do what to it.

use super::connection::ChainOptions;
use crate::failure::Failure;
use crate::output::print;
use alloy_primitives::Address;
use consilium_ledger::{Ledger, Study};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Payees that are printed; JSON has them all. Anyone can name one.
const PAYEES: usize = 20;

#[derive(Debug, clap::Args)]
pub(super) struct Show {
    #[command(flatten)]
    chain: ChainOptions,
    /// Study number.
    #[arg(long)]
    study: u64,
}

/// A study and what stands outside of its history.
struct Overview {
    study: Study,
    /// Seconds.
    longest_pause: u32,
    /// Block time; 0 if nothing is stopped.
    paused_until: u64,
    payees: BTreeMap<Address, Address>,
}

pub(super) async fn show(options: &Show, json: bool) -> Result<(), Failure> {
    let overview = Overview::read(&options.chain.ledger().await?, options.study).await?;
    print(json, &overview.json(), |_| overview.text());
    Ok(())
}

/// A value, if it is not the one that stands for none.
fn some<T: PartialEq + Default>(value: T) -> Option<T> {
    (value != T::default()).then_some(value)
}

impl Overview {
    async fn read(ledger: &Ledger, study: u64) -> Result<Self, Failure> {
        Ok(Self {
            study: ledger.study(study).await?,
            longest_pause: ledger.longest_pause().await?,
            paused_until: ledger.paused_until(study).await?,
            payees: ledger.payees(study).await?,
        })
    }

    fn members(&self) -> Vec<Address> {
        self.study.committee().map(|c| c.members().iter().map(|m| m.address).collect()).unwrap_or_default()
    }

    fn json(&self) -> Value {
        let study = &self.study;
        let mut value = json!({
            "study": study.id, "sponsor": study.sponsor, "program": study.program.name(), "dimension": study.program.dimension(),
            "weight_unit": some(study.weight_unit.as_str()), "description": some(study.description),
            "committee": self.members(), "threshold": study.committee().map(|c| c.sizes().t()),
            "fingerprint": study.committee().map(consilium_core::params::CommitteeMembers::hash),
            "sites": study.sites.as_ref().ok().map(Vec::len), "sites_uri": study.sites_at, "sites_root": study.sites_root,
            "minimum_cohort": study.minimum_cohort, "finality": study.finality.to_string(),
        });
        value["roles"] = json!({
            "operator": study.operator, "treasurer": some(study.treasurer), "guardian": some(study.conditions.guardian),
        });
        value["auditors"] = json!(study.auditors);
        value["longest_pause"] = self.longest_pause.into();
        value["paused_until"] = json!(some(self.paused_until));
        value["ended"] = study.ended.into();
        value["vacant"] = study.vacant.into();
        value["payees"] = json!(self.payees);
        value["privacy_account"] = json!(some(study.conditions.privacy_account));
        value["privacy_cost"] = json!(some(study.conditions.privacy_cost));
        value
    }

    fn text(&self) -> String {
        let parts = [self.terms(), self.committee(), self.sites(), self.roles(), self.standing(), self.payees()];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
    }

    fn terms(&self) -> String {
        let study = &self.study;
        let (id, sponsor, program) = (study.id, study.sponsor, &study.program);
        let mut text =
            format!("study {id} of sponsor {sponsor}\nprogram {} over {} coordinates", program.name(), program.dimension());
        if !study.weight_unit.is_empty() {
            text += &format!(", weights in {}", study.weight_unit);
        }
        if !study.description.is_zero() {
            text += &format!("\ndescribed in a file of keccak256 {}", study.description);
        }
        if study.conditions.privacy_account != 0 {
            let (account, cost) = (study.conditions.privacy_account, study.conditions.privacy_cost);
            text += &format!("\neach round costs privacy account {account} {cost} billionths of rho");
        }
        text
    }

    fn committee(&self) -> String {
        let Some(committee) = self.study.committee() else { return String::new() };
        let sizes = committee.sizes();
        let mut text = format!("committee of {} nodes, {} may be corrupt, epoch {}", sizes.n(), sizes.t(), committee.epoch());
        text += &format!("\nfingerprint to pin, after comparing it out of band: {}", committee.hash());
        for (i, member) in self.members().iter().enumerate() {
            text += &format!("\n  node {:2}  {member}", i + 1);
        }
        text
    }

    fn sites(&self) -> String {
        let study = &self.study;
        let mut sites = match &study.sites {
            Ok(sites) => format!("{} admitted sites", sites.len()),
            Err(flaw) => format!("the list of sites is not here: {flaw}"),
        };
        if let Some(uri) = &study.sites_at {
            sites += &format!("\nthe list of sites is published at {uri}; its root is {}\n", study.sites_root);
        } else {
            sites += ", ";
        }
        format!("{sites}at least {} in a set, certificates final by rule {}", study.minimum_cohort, study.finality)
    }

    fn roles(&self) -> String {
        let study = &self.study;
        let or_sponsor = |account: Address| match account {
            account if account.is_zero() || account == study.sponsor => "the sponsor alone".to_owned(),
            account => format!("{account}, or the sponsor"),
        };
        let guardian = match study.conditions.guardian {
            guardian if guardian.is_zero() => "nobody".to_owned(),
            guardian => format!("{guardian}; may stop proofs and payouts for {} seconds at most", self.longest_pause),
        };
        let mut text = format!(
            "opens rounds    {}\ntreasurer       {}\nguardian        {guardian}",
            or_sponsor(study.operator),
            or_sponsor(study.treasurer)
        );
        for auditor in &study.auditors {
            text += &format!("\nauditor         {auditor}");
        }
        text
    }

    fn standing(&self) -> String {
        let mut lines = Vec::new();
        if self.paused_until != 0 {
            lines.push(format!("proofs and payouts are stopped until second {}", self.paused_until));
        }
        if self.study.ended {
            lines.push("the study has ended: no round opens any more".to_owned());
        } else if self.study.vacant {
            lines.push("a seat is vacant: no round opens before the sponsor forms a new committee".to_owned());
        }
        lines.join("\n")
    }

    fn payees(&self) -> String {
        let line = |(account, payee): (&Address, &Address)| format!("paid elsewhere  {account} to {payee}");
        let mut lines: Vec<String> = self.payees.iter().take(PAYEES).map(line).collect();
        if self.payees.len() > PAYEES {
            lines.push(format!("paid elsewhere  {} more accounts: --json lists them all", self.payees.len() - PAYEES));
        }
        lines.join("\n")
    }
}
