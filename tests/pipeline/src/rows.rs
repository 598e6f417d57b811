//! Lists of what a shop must bear, and which test shows each line of them. A test that is renamed must be
//! renamed here, and a line without a test is found out.

use std::{collections::BTreeSet, fs, ops::RangeInclusive, path::Path};

use anyhow::{Context as _, Result, ensure};

/// A line of a list, a file from the workspace's root, and a test in it.
pub type Held = (u8, &'static str, &'static str);

/// Fails when a test is not where it is said to be, or when a line has neither a test nor a reason in `others`.
pub fn every_row_is_held(
    rows: RangeInclusive<u8>,
    held: &[Held],
    others: impl IntoIterator<Item = u8>,
) -> Result<()> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let mut found: BTreeSet<u8> = others.into_iter().collect();
    for (row, file, test) in held {
        let text =
            fs::read_to_string(root.join(file)).with_context(|| format!("row {row}: {file}"))?;
        ensure!(text.contains(&format!("fn {test}(")), "row {row}: {file} has no {test}");
        found.insert(*row);
    }
    let missing: Vec<u8> = rows.filter(|row| !found.contains(row)).collect();
    ensure!(missing.is_empty(), "rows without a test: {missing:?}");
    Ok(())
}
