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
    /// Write a compose file instead: the shop for a container engine without a cluster; `-` is
    /// standard output.
    #[arg(long, value_name = "FILE", conflicts_with = "namespace")]
    pub compose: Option<PathBuf>,
    /// What goes before the names of the services' images in the compose file.
    #[arg(
        long,
        value_name = "PREFIX",
        default_value = "ghcr.io/storefront-dev/storefront-",
        requires = "compose"
    )]
    pub image_prefix: String,
    /// Their tag.
    #[arg(long, value_name = "TAG", default_value = env!("CARGO_PKG_VERSION"), requires = "compose")]
    pub image_tag: String,
}
