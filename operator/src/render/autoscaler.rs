//! Scalers by CPU.

use k8s_openapi::api::autoscaling::v2::{
    CrossVersionObjectReference, HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscaler,
    HorizontalPodAutoscalerBehavior, HorizontalPodAutoscalerSpec, MetricSpec, MetricTarget,
    ResourceMetricSource,
};

use super::{Context, Object};
use crate::{api::Autoscaling, plan::ServicePlan};

const DEFAULT_CPU_PERCENT: i32 = 70;
/// Each instance that goes makes a group share its partitions anew: one at a time, and not before the
/// load has been low for a while.
const CALM_S: i32 = 300;

pub(super) fn all(context: &Context<'_>) -> Vec<Object> {
    let services = context.input.plan.services.iter();
    let scaled = services.filter_map(|plan| {
        let autoscaling = context.spec.service(plan.id)?.autoscaling.as_ref()?;
        Some(scaler(context, plan, autoscaling).into())
    });
    scaled.collect()
}

fn scaler(
    context: &Context<'_>,
    plan: &ServicePlan,
    autoscaling: &Autoscaling,
) -> HorizontalPodAutoscaler {
    let name = plan.id.name();
    let percent = autoscaling.cpu_percent.unwrap_or(DEFAULT_CPU_PERCENT);
    HorizontalPodAutoscaler {
        metadata: context.meta(name, name),
        spec: Some(HorizontalPodAutoscalerSpec {
            scale_target_ref: CrossVersionObjectReference {
                api_version: Some("apps/v1".into()),
                kind: "Deployment".into(),
                name: context.name(name),
            },
            min_replicas: Some(autoscaling.min_replicas.unwrap_or(1)),
            max_replicas: autoscaling.max_replicas,
            metrics: Some(vec![cpu(percent)]),
            behavior: Some(HorizontalPodAutoscalerBehavior {
                scale_down: Some(HPAScalingRules {
                    stabilization_window_seconds: Some(CALM_S),
                    policies: Some(vec![HPAScalingPolicy {
                        type_: "Pods".into(),
                        value: 1,
                        period_seconds: 60,
                    }]),
                    ..Default::default()
                }),
                scale_up: None,
            }),
        }),
        status: None,
    }
}

fn cpu(percent: i32) -> MetricSpec {
    MetricSpec {
        type_: "Resource".into(),
        resource: Some(ResourceMetricSource {
            name: "cpu".into(),
            target: MetricTarget {
                type_: "Utilization".into(),
                average_utilization: Some(percent),
                ..Default::default()
            },
        }),
        ..Default::default()
    }
}
