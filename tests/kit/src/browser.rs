//! The browser of this machine.

use std::path::PathBuf;

use anyhow::Context;

const KNOWN: [&str; 3] =
    ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/// Path of Chromium, or of Chrome where there is none.
pub fn chromium() -> anyhow::Result<PathBuf> {
    let found = KNOWN.into_iter().map(PathBuf::from).find(|path| path.exists());
    found.context("Chromium is missing: apt-get install chromium fonts-noto-core")
}
