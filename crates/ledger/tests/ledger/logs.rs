//! Logs that no contract wrote: an error that names the log, never a panic, never an event.

use alloy::primitives::{Log as RawLog, LogData};
use alloy::rpc::types::Log;
use alloy::sol_types::SolEvent;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use consilium_ledger::contracts::{Consilium as C, NodeRegistry as R, PrivacyBudget as P, StudyToken as S, Treasury as T};
use consilium_ledger::event::{Defect, RoundOpened};
use consilium_ledger::{Addresses, ChainEvent, Conviction, Event, Money, Offence, Privacy, Role, SitesList};
use proptest::prelude::*;

const ADDRESSES: Addresses = Addresses {
    chain_id: 1,
    registry: Address::repeat_byte(1),
    consilium: Address::repeat_byte(2),
    treasury: Address::repeat_byte(3),
    licences: Address::repeat_byte(4),
    study_token: Address::repeat_byte(5),
    set_court: Address::repeat_byte(6),
    sum_kind: Address::repeat_byte(7),
    privacy_budget: Address::repeat_byte(8),
    trial_token: None,
    deployed_at: 0,
};

fn mined(address: Address, data: LogData) -> Log {
    Log {
        inner: RawLog { address, data },
        block_hash: Some(B256::repeat_byte(3)),
        block_number: Some(17),
        block_timestamp: None,
        transaction_hash: Some(B256::repeat_byte(4)),
        transaction_index: Some(0),
        log_index: Some(5),
        removed: false,
    }
}

fn opened() -> C::RoundOpened {
    let mut event = C::RoundOpened {
        study: 1,
        round: 2,
        subject: B256::repeat_byte(5),
        epoch: 1,
        minimumCohort: 3,
        sitesRoot: B256::repeat_byte(6),
        finality: "depth:12".into(),
        deadline: 100,
        settleBy: 200,
        opened: 50,
        frozen: B256::ZERO,
    };
    let terms = RoundOpened {
        study: 1,
        round: 2,
        subject: event.subject,
        epoch: 1,
        minimum_cohort: 3,
        sites_root: event.sitesRoot,
        finality: event.finality.clone(),
        deadline: 100,
        settle_by: 200,
        opened: 50,
        frozen: B256::ZERO,
    };
    event.frozen = terms.frozen_hash();
    event
}

fn registered() -> R::NodeRegistered {
    R::NodeRegistered {
        node: Address::repeat_byte(7),
        operator: "Clinic".into(),
        jurisdiction: "AT".into(),
        stake: U256::from(1),
    }
}

fn settled(roots: usize, signers: u64) -> C::RoundSettled {
    C::RoundSettled {
        study: 1,
        round: 2,
        setRoot: B256::repeat_byte(1),
        shareRoots: vec![B256::repeat_byte(2); roots],
        aggregateRoot: B256::repeat_byte(3),
        rewardRoot: B256::repeat_byte(4),
        signers: U256::from(signers),
    }
}

fn certified(voters: u64, signatures: usize) -> C::RoundCertified {
    C::RoundCertified {
        study: 1,
        round: 2,
        setRoot: B256::repeat_byte(1),
        size: 3,
        voters: U256::from(voters),
        signatures: vec![0xee; signatures].into(),
    }
}

fn struck() -> T::SiteStruck {
    // Small numbers are in range and low.
    let signature = [B256::with_last_byte(1), B256::with_last_byte(2)];
    T::SiteStruck {
        study: 1,
        round: 2,
        site: Address::repeat_byte(7),
        digest: B256::repeat_byte(1),
        boxes: B256::repeat_byte(2),
        signature,
        otherDigest: B256::repeat_byte(3),
        otherBoxes: B256::repeat_byte(4),
        otherSignature: signature,
    }
}

fn convicted(offence: u8) -> R::Convicted {
    R::Convicted {
        study: 1,
        node: Address::repeat_byte(7),
        round: 2,
        offence,
        reporter: Address::repeat_byte(8),
        reward: U256::from(1),
        kept: U256::from(9),
    }
}

fn account_opened(name: &str) -> P::AccountOpened {
    P::AccountOpened { account: 4, owner: Address::repeat_byte(7), name: name.into(), budget: 10, delta: 1 }
}

fn defect(log: &Log) -> Defect {
    let malformed = ChainEvent::decode(&ADDRESSES, log).unwrap_err();
    let words = malformed.to_string();
    assert!(log.removed || words.contains("log 5 of block 17"), "{words}");
    malformed.defect
}

#[test]
fn good_logs_decode() {
    let log = mined(ADDRESSES.consilium, opened().encode_log_data());
    assert!(matches!(ChainEvent::decode(&ADDRESSES, &log).unwrap().event, Event::RoundOpened(_)));
    let log = mined(ADDRESSES.registry, registered().encode_log_data());
    assert!(matches!(ChainEvent::decode(&ADDRESSES, &log).unwrap().event, Event::NodeRegistered { .. }));
    let log = mined(ADDRESSES.registry, convicted(3).encode_log_data());
    let conviction = ChainEvent::decode(&ADDRESSES, &log).unwrap().event;
    assert!(matches!(conviction, Event::Convicted(Conviction { offence: Offence::ForeignShare, study: 1, round: 2, .. })));
    let log = mined(ADDRESSES.consilium, settled(32, u32::MAX.into()).encode_log_data());
    assert!(ChainEvent::decode(&ADDRESSES, &log).is_ok());
    // Whose the votes are is for those who rely on them.
    let log = mined(ADDRESSES.consilium, certified(u32::MAX.into(), 32 * 65).encode_log_data());
    assert!(matches!(ChainEvent::decode(&ADDRESSES, &log).unwrap().event, Event::RoundCertified { .. }));
    let log = mined(ADDRESSES.treasury, struck().encode_log_data());
    let Event::Money(Money::SiteStruck(proof)) = ChainEvent::decode(&ADDRESSES, &log).unwrap().event else { panic!() };
    assert_eq!((proof.study, proof.round, proof.site), (1, 2, Address::repeat_byte(7)));
    assert_eq!(proof.statements.map(|said| (said.digest.0[0], said.boxes.0[0])), [(1, 2), (3, 4)]);
    assert!(!proof.holds(&ADDRESSES.domain()));
}

#[test]
fn logs_of_privacy_accounts_decode_or_are_named_with_their_defect() {
    let decoded = |data| ChainEvent::decode(&ADDRESSES, &mined(ADDRESSES.privacy_budget, data)).unwrap().event;
    let opened = decoded(account_opened(&"x".repeat(64)).encode_log_data());
    assert!(
        matches!(&opened, Event::Privacy(Privacy::AccountOpened { account: 4, budget: 10, delta: 1, name, .. }) if name.len() == 64)
    );
    assert_eq!(opened.study(), None);
    let joined = decoded(P::StudyJoined { account: 4, study: 5, cost: 6 }.encode_log_data());
    assert_eq!(joined, Event::Privacy(Privacy::StudyJoined { account: 4, study: 5, cost: 6 }));
    let charged = decoded(P::Charged { account: 4, study: 5, spent: 7 }.encode_log_data());
    assert_eq!(charged, Event::Privacy(Privacy::Charged { account: 4, study: 5, spent: 7 }));
    let back = decoded(P::GivenBack { account: 4, study: 5, spent: 8 }.encode_log_data());
    assert_eq!(back, Event::Privacy(Privacy::GivenBack { account: 4, study: 5, spent: 8 }));
    assert_eq!([joined.study(), charged.study(), back.study()], [Some(5); 3]);

    let wrong = |data| defect(&mined(ADDRESSES.privacy_budget, data));
    for name in [String::new(), "x".repeat(65)] {
        let length = Defect::Length("the name of a privacy account");
        assert_eq!(wrong(account_opened(&name).encode_log_data()), length);
    }
    let named = account_opened("??").encode_log_data();
    let latin = named.data.iter().map(|byte| if *byte == b'?' { 0xe4 } else { *byte }).collect::<Vec<_>>();
    assert_eq!(wrong(LogData::new_unchecked(named.topics().to_vec(), latin.into())), Defect::Encoding("AccountOpened"));
    assert_eq!(wrong(registered().encode_log_data()), Defect::UnknownEvent);
}

#[test]
fn bad_logs_are_named_with_their_defect() {
    let consilium = |data| defect(&mined(ADDRESSES.consilium, data));
    let registry = |data| defect(&mined(ADDRESSES.registry, data));

    let wrong = C::RoundOpened { settleBy: 201, ..opened() };
    assert_eq!(consilium(wrong.encode_log_data()), Defect::Frozen);
    let long = C::RoundOpened { finality: "x".repeat(33), ..opened() };
    assert_eq!(consilium(long.encode_log_data()), Defect::Length("the finality rule"));
    assert_eq!(consilium(settled(33, 1).encode_log_data()), Defect::Length("the list of share roots"));
    assert_eq!(consilium(settled(5, 1 << 32).encode_log_data()), Defect::Bitmap);

    for (voters, length) in [(0b1101, 2 * 65), (0b1101, 4 * 65), (0b1101, 3 * 65 - 1), (0, 1)] {
        assert_eq!(consilium(certified(voters, length).encode_log_data()), Defect::Length("the list of votes"));
    }
    assert_eq!(consilium(certified(1 << 32, 65).encode_log_data()), Defect::Bitmap);
    let treasury = |event: T::SiteStruck| defect(&mined(ADDRESSES.treasury, event.encode_log_data()));
    let upper: U256 = U256::MAX >> 1;
    let high = [B256::with_last_byte(1), upper.into()];
    assert_eq!(treasury(T::SiteStruck { signature: high, ..struck() }), Defect::Signature);
    assert_eq!(treasury(T::SiteStruck { otherSignature: [B256::ZERO; 2], ..struck() }), Defect::Signature);
    let short = struck().encode_log_data();
    let short = LogData::new_unchecked(short.topics().to_vec(), short.data.slice(..64));
    assert_eq!(defect(&mined(ADDRESSES.treasury, short)), Defect::Encoding("SiteStruck"));

    let long = R::NodeRegistered { operator: "x".repeat(129), ..registered() };
    assert_eq!(registry(long.encode_log_data()), Defect::Length("the operator"));
    assert_eq!(registry(convicted(9).encode_log_data()), Defect::Offence);
    let key: Bytes = vec![1; 1216].into();
    let wrong = R::KemKeySet { node: Address::ZERO, keyHash: B256::ZERO, kemKey: key.clone() };
    assert_eq!(registry(wrong.encode_log_data()), Defect::KeyHash);
    let short = R::KemKeySet { node: Address::ZERO, keyHash: keccak256(&key[1..]), kemKey: key.slice(1..) };
    assert_eq!(registry(short.encode_log_data()), Defect::Length("the KEM key"));
    assert_eq!(registry(opened().encode_log_data()), Defect::UnknownEvent);
    assert_eq!(registry(LogData::default()), Defect::UnknownEvent);
}

#[test]
fn a_list_of_sites_is_in_the_event_or_at_a_place_and_never_both() {
    let listed = vec![Address::repeat_byte(1)];
    let told = |sites: &[Address], uri: &str| {
        let (version, sites_root) = (1, B256::repeat_byte(9));
        let event = C::SitesAdmitted { study: 1, version, sitesRoot: sites_root, sites: sites.to_vec(), uri: uri.into() };
        let log = mined(ADDRESSES.consilium, event.encode_log_data());
        match ChainEvent::decode(&ADDRESSES, &log) {
            Ok(ChainEvent { event: Event::SitesAdmitted { sites, .. }, .. }) => Some(sites),
            _ => None,
        }
    };
    assert_eq!(told(&listed, ""), Some(SitesList::Listed(listed.clone())));
    let place = "https://sponsor.example/sites.json";
    assert_eq!(told(&[], place), Some(SitesList::At(place.into())));
    assert_eq!(told(&[], ""), Some(SitesList::Listed(Vec::new())));
    for (sites, uri) in [(&listed[..], place), (&[], "http://sponsor.example"), (&[], "https://")] {
        assert_eq!(told(sites, uri), None, "{uri}");
    }
    assert_eq!(told(&[], &format!("https://{}", "x".repeat(249))), None);
}

#[test]
fn roles_late_votes_and_pauses_decode() {
    let decoded = |address, data| ChainEvent::decode(&ADDRESSES, &mined(address, data));
    let role = |role| S::RoleSet { study: 1, role, account: Address::repeat_byte(7) }.encode_log_data();
    let event = decoded(ADDRESSES.study_token, role(2)).unwrap().event;
    assert_eq!(event, Event::RoleSet { study: 1, role: Role::Guardian, account: Address::repeat_byte(7) });
    // Decoding refuses a number that is no role before this crate sees it.
    let mut unknown = role(2);
    unknown =
        LogData::new_unchecked(vec![unknown.topics()[0], unknown.topics()[1], B256::with_last_byte(3)], unknown.data.clone());
    assert!(matches!(decoded(ADDRESSES.study_token, unknown).unwrap_err().defect, Defect::Role | Defect::Encoding("RoleSet")));
    let transfer = S::Transfer { from: Address::ZERO, to: Address::ZERO, tokenId: U256::from(1) }.encode_log_data();
    assert_eq!(decoded(ADDRESSES.study_token, transfer).unwrap_err().defect, Defect::UnknownEvent);
    let votes = |voters, length: usize| C::VotesAdded {
        study: 1,
        round: 2,
        voters: U256::from(voters),
        signatures: vec![0xee; length].into(),
    };
    let event = decoded(ADDRESSES.consilium, votes(0b10_u64, 65).encode_log_data()).unwrap().event;
    assert!(matches!(event, Event::VotesAdded { study: 1, round: 2, .. }) && event.round() == Some(2));
    let short = decoded(ADDRESSES.consilium, votes(0b11_u64, 65).encode_log_data()).unwrap_err();
    assert_eq!(short.defect, Defect::Length("the list of votes"));
    let paused = C::Paused { study: 1, from: 5, until: 9 }.encode_log_data();
    assert_eq!(decoded(ADDRESSES.consilium, paused).unwrap().event, Event::Paused { study: 1, from: 5, until: 9 });
}

#[test]
fn a_string_that_is_not_utf8_is_refused_and_so_is_dirty_padding() {
    let good = registered().encode_log_data();
    let text = good.data.windows(6).position(|bytes| bytes == b"Clinic").unwrap();
    for (at, byte) in [(text, 0xff), (text + 6, 1)] {
        let mut data = good.data.to_vec();
        data[at] = byte;
        let log = mined(ADDRESSES.registry, LogData::new_unchecked(good.topics().to_vec(), data.into()));
        assert_eq!(defect(&log), Defect::Encoding("NodeRegistered"));
    }
}

#[test]
fn logs_from_elsewhere_or_nowhere_are_refused() {
    let data = opened().encode_log_data();
    assert_eq!(defect(&mined(Address::ZERO, data.clone())), Defect::Foreign(Address::ZERO));
    let removed = Log { removed: true, ..mined(ADDRESSES.consilium, data.clone()) };
    assert_eq!(defect(&removed), Defect::NotMined);
    let pending = Log { block_hash: None, ..mined(ADDRESSES.consilium, data) };
    assert_eq!(defect(&pending), Defect::NotMined);
}

fn signatures() -> impl Strategy<Value = B256> {
    let known = [C::StudyCreated::SIGNATURE_HASH, C::CommitteeFormed::SIGNATURE_HASH, C::SitesAdmitted::SIGNATURE_HASH]
        .into_iter()
        .chain([C::PolicySet::SIGNATURE_HASH, C::VotesAdded::SIGNATURE_HASH, C::RoundOpened::SIGNATURE_HASH])
        .chain([C::RoundCertified::SIGNATURE_HASH, C::RoundSettled::SIGNATURE_HASH, C::RoundVoided::SIGNATURE_HASH])
        .chain([C::RoundAbandoned::SIGNATURE_HASH, R::NodeRegistered::SIGNATURE_HASH, R::KemKeySet::SIGNATURE_HASH])
        .chain([R::UnbondingBegun::SIGNATURE_HASH, R::Withdrawn::SIGNATURE_HASH, C::ConditionsSet::SIGNATURE_HASH])
        .chain([C::RewardsSet::SIGNATURE_HASH, C::SponsorChanged::SIGNATURE_HASH, C::RoundFraudulent::SIGNATURE_HASH])
        .chain([R::ConsentSet::SIGNATURE_HASH, R::Bonded::SIGNATURE_HASH, R::Discharged::SIGNATURE_HASH])
        .chain([R::Convicted::SIGNATURE_HASH, R::Acquitted::SIGNATURE_HASH, R::Compensated::SIGNATURE_HASH])
        .chain([R::ReporterPaid::SIGNATURE_HASH, R::Forfeited::SIGNATURE_HASH, R::CompensationPostponed::SIGNATURE_HASH])
        .chain([R::Held::SIGNATURE_HASH, C::RoundRefuted::SIGNATURE_HASH, C::OperatorChanged::SIGNATURE_HASH])
        .chain([C::Paused::SIGNATURE_HASH, C::StudyEnded::SIGNATURE_HASH]);
    prop::sample::select(known.collect::<Vec<_>>())
}

/// Words as offsets and lengths like them, mostly small.
fn words() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        (0..512_u64).prop_map(U256::from),
        any::<u64>().prop_map(U256::from),
        any::<[u8; 32]>().prop_map(U256::from_be_bytes),
        Just(U256::MAX),
    ];
    prop::collection::vec(word, 0..24).prop_map(|words| words.iter().flat_map(U256::to_be_bytes::<32>).collect())
}

proptest! {
    #[test]
    fn random_logs_never_panic(topic in signatures(), rest in prop::collection::vec(any::<[u8; 32]>(), 0..4),
        data in words(), tail in prop::collection::vec(any::<u8>(), 0..32), registry in any::<bool>()) {
        let topics = std::iter::once(topic).chain(rest.into_iter().map(B256::from)).collect();
        let address = if registry { ADDRESSES.registry } else { ADDRESSES.consilium };
        let log = mined(address, LogData::new_unchecked(topics, [data, tail].concat().into()));
        if let Err(malformed) = ChainEvent::decode(&ADDRESSES, &log) {
            prop_assert!(malformed.to_string().starts_with("log 5 of block 17"));
        }
    }

    #[test]
    fn one_changed_byte_of_an_opening_is_always_noticed(at in 0..320_usize, flip in 1..=255_u8) {
        let good = opened().encode_log_data();
        let mut data = good.data.to_vec();
        prop_assume!(at < data.len());
        // The time of the opening is not part of what was frozen, so only its padding is protected here.
        prop_assume!(!(6 * 32 + 24..7 * 32).contains(&at));
        data[at] ^= flip;
        let log = mined(ADDRESSES.consilium, LogData::new_unchecked(good.topics().to_vec(), data.into()));
        prop_assert!(ChainEvent::decode(&ADDRESSES, &log).is_err());
    }
}
