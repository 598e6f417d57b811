//! The workspace's Rust files, as the rules see them.

use std::{
    fs,
    path::{Path, PathBuf},
};

pub struct Source {
    /// From the workspace's root.
    pub path: String,
    /// Without the tests at the end of the file.
    pub lines: Vec<String>,
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// All Rust files outside of tests.
pub fn sources() -> Vec<Source> {
    let (root, mut found) = (root(), Vec::new());
    for folder in ["operator", "services", "tests"] {
        collect(&root, &root.join(folder), &mut found);
    }
    assert!(!found.is_empty());
    found
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<Source>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            // Inside a crate, `tests` holds its tests; at the top it holds crates.
            let skipped = ["target", "node_modules", "snapshots", "tests", "benches"];
            if !skipped.contains(&name) {
                collect(root, &path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !["tests.rs", "test.rs"].contains(&name)
        {
            found.push(read(root, &path));
        }
    }
}

fn read(root: &Path, path: &Path) -> Source {
    let text = fs::read_to_string(path).unwrap();
    let lines: Vec<String> = text.lines().map(String::from).collect();
    let is_tests = |pair: &[String]| pair[0] == "#[cfg(test)]" && pair[1].ends_with('{');
    let end = lines.windows(2).position(is_tests).unwrap_or(lines.len());
    let path = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
    Source { path, lines: lines[..end].to_vec() }
}
