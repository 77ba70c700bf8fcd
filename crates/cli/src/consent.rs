//! Asking a person before money moves on one endpoint's word.

use crate::failure::Failure;
use std::io::{BufRead, IsTerminal, Write};

/// Whether a person has to be asked.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Consent {
    /// Believe what the one endpoint says, without being asked.
    #[arg(long)]
    pub(crate) yes: bool,
}

impl Consent {
    /// Asks whoever sits at the terminal. Where nobody does, it says what to give instead.
    pub(crate) fn ask(self, question: &str, instead: &str) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        let terminal = std::io::stdin();
        if !terminal.is_terminal() {
            return Err(Failure::usage(format!("{question}? nobody can be asked here: give {instead}")));
        }
        eprint!("{question}? [y/N] ");
        std::io::stderr().flush()?;
        let mut answer = String::new();
        terminal.lock().read_line(&mut answer)?;
        match answer.trim() {
            "y" | "Y" | "yes" => Ok(()),
            _ => Err(Failure::refused(format!("not confirmed, nothing was sent; or give {instead}"))),
        }
    }
}
