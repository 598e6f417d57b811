//! JSON of another shape than was asked for, in words for whoever sent it: serde's own name Rust's types,
//! and not the field.

use std::fmt::Write as _;

use http::StatusCode;
use serde_json::json;
use serde_path_to_error::{Error, Path, Segment};

use crate::Problem;

/// Most characters of what a client sent that are repeated to it.
const REPEATED_MAX_CHARS: usize = 80;

/// 422 with the field, as a JSON pointer (RFC 6901), and what must stand there.
pub fn problem(error: &Error<serde_json::Error>) -> Problem {
    let message = error.inner().to_string();
    // serde_json ends with a place in the text; the field says more.
    let message = message.rsplit_once(" at line ").map_or(&*message, |(said, _)| said);
    let mut pointer = pointer(error.path());
    let field = ["missing field `", "duplicate field `"];
    if let Some(field) = field.into_iter().find_map(|fault| message.strip_prefix(fault)) {
        write!(pointer, "/{}", escaped(field.trim_end_matches('`'))).ok();
    }
    let detail = readable(&detail(message));
    let place = if pointer.is_empty() { "the body" } else { &readable(&pointer) };
    Problem::of(StatusCode::UNPROCESSABLE_ENTITY)
        .detail(format!("{place} {detail}"))
        .with("errors", json!([{"pointer": pointer, "detail": detail}]))
}

/// What is wrong with the field.
fn detail(message: &str) -> String {
    let (fault, wanted) = message.rsplit_once(", expected ").unwrap_or((message, "none"));
    let (kind, found) = fault.split_once([':', '`']).unwrap_or((fault, ""));
    match kind.trim() {
        "missing field" => "is missing; it must be sent".into(),
        "duplicate field" => "is there twice; send it once".into(),
        "unknown field" => format!("is unknown; known here are {}", choices(wanted)),
        "unknown variant" => {
            let found = clipped(found.trim_end_matches('`'));
            format!("must be one of {}, not {found}", choices(wanted))
        }
        "invalid type" => format!("must be {}, not {}", kind_of(wanted), value(found.trim())),
        "invalid value" => format!("must be {}, not {}", range_of(wanted), value(found.trim())),
        // An array where an object must stand: serde takes it for the object's values.
        kind if kind.starts_with("invalid length") && wanted.starts_with("struct ") => {
            "must be an object, not an array".into()
        }
        // A type's own words, which say what to write.
        _ => format!("is wrong: {}", clipped(message)),
    }
}

/// The names that there are.
fn choices(wanted: &str) -> String {
    wanted.trim_start_matches("one of ").replace('`', "").replace(" or ", ", ")
}

/// What must stand there.
fn kind_of(wanted: &str) -> &str {
    match wanted {
        "u8" | "u16" | "u32" | "u64" | "usize" | "i8" | "i16" | "i32" | "i64" | "isize" => {
            "a whole number"
        }
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "an array",
        "a map" => "an object",
        wanted if wanted.starts_with("struct ") => "an object",
        wanted => wanted,
    }
}

/// The same, for a value of the right kind that does not fit.
fn range_of(wanted: &str) -> String {
    let (least, most): (i128, i128) = match wanted {
        "u8" => (0, u8::MAX.into()),
        "u16" => (0, u16::MAX.into()),
        "u32" => (0, u32::MAX.into()),
        "u64" | "usize" => (0, u64::MAX.into()),
        "i32" => (i32::MIN.into(), i32::MAX.into()),
        "i64" | "isize" => (i64::MIN.into(), i64::MAX.into()),
        wanted => return kind_of(wanted).to_owned(),
    };
    format!("a whole number, {least} to {most}")
}

/// What stands there, as in JSON.
fn value(found: &str) -> String {
    match found.split_once(['`', '"']) {
        Some(("string ", _)) => clipped(&found["string ".len()..]),
        Some((_, value)) => clipped(value.trim_end_matches('`')),
        None if found == "map" => "an object".into(),
        None if found == "sequence" => "an array".into(),
        None => clipped(found),
    }
}

fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => write!(pointer, "/{index}").ok(),
            Segment::Map { key } | Segment::Enum { variant: key } => {
                write!(pointer, "/{}", escaped(key)).ok()
            }
            Segment::Unknown => None,
        };
    }
    pointer
}

fn escaped(key: &str) -> String {
    clipped(key).replace('~', "~0").replace('/', "~1")
}

/// Names and values may hold anything, and somebody may read this in a terminal.
fn readable(text: &str) -> String {
    let mut readable = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { readable.extend(c.escape_default()) } else { readable.push(c) }
    }
    readable
}

fn clipped(text: &str) -> String {
    let mut clipped: String = text.chars().take(REPEATED_MAX_CHARS).collect();
    if clipped.len() < text.len() {
        clipped.push('…');
    }
    clipped
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use crate::http::parse;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read into")]
    struct Order {
        user: String,
        cart: Vec<Line>,
        note: Option<String>,
        gift: Option<bool>,
        way: Option<Way>,
        more: Option<BTreeMap<String, i64>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read into")]
    struct Line {
        quantity: u32,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Way {
        Post,
        Pigeon,
    }

    #[test]
    fn each_field_is_named_with_what_to_write() {
        let order = |more: &str| format!(r#"{{"user": "ada", "cart": [], {more}}}"#);
        let cart = |lines: &str| format!(r#"{{"user": "ada", "cart": {lines}}}"#);
        let bodies = [
            "[]".to_owned(),
            r#"["ada"]"#.into(),
            "null".into(),
            "17".into(),
            "{}".into(),
            r#"{"user": 17}"#.into(),
            r#"{"user": "ada", "user": "bob"}"#.into(),
            cart("{}"),
            cart(r#""phone""#),
            cart("[[]]"),
            cart("[{}]"),
            cart("[null]"),
            cart(r#"[{"quantity": 1}, {"quantity": "two"}]"#),
            cart(r#"[{"quantity": 1.5}]"#),
            cart(r#"[{"quantity": -1}]"#),
            cart(r#"[{"quantity": 4294967296}]"#),
            cart(r#"[{"quantity": 18446744073709551616}]"#),
            cart(r#"[{"quantity": true}]"#),
            cart(r#"[{"quantity": {}}]"#),
            cart(r#"[{"quantity": 1, "total": 2}]"#),
            cart(&format!(r#"[{{"quantity": "{}"}}]"#, "x".repeat(1000))),
            order(r#""note": ["late"]"#),
            order(r#""gift": "yes, expected"  "#),
            order(r#""way": "train"  "#),
            order(r#""more": {"a/b~c": null}"#),
            order(r#""more": {"a": 9223372036854775808}"#),
            order(&format!(r#""{}": 1"#, "x".repeat(1000))),
            order(r#""\u001b[31m\n": 1"#),
        ];
        let table: Vec<String> = bodies
            .iter()
            .map(|body| {
                let problem = parse::<Order>(body.as_bytes()).unwrap_err();
                let shown: String = body.chars().take(90).collect();
                let told = problem.to_json();
                assert_eq!(problem.status(), 422, "{body}: {told}");
                format!("{shown}\n    {}", told["detail"].as_str().unwrap())
            })
            .collect();
        insta::assert_snapshot!(table.join("\n"));
    }

    #[test]
    fn what_is_no_json_is_another_fault() {
        for body in ["", "{", r#"{"quantity": NaN}"#, r#"{"quantity": 1} {}"#] {
            let problem = parse::<Line>(body.as_bytes()).unwrap_err();
            assert_eq!(problem.status(), 400, "{body}: {}", problem.to_json());
        }
    }
}
