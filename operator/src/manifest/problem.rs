//! What is wrong with a manifest, as people read it.

use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line in the file, from 1.
    pub line: Option<usize>,
    /// Field, such as `spec.catalog.products[0].price`; empty for the whole object.
    pub path: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl Problem {
    /// A problem of the whole file.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { line: None, path: String::new(), message: message.into() }
    }
}

/// Everything that is wrong with a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestError {
    pub file: String,
    /// At least one, in the order of the file.
    pub problems: Vec<Problem>,
}

impl ManifestError {
    /// Names and texts in a file may hold anything; what is told of them can be read.
    pub(super) fn new(file: &str, problems: Vec<Problem>) -> Self {
        let readable = |Problem { line, path, message }| Problem {
            line,
            path: readable(&path),
            message: readable(&message),
        };
        Self { file: file.to_owned(), problems: problems.into_iter().map(readable).collect() }
    }

    /// A fixed word for logs and metrics.
    pub fn reason(&self) -> &'static str {
        "InvalidManifest"
    }
}

/// Longest place, and longest message; what a person wrote may be of any length.
const TEXT_MAX_CHARS: usize = 600;

/// A text of a file on one line, without what a terminal would obey, and not endless.
pub(super) fn readable(text: &str) -> String {
    let mut readable = String::with_capacity(text.len().min(TEXT_MAX_CHARS));
    for c in text.chars().take(TEXT_MAX_CHARS) {
        if c.is_control() { readable.extend(c.escape_default()) } else { readable.push(c) }
    }
    if text.chars().nth(TEXT_MAX_CHARS).is_some() {
        readable.push('…');
    }
    readable
}

impl std::error::Error for ManifestError {}

impl fmt::Display for ManifestError {
    /// One line a problem: `file:line: field: message`, as compilers write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Problem { line, path, message }) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&self.file)?;
            if let Some(line) = line {
                write!(f, ":{line}")?;
            }
            f.write_str(": ")?;
            if !path.is_empty() {
                write!(f, "{path}: ")?;
            }
            f.write_str(message)?;
        }
        Ok(())
    }
}
