//! `storefront-order`: settings from the environment, until SIGTERM.

use storefront_contract::settings::{OrderSettings, Settings};
use storefront_runtime::{ProcessEnv, shutdown_signal, telemetry};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let _telemetry = telemetry::init("order");
    storefront_order::run(OrderSettings::read(&ProcessEnv)?, shutdown_signal()).await
}
