//! Prio3 on one core, beside `consilium bench`: `prio-peers sum-vec|bounded-l2 BITS D REPEAT` prints rows as JSON.
//!
//! A run measures one peer at one size, so that the process's peak memory is that peer's.

mod bounded_l2;
mod measure;
mod sum_vec;

use measure::{Row, peak_memory};
use std::error::Error;

/// What both peers are asked for.
#[derive(Debug, Clone, Copy)]
struct Size {
    /// Bits in which a coordinate is sent and range-checked.
    bits: usize,
    /// Coordinates.
    d: usize,
    /// Measured runs of every step.
    repeat: u32,
}

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [peer, bits, d, repeat] = words.as_slice() else {
        return Err("usage: prio-peers sum-vec|bounded-l2 BITS D REPEAT".into());
    };
    let size = Size { bits: bits.parse()?, d: d.parse()?, repeat: repeat.parse()? };
    let mut rows: Vec<Row> = match peer.as_str() {
        "sum-vec" => sum_vec::rows(size)?,
        "bounded-l2" => bounded_l2::rows(size)?,
        other => return Err(format!("no peer {other}: use sum-vec or bounded-l2").into()),
    };
    let memory = peak_memory();
    rows.iter_mut().for_each(|row| row.memory_bytes = memory);
    println!("{}", serde_json::to_string_pretty(&rows)?);
    Ok(())
}
