//! Which brokers, and which shop on them.

use std::path::PathBuf;

use clap::Args;

/// Flags of every command that asks brokers.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Brokers")]
pub struct BrokerArguments {
    /// Brokers, HOST:PORT separated by commas [default: 127.0.0.1:9092, or those of --kafka-config].
    #[arg(long, value_name = "BROKERS", env = "STOREFRONT_KAFKA", hide_env_values = true)]
    pub kafka: Option<String>,
    /// File with client settings, for TLS and passwords: the properties file of Kafka's own tools
    /// (`security.protocol=SASL_SSL`, `sasl.jaas.config=…`) or of kcat (`sasl.username=…`).
    #[arg(long, value_name = "FILE", env = "STOREFRONT_KAFKA_CONFIG", hide_env_values = true)]
    pub kafka_config: Option<PathBuf>,
    /// Manifest of the shop, for its prefix and what is mailed.
    #[arg(long, value_name = "FILE", conflicts_with = "prefix")]
    pub manifest: Option<PathBuf>,
    /// What stands before the shop's topics and groups (`spec.kafka.prefix`) [default: nothing].
    #[arg(long, value_name = "TEXT", env = "STOREFRONT_PREFIX", hide_env_values = true)]
    pub prefix: Option<String>,
}
