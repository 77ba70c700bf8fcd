//! Following the chain: polls, in order, without gaps, and says when history was rewritten.

use crate::endpoint::{Block, Ledger};
use crate::error::Error;
use crate::event::BlockRef;
use crate::history::Batch;
use serde::{Deserialize, Serialize};

/// How many earlier ends of polls are remembered; a reorganisation that is deeper than all is read again from the start.
const TRAIL: usize = 64;

/// How far a watcher has read. Store it together with what was derived from the events, and resume from it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// Blocks up to which was read, oldest first; the last one is the position.
    trail: Vec<BlockRef>,
}

impl Cursor {
    /// A cursor that has read up to and including this block.
    #[must_use]
    pub fn at(block: BlockRef) -> Self {
        Self { trail: vec![block] }
    }

    /// The last block that was read; none before the first.
    #[must_use]
    pub fn position(&self) -> Option<BlockRef> {
        self.trail.last().copied()
    }

    fn advance(&mut self, block: BlockRef) {
        if self.trail.len() >= TRAIL {
            // Thin out the older half, so that the trail reaches ever further back.
            let mut number = 0;
            let older = self.trail.len() / 2;
            self.trail.retain(|_| {
                number += 1;
                number > older || number % 2 == 1
            });
        }
        self.trail.push(block);
    }
}

/// What a poll found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Blocks were read; `batch` may be empty.
    Read {
        /// What was announced in them.
        batch: Batch,
        /// Up to and including this block.
        to: Block,
        /// Whether that was the newest one.
        is_head: bool,
    },
    /// Everything read after this block has been replaced: forget it. `None`: everything at all. Nothing older was
    /// changed. The next poll reads on from there.
    RolledBack {
        /// The newest block that still stands.
        to: Option<BlockRef>,
    },
    /// Nothing new.
    Idle,
}

/// Follows the events of the registry and of Consilium through one endpoint.
#[derive(Debug, Clone)]
pub struct Watcher {
    ledger: Ledger,
    cursor: Cursor,
}

impl Watcher {
    /// Starts after the cursor; a default one starts at the deployment.
    #[must_use]
    pub fn new(ledger: Ledger, cursor: Cursor) -> Self {
        Self { ledger, cursor }
    }

    /// How far was read.
    #[must_use]
    pub fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// The ledger that is watched.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Polls once: the next blocks, at most [`crate::Limits::blocks`] of them, or a rollback.
    ///
    /// # Errors
    /// [`Error::Unreachable`] and other faults of the endpoint; the cursor stays, so that polling again goes on from
    /// the same place.
    pub async fn next_events(&mut self) -> Result<Progress, Error> {
        let head = self.ledger.head().await?;
        let position = self.cursor.position();
        if position == Some(head.reference()) {
            return Ok(Progress::Idle);
        }
        if let Some(position) = position {
            if !self.stands(&position).await? {
                return self.roll_back(&head).await;
            }
            if head.number <= position.number {
                // The endpoint's own view went back and forth between two answers.
                return Ok(Progress::Idle);
            }
        }
        self.read_on(position, &head).await
    }

    async fn read_on(&mut self, position: Option<BlockRef>, head: &Block) -> Result<Progress, Error> {
        let from = position.map_or(self.ledger.addresses().deployed_at, |position| position.number + 1);
        if from > head.number {
            return Ok(Progress::Idle);
        }
        let last = head.number.min(from.saturating_add(self.ledger.limits().blocks.max(1) - 1));
        let to = if last == head.number { Some(*head) } else { self.ledger.block(last.into()).await? };
        let to = to.ok_or(Error::Reorganised { number: last })?;
        let batch = self.ledger.events(from, last).await?;
        // The logs belong to this very chain only if both of its ends still stand after they were read.
        let start_stands = match position {
            Some(position) => self.stands(&position).await?,
            None => true,
        };
        let misplaced = batch.events.iter().any(|event| event.at.block.number == last && event.at.block.hash != to.hash);
        if misplaced || !start_stands || !self.stands(&to.reference()).await? {
            return Err(Error::Reorganised { number: last });
        }
        self.cursor.advance(to.reference());
        Ok(Progress::Read { batch, to, is_head: last == head.number })
    }

    async fn roll_back(&mut self, head: &Block) -> Result<Progress, Error> {
        let mut kept = self.cursor.trail.clone();
        while let Some(block) = kept.last() {
            if block.number <= head.number && self.stands(block).await? {
                break;
            }
            kept.pop();
        }
        self.cursor.trail = kept;
        Ok(Progress::RolledBack { to: self.cursor.position() })
    }

    async fn stands(&self, block: &BlockRef) -> Result<bool, Error> {
        Ok(self.ledger.block_hash(block.number).await? == Some(block.hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trail_stays_short_and_reaches_back_to_the_start() {
        let mut cursor = Cursor::default();
        let block = |number| BlockRef { number, ..BlockRef::default() };
        (0..10_000).for_each(|number| cursor.advance(block(number)));
        assert!(cursor.trail.len() <= TRAIL && cursor.trail.is_sorted());
        assert_eq!((cursor.trail[0], cursor.position()), (block(0), Some(block(9_999))));
        assert!(cursor.trail.ends_with(&[block(9_997), block(9_998), block(9_999)]));
    }
}
