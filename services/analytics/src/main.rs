//! `storefront-analytics`: settings from the environment, until SIGTERM.

use storefront_contract::settings::{AnalyticsSettings, Settings};
use storefront_runtime::{ProcessEnv, probe, shutdown_signal, telemetry};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let settings = AnalyticsSettings::read(&ProcessEnv)?;
    if probe::is_asked_for() {
        return Ok(probe::ask(settings.common.admin_listen, "/readyz")?);
    }
    let _telemetry = telemetry::init("analytics");
    storefront_analytics::run(settings, shutdown_signal()).await
}
