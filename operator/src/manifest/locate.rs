//! Finds the line of a field. `serde_yaml` gives positions with errors only, so a visitor walks to
//! the field and fails there on purpose.

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// Where a field is in a file; in the order of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// From 1.
    pub line: usize,
    column: usize,
}

/// Line of the field at `path`, as [`place`] finds it.
pub(super) fn line(text: &str, document: usize, path: &str) -> Option<usize> {
    place(text, document, path).map(|place| place.line)
}

/// Where the field at `path` (such as `spec.products[0].id`) is in one document. When the field is
/// absent, where what would hold it is.
pub(super) fn place(text: &str, document: usize, path: &str) -> Option<Place> {
    let mut steps = steps(path);
    loop {
        if let Some(place) = exact(text, document, &steps) {
            return Some(place);
        }
        // Ends: a path without steps is the document itself.
        steps.pop()?;
    }
}

fn exact(text: &str, document: usize, steps: &[Step]) -> Option<Place> {
    let deserializer = serde_yaml::Deserializer::from_str(text).nth(document)?;
    let error = Walk { steps }.deserialize(deserializer).err()?;
    error.location().map(|at| Place { line: at.line(), column: at.column() })
}

/// Reads a path as it is written in messages. A key with a dot in it is not told apart; its parent
/// is found then.
fn steps(path: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for part in path.split('.').filter(|part| !part.is_empty()) {
        let mut pieces = part.split('[');
        if let Some(key) = pieces.next().filter(|key| !key.is_empty()) {
            steps.push(Step::Key(key.to_owned()));
        }
        steps.extend(
            pieces.filter_map(|piece| piece.trim_end_matches(']').parse().ok()).map(Step::Index),
        );
    }
    steps
}

/// Walks down a path and fails at its end.
struct Walk<'a> {
    steps: &'a [Step],
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.steps.is_empty() {
            // Any visitor will do: it fails at the first thing it sees.
            return deserializer.deserialize_any(Stop);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (wanted, rest) = match self.steps.split_first() {
            Some((Step::Key(wanted), rest)) => (wanted.as_str(), rest),
            _ => return drain(map),
        };
        // The end of a path is marked at its key: a value may begin lines further down.
        while let Some(found) = map.next_key_seed(Key { wanted, stop: rest.is_empty() })? {
            if found {
                map.next_value_seed(Walk { steps: rest })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        if let Some((Step::Index(wanted), rest)) = self.steps.split_first() {
            for _ in 0..*wanted {
                seq.next_element::<IgnoredAny>()?;
            }
            seq.next_element_seed(Walk { steps: rest })?;
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
}

/// What is not read to its end is an error of its own, with a position that means nothing.
fn drain<'de, A: MapAccess<'de>>(mut map: A) -> Result<(), A::Error> {
    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
}

/// Refuses everything; serde's own refusal of a wrong type carries the position.
struct Stop;

impl Visitor<'_> for Stop {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the end of the path")
    }
}

/// Compares a key, and fails at it when it is the end of the path.
struct Key<'a> {
    wanted: &'a str,
    stop: bool,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        match key == self.wanted {
            true if self.stop => Err(E::custom("found")),
            found => Ok(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
a: 1
---
spec:
  currency: INR
  products:
  - id: phone
    name: Nova
  - {id: case, name: Case}
  config: {retention.ms: 5}
";

    #[test]
    fn a_field_is_found_in_its_document() {
        for (path, expected) in [
            ("spec.currency", 4),
            ("spec.products", 5),
            ("spec.products[0].name", 7),
            ("spec.products[1]", 8),
            ("spec.products[1].name", 8),
            ("spec.missing", 3),
            ("spec.products[7].id", 5),
            ("spec.config.retention.ms", 9),
            ("", 3),
        ] {
            assert_eq!(line(TEXT, 1, path), Some(expected), "{path}");
        }
        assert_eq!(line(TEXT, 0, "a"), Some(1));
        assert_eq!(line(TEXT, 7, "a"), None);
    }
}
