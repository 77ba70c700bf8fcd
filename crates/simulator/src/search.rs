//! Looks for seeds in bytes: as they are, and in hexadecimal.

use std::collections::BTreeSet;

/// All seeds that sites have drawn.
#[derive(Debug)]
pub(crate) struct Secrets {
    /// The first 8 bytes of each.
    heads: BTreeSet<u64>,
    /// Which low 16 bits occur, so that most places are dismissed at once.
    filter: Vec<bool>,
}

impl Default for Secrets {
    fn default() -> Self {
        Self { heads: BTreeSet::new(), filter: vec![false; 1 << 16] }
    }
}

impl Secrets {
    pub(crate) fn add(&mut self, seeds: &[[u8; 32]]) {
        for seed in seeds {
            let mut head = [0; 8];
            head.copy_from_slice(&seed[..8]);
            let head = u64::from_le_bytes(head);
            self.heads.insert(head);
            self.filter[(head & 0xffff) as usize] = true;
        }
    }

    /// Whether a seed's first 8 bytes stand somewhere in `bytes`; with `text`, also in hexadecimal.
    pub(crate) fn are_in(&self, bytes: &[u8], text: bool) -> bool {
        self.raw(bytes) || (text && self.hexadecimal(bytes))
    }

    fn raw(&self, bytes: &[u8]) -> bool {
        bytes.windows(8).any(|window| {
            let low = usize::from(window[0]) | usize::from(window[1]) << 8;
            self.filter[low] && {
                let mut head = [0; 8];
                head.copy_from_slice(window);
                self.heads.contains(&u64::from_le_bytes(head))
            }
        })
    }

    fn hexadecimal(&self, text: &[u8]) -> bool {
        let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
        let runs = text.split(|byte| digit(*byte).is_none()).filter(|run| run.len() >= 16);
        runs.into_iter().any(|run| {
            (0..2).any(|start| {
                let pairs = run[start..].as_chunks::<2>().0.iter();
                let bytes: Vec<u8> = pairs.filter_map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
                self.raw(&bytes)
            })
        })
    }
}
