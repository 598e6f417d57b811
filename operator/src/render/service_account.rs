//! A `ServiceAccount` for each part. None gets a token of the cluster; a cloud may know it by its
//! annotations.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ServiceAccount;
use storefront_contract::ServiceId;

use super::{Context, Object, sandbox};
use crate::names;

pub(super) fn all(context: &Context<'_>) -> Vec<Object> {
    components(context).iter().map(|component| account(context, component).into()).collect()
}

/// Every part that has pods.
pub(super) fn components(context: &Context<'_>) -> Vec<&'static str> {
    let services = context.input.plan.services.iter().map(|plan| plan.id.name());
    let others = [
        (names::SANDBOX, sandbox::runs(context)),
        (names::DATABASE, context.manages_database()),
        (names::KAFKA, context.spec.managed_brokers().is_some()),
    ];
    services.chain(others.into_iter().filter(|(_, runs)| *runs).map(|(name, _)| name)).collect()
}

fn account(context: &Context<'_>, component: &str) -> ServiceAccount {
    let service = component.parse::<ServiceId>().ok().and_then(|id| context.spec.service(id));
    let written = [
        context.spec.service_account.as_ref(),
        service.and_then(|service| service.service_account.as_ref()),
    ];
    let annotations: BTreeMap<_, _> =
        written.into_iter().flatten().filter_map(|a| a.annotations.clone()).flatten().collect();
    let mut metadata = context.meta(component, component);
    metadata.annotations = (!annotations.is_empty()).then_some(annotations);
    ServiceAccount { metadata, automount_service_account_token: Some(false), ..Default::default() }
}
