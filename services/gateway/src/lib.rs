//! The shop's front door: a streaming reverse proxy, and the two pages of a shop that brings none.
//!
//! A request is refused, answered with a page, or forwarded under the path in the one normal form
//! by which it was routed. Bodies pass as they come, connections to services are kept, and whatever a
//! client says about who it is does not cross.

mod body;
pub mod documented;
mod forwarded;
mod gateway;
mod headers;
mod link;
mod pages;
mod problems;
mod proxy;
mod routes;
mod target;
mod upstream;

use std::{sync::Arc, time::Duration};

use storefront_contract::{ServiceId, settings::GatewaySettings};
use storefront_runtime::{Listeners, Service, Shutdown, http::Limits};

use crate::gateway::Gateway;

/// How often connections that were not used for a while are closed.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// Serves the gateway on the addresses of the settings until shutdown.
pub async fn run(settings: GatewaySettings, shutdown: Shutdown) -> anyhow::Result<()> {
    let listeners = Listeners::bind(&settings.common).await?;
    run_on(listeners, settings, shutdown).await
}

/// Serves the gateway on `listeners` until shutdown.
pub async fn run_on(
    listeners: Listeners,
    settings: GatewaySettings,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let service = Service::new(ServiceId::Gateway, &settings.common, shutdown);
    let request_timeout = Duration::from_millis(settings.request_timeout_ms);
    let limits = Limits {
        body_max_bytes: settings.body_max_bytes,
        head_timeout: request_timeout,
        body_timeout: request_timeout,
        ..Limits::default()
    };
    let gateway = Arc::new(Gateway::new(&settings, &service.metrics));
    let sweep = async {
        let mut every = tokio::time::interval(SWEEP_EVERY);
        loop {
            every.tick().await;
            gateway.sweep();
        }
    };
    tokio::select! {
        result = service.serve_handler(listeners, limits, gateway.clone()) => result?,
        () = sweep => (),
    }
    Ok(())
}
