//! What tests stand on: a real Apache Kafka, a real PostgreSQL, a real Kubernetes API, the `storefront dev`
//! program, an HTTP client, and conditions to wait on. Nothing here may outlive the test process, also when
//! it is killed.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use std::time::Duration;
//! let kafka = storefront_testkit::kafka().await?;
//! let database_url = storefront_testkit::postgres().await?.database().await?;
//! let prefix = storefront_testkit::prefix(); // of topics and groups: the broker is shared
//! # let orders = async || 1;
//! storefront_testkit::eventually(Duration::from_secs(10), "the order", async || {
//!     orders().await == 1
//! })
//! .await;
//! # Ok(()) }
//! ```

mod browser;
mod cluster;
mod cut;
mod databases;
mod definitions;
mod dev;
mod folder;
mod gateway_api;
mod helm;
mod http_client;
mod instance;
mod jars;
mod kafka;
mod kubernetes;
mod letters;
pub mod measure;
mod mute;
mod ports;
mod postgres;
mod process;
mod program;
mod secured;
mod sever;
mod shared;
mod stripe_mock;
mod tls;
mod topics;
mod wait;
mod wire;

pub use browser::chromium;
pub use cluster::Cluster;
pub use cut::{Cutter, Moment};
pub use databases::EmptyDatabase;
pub use definitions::{any_kind, define};
pub use dev::{Dev, DevOptions, FREE_PORTS, Ready, built, built_program};
pub use gateway_api::gateway_api;
pub use helm::{helm, helm_program, monitoring_definitions};
pub use http_client::{Http, Reply};
pub use instance::Instance;
pub use jars::kafka_jars;
pub use kafka::Kafka;
pub use kubernetes::Kubernetes;
pub use letters::{Letter, Topics, produce, read_topic, read_topics};
pub use mute::Mute;
pub use ports::free as free_ports;
pub use postgres::{
    Backup as PostgresBackup, Installation as PostgresPrograms, Postgres, PostgresOptions,
};
pub use program::Running;
pub use secured::{Listener, SecuredKafka};
pub use sever::Severer;
pub use shared::{KAFKA_VARIABLE, POSTGRES_VARIABLE, kafka, kubernetes, postgres};
pub use stripe_mock::StripeMock;
pub use tls::Authority;
pub use topics::{create_replicated_topics, create_topics, prefix};
pub use wait::{eventually, eventually_some, seed};
pub use wire::Wire;
