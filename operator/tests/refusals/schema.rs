//! Objects made from the schema: just what is required, with one value at one place.

use serde_json::{Map, Value, json};

/// Where a node of the schema is: names of fields, `[]` for an entry of a list, `{}` for one of a map.
pub type Path = Vec<String>;

/// Every node of the schema with its place, the outermost first.
pub fn walk<'a>(node: &'a Value, path: &mut Path, visit: &mut impl FnMut(&'a Value, &Path)) {
    visit(node, path);
    let fields = node["properties"].as_object().into_iter().flatten();
    let fields = fields.map(|(name, child)| (name.as_str(), child));
    let entries = [("[]", &node["items"]), ("{}", &node["additionalProperties"])];
    for (name, child) in fields.chain(entries.into_iter().filter(|(_, child)| child.is_object())) {
        path.push(name.to_owned());
        walk(child, path, visit);
        path.pop();
    }
}

/// An object that has `value` at `path`, and beside it no more than what is required.
pub fn with(schema: &Value, path: &[String], value: &Value) -> Value {
    let Some((name, rest)) = path.split_first() else { return value.clone() };
    match name.as_str() {
        "[]" => json!([with(&schema["items"], rest, value)]),
        "{}" => json!({"a": with(&schema["additionalProperties"], rest, value)}),
        name => {
            let mut fields = required(schema);
            fields.insert(name.into(), with(&schema["properties"][name], rest, value));
            Value::Object(fields)
        }
    }
}

/// The smallest value that the schema takes; its rules may say more.
pub fn sample(schema: &Value) -> Value {
    match schema["type"].as_str() {
        Some("object") => Value::Object(required(schema)),
        Some("array") => json!([]),
        Some("integer") => json!(1),
        Some("boolean") => json!(true),
        _ => schema["enum"].get(0).cloned().unwrap_or(json!("a")),
    }
}

fn required(schema: &Value) -> Map<String, Value> {
    let names = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    names.map(|name| (name.to_owned(), sample(&schema["properties"][name]))).collect()
}

/// As the API server writes it: `spec.catalog.products[0].id`.
pub fn shown(path: &[String]) -> String {
    let mut text = String::new();
    for name in path {
        match name.as_str() {
            "[]" => text.push_str("[0]"),
            "{}" => text.push_str(".a"),
            name if text.is_empty() || name.starts_with('[') => text.push_str(name),
            name => {
                text.push('.');
                text.push_str(name);
            }
        }
    }
    text
}
