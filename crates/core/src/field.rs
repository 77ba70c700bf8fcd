//! The prime field F of Goldilocks, p = 2^64 - 2^32 + 1, and its extension K = F\[u\]/(u^2 - 7) (section 1).
//!
//! Every value is canonical (below p) at all times, so equality of values is equality of representations. The
//! arithmetic has no secret-dependent branches or indices; `inverse` exponentiates with a fixed exponent.

use crate::codec::Elements;
use crate::error::Malformed;
use crate::simd::canonical::surely_canonical;
use crate::simd::{self, products::TOGETHER};

/// The field modulus p = 2^64 - 2^32 + 1.
pub const MODULUS: u64 = 0xffff_ffff_0000_0001;
/// 2^64 mod p.
pub(crate) const EPSILON: u64 = 0xffff_ffff;
/// The non-residue W of the extension, u^2 = 7.
const NON_RESIDUE: Fp = Fp(7);

/// An element of F, always canonical.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Fp(u64);

impl zeroize::DefaultIsZeroes for Fp {}

impl core::fmt::Debug for Fp {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Fp {
    /// Zero.
    pub const ZERO: Self = Self(0);
    /// One.
    pub const ONE: Self = Self(1);

    /// The element with this canonical representative, or `None` if `value >= p`.
    #[inline]
    #[must_use]
    pub const fn new(value: u64) -> Option<Self> {
        if value < MODULUS { Some(Self(value)) } else { None }
    }

    /// The residue of any integer below 2^64.
    #[inline]
    #[must_use]
    pub const fn reduce(value: u64) -> Self {
        let (less, borrow) = value.overflowing_sub(MODULUS);
        Self(if borrow { value } else { less })
    }

    /// The residue of any integer below 2^128 (2^64 = 2^32 - 1 and 2^96 = -1 mod p).
    #[inline]
    #[must_use]
    pub const fn reduce_wide(value: u128) -> Self {
        let low = value as u64;
        let high = (value >> 64) as u64;
        let (difference, borrow) = low.overflowing_sub(high >> 32);
        let difference = difference.wrapping_sub(EPSILON * borrow as u64);
        let (sum, carry) = difference.overflowing_add((high & EPSILON) * EPSILON);
        Self::reduce(sum.wrapping_add(EPSILON * carry as u64))
    }

    /// The residue of a signed integer, without a branch on it; negative v is p + v.
    #[inline]
    #[must_use]
    pub fn from_signed(value: i128) -> Self {
        // The bits of a negative v are those of v + 2^128, and 2^128 = -2^32 mod p.
        Self::reduce_wide(value as u128) + Self((value >> 127) as u64 & 1 << 32)
    }

    /// The residue of a signed word, without a branch on it.
    #[inline]
    #[must_use]
    pub const fn from_i64(value: i64) -> Self {
        Self((value as u64).wrapping_add(MODULUS & (value >> 63) as u64))
    }

    /// The canonical representative.
    #[inline]
    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }

    /// The representative in -(p-1)/2 ..= (p-1)/2.
    #[must_use]
    pub const fn signed(self) -> i64 {
        let is_negative = (self.0 > MODULUS / 2) as u64;
        self.0.wrapping_sub(MODULUS & is_negative.wrapping_neg()) as i64
    }

    /// -self.
    #[inline]
    #[must_use]
    pub const fn negate(self) -> Self {
        Self::reduce(MODULUS - self.0)
    }

    /// self^exponent, by square and multiply over public exponents.
    #[must_use]
    pub fn power(self, mut exponent: u64) -> Self {
        let (mut base, mut result) = (self, Self::ONE);
        while exponent > 0 {
            if exponent & 1 == 1 {
                result *= base;
            }
            base *= base;
            exponent >>= 1;
        }
        result
    }

    /// 1/self, and 0 for 0 (Fermat).
    #[must_use]
    pub fn inverse(self) -> Self {
        self.power(MODULUS - 2)
    }
}

impl core::ops::Add for Fp {
    type Output = Self;
    #[inline]
    #[expect(clippy::suspicious_arithmetic_impl, reason = "the carry is worth 2^64 mod p")]
    fn add(self, other: Self) -> Self {
        let (sum, carry) = self.0.overflowing_add(other.0);
        Self::reduce(sum.wrapping_add(EPSILON * u64::from(carry)))
    }
}

impl core::ops::Sub for Fp {
    type Output = Self;
    #[inline]
    #[expect(clippy::suspicious_arithmetic_impl, reason = "the borrow is worth 2^64 mod p")]
    fn sub(self, other: Self) -> Self {
        let (difference, borrow) = self.0.overflowing_sub(other.0);
        Self(difference.wrapping_sub(EPSILON * u64::from(borrow)))
    }
}

impl core::ops::Mul for Fp {
    type Output = Self;
    #[inline]
    fn mul(self, other: Self) -> Self {
        Self::reduce_wide(u128::from(self.0) * u128::from(other.0))
    }
}

impl core::ops::AddAssign for Fp {
    #[inline]
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl core::ops::SubAssign for Fp {
    #[inline]
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl core::ops::MulAssign for Fp {
    #[inline]
    fn mul_assign(&mut self, other: Self) {
        *self = *self * other;
    }
}

impl core::iter::Sum for Fp {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, |a, b| a + b)
    }
}

/// An element a + b u of K.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ext {
    /// The coefficient of 1.
    pub a: Fp,
    /// The coefficient of u.
    pub b: Fp,
}

impl zeroize::DefaultIsZeroes for Ext {}

impl Ext {
    /// Zero.
    pub const ZERO: Self = Self { a: Fp::ZERO, b: Fp::ZERO };
    /// One.
    pub const ONE: Self = Self { a: Fp::ONE, b: Fp::ZERO };

    /// The product with an element of F.
    #[inline]
    #[must_use]
    pub fn scale(self, by: Fp) -> Self {
        Self { a: self.a * by, b: self.b * by }
    }

    /// self^exponent, by square and multiply over public exponents.
    #[must_use]
    pub fn power(self, mut exponent: u64) -> Self {
        let (mut base, mut result) = (self, Self::ONE);
        while exponent > 0 {
            if exponent & 1 == 1 {
                result = result * base;
            }
            base = base * base;
            exponent >>= 1;
        }
        result
    }
}

impl core::ops::Add for Ext {
    type Output = Self;
    #[inline]
    fn add(self, other: Self) -> Self {
        Self { a: self.a + other.a, b: self.b + other.b }
    }
}

impl core::ops::Sub for Ext {
    type Output = Self;
    #[inline]
    fn sub(self, other: Self) -> Self {
        Self { a: self.a - other.a, b: self.b - other.b }
    }
}

impl core::ops::Mul for Ext {
    type Output = Self;
    #[inline]
    fn mul(self, other: Self) -> Self {
        Self { a: self.a * other.a + NON_RESIDUE * self.b * other.b, b: self.a * other.b + self.b * other.a }
    }
}

impl core::ops::AddAssign for Ext {
    #[inline]
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// The bytes of a vector off the chain: little-endian u64 words (section 7).
#[must_use]
pub fn to_bytes(values: &[Fp]) -> Vec<u8> {
    with_bytes(values, <[u8]>::to_vec)
}

/// Hands the bytes of [`to_bytes`] to `read`, without a copy where the machine's words have the right order.
pub fn with_bytes<R>(values: &[Fp], read: impl FnOnce(&[u8]) -> R) -> R {
    simd::with_le_bytes(values, read)
}

/// The bytes of [`to_bytes`], which keep the vector's memory where the machine's words have the right order.
#[must_use]
pub fn into_bytes<V: AsRef<Vec<Fp>> + Send + 'static>(values: V) -> impl AsRef<[u8]> + Send + 'static {
    if simd::le_bytes(values.as_ref()).is_some() {
        LittleEndian::Words(values)
    } else {
        LittleEndian::Copy(to_bytes(values.as_ref()))
    }
}

enum LittleEndian<V> {
    Words(V),
    Copy(Vec<u8>),
}

impl<V: AsRef<Vec<Fp>>> AsRef<[u8]> for LittleEndian<V> {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Words(values) => simd::le_bytes(values.as_ref()).unwrap_or_default(),
            Self::Copy(bytes) => bytes,
        }
    }
}

/// The vector of exactly `length` canonical elements in `bytes`.
///
/// # Errors
/// [`Malformed`] for another length, or for a word that is not below p.
pub fn from_bytes(bytes: &[u8], length: usize, what: &'static str) -> Result<Vec<Fp>, Malformed> {
    let expected = length.saturating_mul(8);
    if bytes.len() != expected {
        return Err(Malformed::Length { what, expected, found: bytes.len() });
    }
    let mut values = Elements::new(length, what);
    values.push(bytes)?;
    values.finish()
}

/// Moves the words below p to the front, in order, and returns how many they are.
pub(crate) fn keep_canonical(words: &mut [u64]) -> usize {
    if surely_canonical(words) {
        return words.len();
    }
    let mut kept = 0;
    for i in 0..words.len() {
        if words[i] < MODULUS {
            words[kept] = words[i];
            kept += 1;
        }
    }
    kept
}

/// Appends the elements whose bytes these are, and says whether all words were below p; one that is not is reduced.
pub(crate) fn extend_from_bytes(out: &mut Vec<Fp>, bytes: &[[u8; 8]]) -> bool {
    let start = out.len();
    out.extend(bytes.iter().map(|bytes| Fp(u64::from_le_bytes(*bytes))));
    let new = &mut out[start..];
    if surely_canonical(simd::words(new)) {
        return true;
    }
    let canonical = new.iter().all(|value| value.0 < MODULUS);
    new.iter_mut().for_each(|value| *value = Fp::reduce(value.0));
    canonical
}

/// Adds Σ_i factors\[i\]·vectors\[i\] to `sums`. The vectors are as long as `sums`, or longer.
pub fn add_products(sums: &mut [Fp], factors: &[Fp], vectors: &[&[Fp]]) {
    for (factors, vectors) in factors.chunks(TOGETHER).zip(vectors.chunks(TOGETHER)) {
        let mut together: [&[u64]; TOGETHER] = [&[]; TOGETHER];
        together.iter_mut().zip(vectors).for_each(|(words, vector)| *words = simd::words(vector));
        add_products_of_words(sums, factors, &together[..vectors.len()]);
    }
}

/// [`add_products`] with vectors of canonical words.
pub(crate) fn add_products_of_words(sums: &mut [Fp], factors: &[Fp], vectors: &[&[u64]]) {
    for (factors, vectors) in factors.chunks(TOGETHER).zip(vectors.chunks(TOGETHER)) {
        let done = simd::products::add_products(sums, factors, vectors);
        for (k, slot) in sums.iter_mut().enumerate().skip(done) {
            let mut sum = ProductSum { low: u128::from(slot.0), carries: 0 };
            factors.iter().zip(vectors).for_each(|(factor, vector)| sum.add(*factor, Fp(vector[k])));
            *slot = sum.value();
        }
    }
}

/// Adds vectors of canonical words to `sums`.
pub(crate) fn add_words(sums: &mut [Fp], vectors: &[&[u64]]) {
    for vectors in vectors.chunks(TOGETHER) {
        let done = simd::products::add(sums, vectors);
        for vector in vectors {
            sums[done..].iter_mut().zip(&vector[done..]).for_each(|(sum, &word)| *sum += Fp(word));
        }
    }
}

/// A sum of products in F, reduced once at the end.
#[derive(Clone, Copy, Default)]
pub(crate) struct ProductSum {
    low: u128,
    carries: u64,
}

impl ProductSum {
    #[inline]
    pub(crate) fn add(&mut self, a: Fp, b: Fp) {
        let (sum, carry) = self.low.overflowing_add(u128::from(a.0) * u128::from(b.0));
        self.low = sum;
        self.carries = self.carries.wrapping_add(u64::from(carry));
    }

    /// 2^128 = (2^32 - 1)^2 = -2^32 mod p.
    #[inline]
    pub(crate) fn value(self) -> Fp {
        Fp::reduce_wide(self.low) - Fp::reduce_wide(u128::from(self.carries) << 32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::tests::each_set;
    use proptest::prelude::*;

    const P: u128 = MODULUS as u128;

    fn element() -> impl Strategy<Value = Fp> {
        prop_oneof![
            any::<u64>().prop_map(Fp::reduce),
            prop_oneof![Just(0), Just(1), Just(MODULUS - 1), Just(EPSILON), Just(1 << 32)].prop_map(Fp::reduce),
        ]
    }

    fn wide() -> impl Strategy<Value = i128> {
        let p = P as i128;
        prop_oneof![
            any::<i128>(),
            prop::sample::select(vec![i128::MIN, i128::MAX, -1, 0, p, -p, p - 1, 1 - p, -1 << 64, -1 << 32])
        ]
    }

    /// One limb and a sign: what whole columns of such factors are added by is other code.
    fn small() -> impl Strategy<Value = Fp> {
        prop_oneof![-0x3f_ffff_i128..=0x3f_ffff, Just(0x3f_ffff), Just(-0x3f_ffff), Just(-1)].prop_map(Fp::from_signed)
    }

    fn columns(factor: impl Strategy<Value = Fp>) -> impl Strategy<Value = Vec<(Fp, Vec<Fp>)>> {
        proptest::collection::vec((factor, proptest::collection::vec(element(), 14)), 0..12)
    }

    proptest! {
        #[test]
        fn arithmetic_is_that_of_the_integers_mod_p(a in element(), b in element(), wide in any::<u128>()) {
            let (x, y) = (u128::from(a.value()), u128::from(b.value()));
            prop_assert_eq!(u128::from((a + b).value()), (x + y) % P);
            prop_assert_eq!(u128::from((a - b).value()), (x + P - y) % P);
            prop_assert_eq!(u128::from((a * b).value()), x * y % P);
            prop_assert_eq!(u128::from(Fp::reduce_wide(wide).value()), wide % P);
        }

        #[test]
        fn inverse_and_signed_are_what_they_say(a in element(), v in -(1i128 << 62)..(1i128 << 62), wide in wide()) {
            prop_assert_eq!(a * a.inverse(), if a == Fp::ZERO { Fp::ZERO } else { Fp::ONE });
            prop_assert_eq!(a + a.negate(), Fp::ZERO);
            prop_assert_eq!(Fp::from_signed(a.signed().into()), a);
            prop_assert_eq!(i128::from(Fp::from_signed(wide).value()), wide.rem_euclid(P as i128));
            prop_assert_eq!(i128::from(Fp::from_signed(v).signed()), v);
            prop_assert_eq!(Fp::from_i64(v as i64), Fp::from_signed(v));
        }

        #[test]
        fn sums_of_products_are_those_of_the_elements(
            start in proptest::collection::vec(element(), 0..14),
            columns in prop_oneof![columns(element()), columns(small())],
        ) {
            let (mut want_products, mut want_plain) = (start.clone(), start.clone());
            for (factor, vector) in &columns {
                want_products.iter_mut().zip(vector).for_each(|(sum, &value)| *sum += *factor * value);
                want_plain.iter_mut().zip(vector).for_each(|(sum, &value)| *sum += value);
            }
            let factors: Vec<Fp> = columns.iter().map(|(factor, _)| *factor).collect();
            let vectors: Vec<&[Fp]> = columns.iter().map(|(_, vector)| vector.as_slice()).collect();
            let words: Vec<&[u64]> = vectors.iter().map(|vector| simd::words(vector)).collect();
            for set in each_set() {
                let (mut products, mut of_words, mut plain) = (start.clone(), start.clone(), start.clone());
                add_products(&mut products, &factors, &vectors);
                add_products_of_words(&mut of_words, &factors, &words);
                add_words(&mut plain, &words);
                prop_assert_eq!(&products, &want_products, "{}", set.name());
                prop_assert_eq!(&of_words, &want_products, "{}", set.name());
                prop_assert_eq!(&plain, &want_plain, "{}", set.name());
            }
        }

        #[test]
        fn only_canonical_words_are_kept(words in proptest::collection::vec(prop_oneof![any::<u64>(), MODULUS - 2..=u64::MAX], 0..40)) {
            let want: Vec<u64> = words.iter().copied().filter(|&word| word < MODULUS).collect();
            let mut kept = words.clone();
            let count = keep_canonical(&mut kept);
            prop_assert_eq!(&kept[..count], &want[..]);
        }

        #[test]
        fn bytes_are_elements_or_are_said_not_to_be(
            words in proptest::collection::vec(prop_oneof![
                0..MODULUS, any::<u32>().prop_map(|upper| u64::from(upper) << 32 | EPSILON), Just(MODULUS - 1), MODULUS..=u64::MAX,
            ], 0..40), canonical: bool, before in 0usize..9,
        ) {
            let words: Vec<u64> = words.into_iter().filter(|&word| !canonical || word < MODULUS).collect();
            let bytes: Vec<[u8; 8]> = words.iter().map(|word| word.to_le_bytes()).collect();
            let mut out = vec![Fp::ONE; before];
            prop_assert_eq!(extend_from_bytes(&mut out, &bytes), words.iter().all(|&word| word < MODULUS));
            let want: Vec<Fp> = vec![Fp::ONE; before].into_iter().chain(words.into_iter().map(Fp::reduce)).collect();
            prop_assert_eq!(out, want);
        }

        #[test]
        fn product_sums_reduce_once(pairs in proptest::collection::vec((element(), element()), 0..200)) {
            let mut sum = ProductSum::default();
            let mut want = Fp::ZERO;
            for (a, b) in pairs {
                sum.add(a, b);
                want += a * b;
            }
            prop_assert_eq!(sum.value(), want);
        }
    }

    #[test]
    fn words_at_or_above_the_modulus_are_refused() {
        assert!(from_bytes(&MODULUS.to_le_bytes(), 1, "x").is_err());
        assert_eq!(from_bytes(&(MODULUS - 1).to_le_bytes(), 1, "x").unwrap()[0].signed(), -1);
        assert!(from_bytes(&[0; 7], 1, "x").is_err());
    }
}
