//! Lists of what a shop must bear, and which test shows each line of them, nearer to what it is about. A test that is
//! renamed must be renamed there.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};

/// A line of a list, a file from the workspace's root, and a test in it.
pub type Held = (&'static str, &'static str, &'static str);

/// Fails when a test is not where it is said to be.
pub fn each_is_held(list: &[Held]) -> Result<()> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    for (what, file, test) in list {
        let text =
            fs::read_to_string(root.join(file)).with_context(|| format!("{what}: {file}"))?;
        ensure!(text.contains(&format!("fn {test}(")), "{what}: {file} has no {test}");
    }
    Ok(())
}
