//! The money of a study: what came in, what each round pays by the formula, who got it, and that nothing is missing.

use crate::chain::{View, status_of};
use crate::report::{Book, Check, Scope};
use alloy_primitives::{Address, U256};
use consilium_core::certify::Cohort;
use consilium_ledger::{Books, ChainEvent, Cohorts, Event, Money, Moved, Totals};
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
    let (currency, treasury) = (books.conditions().currency, view.ledger.addresses().treasury);
    let moved = match view.ledger.moved(currency, treasury, view.history.head().number).await {
        Ok(moved) => moved,
        Err(error) => {
            book.write(status_of(&error), Check::Money, Scope::Study, error.to_string());
            None
        }
    };
    let told =
        Told { own: Flows::of(&view.all, |study| study == view.study.id), all: Flows::in_coin(&view.all, currency), moved };
    match balanced(books.totals(), &told) {
        Ok(reason) => book.pass(Check::Money, Scope::Study, reason),
        Err(reason) => book.fail(Check::Money, Scope::Study, reason),
    }
    Some(books)
}

/// What the treasury announced that came in and went out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Flows {
    came: U256,
    went: U256,
    /// Announced as claimed, and refused by the currency.
    refused: U256,
}

/// What the books are held against: none of it is what they were made of.
struct Told {
    /// Of the study, out of the events of all studies, which are another answer than the study's own.
    own: Flows,
    /// Of all studies that pay in the currency.
    all: Flows,
    /// What the currency's own contract announced about the treasury; none when it cannot be read.
    moved: Option<Moved>,
}

impl Flows {
    fn of(events: &[ChainEvent], wanted: impl Fn(u64) -> bool) -> Self {
        let mut flows = Self::default();
        for event in events {
            let Event::Money(money) = &event.event else { continue };
            if !wanted(money.study()) {
                continue;
            }
            flows.add(money);
        }
        Self { went: flows.went.saturating_sub(flows.refused), refused: U256::ZERO, ..flows }
    }

    fn add(&mut self, money: &Money) {
        let (sum, amount) = match money {
            Money::Funded { amount, .. } | Money::RevenueReceived { amount, .. } => (&mut self.came, amount),
            Money::Withdrawn { amount, .. }
            | Money::Claimed { amount, .. }
            | Money::UnpaidSent { amount, .. }
            | Money::Escheated { amount, .. } => (&mut self.went, amount),
            Money::PaymentRefused { amount, .. } => (&mut self.refused, amount),
            _ => return,
        };
        *sum = sum.saturating_add(*amount);
    }

    /// Of all studies that pay in a currency.
    fn in_coin(events: &[ChainEvent], currency: Address) -> Self {
        let paying = events.iter().filter_map(|event| match &event.event {
            Event::ConditionsSet { study, conditions } if conditions.currency == currency => Some(*study),
            _ => None,
        });
        let paying: BTreeSet<u64> = paying.collect();
        Self::of(events, |study| paying.contains(&study))
    }

    fn held(&self) -> U256 {
        self.came.saturating_sub(self.went)
    }
}

/// The study's books against the events of all studies, and these against the currency's own events and its balance.
fn balanced(t: &Totals, told: &Told) -> Result<String, String> {
    let came = t.funded.saturating_add(t.revenue);
    let books = Flows { came, went: came.saturating_sub(t.held()), refused: U256::ZERO };
    if books != told.own {
        return Err(format!(
            "asked about the study, the endpoint tells of {} in and {} out; asked about all studies, of {} and {}",
            books.came, books.went, told.own.came, told.own.went
        ));
    }
    if told.all.held() > t.balance {
        let (all, balance) = (told.all.held(), t.balance);
        return Err(format!("the studies that pay in this currency hold {all} by their events, the treasury has {balance}"));
    }
    let by_coin = match told.moved {
        Some(moved) => moved_as_told(t, told.all, moved)?,
        None => "the currency's own events were not read".to_owned(),
    };
    Ok(format!(
        "{} funded + {} from licences came in, {} withdrawn + {} claimed + {} never claimed went out, of which {} wait since the \
         currency refused to pay them; {} is held, of which {} are free as the contract stores; the treasury has {} of the \
         currency, all its studies hold {}; {by_coin}",
        t.funded,
        t.revenue,
        t.withdrawn,
        t.claimed,
        t.escheated,
        t.waiting,
        t.held(),
        t.free,
        t.balance,
        told.all.held()
    ))
}

/// Whatever leaves the treasury leaves it for a study; anyone may send coins there besides.
fn moved_as_told(t: &Totals, all: Flows, moved: Moved) -> Result<String, String> {
    let Moved { into, out } = moved;
    if out != all.went {
        return Err(format!("the treasury tells of {} that went out, the currency's own events of {out}", all.went));
    }
    if into < all.came {
        return Err(format!("the treasury tells of {} that came in, the currency's own events of {into}", all.came));
    }
    let rest = into.saturating_sub(out);
    if rest > t.balance {
        return Err(format!("by the currency's own events the treasury has {rest}, by its balance {}", t.balance));
    }
    Ok(format!("the currency's own events tell of {into} in and {out} out"))
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
        round.voters.len() + round.late.len(),
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

/// Sites that lost their place and their pay: the treasury's event counts with what these sites signed, and not without.
pub(crate) fn strikes(view: &View, book: &mut Book) {
    for event in &view.all {
        let Event::Money(Money::SiteStruck(proof)) = &event.event else { continue };
        let (site, round) = (proof.site, proof.round);
        // Anybody can have keys of their own struck.
        if proof.study != view.study.id || !view.history.was_admitted(site) {
            continue;
        }
        if proof.holds(&view.ledger.domain()) {
            let reason = format!("site {site} signed two contributions to round {round}: it is not paid for it");
            book.note(Check::Claims, Scope::Study, reason);
        } else {
            let reason = format!(
                "an endpoint shows that site {site} was struck for round {round}, without two contributions that the site \
                 signed: the contract cannot have said so; remove the endpoint"
            );
            book.fail(Check::Claims, Scope::Study, reason);
        }
    }
}

/// Who claimed, against who was owed: by the sets of all settled rounds.
pub(crate) async fn claims(books: &Books, sets: BTreeMap<u64, Cohort>, book: &mut Book) {
    let scope = Scope::Study;
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
    let open = match books.owed(&cohorts, books.read_at()).await {
        Ok(credits) => credits.iter().fold(U256::ZERO, |sum, credit| sum.saturating_add(credit.amount())),
        Err(error) => return book.write(status_of(&error), Check::Claims, scope, error.to_string()),
    };
    let reason = format!("{} were paid of rounds and licences, {open} can be claimed now", books.totals().claimed);
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
    let voters = books.rounds().iter().flat_map(|round| {
        let late = round.late.iter().map(|(_, node)| *node);
        round.voters.iter().copied().chain(late)
    });
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

    fn n(number: u64) -> U256 {
        U256::from(number)
    }

    fn books() -> Totals {
        Totals {
            funded: n(100),
            revenue: n(10),
            withdrawn: n(20),
            claimed: n(36),
            waiting: n(2),
            escheated: U256::ZERO,
            free: n(25),
            reserved: n(15),
            unclaimed: n(16),
            balance: n(57),
            held_by_all: Some(n(56)),
        }
    }

    fn told() -> Told {
        let own = Flows { came: n(110), went: n(54), ..Flows::default() };
        Told { own, all: own, moved: Some(Moved { into: n(111), out: n(54) }) }
    }

    #[test]
    fn books_that_any_one_source_contradicts_are_told() {
        let words = balanced(&books(), &told()).unwrap();
        assert!(words.contains("56 is held") && words.contains("111 in and 54 out"), "{words}");
        let refused = |totals: Totals, told: Told| balanced(&totals, &told).unwrap_err();
        let hidden = Totals { claimed: n(35), unclaimed: n(17), ..books() };
        assert!(refused(hidden, told()).contains("110 in and 53 out"), "a claim is left out of the study's own events");
        let fewer = Flows { came: n(110), went: n(53), ..Flows::default() };
        let words = refused(Totals { claimed: n(35), unclaimed: n(17), ..books() }, Told { own: fewer, all: fewer, ..told() });
        assert!(words.contains("53 that went out, the currency's own events of 54"), "and of all events: {words}");
        let moved = Some(Moved { into: n(109), out: n(54) });
        assert!(refused(books(), Told { moved, ..told() }).contains("the currency's own events of 109"), "money is invented");
        let gone = Totals { balance: n(55), ..books() };
        assert!(refused(gone, told()).contains("the treasury has 55"));
        let gone = Totals { balance: n(56), ..books() };
        assert!(refused(gone, told()).contains("by its balance 56"));
        assert!(balanced(&books(), &Told { moved: None, ..told() }).unwrap().contains("were not read"));
    }

    #[test]
    fn all_studies_of_the_currency_count_and_no_other() {
        let (ours, other) = (Address::repeat_byte(1), Address::repeat_byte(2));
        let of =
            |study, currency| event(Event::ConditionsSet { study, conditions: Conditions { currency, ..Conditions::default() } });
        let fund = |study, amount| event(Event::Money(Money::Funded { study, payer: Address::ZERO, amount: U256::from(amount) }));
        let claim =
            |study, amount| event(Event::Money(Money::Claimed { study, account: Address::ZERO, amount: U256::from(amount) }));
        let refuse = |study, amount| {
            let (account, to) = (Address::ZERO, Address::ZERO);
            event(Event::Money(Money::PaymentRefused { study, account, to, amount: U256::from(amount) }))
        };
        let events = [
            of(1, ours),
            of(2, other),
            of(3, ours),
            fund(1, 50),
            fund(2, 70),
            fund(3, 20),
            claim(3, 8),
            refuse(3, 3),
            claim(2, 1),
        ];
        assert_eq!(Flows::in_coin(&events, ours), Flows { came: n(70), went: n(5), ..Flows::default() });
        assert_eq!(Flows::in_coin(&events, other).held(), n(69));
        assert_eq!(Flows::of(&events, |study| study == 3).held(), n(15));
    }
}
