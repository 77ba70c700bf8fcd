//! Frozen sealed boxes: what was sealed once must open for ever, and nothing else may. `vectors/boxes.json` is made again
//! only on purpose, with `CONSILIUM_REGENERATE=boxes`.

use alloy_primitives::{Address, B256, Bytes};
use consilium_core::cores::Cores;
use consilium_core::mask::{Seed, Seeds};
use consilium_core::params::{Committee, CommitteeMembers, Member};
use consilium_core::seal::{BoxContext, KemSecret, OVERHEAD, seal_boxes, seal_repair};
use rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
struct Case {
    /// The 32 bytes of the KEM secret.
    kem_secret: B256,
    ctx: B256,
    digest: B256,
    node: usize,
    /// The number of the seed, for the answer to a repair request; else this is a box.
    #[serde(skip_serializing_if = "Option::is_none")]
    repair: Option<usize>,
    /// The plaintext: seeds in the order of T.
    seeds: Vec<B256>,
    sealed: Bytes,
}

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/boxes.json");

/// The box of node `node`, or the answer to its request for seed number `repair`.
fn case(number: u8, (n, t): (usize, usize), node: usize, repair: Option<usize>) -> Case {
    let fill = |what: u8| B256::repeat_byte(what.wrapping_mul(37).wrapping_add(number));
    let (kem_secret, ctx, digest) = (fill(1), fill(2), fill(3));
    let kem_key = KemSecret::from_bytes(&kem_secret.0).public_key();
    let member = |i| Member { address: Address::repeat_byte(i), kem_key: kem_key.clone() };
    let committee = CommitteeMembers::new(Committee::new(n, t).unwrap(), 1, (1..=n as u8).map(member).collect()).unwrap();
    let all = Seeds::from_vec((0..committee.sizes().excluded().len()).map(|i| Seed::new(fill(4 + i as u8).0)).collect());
    let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(number.into());
    let (held, sealed): (Vec<usize>, _) = match repair {
        Some(which) => {
            let context = BoxContext { ctx, digest, node };
            (vec![which], seal_repair(&kem_key, &context, which, &all.as_slice()[which], &mut rng).unwrap())
        }
        None => {
            let mut boxes = seal_boxes(Cores::ONE, &committee, [ctx, digest], &all, &mut rng);
            (committee.sizes().seeds_of(node).collect(), boxes.swap_remove(node - 1))
        }
    };
    let seeds = held.into_iter().map(|number| B256::from(*all.as_slice()[number].expose())).collect();
    Case { kem_secret, ctx, digest, node, repair, seeds, sealed: sealed.into() }
}

fn open(case: &Case, context: &BoxContext, sealed: &[u8]) -> Option<Vec<B256>> {
    let secret = KemSecret::from_bytes(&case.kem_secret.0);
    let opened = match case.repair {
        Some(number) => secret.open_repair(context, number, sealed).map(|seed| vec![seed]),
        None => secret.open_box(context, sealed),
    };
    Some(opened.ok()?.iter().map(|seed| B256::from(*seed.expose())).collect())
}

fn committed() -> Vec<Case> {
    if std::env::var("CONSILIUM_REGENERATE").as_deref() == Ok("boxes") {
        let cases = [
            case(1, (5, 1), 1, None),
            case(2, (5, 1), 5, None),
            case(3, (9, 2), 9, None),
            case(4, (5, 1), 2, Some(3)),
            case(5, (4, 1), 1, None),
        ];
        std::fs::write(FILE, serde_json::to_string_pretty(&cases).unwrap() + "\n").unwrap();
    }
    serde_json::from_str(&std::fs::read_to_string(FILE).unwrap()).unwrap()
}

#[test]
fn every_committed_box_opens_to_its_seeds() {
    let cases = committed();
    assert_eq!(cases.len(), 5);
    for case in &cases {
        let context = BoxContext { ctx: case.ctx, digest: case.digest, node: case.node };
        assert_eq!(open(case, &context, &case.sealed).as_ref(), Some(&case.seeds));
        assert_eq!(case.sealed.len(), OVERHEAD + 32 * case.seeds.len());
    }
}

#[test]
fn an_altered_box_or_context_does_not_open() {
    for case in &committed() {
        let context = BoxContext { ctx: case.ctx, digest: case.digest, node: case.node };
        for at in [0, 31, 32, 1087, 1119, 1120, case.sealed.len() - 1] {
            let mut altered = case.sealed.to_vec();
            altered[at] ^= 1;
            assert_eq!(open(case, &context, &altered), None, "byte {at}");
        }
        assert_eq!(open(case, &context, &case.sealed[..case.sealed.len() - 1]), None);
        assert_eq!(open(case, &context, &[]), None);
        for other in [
            BoxContext { ctx: B256::ZERO, ..context },
            BoxContext { digest: B256::ZERO, ..context },
            BoxContext { node: case.node + 1, ..context },
        ] {
            assert_eq!(open(case, &other, &case.sealed), None, "{other:?}");
        }
        // A box is no answer to a repair request, and the other way round.
        let other_kind =
            Case { repair: if case.repair.is_some() { None } else { Some(3) }, sealed: Bytes::new(), seeds: vec![], ..*case };
        assert_eq!(open(&other_kind, &context, &case.sealed), None);
    }
}
