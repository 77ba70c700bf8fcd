//! The money of a study: what came in, what each round pays by the formula, who got it, and that nothing is missing.

use crate::chain::{View, status_of};
use crate::report::{Book, Check, Scope};
use alloy_primitives::{Address, U256};
use consilium_core::certify::Cohort;
use consilium_ledger::{Books, ChainEvent, Cohorts, Event, Money, Totals};
use std::collections::{BTreeMap, BTreeSet};

/// The study's books, held against storage, and what they add up to. `None` when there is nothing to go on with.
pub(crate) async fn read(view: &View, book: &mut Book) -> Option<Books> {
    let books = match view.ledger.books_of(&view.history).await {
        Ok(books) => books,
        Err(error) => {
            book.write(status_of(&error), Check::Money, Scope::Study, error.to_string());
            return None;
        }
    };
    if books.conditions().currency.is_zero() {
        book.pass(Check::Money, Scope::Study, "the study has no currency: nobody pays, and nobody is owed anything");
        return None;
    }
    let of_all = held_by_all(&view.all, books.conditions().currency);
    match balanced(books.totals(), of_all) {
        Ok(reason) => book.pass(Check::Money, Scope::Study, reason),
        Err(reason) => book.fail(Check::Money, Scope::Study, reason),
    }
    Some(books)
}

/// What comes in goes out or is held, and what all studies of the currency hold is there.
fn balanced(t: &Totals, of_all: U256) -> Result<String, String> {
    let (came, went) = (t.funded.saturating_add(t.revenue), t.withdrawn + t.claimed + t.claimed_revenue);
    let (held, balance) = (t.held(), t.balance);
    if went.saturating_add(held) != came {
        return Err(format!("{came} came in, but {went} that went out and {held} that is held make {}", went + held));
    }
    if of_all > balance {
        return Err(format!("the studies that pay in this currency hold {of_all} by their events, the treasury has {balance}"));
    }
    Ok(format!(
        "{} funded + {} from licences = {} withdrawn + {} claimed of rounds + {} claimed of licences + {held} held, of which {} \
         are free as the contract stores; the treasury has {balance} of the currency, all its studies hold {of_all}",
        t.funded, t.revenue, t.withdrawn, t.claimed, t.claimed_revenue, t.free
    ))
}

/// What all studies that pay in a currency must hold together, from events alone.
fn held_by_all(events: &[ChainEvent], currency: Address) -> U256 {
    let paying = events.iter().filter_map(|event| match &event.event {
        Event::ConditionsSet { study, conditions } if conditions.currency == currency => Some(*study),
        _ => None,
    });
    let paying: BTreeSet<u64> = paying.collect();
    let (mut came, mut went) = (U256::ZERO, U256::ZERO);
    for event in events {
        let Event::Money(money) = event.event else { continue };
        if !paying.contains(&money.study()) {
            continue;
        }
        match money {
            Money::Funded { amount, .. } | Money::RevenueReceived { amount, .. } => came = came.saturating_add(amount),
            Money::Withdrawn { amount, .. } | Money::Claimed { amount, .. } => went = went.saturating_add(amount),
            _ => {}
        }
    }
    came.saturating_sub(went)
}

/// What a settled round pays: by the formula here, and by the contract's own word.
pub(crate) async fn pay(books: &Books, number: u64, book: &mut Book) {
    let Some(round) = books.rounds().iter().find(|round| round.round == number) else { return };
    let scope = Scope::Round(number);
    let said = format!(
        "{} to each of {} sites and {} to each of {} voters, of a budget of {}",
        round.per_site,
        round.sites,
        round.per_node,
        round.voters.len(),
        round.budget
    );
    if books.read_at() < round.pays_from {
        return book.pass(
            Check::Pay,
            scope,
            format!("{said}, from second {} on unless it is proved fraudulent", round.pays_from),
        );
    }
    match books.pay_by_contract(round).await {
        Ok(told) if told == (round.per_site, round.per_node) => book.pass(Check::Pay, scope, said),
        Ok((site, node)) => book.fail(Check::Pay, scope, format!("by the formula {said}; the contract pays {site} and {node}")),
        Err(error) => book.write(status_of(&error), Check::Pay, scope, error.to_string()),
    }
}

/// Who claimed, against who was owed: by the sets of all settled rounds.
pub(crate) async fn claims(books: &Books, sets: BTreeMap<u64, Cohort>, book: &mut Book) {
    let scope = Scope::Study;
    for (_, money) in books.events() {
        if let Money::SiteStruck { site, round, .. } = money {
            let reason = format!("site {site} signed two contributions to round {round}: it is not paid for it");
            book.note(Check::Claims, scope, reason);
        }
    }
    let strangers = strangers(books, &sets);
    // A set that the settled rewards are not of is known all the same: whoever is in none was paid wrongly. Sets of rounds
    // that did not settle tell nothing about who was paid.
    let known = books.rounds().iter().all(|round| sets.contains_key(&round.round));
    let (cohorts, _) = books.creditable(sets);
    let complete = cohorts.len() == books.rounds().len();
    for (account, amount) in &strangers {
        let reason = format!("{account} was paid {amount}, and is in no settled set and no recorded vote that is known here");
        if known { book.fail(Check::Claims, scope, reason) } else { book.note(Check::Claims, scope, reason) }
    }
    let mut open = U256::ZERO;
    for period in std::iter::once(0).chain(books.periods().map(|(period, ..)| period)) {
        match books.owed(&cohorts, period, books.read_at()).await {
            Ok(credits) => open = credits.iter().fold(open, |sum, credit| sum.saturating_add(credit.amount)),
            Err(error) => return book.write(status_of(&error), Check::Claims, scope, error.to_string()),
        }
    }
    let t = books.totals();
    let reason = format!("{} were paid for rounds and {} of licences, {open} can be claimed now", t.claimed, t.claimed_revenue);
    if !complete {
        let reason =
            format!("{reason}; of {} settled rounds only {} sets are known and credited", books.rounds().len(), cohorts.len());
        book.note(Check::Claims, scope, reason);
    } else if strangers.is_empty() {
        book.pass(Check::Claims, scope, format!("{reason}, each once and to whom it is owed"));
    }
}

/// Who was paid and has no credit in any of these sets. Anyone may claim nothing for anyone.
fn strangers(books: &Books, cohorts: &Cohorts) -> BTreeMap<Address, U256> {
    let sites = cohorts.values().flat_map(|cohort| cohort.members().iter().map(|member| member.site));
    let voters = books.rounds().iter().flat_map(|round| round.voters.iter().copied());
    let known: BTreeSet<Address> = sites.chain(voters).collect();
    let mut strangers = BTreeMap::<Address, U256>::new();
    for (_, money) in books.events() {
        if let Money::Claimed { account, amount, .. } = money
            && !known.contains(account)
            && !amount.is_zero()
        {
            let sum = strangers.entry(*account).or_default();
            *sum = sum.saturating_add(*amount);
        }
    }
    strangers
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;
    use consilium_ledger::{BlockRef, Conditions, LogPosition};

    fn event(event: Event) -> ChainEvent {
        let at = LogPosition { block: BlockRef::default(), index: 0, transaction: B256::ZERO };
        ChainEvent { at, timestamp: None, event }
    }

    fn books() -> Totals {
        let n = U256::from;
        Totals {
            funded: n(100),
            revenue: n(10),
            withdrawn: n(20),
            claimed: n(30),
            claimed_revenue: n(4),
            free: n(25),
            reserved: n(15),
            unclaimed: n(10),
            unclaimed_revenue: n(6),
            balance: n(56),
            held_by_all: Some(n(56)),
        }
    }

    #[test]
    fn books_that_do_not_balance_are_told() {
        assert!(balanced(&books(), U256::from(56)).is_ok());
        let lost = Totals { free: U256::from(24), ..books() };
        assert!(balanced(&lost, U256::from(55)).unwrap_err().contains("110 came in"));
        let gone = Totals { balance: U256::from(55), ..books() };
        assert!(balanced(&gone, U256::from(56)).unwrap_err().contains("the treasury has 55"));
    }

    #[test]
    fn all_studies_of_the_currency_count_and_no_other() {
        let (ours, other) = (Address::repeat_byte(1), Address::repeat_byte(2));
        let of =
            |study, currency| event(Event::ConditionsSet { study, conditions: Conditions { currency, ..Conditions::default() } });
        let fund = |study, amount| event(Event::Money(Money::Funded { study, payer: Address::ZERO, amount: U256::from(amount) }));
        let claim = |study, amount| {
            event(Event::Money(Money::Claimed { study, account: Address::ZERO, period: 0, amount: U256::from(amount) }))
        };
        let events = [of(1, ours), of(2, other), of(3, ours), fund(1, 50), fund(2, 70), fund(3, 20), claim(3, 5), claim(2, 1)];
        assert_eq!(held_by_all(&events, ours), U256::from(65));
        assert_eq!(held_by_all(&events, other), U256::from(69));
    }
}
