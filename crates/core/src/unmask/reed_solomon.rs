//! Unique decoding of a Reed-Solomon code over K by Gao's algorithm ("A new algorithm for decoding Reed-Solomon codes", 2003): the
//! one polynomial of degree t that all of m values but few lie on, in O(m^3) operations.

use crate::field::{Ext, Fp};

/// The points whose values are not those of the polynomial of this degree that all but (m - degree - 1)/2 of the m values
/// lie on; `None` if there is no such polynomial. There is never a second one.
///
/// The points are distinct.
pub(super) fn errors(values: &[(usize, Ext)], degree: usize) -> Option<Vec<usize>> {
    let most = values.len().checked_sub(degree + 1)? / 2;
    let (mut before, mut rest) = (Polynomial::vanishing(values), Polynomial::through(values));
    let (mut locator_before, mut locator) = (Polynomial::default(), Polynomial::new(vec![Ext::ONE]));
    // Euclid's algorithm, until the degree of the rest is below (m + degree + 1)/2.
    while 2 * rest.0.len() >= values.len() + degree + 3 {
        let (quotient, remainder) = before.divided_by(&rest);
        (before, rest) = (rest, remainder);
        let next = locator_before.minus(&quotient.times(&locator));
        (locator_before, locator) = (locator, next);
    }
    // If no such polynomial exists, this quotient has more errors, or too high a degree.
    let (polynomial, _) = rest.divided_by(&locator);
    if polynomial.0.len() > degree + 1 {
        return None;
    }
    let wrong = values.iter().filter(|(point, value)| polynomial.at(*point) != *value);
    let wrong: Vec<usize> = wrong.map(|(point, _)| *point).collect();
    (wrong.len() <= most).then_some(wrong)
}

/// A polynomial over K: the coefficient of x^i at i, the last one not zero.
#[derive(Debug, Clone, Default, PartialEq)]
struct Polynomial(Vec<Ext>);

impl Polynomial {
    fn new(mut coefficients: Vec<Ext>) -> Self {
        let length = coefficients.iter().rposition(|coefficient| *coefficient != Ext::ZERO).map_or(0, |last| last + 1);
        coefficients.truncate(length);
        Self(coefficients)
    }

    /// The product of x - point over all points.
    fn vanishing(values: &[(usize, Ext)]) -> Self {
        let one = Self(vec![Ext::ONE]);
        values.iter().fold(one, |product, (point, _)| {
            let negative = Ext { a: element(*point).negate(), b: Fp::ZERO };
            product.times(&Self(vec![negative, Ext::ONE]))
        })
    }

    /// The polynomial of the least degree that all values lie on.
    fn through(values: &[(usize, Ext)]) -> Self {
        let mut sums = vec![Ext::ZERO; values.len()];
        for (point, value) in values {
            let others: Vec<_> = values.iter().filter(|(other, _)| other != point).copied().collect();
            let basis = Self::vanishing(&others);
            let factor = *value * inverse(basis.at(*point));
            sums.iter_mut().zip(&basis.0).for_each(|(sum, coefficient)| *sum += *coefficient * factor);
        }
        Self::new(sums)
    }

    fn at(&self, point: usize) -> Ext {
        self.0.iter().rev().fold(Ext::ZERO, |sum, coefficient| sum.scale(element(point)) + *coefficient)
    }

    fn minus(&self, other: &Self) -> Self {
        let coefficient = |of: &Self, i: usize| of.0.get(i).copied().unwrap_or_default();
        let length = self.0.len().max(other.0.len());
        Self::new((0..length).map(|i| coefficient(self, i) - coefficient(other, i)).collect())
    }

    fn times(&self, other: &Self) -> Self {
        let mut product = vec![Ext::ZERO; self.0.len() + other.0.len()];
        for (i, a) in self.0.iter().enumerate() {
            product[i..].iter_mut().zip(&other.0).for_each(|(sum, b)| *sum += *a * *b);
        }
        Self::new(product)
    }

    /// Quotient and remainder. By zero: zero and the dividend.
    fn divided_by(&self, divisor: &Self) -> (Self, Self) {
        let Some(leading) = divisor.0.last().map(|leading| inverse(*leading)) else { return (Self::default(), self.clone()) };
        let mut rest = self.0.clone();
        let mut quotient = vec![Ext::ZERO; (rest.len() + 1).saturating_sub(divisor.0.len())];
        for (i, slot) in quotient.iter_mut().enumerate().rev() {
            *slot = rest[i + divisor.0.len() - 1] * leading;
            rest[i..].iter_mut().zip(&divisor.0).for_each(|(value, b)| *value = *value - *b * *slot);
        }
        (Self::new(quotient), Self::new(rest))
    }
}

fn element(point: usize) -> Fp {
    Fp::reduce(point as u64)
}

/// 1/value, and 0 for 0: (a + bu)(a - bu) = a^2 - 7b^2 is in F, and is zero for zero alone.
fn inverse(value: Ext) -> Ext {
    let conjugate = Ext { a: value.a, b: value.b.negate() };
    conjugate.scale((value * conjugate).a.inverse())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scalar() -> impl Strategy<Value = Ext> {
        (any::<u64>(), any::<u64>()).prop_map(|(a, b)| Ext { a: Fp::reduce(a), b: Fp::reduce(b) })
    }

    proptest! {
        #[test]
        fn errors_are_found_up_to_half_the_distance_and_no_further(
            coefficients in prop::collection::vec(scalar(), 1..=11),
            spare in 1usize..=21,
            wrong in prop::collection::vec((any::<prop::sample::Index>(), scalar()), 0..=12),
            offset in 0usize..3,
        ) {
            let degree = coefficients.len() - 1;
            let points: Vec<usize> = (offset..).step_by(1 + offset).take(degree + 1 + spare).collect();
            let polynomial = Polynomial::new(coefficients);
            let mut values: Vec<_> = points.iter().map(|point| (*point, polynomial.at(*point))).collect();
            wrong.iter().for_each(|(at, by)| values[at.index(points.len())].1 += *by);
            let off = values.iter().filter(|(point, value)| polynomial.at(*point) != *value);
            let off: Vec<usize> = off.map(|(point, _)| *point).collect();
            // Values at random beyond the radius are on another polynomial with a chance of 2^-128.
            prop_assert_eq!(errors(&values, degree), (off.len() <= spare / 2).then_some(off));
        }

        #[test]
        fn the_inverse_is_the_inverse(value in scalar()) {
            prop_assert_eq!(value * inverse(value), if value == Ext::ZERO { Ext::ZERO } else { Ext::ONE });
        }
    }

    #[test]
    fn a_tie_between_two_polynomials_is_no_answer() {
        // Half of the values on x, half on zero: each is as good as the other.
        let value = |point: usize| if point > 3 { Ext::ONE.scale(element(point)) } else { Ext::ZERO };
        let values: Vec<_> = (1..=6).map(|point| (point, value(point))).collect();
        assert_eq!(errors(&values, 1), None);
        assert_eq!(errors(&values[1..], 1), Some(vec![2, 3]).filter(|wrong| wrong.len() <= 1));
        assert_eq!(errors(&values[2..], 1), Some(vec![3]));
        assert_eq!(errors(&values[..1], 1), None, "fewer values than coefficients");
    }
}
