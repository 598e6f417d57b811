//! `storefront-order`: settings from the environment, until SIGTERM.

use storefront_contract::settings::{OrderSettings, Settings};
use storefront_runtime::{ProcessEnv, probe, shutdown_signal, telemetry};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let settings = OrderSettings::read(&ProcessEnv)?;
    if probe::is_asked_for() {
        return Ok(probe::ask(settings.common.admin_listen, "/readyz")?);
    }
    let _telemetry = telemetry::init("order");
    storefront_order::run(settings, shutdown_signal()).await
}
