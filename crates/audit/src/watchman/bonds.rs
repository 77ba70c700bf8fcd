//! What becomes of the bonds of convicted nodes once they are due: assigned to the harmed sites and paid out, or sent to the
//! sink where no site is to be paid. A bond that a wrong settlement took comes back with the proof of that.

use super::{Outcome, Pass};
use crate::client::peers;
use crate::sets::{self, ServedSet};
use alloy_primitives::{Address, U256};
use consilium_core::certify::Cohort;
use consilium_ledger::{Error, Ledger, Pot, Receipt, State, Wallet};

/// Passes after which a payment is looked at again that was refused, or cost too much.
const LATER: u64 = 64;

/// What is to be done about the bond of a convicted node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Assign,
    Pay,
    Forfeit,
    Wait,
}

impl Pass<'_> {
    /// Looks after the lost bonds of a study. What was proved is told, whatever becomes of them.
    pub(super) async fn bonds(&mut self) {
        if self.watchman.dry {
            return;
        }
        for node in self.views.nodes() {
            if let Err(error) = self.bond(node).await {
                let words = format!("the bond of node {node} was not looked after: {error}");
                self.tell(self.views.newest(), Outcome::Unavailable, words);
                if error.is_temporary() {
                    return;
                }
            }
        }
    }

    async fn bond(&mut self, node: Address) -> Result<(), Error> {
        let study = self.study;
        let read = |ledger: Ledger| async move { ledger.pot_of(study, node).await };
        let Some(pot) = self.watchman.endpoints.agreed(read).await? else { return Ok(()) };
        match self.step(&pot).await {
            Step::Wait => Ok(()),
            Step::Pay => self.pay(node, &pot).await,
            Step::Assign => self.assign(node, &pot).await,
            Step::Forfeit => self.forfeit(node, &pot).await,
        }
    }

    async fn step(&mut self, pot: &Pot) -> Step {
        if self.views.time() < pot.due || pot.amount.is_zero() {
            return Step::Wait;
        }
        if pot.is_assigned() {
            return if pot.each.is_zero() { Step::Wait } else { Step::Pay };
        }
        if pot.round == 0 || !self.views.is_on_record(pot.round) {
            return if pot.round == 0 { Step::Forfeit } else { Step::Assign };
        }
        match self.views.round(pot.round).await {
            Ok(round) if round.state == State::Settled => Step::Assign,
            Ok(_) => Step::Forfeit,
            Err(trouble) => {
                self.tell(pot.round, Outcome::Unavailable, trouble.words);
                Step::Wait
            }
        }
    }

    async fn forfeit(&mut self, node: Address, pot: &Pot) -> Result<(), Error> {
        if self.errand() {
            let sent = self.watchman.endpoints.primary().forfeit(&self.wallet_for(pot.amount), self.study, node).await;
            let words = format!("the bond of node {node} goes to the sink: no site is to be paid of it");
            self.note(pot, Outcome::Forfeited, words, sent)?;
        }
        Ok(())
    }

    /// Writes down whose a bond is, for less gas than there is in it.
    async fn assign(&mut self, node: Address, pot: &Pot) -> Result<(), Error> {
        let (ledger, study) = (self.watchman.endpoints.primary(), self.study);
        if self.errand() {
            let sent = ledger.assign_compensation(&self.wallet_for(pot.amount), study, node, pot.round).await;
            let words = format!("the bond of node {node} is assigned to the harmed sites");
            self.note(pot, Outcome::Paid, words, sent)?;
        }
        Ok(())
    }

    fn note(&mut self, pot: &Pot, outcome: Outcome, words: String, sent: Result<Receipt, Error>) -> Result<(), Error> {
        match sent {
            Ok(receipt) => self.tell_sent(pot.round, outcome, words, receipt.transaction),
            // Somebody was faster, or it is too early for this end of the story. Nothing was sent.
            Err(Error::Reverted(_) | Error::Unknown(_)) => self.errands += 1,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn wallet_for(&self, worth: U256) -> Wallet {
        self.watchman.wallet.spending_at_most(worth)
    }

    async fn pay(&mut self, node: Address, pot: &Pot) -> Result<(), Error> {
        let waits = |i: &usize| self.memory.payments.get(&(node, *i)).is_none_or(|next| *next <= self.memory.passes);
        let open: Vec<usize> = (0..pot.size as usize).filter(waits).collect();
        if open.is_empty() {
            return Ok(());
        }
        let Some((cohort, sites)) = self.harmed(pot).await else {
            let words = format!("no node shows the set whose sites are owed the bond of node {node}");
            self.tell(pot.round, Outcome::Unavailable, words);
            return Ok(());
        };
        for index in open {
            if !self.errand() {
                let words = format!("further sites are paid of the bond of node {node} in the next passes");
                self.tell(pot.round, Outcome::Unavailable, words);
                break;
            }
            self.compensate(node, pot, (&cohort, &sites), index).await?;
        }
        Ok(())
    }

    /// Pays one site. It is looked at again much later, whatever the endpoint said: a site that was paid costs nothing then.
    async fn compensate(
        &mut self,
        node: Address,
        pot: &Pot,
        (cohort, sites): (&Cohort, &[Address]),
        index: usize,
    ) -> Result<(), Error> {
        let (ledger, wallet) = (self.watchman.endpoints.primary(), self.wallet_for(pot.each));
        let site = cohort.members().get(index).map_or(Address::ZERO, |member| member.site);
        match ledger.compensate(&wallet, (self.study, node), cohort, sites, index).await {
            Ok(receipt) => {
                let words = format!("site {site} is paid {} wei of the bond of node {node}", pot.each);
                self.tell_sent(pot.round, Outcome::Paid, words, receipt.transaction);
            }
            Err(Error::Reverted(revert)) if revert.is("AlreadyCompensated") => {}
            Err(error @ Error::TooDear { .. }) => {
                let words = format!("site {site} is owed {} wei of the bond of node {node} and not paid now: {error}", pot.each);
                self.tell(pot.round, Outcome::Left, words);
            }
            // Nobody admitted it: it has no part.
            Err(Error::Misuse(_)) => {}
            Err(Error::Reverted(revert)) => {
                let words = format!("site {site} could not be paid of the bond of node {node}: {revert}; trying again later");
                self.tell(pot.round, Outcome::Left, words);
            }
            Err(error) => return Err(error),
        }
        self.memory.payments.insert((node, index), self.memory.passes + LATER);
        Ok(())
    }

    /// The harmed set, from whichever node shows it, and the sites that were admitted to its round.
    async fn harmed(&self, pot: &Pot) -> Option<(Cohort, Vec<Address>)> {
        let history = self.views.first();
        let certified = history.certified_subjects().into_iter().rfind(|certified| certified.set_root == pot.set_root)?;
        let round = history.round(certified.round).await.ok()?;
        let (vote, admitted) = (&round.certificate.as_ref()?.vote, history.admitted_to(certified.round)?);
        for peer in peers(&round.terms.committee, &self.watchman.nodes) {
            let Ok(served) = self.watchman.client.json::<ServedSet>(&peer, sets::route(&round)).await else { continue };
            if let Ok(cohort) = served.under(vote) {
                return Some((cohort, admitted));
            }
        }
        None
    }
}
