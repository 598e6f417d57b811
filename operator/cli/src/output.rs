//! What goes to the terminal: results to standard output, errors to standard error.

use std::io::{self, Write};

use serde::Serialize;

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
    let broken = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(broken))
}

/// Writes an error with its causes, one a line.
pub fn error(error: &anyhow::Error) {
    note(&format!("error: {}", with_causes(error)));
}

/// An error with its causes, one a line.
pub fn with_causes(error: &anyhow::Error) -> String {
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
