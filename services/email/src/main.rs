//! `storefront-email`: settings from the environment, until SIGTERM.

use storefront_contract::settings::{EmailSettings, Settings};
use storefront_runtime::{ProcessEnv, probe, shutdown_signal, telemetry};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let settings = EmailSettings::read(&ProcessEnv)?;
    if probe::is_asked_for() {
        return Ok(probe::ask(settings.common.admin_listen, "/readyz")?);
    }
    let _telemetry = telemetry::init("email");
    storefront_email::run(settings, shutdown_signal()).await
}
