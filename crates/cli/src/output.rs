//! What commands print: logs to standard error, results to standard output.

use crate::failure::Failure;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::path::Path;
use tracing_subscriber::EnvFilter;

/// Starts logging with a filter; one that cannot be read falls back to warnings, and says so.
pub(crate) fn start_log(filter: &str) {
    let (filter, refused) = match EnvFilter::try_new(filter) {
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::new("warn"), Some(error)),
    };
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    if let Some(error) = refused {
        tracing::warn!("cannot read the log filter, logging warnings: {error}");
    }
}

/// Prints a result: as JSON if asked, else as the text that `text` makes.
pub(crate) fn print<T: Serialize>(json: bool, value: &T, text: impl FnOnce(&T) -> String) {
    if json {
        println!("{}", serde_json::json!(value));
    } else {
        println!("{}", text(value));
    }
}

/// Writes a result to a file, as JSON to be read by people too.
pub(crate) fn write_json<T: Serialize>(file: &Path, value: &T) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(Failure::failed)?;
    write_file(file, (text + "\n").as_bytes())
}

/// Writes bytes to a file.
pub(crate) fn write_file(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    std::fs::write(file, bytes).map_err(|error| Failure::failed(format!("cannot write {}: {error}", file.display())))
}

/// A bar for work of `length` steps, on standard error, hidden when that is no terminal.
pub(crate) fn bar(length: u64, what: &str) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{msg:28} {bar:30} {pos}/{len} {elapsed}").unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style).with_message(what.to_owned())
}

/// A line that shows that something is going on.
pub(crate) fn spinner(what: &str) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(what.to_owned());
    spinner.enable_steady_tick(std::time::Duration::from_millis(120));
    spinner
}
