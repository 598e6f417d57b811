//! Flags of `audit`.

use std::time::Duration;

use clap::Args;
use url::Url;

use super::{
    BrokerArguments, OutputArguments,
    values::{Unrepeated, When, http_url, span},
};

/// Flags of `audit`.
#[derive(Args, Debug)]
pub struct AuditArguments {
    /// Look at sessions that were made at Stripe since then: a span ago (`36h`, `30d`) or a time
    /// (`2026-01-31T10:00:00Z`).
    #[arg(long, value_name = "WHEN", default_value = "24h")]
    pub since: When,
    /// And before then, written in the same way [default: now].
    #[arg(long, value_name = "WHEN")]
    pub until: Option<When>,
    /// Close the gaps that can be closed [default: only say them].
    #[arg(long)]
    pub fix: bool,
    /// Compare no mails, for a shop without them.
    #[arg(long)]
    pub no_mail: bool,
    /// How long what seems to be missing may be on its way, before it is a gap.
    #[arg(long, value_name = "SPAN", default_value = "10s", value_parser = span)]
    pub settle: Duration,
    /// How long to wait until what was closed is seen.
    #[arg(long, value_name = "SPAN", default_value = "60s", value_parser = span, requires = "fix")]
    pub wait: Duration,
    /// Address of payment's admin port [default: the console of `storefront dev` tells it].
    #[arg(long, value_name = "URL", value_parser = Unrepeated(http_url),
          env = "STOREFRONT_PAYMENT_ADMIN", hide_env_values = true)]
    pub payment: Option<Url>,
    /// Address of the console of `storefront dev`.
    #[arg(long, value_name = "URL", value_parser = Unrepeated(http_url),
          default_value = "http://127.0.0.1:8090", env = "STOREFRONT_CONSOLE", hide_env_values = true)]
    pub console: Url,
    /// Address of the shop's gateway, to ask for orders and their mails.
    #[arg(long, value_name = "URL", value_parser = Unrepeated(http_url),
          default_value = super::shop::GATEWAY, env = "STOREFRONT_GATEWAY", hide_env_values = true)]
    pub gateway: Url,
    #[command(flatten)]
    pub output: OutputArguments,
    #[command(flatten)]
    pub brokers: BrokerArguments,
}
