//! The refusals of the registry and its court.

use crate::contracts::NodeRegistry::NodeRegistryErrors as R;

/// The error's name, and what it means.
pub(super) fn words(error: &R) -> (&'static str, String) {
    match error {
        R::AlreadyRegistered(e) => {
            ("AlreadyRegistered", format!("{} is registered already; a node that left comes back under another address", e.node))
        }
        R::InvalidConsilium(_) => ("InvalidConsilium", "Consilium is not the zero address".into()),
        R::InvalidIdentity(_) => ("InvalidIdentity", "operator and jurisdiction have 1 to 128 bytes each".into()),
        R::InvalidKemKey(e) => ("InvalidKemKey", format!("an X-Wing public key has 1216 bytes, not {}", e.length)),
        R::NodeNotActive(e) => ("NodeNotActive", format!("node {} is not registered, is leaving or has left", e.node)),
        R::NodeServing(e) => (
            "NodeServing",
            format!("node {} sits in {} committees: their sponsors have to let it go first", e.node, e.committees),
        ),
        R::NotConsilium(e) => ("NotConsilium", format!("{} is not the registry's Consilium", e.caller)),
        R::BondMissing(e) => (
            "BondMissing",
            format!(
                "node {} has {} wei of free stake, {} are missing for the bond: let it deposit more",
                e.node, e.free, e.missing
            ),
        ),
        R::BondLocked(e) => (
            "BondLocked",
            format!("the bond of {} for study {} is locked until second {} (0: it still serves)", e.node, e.study, e.until),
        ),
        R::Newcomer(e) => (
            "Newcomer",
            format!("node {} is registered only since second {}: choose another, or wait for its probation", e.node, e.since),
        ),
        R::NoConsent(e) => (
            "NoConsent",
            format!(
                "node {} has not agreed to serve sponsor {}, or its consent has expired: its operator has to set the consent",
                e.node, e.sponsor
            ),
        ),
        R::BeyondConsent(e) => (
            "BeyondConsent",
            format!(
                "node {} has not agreed to a bond of {} wei and a challenge window of {} seconds for {}: ask its operator, or \
                 create the study with a smaller bond or a longer window",
                e.node, e.bond, e.challengeWindow, e.party
            ),
        ),
        R::ConsentExhausted(e) => (
            "ConsentExhausted",
            format!(
                "all bonds of node {} for {} would be {} wei, and it has agreed to {}: ask its operator",
                e.node, e.party, e.total, e.maxTotal
            ),
        ),
        R::NoParty(_) => ("NoParty", "a consent names a sponsor or a committee source: nobody serves everybody".into()),
        R::InvalidSink(_) => ("InvalidSink", "what no site may have must go to some account: name one".into()),
        R::NodeConvicted(e) => {
            ("NodeConvicted", format!("node {} was convicted in study {}: it answers for nothing more there", e.node, e.study))
        }
        R::NotServing(e) => ("NotServing", format!("node {} does not serve study {}", e.node, e.study)),
        R::SafeCastOverflowedUintDowncast(e) => {
            ("SafeCastOverflowedUintDowncast", format!("{} does not fit {} bits", e.value, e.bits))
        }
        R::StakeLocked(e) => (
            "StakeLocked",
            format!("the stake of {} is locked until second {} (0: it has not begun to leave)", e.node, e.withdrawableAt),
        ),
        R::StakeTooSmall(e) => ("StakeTooSmall", format!("a stake of {} wei is below the minimum of {} wei", e.stake, e.minimum)),
        R::TransferFailed(e) => ("TransferFailed", format!("{} did not take what it was paid", e.account)),
        _ => court(error),
    }
}

/// What a proof of an offence, and the compensation after it, demand.
fn court(error: &R) -> (&'static str, String) {
    match error {
        R::NoOffence(_) => ("NoOffence", "what was shown is no offence: an accusation needs two things that contradict".into()),
        R::NotCertified(e) => ("NotCertified", format!("round {} of study {} has no certified set on record", e.round, e.study)),
        R::NotItsIndex(e) => (
            "NotItsIndex",
            format!(
                "{} is not node {} of round {} of study {}: no statement about another counts",
                e.node, e.index, e.round, e.study
            ),
        ),
        R::NotLiable(e) => (
            "NotLiable",
            format!(
                "{} does not answer for study {} at that round: it did not serve, or its bond is free again",
                e.node, e.study
            ),
        ),
        R::NotTheLeaf(e) => {
            ("NotTheLeaf", format!("the opening at point {} leads to another root than the settled one", e.point))
        }
        R::NotTheJudge(e) => ("NotTheJudge", format!("{} does not judge study {}", e.caller, e.study)),
        R::HoldTooLong(e) => {
            ("HoldTooLong", format!("a bond is held for the unbonding delay at most, then again: second {} is later", e.until))
        }
        R::NotInTheSet(e) => {
            ("NotInTheSet", format!("{} is not shown to be a site of the certified set: open its leaf in that set", e.site))
        }
        R::NotAdmitted(e) => (
            "NotAdmitted",
            format!(
                "{} is not shown to be on the list of sites that the round was opened with: open its leaf in that list",
                e.site
            ),
        ),
        R::GasMissing(_) => ("GasMissing", "whoever is owed something must be able to take it: send more gas".into()),
        R::NotTheSettlement(e) => (
            "NotTheSettlement",
            format!(
                "round {} of study {} was not settled on these roots, was proved wrong, or is off the record",
                e.round, e.study
            ),
        ),
        R::TwoSigners(e) => ("TwoSigners", format!("{} signed one statement and {} the other", e.first, e.second)),
        R::UnreadableSignature(_) => {
            ("UnreadableSignature", "a signature is r and s with v in its highest bit, and s is low".into())
        }
        R::InvalidPath(e) => (
            "InvalidPath",
            format!("{} siblings do not lead from leaf {} to the root of {} leaves", e.siblings, e.index, e.leaves),
        ),
        R::NoCompensation(e) => {
            ("NoCompensation", format!("nothing is kept for sites from node {} in study {}", e.node, e.study))
        }
        R::CompensationLocked(e) => (
            "CompensationLocked",
            format!("this part of what node {} lost in study {} is paid out from second {} on", e.node, e.study, e.until),
        ),
        R::NotGuardian(e) => (
            "NotGuardian",
            format!("{} is not the guardian of study {}, or the payment is due, or was put off before", e.caller, e.study),
        ),
        R::PausedUntil(e) => ("PausedUntil", super::consilium::paused(e.study, e.until)),
        R::AlreadyCompensated(e) => ("AlreadyCompensated", format!("{} has had its part", e.site)),
        _ => ("Unknown", "no reason that this version knows".into()),
    }
}
