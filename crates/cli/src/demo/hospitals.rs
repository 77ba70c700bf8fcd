//! The hospitals: each with its own keys, journal and samples.

use super::setup::Stage;
use crate::failure::Failure;
use alloy_primitives::B256;
use consilium_ledger::Endpoints;
use consilium_site::{ClockSection, Site, SiteConfig, SiteKeys, SitePolicy, StudyPins, Timeouts};
use consilium_training::dataset::Samples;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// One hospital.
pub(super) struct Hospital {
    pub(super) number: u64,
    pub(super) site: Site,
    pub(super) samples: Samples,
}

/// Every hospital with its samples.
pub(super) async fn admit(stage: &Stage, samples: &[Samples], dir: &Path) -> Result<Vec<Hospital>, Failure> {
    let sites = sites(stage, dir).await?;
    let all = (0..).zip(sites).zip(samples);
    Ok(all.map(|((number, site), samples)| Hospital { number, site, samples: samples.clone() }).collect())
}

/// Gives every hospital its configuration: the nodes' URLs, and the committee's fingerprint, which a real hospital gets
/// from people and not from the chain.
pub(crate) async fn sites(stage: &Stage, dir: &Path) -> Result<Vec<Site>, Failure> {
    let study = stage.ledger.study(stage.study).await?;
    let fingerprint = study.committee().map(consilium_core::params::CommitteeMembers::hash);
    let pins = StudyPins { committees: fingerprint.into_iter().collect(), genesis: None };
    let endpoints = Endpoints::new(vec![stage.ledger.clone()])?;
    let mut sites = Vec::new();
    for (i, keys) in stage.sites.iter().enumerate() {
        let config = SiteConfig {
            rpc: vec![stage.rpc.clone()],
            addresses: *stage.ledger.addresses(),
            nodes: stage.urls(),
            data: dir.join(format!("sites/{}", i + 1)),
            policy: SitePolicy {
                minimum_cohort: 2,
                studies: BTreeMap::from([(stage.study, pins.clone())]),
                ..SitePolicy::default()
            },
            timeouts: Timeouts::default(),
            clock: ClockSection::default(),
        };
        sites.push(start(config, keys.clone(), endpoints.clone())?);
    }
    Ok(sites)
}

/// A site. What a node answers while it is busy, killed or behind is tried elsewhere; only results are told.
fn start(config: SiteConfig, keys: SiteKeys, endpoints: Endpoints) -> Result<Site, Failure> {
    let quiet = Arc::new(|event| tracing::debug!(?event));
    Ok(Site::new(config, keys, endpoints).map_err(Failure::failed)?.with_observer(quiet))
}

/// The same hospital, started again with another committee's fingerprint in its configuration.
pub(super) fn pin(hospital: Arc<Hospital>, study: u64, fingerprint: B256) -> Result<Arc<Hospital>, Failure> {
    let busy = || Failure::failed("a hospital is still busy with the round before");
    let Hospital { number, site, samples } = Arc::into_inner(hospital).ok_or_else(busy)?;
    let (mut config, keys, endpoints) = (site.config().clone(), site.keys().clone(), site.endpoints().clone());
    // One process at a time holds a site's journal.
    drop(site);
    config.policy.studies.entry(study).or_default().committees.insert(fingerprint);
    Ok(Arc::new(Hospital { number, site: start(config, keys, endpoints)?, samples }))
}
