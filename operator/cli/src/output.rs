//! What goes to the terminal: results to standard output, errors to standard error.

use std::io::{self, Write};

use serde::Serialize;
use storefront_inspect::tame;

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON object, or one a line of what goes on.
    Json,
}

/// Writes a result, and sees to its last line end.
pub fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    write!(stdout, "{text}{end}")?;
    stdout.flush()
}

/// Writes a result for programs, on one line.
pub fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    Ok(print(&serde_json::to_string(value)?)?)
}

/// Tells somebody who waits. Programs do not read it.
pub fn note(text: &str) {
    // Nobody is left to be told when standard error is closed.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Whether standard output's reader has gone, as `head` does: none of our faults.
pub fn is_reader_gone(error: &anyhow::Error) -> bool {
    // Not one deeper down: that would be the connection of somebody who was asked.
    let written = error.downcast_ref::<io::Error>();
    written.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Writes an error with its causes, one a line.
pub fn error(error: &anyhow::Error) {
    note(&format!("error: {}", with_causes(error)));
}

/// An error with its causes, one a line. What others have answered may be part of it.
pub fn with_causes(error: &anyhow::Error) -> String {
    let lines: Vec<_> = causes(error).lines().map(tame).collect();
    lines.join("\n")
}

fn causes(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    let mut said = text.clone();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        // Some libraries print their cause into their own text.
        if !said.contains(&cause) {
            text.push_str("\n  because: ");
            text.push_str(&cause);
        }
        said = cause;
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the shop cannot be reached")]
    struct Unreachable(#[source] io::Error);

    #[test]
    fn only_a_reader_of_ours_that_has_gone_is_no_failure() {
        let broken = || io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(is_reader_gone(&broken().into()));
        assert!(!is_reader_gone(&io::Error::other("disk full").into()));
        assert!(!is_reader_gone(&Unreachable(broken()).into()), "a connection");
    }

    #[test]
    fn an_error_is_told_with_its_causes_and_without_harm() {
        let asked: anyhow::Result<()> = Err(io::Error::other("said \u{1b}[2J\u{9b}1m").into());
        let error = asked.context("the shop\ndoes not answer").unwrap_err();
        assert_eq!(
            with_causes(&error),
            "the shop\ndoes not answer\n  because: said \u{fffd}[2J\u{fffd}1m"
        );
    }
}
