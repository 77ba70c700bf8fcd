//! Who may read vectors, and what reading them all would still not show.

use crate::report::{Book, Check, Level, Scope};
use consilium_core::capability::Holder;
use consilium_ledger::Study;

/// Whether the auditor is one that the study's sponsor named.
pub(crate) fn check(study: &Study, holder: Option<&Holder>, book: &mut Book) -> bool {
    let Some(holder) = holder else {
        let reason = "no auditor key was given: a full audit reads vectors by capability; give the key that the sponsor named on \
                      chain, or make a public audit";
        book.unavailable(Check::Capability, Scope::Study, reason);
        return false;
    };
    let address = holder.address();
    if study.auditors.contains(&address) || study.sponsor == address {
        book.pass(Check::Capability, Scope::Study, format!("{address} is named on the chain"));
        return true;
    }
    let reason = format!("{address} is no auditor of the study: ask its sponsor {} to name it on the chain", study.sponsor);
    book.unavailable(Check::Capability, Scope::Study, reason);
    false
}

/// What this level leaves to trust.
pub(crate) fn limits(level: Level, book: &mut Book) {
    if level == Level::Full {
        let reason = "the proof in each contribution, and each node's output share as the sum over the set, need the seeds, which \
                      only nodes hold and erase: that they hold is attested by the receipts and signatures above, which include \
                      2t+1 honest nodes' unless more than t are corrupt";
        book.note(Check::Limits, Scope::Study, reason);
    } else {
        let reason = "contributions, output shares and aggregates were not read: that the result follows from them is attested by \
                      the committee's signatures; a full audit recomputes part of it";
        book.note(Check::Limits, Scope::Study, reason);
    }
}
