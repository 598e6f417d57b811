//! Reads what a plan is made from. Nothing here can write: the fence is closed and stays so. What may not be
//! read is said, and nothing is concluded from it.

use std::sync::Arc;

use futures_util::future::join_all;
use jiff::Timestamp;
use k8s_openapi::{
    api::{apps::v1::Deployment, core::v1::Namespace},
    apimachinery::pkg::apis::meta::v1::Time,
};
use kube::{Api, ResourceExt, api::ListParams};
use storefront_operator::{
    Storefront,
    controller::{
        cluster::Cluster,
        error::Error as Trouble,
        kinds,
        leader::Fence,
        metrics::Metrics,
        observe::{self, Live},
    },
    manifest::Manifest,
    plan::Plan,
    reading,
    references::Missing,
    render::{Apis, Generated, Object},
};

use super::{
    change::Unseen,
    installed::{self, Installed, OPERATOR},
};
use crate::cluster::{Error, Target};

/// Stands for the uid that the API server gives to a new Storefront.
const NEW_UID: &str = "00000000-0000-0000-0000-000000000000";

/// A Storefront as it is, and as it will be.
pub struct Shops {
    pub before: Option<Storefront>,
    pub after: Storefront,
    /// Every Storefront that can be seen.
    pub all: Vec<Arc<Storefront>>,
    /// Why nothing can be made in the namespace.
    pub no_place: Option<String>,
    pub not_looked_at: Vec<String>,
}

/// Everything around it.
pub struct Seen {
    pub live: Live,
    pub apis: Apis,
    pub unseen: Unseen,
    pub missing: Vec<Missing>,
    /// Or why the operator would do nothing.
    pub generated: Result<Generated, Trouble>,
    pub installed: Installed,
    pub not_looked_at: Vec<String>,
}

/// Finds the Storefront in the cluster, and puts the manifest's `spec` into it.
pub async fn shops(target: &Target, namespace: &str, manifest: &Manifest) -> Result<Shops, Error> {
    let comes_along = manifest.ignored.contains(&format!("Namespace {namespace}"));
    let manifest = &manifest.storefront;
    let here = target.storefronts(Some(namespace)).await?;
    let before = here.iter().find(|it| it.name_any() == manifest.name_any()).cloned();
    let mut after = before.clone().unwrap_or_else(|| manifest.clone());
    after.spec = manifest.spec.clone();
    if before.is_none() {
        after.metadata.namespace = Some(namespace.to_owned());
        after.metadata.uid = Some(NEW_UID.to_owned());
        after.metadata.creation_timestamp = Some(Time(Timestamp::now()));
    }
    let unread = before.as_ref().and_then(reading::unreadable).map(|said| {
        format!("what this command cannot read of the Storefront as it is, {said}; that of the operator's version can")
    });
    let mut not_looked_at: Vec<_> = unread.into_iter().collect();
    // Where there is a Storefront there is its namespace.
    let no_place = if before.is_none() && !comes_along {
        no_place(target, namespace, &mut not_looked_at).await?
    } else {
        None
    };
    // Two shops can only share brokers that neither of them runs.
    let shares = after.spec.kafka.as_ref().is_some_and(|kafka| kafka.external.is_some());
    let mut all = here;
    if shares {
        match target.storefronts(None).await {
            Ok(everywhere) => all = everywhere,
            Err(forbidden @ Error::Forbidden { .. }) => {
                let why = format!("whether another shop uses the same topics: {forbidden}");
                not_looked_at.push(why);
            }
            Err(other) => return Err(other),
        }
    }
    let all = all.into_iter().map(Arc::new).collect();
    Ok(Shops { before, after, all, no_place, not_looked_at })
}

/// Why nothing can be made in a namespace; a list in one that is not there is empty, and no error.
async fn no_place(
    target: &Target,
    namespace: &str,
    not_looked_at: &mut Vec<String>,
) -> Result<Option<String>, Error> {
    let namespaces: Api<Namespace> = Api::all(target.client.clone());
    let found = match namespaces.get_opt(namespace).await {
        Ok(found) => found,
        Err(error) => match target.explained("get", "namespaces", Some(namespace), &error) {
            forbidden @ Error::Forbidden { .. } => {
                not_looked_at.push(format!("whether namespace {namespace} is there: {forbidden}"));
                return Ok(None);
            }
            other => return Err(other),
        },
    };
    Ok(match found {
        None => Some(format!(
            "namespace {namespace} is not there: make it first, {} create namespace {namespace}",
            target.kubectl
        )),
        Some(found) => found.metadata.deletion_timestamp.map(|_| {
            format!("namespace {namespace} is being deleted: nothing can be made in it any more")
        }),
    })
}

/// Looks at the objects of a shop, and at what others have made for it.
pub async fn around(target: &Target, shops: &Shops, plan: &Plan) -> Result<Seen, Error> {
    let looker = Looker::new(target, shops);
    let apis = observe::apis(&looker.cluster, &shops.after).await;
    let apis = apis.map_err(|error| looker.explained(error))?;
    let mut seen = Seen {
        live: Live::default(),
        apis,
        unseen: Unseen::new(),
        missing: Vec::new(),
        generated: Ok(Generated::placeholders()),
        installed: installed::of_shop(None, &Live::default()),
        not_looked_at: Vec::new(),
    };
    looker.objects(&mut seen).await?;
    let secrets = looker.secrets(&mut seen).await?;
    seen.installed = looker.installed(shops.before.as_ref(), &seen.live).await?;
    if secrets {
        looker.others(&mut seen, &shops.after, plan).await?;
    } else if let Ok(generated) = &mut seen.generated {
        generated.kafka_credentials = observe::credentials_as_they_are(&seen.live);
    }
    Ok(seen)
}

/// Adds what has a wanted name and is not labelled as the shop's. Kinds that may not be listed are left out.
pub async fn unlabelled(
    target: &Target,
    shops: &Shops,
    objects: &[Object],
    seen: &mut Seen,
) -> Result<(), Error> {
    let looker = Looker::new(target, shops);
    let seen_kinds = objects.iter().filter(|object| !seen.unseen.contains(object.kind()));
    let objects: Vec<_> = seen_kinds.cloned().collect();
    let (cluster, namespace) = (&looker.cluster, &looker.namespace);
    let looked = observe::unlabelled(cluster, namespace, &objects, &mut seen.live).await;
    looked.map_err(|error| looker.explained(error))
}

struct Looker<'a> {
    target: &'a Target,
    cluster: Cluster,
    namespace: String,
    shop: String,
}

impl<'a> Looker<'a> {
    fn new(target: &'a Target, shops: &Shops) -> Self {
        Self {
            target,
            cluster: Cluster {
                client: target.client.clone(),
                fence: Fence::default(),
                metrics: Metrics::default(),
            },
            namespace: shops.after.namespace().unwrap_or_default(),
            shop: shops.after.name_any(),
        }
    }

    fn explained(&self, error: Trouble) -> Error {
        match error {
            Trouble::Read { what, source } => {
                self.target.explained("read", &what, Some(&self.namespace), &source)
            }
            other => Error::Operator(other),
        }
    }

    async fn objects(&self, seen: &mut Seen) -> Result<(), Error> {
        let resources = observe::listed(&seen.apis);
        let selector = observe::selector(&self.shop);
        let lists = resources
            .iter()
            .map(|resource| self.cluster.list(&self.namespace, resource, &selector));
        for (resource, list) in resources.iter().zip(join_all(lists).await) {
            match list {
                Ok(list) => {
                    let typed = list.into_iter().map(|object| observe::typed(object, resource));
                    seen.live.objects.extend(typed);
                }
                Err(error) if error.is_forbidden() => {
                    seen.unseen.insert(resource.kind.clone());
                    let why = "you may not list them";
                    seen.not_looked_at.push(format!("{}: {why}", resource.plural));
                }
                Err(error) => return Err(self.explained(error)),
            }
        }
        Ok(())
    }

    /// The Secrets that the operator made; whether they may be read.
    async fn secrets(&self, seen: &mut Seen) -> Result<bool, Error> {
        let resource = kinds::resource("v1", "Secret");
        for name in observe::own_secrets(&self.shop) {
            match self.cluster.get(&self.namespace, &resource, &name).await {
                Ok(found) => {
                    let typed = found.map(|object| observe::typed(object, &resource));
                    seen.live.objects.extend(typed);
                }
                Err(error) if error.is_forbidden() => {
                    seen.unseen.insert("Secret".to_owned());
                    let why = "secrets, those of the shop and those it refers to: you may not get \
                               them, and they are taken to be right";
                    seen.not_looked_at.push(why.to_owned());
                    return Ok(false);
                }
                Err(error) => return Err(self.explained(error)),
            }
        }
        Ok(true)
    }

    async fn installed(
        &self,
        before: Option<&Storefront>,
        live: &Live,
    ) -> Result<Installed, Error> {
        let by_label = ListParams::default().labels(OPERATOR);
        let found = match self.target.list::<Deployment>(None, &by_label).await {
            Err(Error::Forbidden { .. }) => Vec::new(),
            found => found?,
        };
        let of_operator = installed::of_operator(&found, &self.namespace);
        Ok(of_operator.unwrap_or_else(|| installed::of_shop(before, live)))
    }

    /// What others have made, and what was made up once.
    async fn others(&self, seen: &mut Seen, after: &Storefront, plan: &Plan) -> Result<(), Error> {
        let others = observe::others(&self.cluster, &self.namespace, plan).await;
        let credentials = match others {
            Ok(others) => {
                let credentials = others.credentials(&seen.live);
                seen.missing = others.missing;
                credentials
            }
            Err(error) if error.is_forbidden() => {
                seen.not_looked_at.push(format!("what the manifest refers to: {}", error.story()));
                observe::credentials_as_they_are(&seen.live)
            }
            Err(error) => return Err(self.explained(error)),
        };
        let made_up = || "GENERATED".to_owned();
        let generated = observe::generated(
            &self.cluster,
            &self.namespace,
            after,
            &seen.live,
            credentials,
            made_up,
        );
        seen.generated = match generated.await {
            Err(error @ Trouble::Read { .. }) => return Err(self.explained(error)),
            generated => generated,
        };
        Ok(())
    }
}
