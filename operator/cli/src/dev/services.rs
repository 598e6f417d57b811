//! Starts the stand-ins and every service of the plan. Wiring a service is one line in [`run`].

use futures_util::future::BoxFuture;
use storefront_contract::ServiceId;
use storefront_operator::plan::{Placement, Plan, ServicePlan, ServiceSettings};
use storefront_runtime::{Listeners, Secret, Shutdown};
use storefront_sandbox::SandboxSettings;
use url::Url;

use super::{
    DevError,
    data::Data,
    listen::Bound,
    running::{Running, Stage},
    secrets::SandboxKeys,
};

/// What runs a service, as its own program does.
fn run(
    settings: ServiceSettings,
    listeners: Listeners,
    shutdown: Shutdown,
) -> BoxFuture<'static, anyhow::Result<()>> {
    match settings {
        ServiceSettings::Gateway(s) => Box::pin(storefront_gateway::run_on(listeners, s, shutdown)),
        ServiceSettings::Payment(s) => Box::pin(storefront_payment::run_on(listeners, s, shutdown)),
        ServiceSettings::Order(s) => Box::pin(storefront_order::run_on(listeners, s, shutdown)),
        ServiceSettings::Email(s) => Box::pin(storefront_email::run_on(listeners, s, shutdown)),
        ServiceSettings::Analytics(s) => {
            Box::pin(storefront_analytics::run_on(listeners, s, shutdown))
        }
    }
}

/// Starts the stand-ins, then every service on its sockets.
pub fn start(
    mut bound: Bound,
    plan: &Plan,
    placement: &Placement,
    keys: &SandboxKeys,
    data: &Data,
    running: &mut Running,
) -> Result<(), DevError> {
    let services: Vec<_> = plan
        .services
        .iter()
        .map(|service| Ok((service, reread(service)?)))
        .collect::<Result<_, DevError>>()?;
    let sockets: Vec<_> =
        services.iter().map(|(service, _)| bound.services.remove(&service.id)).collect();
    let settings = sandbox_settings(&mut bound, plan, placement, keys, data);
    if let Some(settings) = settings {
        running.start("sandbox", Stage::StandIn, |shutdown| {
            Box::pin(storefront_sandbox::run(settings, shutdown))
        });
    }
    for ((service, settings), listeners) in services.into_iter().zip(sockets) {
        let Some(listeners) = listeners else { continue };
        let front = service.id == ServiceId::Gateway;
        let stage = if front { Stage::FrontDoor } else { Stage::Service };
        running.start(service.id.name(), stage, |shutdown| run(settings, listeners, shutdown));
    }
    Ok(())
}

/// The stand-ins, told where the shop is. Their webhooks go the way that Stripe's go: by the gateway.
fn sandbox_settings(
    bound: &mut Bound,
    plan: &Plan,
    placement: &Placement,
    keys: &SandboxKeys,
    data: &Data,
) -> Option<SandboxSettings> {
    let sockets = bound.stand_ins.take()?;
    let base = |url: &Url| url.as_str().trim_end_matches('/').to_owned();
    let runs = |id| plan.service(id).and_then(|_| placement.services.get(&id));
    let gateway = runs(ServiceId::Gateway).map(|place| base(&place.url));
    let payment = runs(ServiceId::Payment).map(|place| base(&place.url));
    let own = || format!("http://{}", bound.sandbox_address);
    let public_url = gateway.clone().unwrap_or_else(own);
    let mut settings =
        SandboxSettings::new(sockets.stripe, sockets.inbox, sockets.smtp, public_url);
    settings.data = data.sandbox_folder();
    settings.api_keys = vec![Secret::from(keys.api_key.as_str())];
    settings.webhook_secret = Some(Secret::from(keys.webhook_secret.as_str()));
    // Without the gateway straight to payment; without payment to nobody, as the account is not ours.
    settings.webhook_url = payment
        .filter(|_| placement.sandbox.is_some())
        .map(|payment| format!("{}/payment/webhook", gateway.unwrap_or(payment)));
    Some(settings)
}

/// The settings as a pod would read them: from variables.
fn reread(service: &ServicePlan) -> Result<ServiceSettings, DevError> {
    let name = || service.id.name().to_owned();
    let read = ServiceSettings::read(service.id, &service.settings.write())
        .map_err(|source| DevError::Settings { service: name(), source })?;
    if read == service.settings { Ok(read) } else { Err(DevError::Changed { service: name() }) }
}
