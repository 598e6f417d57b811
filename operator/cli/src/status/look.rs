//! Reads what is shown of shops. What may not be read is said, not taken for nothing.

use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::Event,
};
use kube::{ResourceExt, api::ListParams};
use storefront_operator::{Storefront, controller::observe};

use super::{
    Shown,
    facts::{Around, Shop},
};
use crate::{
    args::StatusArguments,
    cluster::{Error, Target},
};

pub async fn look(target: &Target, arguments: &StatusArguments) -> Result<Shown, Error> {
    let namespace = target.namespace.as_str();
    let place = (!arguments.all_namespaces).then_some(namespace);
    let mut found = target.storefronts(place).await?;
    let now = Timestamp::now();
    let Some(name) = &arguments.name else {
        let key = |shop: &Storefront| (shop.namespace(), shop.name_any());
        found.sort_by_key(key);
        let shop = |shop: &Storefront| Shop::new(shop, &Around::default(), &target.kubectl, now);
        return Ok(Shown::All {
            storefronts: found.iter().map(shop).collect(),
            everywhere: arguments.all_namespaces,
            namespace: namespace.to_owned(),
        });
    };
    let Some(shop) = found.iter().find(|shop| shop.name_any() == *name) else {
        let known: Vec<_> = found.iter().map(ResourceExt::name_any).collect();
        return Err(Error::no_storefront(name, namespace, &known));
    };
    let around = around(target, shop).await?;
    Ok(Shown::One(Box::new(Shop::new(shop, &around, &target.kubectl, now))))
}

async fn around(target: &Target, shop: &Storefront) -> Result<Around, Error> {
    let (namespace, name) = (shop.namespace().unwrap_or_default(), shop.name_any());
    let parts = ListParams::default().labels(&observe::selector(&name));
    let fields = format!("involvedObject.kind=Storefront,involvedObject.name={name}");
    let of_it = ListParams::default().fields(&fields);
    let mut around = Around::default();
    let place = Some(namespace.as_str());
    around.deployments = readable(&mut around, target.list::<Deployment>(place, &parts).await)?;
    around.sets = readable(&mut around, target.list::<StatefulSet>(place, &parts).await)?;
    around.events = readable(&mut around, target.list::<Event>(place, &of_it).await)?;
    Ok(around)
}

/// What was found; nothing, with a note, when it may not be read.
fn readable<K>(around: &mut Around, found: Result<Vec<K>, Error>) -> Result<Vec<K>, Error> {
    match found {
        Err(forbidden @ Error::Forbidden { .. }) => {
            around.not_looked_at.push(forbidden.to_string());
            Ok(Vec::new())
        }
        found => found,
    }
}
