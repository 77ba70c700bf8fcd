//! The loop: virtual time, a network that delays, loses and repeats, and everyone's turn.

use crate::adversary::mischief;
use crate::draw::Draw;
use crate::endpoint::View;
use crate::ledger::{GENESIS_TIME, Ledger};
use crate::oracle::{Failure, Oracle, openings_are_fraud};
use crate::scenario::{Defect, NodeRole, Scenario, SiteRole};
use crate::shell::{Output, Shell, Sight};
use crate::site::Site;
use crate::wire::{Packet, Party, Wire};
use alloy_primitives::keccak256;
use consilium_core::round::{Message, Stage};
use consilium_core::terms::Terms;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// How a round ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// With a sum.
    Settled,
    /// Without a certificate.
    Void,
    /// With a certificate and without a sum.
    Stranded,
}

/// What came of a simulation.
#[derive(Debug, Clone)]
pub struct Report {
    /// How each attempt ended.
    pub outcomes: Vec<Outcome>,
    /// What went wrong.
    pub failures: Vec<Failure>,
    /// What happened, a line each: `milliseconds who what`.
    pub trace: Vec<String>,
    /// Simulated milliseconds.
    pub elapsed: u64,
    /// Messages sent.
    pub messages: usize,
}

enum Task {
    Deliver(Packet),
    Tick(usize),
    Poll(usize),
    Look(usize),
    Upload(usize),
    Include(usize, Vec<u8>),
    Mine,
    BackUp(usize),
    Crash(usize),
    Restore(usize),
    Restart(usize),
    Reorganise,
}

/// One simulation under way.
pub(crate) struct World<'a> {
    scenario: &'a Scenario,
    draw: Draw,
    now: u64,
    tasks: BTreeMap<(u64, u64), Task>,
    counter: u64,
    ledger: Ledger,
    oracle: Oracle,
    nodes: Vec<Shell>,
    sites: Vec<Site>,
    terms: Option<Rc<Terms>>,
    reorganised: bool,
    messages: usize,
    trace: Vec<String>,
}

impl<'a> World<'a> {
    pub(crate) fn new(scenario: &'a Scenario) -> Self {
        let mut draw = Draw::new(scenario.seed ^ 0x5eed);
        let role = |node: usize| scenario.nodes[node - 1];
        let nodes = (1..=scenario.n()).map(|node| Shell::new(node, mischief(role(node), &mut draw), draw.fork())).collect();
        let honest = (1..=scenario.n()).filter(|node| !matches!(role(*node), NodeRole::Corrupt(_))).collect();
        let crashed: BTreeSet<usize> =
            (1..=scenario.n()).filter(|node| matches!(role(*node), NodeRole::Crashes(..) | NodeRole::Restored(..))).collect();
        Self {
            scenario,
            now: GENESIS_TIME * 1000,
            tasks: BTreeMap::new(),
            counter: 0,
            ledger: Ledger::new(scenario),
            oracle: Oracle::new(scenario.n(), scenario.t, honest, crashed, scenario.is_live()),
            nodes,
            sites: Vec::new(),
            terms: None,
            reorganised: false,
            messages: 0,
            trace: vec![format!("{scenario:?}")],
            draw,
        }
    }

    /// Up to two rounds about one subject: a void one is tried again; a certified subject must not be.
    pub(crate) fn run(mut self) -> Report {
        let subject = keccak256(self.scenario.seed.to_le_bytes());
        let mut outcomes = Vec::new();
        for attempt in 0..2 {
            let Some(mut terms) = self.ledger.open(self.scenario, subject, self.now) else {
                self.log("the contract refuses the subject");
                break;
            };
            if outcomes.last().is_some_and(|last| *last != Outcome::Void) {
                self.oracle.failures.push(Failure::TwoSums("a certified subject was opened again".into()));
            }
            terms.policy.opened -= self.scenario.opening.early;
            outcomes.push(self.round(attempt, &Rc::new(terms)));
        }
        let elapsed = self.now - GENESIS_TIME * 1000;
        Report { outcomes, failures: self.oracle.failures, trace: self.trace, elapsed, messages: self.messages }
    }

    fn log(&mut self, what: impl core::fmt::Display) {
        self.trace.push(format!("{:>6} {what}", self.now - GENESIS_TIME * 1000));
    }

    fn after(&mut self, delay: u64, task: Task) {
        self.counter += 1;
        self.tasks.insert((self.now + delay, self.counter), task);
    }

    fn round(&mut self, attempt: usize, terms: &Rc<Terms>) -> Outcome {
        self.prepare(attempt, terms);
        let end = terms.policy.settle_by * 1000 + 5_000;
        while let Some(((at, _), task)) = self.tasks.pop_first() {
            if at > end || self.is_over() {
                break;
            }
            self.now = at;
            self.handle(task);
        }
        self.tasks.clear();
        let outcome = self.oracle.close(&self.ledger, terms.round);
        self.audit(terms, outcome);
        self.log(format!("round {} {outcome:?}", terms.round));
        let over = match outcome {
            Outcome::Void => terms.policy.deadline,
            _ => terms.policy.settle_by,
        };
        self.now = self.now.max(over * 1000);
        outcome
    }

    fn prepare(&mut self, attempt: usize, terms: &Rc<Terms>) {
        let (sure, possible) = self.scenario.contributors(attempt);
        self.oracle.opened(terms, self.now, sure, possible);
        self.terms = Some(terms.clone());
        self.log(format!("round {} opens, {sure} sure sites", terms.round));
        self.sites.clear();
        for (site, role) in self.scenario.sites.clone().into_iter().enumerate() {
            let made = Site::new(site, role, terms, &mut self.draw);
            made.made.iter().for_each(|one| self.oracle.made(terms.round, made.address(), one));
            self.sites.push(made);
            let start = match role {
                SiteRole::Absent => continue,
                SiteRole::MissesFirstRound if attempt == 0 => continue,
                SiteRole::Late(at) => at,
                _ => self.draw.below(800),
            };
            self.after(start, Task::Upload(site));
        }
        for node in 1..=self.scenario.n() {
            let offset = self.draw.below(500);
            match self.scenario.nodes[node - 1] {
                NodeRole::Silent => continue,
                NodeRole::Crashes(from, to) if attempt == 0 => {
                    self.after(from, Task::Crash(node));
                    self.after(to, Task::Restart(node));
                }
                NodeRole::Restored(copied, killed, back) if attempt == 0 => {
                    self.after(copied, Task::BackUp(node));
                    self.after(killed, Task::Crash(node));
                    self.after(back, Task::Restore(node));
                }
                _ => {}
            }
            let sight = match self.scenario.nodes[node - 1] {
                NodeRole::Broken(Defect::BelievesOpenings) => Sight::Believing,
                _ if self.scenario.opening.stalled => Sight::Late,
                _ => Sight::Following,
            };
            self.step(node, |shell, now, out| shell.start(terms, sight, now, out));
            self.after(offset, Task::Tick(node));
            self.after(offset / 2, Task::Poll(node));
        }
        if self.scenario.depth.is_some() {
            self.after(1_000, Task::Mine);
        }
    }

    /// Everyone who runs and is told the truth knows that the round is closed.
    fn is_over(&self) -> bool {
        let closed = |stage| matches!(stage, Stage::Settled | Stage::Closed);
        let told = |node: &&Shell| matches!(self.scenario.nodes[node.node - 1], NodeRole::Honest | NodeRole::Broken(_));
        if self.nodes.iter().any(|node| told(&node)) {
            return self.nodes.iter().filter(told).all(|node| node.stage().is_none_or(closed));
        }
        // Where everybody is restarted, those count that run again.
        let runs = |node: &&Shell| self.scenario.nodes[node.node - 1] != NodeRole::Silent;
        self.nodes.iter().filter(runs).all(|node| node.stage().is_some_and(closed))
    }

    fn handle(&mut self, task: Task) {
        match task {
            Task::Deliver(packet) => self.deliver(packet),
            Task::Tick(node) => {
                self.step(node, Shell::tick);
                self.after(500, Task::Tick(node));
            }
            Task::Poll(node) => {
                self.look(node);
                let delay = self.draw.between(200, 600);
                self.after(delay, Task::Poll(node));
            }
            Task::Look(node) => self.look(node),
            Task::Upload(site) => {
                let mut packets = Vec::new();
                self.sites[site].step(&mut packets);
                let again = packets.len() == 1 || self.draw.chance(500);
                self.send(Party::Site(site), packets);
                self.after(if again { 1_000 } else { 3_000 }, Task::Upload(site));
            }
            Task::Include(node, call) => {
                let included = self.ledger.submit(node, call, self.now);
                self.log(format!("node {node}'s transaction: {}", if included { "included" } else { "refused" }));
                if included && self.scenario.reorganises && !self.reorganised {
                    let delay = self.draw.below(2_500);
                    self.after(delay, Task::Reorganise);
                }
            }
            Task::Mine => {
                self.ledger.mine(self.now);
                self.after(1_000, Task::Mine);
            }
            Task::Crash(node) => {
                self.log(format!("node {node} crashes"));
                self.nodes[node - 1].crash();
            }
            Task::BackUp(node) => self.nodes[node - 1].back_up(),
            Task::Restore(node) => {
                self.nodes[node - 1].restore();
                self.log(format!("node {node}'s folder is restored"));
                self.restart(node);
            }
            Task::Restart(node) => self.restart(node),
            Task::Reorganise => {
                let round = self.terms.as_ref().map_or(0, |terms| terms.round);
                if !self.reorganised && self.ledger.reorganise(round, self.now) {
                    self.reorganised = true;
                    self.log("the chain drops the certificate");
                }
            }
        }
    }

    fn restart(&mut self, node: usize) {
        self.log(format!("node {node} restarts"));
        if let Some(terms) = self.terms.clone() {
            self.step(node, |shell, now, out| shell.start(&terms, Sight::Late, now, out));
        }
    }

    fn look(&mut self, node: usize) {
        let role = self.scenario.nodes[node - 1];
        let mut out = Output::default();
        let before = self.nodes[node - 1].stage();
        self.nodes[node - 1].poll(&View { ledger: &self.ledger, role }, self.now, &mut out);
        let after = self.nodes[node - 1].stage();
        if before != after {
            self.log(format!("node {node} is {after:?}"));
        }
        self.output(node, out);
    }

    fn step(&mut self, node: usize, what: impl FnOnce(&mut Shell, u64, &mut Output)) {
        let mut out = Output::default();
        what(&mut self.nodes[node - 1], self.now, &mut out);
        self.output(node, out);
    }

    fn output(&mut self, node: usize, out: Output) {
        let round = self.terms.as_ref().map_or(0, |terms| terms.round);
        for note in out.notes {
            match &note {
                crate::shell::Note::Answers { .. } | crate::shell::Note::Aggregate(_) => {}
                note => self.trace.push(format!("{:>6} node {node} {note:?}", self.now - GENESIS_TIME * 1000)),
            }
            self.oracle.noted(round, node, note, self.now);
        }
        for call in out.calls {
            let delay = self.draw.between(50, 1_000);
            self.after(delay, Task::Include(node, call));
        }
        self.send(Party::Node(node), out.packets);
        if out.look {
            let delay = self.draw.between(10, 300);
            self.after(delay, Task::Look(node));
        }
    }

    fn send(&mut self, from: Party, packets: Vec<(Party, Wire)>) {
        let round = self.terms.as_ref().map_or(0, |terms| terms.round);
        for (to, wire) in packets {
            self.messages += 1;
            self.search(from, &wire);
            let packet = Packet { round, from, to, wire };
            let network = self.scenario.network;
            if self.draw.chance(network.loss) {
                continue;
            }
            let copies = if self.draw.chance(network.duplicates) { 2 } else { 1 };
            for _ in 0..copies {
                let delay = self.draw.between(2, network.max_delay);
                self.after(delay, Task::Deliver(packet.clone()));
            }
        }
    }

    fn search(&mut self, from: Party, wire: &Wire) {
        let what = || format!("{from:?} sends {wire:?}").chars().take(200).collect();
        match wire {
            Wire::Contribution(header, values) => {
                self.oracle.sent(header, false, &what);
                self.oracle.sent(values, false, &what);
            }
            Wire::Peer(bytes) => self.oracle.sent(bytes, true, &what),
            Wire::Share(bytes) => self.oracle.sent(bytes, false, &what),
            Wire::AskReceipts | Wire::Receipts(_) | Wire::Pull(_) | Wire::AskShare => {}
        }
    }

    fn deliver(&mut self, packet: Packet) {
        let Packet { round, from, to, wire } = packet;
        let Some(terms) = self.terms.clone().filter(|terms| terms.round == round) else { return };
        match to {
            Party::Site(site) => {
                if let Wire::Receipts(receipts) = wire {
                    self.sites[site].receive(&receipts);
                }
            }
            Party::Node(node) => {
                let message: Option<Message> = match &wire {
                    Wire::Peer(bytes) => serde_json::from_slice(bytes).ok(),
                    _ => None,
                };
                if let Some(message) = &message {
                    if let Party::Node(from) = from {
                        self.oracle.said(from, message, &terms);
                    }
                    if self.nodes[node - 1].process.is_some() {
                        self.oracle.heard(round, node, message, self.now);
                    }
                }
                self.step(node, |shell, now, out| shell.receive(from, wire, message, now, out));
            }
        }
    }

    /// What an auditor with access to the output shares would check.
    fn audit(&mut self, terms: &Terms, outcome: Outcome) {
        if outcome != Outcome::Settled {
            return;
        }
        let honest = |shell: &&Shell| self.scenario.nodes[shell.node - 1] == NodeRole::Honest;
        let shares: BTreeMap<usize, Vec<_>> = self
            .nodes
            .iter()
            .filter(honest)
            .filter_map(|shell| Some((shell.node, shell.process.as_ref()?.share.clone()?)))
            .collect();
        let sizes = terms.committee.sizes();
        if shares.len() < sizes.t() + 1 {
            return;
        }
        let at: Vec<usize> = shares.keys().copied().take(sizes.t() + 1).collect();
        let weights = consilium_core::params::lagrange(&at, 0);
        let length = terms.program.output_len();
        let aggregate: Vec<_> =
            (0..length).map(|k| at.iter().zip(&weights).map(|(node, weight)| shares[node][k] * *weight).sum()).collect();
        if openings_are_fraud(terms, &aggregate, &shares) {
            self.oracle.failures.push(Failure::WrongSum("honest shares prove fraud".into()));
        }
    }
}
