//! What this site has bound itself to, on disk before it is on the wire (section 3).
//!
//! One journal a site key, over all studies, contracts and chains, kept for good. It is a file of lines, `checksum JSON`,
//! that only ever grows, and one file a message under `messages/` with the exact bytes of the request, so that a retry after a
//! crash sends the same ones. Messages go once their round is over; lines never. A line counts once it is synced to disk;
//! half a line at the end was never acted on and is dropped. What the disk did not take for certain is cut off before the next
//! line, so that no line is there that nobody acted on, or that the next one runs into.
//!
//! **One subject, one sum.** The journal bars a subject from every study, contract, chain and committee but those under
//! which the site has contributed to it first, whatever became of that round: endpoints that lie about a round's end must
//! not bring one update into two sums. A retry is a new round of the same study and committee, where the nodes' Finals
//! allow one sum. [`SharedSubjects`] has the exceptions. Subjects are compared byte by byte: a base model that differs
//! in one unit in the last place of one weight is another subject, and the journal does not connect the two.

mod hash;

pub(crate) use hash::Hasher;

use crate::error::JournalError;
use crate::message::Message;
use crate::sharing::{SharedSubjects, StudyCommittee};
use alloy_primitives::{Address, B256, keccak256};
use consilium_core::certify::ReceiptCertificate;
use consilium_core::eip712::Domain;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The version of the journal's lines.
pub(crate) const VERSION: u32 = 2;

/// One round of one study of one contract on one chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Slot {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The Consilium contract.
    pub contract: Address,
    /// Study number.
    pub study: u64,
    /// Round number.
    pub round: u64,
}

impl Slot {
    /// A round in a signing domain.
    #[must_use]
    pub fn new(domain: Domain, study: u64, round: u64) -> Self {
        Self { chain_id: domain.chain_id, contract: domain.contract, study, round }
    }

    /// The signing domain.
    #[must_use]
    pub fn domain(&self) -> Domain {
        Domain { chain_id: self.chain_id, contract: self.contract }
    }
}

impl core::fmt::Display for Slot {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { chain_id, contract, study, round } = self;
        write!(f, "round {round} of study {study} (contract {contract}, chain {chain_id})")
    }
}

/// A contribution as the journal keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// In which round.
    #[serde(flatten)]
    pub slot: Slot,
    /// The fingerprint of the round's committee.
    pub committee: B256,
    /// What the round is about.
    pub subject: B256,
    /// What was signed.
    pub digest: B256,
    /// A keyed hash of the plain input, to recognise a repeated call.
    pub input: B256,
    /// The hash of the message.
    pub message: B256,
}

impl Recorded {
    /// The study and committee of the round.
    #[must_use]
    pub fn study_committee(&self) -> StudyCommittee {
        StudyCommittee::new(self.slot.domain(), self.slot.study, self.committee)
    }
}

/// What keeps a site from contributing to a subject in one more round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bar {
    /// The site has contributed to it in another study, contract or chain, or with another committee.
    Elsewhere(Recorded),
    /// The subject has its sum.
    Certified(Slot),
    /// The site has contributed to it in an earlier round of the study that is not known to be void.
    Pending(Slot),
}

impl Bar {
    /// The round that stands in the way.
    #[must_use]
    pub fn place(&self) -> Slot {
        match self {
            Self::Elsewhere(recorded) => recorded.slot,
            Self::Certified(slot) | Self::Pending(slot) => *slot,
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    /// The first line.
    Journal {
        version: u32,
        site: Address,
    },
    Contribution(Recorded),
    Receipts {
        slot: Slot,
        certificate: ReceiptCertificate,
    },
    Certified {
        slot: Slot,
        subject: B256,
    },
    Void(Slot),
    Model {
        chain_id: u64,
        contract: Address,
        study: u64,
        model: B256,
    },
}

/// The journal of one site key. One process at a time has it.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    file: File,
    /// Bytes of the lines that count.
    length: u64,
    /// Whether there may be more than these in the file.
    is_torn: bool,
    contributions: BTreeMap<Slot, Recorded>,
    receipts: BTreeMap<Slot, ReceiptCertificate>,
    certified: BTreeMap<B256, BTreeSet<Slot>>,
    void: BTreeSet<Slot>,
    models: BTreeSet<(u64, Address, u64, B256)>,
}

impl Journal {
    /// Opens the journal of `site` in a folder, or starts one.
    ///
    /// # Errors
    /// [`JournalError`] when another process has it, when it is another site's, when it is damaged, or when another version
    /// of this program wrote it.
    pub fn open(folder: &Path, site: Address) -> Result<Self, JournalError> {
        let messages = folder.join("messages");
        std::fs::create_dir_all(&messages).map_err(disk(&messages))?;
        let path = folder.join("journal");
        let mut file = open_locked(folder, &path)?;
        let (lines, length) = read_lines(&mut file, &path)?;
        let mut journal = Self {
            folder: folder.to_owned(),
            file,
            length,
            is_torn: false,
            contributions: BTreeMap::new(),
            receipts: BTreeMap::new(),
            certified: BTreeMap::new(),
            void: BTreeSet::new(),
            models: BTreeSet::new(),
        };
        match lines.first() {
            None => journal.append(Line::Journal { version: VERSION, site })?,
            Some(&Line::Journal { version: VERSION, site: found }) if found == site => {}
            Some(&Line::Journal { version: VERSION, site: found }) => {
                return Err(JournalError::OtherSite { path: folder.to_owned(), found, expected: site });
            }
            Some(Line::Journal { .. }) => return Err(JournalError::Version { path, line: 1 }),
            Some(_) => return Err(JournalError::Damaged { path, line: 1 }),
        }
        lines.into_iter().for_each(|line| journal.take_in(line));
        sync_folder(folder)?;
        Ok(journal)
    }

    fn take_in(&mut self, line: Line) {
        match line {
            Line::Journal { .. } => {}
            Line::Contribution(recorded) => {
                self.contributions.entry(recorded.slot).or_insert(recorded);
            }
            Line::Receipts { slot, certificate } => {
                self.receipts.insert(slot, certificate);
            }
            Line::Certified { slot, subject } => {
                self.certified.entry(subject).or_default().insert(slot);
            }
            Line::Void(slot) => {
                self.void.insert(slot);
            }
            Line::Model { chain_id, contract, study, model } => {
                self.models.insert((chain_id, contract, study, model));
            }
        }
    }

    fn append(&mut self, line: Line) -> Result<(), JournalError> {
        let path = self.folder.join("journal");
        let json = serde_json::to_string(&line).map_err(|error| disk(&path)(error.into()))?;
        let text = format!("{} {json}\n", checksum(json.as_bytes()));
        self.write(text.as_bytes()).map_err(disk(&path))?;
        self.take_in(line);
        Ok(())
    }

    /// Adds a line to the file and syncs it. After a failure it may be there whole, in part or not at all.
    fn write(&mut self, text: &[u8]) -> std::io::Result<()> {
        if self.is_torn {
            self.file.set_len(self.length)?;
            self.file.sync_all()?;
        }
        self.is_torn = true;
        self.file.write_all(text)?;
        self.file.sync_data()?;
        self.length += text.len() as u64;
        self.is_torn = false;
        Ok(())
    }

    /// The contribution to a round, if there is one.
    #[must_use]
    pub fn contribution(&self, slot: &Slot) -> Option<&Recorded> {
        self.contributions.get(slot)
    }

    /// All contributions to a subject, wherever.
    pub fn contributions_to(&self, subject: B256) -> impl Iterator<Item = &Recorded> {
        self.contributions.values().filter(move |recorded| recorded.subject == subject)
    }

    /// Where a subject is known to have been certified.
    pub fn certified(&self, subject: B256) -> impl Iterator<Item = Slot> {
        self.certified.get(&subject).into_iter().flatten().copied()
    }

    /// What keeps the site from contributing to `subject` in a round of `committee`, if anything does.
    #[must_use]
    pub fn bar(&self, slot: Slot, committee: B256, subject: B256, shared: &SharedSubjects) -> Option<Bar> {
        let here = StudyCommittee::new(slot.domain(), slot.study, committee);
        let others = || self.contributions_to(subject).filter(|known| known.slot != slot);
        let is_foreign = |known: &&Recorded| {
            let there = known.study_committee();
            there != here && !shared.allow(&there, &here)
        };
        let counts = |place: &Slot| *place != slot && (here.has_study_of(place) || !shared.allow_study(&here, place));
        // A named committee of the same study is one for a retry: its earlier round must be void all the same.
        let is_pending = |known: &&Recorded| here.has_study_of(&known.slot) && !self.void.contains(&known.slot);
        let elsewhere = others().find(is_foreign).map(|known| Bar::Elsewhere(*known));
        let certified = || self.certified(subject).find(counts).map(Bar::Certified);
        elsewhere.or_else(certified).or_else(|| others().find(is_pending).map(|known| Bar::Pending(known.slot)))
    }

    /// Whether a round is known to be void.
    #[must_use]
    pub fn is_void(&self, slot: &Slot) -> bool {
        self.void.contains(slot)
    }

    /// Whether a model has been declared a base model of a study.
    #[must_use]
    pub fn knows_model(&self, domain: Domain, study: u64, model: B256) -> bool {
        self.models.contains(&(domain.chain_id, domain.contract, study, model))
    }

    /// The receipts of a contribution.
    #[must_use]
    pub fn receipts(&self, slot: &Slot) -> Option<&ReceiptCertificate> {
        self.receipts.get(slot)
    }

    /// Writes a contribution and its message down. From then on it may be sent. Writing the same one again changes nothing.
    ///
    /// # Errors
    /// [`JournalError::AnotherDigest`]; [`JournalError::SubjectTaken`]; [`JournalError::Disk`].
    pub fn record(&mut self, contribution: Recorded, message: &Message, shared: &SharedSubjects) -> Result<(), JournalError> {
        if let Some(known) = self.contributions.get(&contribution.slot) {
            if known.digest == contribution.digest {
                return Ok(());
            }
            let (place, signed, refused) = (known.slot, known.digest, contribution.digest);
            return Err(JournalError::AnotherDigest { place, signed, refused });
        }
        // Under the journal's own lock, so that two calls at a time cannot both pass the rule of one sum a subject.
        let Recorded { slot, committee, subject, .. } = contribution;
        if let Some(bar) = self.bar(slot, committee, subject, shared) {
            return Err(JournalError::SubjectTaken { subject, place: bar.place() });
        }
        let path = self.message_path(&contribution);
        write_synced(&path, message.parts()).map_err(disk(&path))?;
        sync_folder(&self.folder.join("messages"))?;
        self.append(Line::Contribution(contribution))
    }

    /// The message of a contribution, exactly as it was written.
    ///
    /// # Errors
    /// [`JournalError::Message`] when it is not there any more or not the same.
    pub fn message(&self, contribution: &Recorded) -> Result<Message, JournalError> {
        let path = self.message_path(contribution);
        let read = std::fs::read(&path).ok().map(Message::from);
        read.filter(|read| read.hash() == contribution.message).ok_or(JournalError::Message(path))
    }

    /// Keeps the receipts of a contribution.
    ///
    /// # Errors
    /// [`JournalError::Disk`].
    pub fn note_receipts(&mut self, slot: Slot, certificate: ReceiptCertificate) -> Result<(), JournalError> {
        if self.receipts.get(&slot).is_some_and(|known| known.receipts.len() >= certificate.receipts.len()) {
            return Ok(());
        }
        self.append(Line::Receipts { slot, certificate })
    }

    /// Remembers that a subject has a certified round.
    ///
    /// # Errors
    /// [`JournalError::Disk`].
    pub fn note_certified(&mut self, slot: Slot, subject: B256) -> Result<(), JournalError> {
        let known = self.certified(subject).any(|place| place == slot);
        if known { Ok(()) } else { self.append(Line::Certified { slot, subject }) }
    }

    /// Remembers that a round is void for good.
    ///
    /// # Errors
    /// [`JournalError::Disk`].
    pub fn note_void(&mut self, slot: Slot) -> Result<(), JournalError> {
        if self.void.contains(&slot) { Ok(()) } else { self.append(Line::Void(slot)) }
    }

    /// Declares a model a base model of a study.
    ///
    /// # Errors
    /// [`JournalError::Disk`].
    pub fn note_model(&mut self, domain: Domain, study: u64, model: B256) -> Result<(), JournalError> {
        if self.knows_model(domain, study, model) {
            return Ok(());
        }
        self.append(Line::Model { chain_id: domain.chain_id, contract: domain.contract, study, model })
    }

    /// Deletes the message of a round that is over. The line about it stays.
    ///
    /// # Errors
    /// [`JournalError::Disk`].
    pub fn forget_message(&mut self, slot: &Slot) -> Result<(), JournalError> {
        let Some(recorded) = self.contributions.get(slot) else { return Ok(()) };
        let path = self.message_path(recorded);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(JournalError::Disk { path, source: error }),
            _ => Ok(()),
        }
    }

    fn message_path(&self, contribution: &Recorded) -> PathBuf {
        self.folder.join("messages").join(hex::encode(contribution.digest))
    }
}

/// The journal's file, which one process at a time has.
fn open_locked(folder: &Path, path: &Path) -> Result<File, JournalError> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(disk(path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalError::Locked(folder.to_owned())),
        Err(TryLockError::Error(source)) => Err(JournalError::Disk { path: path.to_owned(), source }),
    }
}

fn disk(path: &Path) -> impl Fn(std::io::Error) -> JournalError + '_ {
    move |source| JournalError::Disk { path: path.to_owned(), source }
}

fn checksum(json: &[u8]) -> String {
    hex::encode(&keccak256(json)[..8])
}

fn write_synced(path: &Path, parts: [&[u8]; 2]) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    parts.into_iter().try_for_each(|part| file.write_all(part))?;
    file.sync_all()
}

/// A new file is only there after a crash if its folder was synced too.
fn sync_folder(folder: &Path) -> Result<(), JournalError> {
    if cfg!(unix) { File::open(folder).and_then(|folder| folder.sync_all()).map_err(disk(folder)) } else { Ok(()) }
}

/// All lines, with their length; half a line at the end is cut off. A process that died may not have synced the last one.
fn read_lines(file: &mut File, path: &Path) -> Result<(Vec<Line>, u64), JournalError> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_end(&mut bytes)).map_err(disk(path))?;
    let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    if whole < bytes.len() {
        file.set_len(whole as u64).map_err(disk(path))?;
    }
    file.sync_all().map_err(disk(path))?;
    let text = bytes[..whole].split(|&byte| byte == b'\n').take_while(|line| !line.is_empty());
    let lines: Vec<&[u8]> = text.collect();
    // An empty line ends the reading above; nothing may stand after it.
    let read: usize = lines.iter().map(|line| line.len() + 1).sum();
    if read != whole {
        return Err(JournalError::Damaged { path: path.to_owned(), line: lines.len() + 1 });
    }
    let parse = |(index, line): (usize, &&[u8])| {
        let damaged = || JournalError::Damaged { path: path.to_owned(), line: index + 1 };
        let (sum, json) = line.split_at_checked(17).ok_or_else(damaged)?;
        if sum != format!("{} ", checksum(json)).as_bytes() {
            return Err(damaged());
        }
        // Whole, since its checksum holds, and yet of another form.
        serde_json::from_slice(json).map_err(|_| JournalError::Version { path: path.to_owned(), line: index + 1 })
    };
    let parsed: Result<_, _> = lines.iter().enumerate().map(parse).collect();
    Ok((parsed?, whole as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(digest: u8) -> Recorded {
        Recorded {
            slot: Slot { chain_id: 1, contract: Address::ZERO, study: 1, round: 1 },
            committee: B256::ZERO,
            subject: B256::ZERO,
            digest: B256::repeat_byte(digest),
            input: B256::ZERO,
            message: B256::ZERO,
        }
    }

    /// The disk takes the line, or a part of it, and says that it did not.
    #[test]
    fn a_line_that_the_disk_refused_is_gone_before_the_next_one() {
        let lost = format!("{}\n", serde_json::to_string(&Line::Contribution(recorded(1))).unwrap());
        let lost = format!("{} {lost}", checksum(lost.trim_end().as_bytes()));
        for part in [lost.len(), lost.len() / 2] {
            let folder = tempfile::tempdir().unwrap();
            let none = SharedSubjects::default();
            let mut journal = Journal::open(folder.path(), Address::ZERO).unwrap();
            // Writing here fails.
            let file = std::mem::replace(&mut journal.file, File::open(folder.path().join("journal")).unwrap());
            let message = Message::from(vec![1; 9]);
            for _ in 0..2 {
                assert!(matches!(journal.record(recorded(1), &message, &none), Err(JournalError::Disk { .. })));
            }
            assert!(journal.contribution(&recorded(1).slot).is_none());
            journal.file = file;
            journal.file.write_all(&lost.as_bytes()[..part]).unwrap();
            journal.record(recorded(2), &message, &none).unwrap();
            drop(journal);
            let journal = Journal::open(folder.path(), Address::ZERO).unwrap();
            assert_eq!(journal.contribution(&recorded(1).slot), Some(&recorded(2)), "what was sent");
        }
    }
}
