//! What nodes show of what they all signed: gathered from every node, believed only for its signatures.

use crate::blame::Blames;
use crate::client::{Client, Peer, Route};
use crate::report::{Book, Check, Scope, Status};
use alloy_primitives::B256;
use alloy_sol_types::SolStruct;
use consilium_core::accusation::Accusation;
use consilium_core::certify::SetMember;
use consilium_core::eip712::{Final, Signed};
use consilium_core::error::SignatureError;
use consilium_core::round::{SignedFinal, SignedReceipt, SignedSettlement, SignedShareRoot};
use consilium_core::terms::Terms;
use futures::future::join_all;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// JSON bytes of one statement, generously.
const STATEMENT_BYTES: usize = 1024;
/// Most bytes of all statements of a round.
const MAX_STATEMENTS: usize = 64 << 20;
/// Most statements of one kind and signer that are kept: two that differ are proof enough.
const KEPT: usize = 16;

/// Statements whose signatures hold, of all nodes.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// Who signed a receipt for which contribution.
    pub(crate) receipts: BTreeMap<SetMember, BTreeSet<usize>>,
    pub(crate) finals: Vec<SignedFinal>,
    pub(crate) share_roots: Vec<SignedShareRoot>,
    pub(crate) settlements: Vec<SignedSettlement>,
    /// Finals with their round, out of nodes' evidence: two of them may be of two rounds over one subject.
    pub(crate) elsewhere: Vec<FinalOfRound>,
    /// Evidence about this round as each node serves it, unchecked.
    pub(crate) accusations: BTreeMap<usize, Vec<Accusation>>,
    /// What each node reports against others.
    reporters: BTreeMap<usize, Vec<Value>>,
    /// Whether every node answered.
    pub(crate) complete: bool,
    checked: BTreeSet<(usize, B256, Signed)>,
}

/// A Final of this round or of another one over the same subject.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FinalOfRound {
    pub(crate) round: u64,
    #[serde(flatten)]
    pub(crate) signed: SignedFinal,
}

impl FinalOfRound {
    pub(crate) fn statement(&self, terms: &Terms) -> Final {
        Final { round: self.round, ..self.signed.statement(terms) }
    }
}

#[derive(Debug, Default, Deserialize)]
struct Served {
    #[serde(default)]
    receipts: Vec<Value>,
    #[serde(default)]
    finals: Vec<Value>,
    #[serde(default)]
    share_roots: Vec<Value>,
    #[serde(default)]
    settlements: Vec<Value>,
    #[serde(default)]
    evidence: Vec<Value>,
}

/// Asks all nodes for their statements about a round.
pub(crate) async fn gather(client: &Client, peers: &[Peer], terms: &Terms, book: &mut Book) -> Gathered {
    let n = peers.len();
    let most = (terms.sites.len() * n + 3 * n * KEPT + 64).saturating_mul(STATEMENT_BYTES);
    let route = Route { study: terms.study, round: terms.round, rest: "statements", limit: most.min(MAX_STATEMENTS) };
    let answers = join_all(peers.iter().map(|peer| client.json::<Served>(peer, route))).await;
    let (mut gathered, mut blames) = (Gathered { complete: true, ..Gathered::default() }, Blames::default());
    for (peer, answer) in peers.iter().zip(answers) {
        match answer {
            Ok(served) => gathered.take(terms, peer, served, &mut blames),
            Err(error) => {
                gathered.complete = false;
                blames.fetch(Check::Statements, peer, &error);
            }
        }
    }
    blames.write(terms.round, book);
    gathered.note_evidence(terms.round, book);
    gathered
}

/// A statement of a kind that a node signs.
trait Kind: DeserializeOwned {
    const NAME: &'static str;
    const CHECK: Check;
    type Struct: SolStruct;
    fn node(&self) -> usize;
    fn signature(&self) -> Signed;
    fn said(&self, terms: &Terms) -> Self::Struct;
    fn keep(self, gathered: &mut Gathered);
}

macro_rules! kind {
    ($signed:ty, $said:ident, $name:literal, $check:expr, $keep:expr) => {
        impl Kind for $signed {
            const NAME: &'static str = $name;
            const CHECK: Check = $check;
            type Struct = consilium_core::eip712::$said;
            fn node(&self) -> usize {
                self.node
            }
            fn signature(&self) -> Signed {
                self.signature
            }
            fn said(&self, terms: &Terms) -> Self::Struct {
                self.statement(terms)
            }
            fn keep(self, gathered: &mut Gathered) {
                let keep: fn(Self, &mut Gathered) = $keep;
                keep(self, gathered);
            }
        }
    };
}

fn push<T>(list: &mut Vec<T>, new: T, node: fn(&T) -> usize) {
    if list.iter().filter(|known| node(known) == node(&new)).count() < KEPT {
        list.push(new);
    }
}

kind!(SignedReceipt, Receipt, "receipt", Check::Receipts, |said, all| {
    all.receipts.entry(said.member).or_default().insert(said.node);
});
kind!(SignedFinal, Final, "Final", Check::Finals, |said, all| push(&mut all.finals, said, |s| s.node));
kind!(SignedShareRoot, ShareRoot, "share root", Check::ShareRoots, |said, all| push(&mut all.share_roots, said, |s| s.node));
kind!(SignedSettlement, Settlement, "settlement", Check::Settlement, |said, all| push(&mut all.settlements, said, |s| s.node));

impl Kind for FinalOfRound {
    const NAME: &'static str = "Final";
    const CHECK: Check = Check::Finals;
    type Struct = Final;
    fn node(&self) -> usize {
        self.signed.node
    }
    fn signature(&self) -> Signed {
        self.signed.signature
    }
    fn said(&self, terms: &Terms) -> Final {
        self.statement(terms)
    }
    fn keep(self, gathered: &mut Gathered) {
        push(&mut gathered.elsewhere, self, |said| said.signed.node);
    }
}

impl Gathered {
    fn take(&mut self, terms: &Terms, peer: &Peer, served: Served, blames: &mut Blames) {
        self.take_all::<SignedReceipt>(terms, peer, served.receipts, blames);
        self.take_all::<SignedFinal>(terms, peer, served.finals, blames);
        self.take_all::<SignedShareRoot>(terms, peer, served.share_roots, blames);
        self.take_all::<SignedSettlement>(terms, peer, served.settlements, blames);
        if !served.evidence.is_empty() {
            for item in &served.evidence {
                self.harvest(terms, item);
            }
            let accusations = served.evidence.iter().filter_map(|item| Accusation::deserialize(item).ok());
            let of_round = |known: &Accusation| (known.study, known.round) == (terms.study, terms.round);
            self.accusations.insert(peer.number, accusations.filter(of_round).collect());
            self.reporters.insert(peer.number, served.evidence);
        }
    }

    /// One line, whoever and how many report it.
    fn note_evidence(&mut self, round: u64, book: &mut Book) {
        let reporters = std::mem::take(&mut self.reporters);
        // JSON's own text, as values have no order.
        let mut known = BTreeSet::new();
        let shown: Vec<&Value> = reporters.values().flatten().filter(|item| known.insert(item.to_string())).collect();
        if shown.is_empty() {
            return;
        }
        let nodes: Vec<usize> = reporters.keys().copied().collect();
        let reason = format!(
            "nodes {nodes:?} report {} pieces of evidence against others; what of it is signed was taken up with the statements",
            shown.len()
        );
        let shown = shown.into_iter().take(KEPT).cloned().collect();
        book.prove(Status::Note, Check::Evidence, Scope::Round(round), reason, Value::Array(shown));
    }

    fn take_all<K: Kind>(&mut self, terms: &Terms, peer: &Peer, served: Vec<Value>, blames: &mut Blames) {
        for item in served {
            let evidence = || json!({ "served": item });
            let result = match K::deserialize(&item) {
                Ok(statement) => self.admit(terms, statement).map_err(|reason| reason.to_string()),
                Err(error) => Err(error.to_string()),
            };
            if let Err(reason) = result {
                let reason = format!("serves a {} that proves nothing ({reason})", K::NAME);
                blames.wrong(K::CHECK, peer, reason, evidence());
            }
        }
    }

    fn admit<K: Kind>(&mut self, terms: &Terms, statement: K) -> Result<(), SignatureError> {
        let (node, signature, said) = (statement.node(), statement.signature(), statement.said(terms));
        let digest = terms.domain.digest(&said);
        if self.checked.contains(&(node, digest, signature)) {
            return Ok(());
        }
        // No member signs as a number that the committee does not have; the zero address is nobody's.
        let expected = terms.committee.member(node).map_or_else(Default::default, |member| member.address);
        terms.domain.check(&said, &signature, expected)?;
        self.checked.insert((node, digest, signature));
        statement.keep(self);
        Ok(())
    }

    /// Takes up every signed statement somewhere inside; serde_json bounds the depth.
    fn harvest(&mut self, terms: &Terms, item: &Value) {
        match item {
            Value::Array(items) => items.iter().for_each(|item| self.harvest(terms, item)),
            Value::Object(fields) => {
                let has = |name: &str| fields.contains_key(name);
                if has("signature") && has("share_roots_hash") {
                    self.harvest_as::<SignedSettlement>(terms, item);
                } else if has("signature") && has("root") {
                    self.harvest_as::<SignedShareRoot>(terms, item);
                } else if has("signature") && has("set_root") {
                    self.harvest_as::<SignedFinal>(terms, item);
                    self.harvest_as::<FinalOfRound>(terms, item);
                }
                fields.values().for_each(|item| self.harvest(terms, item));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn harvest_as<K: Kind>(&mut self, terms: &Terms, item: &Value) {
        if let Ok(statement) = K::deserialize(item) {
            // What does not hold is no evidence; whoever served it is not blamed, as it is somebody else's word.
            drop(self.admit(terms, statement));
        }
    }
}
