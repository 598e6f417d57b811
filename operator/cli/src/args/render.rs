//! Flags of `render`.

use std::path::PathBuf;

use clap::Args;

/// Flags of `render`.
#[derive(Args, Debug)]
pub struct RenderArguments {
    /// Manifest with one Storefront.
    pub file: PathBuf,
    /// Namespace of the shop [default: the manifest's, else default].
    #[arg(long, short, value_name = "NAME")]
    pub namespace: Option<String>,
}
