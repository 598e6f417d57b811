//! `storefront plan`: what the operator would do to a cluster if a manifest were applied, and what it costs.
//! It asks the same plan, the same rendering and the same comparison that the operator acts by.

mod change;
mod cost;
mod difference;
mod installed;
mod look;
mod owned;
mod page;
mod story;
#[cfg(test)]
mod tests;
mod topics;

use std::{collections::BTreeSet, io::Read as _, path::Path};

use kube::ResourceExt;
use serde::Serialize;
use storefront_operator::{
    Storefront,
    manifest::{Manifest, ManifestError},
    plan::{Placement, Plan, plan},
};

use crate::{
    Exit, args::PlanArguments, cluster::Target, manifest, output, output::Output,
    terminal::Terminal,
};
use story::Story;

/// Standard input, as other tools write it.
const STDIN: &str = "-";

/// What is shown.
#[derive(Debug, Serialize)]
struct Planned {
    storefronts: Vec<Story>,
}

/// A manifest and a flag that do not fit.
#[derive(Debug, thiserror::Error)]
#[error(
    "the manifest says namespace {written} and --namespace {asked}: write the same, or leave one out"
)]
struct TwoNamespaces {
    written: String,
    asked: String,
}

/// Two Storefronts of the file are one in the cluster.
#[derive(Debug, thiserror::Error)]
#[error(
    "the file has Storefront {name} of namespace {namespace} more than once, of which the last would stay: rename or remove the others"
)]
struct Twice {
    namespace: String,
    name: String,
}

/// Plans every Storefront of the file.
pub async fn run(arguments: &PlanArguments) -> anyhow::Result<Exit> {
    let manifests = load(&arguments.file)?;
    let target = Target::new(&arguments.cluster).await?;
    let places = manifests.iter().map(|manifest| place(&target, manifest));
    let places = places.collect::<Result<Vec<_>, TwoNamespaces>>()?;
    if let Some((namespace, name)) = twice(&manifests, &places) {
        return Err(Twice { namespace, name }.into());
    }
    let mut storefronts = Vec::new();
    for (manifest, namespace) in manifests.iter().zip(&places) {
        storefronts.push(Box::pin(one(&target, manifest, namespace, arguments.upgrade)).await?);
    }
    let planned = Planned { storefronts };
    match arguments.output.output {
        Output::Json => output::print_json(&planned)?,
        Output::Text => {
            let terminal = Terminal::stdout();
            let pages = planned.storefronts.iter().map(|story| page::text(story, terminal));
            output::print(&pages.collect::<Vec<_>>().join("\n"))?;
        }
    }
    let any = |holds: fn(&Story) -> bool| planned.storefronts.iter().any(holds);
    Ok(match (any(Story::is_refused), any(Story::changes_something)) {
        (true, _) => Exit::Refused,
        (false, true) if arguments.check => Exit::Found,
        _ => Exit::Done,
    })
}

fn load(file: &Path) -> anyhow::Result<Vec<Manifest>> {
    if file.as_os_str() != STDIN {
        return Ok(manifest::load_all(file)?);
    }
    let mut text = String::new();
    let limit = storefront_operator::manifest::MAX_BYTES as u64 + 1;
    std::io::stdin().lock().take(limit).read_to_string(&mut text)?;
    let read = storefront_operator::manifest::load_all("standard input", &text);
    Ok(read.map_err(|error: ManifestError| manifest::Error::Wrong { error })?)
}

/// The namespace of a manifest, by its own word, a flag or the context.
fn place(target: &Target, manifest: &Manifest) -> Result<String, TwoNamespaces> {
    match manifest.storefront.metadata.namespace.clone() {
        Some(written) if target.is_asked && written != target.namespace => {
            Err(TwoNamespaces { written, asked: target.namespace.clone() })
        }
        Some(written) => Ok(written),
        None => Ok(target.namespace.clone()),
    }
}

/// Namespace and name that two of the manifests have.
fn twice(manifests: &[Manifest], places: &[String]) -> Option<(String, String)> {
    let names = manifests.iter().map(|manifest| manifest.storefront.name_any());
    let mut known = BTreeSet::new();
    places.iter().cloned().zip(names).find(|shop| !known.insert(shop.clone()))
}

async fn one(
    target: &Target,
    manifest: &Manifest,
    namespace: &str,
    upgrade: bool,
) -> anyhow::Result<Story> {
    let shops = look::shops(target, namespace, manifest).await?;
    let (placement, plan_after) = planned(&shops.after, namespace)?;
    // What cannot be planned any more has been refused by the operator, too.
    let plan_before = shops.before.as_ref().and_then(|before| planned(before, namespace).ok());
    let mut seen = look::around(target, &shops, &plan_after).await?;
    if upgrade {
        seen.installed = installed::upgraded(seen.installed);
    }
    let objects = story::rendered(&shops, &seen, &placement, &plan_after);
    look::unlabelled(target, &shops, &objects, &mut seen).await?;
    Ok(story::tell(&story::Known {
        manifest,
        shops: &shops,
        seen: &seen,
        objects: &objects,
        plan: &plan_after,
        plan_before: plan_before.as_ref().map(|(_, plan)| plan),
    })?)
}

fn planned(storefront: &Storefront, namespace: &str) -> anyhow::Result<(Placement, Plan)> {
    let placement = Placement::cluster(storefront, namespace)?;
    let plan = plan(storefront, &placement)?;
    Ok((placement, plan))
}
