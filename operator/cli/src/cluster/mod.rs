//! From flags to a cluster, and reading in it. Nothing here can write.

mod error;

use std::fmt::Debug;

use kube::{
    Api, Client, Config, Resource,
    api::ListParams,
    config::{KubeConfigOptions, Kubeconfig},
    core::DynamicObject,
};
use serde::de::DeserializeOwned;
use std::time::Duration;
use storefront_operator::{
    Storefront,
    api::{API_VERSION, KIND},
    controller::kinds,
    reading,
};

use crate::args::ClusterArguments;
pub use error::Error;

const CONNECT_LIMIT: Duration = Duration::from_secs(10);
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// A cluster, and where in it.
#[derive(Clone)]
pub struct Target {
    pub client: Client,
    /// Of the flags, else of the context.
    pub namespace: String,
    /// The namespace was asked for by a flag.
    pub is_asked: bool,
    /// Where the API server is.
    pub url: String,
    /// How the same cluster is reached by kubectl.
    pub kubectl: String,
}

impl Target {
    /// Reads the kubeconfig. Nothing is sent yet.
    pub async fn new(arguments: &ClusterArguments) -> Result<Self, Error> {
        let mut config = configured(arguments).await?;
        config.connect_timeout = Some(CONNECT_LIMIT);
        config.read_timeout = Some(ANSWER_LIMIT);
        let url = config.cluster_url.to_string();
        let namespace = arguments.namespace.clone();
        let is_asked = namespace.is_some();
        let namespace = namespace.unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config).map_err(|error| Error::client(&error))?;
        Ok(Self { client, namespace, is_asked, url, kubectl: kubectl(arguments) })
    }

    /// Objects of one kind, in one namespace or in all.
    pub async fn list<K>(
        &self,
        namespace: Option<&str>,
        parameters: &ListParams,
    ) -> Result<Vec<K>, Error>
    where
        K: Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
        K: Clone + DeserializeOwned + Debug,
    {
        let api: Api<K> = match namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        };
        let listed = api.list(parameters).await;
        let resource = match K::group(&()) {
            group if group.is_empty() => K::plural(&()).into_owned(),
            group => format!("{}.{group}", K::plural(&())),
        };
        Ok(listed.map_err(|error| self.explained("list", &resource, namespace, &error))?.items)
    }

    /// Storefronts, in one namespace or in all: one that cannot be read is among them as far as it can.
    pub async fn storefronts(&self, namespace: Option<&str>) -> Result<Vec<Storefront>, Error> {
        let resource = kinds::resource(API_VERSION, KIND);
        let api: Api<DynamicObject> = match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        };
        let name = format!("{}.{}", resource.plural, resource.group);
        let listed = api.list(&ListParams::default()).await;
        let listed = listed.map_err(|error| self.explained("list", &name, namespace, &error))?;
        Ok(listed.items.into_iter().map(reading::read).collect())
    }

    /// What an error of the API server means.
    pub fn explained(
        &self,
        verb: &'static str,
        resource: &str,
        namespace: Option<&str>,
        error: &kube::Error,
    ) -> Error {
        Error::explained(&self.url, verb, resource, namespace, error)
    }
}

async fn configured(arguments: &ClusterArguments) -> Result<Config, Error> {
    let options =
        KubeConfigOptions { context: arguments.context.clone(), ..KubeConfigOptions::default() };
    let read = match &arguments.kubeconfig {
        Some(file) => Kubeconfig::read_from(file),
        None => Kubeconfig::read(),
    };
    let kubeconfig = match read {
        Ok(kubeconfig) => kubeconfig,
        Err(source) if arguments.kubeconfig.is_none() && arguments.context.is_none() => {
            return Config::incluster().map_err(|_| Error::NoCluster { source });
        }
        Err(error) => return Err(Error::kubeconfig(&error)),
    };
    let known: Vec<_> = kubeconfig.contexts.iter().map(|context| context.name.clone()).collect();
    let current = kubeconfig.current_context.clone().filter(|name| !name.is_empty());
    match arguments.context.clone().or(current) {
        None if known.is_empty() => {
            return Config::incluster().map_err(|_| Error::NoCluster {
                source: kube::config::KubeconfigError::CurrentContextNotSet,
            });
        }
        None => return Err(Error::NoCurrentContext { known: known.join(", ") }),
        Some(context) if !known.contains(&context) => {
            return Err(Error::NoContext { context, known: known.join(", ") });
        }
        Some(_) => {}
    }
    Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .map_err(|error| Error::kubeconfig(&error))
}

fn kubectl(arguments: &ClusterArguments) -> String {
    let mut words = "kubectl".to_owned();
    if let Some(file) = &arguments.kubeconfig {
        words = format!("{words} --kubeconfig {}", file.display());
    }
    if let Some(context) = &arguments.context {
        words = format!("{words} --context {context}");
    }
    words
}
