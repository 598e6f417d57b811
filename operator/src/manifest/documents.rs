//! Splits a file into its YAML documents, as JSON values.

use serde::Deserialize;
use serde_json::Value;

use super::{
    MAX_BYTES, expansion, locate,
    problem::{Problem, readable},
};
use crate::api::{API_VERSION, KIND};

/// One document of a file.
pub(super) struct Document<'a> {
    text: &'a str,
    /// Position among all documents of the file, empty ones included.
    pub index: usize,
    pub value: Value,
}

impl Document<'_> {
    /// A field at the top that holds text; empty when it is absent.
    pub fn text(&self, field: &str) -> &str {
        self.value.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    pub fn kind(&self) -> &str {
        self.text("kind")
    }

    pub fn name(&self) -> &str {
        self.value.pointer("/metadata/name").and_then(Value::as_str).unwrap_or("without a name")
    }

    pub fn title(&self) -> String {
        readable(&format!("{} {}", self.kind(), self.name()))
    }

    pub fn is_storefront(&self) -> bool {
        self.kind() == KIND && self.text("apiVersion") == API_VERSION
    }

    /// Line of a field at the top, or of the document when the field is absent. To find it the file is
    /// read anew, so it is asked for where something is wrong only.
    pub fn line_of(&self, field: &str) -> Option<usize> {
        locate::line(self.text, self.index, field)
    }
}

/// Every document that holds something.
pub(super) fn parse(text: &str) -> Result<Vec<Document<'_>>, Problem> {
    if text.len() > MAX_BYTES {
        return Err(Problem::new(format!(
            "the file has {} bytes; a manifest may have at most {MAX_BYTES}",
            text.len()
        )));
    }
    if !expansion::is_within(text, MAX_BYTES) {
        return Err(Problem::new(format!(
            "with its aliases (such as *name) written out the file has more than {MAX_BYTES} bytes, the most that a manifest may have: use fewer of them"
        )));
    }
    let mut documents = Vec::new();
    for (index, deserializer) in serde_yaml::Deserializer::from_str(text).enumerate() {
        // By way of YAML's own value, which refuses a key that is written twice.
        let mut value =
            serde_yaml::Value::deserialize(deserializer).map_err(|error| syntax(&error))?;
        untag(&mut value);
        if value.is_null() {
            continue;
        }
        let problem = |message: String| {
            let line = locate::line(text, index, "");
            Problem { line, path: String::new(), message }
        };
        let value = serde_json::to_value(value).map_err(|error| problem(error.to_string()))?;
        if !value.is_object() {
            return Err(problem(format!(
                "the document holds no fields: write apiVersion: {API_VERSION}, kind: {KIND}, metadata and spec"
            )));
        }
        documents.push(Document { text, index, value });
    }
    Ok(documents)
}

/// Takes YAML's tags (`!name`) off values. `kubectl` does, as JSON has no place for them; left where they are, each
/// would be read as the name of a field.
fn untag(value: &mut serde_yaml::Value) {
    while let serde_yaml::Value::Tagged(tagged) = value {
        *value = std::mem::take(&mut tagged.value);
    }
    match value {
        serde_yaml::Value::Sequence(entries) => entries.iter_mut().for_each(untag),
        serde_yaml::Value::Mapping(fields) => fields.values_mut().for_each(untag),
        _ => (),
    }
}

/// The parser's own words, with the line taken out of them.
fn syntax(error: &serde_yaml::Error) -> Problem {
    let text = error.to_string();
    let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    let line = error.location().map(|location| location.line());
    match beyond_64_bits(message) {
        Some((path, number)) => Problem {
            line,
            path: path.to_owned(),
            message: format!("{number} is too large; write a number nearer to 0"),
        },
        None => Problem {
            line,
            path: String::new(),
            message: format!("this is no valid YAML: {message}"),
        },
    }
}

/// Where a number stands that no field can hold, in words that are serde's.
fn beyond_64_bits(message: &str) -> Option<(&str, &str)> {
    let (path, number) = message.split_once("invalid type: integer `")?;
    let (number, kind) = number.split_once("` as ")?;
    kind.contains("128").then_some((path.trim_end_matches(": "), number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_no_field() {
        let text = "a: !one {b: [!two 1, !three [!four x]]}\nc: !five\n---\n!six {d: 1}\n";
        let documents = parse(text).ok().unwrap();
        let values: Vec<_> = documents.into_iter().map(|document| document.value).collect();
        let first = serde_json::json!({ "a": { "b": [1, ["x"]] }, "c": null });
        assert_eq!(values, [first, serde_json::json!({ "d": 1 })]);
    }
}
