//! Documents lead nowhere that is not there: links between them and to files, headings within them, files in
//! backticks, and targets of `make`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::sources::root;

/// A document, and its text without the code in fences.
struct Page {
    file: PathBuf,
    whole: String,
    prose: String,
}

fn pages() -> Vec<Page> {
    let mut files = Vec::new();
    collect(&root(), &mut files);
    let page = |file: PathBuf| {
        let whole = fs::read_to_string(&file).unwrap();
        let prose: Vec<&str> = whole.split("```").step_by(2).collect();
        Page { prose: prose.concat(), whole, file }
    };
    files.into_iter().map(page).collect()
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            if !name.starts_with('.') && !["target", "node_modules", "shared"].contains(&name) {
                collect(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// What stands between two marks, each time.
fn between<'a>(text: &'a str, from: &'a str, to: char) -> impl Iterator<Item = &'a str> {
    text.split(from).skip(1).filter_map(move |rest| rest.split(to).next())
}

/// A heading as GitHub writes it into an address.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    kept.chars()
        .filter(|c| c.is_alphanumeric() || "-_ ".contains(*c))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

fn has_heading(page: &str, wanted: &str) -> bool {
    let prose: Vec<&str> = page.split("```").step_by(2).collect();
    let prose = prose.concat();
    prose
        .lines()
        .filter(|line| line.starts_with('#'))
        .any(|line| anchor(line.trim_start_matches('#')) == wanted)
}

fn dead_link(page: &Page, link: &str) -> bool {
    if link.starts_with("http") || link.starts_with("mailto:") {
        return false;
    }
    let (path, heading) = link.split_once('#').unwrap_or((link, ""));
    let file = match path {
        "" => page.file.clone(),
        path => page.file.parent().unwrap().join(path),
    };
    let there = file.exists();
    let leads = heading.is_empty()
        || fs::read_to_string(&file).is_ok_and(|text| has_heading(&text, heading));
    !there || !leads
}

#[test]
fn every_link_leads_somewhere() {
    let (mut links, mut dead) = (0, Vec::new());
    for page in pages() {
        for link in between(&page.prose, "](", ')') {
            links += 1;
            if dead_link(&page, link) {
                dead.push(format!("{}: {link}", page.file.display()));
            }
        }
    }
    assert!(links > 100, "only {links} links are read");
    assert!(dead.is_empty(), "{}", dead.join("\n"));
}

/// What a guide has its reader make.
const TO_BE_MADE: &str = "loyalty";

#[test]
fn every_file_that_is_named_is_there() {
    let root = root();
    let tops = [
        "operator/",
        "services/",
        "tests/",
        "docs/",
        "charts/",
        "examples/",
        "images/",
        "fuzz/",
        "crds/",
    ];
    let (mut named, mut missing) = (0, Vec::new());
    for page in pages() {
        for name in between(&page.prose, "`", '`') {
            let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b));
            if plain && tops.iter().any(|top| name.starts_with(top)) && !name.contains(TO_BE_MADE) {
                named += 1;
                if !root.join(name).exists() {
                    missing.push(format!("{}: {name}", page.file.display()));
                }
            }
        }
    }
    assert!(named > 20, "only {named} files are read");
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn every_target_of_make_is_there() {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let is_there = |target: &str| {
        makefile.lines().any(|line| {
            let names =
                line.strip_prefix(".PHONY:").or(line.split_once(':').map(|(names, _)| names));
            names.is_some_and(|names| names.split_whitespace().any(|name| name == target))
        })
    };
    let (mut named, mut missing) = (0, Vec::new());
    for page in pages() {
        for before in ["`make ", "$ make "] {
            for rest in page.whole.split(before).skip(1) {
                let end =
                    rest.find(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit() && c != '-');
                let target = &rest[..end.unwrap_or(rest.len())];
                named += 1;
                if !target.is_empty() && !is_there(target) {
                    missing.push(format!("{}: make {target}", page.file.display()));
                }
            }
        }
    }
    assert!(named > 20, "only {named} targets are read");
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn a_link_to_a_heading_that_is_gone_is_dead() {
    let page = Page {
        file: root().join("README.md"),
        whole: "# One\n```\n# Two\n```\n".into(),
        prose: String::new(),
    };
    assert!(has_heading(&page.whole, "one") && !has_heading(&page.whole, "two"));
    assert_eq!(anchor(" In a cluster, with `Tilt`"), "in-a-cluster-with-tilt");
    for (link, is_dead) in [
        ("CONTRIBUTING.md", false),
        ("CONTRIBUTING.md#release", false),
        ("https://example.com/nothing", false),
        ("CONTRIBUTING.md#nothing", true),
        ("docs/nothing.md", true),
        ("#nothing", true),
    ] {
        assert_eq!(dead_link(&page, link), is_dead, "{link}");
    }
}
