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
    /// An account is paid what rounds, and licence revenue, owe it. If the currency refuses that, [`Self::PaymentRefused`]
    /// follows.
    Claimed {
        /// The study.
        study: u64,
        /// Whose it is.
        account: Address,
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
        /// The revenue period: what was settled before it began shares the amount. 0: the sponsor has it, since no settled
        /// round was there to share it.
        period: u16,
    },
    /// The currency refused to pay an account; the money waits for it.
    PaymentRefused {
        /// The study.
        study: u64,
        /// Whose it is.
        account: Address,
        /// Where it was to go.
        to: Address,
        /// How much.
        amount: U256,
    },
    /// An account got what the currency had refused before.
    UnpaidSent {
        /// The study.
        study: u64,
        /// Whose it was.
        account: Address,
        /// Where it went.
        to: Address,
        /// How much.
        amount: U256,
    },
    /// An account wants its money sent elsewhere.
    PayeeSet {
        /// The study.
        study: u64,
        /// The account.
        account: Address,
        /// Where; zero for the account itself.
        payee: Address,
    },
    /// What struck sites lost, or nobody had earned, is free again.
    Returned {
        /// The study.
        study: u64,
        /// How much.
        amount: U256,
    },
    /// What nobody claimed of a round may soon go to the sink.
    EscheatAnnounced {
        /// The study.
        study: u64,
        /// The round.
        round: u64,
        /// Block time from which it may.
        from: U256,
    },
    /// What the currency refuses to pay an account may soon go to the sink.
    UnpaidEscheatAnnounced {
        /// The study.
        study: u64,
        /// The account.
        account: Address,
        /// Block time from which it may.
        from: U256,
    },
    /// What an account did not claim in years went to the sink.
    Escheated {
        /// The study.
        study: u64,
        /// Whose it was.
        account: Address,
        /// How much.
        amount: U256,
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
            | Self::PaymentRefused { study, .. }
            | Self::UnpaidSent { study, .. }
            | Self::PayeeSet { study, .. }
            | Self::Returned { study, .. }
            | Self::EscheatAnnounced { study, .. }
            | Self::UnpaidEscheatAnnounced { study, .. }
            | Self::Escheated { study, .. }
            | Self::SiteRestored { study, .. }
            | Self::Offered { study, .. }
            | Self::LicencesBought { study, .. } => *study,
            Self::SiteStruck(proof) => proof.study,
        }
    }
}
