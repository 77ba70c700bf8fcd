//! Full audit, inputs: every member's header and masked vector, recomputed in the context that the auditor builds.

use crate::auditor::Copies;
use crate::blame::Blames;
use crate::client::{FetchError, Peer};
use crate::report::{Book, Check, Scope};
use crate::round::Case;
use alloy_primitives::B256;
use consilium_core::certify::{Cohort, SetMember};
use consilium_core::contribution::{Contribution, Shape};
use consilium_core::field::MODULUS;
use consilium_core::transcript::{Context, Transcript};
use futures::StreamExt;
use futures::stream;
use serde_json::json;

/// Contributions that are read at a time; vectors are hashed as they arrive and never held.
const AT_A_TIME: usize = 8;
/// Most sites that get lines of their own.
const SITES_NAMED: usize = 16;

/// What became of one member's header and vector.
#[derive(Debug, Default)]
struct Outcome {
    header: Part,
    values: Part,
    blames: Vec<(Check, Peer, Fault)>,
}

/// One artefact, from whichever nodes serve it.
#[derive(Debug, Default)]
struct Part {
    good: usize,
    wrong: Option<String>,
    missing: Option<String>,
}

#[derive(Debug)]
enum Fault {
    Wrong(String),
    Fetch(FetchError),
}

/// Reads and recomputes all contributions of the certified set.
pub(crate) async fn check(case: &Case<'_>, cohort: &Cohort, copies: Copies, book: &mut Book) {
    let (shape, context) = (case.round.terms.shape(), case.round.terms.context());
    let work = Work { case, shape, context, copies };
    let members = cohort.members().iter().copied().enumerate();
    let outcomes: Vec<(SetMember, Outcome)> =
        stream::iter(members).map(|(i, member)| work.member(i, member)).buffered(AT_A_TIME).collect().await;
    let mut blames = Blames::default();
    for (member, outcome) in &outcomes {
        for (check, peer, fault) in &outcome.blames {
            match fault {
                Fault::Wrong(reason) => {
                    let evidence = json!({ "site": member.site, "digest": member.digest });
                    blames.wrong(*check, peer, format!("{reason} (site {})", member.site), evidence);
                }
                Fault::Fetch(error) => blames.fetch(*check, peer, error),
            }
        }
    }
    blames.write(case.number(), book);
    let words = "digest, site's signature and sealed boxes recomputed in the round's own context";
    judge(case, &outcomes, Check::Contributions, |outcome| &outcome.header, words, book);
    let words = "hash recomputed over every byte, every value canonical";
    judge(case, &outcomes, Check::MaskedVectors, |outcome| &outcome.values, words, book);
}

fn judge(
    case: &Case<'_>,
    outcomes: &[(SetMember, Outcome)],
    check: Check,
    part: impl Fn(&Outcome) -> &Part,
    words: &str,
    book: &mut Book,
) {
    let lacking: Vec<_> = outcomes.iter().filter(|(_, outcome)| part(outcome).good == 0).collect();
    if lacking.is_empty() {
        let copies: usize = outcomes.iter().map(|(_, outcome)| part(outcome).good).sum();
        let reason = format!("{} of {} sites, {copies} copies: {words}", outcomes.len(), outcomes.len());
        return book.pass(check, case.scope(), reason);
    }
    for (member, outcome) in lacking.iter().take(SITES_NAMED) {
        let scope = Scope::Site { round: case.number(), site: member.site };
        let evidence = json!({ "digest": member.digest });
        match part(outcome) {
            Part { wrong: Some(reason), .. } => {
                book.prove(crate::Status::Fail, check, scope, format!("no node serves the right one; {reason}"), evidence);
            }
            Part { missing, .. } => {
                let reason = missing.as_deref().unwrap_or("its header is missing, so there is nothing to compare with");
                book.prove(crate::Status::Unavailable, check, scope, format!("no node serves it; {reason}"), evidence);
            }
        }
    }
    if lacking.len() > SITES_NAMED {
        let reason = format!("{} of {} sites could not be checked", lacking.len(), outcomes.len());
        book.unavailable(check, case.scope(), reason);
    }
}

struct Work<'a> {
    case: &'a Case<'a>,
    shape: Shape,
    context: Context,
    copies: Copies,
}

impl Work<'_> {
    /// Asks the nodes in turn, another one first for each member.
    async fn member(&self, index: usize, member: SetMember) -> (SetMember, Outcome) {
        let mut outcome = Outcome::default();
        let mut committed = None;
        let peers = &self.case.peers;
        for peer in peers.iter().cycle().skip(index % peers.len().max(1)).take(peers.len()) {
            let header = self.header(peer, &member).await;
            committed = committed.or(header.as_ref().ok().copied());
            outcome.take(Check::Contributions, peer, header.map(drop));
            if committed.is_some() && self.enough(&outcome.header) {
                break;
            }
        }
        if let Some(committed) = committed {
            for peer in peers.iter().cycle().skip(index % peers.len()).take(peers.len()) {
                let values = self.values(peer, &member, committed).await;
                outcome.take(Check::MaskedVectors, peer, values);
                if self.enough(&outcome.values) {
                    break;
                }
            }
        }
        (member, outcome)
    }

    fn enough(&self, part: &Part) -> bool {
        self.copies == Copies::One && part.good > 0
    }

    /// The hash of the masked vector that the site committed to.
    async fn header(&self, peer: &Peer, member: &SetMember) -> Result<B256, Fault> {
        let rest = format!("contributions/{}/header", member.digest);
        let route = self.case.route(&rest, self.shape.max_header_len());
        let bytes = self.case.client.bytes(peer, route).await.map_err(Fault::Fetch)?;
        let wrong = |reason: String| Fault::Wrong(format!("serves a header that is not the site's: {reason}"));
        let header = Contribution::from_bytes(&bytes, &self.shape).map_err(|error| wrong(error.to_string()))?;
        let terms = &self.case.round.terms;
        if (header.study, header.round, header.site) != (terms.study, terms.round, member.site) {
            let (study, round, site) = (header.study, header.round, header.site);
            return Err(wrong(format!("it is of site {site} for round {round} of study {study}")));
        }
        let ctx = self.context.of_site(header.site);
        let digest = header.body.digest(&ctx);
        if digest != member.digest {
            return Err(wrong(format!("its digest in this round's context is {digest}, {} is certified", member.digest)));
        }
        let signed = header.authenticate(&terms.domain, &self.context);
        signed.map_err(|error| wrong(format!("the site's signature over digest and boxes does not hold ({error})")))?;
        Ok(header.body.values_hash)
    }

    async fn values(&self, peer: &Peer, member: &SetMember, committed: B256) -> Result<(), Fault> {
        let rest = format!("contributions/{}/values", member.digest);
        let mut reading = Reading::new(self.shape.values_len());
        let route = self.case.route(&rest, self.shape.values_len());
        self.case.client.stream(peer, route, true, |chunk| reading.take(chunk)).await.map_err(Fault::Fetch)?;
        reading
            .finish(&committed)
            .map_err(|reason| Fault::Wrong(format!("serves a masked vector that is not the site's: {reason}")))
    }
}

impl Outcome {
    fn take(&mut self, check: Check, peer: &Peer, result: Result<(), Fault>) {
        let part = if check == Check::Contributions { &mut self.header } else { &mut self.values };
        let fault = match result {
            Ok(()) => return part.good += 1,
            Err(fault) => fault,
        };
        match &fault {
            Fault::Wrong(reason) => part.wrong = Some(reason.clone()),
            Fault::Fetch(error) if error.is_wrong() => part.wrong = Some(error.to_string()),
            Fault::Fetch(error) => part.missing = Some(error.to_string()),
        }
        self.blames.push((check, peer.clone(), fault));
    }
}

/// A masked vector as it arrives: its hash, its length, and whether every word is below p.
struct Reading {
    expected: usize,
    found: usize,
    hash: Transcript,
    word: [u8; 8],
    canonical: bool,
}

impl Reading {
    fn new(expected: usize) -> Self {
        let mut hash = Transcript::new("values");
        hash.part_header(expected as u64);
        Self { expected, found: 0, hash, word: [0; 8], canonical: true }
    }

    fn take(&mut self, chunk: &[u8]) {
        self.hash.part_bytes(chunk);
        for &byte in chunk {
            self.word[self.found % 8] = byte;
            self.found += 1;
            if self.found.is_multiple_of(8) {
                self.canonical &= u64::from_le_bytes(self.word) < MODULUS;
            }
        }
    }

    fn finish(self, committed: &B256) -> Result<(), String> {
        if self.found != self.expected {
            return Err(format!("it has {} bytes, {} are due", self.found, self.expected));
        }
        let hash = self.hash.finish();
        if hash != *committed {
            return Err(format!("its hash is {hash}, the site committed to {committed}"));
        }
        if self.canonical { Ok(()) } else { Err("it holds a value that is not below the field modulus".to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consilium_core::transcript::values_hash;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_vector_in_pieces_reads_as_the_whole(words in proptest::collection::vec(any::<u64>(), 0..40), cut in 1usize..17) {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            let mut reading = Reading::new(bytes.len());
            bytes.chunks(cut).for_each(|chunk| reading.take(chunk));
            let canonical = words.iter().all(|word| *word < MODULUS);
            prop_assert_eq!(reading.finish(&values_hash(&bytes)).is_ok(), canonical);
        }
    }
}
