//! What happens by itself after every action: deliveries whose delay gives the adversary nothing that it could not have by
//! delaying something else. The crate's documentation says why for each of them.

use crate::bounds::{Endpoints, Mutation, Start};
use crate::cast::{HONEST_SITES, SETS, SITES, bit};
use crate::node::{Node, Seat, Stimulus};
use crate::world::{State, World};
use consilium_core::round::IntentKind;

const KINDS: [IntentKind; 3] = [IntentKind::Final, IntentKind::ShareRoot, IntentKind::Settlement];

impl World {
    /// Delivers until nothing is left to deliver.
    pub(crate) fn settle_down(&self, state: &mut State) {
        loop {
            let before = *state;
            for node in self.honest() {
                self.deliver(state, node);
            }
            if *state == before {
                return;
            }
        }
    }

    fn deliver(&self, state: &mut State, node: usize) {
        for place in 0..self.cast.places.len() {
            self.deliver_contributions(state, node, place);
            self.deliver_proposals(state, node, place);
            self.deliver_acknowledgements(state, node, place);
            self.deliver_votes(state, node, place);
            self.deliver_finals(state, node, place);
            if self.bounds.settles {
                self.deliver_end(state, node, place);
            }
        }
    }

    /// Contributions reach all nodes that have joined, and so do the receipts of those that accepted them, once there are Q.
    fn deliver_contributions(&self, state: &mut State, node: usize, place: usize) {
        if !matches!(self.bounds.start, Start::Unseen | Start::Empty) {
            return;
        }
        let contributed = state.contributed[place];
        for site in (0..SITES).filter(|site| contributed & (1 << site) != 0) {
            let member = self.cast.member(place, site);
            let holds = |seat: &Seat| seat.round.accepted().contains(&member);
            let forged = state.forged & (1 << site) != 0;
            let current = self.node(state, node);
            let Some(own) = &current.seats[place] else { return };
            let forged = if HONEST_SITES.contains(&site) { forged } else { own.forged };
            let takes = own.forged == forged || self.bounds.mutation == Some(Mutation::UnboundOpening);
            if takes && !holds(own) {
                self.give(state, node, &Stimulus::Contribution { place, site, forged });
            }
            let held = |node: &usize| self.node(state, *node).seats[place].as_ref().is_some_and(holds);
            let signers = self.honest().filter(held).fold(self.liar(), |mask, node| mask | bit(node));
            let known = own.round.receipts_of(&member.site).len() >= self.cast.sizes.quorum();
            if Self::count(signers) >= self.quorum() && !known {
                self.give(state, node, &Stimulus::Receipts { place, site, signers });
            }
        }
    }

    /// Proposals of honest nodes, where the model is not about who hears which.
    fn deliver_proposals(&self, state: &mut State, node: usize, place: usize) {
        if self.bounds.start != Start::Empty {
            return;
        }
        for set in 0..SETS.len() as u8 {
            for by in self.honest().filter(|by| *by != node) {
                let proposed = self.node(state, by).said.proposals[place] & (1 << set) != 0;
                let heard = |seat: &Seat| seat.proposers[usize::from(set)] & bit(by) != 0;
                if proposed && !self.node(state, node).seats[place].as_ref().is_some_and(heard) {
                    self.give(state, node, &Stimulus::Proposal { place, set, by });
                }
            }
        }
    }

    fn deliver_acknowledgements(&self, state: &mut State, node: usize, place: usize) {
        if self.bounds.restorable & bit(node) != 0 {
            return;
        }
        for kind in KINDS {
            if self.is_pending(&self.node(state, node), place, kind) {
                self.acknowledge(state, node, place, kind, 0);
            }
        }
    }

    /// Whether a node waits for acknowledgements, and the others do not hold another intent of it.
    pub(crate) fn is_pending(&self, node: &Node, place: usize, kind: IntentKind) -> bool {
        let pending = |seat: &Seat| seat.intents.contains_key(&kind) && !seat.done.contains(&kind);
        node.seats[place].as_ref().is_some_and(pending)
    }

    /// Votes travel by gossip where the model is about honest endpoints; elsewhere they come with certificates.
    fn deliver_votes(&self, state: &mut State, node: usize, place: usize) {
        if self.bounds.endpoints == Endpoints::Lie {
            return;
        }
        for set in 0..SETS.len() as u8 {
            let voters = self.votes(state, place, set) & !self.liar();
            let told = |seat: &Seat| seat.told[usize::from(set)];
            let told = self.node(state, node).seats[place].as_ref().map_or(voters, told);
            let new = voters & !told & !bit(node);
            if new != 0 {
                self.give(state, node, &Stimulus::Votes { place, set, voters: new });
            }
        }
    }

    fn deliver_finals(&self, state: &mut State, node: usize, place: usize) {
        for set in 0..SETS.len() as u8 {
            let signers = self.finals(state, place, set);
            let current = self.node(state, node);
            let Some(seat) = &current.seats[place] else { return };
            let known = seat.round.finals().iter().fold(0, |mask, said| mask | bit(said.node));
            let new = signers & !known & !bit(node);
            // One too few must not be enough.
            if Self::count(signers) + 1 >= self.quorum() && new != 0 {
                self.give(state, node, &Stimulus::Finals { place, set, signers: new });
            }
        }
    }

    /// Share roots, signatures of the settlement, and the settlement.
    fn deliver_end(&self, state: &mut State, node: usize, place: usize) {
        let signed = |other: &usize| self.node(state, *other).said.once.contains_key(&(place, IntentKind::ShareRoot));
        let roots = self.honest().filter(signed).fold(0, |mask, other| mask | bit(other));
        let current = self.node(state, node);
        let Some(seat) = &current.seats[place] else { return };
        let Some((set, _)) = seat.shown else { return };
        let known = seat.round.share_roots().iter().fold(bit(node), |mask, said| mask | bit(said.node));
        let new = roots & !known;
        if new != 0 {
            self.give(state, node, &Stimulus::ShareRoots { place, set, signers: new });
        }
        let known = seat.round.settlements().iter().fold(bit(node), |mask, said| mask | bit(said.node));
        if let Some(settlement) = seat.round.settlement() {
            let digest = self.cast.digest(place, settlement);
            let same = |other: &usize| {
                let once = &self.node(state, *other).said.once;
                once.get(&(place, IntentKind::Settlement)).is_some_and(|said| said.contains(&digest))
            };
            let signers = self.honest().filter(same).fold(0, |mask, other| mask | bit(other)) & !known;
            if signers != 0 {
                self.give(state, node, &Stimulus::Settlements { place, signers });
            }
        }
        let current = self.node(state, node);
        state.chain.is_settled |= self.bounds.endpoints == Endpoints::Honest && current.said.settles;
    }
}
