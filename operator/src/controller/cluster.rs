//! Reading and writing objects of any kind. The only place that writes to the API server, but for the
//! Lease; each write asks the fence first and is counted.

use std::{collections::HashSet, time::Duration};

use kube::{
    Api, Client, ResourceExt,
    api::{
        DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy,
    },
    core::{ApiResource, DynamicObject},
};
use serde::Deserialize;
use serde_json::Value;

use crate::controller::{error::Error, leader::Fence, metrics::Metrics};

/// Field manager of everything that is applied.
pub const FIELD_MANAGER: &str = "storefront-operator";

/// Longest wait for one answer of the API server. A watch is no call; it has limits of its own.
const CALL_LIMIT: Duration = Duration::from_secs(10);

/// The answer to a call, or that there was none in time: a server that is frozen keeps its connections open.
pub(crate) fn answer<T>(
    call: impl Future<Output = Result<T, kube::Error>>,
) -> impl Future<Output = Result<T, kube::Error>> {
    answer_within(CALL_LIMIT, call)
}

async fn answer_within<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, kube::Error> {
    let late = |_| {
        let text = format!("the API server has not answered within {} s", limit.as_secs());
        kube::Error::Service(text.into())
    };
    tokio::time::timeout(limit, call).await.map_err(late)?
}

/// Whether a field was said by us last, and by nobody since: its path as `managedFields` writes it, such as
/// `["f:spec", "f:replicas"]`.
pub(crate) fn owns(object: &DynamicObject, path: &[&str]) -> bool {
    object.managed_fields().iter().any(|entry| {
        let all = entry.fields_v1.as_ref().map(|fields| &fields.0);
        let owned = all.map(|all| path.iter().fold(all, |at, key| &at[*key]));
        entry.manager.as_deref() == Some(FIELD_MANAGER) && owned.is_some_and(|it| !it.is_null())
    })
}

/// A client with its fence.
#[derive(Clone)]
pub struct Cluster {
    pub client: Client,
    pub fence: Fence,
    pub metrics: Metrics,
}

impl Cluster {
    pub fn api(&self, namespace: &str, resource: &ApiResource) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, resource)
    }

    /// Whether this operator leads, as far as it knows.
    pub fn may_write(&self) -> Result<(), Error> {
        if self.fence.is_open() { Ok(()) } else { Err(Error::NotLeading) }
    }

    /// The answer to a write. One that the fence has let through is given up before another operator may
    /// begin, also in between its tries.
    pub(crate) fn written<T>(
        &self,
        call: impl Future<Output = Result<T, kube::Error>>,
    ) -> impl Future<Output = Result<T, kube::Error>> {
        let limit = self.fence.time_left().map_or(CALL_LIMIT, |left| left.min(CALL_LIMIT));
        answer_within(limit, call)
    }

    /// Objects of a kind with these labels. None of a kind that is not served.
    pub async fn list(
        &self,
        namespace: &str,
        resource: &ApiResource,
        selector: &str,
    ) -> Result<Vec<DynamicObject>, Error> {
        self.list_by(namespace, resource, &ListParams::default().labels(selector)).await
    }

    /// The object of that name, if it is there. Asked for by a list, as these kinds are listed anyway: so no
    /// right to get them is needed.
    pub async fn named(
        &self,
        namespace: &str,
        resource: &ApiResource,
        name: &str,
    ) -> Result<Vec<DynamicObject>, Error> {
        let parameters = ListParams::default().fields(&format!("metadata.name={name}"));
        self.list_by(namespace, resource, &parameters).await
    }

    /// The names of all objects of a kind, whosever they are; nothing when there are more than `limit`. None of
    /// a kind that is not served.
    pub async fn names(
        &self,
        namespace: &str,
        resource: &ApiResource,
        limit: u32,
    ) -> Result<Option<HashSet<String>>, Error> {
        let parameters = ListParams::default().limit(limit);
        match answer(self.api(namespace, resource).list_metadata(&parameters)).await {
            Ok(list) => {
                let is_whole = list.metadata.continue_.is_none_or(|token| token.is_empty());
                Ok(is_whole.then(|| list.items.iter().map(ResourceExt::name_any).collect()))
            }
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(Some(HashSet::new())),
            Err(source) => Err(Error::Read { what: resource.plural.clone(), source }),
        }
    }

    async fn list_by(
        &self,
        namespace: &str,
        resource: &ApiResource,
        parameters: &ListParams,
    ) -> Result<Vec<DynamicObject>, Error> {
        match answer(self.api(namespace, resource).list(parameters)).await {
            Ok(list) => Ok(list.items),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(Vec::new()),
            Err(source) => Err(Error::Read { what: resource.plural.clone(), source }),
        }
    }

    pub async fn get(
        &self,
        namespace: &str,
        resource: &ApiResource,
        name: &str,
    ) -> Result<Option<DynamicObject>, Error> {
        let found = answer(self.api(namespace, resource).get_opt(name)).await;
        found.map_err(|source| Error::Read { what: format!("{} {name}", resource.kind), source })
    }

    /// Server-side apply: our fields, and only those.
    pub async fn apply(
        &self,
        namespace: &str,
        resource: &ApiResource,
        name: &str,
        object: &Value,
    ) -> Result<DynamicObject, Error> {
        self.apply_as(FIELD_MANAGER, namespace, resource, name, object).await
    }

    /// Server-side apply under another name.
    pub async fn apply_as(
        &self,
        manager: &str,
        namespace: &str,
        resource: &ApiResource,
        name: &str,
        object: &Value,
    ) -> Result<DynamicObject, Error> {
        self.write(&resource.kind, "apply")?;
        let parameters = PatchParams::apply(manager).force();
        self.patch(namespace, resource, name, &parameters, &Patch::Apply(object)).await
    }

    /// Puts fields, and lists as a whole, in the place of those that are there.
    pub async fn merge_as(
        &self,
        manager: &str,
        namespace: &str,
        resource: &ApiResource,
        name: &str,
        object: &Value,
    ) -> Result<DynamicObject, Error> {
        self.write(&resource.kind, "merge")?;
        let parameters =
            PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() };
        self.patch(namespace, resource, name, &parameters, &Patch::Merge(object)).await
    }

    async fn patch(
        &self,
        namespace: &str,
        resource: &ApiResource,
        name: &str,
        parameters: &PatchParams,
        patch: &Patch<&Value>,
    ) -> Result<DynamicObject, Error> {
        let api = self.api(namespace, resource);
        self.written(api.patch(name, parameters, patch)).await.map_err(|source| Error::Apply {
            kind: resource.kind.clone(),
            name: name.to_owned(),
            source,
        })
    }

    /// Whether the API server would take an object if there were none of its name. Writes nothing.
    pub async fn would_create(
        &self,
        namespace: &str,
        resource: &ApiResource,
        object: &Value,
    ) -> Result<bool, Error> {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let dynamic = DynamicObject::deserialize(object).map_err(|source| Error::Json {
            kind: resource.kind.clone(),
            name: name.to_owned(),
            source,
        })?;
        let parameters = PostParams { dry_run: true, ..PostParams::default() };
        match answer(self.api(namespace, resource).create(&parameters, &dynamic)).await {
            Ok(_) => Ok(true),
            // It has looked at the object before it looked for the name.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 422 => Ok(false),
            Err(source) => Err(Error::Read { what: format!("{} {name}", resource.kind), source }),
        }
    }

    /// Deletes exactly this object, in this version: one that was replaced or changed meanwhile stays.
    /// With `orphan` what belongs to it stays.
    pub async fn delete(
        &self,
        namespace: &str,
        resource: &ApiResource,
        object: &DynamicObject,
        orphan: bool,
    ) -> Result<(), Error> {
        self.write(&resource.kind, "delete")?;
        let name = object.name_any();
        let parameters = DeleteParams {
            preconditions: Some(Preconditions {
                uid: object.metadata.uid.clone(),
                resource_version: object.metadata.resource_version.clone(),
            }),
            propagation_policy: Some(if orphan {
                PropagationPolicy::Orphan
            } else {
                PropagationPolicy::Background
            }),
            ..DeleteParams::default()
        };
        match self.written(self.api(namespace, resource).delete(&name, &parameters)).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(source) => Err(Error::Delete { kind: resource.kind.clone(), name, source }),
        }
    }

    /// Says that something else is about to be written.
    pub fn write(&self, kind: &str, verb: &'static str) -> Result<(), Error> {
        self.may_write()?;
        self.metrics.write(kind, verb);
        Ok(())
    }
}
