//! The stand-in for Stripe with its inbox: for demos, tests and staging.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy},
        core::v1::{Container, Probe, TCPSocketAction},
    },
    apimachinery::pkg::util::intstr::IntOrString,
};
use storefront_contract::ServiceId;

use super::{
    Context, Object,
    context::hash,
    deployment::{GRACE_S, REVISIONS, USER, container_port, settings_of, versioned},
    mounts,
    pod::{self, Pod, container_security, images},
    resources::{Defaults, resources},
};
use crate::{
    names,
    plan::cluster::{INBOX_SMTP_PORT, SANDBOX_PORT},
};

/// Mailpit's API and the inbox's page.
pub(super) const INBOX_PORT: u16 = 8025;
const DATA: &str = "/var/lib/storefront";
const SETTINGS_HASH: &str = "storefront.dev/settings-hash";
const DEFAULTS: Defaults =
    Defaults { cpu_request: "20m", memory_request: "64Mi", memory_limit: "256Mi" };

pub(super) fn runs(context: &Context<'_>) -> bool {
    let mails = context.input.plan.service(ServiceId::Email).is_some();
    context.spec.is_sandbox() || (mails && context.spec.smtp().is_none())
}

/// Its variables. Beside a real Stripe it is an inbox only, and never sees a key.
pub(super) fn settings(context: &Context<'_>) -> BTreeMap<String, String> {
    let listen = |port: u16| format!("0.0.0.0:{port}");
    let mut settings = BTreeMap::from([
        ("SANDBOX_STRIPE_LISTEN", listen(SANDBOX_PORT)),
        ("SANDBOX_INBOX_LISTEN", listen(INBOX_PORT)),
        ("SANDBOX_SMTP_LISTEN", listen(INBOX_SMTP_PORT)),
        ("SANDBOX_DATA", DATA.to_owned()),
        ("PUBLIC_URL", context.input.placement.public_url.to_string()),
    ]);
    if context.spec.is_sandbox() {
        let secret = |key: &str| context.secret_path(names::SANDBOX, key);
        settings.insert("STRIPE_API_KEY_FILE", secret("api-key"));
        // As Stripe does: through the front door, where there is one.
        let plan = context.input.plan;
        let door = [ServiceId::Gateway, ServiceId::Payment];
        let door = door.into_iter().find(|id| plan.service(*id).is_some());
        let place = door.and_then(|id| context.input.placement.services.get(&id));
        if let Some(place) = place {
            let url = place.url.as_str().trim_end_matches('/');
            settings.insert("SANDBOX_WEBHOOK_URL", format!("{url}/payment/webhook"));
            settings.insert("SANDBOX_WEBHOOK_SECRET_FILE", secret("webhook-secret"));
        }
    }
    settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

pub(super) fn deployment(context: &Context<'_>) -> Option<Object> {
    if !runs(context) {
        return None;
    }
    let component = names::SANDBOX;
    let settings = settings(context);
    let mut mounts = mounts::of(context, &settings);
    // Sessions that are not paid yet and mails go with the pod; what was paid is in payment's database.
    mounts.add(mounts::scratch("data", "1Gi"), DATA, false);
    let images = images(context);
    let ports = [("stripe", SANDBOX_PORT), ("inbox", INBOX_PORT), ("smtp", INBOX_SMTP_PORT)];
    let container = Container {
        name: component.to_owned(),
        image: Some(images.sandbox()),
        image_pull_policy: Some(images.pull_policy().to_owned()),
        env_from: Some(vec![settings_of(context.name(component))]),
        ports: Some(ports.map(|(name, port)| container_port(name, port)).into()),
        liveness_probe: Some(tcp_probe("stripe", 10, 3)),
        readiness_probe: Some(tcp_probe("stripe", 1, 5)),
        resources: Some(resources(None, DEFAULTS)),
        security_context: Some(container_security()),
        volume_mounts: Some(mounts.mounts),
        ..Default::default()
    };
    let template = pod::template(
        context,
        Pod {
            component,
            containers: vec![container],
            init_containers: Vec::new(),
            volumes: mounts.volumes,
            placement: None,
            metadata: None,
            rolls: BTreeMap::from([(SETTINGS_HASH.to_owned(), hash(&settings))]),
            user: USER,
            grace_s: GRACE_S,
        },
    );
    let deployment = Deployment {
        metadata: versioned(context, component),
        spec: Some(DeploymentSpec {
            // One ledger: two of them would each know half of the sessions.
            replicas: Some(1),
            strategy: Some(DeploymentStrategy {
                type_: Some("Recreate".into()),
                rolling_update: None,
            }),
            revision_history_limit: Some(REVISIONS),
            selector: context.selector(component),
            template,
            ..Default::default()
        }),
        status: None,
    };
    Some(deployment.into())
}

/// Whether somebody listens on a port.
pub(super) fn tcp_probe(port: &str, period_s: i32, failures: i32) -> Probe {
    Probe {
        tcp_socket: Some(TCPSocketAction {
            port: IntOrString::String(port.to_owned()),
            host: None,
        }),
        period_seconds: Some(period_s),
        failure_threshold: Some(failures),
        timeout_seconds: Some(2),
        ..Default::default()
    }
}
