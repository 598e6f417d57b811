//! Manifests that are wrong, each in its own way: the same files as the operator's own tests.

use std::{fs, path::Path};

use storefront_operator::manifest;

use crate::Said;

pub fn messages() -> Vec<Said> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/bad");
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut said = Vec::new();
    for path in files {
        let file = path.file_name().unwrap().to_string_lossy();
        let error = manifest::load(&file, &fs::read_to_string(&path).unwrap()).unwrap_err();
        for line in error.to_string().lines() {
            // `file:line: field: what`: the place stands in front.
            assert!(line.starts_with(&*file), "{line}");
            said.push(Said::new(format!("validate {file}"), line));
        }
    }
    said
}
