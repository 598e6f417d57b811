//! Kinds of objects that an API server learns of.

use std::time::Duration;

use anyhow::Context;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams},
};
use serde_json::json;

use crate::eventually;

/// Loaded machines take long.
const SERVED_WITHIN: Duration = Duration::from_secs(120);

/// The definition of a kind of somebody else, in namespaces, of which nothing is checked.
pub fn any_kind(
    group: &str,
    version: &str,
    kind: &str,
) -> anyhow::Result<CustomResourceDefinition> {
    let plural = format!("{}s", kind.to_lowercase());
    let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let definition = serde_json::from_value(json!({
        "metadata": {
            "name": format!("{plural}.{group}"),
            "annotations": {"api-approved.kubernetes.io": "unapproved, for tests"},
        },
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase()},
            "versions": [{
                "name": version,
                "served": true,
                "storage": true,
                "schema": {"openAPIV3Schema": anything},
            }],
        },
    }));
    definition.with_context(|| format!("no definition of {kind}"))
}

/// Makes an API server serve what a definition defines, and waits until it does: it says so a moment before it
/// answers requests, and tells whoever asks which APIs there are another moment later.
pub async fn define(client: &Client, definition: &CustomResourceDefinition) -> anyhow::Result<()> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let name = definition.name_any();
    let apply = PatchParams::apply("test").force();
    definitions.patch(&name, &apply, &Patch::Apply(definition)).await?;
    let spec = &definition.spec;
    let served = spec.versions.iter().filter(|version| version.served);
    let resources: Vec<_> = served
        .map(|version| {
            let kind = GroupVersionKind::gvk(&spec.group, &version.name, &spec.names.kind);
            ApiResource::from_gvk_with_plural(&kind, &spec.names.plural)
        })
        .collect();
    eventually(SERVED_WITHIN, &format!("{name} is served"), async || {
        let there = definitions.get(&name).await.ok();
        let conditions = there.and_then(|there| there.status?.conditions).unwrap_or_default();
        let is = |type_: &str| conditions.iter().any(|it| it.type_ == type_ && it.status == "True");
        if !is("Established") || !is("NamesAccepted") {
            return false;
        }
        for resource in &resources {
            if !answers(client, resource).await {
                return false;
            }
        }
        true
    })
    .await;
    Ok(())
}

async fn answers(client: &Client, resource: &ApiResource) -> bool {
    let all: Api<DynamicObject> = Api::all_with(client.clone(), resource);
    let told = client.list_api_group_resources(&resource.api_version).await;
    let is_told = told.is_ok_and(|told| told.resources.iter().any(|it| it.name == resource.plural));
    is_told && all.list(&ListParams::default().limit(1)).await.is_ok()
}
