//! Evidence from signed statements, and seeds that do not hang on the generator alone.

use alloy_primitives::{Address, B256};
use consilium_core::audit::{Evidence, Offence, Settled, contradiction, share_root_offence};
use consilium_core::eip712::{Domain, Final, SecretKey, ShareRoot};
use consilium_core::field::Fp;
use consilium_core::mask::Seeds;
use consilium_core::params::Committee;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

const DOMAIN: Domain = Domain { chain_id: 31337, contract: Address::repeat_byte(0xcc) };

fn key() -> SecretKey {
    SecretKey::from_bytes(&[7; 32]).unwrap()
}

fn settled() -> Settled {
    let share_roots = (1..=5).map(B256::repeat_byte).collect();
    Settled { study: 1, round: 2, set_root: B256::repeat_byte(0xaa), share_roots }
}

fn signed(set_root: B256, index: u8, root: B256) -> Evidence<ShareRoot> {
    let statement = ShareRoot { study: 1, round: 2, setRoot: set_root, index, root };
    Evidence { signature: DOMAIN.sign(&key(), &statement), statement }
}

#[test]
fn a_share_root_offends_exactly_when_it_is_wrong_or_for_another_set() {
    let settled = settled();
    let judge = |evidence: &Evidence<ShareRoot>| share_root_offence(&DOMAIN, key().address(), evidence, &settled).unwrap();
    assert_eq!(judge(&signed(settled.set_root, 3, B256::repeat_byte(3))), None);
    assert_eq!(judge(&signed(settled.set_root, 3, B256::repeat_byte(4))), Some(Offence::WrongShareRoot));
    assert_eq!(judge(&signed(settled.set_root, 0, B256::repeat_byte(1))), Some(Offence::WrongShareRoot));
    assert_eq!(judge(&signed(B256::repeat_byte(0xbb), 3, B256::repeat_byte(3))), Some(Offence::ForeignShareRoot));
}

#[test]
fn statements_of_other_rounds_or_by_others_prove_nothing() {
    let settled = settled();
    let mut other_round = signed(B256::repeat_byte(0xbb), 3, B256::repeat_byte(9)).statement;
    other_round.round = 3;
    let other_round = Evidence { signature: DOMAIN.sign(&key(), &other_round), statement: other_round };
    assert_eq!(share_root_offence(&DOMAIN, key().address(), &other_round, &settled), Ok(None));
    let framed = signed(settled.set_root, 3, B256::repeat_byte(9));
    assert!(share_root_offence(&DOMAIN, Address::repeat_byte(1), &framed, &settled).is_err());
}

#[test]
fn two_finals_contradict_only_over_one_subject() {
    let sign = |subject: u8, round: u64| {
        let statement = Final { study: 1, subject: B256::repeat_byte(subject), round, setRoot: B256::repeat_byte(round as u8) };
        Evidence { signature: DOMAIN.sign(&key(), &statement), statement }
    };
    let judge = |a, b| contradiction(&DOMAIN, key().address(), &a, &b).unwrap();
    assert_eq!(judge(sign(1, 1), sign(1, 2)), Some(Offence::TwoFinals));
    assert_eq!(judge(sign(1, 1), sign(1, 1)), None);
    assert_eq!(judge(sign(1, 1), sign(2, 2)), None);
}

#[test]
fn a_generator_that_repeats_itself_gives_no_seed_twice() {
    let committee = Committee::new(5, 1).unwrap();
    let draw = |ctx: u8, x: u64, device: u8| {
        let mut stuck = ChaCha20Rng::seed_from_u64(1);
        let input = [Fp::reduce(x)];
        let seeds = Seeds::draw(&committee, &B256::repeat_byte(ctx), &input, &[device; 32], &mut stuck);
        seeds.as_slice().iter().map(|seed| *seed.expose()).collect::<Vec<_>>()
    };
    let all = [draw(1, 1, 1), draw(2, 1, 1), draw(1, 2, 1), draw(1, 1, 2)].concat();
    let distinct: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!((all.len(), distinct.len()), (20, 20));
    assert_eq!(draw(1, 1, 1), draw(1, 1, 1));
}
