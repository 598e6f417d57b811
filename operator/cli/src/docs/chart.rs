//! What the chart says about its values: the table in its README and the descriptions in its schema, both
//! from the comments of `values.yaml`.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::Context as _;
use serde_json::Value;

const BEGIN: &str = "<!-- values: written by `make generate` -->\n";
const END: &str = "<!-- end of values -->\n";

/// A value that has a comment. What is below it without one is part of its default.
struct Documented {
    path: Vec<String>,
    meaning: String,
}

/// Writes both into the chart's folder.
pub fn write(folder: &Path) -> anyhow::Result<()> {
    let read = |name: &str| {
        let file = folder.join(name);
        fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))
    };
    let text = read("values.yaml")?;
    let (values, defaults) = (documented(&text), serde_yaml::from_str(&text)?);
    let mut schema: Value = serde_json::from_str(&read("values.schema.json")?)?;
    for value in &values {
        describe(&mut schema, value)?;
    }
    let schema = serde_json::to_string_pretty(&schema)?;
    fs::write(folder.join("values.schema.json"), format!("{schema}\n"))?;
    let readme = read("README.md")?;
    let (head, rest) = readme.split_once(BEGIN).context("README.md has no place for values")?;
    let (_, tail) = rest.split_once(END).context("README.md has no end of values")?;
    let table = table(&values, &defaults);
    fs::write(folder.join("README.md"), format!("{head}{BEGIN}\n{table}\n{END}{tail}"))?;
    Ok(())
}

fn documented(text: &str) -> Vec<Documented> {
    let (mut found, mut path, mut comment) = (Vec::new(), Vec::<String>::new(), Vec::new());
    for line in text.lines() {
        let below = line.trim_start();
        if let Some(said) = below.strip_prefix('#') {
            comment.push(said.trim());
        } else if let Some((name, _)) = below.split_once(':')
            && name.chars().all(char::is_alphanumeric)
        {
            path.truncate((line.len() - below.len()) / 2);
            path.push(name.to_owned());
            if !comment.is_empty() {
                found.push(Documented { path: path.clone(), meaning: comment.join(" ") });
            }
            comment.clear();
        } else {
            comment.clear();
        }
    }
    found
}

fn describe(schema: &mut Value, value: &Documented) -> anyhow::Result<()> {
    let mut node = schema;
    for name in &value.path {
        let known = node.pointer_mut(&format!("/properties/{name}"));
        node = known
            .with_context(|| format!("{} is not in values.schema.json", value.path.join(".")))?;
    }
    node["description"] = value.meaning.clone().into();
    Ok(())
}

fn table(values: &[Documented], defaults: &Value) -> String {
    let mut table = String::from("| value | default | meaning |\n|---|---|---|\n");
    for value in values {
        let path = value.path.join(".");
        let is_above = |other: &Documented| {
            other.path.len() > value.path.len() && other.path.starts_with(&value.path)
        };
        let default = if values.iter().any(is_above) {
            String::new()
        } else {
            format!("`{}`", value.path.iter().fold(defaults, |node, name| &node[name]))
        };
        let meaning = value.meaning.replace('|', "\\|");
        // Writing into a String cannot fail.
        let _ = writeln!(table, "| `{path}` | {default} | {meaning} |");
    }
    table
}
