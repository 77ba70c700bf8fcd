//! What the other members have said and the machine has not taken yet: a bounded queue for each, taken in turn, so that
//! nobody's messages crowd out another's.

use crate::service::locked;
use consilium_core::round::Genuine;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// Bodies of one member that are read and checked at the same time.
const BODIES: usize = 2;
/// Requests for seeds of one member that are answered at the same time; it asks again for the others.
const ANSWERS: usize = 64;

/// The queues of a round's members.
pub(crate) struct Mailbox {
    members: Vec<Member>,
    queues: Mutex<Queues>,
    ring: Notify,
    /// Bytes that wait for the machine at most, of one member.
    most: usize,
}

struct Member {
    bodies: Arc<Semaphore>,
    answers: Arc<Semaphore>,
}

struct Queues {
    of: Vec<VecDeque<(usize, Vec<Genuine>)>>,
    /// The place from which the next list is taken.
    turn: usize,
}

impl Mailbox {
    /// For n members, with room for `most` bytes of each.
    pub(super) fn new(n: usize, most: usize) -> Self {
        let member = |_| Member { bodies: Arc::new(Semaphore::new(BODIES)), answers: Arc::new(Semaphore::new(ANSWERS)) };
        let queues = Queues { of: vec![VecDeque::new(); n], turn: 0 };
        Self { members: (0..n).map(member).collect(), queues: Mutex::new(queues), ring: Notify::new(), most }
    }

    /// Leave to read and check one more body of a member, 1..=n.
    pub(crate) fn body(&self, from: usize) -> Option<OwnedSemaphorePermit> {
        let member = self.members.get(from.checked_sub(1)?)?;
        Arc::clone(&member.bodies).try_acquire_owned().ok()
    }

    /// Leave to answer one more request for seeds of a member.
    pub(super) fn answer(&self, to: usize) -> Option<OwnedSemaphorePermit> {
        let member = self.members.get(to.checked_sub(1)?)?;
        Arc::clone(&member.answers).try_acquire_owned().ok()
    }

    /// Queues what a member said in a body of this length; false when too much of it is waiting already.
    pub(crate) fn put(&self, from: usize, length: usize, messages: Vec<Genuine>) -> bool {
        let mut queues = locked(&self.queues);
        let Some(queue) = from.checked_sub(1).and_then(|place| queues.of.get_mut(place)) else { return false };
        let waiting: usize = queue.iter().map(|(length, _)| length).sum();
        if !queue.is_empty() && waiting + length > self.most {
            return false;
        }
        queue.push_back((length, messages));
        self.ring.notify_one();
        true
    }

    fn next(&self) -> Option<(usize, Vec<Genuine>)> {
        let mut queues = locked(&self.queues);
        let n = queues.of.len();
        for step in 0..n {
            let place = (queues.turn + step) % n;
            if let Some((_, messages)) = queues.of[place].pop_front() {
                queues.turn = place + 1;
                return Some((place + 1, messages));
            }
        }
        None
    }

    /// The next list, of each member in turn. For one taker.
    pub(super) async fn take(&self) -> (usize, Vec<Genuine>) {
        loop {
            if let Some(next) = self.next() {
                return next;
            }
            self.ring.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_member_that_floods_fills_its_own_queue_and_waits_its_turn() {
        let mailbox = Mailbox::new(3, 100);
        assert!(mailbox.put(1, 500, Vec::new()), "a list alone may be as long as a body");
        assert!(!mailbox.put(1, 1, Vec::new()));
        assert!(mailbox.put(3, 60, Vec::new()) && mailbox.put(3, 40, Vec::new()) && !mailbox.put(3, 1, Vec::new()));
        assert!(mailbox.put(2, 1, Vec::new()));
        assert!(!mailbox.put(0, 1, Vec::new()) && !mailbox.put(4, 1, Vec::new()));
        let mut order = Vec::new();
        for _ in 0..4 {
            order.push(mailbox.take().await.0);
        }
        assert_eq!(order, [1, 2, 3, 3]);
        assert!(mailbox.put(1, 1, Vec::new()), "there is room again");
    }

    #[test]
    fn bodies_and_answers_of_one_member_are_counted_apart_from_the_others() {
        let mailbox = Mailbox::new(2, 100);
        let held: Vec<_> = (0..BODIES).map(|_| mailbox.body(1).unwrap()).collect();
        assert!(mailbox.body(1).is_none() && mailbox.body(2).is_some() && mailbox.body(3).is_none());
        drop(held);
        assert!(mailbox.body(1).is_some() && mailbox.answer(1).is_some() && mailbox.answer(0).is_none());
    }
}
