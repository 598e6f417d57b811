//! Something wrong at a path, and whether it makes another judgement meaningless: a rule over a field
//! that is mistyped or of the wrong type would only repeat that in words that mislead.

use serde_json::Value;

use super::{locate, problem::Problem};

/// Something wrong at a path, not yet at a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub path: String,
    pub message: String,
    /// The field that was likely meant, when `path` is none.
    pub meant: Option<String>,
}

impl Finding {
    pub fn new(path: &str, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), message: message.into(), meant: None }
    }

    /// From a rule's message, with the value in front of one that says what it must be.
    pub fn about(object: &Value, path: &str, message: &str) -> Self {
        // The API server cannot hang a rule on a field of metadata, so such a message names it.
        let (path, message) = match message.strip_prefix("metadata.name ") {
            Some(rest) if path.is_empty() => ("metadata.name", rest),
            _ => (path, message),
        };
        match at(object, path) {
            Some(value)
                if message.starts_with("must ") && !value.is_object() && !value.is_array() =>
            {
                Self::new(path, format!("{} {message}", shown(value)))
            }
            _ => Self::new(path, message),
        }
    }

    /// Whether this makes it unknown what the value at `path` was to be.
    pub fn blurs(&self, path: &str) -> bool {
        is_below(&self.path, path) || is_below(path, &self.path) || self.hides(path)
    }

    /// Whether this makes it unknown whether there was to be something at `path`.
    fn hides(&self, path: &str) -> bool {
        self.meant.as_deref().is_some_and(|meant| is_below(meant, path) || is_below(path, meant))
    }

    /// Whether a rule that hangs on `path` can still be judged beside this.
    pub fn leaves(&self, rule: &str, path: &str) -> bool {
        reads(rule).all(|Read { field, presence_only }| {
            let read = join(path, field);
            let holder_is_wrong = read != self.path && is_below(&read, &self.path);
            if presence_only { !holder_is_wrong && !self.hides(&read) } else { !self.blurs(&read) }
        })
    }

    pub fn located(self, text: &str, document: usize) -> (Option<locate::Place>, Problem) {
        let place = locate::place(text, document, &self.path);
        let line = place.map(|place| place.line);
        (place, Problem { line, path: self.path, message: self.message })
    }
}

/// A field that a rule looks at, as seen from where it hangs.
#[derive(Debug, PartialEq, Eq)]
struct Read<'a> {
    field: &'a str,
    /// Only whether it is there: `has(self.field)`.
    presence_only: bool,
}

/// The fields in a rule's text: each `self` with the names behind it, up to a method's.
fn reads(rule: &str) -> impl Iterator<Item = Read<'_>> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    rule.match_indices("self").filter_map(move |(start, _)| {
        let (before, rest) = (&rule[..start], &rule[start..]);
        if before.ends_with(is_word) {
            return None;
        }
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let is_call = rest[end..].starts_with('(');
        let names = rest[..end].strip_prefix("self")?;
        let field = match names.rsplit_once('.') {
            Some((field, _method)) if is_call => field,
            _ => names,
        };
        let presence_only = before.ends_with("has(");
        Some(Read { field: field.strip_prefix('.').unwrap_or(field), presence_only })
    })
}

pub(super) fn join(path: &str, key: &str) -> String {
    match (path, key) {
        ("", only) | (only, "") => only.to_owned(),
        (path, key) => format!("{path}.{key}"),
    }
}

/// Whether one path is another, or leads to something in it.
pub(super) fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above)
        .is_some_and(|rest| rest.is_empty() || above.is_empty() || rest.starts_with(['.', '[']))
}

/// The value at a path, as far as keys without dots lead.
fn at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').filter(|part| !part.is_empty()).try_fold(object, |value, part| {
        let mut pieces = part.split('[');
        let value = value.get(pieces.next()?)?;
        pieces.try_fold(value, |value, piece| {
            value.get(piece.trim_end_matches(']').parse::<usize>().ok()?)
        })
    })
}

/// Longest part of a value that is shown.
const SHOWN_MAX_LENGTH: usize = 60;

/// A value for a message: quoted and escaped, and cut when long.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) if text.chars().count() > SHOWN_MAX_LENGTH => {
            let start: String = text.chars().take(SHOWN_MAX_LENGTH).collect();
            format!("{start:?}…")
        }
        Value::String(text) => format!("{text:?}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rules_text_says_what_it_looks_at() {
        let found = |rule| {
            reads(rule)
                .map(
                    |Read { field, presence_only }| {
                        if presence_only { format!("has {field}") } else { field.to_owned() }
                    },
                )
                .collect::<Vec<_>>()
        };
        assert_eq!(found("self.matches('^self$') && self.size() > 0"), ["", "", ""]);
        assert_eq!(found("!has(self.a) || self.b.c == 1"), ["has a", "b.c"]);
        assert_eq!(found("self.a.all(x, x.self == 1) && oldSelf.b == 1"), ["a"]);
        assert_eq!(found("'k' in self || self['k'] == 'v'"), ["", ""]);
    }

    #[test]
    fn a_rule_is_judged_unless_what_it_looks_at_is_wrong_itself() {
        let mistyped = |path: &str, meant: &str| Finding {
            meant: Some(meant.to_owned()),
            ..Finding::new(path, "is no known field")
        };
        let wrong = |path: &str| Finding::new(path, "is a number");
        let rule = "!has(self.catalog) || has(self.currency)";
        assert!(!mistyped("spec.curency", "spec.currency").leaves(rule, "spec"));
        assert!(!mistyped("spec.products", "spec.catalog.products").leaves(rule, "spec"));
        assert!(mistyped("spec.gatway", "spec.gateway").leaves(rule, "spec"));
        // It is there, whatever it is; in what is no block, nothing is.
        assert!(wrong("spec.currency").leaves(rule, "spec"));
        assert!(!wrong("spec").leaves(rule, "spec"));
        let rule = "self.replicas <= 3";
        assert!(!wrong("spec.kafka.replicas").leaves(rule, "spec.kafka"));
        assert!(!wrong("spec.kafka").leaves(rule, "spec.kafka"));
        assert!(wrong("spec.kafka.other").leaves(rule, "spec.kafka"));
    }
}
