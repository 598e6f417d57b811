//! What the fuzz targets begin with, which is one of each kind and everything that was ever found, holds.
#![expect(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use storefront_properties::ALL;

/// For one input, on a busy machine and without optimisation; a target has less.
const LIMIT: Duration = Duration::from_secs(20);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.is_file());
    files.sort();
    files
}

#[test]
fn each_property_holds_for_its_seeds() {
    for (name, property) in ALL {
        let seeds = files(&root().join("fuzz/seeds").join(name));
        assert!(seeds.len() >= 10, "{name} has {} seeds", seeds.len());
        for seed in seeds {
            // Shown where a property does not hold.
            println!("{}", seed.display());
            let bytes = fs::read(&seed).unwrap();
            let began = Instant::now();
            property(&bytes);
            assert!(began.elapsed() < LIMIT, "it took {:?}", began.elapsed());
        }
    }
}

#[test]
fn every_manifest_of_the_repository_holds() {
    let (_, property) = ALL.into_iter().find(|(name, _)| *name == "manifest").unwrap();
    for folder in ["examples", "operator/tests/cases", "operator/tests/bad"] {
        for path in files(&root().join(folder)) {
            println!("{}", path.display());
            property(&fs::read(&path).unwrap());
        }
    }
}

#[test]
fn each_property_has_its_target_and_each_target_its_seeds() {
    let properties: BTreeSet<&str> = ALL.into_iter().map(|(name, _)| name).collect();
    for folder in ["fuzz/seeds", "fuzz/fuzz_targets"] {
        let entries = fs::read_dir(root().join(folder)).unwrap();
        let names: BTreeSet<String> = entries
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        assert!(names.iter().eq(properties.iter().copied()), "{folder}: {names:?}");
    }
}
