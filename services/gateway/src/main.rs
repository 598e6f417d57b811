//! The gateway as a program of its own; its settings come from the environment.

use storefront_contract::settings::{GatewaySettings, Settings};
use storefront_runtime::{ProcessEnv, probe, shutdown_signal, telemetry};

/// A request allocates some dozens of times, and most of it for a moment.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let settings = GatewaySettings::read(&ProcessEnv)?;
    if probe::is_asked_for() {
        return Ok(probe::ask(settings.common.admin_listen, "/readyz")?);
    }
    let _telemetry = telemetry::init("gateway");
    storefront_gateway::run(settings, shutdown_signal()).await
}
