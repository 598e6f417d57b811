//! `storefront render --compose`: a shop for a container engine without a cluster.

use std::path::Path;

use anyhow::Context as _;
use storefront_operator::{
    api::Storefront,
    plan::{Placement, plan},
    render::compose::{Compose, compose},
};

use crate::{args::RenderArguments, output};

const HEAD: &str = "\
# Written by `storefront render`; change the Storefront instead, and write it again.
#
#   docker compose up
#
# The shop is at http://127.0.0.1:8080, a page to look into Kafka at http://127.0.0.1:8081, the mails at
# http://127.0.0.1:8025. Kafka listens on 127.0.0.1:9092. All ports are this machine's only.
";

/// Writes the file; `-` is standard output.
pub fn write(
    storefront: &Storefront,
    file: &Path,
    arguments: &RenderArguments,
) -> anyhow::Result<()> {
    let text = text(storefront, arguments)?;
    if file.as_os_str() == "-" {
        return Ok(output::print(&text)?);
    }
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

fn text(storefront: &Storefront, arguments: &RenderArguments) -> anyhow::Result<String> {
    let placement = Placement::compose(storefront)?;
    let plan = plan(storefront, &placement)?;
    for note in &plan.notes {
        output::note(note);
    }
    let document = compose(&Compose {
        plan: &plan,
        placement: &placement,
        spec: &storefront.spec,
        image_prefix: &arguments.image_prefix,
        image_tag: &arguments.image_tag,
    });
    Ok(format!("{HEAD}{}", serde_yaml::to_string(&document)?))
}
