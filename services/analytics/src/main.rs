//! `storefront-analytics`: settings from the environment, until SIGTERM.

use storefront_contract::settings::{AnalyticsSettings, Settings};
use storefront_runtime::{ProcessEnv, shutdown_signal, telemetry};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let _telemetry = telemetry::init("analytics");
    storefront_analytics::run(AnalyticsSettings::read(&ProcessEnv)?, shutdown_signal()).await
}
