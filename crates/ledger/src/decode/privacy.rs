//! Events of the privacy accounts.

use super::{strictly, within};
use crate::contracts::PrivacyBudget as P;
use crate::event::{Defect, Event, MAX_ACCOUNT_NAME};
use crate::privacy::Privacy;
use alloy::rpc::types::Log;
use alloy::sol_types::SolEvent;

pub(super) fn event(log: &Log) -> Result<Event, Defect> {
    let event = match *log.topic0().ok_or(Defect::UnknownEvent)? {
        P::AccountOpened::SIGNATURE_HASH => account_opened(log),
        P::StudyJoined::SIGNATURE_HASH => strictly::<P::StudyJoined>(log).map(|e| {
            let P::StudyJoined { account, study, cost } = e;
            Privacy::StudyJoined { account, study, cost }
        }),
        P::Charged::SIGNATURE_HASH => strictly::<P::Charged>(log).map(|e| {
            let P::Charged { account, study, spent } = e;
            Privacy::Charged { account, study, spent }
        }),
        P::GivenBack::SIGNATURE_HASH => strictly::<P::GivenBack>(log).map(|e| {
            let P::GivenBack { account, study, spent } = e;
            Privacy::GivenBack { account, study, spent }
        }),
        _ => Err(Defect::UnknownEvent),
    };
    event.map(Event::Privacy)
}

fn account_opened(log: &Log) -> Result<Privacy, Defect> {
    let P::AccountOpened { account, owner, name, budget, delta } = strictly(log)?;
    within("the name of a privacy account", name.len(), 1, MAX_ACCOUNT_NAME)?;
    Ok(Privacy::AccountOpened { account, owner, name, budget, delta })
}
