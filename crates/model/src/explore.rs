//! The properties, and the checker's view of a [`World`].

use crate::bounds::{Bounds, Endpoints, Places, Start};
use crate::cast::{WHOLE, bit, locked};
use crate::world::{Action, State, World};
use consilium_core::error::InvalidParameters;
use stateright::{Checker, HasDiscoveries, Model, Property};
use std::time::{Duration, Instant};

/// Every released set has at least 2t+1 votes of honest nodes.
pub const VOTED: &str = "nothing is released for a set without Q votes";
/// Nobody learns two sums over an honest site's input about one subject.
pub const ONE_SUM: &str = "no two sums for one subject";
/// No honest node signs two statements for one slot, and none reports another.
pub const NOT_PUNISHABLE: &str = "no honest node is punishable";
/// Sets that leave somebody out are voted for in their time alone, and leave out nobody who was known in time.
pub const INCLUDED: &str = "no honest vote leaves a site out before its time";
/// At the deadline a round is settled, or void without a certificate.
pub const NOT_WEDGED: &str = "no round is wedged";
/// What is released is what the chain certified.
pub const CERTIFIED: &str = "nothing is released but the certified set";
/// Something happens: the set of all sites is released.
pub const RELEASED: &str = "the whole set is released";
/// Something happens: another set is released.
pub const SMALLER_RELEASED: &str = "a smaller set is released";

/// Something happens: a set has Q votes.
pub const AGREED: &str = "a set has Q votes";

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.first]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        actions.extend(self.possible(state));
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = *last;
        self.perform(&mut state, action);
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(VOTED, World::is_voted),
            Property::always(ONE_SUM, World::is_one_sum),
            Property::always(NOT_PUNISHABLE, World::is_unpunishable),
            Property::always(INCLUDED, World::is_included),
        ];
        properties.push(match self.bounds.start {
            Start::Unseen => Property::sometimes(AGREED, |world, state| World::count(world.votes(state, 0, 0)) >= world.quorum()),
            _ => Property::sometimes(RELEASED, |world, state| world.released(state).iter().any(|(_, set)| *set == WHOLE)),
        });
        if matches!(self.bounds.start, Start::Collected | Start::Voted(_) | Start::Empty) {
            let smaller = |world: &World, state: &State| world.released(state).iter().any(|(_, set)| *set != WHOLE);
            properties.push(Property::sometimes(SMALLER_RELEASED, smaller));
        }
        if self.bounds.endpoints == Endpoints::Honest {
            properties.push(Property::always(NOT_WEDGED, World::is_not_wedged));
            properties.push(Property::always(CERTIFIED, World::is_certified));
        }
        properties
    }
}

impl World {
    /// Rounds and sets over which some honest node released its share: with the shares of t liars, one is enough.
    fn released(&self, state: &State) -> Vec<(usize, u8)> {
        let by_node = |node: usize| self.node(state, node).said.released;
        let all = self.honest().map(by_node).fold([0; 2], |all, by| [all[0] | by[0], all[1] | by[1]]);
        let sets = |place: usize| (0..8).filter(move |set| all[place] & (1 << set) != 0).map(move |set| (place, set));
        sets(0).chain(sets(1)).collect()
    }

    fn is_voted(&self, state: &State) -> bool {
        let enough = 2 * self.bounds.t as u32 + 1;
        let votes = |(place, set)| World::count(self.votes(state, place, set) & !self.liar());
        self.released(state).into_iter().all(|released| votes(released) >= enough)
    }

    fn is_one_sum(&self, state: &State) -> bool {
        let released = self.released(state);
        let elsewhere = matches!(self.bounds.places, Places::Studies | Places::Epochs);
        let harmless = |one: &(usize, u8), other: &(usize, u8)| elsewhere && one.0 != other.0 && !World::shared([one.1, other.1]);
        released.iter().enumerate().all(|(index, one)| released[..index].iter().all(|other| harmless(one, other)))
    }

    fn is_unpunishable(&self, state: &State) -> bool {
        let honest = self.honest().fold(0, |mask, node| mask | bit(node));
        self.honest().all(|node| {
            let said = &self.node(state, node).said;
            said.once.values().all(|statements| statements.len() < 2) && said.accused & honest == 0
        })
    }

    fn is_included(&self, state: &State) -> bool {
        self.honest().all(|node| {
            let said = &self.node(state, node).said;
            !said.is_rash && !said.omits
        })
    }

    fn is_not_wedged(&self, state: &State) -> bool {
        let over = usize::from(state.moment) + 1 == self.bounds.moments.len();
        let may_be_void = !self.bounds.is_timely && state.chain.certificate.is_none();
        !over || !self.is_quiet(state) || state.chain.is_settled || may_be_void
    }

    fn is_certified(&self, state: &State) -> bool {
        let certified = state.chain.certificate.filter(|_| state.chain.is_final).map(|(set, _)| (0, set));
        self.released(state).iter().all(|released| Some(*released) == certified)
    }
}

/// What came of one configuration.
#[derive(Debug, Clone)]
pub struct Report {
    /// The configuration.
    pub name: &'static str,
    /// Different states of the whole.
    pub states: usize,
    /// Steps between them.
    pub steps: usize,
    /// Steps of the longest path from the start, at least.
    pub depth: usize,
    /// Different states of nodes.
    pub nodes: usize,
    /// Steps that the real machine took.
    pub machine_steps: usize,
    /// How long it took.
    pub time: Duration,
    /// Whether every state within the bounds was seen.
    pub is_whole: bool,
    /// Properties that hold.
    pub held: Vec<&'static str>,
    /// Properties that fail, with the actions of a counterexample.
    pub broken: Vec<(&'static str, Vec<Action>)>,
    /// Properties that should be reached and are not.
    pub unreached: Vec<&'static str>,
}

impl Report {
    /// Whether everything holds that should.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.broken.is_empty() && self.unreached.is_empty()
    }
}

/// Explores a configuration exhaustively, or until something fails.
///
/// # Errors
/// [`InvalidParameters`] for a committee that cannot be.
pub fn explore(bounds: Bounds) -> Result<Report, InvalidParameters> {
    let start = Instant::now();
    let name = bounds.name;
    // A counterexample is near in depth, and the shortest one does not matter.
    let deep = bounds.mutation.is_some();
    let checker = World::new(bounds)?.checker().finish_when(HasDiscoveries::AnyFailures);
    Ok(if deep { report(name, start, &checker.spawn_dfs().join()) } else { report(name, start, &checker.spawn_bfs().join()) })
}

fn report(name: &'static str, start: Instant, checker: &impl Checker<World>) -> Report {
    let [nodes, machine_steps] = locked(&checker.model().table).sizes();
    let (mut held, mut broken, mut unreached) = (Vec::new(), Vec::new(), Vec::new());
    let mut discoveries = checker.discoveries();
    for property in checker.model().properties() {
        let found = discoveries.remove(property.name).map(stateright::Path::into_actions);
        match (property.expectation.discovery_is_failure(), found) {
            (true, Some(path)) => broken.push((property.name, path)),
            (false, None) => unreached.push(property.name),
            _ => held.push(property.name),
        }
    }
    let (states, steps, depth) = (checker.unique_state_count(), checker.state_count(), checker.max_depth());
    let (time, is_whole) = (start.elapsed(), broken.is_empty());
    Report { name, states, steps, depth, nodes, machine_steps, time, is_whole, held, broken, unreached }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, states, steps, depth, nodes, machine_steps, time, .. } = self;
        let seconds = time.as_secs_f64();
        let whole = if self.is_whole { "exhaustive" } else { "until the first failure" };
        write!(f, "{name}: {states} states, {steps} steps, depth {depth}; {nodes} states of nodes, ")?;
        writeln!(f, "{machine_steps} steps of the machine; {seconds:.1} s, {whole}")?;
        self.held.iter().try_for_each(|property| writeln!(f, "  holds: {property}"))?;
        self.unreached.iter().try_for_each(|property| writeln!(f, "  NOT REACHED: {property}"))?;
        for (property, path) in &self.broken {
            writeln!(f, "  FAILS: {property}")?;
            path.iter().enumerate().try_for_each(|(step, action)| writeln!(f, "    {}. {action:?}", step + 1))?;
        }
        Ok(())
    }
}
