//! Sizes, and the words that must not be in a file.

use crate::sources::{Source, sources};

const FILE_LINES_MAX: usize = 500;
const FILE_LINES_MEDIAN_MAX: usize = 120;
const FUNCTION_LINES_MAX: usize = 70;

/// Name and length of each function. It trusts rustfmt: a function ends with a brace that stands as far
/// in as the line on which it begins.
fn functions(lines: &[String]) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let Some(name) = function_name(code) else { continue };
        let end = format!("{}}}", &line[..line.len() - code.len()]);
        for (length, line) in (1..).zip(&lines[start..]) {
            if *line == end || (length == 1 && line.ends_with('}')) {
                found.push((name.to_owned(), length));
                break;
            }
            if line.ends_with(';')
                && !lines[start..start + length].iter().any(|it| it.ends_with('{'))
            {
                break; // declared, without a body
            }
        }
    }
    found
}

fn function_name(code: &str) -> Option<&str> {
    let (before, after) = code.split_once("fn ")?;
    let words = ["pub", "async", "const", "unsafe", "extern", "\"C\"", "default"];
    let is_function =
        before.split_whitespace().all(|it| words.contains(&it) || it.starts_with("pub("));
    is_function.then(|| after.split(['(', '<']).next()).flatten()
}

fn violations(rule: impl Fn(&Source) -> Vec<String>) {
    let found: Vec<String> = sources()
        .iter()
        .flat_map(|source| rule(source).into_iter().map(|what| format!("{}: {what}", source.path)))
        .collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_file_fits_in_the_head() {
    violations(|source| {
        let lines = source.lines.len();
        (lines > FILE_LINES_MAX).then(|| format!("{lines} lines")).into_iter().collect()
    });
    let mut sizes: Vec<usize> = sources().iter().map(|source| source.lines.len()).collect();
    sizes.sort_unstable();
    let median = sizes[sizes.len() / 2];
    assert!(median <= FILE_LINES_MEDIAN_MAX, "half of the files have more than {median} lines");
}

#[test]
fn a_function_fits_on_a_screen() {
    violations(|source| {
        let functions = functions(&source.lines).into_iter();
        let large = functions.filter(|(_, lines)| *lines > FUNCTION_LINES_MAX);
        large.map(|(name, lines)| format!("{name} has {lines} lines")).collect()
    });
}

#[test]
fn a_file_begins_with_what_it_is_for() {
    violations(|source| {
        let opens = source.lines.first().is_some_and(|line| line.starts_with("//! "));
        (!opens).then(|| "no //! on its first line".to_owned()).into_iter().collect()
    });
}

#[test]
fn nothing_is_left_for_later() {
    let words = ["todo!(", "unimplemented!(", "#[ignore", "TODO", "FIXME", "XXX"];
    violations(|source| {
        let lines = (1..).zip(&source.lines);
        let found = lines.filter(|(_, line)| words.iter().any(|word| line.contains(word)));
        found.map(|(number, line)| format!("{number}: {}", line.trim())).collect()
    });
}

#[test]
fn only_the_broker_is_unsafe() {
    violations(|source| {
        let lines = source.lines.iter();
        let mut unsafe_lines = lines.filter(|line| line.contains("(unsafe_code"));
        let here = unsafe_lines.next().is_some() && source.path != "services/broker/src/ffi.rs";
        here.then(|| "unsafe code".to_owned()).into_iter().collect()
    });
}

#[test]
fn functions_are_measured_as_rustfmt_writes_them() {
    let text = "pub(crate) async fn one(\n    a: u8,\n) -> u8\nwhere\n    u8: Copy,\n{\n    a\n}\n\
                trait T {\n    fn two(&self) -> u8;\n    fn three() {}\n}\n// a fn in words\n";
    let lines: Vec<String> = text.lines().map(String::from).collect();
    assert_eq!(functions(&lines), [("one".to_owned(), 8), ("three".to_owned(), 1)]);
}
