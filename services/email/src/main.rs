//! `storefront-email`: settings from the environment, until SIGTERM.

use storefront_contract::settings::{EmailSettings, Settings};
use storefront_runtime::{ProcessEnv, shutdown_signal, telemetry};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let _telemetry = telemetry::init("email");
    storefront_email::run(EmailSettings::read(&ProcessEnv)?, shutdown_signal()).await
}
