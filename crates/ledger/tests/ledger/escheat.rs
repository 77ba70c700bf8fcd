//! What is nobody's, by the books: what a struck site lost, and what was forgotten for years.

use crate::money::{STUDY, Till, WINDOW, two_contributions};
use crate::worlds::{World, wallet};
use alloy::sol_types::SolCall;
use alloy_primitives::{Address, Bytes, U256};
use consilium_ledger::contracts::{Treasury, TrialToken};
use consilium_ledger::{Error, Event, Money, Receipt, Wallet};

const QUARTER: u64 = 91 * 24 * 3600;

fn announced(receipts: &[Receipt]) -> Vec<u64> {
    let events = receipts.iter().flat_map(|receipt| &receipt.events);
    events
        .filter_map(|event| match event.event {
            Event::Money(Money::EscheatAnnounced { round, .. }) => Some(round),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn forgotten_rounds_are_announced_once_each_and_go_to_the_sink_a_quarter_later() {
    let mut till = Till::set(World::embedded()).await;
    let (sponsor, stranger) = (till.stage.sponsor.clone(), wallet(9));
    till.ledger().fund(&sponsor, STUDY, U256::from(3_000)).await.unwrap();
    till.play(3).await;
    till.pass(WINDOW).await;
    till.play(3).await;
    till.pass(WINDOW).await;
    let years = till.ledger().escheat_time().await.unwrap();
    let books = till.books().await;
    let first_from = books.rounds()[0].announceable_from(years);
    assert!(books.announceable(first_from - 1, years).is_empty());
    assert_eq!(books.announceable(first_from, years), [1].into());

    till.pass(years).await;
    // A round that is too young for it is left alone.
    let young = till.play(3).await;
    till.pass(WINDOW).await;
    let (books, now) = (till.books().await, till.now);
    let rounds = books.announceable(now, years);
    assert_eq!(rounds, [1, 2].into());
    assert!(books.forgotten(now).is_empty());
    let early = books.escheat(&stranger, &till.cohorts, &rounds, now).await.unwrap_err();
    assert!(early.revert().is_some_and(|revert| revert.is("EscheatTooEarly")), "{early}");
    let receipts = books.announce_escheat(&stranger, &till.cohorts, &rounds, now).await.unwrap();
    assert_eq!((receipts.len(), announced(&receipts)), (1, vec![1, 2]));
    let books = till.books().await;
    assert!(books.announceable(now, years).is_empty(), "each is announced once");
    let from = books.announced()[&1];
    assert_eq!(books.announced().keys().copied().collect::<Vec<_>>(), [1, 2]);

    till.pass(QUARTER).await;
    let (books, now) = (till.books().await, till.now);
    assert_eq!(books.forgotten(from.to::<u64>() - 1), [].into());
    assert_eq!(books.forgotten(now), [1, 2].into());
    books.escheat(&stranger, &till.cohorts, &books.forgotten(now), now).await.unwrap();
    let totals = *till.books().await.totals();
    assert_eq!((totals.escheated, totals.claimed, totals.unclaimed), (U256::from(2_000), U256::ZERO, U256::from(1_000)));
    let left = till.books().await.owed(&till.cohorts, now).await.unwrap();
    assert!(!left.is_empty() && left.iter().all(|credit| credit.leaf.is_some_and(|leaf| leaf.round == young)), "{left:?}");
}

#[tokio::test]
async fn what_struck_sites_lost_is_given_back_by_the_sets_of_their_rounds() {
    let mut till = Till::set(World::embedded()).await;
    let (sponsor, stranger) = (till.stage.sponsor.clone(), wallet(9));
    till.ledger().fund(&sponsor, STUDY, U256::from(2_000)).await.unwrap();
    let round = till.play(3).await;
    assert!(till.books().await.struck_rounds().is_empty());
    till.ledger().accuse(&wallet(8), &two_contributions(&till, 51, round)).await.unwrap();
    till.play(3).await;
    till.pass(WINDOW).await;
    let books = till.books().await;
    assert_eq!(books.struck_rounds(), [round].into());
    let nothing = books.return_forfeits(&stranger, &Default::default(), till.now).await.unwrap_err();
    assert!(nothing.revert().is_some_and(|revert| revert.is("NothingOwed")), "without the set nobody sees what was lost");

    let before = books.totals().free;
    let receipts = books.return_forfeits(&stranger, &till.cohorts, till.now).await.unwrap();
    let returned = receipts.iter().flat_map(|receipt| &receipt.events).find_map(|event| match event.event {
        Event::Money(Money::Returned { amount, .. }) => Some(amount),
        _ => None,
    });
    assert_eq!((receipts.len(), returned), (1, Some(U256::from(300))));
    assert_eq!(till.books().await.totals().free, before + U256::from(300));
    let again = till.books().await.return_forfeits(&stranger, &till.cohorts, till.now).await.unwrap_err();
    assert!(again.revert().is_some_and(|revert| revert.is("NothingOwed")), "{again}");
}

#[tokio::test]
async fn an_allowance_and_what_needs_it_are_made_up_in_their_order_for_somebody_else_to_send() {
    let till = Till::set(World::embedded()).await;
    let (ledger, sponsor) = (till.ledger().clone(), till.stage.sponsor.clone());
    let (safe, treasury) = (Wallet::elsewhere(sponsor.address()), ledger.addresses().treasury);
    let approve = |value: u64| {
        let call = TrialToken::approveCall { spender: treasury, value: U256::from(value) };
        (till.currency, Bytes::from(call.abi_encode()))
    };
    let fund = |amount: u64| {
        let call = Treasury::fundCall { study: STUDY, amount: U256::from(amount) };
        (treasury, Bytes::from(call.abi_encode()))
    };
    let made = async |amount: u64| match ledger.fund(&safe, STUDY, U256::from(amount)).await.unwrap_err() {
        Error::Unsent(batch) => batch.into_iter().map(|call| (call.to, call.data)).collect::<Vec<_>>(),
        error => panic!("{error}"),
    };
    assert_eq!(made(7).await, [approve(7), fund(7)]);

    // More than the sponsor has: the allowance is given all the same.
    ledger.fund(&sponsor, STUDY, U256::from(200_000)).await.unwrap_err();
    assert_eq!(made(200_001).await, [approve(0), approve(200_001), fund(200_001)]);
    assert_eq!(made(7).await, [fund(7)]);
    assert_eq!(till.books().await.totals().funded, U256::ZERO, "nothing was sent");
}

#[tokio::test]
async fn payees_are_told_as_they_were_named_last() {
    let till = Till::set(World::embedded()).await;
    let (one, two) = (till.stage.nodes[0].clone(), till.stage.nodes[1].clone());
    assert!(till.ledger().payees(STUDY).await.unwrap().is_empty());
    till.ledger().set_payee(&one, STUDY, wallet(8).address()).await.unwrap();
    till.ledger().set_payee(&two, STUDY, wallet(8).address()).await.unwrap();
    till.ledger().set_payee(&one, STUDY, wallet(9).address()).await.unwrap();
    till.ledger().set_payee(&two, STUDY, Address::ZERO).await.unwrap();
    till.ledger().set_payee(&two, STUDY - 1, wallet(8).address()).await.unwrap();
    assert_eq!(till.ledger().payees(STUDY).await.unwrap(), [(one.address(), wallet(9).address())].into());
}
