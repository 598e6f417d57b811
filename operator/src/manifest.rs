//! Reads a Storefront from a YAML file and reports everything that is wrong with it at once, each
//! with its line, its field and what to write instead. Reads text only; opening files is the caller's.

#[cfg(feature = "cel")]
mod cel;
mod documents;
mod expansion;
mod finding;
mod locate;
mod problem;
mod schema;
mod suggest;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    api::{API_VERSION, KIND, Storefront},
    plan::{self, Fault, Placement},
};
use documents::Document;
use finding::Finding;
pub use problem::{ManifestError, Problem};

/// Largest manifest that is read, in bytes: the API server takes no larger request either.
pub const MAX_BYTES: usize = 3 << 20;

/// Most problems of one Storefront that are told at once: each is looked for in the whole file.
const TOLD_MAX: usize = 30;

/// What a file holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    pub storefront: Storefront,
    /// Text data of the ConfigMaps in the same file, by name and key.
    pub config_maps: BTreeMap<String, BTreeMap<String, String>>,
    /// Other objects in the file, as `Kind name`; they are a cluster's business.
    pub ignored: Vec<String>,
}

/// Without the byte order mark that some editors put first, and YAML's reader takes for a document.
fn unmarked(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Reads the one Storefront in `text`. `file` is only shown.
///
/// Checked are the YAML itself, names and types of fields, (with the feature `cel`) every rule that the
/// API server checks on creation, and whether a plan can be made of it.
pub fn load(file: &str, text: &str) -> Result<Manifest, ManifestError> {
    let (text, error) = (unmarked(text), |problems| ManifestError::new(file, problems));
    let documents = documents::parse(text).map_err(|problem| error(vec![problem]))?;
    let document = only_storefront(&documents).map_err(|problem| error(vec![problem]))?;
    read(text, &documents, document).map_err(error)
}

/// Reads every Storefront in `text`, at least one, with the same checks.
pub fn load_all(file: &str, text: &str) -> Result<Vec<Manifest>, ManifestError> {
    let (text, error) = (unmarked(text), |problems| ManifestError::new(file, problems));
    let documents = documents::parse(text).map_err(|problem| error(vec![problem]))?;
    let (mut manifests, mut problems) = (Vec::new(), Vec::new());
    for document in documents.iter().filter(|document| document.is_storefront()) {
        match read(text, &documents, document) {
            Ok(manifest) => manifests.push(manifest),
            Err(found) => problems.extend(found),
        }
    }
    if manifests.is_empty() && problems.is_empty() {
        problems.push(no_storefront(&documents));
    }
    if problems.is_empty() { Ok(manifests) } else { Err(error(problems)) }
}

/// What the API server refuses of an edit, in its words: the rules that look at the object before it.
#[cfg(feature = "cel")]
pub fn refused_edits(before: &Storefront, after: &Storefront) -> Result<Vec<Problem>, String> {
    let text = |error: serde_json::Error| error.to_string();
    let schema = crate::crd::schema().map_err(|error| error.to_string())?;
    let before = serde_json::to_value(before).map_err(text)?;
    let after = serde_json::to_value(after).map_err(text)?;
    let refused = cel::check_edit(schema, &before, &after).into_iter();
    Ok(refused.map(|Finding { path, message, .. }| Problem { line: None, path, message }).collect())
}

/// One Storefront, with what stands beside it in the file.
fn read(
    text: &str,
    documents: &[Document<'_>],
    document: &Document<'_>,
) -> Result<Manifest, Vec<Problem>> {
    let object = schema::without_nulls(&document.value);
    let (findings, storefront) = check(object).map_err(|message| vec![Problem::new(message)])?;
    let Some(storefront) = storefront.filter(|_| findings.is_empty()) else {
        let found = findings.len();
        let findings = findings.into_iter().take(TOLD_MAX);
        let mut problems: Vec<_> =
            findings.map(|finding| finding.located(text, document.index)).collect();
        problems.sort_by(|(a, left), (b, right)| (a, &left.path).cmp(&(b, &right.path)));
        let mut problems: Vec<_> = problems.into_iter().map(|(_, problem)| problem).collect();
        if found > TOLD_MAX {
            let more = found - TOLD_MAX;
            problems.push(Problem::new(format!("and {more} more; put these right first")));
        }
        return Err(problems);
    };
    let mut manifest = Manifest { storefront, config_maps: BTreeMap::new(), ignored: Vec::new() };
    for other in documents.iter().filter(|other| !other.is_storefront()) {
        if other.kind() == "ConfigMap" {
            manifest.config_maps.insert(other.name().to_owned(), text_data(&other.value));
        } else {
            manifest.ignored.push(other.title());
        }
    }
    Ok(manifest)
}

/// Everything that is wrong at once, and the object when its shape is right. What cannot be judged
/// because of something else in the list is left out: it would be told in words that mislead.
fn check(object: Value) -> Result<(Vec<Finding>, Option<Storefront>), String> {
    let schema = crate::crd::schema().map_err(|error| error.to_string())?;
    let mut findings = schema::check(schema, &object);
    #[cfg(feature = "cel")]
    {
        let broken = cel::check(schema, &object, &findings);
        findings.extend(broken);
    }
    let storefront = match serde_json::from_value::<Storefront>(object) {
        Ok(storefront) => storefront,
        Err(error) if findings.is_empty() => return Err(error.to_string()),
        Err(_) => return Ok((findings, None)),
    };
    let faults = plan_faults(&storefront, &findings);
    findings.extend(faults);
    Ok((findings, Some(storefront)))
}

/// What only a plan finds wrong: it is made for a cluster, as that is where the manifest goes. Rules
/// are told already, and a fault of a block whose fields are not known for sure is not one yet.
fn plan_faults(storefront: &Storefront, findings: &[Finding]) -> Vec<Finding> {
    let namespace = storefront.metadata.namespace.as_deref().unwrap_or("default");
    let invalid = match Placement::cluster(storefront, namespace) {
        Ok(placement) => plan::plan(storefront, &placement).err(),
        Err(error) if findings.is_empty() => return vec![Finding::new("spec", error.to_string())],
        Err(_) => None,
    };
    let faults = invalid.into_iter().flat_map(|invalid| invalid.0);
    faults
        .filter(|error| !cfg!(feature = "cel") || !matches!(error.fault, Fault::Rule(_)))
        .filter(|error| {
            let block = block(&error.field);
            !findings.iter().any(|finding| finding.blurs(block))
        })
        .map(|error| Finding::new(&error.field, error.fault.to_string()))
        .collect()
}

/// The part of the manifest in which a field's neighbours are: `spec.kafka` of
/// `spec.kafka.topics.config.retention.ms`, and `metadata.name` as it is.
fn block(field: &str) -> &str {
    field.match_indices('.').nth(1).map_or(field, |(end, _)| &field[..end])
}

/// The one document that is a Storefront.
fn only_storefront<'a>(documents: &'a [Document<'a>]) -> Result<&'a Document<'a>, Problem> {
    let mut found = documents.iter().filter(|document| document.is_storefront());
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(only),
        (Some(first), Some(second)) => Err(Problem {
            line: second.line_of(""),
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
