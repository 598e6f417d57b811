//! The gateway as a program of its own; its settings come from the environment.

use storefront_contract::settings::{GatewaySettings, Settings};
use storefront_runtime::{ProcessEnv, shutdown_signal, telemetry};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let _telemetry = telemetry::init("gateway");
    let settings = GatewaySettings::read(&ProcessEnv)?;
    storefront_gateway::run(settings, shutdown_signal()).await
}
