//! What is proved against nodes on the chain.

use alloy_primitives::{Address, U256};
use serde::{Deserialize, Serialize};

/// What was proved against a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Offence {
    /// It signed another output share than the settled one.
    WrongShare,
    /// It signed a settlement whose roots fit no polynomial of degree t.
    WrongSettlement,
    /// It called two sets of one subject final.
    TwoFinals,
    /// It released an output share of a set that is not the certified one.
    ForeignShare,
    /// It signed two output shares in one round.
    TwoShares,
    /// It signed two settlements of one round.
    TwoSettlements,
    /// It voted for a set with a site that was not admitted.
    ForeignSite,
    /// It signed a settlement whose rewards are not those of the set.
    WrongReward,
    /// What the study's kind calls an offence.
    OfKind,
}

impl Offence {
    /// The offence that the contract writes as this number.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        const ALL: [Offence; 9] = [
            Offence::WrongShare,
            Offence::WrongSettlement,
            Offence::TwoFinals,
            Offence::ForeignShare,
            Offence::TwoShares,
            Offence::TwoSettlements,
            Offence::ForeignSite,
            Offence::WrongReward,
            Offence::OfKind,
        ];
        ALL.get(usize::from(code)).copied()
    }
}

impl std::fmt::Display for Offence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::WrongShare => "signed another output share than the settled one",
            Self::WrongSettlement => "signed a wrong settlement",
            Self::TwoFinals => "called two sets of one subject final",
            Self::ForeignShare => "released an output share of a set that is not the certified one",
            Self::TwoShares => "signed two output shares in one round",
            Self::TwoSettlements => "signed two settlements of one round",
            Self::ForeignSite => "voted for a set with a site that was not admitted",
            Self::WrongReward => "signed a settlement whose rewards are not those of the set",
            Self::OfKind => "broke a rule of the study's kind",
        })
    }
}

/// An offence that was proved on chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conviction {
    /// The study.
    pub study: u64,
    /// Whose bond was taken.
    pub node: Address,
    /// The round of the offence.
    pub round: u64,
    /// What was proved.
    pub offence: Offence,
    /// Who proved it.
    pub reporter: Address,
    /// What that earns, in wei: at once, or when the bond is paid out if the conviction can still be undone.
    pub reward: U256,
    /// What is kept for the sites, in wei; from when on they can be paid, [`crate::Ledger::pot_of`] tells.
    pub kept: U256,
}
