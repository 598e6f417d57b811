//! A server's folder. The server's shell removes it at the end of the test process; this does when
//! no server runs in it.

use std::path::{Path, PathBuf};

#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(what: &str) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix(&format!("storefront-{what}-")).tempdir()?;
        Ok(Self(folder.keep()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// A path in the folder as text, which temporary folders' names are.
    pub(crate) fn text(&self, name: &str) -> String {
        self.0.join(name).to_string_lossy().into_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
