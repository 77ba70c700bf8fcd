//! No bytes make a decoder panic, and what decodes encodes back to the same bytes.

use alloy_primitives::{Address, B256};
use consilium_core::certify::SetMember;
use consilium_core::contribution::{Contribution, Contributor, Shape};
use consilium_core::cores::Cores;
use consilium_core::eip712::{Domain, SecretKey, Signed};
use consilium_core::encode::encode;
use consilium_core::known_answers;
use consilium_core::params::{Committee, CommitteeMembers, Finality, Member};
use consilium_core::program::{self, WeightedMean};
use consilium_core::round::{Message, SignedReceipt};
use consilium_core::seal::{KemSecret, OVERHEAD};
use consilium_core::transcript::Context;
use proptest::prelude::*;
use rand_core::SeedableRng;
use std::collections::BTreeSet;
use std::sync::OnceLock;

fn program() -> WeightedMean {
    WeightedMean::new(3, 25, 8, 128, 1.0).unwrap()
}

fn shape() -> Shape {
    Shape::new(&Committee::new(5, 1).unwrap(), &program())
}

fn key() -> SecretKey {
    SecretKey::from_bytes(&[5; 32]).unwrap()
}

/// An honest header.
fn header() -> &'static [u8] {
    static HEADER: OnceLock<Vec<u8>> = OnceLock::new();
    HEADER.get_or_init(|| contribution(Cores::ONE).to_bytes())
}

/// The same contribution each time.
fn contribution(cores: Cores) -> Contribution {
    let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
    let member = |i: u8| Member { address: Address::repeat_byte(i), kem_key: KemSecret::from_bytes(&[i; 32]).public_key() };
    let committee = CommitteeMembers::new(Committee::new(5, 1).unwrap(), 1, (1..=5).map(member).collect()).unwrap();
    let domain = Domain { chain_id: 1, contract: Address::repeat_byte(9) };
    let (zero, contract) = (B256::ZERO, domain.contract);
    let context = Context {
        chain_id: 1,
        contract,
        study: 1,
        round: 1,
        kind: 1,
        subject: zero,
        committee: zero,
        program: zero,
        policy: zero,
    };
    let program = program();
    let key = key();
    let site = Contributor { domain, committee: &committee, program: &program, context: &context, key: &key };
    let ctx = context.of_site(key.address());
    let input = encode(&program, &ctx, &[0.1, 0.2, 0.3], 7, &[1; 32], &mut rng).unwrap();
    site.contribute(cores, input, &[1; 32], &mut rng).unwrap().0
}

#[test]
fn an_honest_header_reads_back() {
    let read = Contribution::from_bytes(header(), &shape()).unwrap();
    assert_eq!(read.to_bytes(), header());
    assert!(header().len() <= shape().max_header_len());
}

/// Nor do two boxes share the randomness that they are sealed with.
#[test]
fn a_contribution_is_the_same_on_any_number_of_cores() {
    let one = contribution(Cores::ONE);
    for threads in [2, 3, 8] {
        assert_eq!(contribution(Cores::new(threads.try_into().unwrap())), one);
    }
    let encapsulated: BTreeSet<&[u8]> = one.boxes.iter().map(|sealed| &sealed[..OVERHEAD - 16]).collect();
    let x25519: BTreeSet<&[u8]> = encapsulated.iter().map(|key| &key[key.len() - 32..]).collect();
    assert_eq!((encapsulated.len(), x25519.len()), (5, 5));
}

#[test]
fn a_truncated_or_longer_header_does_not() {
    for length in (0..header().len()).step_by(997).chain([header().len() - 1]) {
        assert!(Contribution::from_bytes(&header()[..length], &shape()).is_err());
    }
    assert!(Contribution::from_bytes(&[header(), &[0]].concat(), &shape()).is_err());
}

proptest! {
    #[test]
    fn random_bytes_are_no_contribution(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Contribution::from_bytes(&bytes, &shape()).is_err());
    }

    /// A header with a few altered bytes is refused, or is canonical all the same.
    #[test]
    fn an_altered_header_is_refused_or_canonical(edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = header().to_vec();
        for (at, value) in edits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(read) = Contribution::from_bytes(&bytes, &shape()) {
            prop_assert_eq!(read.to_bytes(), bytes);
        }
    }

    #[test]
    fn signatures_have_one_form(bytes in prop::collection::vec(any::<u8>(), 60..70), digest: [u8; 32]) {
        if let Ok(signed) = Signed::from_bytes(&bytes) {
            prop_assert_eq!(&signed.as_bytes()[..], &bytes[..]);
        }
        let signed = key().sign(&B256::from(digest));
        prop_assert_eq!(Signed::from_bytes(signed.as_bytes()).unwrap(), signed);
        let mut other = *signed.as_bytes();
        other[64] -= 27;
        prop_assert!(Signed::from_bytes(&other).is_err());
    }

    #[test]
    fn random_text_is_no_message_and_no_answer(text in "[ -~]{0,200}") {
        prop_assert!(serde_json::from_str::<Message>(&text).is_err());
        prop_assert!(known_answers::check(&text).is_err());
    }

    /// Messages read back; the JSON of one with a piece cut out or put twice does not crash the reader.
    #[test]
    fn messages_read_back(node in 1usize..40, digest: [u8; 32], cut in any::<prop::sample::Index>(), length in 0usize..40) {
        let member = SetMember { site: Address::repeat_byte(3), digest: B256::from(digest) };
        let message = Message::Receipts(vec![SignedReceipt { node, member, signature: key().sign(&member.digest) }]);
        let text = serde_json::to_string(&message).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Message>(&text).unwrap(), &message);
        let at = cut.index(text.len());
        let end = (at + length).min(text.len());
        let _ = serde_json::from_str::<Message>(&[&text[..at], &text[end..]].concat());
        let _ = serde_json::from_str::<Message>(&[&text[..end], &text[at..]].concat());
    }

    #[test]
    fn program_parameters_read_back_or_are_refused(name in prop::sample::select(vec!["weighted-mean", "one-hot", "", "sum"]), bytes in prop::collection::vec(any::<u8>(), 0..50), words in prop::collection::vec(0u64..200, 5)) {
        let small: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        for parameters in [bytes, small.clone(), small[..8].to_vec()] {
            if let Ok(program) = program::parse(name, &parameters) {
                prop_assert_eq!(program.parameters(), parameters);
            }
        }
    }

    #[test]
    fn finality_rules_read_back_or_are_refused(text in "(depth:)?[0-9a-z+-]{0,22}") {
        if let Ok(rule) = text.parse::<Finality>() {
            prop_assert_eq!(rule.to_string(), text);
        }
    }
}

/// Known-answer files with any field altered to any other JSON are refused or differ, and never crash the checker.
#[test]
fn mangled_known_answers_are_refused() {
    let honest = include_str!("../vectors/honest-4-1.json");
    let json: serde_json::Value = serde_json::from_str(honest).unwrap();
    for (key, _) in json.as_object().unwrap() {
        for other in ["null", "[]", "{}", "\"\"", "\"zz\"", "-1", "1e300", "18446744073709551615", "[[\"1\"]]", "33"] {
            let mut altered = json.clone();
            altered[key] = serde_json::from_str(other).unwrap();
            let _ = known_answers::check(&altered.to_string());
        }
    }
}
