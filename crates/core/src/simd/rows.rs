//! Projections of several vectors on the ternary rows, where the processor has lanes for them.
//!
//! Sixteen rows at a time, four coordinates a look-up. For four values, the 16 sums of their subsets are computed once
//! and stored as planes of bytes: plane l holds byte l of each sum. A row's four bits of P are the index of the sum that
//! it adds, its four bits of Q of the one that it subtracts, and a shuffle of bytes looks a plane up for all rows of a
//! register. The differences of bytes are summed in 16-bit lanes over a block of 64 groups (64 · 255 < 2^15), then in
//! 32-bit lanes.
//!
//! Word i of vector r belongs to row 8i + r.

use super::lanes::{self, Lanes};
use crate::field::Fp;
use crate::program::ROW_WORDS;
use zeroize::{Zeroize, Zeroizing};

/// Largest magnitude of values that count as small: half the work.
pub(crate) const SMALL: u64 = 1 << 27;
/// Coordinates in one look-up.
pub(super) const GROUP: usize = 4;
/// Groups of one block.
pub(super) const GROUPS: usize = 64;
/// Coordinates of one block.
const COORDINATES: usize = GROUP * GROUPS;
/// Vectors of 16 rows: 128 rows.
pub(super) const VECTORS: usize = 8;
/// Blocks after which the 32-bit sums must be folded: 2^16 blocks add less than 2^30.
const FOLD: usize = 1 << 16;
/// Added to all sums of subsets of small values, so that they are not negative; differences lose it again.
pub(super) const BIAS: u64 = 1 << 30;

// Four small values and the bias are neither negative nor over 32 bits.
const _: () = assert!(4 * SMALL <= BIAS && BIAS + 4 * SMALL < 1 << 32);

/// The matrix at the coordinates of one group.
pub(super) type GroupRows = [u64; GROUP * ROW_WORDS];
/// The same as indices, P's and Q's of 16 rows in each vector; their order is that of the instruction set.
pub(super) type GroupIndices = [[u8; 32]; VECTORS];
/// The subset sums of one group: sum i has the values whose bits in i are set.
pub(super) type GroupTables<const PLANES: usize> = [[u8; 16]; PLANES];
/// One vector's values of one group.
pub(super) type GroupValues = [Fp; GROUP];
/// The sums of each byte plane for the rows of each vector.
pub(super) type Sums<const PLANES: usize> = [[[i32; 16]; PLANES]; VECTORS];

/// Running projections of several vectors on the first rows of the same matrix.
#[derive(Clone)]
pub(crate) struct LaneProjections {
    token: Lanes,
    indices: Box<[GroupIndices; GROUPS]>,
    sums: Vec<VectorSums>,
    folded: Vec<Vec<Fp>>,
    blocks: usize,
}

#[derive(Clone)]
enum VectorSums {
    Field(PlaneSums<8>),
    Small(PlaneSums<4>),
}

impl LaneProjections {
    /// For one vector an entry of `small`, which says that no value of it exceeds [`SMALL`];
    /// `None` on a processor without lanes.
    pub(crate) fn new(tests: usize, small: &[bool]) -> Option<Self> {
        let sums = |&small: &bool| if small { VectorSums::Small(PlaneSums::new()) } else { VectorSums::Field(PlaneSums::new()) };
        Some(Self {
            token: Lanes::detect()?,
            indices: Box::new([[[0; 32]; VECTORS]; GROUPS]),
            sums: small.iter().map(sums).collect(),
            folded: vec![vec![Fp::ZERO; tests]; small.len()],
            blocks: 0,
        })
    }

    /// Takes in the next coordinates of all vectors and their words of the matrix.
    pub(crate) fn absorb(&mut self, vectors: &[&[Fp]], rows: &[u64]) {
        let blocks = rows.as_chunks().0.as_chunks().0;
        for (i, rows) in blocks.iter().enumerate() {
            self.absorb_block(rows, vectors.iter().map(|vector| &vector.as_chunks().0.as_chunks().0[i]));
        }
        let end = COORDINATES * blocks.len()..rows.len() / ROW_WORDS;
        if !end.is_empty() {
            let ends = vectors.iter().map(|vector| padded(&vector[end.clone()], Fp::ZERO));
            let ends: Zeroizing<Vec<[GroupValues; GROUPS]>> = Zeroizing::new(ends.collect());
            self.absorb_block(&padded(&rows[ROW_WORDS * end.start..], 0), ends.iter());
        }
    }

    fn absorb_block<'a>(&mut self, rows: &[GroupRows; GROUPS], vectors: impl Iterator<Item = &'a [GroupValues; GROUPS]>) {
        lanes::rows::indices(self.token, rows, &mut self.indices);
        for (sums, values) in self.sums.iter_mut().zip(vectors) {
            match sums {
                VectorSums::Field(sums) => sums.absorb(self.token, values, &self.indices),
                VectorSums::Small(sums) => sums.absorb(self.token, values, &self.indices),
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
                *value += sums.row(row);
            }
            sums.clear();
        }
        self.blocks = 0;
    }

    /// The projections, one a vector and row.
    pub(crate) fn values(&self) -> Vec<Vec<Fp>> {
        let rows =
            |(sums, folded): (&VectorSums, &Vec<Fp>)| (0..).zip(folded).map(|(row, &value)| value + sums.row(row)).collect();
        self.sums.iter().zip(&self.folded).map(rows).collect()
    }
}

impl VectorSums {
    fn row(&self, row: usize) -> Fp {
        Fp::from_signed(match self {
            Self::Field(sums) => sums.row(row),
            Self::Small(sums) => sums.row(row),
        })
    }

    fn clear(&mut self) {
        match self {
            Self::Field(sums) => sums.clear(),
            Self::Small(sums) => sums.clear(),
        }
    }
}

impl Drop for LaneProjections {
    fn drop(&mut self) {
        self.folded.zeroize();
    }
}

/// Running sums of byte planes, `PLANES` for each of the 128 rows: 8 for field elements, 4 for small signed integers.
#[derive(Clone)]
struct PlaneSums<const PLANES: usize> {
    sums: Box<Sums<PLANES>>,
    tables: Box<[GroupTables<PLANES>; GROUPS]>,
}

impl<const PLANES: usize> PlaneSums<PLANES> {
    fn new() -> Self {
        Self { sums: Box::new([[[0; 16]; PLANES]; VECTORS]), tables: Box::new([[[0; 16]; PLANES]; GROUPS]) }
    }

    /// Adds a block of values.
    fn absorb(&mut self, token: Lanes, values: &[GroupValues; GROUPS], indices: &[GroupIndices; GROUPS]) {
        lanes::rows::tables(token, values, &mut self.tables);
        lanes::rows::add_found(token, &self.tables, indices, &mut self.sums);
    }

    /// The sum of one row as an integer.
    fn row(&self, row: usize) -> i128 {
        let planes = &self.sums[row % VECTORS];
        let values = planes.iter().enumerate().map(|(l, plane)| i128::from(plane[row / VECTORS]) << (8 * l));
        // Eight of 32 bits, the last 56 bits up: no sum is checked, as that would be a branch.
        values.fold(0, i128::wrapping_add)
    }

    fn clear(&mut self) {
        self.sums.as_flattened_mut().as_flattened_mut().fill(0);
    }
}

impl<const PLANES: usize> Drop for PlaneSums<PLANES> {
    fn drop(&mut self) {
        self.tables.as_flattened_mut().as_flattened_mut().zeroize();
        self.sums.as_flattened_mut().as_flattened_mut().zeroize();
    }
}

/// A whole block; zeros add nothing to a projection.
fn padded<T: Copy, const N: usize>(part: &[T], zero: T) -> [[T; N]; GROUPS] {
    let mut block = [[zero; N]; GROUPS];
    block.as_flattened_mut()[..part.len()].copy_from_slice(part);
    block
}
