//! Opens a manifest's file. What it holds is read and checked by the operator's crate.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use storefront_operator::manifest::{self, MAX_BYTES, Manifest, ManifestError};

/// Why there is no manifest.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read the manifest {}; give a file with one Storefront", .file.display())]
    Unreadable {
        file: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is not right:\n{error}", .error.file)]
    Wrong { error: ManifestError },
}

impl Error {
    /// A fixed word for scripts.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "Unreadable",
            Self::Wrong { error } => error.reason(),
        }
    }
}

/// Reads the one Storefront of a file.
pub fn load(file: &Path) -> Result<Manifest, Error> {
    let text = read(file)?;
    manifest::load(&file.display().to_string(), &text).map_err(|error| Error::Wrong { error })
}

/// Reads every Storefront of a file.
pub fn load_all(file: &Path) -> Result<Vec<Manifest>, Error> {
    let text = read(file)?;
    manifest::load_all(&file.display().to_string(), &text).map_err(|error| Error::Wrong { error })
}

fn read(file: &Path) -> Result<String, Error> {
    let unreadable = |source| Error::Unreadable { file: file.to_owned(), source };
    let mut text = String::new();
    // One byte more than is allowed: the check of the length then says so.
    let limit = MAX_BYTES as u64 + 1;
    let opened = File::open(file).map_err(unreadable)?;
    opened.take(limit).read_to_string(&mut text).map_err(unreadable)?;
    Ok(text)
}

/// What `validate` says about a manifest that is right.
pub fn summary(file: &Path, manifest: &Manifest) -> String {
    let name = manifest.storefront.metadata.name.as_deref().unwrap_or_default();
    let right = format!("{}: Storefront {name} is right", file.display());
    match manifest.ignored.as_slice() {
        [] => right,
        others => format!("{right}; not looked at: {}", others.join(", ")),
    }
}
