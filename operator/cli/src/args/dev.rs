//! Flags of `storefront dev`.

use std::path::PathBuf;

use clap::{Args, value_parser};
use storefront_contract::ServiceId;
use url::Url;

use super::values::{Listen, Unrepeated, database_url, host_and_port, http_url};
use crate::output::Output;

/// Flags of `dev`.
#[derive(Args, Debug)]
pub struct DevArguments {
    /// Manifest with one Storefront.
    pub file: PathBuf,
    /// Folder where everything is kept between runs [default: .storefront/NAME].
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Keep nothing: a temporary folder, removed at the end.
    #[arg(long, conflicts_with = "data")]
    pub ephemeral: bool,
    /// Address of the gateway; port 0 picks a free one, here and below.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub listen: Listen,
    /// Address of the embedded Kafka broker.
    #[arg(long, value_name = "ADDRESS", default_value = ":9092")]
    pub kafka_listen: Listen,
    /// Address of the stand-in for Stripe.
    #[arg(long, value_name = "ADDRESS", default_value = ":12111")]
    pub sandbox_listen: Listen,
    /// Address of the inbox's pages and API.
    #[arg(long, value_name = "ADDRESS", default_value = ":8025")]
    pub inbox_listen: Listen,
    /// Address where the inbox takes mails.
    #[arg(long, value_name = "ADDRESS", default_value = ":1025")]
    pub smtp_listen: Listen,
    /// Address of the console: topics, groups, messages, dead letters and sales, live in a browser.
    #[arg(long, value_name = "ADDRESS", default_value = ":8090")]
    pub console_listen: Listen,
    /// Use these brokers, host:port separated by commas, instead of the embedded one.
    #[arg(long, value_name = "BROKERS", value_delimiter = ',')]
    pub kafka: Vec<String>,
    /// Use this PostgreSQL, `postgres://user:password@host/database`, instead of SQLite.
    #[arg(long, value_name = "URL", value_parser = Unrepeated(database_url))]
    pub database: Option<String>,
    /// Use Stripe, or another stand-in, at this address.
    #[arg(long, value_name = "URL", value_parser = Unrepeated(http_url))]
    pub stripe_api_base: Option<Url>,
    /// How often to look after payments that no webhook has told of [default: 30000].
    #[arg(long, value_name = "MS", value_parser = value_parser!(u64).range(100..=3_600_000))]
    pub sweep_interval_ms: Option<u64>,
    /// Hand mails to this server, without TLS, instead of the inbox.
    #[arg(long, value_name = "HOST:PORT", value_parser = host_and_port)]
    pub smtp: Option<(String, u16)>,
    /// Folder with the manifest's Secrets as files: DIR/<secret>/<key>.
    #[arg(long, value_name = "DIR")]
    pub secrets: Option<PathBuf>,
    /// Leave a service out, to watch its backlog grow; may be repeated.
    #[arg(long, value_name = "SERVICE")]
    pub without: Vec<ServiceId>,
    /// How to say that everything is ready. Logs are always on standard error.
    #[arg(long, value_enum, default_value_t)]
    pub output: Output,
}
