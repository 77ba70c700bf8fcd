//! The refusals of Consilium.

use crate::contracts::Consilium::ConsiliumErrors as C;
use crate::state::State;

/// The error's name, and what it means.
pub(super) fn words(error: &C) -> (&'static str, String) {
    match error {
        C::ChainIdTooLarge(e) => ("ChainIdTooLarge", format!("chain id {} is above 2^64 - 1: use another chain", e.chainId)),
        C::CohortTooSmall(e) => ("CohortTooSmall", format!("the set has {} sites, the round needs {}", e.size, e.minimumCohort)),
        C::DuplicateNode(e) => ("DuplicateNode", format!("node {} is named twice: a node sits in a committee once", e.node)),
        C::InvalidCohort(e) => {
            ("InvalidCohort", format!("a minimum cohort of {} hides nobody: use {} or more", e.minimumCohort, e.least))
        }
        C::InvalidCommittee(e) => (
            "InvalidCommittee",
            format!("{} nodes do not fit threshold {}: t >= 1, 3t+1 <= n <= 5t+1 and n <= 32 must hold", e.nodes, e.threshold),
        ),
        C::InvalidDeadlines(e) => (
            "InvalidDeadlines",
            format!(
                "deadline {} and settle-by {} must lie in the future, in this order, and settle-by, the challenge window, the \
                 longest pause and the dispute time must end before stake that is withdrawn now is paid out: use earlier ones",
                e.deadline, e.settleBy
            ),
        ),
        C::InvalidFinality(_) => ("InvalidFinality", "the finality rule has 1 to 32 bytes".into()),
        C::InvalidParameters(_) => ("InvalidParameters", "the program's parameters have 1 to 256 bytes".into()),
        C::InvalidProgram(_) => ("InvalidProgram", "the program's name has 1 to 32 bytes".into()),
        C::InvalidSetRoot(_) => ("InvalidSetRoot", "the root of a certified set is not zero".into()),
        C::InvalidShortString(_) => ("InvalidShortString", "the contract's name is damaged".into()),
        C::InvalidSignature(e) => {
            ("InvalidSignature", format!("the signature of node {} is not {}'s over this statement", e.index, e.node))
        }
        C::InvalidSitesRoot(_) => ("InvalidSitesRoot", "the root of the admitted sites is not zero".into()),
        C::InvalidSubject(_) => ("InvalidSubject", "the subject is not zero".into()),
        C::NotOurs(e) => ("NotOurs", format!("{} was deployed for another Consilium: deploy all contracts together", e.other)),
        C::NotSponsor(e) => ("NotSponsor", format!("{} is not the sponsor of study {}", e.caller, e.study)),
        C::QuorumMissing(e) => ("QuorumMissing", format!("{} signatures, {} are needed", e.signatures, e.quorum)),
        C::RoundInProgress(e) => ("RoundInProgress", format!("round {} of study {} is not over yet", e.round, e.study)),
        C::SafeCastOverflowedUintDowncast(e) => {
            ("SafeCastOverflowedUintDowncast", format!("{} does not fit {} bits", e.value, e.bits))
        }
        C::ShareRootCount(e) => ("ShareRootCount", format!("{} share roots for {} nodes", e.shareRoots, e.nodes)),
        C::SignaturesLength(e) => ("SignaturesLength", format!("{} bytes of signatures, {} expected", e.length, e.expected)),
        C::StringTooLong(_) => ("StringTooLong", "the contract's name is too long".into()),
        C::SubjectCertified(e) => (
            "SubjectCertified",
            format!("subject {} of study {} has had its sum: there are no two sums over one subject", e.subject, e.study),
        ),
        C::UnknownKind(e) => ("UnknownKind", format!("this deployment has no judge for studies of kind {}", e.kind)),
        C::InvalidOutputLength(e) => ("InvalidOutputLength", format!("a result has 1 to 2^32 elements, not {}", e.outputLength)),
        C::InvalidWeightUnit(_) => ("InvalidWeightUnit", "the unit of weights has at most 32 bytes".into()),
        C::UnknownSigner(e) => {
            ("UnknownSigner", format!("signer bitmap {:#x} names nodes beyond the {} of the committee", e.signers, e.nodes))
        }
        C::UnknownStudy(e) => ("UnknownStudy", format!("there is no study {}", e.study)),
        C::WrongState(e) => ("WrongState", format!("round {} of study {} {}", e.round, e.study, state(e.actual))),
        _ => conditions(error),
    }
}

/// Who may do what, and when.
fn rights(error: &C) -> (&'static str, String) {
    match error {
        C::AddressEmptyCode(e) => {
            ("AddressEmptyCode", format!("the second part of Consilium is not at {}: deploy all contracts together", e.target))
        }
        C::AlreadyVoted(e) => {
            ("AlreadyVoted", format!("the nodes of bitmap {:#x} have voted before: their votes count already", e.voters))
        }
        C::Ended(e) => ("Ended", format!("study {} has ended: no round opens any more, create another study", e.study)),
        C::FailedCall(_) => {
            ("FailedCall", "the call failed without a reason, mostly for lack of gas: try again with more gas".into())
        }
        C::InvalidPrivacyCost(_) => (
            "InvalidPrivacyCost",
            "a privacy account and what a round costs it come together: give both, or neither of them".into(),
        ),
        C::InvalidSitesUri(_) => (
            "InvalidSitesUri",
            "a list of sites is in the transaction, or at a place of 256 bytes at most that begins with https://: give one of both"
                .into(),
        ),
        C::NotOperator(e) => (
            "NotOperator",
            format!("{} does not open rounds of study {}: its operator does, or its sponsor", e.caller, e.study),
        ),
        C::NotTreasurer(e) => (
            "NotTreasurer",
            format!("{} does not take money out of study {}: its treasurer does, or its sponsor", e.caller, e.study),
        ),
        C::PausedUntil(e) => ("PausedUntil", paused(e.study, e.until)),
        C::PauseNotAllowed(e) => (
            "PauseNotAllowed",
            format!(
                "a pause of study {} until second {} is longer than the deployment allows, or over before it begins, or comes \
                 before second {}: shorten it, or wait",
                e.study, e.until, e.nextFrom
            ),
        ),
        _ => ("Unknown", "no reason that this version knows".into()),
    }
}

/// What the guardian's pause keeps from happening.
pub(super) fn paused(study: u64, until: u64) -> String {
    format!("the guardian of study {study} has stopped proofs and payouts until second {until}: try again after that")
}

/// What a study's money, stake and record of rounds demand.
fn conditions(error: &C) -> (&'static str, String) {
    match error {
        C::CommitteeVacant(e) => (
            "CommitteeVacant",
            format!("a node of study {} was convicted or has resigned: the sponsor has to form a new committee first", e.study),
        ),
        C::FundsMissing(e) => (
            "FundsMissing",
            format!("study {} has {} left and the round pays {}: fund it, or lower its budget", e.study, e.free, e.needed),
        ),
        C::InvalidRewards(_) => {
            let words = "a budget needs a currency and fits 80 bits, those of a full ring fit 87, and the nodes' share is 10000 \
                         ten-thousandths at most";
            ("InvalidRewards", words.into())
        }
        C::TooManyPolicies(_) => {
            ("TooManyPolicies", "budget, node share and sites of a study can be changed 65,535 times: create another".into())
        }
        C::FundsTooLarge(e) => (
            "FundsTooLarge",
            format!("with this the study would have {} free, and 2^87 is the most: fund it again when it has paid", e.free),
        ),
        C::WindowTooShort(e) => (
            "WindowTooShort",
            format!("a minimum of {} seconds is for trials: use an hour or more, or deploy for a trial", e.minimumWindow),
        ),
        C::InvalidRing(e) => ("InvalidRing", format!("2 to 1024 rounds are kept on record, not {}", e.ring)),
        C::InvalidWindow(e) => (
            "InvalidWindow",
            format!(
                "a challenge window of {} seconds is not between the {} and the {} that this deployment allows: use another one",
                e.challengeWindow, e.minimum, e.maximum
            ),
        ),
        C::NotFinal(e) => (
            "NotFinal",
            format!(
                "round {} of study {} is not settled, or can still be challenged: wait for its challenge window",
                e.round, e.study
            ),
        ),
        C::NoOffence(_) => ("NoOffence", "the answer is for the certified set: votes for that clear nobody".into()),
        C::NotItsIndex(e) => {
            ("NotItsIndex", format!("{} is not node {} of round {} of study {}", e.node, e.index, e.round, e.study))
        }
        C::NotPermitted(e) => ("NotPermitted", format!("{} is not the contract that may do this", e.caller)),
        C::RingFull(e) => (
            "RingFull",
            format!(
                "the oldest round on record of study {} can be challenged, or is evidence, until second {}: open the next one \
                 after that",
                e.study, e.until
            ),
        ),
        C::RosterNotStored(_) => ("RosterNotStored", "the committee's list was not stored: try again with more gas".into()),
        _ => rights(error),
    }
}

fn state(actual: u8) -> &'static str {
    match State::from_code(actual) {
        Some(State::None) => "does not exist",
        Some(State::Open) => "is still open: its deadline has not passed and no set is certified",
        Some(State::Void) => "is void: the round's deadline has passed without a certified set",
        Some(State::Certified) => "is already certified and waits for its settlement",
        Some(State::Settled) => "is already settled",
        Some(State::Abandoned) => "is abandoned: it was not settled in time",
        Some(State::Fraudulent) => "was found to be fraudulent",
        Some(State::Refuted) => "was proved wrong after it had begun to pay",
        None => "is in a state that this version does not know",
    }
}
