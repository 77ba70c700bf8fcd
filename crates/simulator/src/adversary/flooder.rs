//! Proposes all the time, so that everyone always has news and, so it hopes, never asks for what it lacks.

use super::{Me, Mischief, to_all};
use consilium_core::round::Effect;

#[derive(Debug)]
pub(super) struct Flooder;

impl Mischief for Flooder {
    fn tick(&mut self, me: &Me<'_>) -> Vec<Effect> {
        let one = me.cohort(|_| true).filter(|cohort| me.terms.allows(cohort));
        one.map_or(Vec::new(), |cohort| vec![to_all(me.proposal(cohort))])
    }
}
