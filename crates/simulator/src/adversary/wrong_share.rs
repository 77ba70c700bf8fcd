//! A wrong output share, with a root that matches it or one that does not.

use super::Mischief;
use consilium_core::field::Fp;

#[derive(Debug)]
pub(super) struct WrongShare {
    /// Whether the signed root is the wrong share's own.
    pub(super) signed: bool,
}

fn wrong(mut share: Vec<Fp>) -> Vec<Fp> {
    share[0] += Fp::ONE;
    share
}

impl Mischief for WrongShare {
    fn compute(&mut self, share: Vec<Fp>) -> Vec<Fp> {
        if self.signed { wrong(share) } else { share }
    }

    fn serve(&mut self, share: Vec<Fp>) -> Vec<Fp> {
        if self.signed { share } else { wrong(share) }
    }
}
