//! Reads a Storefront from a YAML file and reports everything that is wrong with it at once, each
//! with its line, its field and what to write instead. Reads text only; opening files is the caller's.

#[cfg(feature = "cel")]
mod cel;
mod documents;
mod locate;
mod problem;
mod schema;
mod suggest;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::api::{API_VERSION, KIND, Storefront};
use documents::Document;
pub use problem::{ManifestError, Problem};

/// Largest manifest that is read, in bytes: the API server takes no larger request either.
pub const MAX_BYTES: usize = 3 << 20;

/// What a file holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    pub storefront: Storefront,
    /// Text data of the ConfigMaps in the same file, by name and key.
    pub config_maps: BTreeMap<String, BTreeMap<String, String>>,
    /// Other objects in the file, as `Kind name`; they are a cluster's business.
    pub ignored: Vec<String>,
}

/// Reads the one Storefront in `text`. `file` is only shown.
///
/// Checked are the YAML itself, names and types of fields, and (with the feature `cel`) every rule
/// that the API server checks on creation.
pub fn load(file: &str, text: &str) -> Result<Manifest, ManifestError> {
    let error = |problems| ManifestError { file: file.to_owned(), problems };
    let documents = documents::parse(text).map_err(|problem| error(vec![problem]))?;
    let document = only_storefront(&documents).map_err(|problem| error(vec![problem]))?;
    let located = |found: Vec<schema::Finding>| {
        let mut problems: Vec<_> =
            found.into_iter().map(|finding| finding.located(text, document.index)).collect();
        problems.sort_by(|a, b| (a.line, &a.path).cmp(&(b.line, &b.path)));
        error(problems)
    };
    let object = schema::without_nulls(&document.value);
    let findings = check(&object).map_err(|message| error(vec![Problem::new(message)]))?;
    if !findings.is_empty() {
        return Err(located(findings));
    }
    let storefront = serde_json::from_value(object)
        .map_err(|source| error(vec![Problem::new(source.to_string())]))?;
    let mut manifest = Manifest { storefront, config_maps: BTreeMap::new(), ignored: Vec::new() };
    for other in documents.iter().filter(|other| other.index != document.index) {
        if other.kind() == "ConfigMap" {
            manifest.config_maps.insert(other.name().to_owned(), text_data(&other.value));
        } else {
            manifest.ignored.push(other.title());
        }
    }
    Ok(manifest)
}

/// Shape first: a rule over a field of the wrong type would only say that it could not be evaluated.
/// The API server does the same.
fn check(object: &Value) -> Result<Vec<schema::Finding>, String> {
    let schema = crate::crd::schema().map_err(|error| error.to_string())?;
    let findings = schema::check(&schema, object);
    #[cfg(feature = "cel")]
    if findings.is_empty() {
        return Ok(cel::check(&schema, object));
    }
    Ok(findings)
}

/// The one document that is a Storefront.
fn only_storefront<'a>(documents: &'a [Document<'a>]) -> Result<&'a Document<'a>, Problem> {
    let mut found = documents.iter().filter(|document| document.is_storefront());
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(only),
        (Some(first), Some(second)) => Err(Problem {
            line: second.line,
            path: String::new(),
            message: format!(
                "this is a second Storefront ({}; the first is {}): keep each in a file of its own",
                second.name(),
                first.name()
            ),
        }),
        (None, _) => Err(no_storefront(documents)),
    }
}

fn no_storefront(documents: &[Document<'_>]) -> Problem {
    let Some(first) = documents.first() else {
        return Problem::new(format!(
            "the file is empty: write apiVersion: {API_VERSION}, kind: {KIND}, metadata and spec"
        ));
    };
    let api_version = first.text("apiVersion");
    let (path, message) = match first.kind() {
        "" => ("kind", format!("is missing; write kind: {KIND}")),
        KIND if api_version.is_empty() => {
            ("apiVersion", format!("is missing; write apiVersion: {API_VERSION}"))
        }
        KIND => ("apiVersion", format!("{api_version:?} is unknown; write {API_VERSION}")),
        other => ("kind", format!("{other:?} is no Storefront; write kind: {KIND}")),
    };
    Problem { line: first.line_of(path), path: path.into(), message }
}

/// Entries of a ConfigMap's `data`.
fn text_data(config_map: &Value) -> BTreeMap<String, String> {
    let entries = config_map.get("data").and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}
