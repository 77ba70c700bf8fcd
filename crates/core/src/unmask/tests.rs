//! Unmasking against a search through all sets of t+1 shares, which needs no algebra to be believed.

use super::*;
use crate::stream::Stream;
use core::num::NonZeroUsize;
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use std::collections::BTreeSet;

const COMMITTEES: [(usize, usize); 9] = [(4, 1), (5, 1), (6, 1), (7, 2), (9, 2), (11, 2), (10, 3), (13, 3), (16, 3)];

type Shares = BTreeMap<usize, Vec<Fp>>;

fn views(shares: &Shares) -> BTreeMap<usize, &[Fp]> {
    shares.iter().map(|(node, share)| (*node, share.as_slice())).collect()
}

/// Σ_e vectors\[e\] node^e.
fn share(vectors: &[Vec<Fp>], node: usize) -> Vec<Fp> {
    let power = |e: usize| Fp::reduce(node as u64).power(e as u64);
    (0..vectors[0].len()).map(|k| (0..vectors.len()).map(|e| vectors[e][k] * power(e)).sum()).collect()
}

/// Shares of `nodes` on one polynomial of degree t, and the sum.
fn honest(t: usize, d: usize, seed: u8, nodes: impl IntoIterator<Item = usize>) -> (Shares, Vec<Fp>) {
    let vectors: Vec<Vec<Fp>> = (0..=t).map(|e| Stream::new(&[seed; 32], "values", &[e as u8]).elements(d)).collect();
    (nodes.into_iter().map(|node| (node, share(&vectors, node))).collect(), vectors[0].clone())
}

/// ρ, and three elements of F that vanish as a polynomial at ρ.
fn rho_and_zero() -> (Ext, [Fp; 3]) {
    let (a, b) = (Fp::reduce(0x1234_5678_9abc), Fp::reduce(77));
    (Ext { a, b }, [a * a - Fp::reduce(7) * b * b, (a + a).negate(), Fp::ONE])
}

/// How liars differ from what they have to serve.
#[derive(Debug, Clone, Copy)]
enum Lie {
    /// Each in the last coordinate.
    Last,
    /// Each in a coordinate of its own.
    Apart,
    /// Everywhere.
    All,
    /// All on another polynomial of degree t, which the first t honest nodes' shares are on too, in the last coordinate.
    Common,
    /// By what the ρ of [`rho_and_zero`] sends to zero.
    Unseen,
    /// One element too few.
    Short,
}

const LIES: [Lie; 6] = [Lie::Last, Lie::Apart, Lie::All, Lie::Common, Lie::Unseen, Lie::Short];

fn lie(shares: &mut Shares, lie: Lie, liars: &BTreeSet<usize>, t: usize) {
    let shared: Vec<usize> = shares.keys().filter(|node| !liars.contains(node)).take(t).copied().collect();
    for (number, liar) in liars.iter().enumerate() {
        let share = shares.get_mut(liar).unwrap();
        let (d, j) = (share.len(), Fp::reduce(*liar as u64));
        match lie {
            Lie::Last => share[d - 1] += j,
            Lie::Apart => share[number % d] += j,
            Lie::All => share.iter_mut().for_each(|value| *value += j),
            Lie::Common => share[d - 1] += shared.iter().fold(Fp::ONE, |product, node| product * (j - Fp::reduce(*node as u64))),
            Lie::Unseen => share.iter_mut().zip(rho_and_zero().1).for_each(|(value, by)| *value += by * j),
            Lie::Short => drop(share.pop()),
        }
    }
}

/// Those who are off, for each polynomial that 2t+1 shares are on.
fn by_search(committee: &Committee, served: &BTreeMap<usize, &[Fp]>) -> BTreeSet<Vec<usize>> {
    let nodes: Vec<usize> = served.keys().copied().collect();
    let mut found = BTreeSet::new();
    for chosen in combinations(&nodes, committee.t() + 1) {
        let lengths: BTreeSet<usize> = chosen.iter().map(|node| served[node].len()).collect();
        let of = |target: usize| -> Vec<Fp> {
            let coefficients = lagrange(&chosen, target);
            let value = |k: usize| chosen.iter().zip(&coefficients).map(|(node, c)| *c * served[node][k]).sum();
            (0..served[&chosen[0]].len()).map(value).collect()
        };
        let off = |node: &usize| lengths.len() > 1 || of(*node) != served[node];
        let off: Vec<usize> = nodes.iter().copied().filter(off).collect();
        if nodes.len() - off.len() >= committee.agreement() {
            found.insert(off);
        }
    }
    found
}

fn combinations(items: &[usize], size: usize) -> Vec<Vec<usize>> {
    let Some((first, rest)) = items.split_first().filter(|_| size > 0) else {
        return if size == 0 { vec![Vec::new()] } else { Vec::new() };
    };
    let with_first = combinations(rest, size - 1).into_iter().map(|choice| [vec![*first], choice].concat());
    with_first.chain(combinations(rest, size)).collect()
}

/// What the search's findings make of the shares: the one polynomial that none can rival, or why there is none.
fn expected(committee: &Committee, served: &BTreeMap<usize, &[Fp]>) -> Result<Vec<usize>, NoAggregate> {
    let (m, t, needed) = (served.len(), committee.t(), committee.agreement());
    let found = by_search(committee, served);
    assert!(m > 3 * t + 1 || found.len() < 2, "of so few, 2t+1 agree in one way");
    let accepted = found.into_iter().find(|off| 2 * (m - off.len()) > m + t);
    let refused =
        if m > 3 * t { NoAggregate::TooManyWrong { served: m, t } } else { NoAggregate::NotEnoughAgree { served: m, needed } };
    accepted.ok_or(refused)
}

fn subset(of: Vec<usize>, size: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = BTreeSet<usize>> {
    let size: prop::collection::SizeRange = size.into();
    prop::sample::subsequence(of, size).prop_map(|chosen| chosen.into_iter().collect())
}

/// A committee, the nodes that serve, and those of them that lie: mostly the first ones, and more than t at times.
fn scene() -> impl Strategy<Value = ((usize, usize), BTreeSet<usize>, BTreeSet<usize>)> {
    prop::sample::select(COMMITTEES.to_vec()).prop_flat_map(|(n, t)| {
        let serving = subset((1..=n).collect(), 2 * t..=n);
        serving.prop_flat_map(move |serving| {
            let all: Vec<usize> = serving.iter().copied().collect();
            let first = (0..=t + 1).prop_map({
                let all = all.clone();
                move |count| all[..count.min(all.len())].iter().copied().collect()
            });
            let any = subset(all, 0..=(2 * t).min(serving.len()));
            (Just((n, t)), Just(serving), prop_oneof![first, any])
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn it_finds_what_a_search_through_all_sets_finds_whatever_rho_is(
        ((n, t), serving, liars) in scene(),
        (kind, d, seed) in (prop::sample::select(LIES.to_vec()), 3usize..12, any::<u8>()),
        (bad_rho, threads) in (prop::sample::select(vec![0usize, 1, 2, 3]), 1usize..3),
    ) {
        let committee = Committee::new(n, t).unwrap();
        let (mut shares, sum) = honest(t, d, seed, serving);
        lie(&mut shares, kind, &liars, t);
        let served = views(&shares);
        let rho = [Ext::ZERO, Ext::ONE, rho_and_zero().0, compress::draw(&mut ChaCha8Rng::seed_from_u64(seed.into()))][bad_rho];
        let cores = Cores::new(NonZeroUsize::new(threads).unwrap());
        let result = unmask_with(cores, &committee, &served, || rho);
        let wanted = expected(&committee, &served);
        prop_assert_eq!(result.as_ref().map(|aggregate| aggregate.liars().to_vec()).map_err(|error| *error), wanted);
        if let Ok(aggregate) = result.as_ref().map_err(|_| ()) {
            prop_assert!(liars.len() > t || aggregate.values() == sum);
            let fitting: Vec<usize> = shares.keys().copied().filter(|node| !aggregate.liars().contains(node)).take(t + 1).collect();
            let vectors: Vec<&[Fp]> = fitting.iter().map(|node| &shares[node][..]).collect();
            for point in 0..=n {
                let mut values = vec![Fp::ZERO; vectors[0].len()];
                field::add_products(&mut values, &lagrange(&fitting, point), &vectors);
                let root = if point == 0 { aggregate.root() } else { aggregate.share_roots()[point - 1] };
                prop_assert_eq!(root, merkle::vector_root(&values));
            }
        }
    }
}

#[test]
fn up_to_t_liars_never_stand_in_the_way_wherever_they_are_and_whoever_is_silent() {
    let rho = compress::draw(&mut ChaCha8Rng::seed_from_u64(1));
    for (n, t) in COMMITTEES {
        let committee = Committee::new(n, t).unwrap();
        for kind in LIES {
            for missing in 0..=t {
                let (mut shares, sum) = honest(t, 5, 9, 1 + missing..=n);
                let liars: BTreeSet<usize> = shares.keys().copied().take(t.min(n - missing - committee.agreement())).collect();
                lie(&mut shares, kind, &liars, t);
                let aggregate = unmask_with(Cores::ONE, &committee, &views(&shares), || rho).unwrap();
                assert_eq!((aggregate.values(), aggregate.liars()), (&sum[..], &Vec::from_iter(liars)[..]), "({n},{t}) {kind:?}");
            }
        }
    }
}

/// The first check, the compressed shares and, for a ρ that sees nothing, one coordinate for each liar.
#[test]
fn liars_that_rho_does_not_see_are_exposed_one_by_one() {
    let (n, t) = (13, 3);
    let committee = Committee::new(n, t).unwrap();
    let (mut shares, sum) = honest(t, 20_000, 4, 1..=n);
    let coordinates = [19_999, 12_345, 8_191];
    coordinates.iter().zip(1..).for_each(|(k, liar)| shares.get_mut(&liar).unwrap()[*k] += Fp::ONE);
    let asked = core::cell::Cell::new(0);
    let blind = || {
        asked.set(asked.get() + 1);
        Ext::ZERO
    };
    let aggregate = unmask_with(Cores::ONE, &committee, &views(&shares), blind).unwrap();
    assert_eq!((aggregate.values(), aggregate.liars(), asked.get()), (&sum[..], &[1, 2, 3][..], 1));
}

#[test]
fn honest_nodes_cost_no_randomness() {
    let (shares, sum) = honest(2, 7, 1, 1..=9);
    let committee = Committee::new(9, 2).unwrap();
    let aggregate = unmask_with(Cores::ONE, &committee, &views(&shares), || unreachable!("nobody lies")).unwrap();
    assert_eq!((aggregate.values(), aggregate.liars()), (&sum[..], &[][..]));
}

/// At n = 5t+1 two sums can have 2t+1 shares each behind them; neither is taken, and the error says why.
#[test]
fn two_sums_with_2t_plus_1_shares_each_are_refused_as_more_than_t_wrong() {
    let committee = Committee::new(6, 1).unwrap();
    let (mut shares, _) = honest(1, 4, 1, 1..=3);
    shares.extend(honest(1, 4, 2, 4..=6).0);
    assert_eq!(by_search(&committee, &views(&shares)).len(), 2);
    let refused = unmask(&committee, &views(&shares), &mut ChaCha8Rng::seed_from_u64(1)).unwrap_err();
    assert_eq!(refused, NoAggregate::TooManyWrong { served: 6, t: 1 });
    assert!(refused.to_string().contains("more than t = 1 of 6"), "{refused}");
    // Of four shares, three that agree are the only ones that can.
    let four = views(&shares).into_iter().take(4).collect();
    assert_eq!(unmask(&committee, &four, &mut ChaCha8Rng::seed_from_u64(1)).unwrap().liars(), [4]);
}

#[test]
fn a_quorum_of_shares_that_agree_is_always_enough() {
    for (n, t) in COMMITTEES {
        let committee = Committee::new(n, t).unwrap();
        let (mut shares, sum) = honest(t, 3, 5, 1..=n);
        let liars: BTreeSet<usize> = (1..=n - committee.quorum()).collect();
        lie(&mut shares, Lie::All, &liars, t);
        let wrong = |node: &usize| shares[node] != honest(t, 3, 5, [*node]).0[node];
        let off: Vec<usize> = (1..=n).filter(wrong).collect();
        let result = unmask(&committee, &views(&shares), &mut ChaCha8Rng::seed_from_u64(1)).unwrap();
        assert_eq!((result.values(), result.liars()), (&sum[..], &off[..]));
    }
}
