//! Projections of several vectors on the ternary rows, where the processor has lanes for them.

#[cfg(not(all(target_arch = "x86_64", not(consilium_backend = "portable"))))]
pub(crate) use absent::LaneProjections;
#[cfg(all(target_arch = "x86_64", not(consilium_backend = "portable")))]
pub(crate) use lanes::LaneProjections;

/// Largest magnitude of values that count as small: half the work.
pub(crate) const SMALL: u64 = 1 << 27;

#[cfg(all(target_arch = "x86_64", not(consilium_backend = "portable")))]
mod lanes {
    use crate::field::Fp;
    use crate::program::ROW_WORDS;
    use crate::simd::Avx2;
    use crate::simd::avx2::rows::{COORDINATES, FOLD, Indices, PlaneSums};
    use zeroize::{Zeroize, Zeroizing};

    /// Running projections of several vectors on the first rows of the same matrix.
    #[derive(Clone)]
    pub(crate) struct LaneProjections {
        token: Avx2,
        indices: Indices,
        sums: Vec<Sums>,
        folded: Vec<Vec<Fp>>,
        blocks: usize,
    }

    #[derive(Clone)]
    enum Sums {
        Field(PlaneSums<8>),
        Small(PlaneSums<4>),
    }

    impl LaneProjections {
        /// For one vector an entry of `small`, which says that no value of it exceeds [`SMALL`](super::SMALL);
        /// `None` on a processor without lanes.
        pub(crate) fn new(tests: usize, small: &[bool]) -> Option<Self> {
            let sums = |&small: &bool| if small { Sums::Small(PlaneSums::new()) } else { Sums::Field(PlaneSums::new()) };
            Some(Self {
                token: Avx2::detect()?,
                indices: Indices::new(),
                sums: small.iter().map(sums).collect(),
                folded: vec![vec![Fp::ZERO; tests]; small.len()],
                blocks: 0,
            })
        }

        /// Takes in the next coordinates of all vectors and their words of the matrix.
        pub(crate) fn absorb(&mut self, vectors: &[&[Fp]], rows: &[u64]) {
            let (blocks, end) = rows.as_chunks();
            for (i, rows) in blocks.iter().enumerate() {
                self.absorb_block(rows, vectors.iter().map(|vector| &vector.as_chunks().0[i]));
            }
            if !end.is_empty() {
                let coordinates = COORDINATES * blocks.len()..rows.len() / ROW_WORDS;
                let ends = vectors.iter().map(|vector| padded(&vector[coordinates.clone()], Fp::ZERO));
                let ends: Zeroizing<Vec<[Fp; COORDINATES]>> = Zeroizing::new(ends.collect());
                self.absorb_block(&padded(end, 0), ends.iter());
            }
        }

        fn absorb_block<'a>(
            &mut self,
            rows: &[u64; COORDINATES * ROW_WORDS],
            vectors: impl Iterator<Item = &'a [Fp; COORDINATES]>,
        ) {
            self.indices.fill(self.token, rows);
            for (sums, values) in self.sums.iter_mut().zip(vectors) {
                match sums {
                    Sums::Field(sums) => sums.absorb(self.token, values, &self.indices),
                    Sums::Small(sums) => sums.absorb(self.token, values, &self.indices),
                }
            }
            self.blocks += 1;
            if self.blocks == FOLD {
                self.fold();
            }
        }

        fn fold(&mut self) {
            for (sums, folded) in self.sums.iter_mut().zip(&mut self.folded) {
                for (row, value) in folded.iter_mut().enumerate() {
                    *value += Fp::from_signed(match sums {
                        Sums::Field(sums) => sums.row(row),
                        Sums::Small(sums) => sums.row(row),
                    });
                }
                match sums {
                    Sums::Field(sums) => sums.clear(),
                    Sums::Small(sums) => sums.clear(),
                }
            }
            self.blocks = 0;
        }

        /// The projections, one a vector and row.
        pub(crate) fn values(&self) -> Vec<Vec<Fp>> {
            let mut copy = self.clone();
            copy.fold();
            core::mem::take(&mut copy.folded)
        }
    }

    impl Drop for LaneProjections {
        fn drop(&mut self) {
            self.folded.zeroize();
        }
    }

    /// A whole block; zeros add nothing to a projection.
    fn padded<T: Copy, const N: usize>(part: &[T], zero: T) -> [T; N] {
        let mut block = [zero; N];
        block[..part.len()].copy_from_slice(part);
        block
    }
}

#[cfg(not(all(target_arch = "x86_64", not(consilium_backend = "portable"))))]
mod absent {
    use crate::field::Fp;

    /// No processor that this is built for has lanes.
    #[derive(Clone)]
    pub(crate) enum LaneProjections {}

    impl LaneProjections {
        pub(crate) fn new(_tests: usize, _small: &[bool]) -> Option<Self> {
            None
        }

        pub(crate) fn absorb(&mut self, _vectors: &[&[Fp]], _rows: &[u64]) {
            match *self {}
        }

        pub(crate) fn values(&self) -> Vec<Vec<Fp>> {
            match *self {}
        }
    }
}
