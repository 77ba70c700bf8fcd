//! Offences: evidence is kept on disk first, then shown to the contracts until they have answered (`filing`), also after
//! a restart. What is found: contradictions by the round machine, two contributions of one site (`sites`),
//! settlements that do not fit the shares behind them (`settlements`), sets with a site that was not admitted and rewards
//! that are not those of their set (`sets`). What this node itself is convicted of, and votes can
//! clear, it answers (`answers`); what others have lost it has assigned to the harmed sites (`payouts`). PROTOCOL.md 6.12 is
//! the whole list.

mod answers;
pub(crate) mod filing;
mod payouts;
mod sets;
pub(crate) mod settlements;
pub(crate) mod sites;

use crate::service::Service;
use crate::store::StoreError;
use consilium_core::accusation::Accusation;

/// Keeps evidence, and has it filed if it is new.
pub(crate) async fn keep(service: &Service, accusation: Accusation) -> Result<(), StoreError> {
    let (study, round) = (accusation.study, accusation.round);
    if service.database.run(move |db| db.keep_accusation(&accusation)).await? {
        tracing::warn!(study, round, "evidence of an offence is kept: see the round's statements");
        service.evidence.notify_one();
    }
    Ok(())
}
