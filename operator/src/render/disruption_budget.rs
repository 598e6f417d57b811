//! How many instances may be taken away at once when nodes are drained. A part that runs once has no
//! budget: it could only block the drain.

use k8s_openapi::{
    api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::{Context, Object};
use crate::{names, plan::ServicePlan};

pub(super) fn all(context: &Context<'_>) -> Vec<Object> {
    let services = context.input.plan.services.iter();
    let mut budgets: Vec<Object> = services
        .filter_map(|plan| {
            let most = max_unavailable(context, plan)?;
            Some(budget(context, plan.id.name(), most).into())
        })
        .collect();
    if context.spec.managed_brokers().is_some_and(|brokers| brokers > 1) {
        budgets.push(budget(context, names::KAFKA, IntOrString::Int(1)).into());
    }
    budgets
}

fn max_unavailable(context: &Context<'_>, plan: &ServicePlan) -> Option<IntOrString> {
    let service = context.spec.service(plan.id)?;
    let scaled = service.autoscaling.as_ref().map(|scaler| scaler.max_replicas);
    let several = scaled.or(service.replicas).is_some_and(|replicas| replicas > 1);
    let written = service.disruption_budget.as_ref();
    if written.is_none() && !several {
        return None;
    }
    let written = written.and_then(|budget| budget.max_unavailable.as_ref());
    Some(match written.map(ToString::to_string) {
        None => IntOrString::Int(1),
        Some(text) => text.parse().map_or(IntOrString::String(text), IntOrString::Int),
    })
}

fn budget(
    context: &Context<'_>,
    component: &str,
    max_unavailable: IntOrString,
) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: context.meta(component, component),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(max_unavailable),
            selector: Some(context.selector(component)),
            // A pod that does not work must not keep its node from being drained.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".into()),
            ..Default::default()
        }),
        status: None,
    }
}
