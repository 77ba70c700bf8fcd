//! Where a study's list of admitted sites is: in the event that announces it, or elsewhere, so that a list of thousands of
//! hospitals costs the chain one root.
//!
//! A list that is elsewhere has one form, which [`publish`] writes and [`parse`] reads: the line `consilium sites 1`, then one
//! address a line in lower-case hex with 0x, strictly increasing, each line ended by a line feed, and nothing else. One list is
//! one sequence of bytes, so that two copies of it can be compared as files.

use crate::error::Misuse;
use crate::event::{Defect, MAX_SITES};
use alloy_primitives::{Address, hex};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use thiserror::Error;

/// Longest place of a list in bytes, as the contract has it.
const MAX_URI: usize = 256;
/// How a place begins, as the contract has it.
const HTTPS: &str = "https://";
/// First line of a published list, its line feed included.
const HEADER: &str = "consilium sites 1\n";
/// Bytes of every other line, its line feed included.
const LINE: usize = 43;
/// The longest published list in bytes: whoever fetches one reads no further.
pub const MAX_PUBLISHED: usize = HEADER.len() + MAX_SITES * LINE;

/// The admitted sites, or where their list is. Whether a list is the one that the sponsor means, the root beside it tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SitesList {
    /// The list itself, by increasing address.
    Listed(Vec<Address>),
    /// A place that begins with `https://`.
    At(String),
}

impl SitesList {
    /// As an event has it: the list, or a place.
    pub(crate) fn published(sites: Vec<Address>, uri: String) -> Result<Self, Defect> {
        if uri.is_empty() {
            return Ok(Self::Listed(sites));
        }
        if is_place(&uri) && sites.is_empty() { Ok(Self::At(uri)) } else { Err(Defect::Length("the place of the list of sites")) }
    }

    /// The sites, if the chain itself has them.
    #[must_use]
    pub fn listed(&self) -> Option<&[Address]> {
        if let Self::Listed(sites) = self { Some(sites) } else { None }
    }

    /// Whether a site is known to be on the list; of a list that is elsewhere, none is.
    #[must_use]
    pub fn contains(&self, site: &Address) -> bool {
        self.listed().is_some_and(|sites| sites.contains(site))
    }
}

/// Whether the contract takes this for the place of a list.
fn is_place(uri: &str) -> bool {
    uri.len() > HTTPS.len() && uri.len() <= MAX_URI && uri.starts_with(HTTPS)
}

/// Refuses a place that the contract would refuse, before anything is sent.
///
/// # Errors
/// [`Misuse::SitesUri`].
pub fn check_place(uri: &str) -> Result<(), Misuse> {
    if is_place(uri) { Ok(()) } else { Err(Misuse::SitesUri { bytes: uri.len() }) }
}

/// Why bytes are no published list of sites.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotAList {
    /// The first line.
    #[error("line 1 is not \"consilium sites 1\" with a line feed behind it: the file is no list of sites in the published form")]
    Header,
    /// Not an address, or not in its one form.
    #[error("line {line} is not one address in lower-case hex with 0x and a line feed behind it")]
    Address {
        /// Counted from 1; the header is line 1.
        line: usize,
    },
    /// Not above the address before it.
    #[error("line {line} does not come after the line before it: addresses have to increase, each listed once")]
    Order {
        /// Counted from 1; the header is line 1.
        line: usize,
    },
    /// More sites than a study can have.
    #[error("the list goes on at line {line}: a study has {MAX_SITES} sites at most")]
    TooMany {
        /// The first line too many, counted from 1.
        line: usize,
    },
}

/// The list as it is published, of sites in any order; a site that is given twice stands there once.
#[must_use]
pub fn publish(sites: &[Address]) -> String {
    let sites: BTreeSet<&Address> = sites.iter().collect();
    let mut text = String::with_capacity(HEADER.len() + sites.len() * LINE);
    text.push_str(HEADER);
    for site in sites {
        // Writing to a string does not fail.
        let _ = writeln!(text, "0x{}", hex::encode(site));
    }
    text
}

/// Reads a published list. Whether it is the one that the sponsor means, the root on the chain tells
/// ([`consilium_core::certify::sites_root`]).
///
/// # Errors
/// [`NotAList`] for bytes that [`publish`] does not write.
pub fn parse(bytes: &[u8]) -> Result<Vec<Address>, NotAList> {
    let body = bytes.strip_prefix(HEADER.as_bytes()).ok_or(NotAList::Header)?;
    let mut sites: Vec<Address> = Vec::with_capacity((body.len() / LINE).min(MAX_SITES));
    for (line, text) in (2..).zip(body.chunks(LINE)) {
        if sites.len() == MAX_SITES {
            return Err(NotAList::TooMany { line });
        }
        let site = address(text).ok_or(NotAList::Address { line })?;
        if sites.last().is_some_and(|before| *before >= site) {
            return Err(NotAList::Order { line });
        }
        sites.push(site);
    }
    Ok(sites)
}

/// One line, its line feed included, in the one form that it has.
fn address(line: &[u8]) -> Option<Address> {
    let digits = line.strip_suffix(b"\n")?.strip_prefix(b"0x")?;
    let in_form = digits.len() == 2 * Address::len_bytes() && !digits.iter().any(u8::is_ascii_uppercase);
    let bytes: [u8; 20] = hex::decode_to_array(digits).ok().filter(|_| in_form)?;
    Some(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FIRST: &str = "0x00000000000000000000000000000000000000a1";
    const SECOND: &str = "0x0000000000000000000000000000000000000b00";

    fn sites(of: &[&str]) -> Vec<Address> {
        of.iter().map(|site| site.parse().unwrap()).collect()
    }

    #[test]
    fn a_list_has_one_form_whatever_order_it_is_given_in() {
        let expected = format!("consilium sites 1\n{FIRST}\n{SECOND}\n");
        assert_eq!(publish(&sites(&[SECOND, FIRST, SECOND])), expected);
        assert_eq!(parse(expected.as_bytes()).unwrap(), sites(&[FIRST, SECOND]));
        assert_eq!(publish(&[]), "consilium sites 1\n");
        assert_eq!(parse(b"consilium sites 1\n"), Ok(Vec::new()));
        assert_eq!(MAX_PUBLISHED, 18 + 65_536 * 43);
    }

    #[test]
    fn every_other_form_is_refused_and_its_line_named() {
        let (header, upper) = ("consilium sites 1\n", FIRST.to_uppercase());
        let wrong = |line| NotAList::Address { line };
        let cases = [
            (String::new(), NotAList::Header),
            ("consilium sites 1".into(), NotAList::Header),
            ("consilium sites 1\r\n".into(), NotAList::Header),
            ("consilium sites 2\n".into(), NotAList::Header),
            (format!("\u{feff}{header}"), NotAList::Header),
            (format!("{header}{FIRST}"), wrong(2)),
            (format!("{header}{FIRST}\r\n"), wrong(2)),
            (format!("{header}{FIRST}\n\n"), wrong(3)),
            (format!("{header}{FIRST}\n{SECOND}"), wrong(3)),
            (format!("{header}{FIRST} \n"), wrong(2)),
            (format!("{header} {}\n", &FIRST[1..]), wrong(2)),
            (format!("{header}# {FIRST}\n"), wrong(2)),
            (format!("{header}{FIRST}\n{}\n", &SECOND[..41]), wrong(3)),
            (format!("{header}{}00\n", &FIRST[2..]), wrong(2)),
            (format!("{header}0x{}\n", &upper[2..]), wrong(2)),
            (format!("{header}{upper}\n"), wrong(2)),
            (format!("{header}0x{}g\n", &FIRST[3..]), wrong(2)),
            (format!("{header}{SECOND}\n{FIRST}\n"), NotAList::Order { line: 3 }),
            (format!("{header}{FIRST}\n{FIRST}\n"), NotAList::Order { line: 3 }),
        ];
        for (text, expected) in cases {
            let error = parse(text.as_bytes()).unwrap_err();
            assert_eq!(error, expected, "{text:?}");
            assert!(error.to_string().contains("line "), "{error}");
        }
    }

    #[test]
    fn a_list_is_no_longer_than_a_study_has_sites() {
        let many: Vec<Address> = (0..=MAX_SITES as u32).map(|i| Address::left_padding_from(&i.to_be_bytes())).collect();
        let longest = publish(&many[..MAX_SITES]);
        assert_eq!(longest.len(), MAX_PUBLISHED);
        assert_eq!(parse(longest.as_bytes()).unwrap().len(), MAX_SITES);
        let refused = parse(publish(&many).as_bytes()).unwrap_err();
        assert_eq!(refused, NotAList::TooMany { line: MAX_SITES + 2 });
    }

    #[test]
    fn a_place_is_https_and_short() {
        let longest = format!("https://{}", "s".repeat(248));
        assert!(check_place(&longest).is_ok() && check_place("https://a").is_ok());
        for wrong in [&*format!("{longest}s"), "https://", "http://sponsor.example/sites", "HTTPS://sponsor.example", ""] {
            assert_eq!(check_place(wrong), Err(Misuse::SitesUri { bytes: wrong.len() }), "{wrong}");
        }
    }

    /// Published lists, spoilt in one place or in none.
    fn spoilt() -> impl Strategy<Value = Vec<u8>> {
        let sites = prop::collection::vec(any::<[u8; 20]>().prop_map(Address::from), 0..6);
        let bytes = prop_oneof![any::<u8>(), Just(b'\n'), Just(b'\r'), Just(b' '), b'0'..=b'9', b'A'..=b'F', b'a'..=b'f'];
        (sites, any::<prop::sample::Index>(), prop::collection::vec(bytes, 0..3), 0..3_usize).prop_map(
            |(sites, at, new, gone)| {
                let mut text = publish(&sites).into_bytes();
                let at = at.index(text.len() + 1);
                text.splice(at..(at + gone).min(text.len()), new);
                text
            },
        )
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_written_the_same(bytes in prop_oneof![spoilt(), prop::collection::vec(any::<u8>(), 0..200)]) {
            if let Ok(sites) = parse(&bytes) {
                prop_assert_eq!(publish(&sites).into_bytes(), bytes);
            }
        }

        #[test]
        fn whatever_is_written_is_read_the_same(sites in prop::collection::btree_set(any::<[u8; 20]>(), 0..40)) {
            let sites: Vec<Address> = sites.into_iter().map(Address::from).collect();
            prop_assert_eq!(parse(publish(&sites).as_bytes()), Ok(sites));
        }
    }
}
