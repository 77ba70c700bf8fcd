//! What the treasury and the licences announce.

use alloy_primitives::{Address, U256};
use consilium_core::accusation::Equivocation;

/// An event about a study's money. Amounts are in the smallest unit of the study's currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Money {
    /// The study was given money.
    Funded {
        /// The study.
        study: u64,
        /// Who paid.
        payer: Address,
        /// How much.
        amount: U256,
    },
    /// The sponsor took money back.
    Withdrawn {
        /// The study.
        study: u64,
        /// Who got it.
        to: Address,
        /// How much.
        amount: U256,
    },
    /// An account got what rounds, or a period, owed it.
    Claimed {
        /// The study.
        study: u64,
        /// Who got it.
        account: Address,
        /// 0 for what rounds pay, else the period of licence revenue.
        period: u32,
        /// How much.
        amount: U256,
    },
    /// Licences were paid for.
    RevenueReceived {
        /// The study.
        study: u64,
        /// Who paid.
        payer: Address,
        /// How much.
        amount: U256,
    },
    /// The licence revenue so far was shared out.
    PeriodClosed {
        /// The study.
        study: u64,
        /// From 1.
        period: u32,
        /// What a site gets for each round that it was in.
        per_site: U256,
        /// What a voter gets for each round that it voted in.
        per_node: U256,
        /// The newest round that has a part.
        through: u64,
    },
    /// A site is said to have signed two contributions to one round. Nothing has been checked: an endpoint may have
    /// invented it, unless [`Equivocation::holds`].
    SiteStruck(Box<Equivocation>),
    /// The sponsor took a site back. What it lost stays lost.
    SiteRestored {
        /// The study.
        study: u64,
        /// The site.
        site: Address,
        /// The round for which it was struck.
        round: u64,
    },
    /// The sponsor set what a licence costs.
    Offered {
        /// The study.
        study: u64,
        /// For one licence; zero if none is for sale.
        price: U256,
        /// What the sponsor asks of resales, in ten-thousandths.
        royalty: u16,
    },
    /// Licences were bought.
    LicencesBought {
        /// The study.
        study: u64,
        /// Who paid.
        payer: Address,
        /// Who holds them.
        to: Address,
        /// How many.
        quantity: u32,
        /// For each.
        price: U256,
    },
}

impl Money {
    /// The study.
    #[must_use]
    pub fn study(&self) -> u64 {
        match self {
            Self::Funded { study, .. }
            | Self::Withdrawn { study, .. }
            | Self::Claimed { study, .. }
            | Self::RevenueReceived { study, .. }
            | Self::PeriodClosed { study, .. }
            | Self::SiteRestored { study, .. }
            | Self::Offered { study, .. }
            | Self::LicencesBought { study, .. } => *study,
            Self::SiteStruck(proof) => proof.study,
        }
    }
}
