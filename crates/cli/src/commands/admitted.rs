//! The list of a study's sites: read from a file, and published on the chain or elsewhere.

use crate::failure::Failure;
use crate::output::write_file;
use alloy_primitives::Address;
use consilium_ledger::sites_list;
use std::path::{Path, PathBuf};

/// Which sites are admitted, and where everybody finds the list.
#[derive(Debug, clap::Args)]
pub(super) struct Admitted {
    /// File with one site address a line, or a list as --sites-out writes it.
    #[arg(long, value_name = "FILE")]
    sites: PathBuf,
    /// Publish the list there instead of on the chain, which then has its root alone: begins with https://, 256 bytes at
    /// most. The file behind it has to be the one that --sites-out writes, for as long as rounds refer to it.
    #[arg(long, value_name = "URL", value_parser = place)]
    sites_at: Option<String>,
    /// Where to write the list in the form in which it is published.
    #[arg(long, value_name = "FILE", requires = "sites_at")]
    sites_out: Option<PathBuf>,
}

fn place(text: &str) -> Result<String, String> {
    sites_list::check_place(text).map(|()| text.to_owned()).map_err(|error| error.to_string())
}

impl Admitted {
    /// Reads the list and, if that is asked for, writes it to be published: before anything is sent, so that it can be there
    /// in time.
    pub(super) fn list(&self) -> Result<Vec<Address>, Failure> {
        let sites = read(&self.sites)?;
        if let Some(file) = &self.sites_out {
            write_file(file, sites_list::publish(&sites).as_bytes())?;
        }
        Ok(sites)
    }

    /// Where it is published; none for the chain itself.
    pub(super) fn at(&self) -> Option<&str> {
        self.sites_at.as_deref()
    }

    /// What is left for the sponsor to do.
    pub(super) fn reminder(&self) -> String {
        self.at()
            .map_or_else(String::new, |uri| format!("; publish the list at {uri} before a round opens, or no node serves it"))
    }
}

fn read(file: &Path) -> Result<Vec<Address>, Failure> {
    let shown = file.display();
    let bytes = std::fs::read(file).map_err(|error| Failure::usage(format!("cannot read {shown}: {error}")))?;
    if bytes.starts_with(b"consilium sites") {
        return sites_list::parse(&bytes).map_err(|error| Failure::usage(format!("{shown}: {error}")));
    }
    let text = String::from_utf8(bytes).map_err(|_| Failure::usage(format!("{shown} is not text with one address a line")))?;
    addresses(&shown.to_string(), &text)
}

/// One address a line; blank lines and lines that start with # do not count.
fn addresses(file: &str, text: &str) -> Result<Vec<Address>, Failure> {
    let mut addresses = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if !line.is_empty() && !line.starts_with('#') {
            let wrong = |error| Failure::usage(format!("{file}:{}: {line:?} is not an address: {error}", number + 1));
            addresses.push(line.parse().map_err(wrong)?);
        }
    }
    Ok(addresses)
}
