//! `docs/guarantees.md` promises nothing that no test holds: each line of its tables names tests, and each of
//! them is there and runs.

use std::fs;

use crate::sources::root;

/// A line of a table, and the tests that it names: what each is called, and its file.
fn promises(page: &str) -> Vec<(&str, Vec<(&str, &str)>)> {
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| promise"));
    rows.map(|row| (row, tests(row))).collect()
}

/// Every [`name`](../file).
fn tests(row: &str) -> Vec<(&str, &str)> {
    let link = |text| {
        let (name, rest): (&str, &str) = str::split_once(text, "`](../")?;
        Some((name, rest.split_once(')')?.0))
    };
    row.split("[`").skip(1).filter_map(link).collect()
}

/// Where tests are that `make e2e` runs in a cluster, and `cargo test` leaves out.
const IN_A_CLUSTER: &str = "tests/e2e/";

/// Whether a file has a test of that name which is not left out: with an attribute of its own, or named
/// once more, in the list of a macro that makes it one.
fn runs(path: &str, file: &str, name: &str) -> bool {
    let lines: Vec<&str> = file.lines().map(str::trim).collect();
    let head = format!("fn {name}(");
    let Some(at) = lines.iter().position(|line| line.contains(&head)) else { return false };
    let above = lines[..at].iter().rev();
    let attributes: Vec<_> = above.take_while(|line| line.starts_with('#')).collect();
    let is_test = attributes.iter().any(|line| line.contains("test"));
    let is_left_out =
        !path.starts_with(IN_A_CLUSTER) && attributes.iter().any(|line| line.contains("ignore"));
    let listed = lines.iter().any(|line| {
        let word = line.split(['(', ',', ' ']).next().unwrap_or_default();
        word == name
    });
    (is_test || listed) && !is_left_out
}

#[test]
fn every_promise_is_held_by_tests_that_are_there() {
    let root = root();
    let page = fs::read_to_string(root.join("docs/guarantees.md")).unwrap();
    let promises = promises(&page);
    assert!(promises.len() > 20, "only {} promises are read", promises.len());
    for (row, tests) in promises {
        assert!(!tests.is_empty(), "no test is named: {row}");
        for (name, path) in tests {
            let file = fs::read_to_string(root.join(path));
            let file = file.unwrap_or_else(|error| panic!("{path}: {error}, of {row}"));
            assert!(runs(path, &file, name), "{path} has no test {name}, of {row}");
        }
    }
}

#[test]
fn a_test_that_is_gone_or_left_out_holds_nothing() {
    let file = "#[tokio::test]\nasync fn runs() {}\n\n#[test]\n#[ignore]\nfn is_left_out() {}\n\
                fn helps() {}\non_both! {\n    in_a_list,\n}\nasync fn in_a_list(on: On) {}\n";
    let held = ["runs", "is_left_out", "helps", "in_a_list", "is_gone"]
        .map(|name| runs("a.rs", file, name));
    assert_eq!(held, [true, false, false, true, false]);
    assert!(runs("tests/e2e/a.rs", file, "is_left_out"), "make e2e runs it");
    assert_eq!(
        tests("| x | [`a`](../b.rs), in words [`c`](../d/e.rs) |"),
        [("a", "b.rs"), ("c", "d/e.rs")]
    );
    assert_eq!(tests("| x | nobody |"), []);
}
