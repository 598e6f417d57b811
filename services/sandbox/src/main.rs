//! The sandbox as a program of its own. Settings come from the environment.

use storefront_contract::settings::Settings as _;
use storefront_runtime::{ProcessEnv, probe, shutdown_signal, telemetry};
use storefront_sandbox::{SandboxConfig, run};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let settings = SandboxConfig::read(&ProcessEnv)?;
    if probe::is_asked_for() {
        return Ok(probe::ask(settings.stripe_listen, "/control/faults")?);
    }
    let _telemetry = telemetry::init("sandbox");
    let settings = settings.bind().await?;
    tracing::info!(
        stripe = %settings.stripe_listener.local_addr()?,
        inbox = %settings.inbox_listener.local_addr()?,
        smtp = %settings.smtp_listener.local_addr()?,
        "the sandbox is ready"
    );
    run(settings, shutdown_signal()).await
}
