//! `storefront render`: what the operator would create, as people read it, or a compose file. Asks
//! no cluster.

mod compose;

use storefront_operator::{
    plan::{Placement, plan},
    render::{Apis, Generated, Input, Options, render, yaml},
};

use crate::{args::RenderArguments, manifest, output};

const DEFAULT_NAMESPACE: &str = "default";

pub fn run(arguments: &RenderArguments) -> anyhow::Result<()> {
    let manifest = manifest::load(&arguments.file)?;
    let storefront = manifest.storefront;
    if let Some(file) = &arguments.compose {
        return compose::write(&storefront, file, arguments);
    }
    let namespace = arguments.namespace.clone().or_else(|| storefront.metadata.namespace.clone());
    let namespace = namespace.unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
    let placement = Placement::cluster(&storefront, &namespace)?;
    let plan = plan(&storefront, &placement)?;
    for note in &plan.notes {
        output::note(note);
    }
    let objects = render(&Input {
        storefront: &storefront,
        plan: &plan,
        placement: &placement,
        options: &Options::default(),
        generated: &Generated::placeholders(),
        apis: &Apis::all(),
    });
    output::print(&yaml(&objects)?)?;
    Ok(())
}
