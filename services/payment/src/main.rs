//! The payment service as a program of its own: settings from the environment.

use storefront_contract::settings::{PaymentSettings, Settings};
use storefront_runtime::{ProcessEnv, shutdown_signal, telemetry};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let _telemetry = telemetry::init("payment");
    let settings = PaymentSettings::read(&ProcessEnv)?;
    storefront_payment::run(settings, shutdown_signal()).await
}
