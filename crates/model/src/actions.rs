//! What may happen in a state.

use crate::bounds::{Endpoints, Start};
use crate::cast::{HONEST_SITES, LATE_SITE, SETS, WHOLE, bit, nodes_in};
use crate::node::Seat;
use crate::world::{Action, State, World};
use consilium_core::round::{IntentKind, Stage};

const KINDS: [IntentKind; 3] = [IntentKind::Final, IntentKind::ShareRoot, IntentKind::Settlement];

impl World {
    /// Everything that may happen.
    pub(crate) fn possible(&self, state: &State) -> Vec<Action> {
        let mut actions = self.steps(state);
        let more = usize::from(state.moment) + 1 < self.bounds.moments.len();
        if more && (!self.bounds.is_timely || self.is_quiet(state)) {
            actions.push(Action::Advance);
        }
        actions
    }

    /// Everything but the passing of time.
    fn steps(&self, state: &State) -> Vec<Action> {
        let mut actions = Vec::new();
        for node in self.honest() {
            match self.bounds.start {
                Start::Unseen => self.sights(state, node, &mut actions),
                Start::Collected => self.lessons(state, node, &mut actions),
                Start::Empty | Start::Known | Start::Voted(_) | Start::Finalised => {}
            }
            self.proposals(state, node, &mut actions);
            match self.bounds.endpoints {
                // What matters there is when honest nodes vote.
                Endpoints::Lie if self.bounds.start == Start::Unseen => {}
                Endpoints::Lie => self.lies(state, node, &mut actions),
                Endpoints::Honest => self.shows(state, node, &mut actions),
            }
            if self.bounds.restorable & bit(node) != 0 {
                self.lives(state, node, &mut actions);
            }
        }
        self.of_sites(state, &mut actions);
        if self.bounds.endpoints == Endpoints::Honest {
            self.of_chain(state, &mut actions);
        }
        actions
    }

    /// Whether an honest party or a network that is not cut off will do this sooner or later.
    pub(crate) fn is_fair(&self, state: &State, action: Action) -> bool {
        match action {
            Action::Advance | Action::Reorganise | Action::Restore { .. } => false,
            Action::Hear { by, .. } => bit(by) != self.liar(),
            Action::Certify { set, .. } => self.is_certified_by_honest(state, set),
            Action::Learn { node } => self.honest().any(|other| other != node && self.knows_late_site(state, other)),
            _ => true,
        }
    }

    /// Whether honest parties have nothing left to do that changes anything.
    pub(crate) fn is_quiet(&self, state: &State) -> bool {
        self.steps(state).into_iter().filter(|action| self.is_fair(state, *action)).all(|action| {
            let mut after = *state;
            self.perform(&mut after, action);
            after == *state
        })
    }

    fn seat<T>(&self, state: &State, node: usize, place: usize, read: impl FnOnce(&Seat) -> T) -> Option<T> {
        self.node(state, node).seats[place].as_ref().map(read)
    }

    fn sights(&self, state: &State, node: usize, actions: &mut Vec<Action>) {
        if self.seat(state, node, 0, |_| ()).is_none() {
            for (forged, late) in [(false, false), (false, true), (true, false), (true, true)] {
                actions.push(Action::See { node, forged, late });
            }
        }
    }

    pub(crate) fn knows_late_site(&self, state: &State, node: usize) -> bool {
        let site = self.cast.member(0, LATE_SITE).site;
        let quorum = self.cast.sizes.quorum();
        self.seat(state, node, 0, |seat| seat.round.receipts_of(&site).len() >= quorum).unwrap_or(false)
    }

    /// The late site's receipts come at the first moment, and later from peers that have them.
    fn lessons(&self, state: &State, node: usize, actions: &mut Vec<Action>) {
        let gossip = self.bounds.endpoints == Endpoints::Honest;
        let may = state.moment == 0 || (gossip && self.is_fair(state, Action::Learn { node }));
        let in_order = !self.bounds.is_ordered || node == 1 || self.knows_late_site(state, node - 1);
        if may && in_order && !self.knows_late_site(state, node) {
            actions.push(Action::Learn { node });
        }
    }

    fn proposals(&self, state: &State, node: usize, actions: &mut Vec<Action>) {
        let (place, sets): (usize, &[u8]) = match self.bounds.start {
            Start::Collected if state.moment > 0 => (0, &[0, WHOLE]),
            Start::Unseen => (0, &[0]),
            Start::Known => (0, &[WHOLE]),
            _ => return,
        };
        let honest = self.bounds.endpoints == Endpoints::Honest;
        for &set in sets {
            let Some(heard) = self.seat(state, node, place, |seat| seat.proposers[usize::from(set)]) else { return };
            let proposed = |by: &usize| honest && self.node(state, *by).said.proposals[place] & (1 << set) != 0;
            let proposers = self.honest().filter(proposed).fold(self.liar(), |mask, by| mask | bit(by));
            // Another proposal of what a node has voted for changes nothing.
            let voted = honest && self.node(state, node).said.votes[place] & (1 << set) != 0;
            let voted = voted || (self.bounds.is_ordered && self.is_out_of_order(state, node, set));
            let new = if voted { 0 } else { proposers & !heard & !bit(node) };
            actions.extend(nodes_in(new).map(|by| Action::Hear { node, place, set, by }));
        }
    }

    /// Whether a proposal comes at another time than in the one order that is looked at.
    fn is_out_of_order(&self, state: &State, node: usize, set: u8) -> bool {
        let has_whole = |seat: &Seat| seat.proposers[usize::from(WHOLE)] != 0 || seat.in_time & (1 << LATE_SITE) != 0;
        let refuses = set != WHOLE && self.seat(state, node, 0, has_whole).unwrap_or(true);
        state.moment != 1 || refuses
    }

    /// Certificates that endpoints show and call final: backed by all votes that there are, or invented.
    fn lies(&self, state: &State, node: usize, actions: &mut Vec<Action>) {
        for place in 0..self.cast.places.len() {
            let open = |seat: &Seat| matches!(seat.round.stage(), Stage::Collecting | Stage::Certified).then_some(seat.shown);
            let Some(Some(shown)) = self.seat(state, node, place, open) else { continue };
            for set in 0..SETS.len() as u8 {
                let votes = self.votes(state, place, set);
                let backed = Self::count(votes) >= self.quorum();
                // With no honest vote, or with one too few.
                let telling = votes == self.liar() || Self::count(votes) + 1 == self.quorum();
                let invents = self.bounds.start == Start::Collected && set <= WHOLE && telling;
                let variants = if self.bounds.start == Start::Finalised { vec![votes, votes & !bit(2)] } else { vec![votes] };
                for voters in variants {
                    let is_due = !self.bounds.is_ordered || state.moment == 2;
                    if is_due && (backed || invents) && shown != Some((set, voters)) {
                        actions.push(Action::Show { node, place, set, voters });
                    }
                }
            }
        }
    }

    /// What the chain shows.
    fn shows(&self, state: &State, node: usize, actions: &mut Vec<Action>) {
        let Some((shown, is_final)) = self.seat(state, node, 0, |seat| (seat.shown, seat.is_final)) else { return };
        match state.chain.certificate {
            Some((set, voters)) if shown != Some((set, voters)) => actions.push(Action::Show { node, place: 0, set, voters }),
            Some(_) if state.chain.is_final && !is_final => actions.push(Action::ShowFinal { node }),
            None if shown.is_some() => actions.push(Action::ShowGone { node }),
            _ => {}
        }
    }

    /// Acknowledgements by all or by all but one, restores, and what others tell a restored node.
    fn lives(&self, state: &State, node: usize, actions: &mut Vec<Action>) {
        let current = self.node(state, node);
        let others = (1..=self.bounds.n).filter(|other| *other != node);
        let spare = self.bounds.n - 1 - self.cast.sizes.acknowledgements();
        for place in 0..self.cast.places.len() {
            for kind in KINDS.into_iter().filter(|kind| self.is_pending(&current, place, *kind)) {
                if spare == 0 {
                    actions.push(Action::Acknowledge { node, place, kind, without: 0 });
                } else {
                    actions.extend(others.clone().map(|without| Action::Acknowledge { node, place, kind, without }));
                }
            }
        }
        if state.restores < self.bounds.restores {
            actions.push(Action::Restore { node });
        }
        let recovered = |seat: &Seat| seat.round.is_recovered();
        if current.lives > 0 && !current.seats.iter().flatten().all(recovered) {
            actions.extend(others.map(|without| Action::Recall { node, without }));
        }
    }

    fn of_sites(&self, state: &State, actions: &mut Vec<Action>) {
        if !matches!(self.bounds.start, Start::Unseen | Start::Empty) {
            return;
        }
        let unseen = self.bounds.start == Start::Unseen;
        let sites: &[u32] = if unseen { &[0] } else { &HONEST_SITES };
        for &site in sites {
            for place in 0..self.cast.places.len() {
                if self.may_contribute(state, site, place) && (unseen || state.moment == 0) {
                    actions.push(Action::Contribute { site, place, forged: false });
                    if unseen {
                        actions.push(Action::Contribute { site, place, forged: true });
                    }
                }
            }
            let contributed = state.contributed.iter().any(|sites| sites & (1 << site) != 0);
            if !unseen && contributed && state.told_void & (1 << site) == 0 {
                actions.push(Action::TellVoid { site });
            }
        }
    }

    fn is_certified_by_honest(&self, state: &State, set: u8) -> bool {
        self.honest().any(|node| self.node(state, node).said.certifies & (1 << set) != 0)
    }

    fn of_chain(&self, state: &State, actions: &mut Vec<Action>) {
        let over = usize::from(state.moment) + 1 == self.bounds.moments.len();
        let Some(_) = state.chain.certificate else {
            if !over {
                (0..SETS.len() as u8).for_each(|set| self.certificates(state, set, actions));
            }
            return;
        };
        if !state.chain.is_final {
            actions.push(Action::Finalise);
            if state.chain.reorganisations < self.bounds.reorganisations {
                actions.push(Action::Reorganise);
            }
        }
    }

    /// The contract takes any Q votes: those of honest nodes, or the liar's with Q-1 of them.
    fn certificates(&self, state: &State, set: u8, actions: &mut Vec<Action>) {
        let honest = self.votes(state, 0, set) & !self.liar();
        let first = |count: u32| nodes_in(honest).take(count as usize).fold(0, |mask, node| mask | bit(node));
        if Self::count(honest) >= self.quorum() && self.is_certified_by_honest(state, set) {
            actions.push(Action::Certify { set, voters: first(self.quorum()) });
        }
        if self.liar() != 0 && Self::count(honest) + 1 >= self.quorum() {
            actions.push(Action::Certify { set, voters: first(self.quorum() - 1) | self.liar() });
        }
    }
}
