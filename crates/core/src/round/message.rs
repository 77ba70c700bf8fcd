//! What nodes tell each other about a round. Every statement carries the number of its node and its signature.

use crate::certify::{Cohort, SetMember};
use crate::eip712::{Domain, Final, Intent, Receipt, SecretKey, Settlement, ShareRoot, Signed, Vote};
use crate::terms::Terms;
use alloy_primitives::{Address, B256, Bytes};
use alloy_sol_types::SolStruct;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What a node signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    /// It holds and has verified a contribution. One digest a site and round.
    Receipt(Receipt),
    /// It agrees with a set. Several are harmless.
    Vote(Vote),
    /// It will release for this set only. One a study and subject, ever.
    Final(Final),
    /// The root of its output share. One a round.
    ShareRoot(ShareRoot),
    /// What it computed. One a round.
    Settlement(Settlement),
    /// It is about to make a statement that it may make only once.
    Intent {
        /// What it says.
        intent: Intent,
        /// The round's subject, which names the slot of a Final.
        subject: B256,
        /// The set that the statement is about.
        set_root: B256,
    },
}

/// A message between nodes of one committee about one round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type", content = "body")]
pub enum Message {
    /// Receipts, of any nodes.
    Receipts(Vec<SignedReceipt>),
    /// A set, with the proposer's own vote for it.
    Proposal {
        /// The proposed set.
        cohort: Cohort,
        /// The proposer's vote.
        vote: SignedVote,
    },
    /// A vote.
    Vote(SignedVote),
    /// The members behind a set root.
    Cohort(Cohort),
    /// A Final.
    Final(SignedFinal),
    /// The root of an output share.
    ShareRoot(SignedShareRoot),
    /// A settlement.
    Settlement(SignedSettlement),
    /// Asks for everything that the sender may have missed; `receipts` summarises those that it has.
    Sync {
        /// Hash over the receipts known.
        receipts: B256,
    },
    /// Asks for seeds of a contribution whose box was bad.
    SeedRequest {
        /// The contribution.
        member: SetMember,
        /// Seed numbers.
        numbers: Vec<usize>,
    },
    /// Asks others to remember what the sender is about to sign.
    Intent(SignedIntent),
    /// The first intent of the recipient that the sender holds for a slot.
    Acknowledged(SignedIntent),
    /// Asks for what others hold of the sender, which was started.
    Recall {
        /// Names this start of the sender, so that no answer to an earlier one counts.
        start: B256,
        /// The site from which on receipts are asked for.
        from: Option<Address>,
    },
    /// An answer to [`Message::Recall`].
    Recalled {
        /// The start that was named.
        start: B256,
        /// The site from which on these receipts are.
        from: Option<Address>,
        /// Intents of the recipient for this round's slots.
        intents: Vec<SignedIntent>,
        /// Receipts of the recipient, sites increasing.
        receipts: Vec<SignedReceipt>,
        /// The site from which on there are more.
        next: Option<Address>,
    },
    /// Seeds, each sealed to the asking node.
    Seeds {
        /// The contribution.
        member: SetMember,
        /// Sealed seeds by number.
        sealed: BTreeMap<usize, Bytes>,
    },
}

/// A message whose statements are all by the nodes that they name, made by [`Message::checked`] alone: the machine takes
/// no other. Checking signatures is by far the most work that a message makes, and needs nothing that changes: a shell
/// does it beside the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Genuine(Message);

impl Genuine {
    /// What was said.
    #[must_use]
    pub fn into_message(self) -> Message {
        self.0
    }
}

/// Which signatures of one message a machine has accepted before, made by [`super::Round::known`]: they need no second
/// check.
#[derive(Debug, Clone, Default)]
pub struct Known(pub(super) BTreeSet<usize>);

impl Message {
    /// Checks every signature that is not known. Receipts that are not their node's, or of sites that are not admitted,
    /// are left out; any other statement that is not its node's leaves nothing.
    #[must_use]
    pub fn checked(self, terms: &Terms, known: &Known) -> Option<Genuine> {
        let known_at = |place: usize| known.0.contains(&place);
        let genuine = |node, statement: Statement, signature: &Signed| known_at(0) || statement.is_by(terms, node, signature);
        let whole = match &self {
            Self::Receipts(_) | Self::Cohort(_) | Self::Sync { .. } | Self::SeedRequest { .. } | Self::Seeds { .. } => true,
            Self::Recall { .. } => true,
            Self::Intent(said) | Self::Acknowledged(said) => said.is_genuine(terms),
            Self::Recalled { intents, receipts, .. } => {
                let by_node = |receipt: &SignedReceipt| receipt.is_genuine(terms);
                intents.iter().all(|said| said.is_genuine(terms)) && receipts.iter().all(by_node)
            }
            Self::Proposal { vote, .. } | Self::Vote(vote) => {
                genuine(vote.node, Statement::Vote(vote.statement(terms)), &vote.signature)
            }
            Self::Final(said) => genuine(said.node, Statement::Final(said.statement(terms)), &said.signature),
            Self::ShareRoot(said) => genuine(said.node, Statement::ShareRoot(said.statement(terms)), &said.signature),
            Self::Settlement(said) => genuine(said.node, Statement::Settlement(said.statement(terms)), &said.signature),
        };
        match self {
            Self::Receipts(receipts) => {
                let good = |(place, receipt): &(usize, SignedReceipt)| {
                    terms.admits(&receipt.member.site) && (known_at(*place) || receipt.is_genuine(terms))
                };
                let good = receipts.into_iter().enumerate().filter(good).map(|(_, receipt)| receipt);
                Some(Genuine(Self::Receipts(good.collect())))
            }
            other => whole.then_some(Genuine(other)),
        }
    }
}

impl Statement {
    /// Signs the statement in its domain.
    #[must_use]
    pub fn sign(&self, domain: &Domain, key: &SecretKey) -> Signed {
        match self {
            Self::Receipt(said) => domain.sign(key, said),
            Self::Vote(said) => domain.sign(key, said),
            Self::Final(said) => domain.sign(key, said),
            Self::ShareRoot(said) => domain.sign(key, said),
            Self::Settlement(said) => domain.sign(key, said),
            Self::Intent { intent, .. } => domain.sign(key, intent),
        }
    }

    fn is_by(&self, terms: &Terms, node: usize, signature: &Signed) -> bool {
        let Some(address) = terms.committee.member(node).map(|member| member.address) else { return false };
        let checked = match self {
            Self::Receipt(said) => terms.domain.check(said, signature, address),
            Self::Vote(said) => terms.domain.check(said, signature, address),
            Self::Final(said) => terms.domain.check(said, signature, address),
            Self::ShareRoot(said) => terms.domain.check(said, signature, address),
            Self::Settlement(said) => terms.domain.check(said, signature, address),
            Self::Intent { intent, .. } => terms.domain.check(intent, signature, address),
        };
        checked.is_ok()
    }
}

/// A receipt with its signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedReceipt {
    /// Who signed, 1..=n.
    pub node: usize,
    /// For which contribution.
    #[serde(flatten)]
    pub member: SetMember,
    /// The signature.
    pub signature: Signed,
}

impl SignedReceipt {
    /// The statement that was signed.
    #[must_use]
    pub fn statement(&self, terms: &Terms) -> Receipt {
        Receipt { study: terms.study, round: terms.round, site: self.member.site, digest: self.member.digest }
    }

    fn is_genuine(&self, terms: &Terms) -> bool {
        Statement::Receipt(self.statement(terms)).is_by(terms, self.node, &self.signature)
    }
}

/// A vote with its signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedVote {
    /// Who signed, 1..=n.
    pub node: usize,
    /// The set's root.
    pub set_root: B256,
    /// Number of sites.
    pub size: u32,
    /// The signature.
    pub signature: Signed,
}

impl SignedVote {
    /// The statement that was signed.
    #[must_use]
    pub fn statement(&self, terms: &Terms) -> Vote {
        Vote { study: terms.study, round: terms.round, setRoot: self.set_root, size: self.size }
    }

    pub(super) fn is_genuine(&self, terms: &Terms) -> bool {
        Statement::Vote(self.statement(terms)).is_by(terms, self.node, &self.signature)
    }
}

/// The statements of which a node may make only one, so that others remember what it is about to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntentKind {
    /// One for a subject.
    Final = 1,
    /// One for a round.
    ShareRoot = 2,
    /// One for a round.
    Settlement = 3,
}

/// An intent with its signature.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SignedIntent {
    /// Who signed, 1..=n.
    pub node: usize,
    /// The round that the statement is about: that of a Final may be an earlier one about the same subject.
    pub round: u64,
    /// Which statement.
    pub kind: IntentKind,
    /// The set that the statement is about.
    pub set_root: B256,
    /// The statement's EIP-712 struct hash.
    pub hash: B256,
    /// The signature.
    pub signature: Signed,
}

impl SignedIntent {
    /// The statement that was signed.
    #[must_use]
    pub fn statement(&self, terms: &Terms) -> Intent {
        Intent { study: terms.study, round: self.round, kind: self.kind as u8, hash: self.hash }
    }

    /// Whether it is its node's, and about a slot of this round. The slot of a Final is its subject, which the intent names in
    /// its hash alone: a node whose endpoint shows another subject must not keep the intent under that one.
    fn is_genuine(&self, terms: &Terms) -> bool {
        let of_slot = match self.kind {
            IntentKind::Final => {
                let Self { round, set_root, .. } = *self;
                let said = Final { study: terms.study, subject: terms.subject, round, setRoot: set_root };
                round <= terms.round && said.eip712_hash_struct() == self.hash
            }
            IntentKind::ShareRoot | IntentKind::Settlement => self.round == terms.round,
        };
        let (intent, subject) = (self.statement(terms), terms.subject);
        of_slot && Statement::Intent { intent, subject, set_root: self.set_root }.is_by(terms, self.node, &self.signature)
    }
}

/// A Final with its signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedFinal {
    /// Who signed, 1..=n.
    pub node: usize,
    /// The set's root.
    pub set_root: B256,
    /// The signature.
    pub signature: Signed,
}

impl SignedFinal {
    /// The statement that was signed.
    #[must_use]
    pub fn statement(&self, terms: &Terms) -> Final {
        Final { study: terms.study, subject: terms.subject, round: terms.round, setRoot: self.set_root }
    }
}

/// The root of an output share with its node's signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedShareRoot {
    /// Who signed, 1..=n.
    pub node: usize,
    /// The set's root.
    pub set_root: B256,
    /// The share's vector root.
    pub root: B256,
    /// The signature.
    pub signature: Signed,
}

impl SignedShareRoot {
    /// The statement that was signed.
    #[must_use]
    pub fn statement(&self, terms: &Terms) -> ShareRoot {
        let index = self.node as u8;
        ShareRoot { study: terms.study, round: terms.round, setRoot: self.set_root, index, root: self.root }
    }
}

/// A settlement with its signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedSettlement {
    /// Who signed, 1..=n.
    pub node: usize,
    /// The set's root.
    pub set_root: B256,
    /// keccak256 over the n share roots.
    pub share_roots_hash: B256,
    /// The aggregate's vector root.
    pub aggregate_root: B256,
    /// The reward root.
    pub reward_root: B256,
    /// The signature.
    pub signature: Signed,
}

impl SignedSettlement {
    pub(crate) fn new(node: usize, said: &Settlement, signature: Signed) -> Self {
        let (set_root, share_roots_hash) = (said.setRoot, said.shareRootsHash);
        let (aggregate_root, reward_root) = (said.aggregateRoot, said.rewardRoot);
        Self { node, set_root, share_roots_hash, aggregate_root, reward_root, signature }
    }

    /// The statement that was signed.
    #[must_use]
    pub fn statement(&self, terms: &Terms) -> Settlement {
        Settlement {
            study: terms.study,
            round: terms.round,
            setRoot: self.set_root,
            shareRootsHash: self.share_roots_hash,
            aggregateRoot: self.aggregate_root,
            rewardRoot: self.reward_root,
        }
    }
}
