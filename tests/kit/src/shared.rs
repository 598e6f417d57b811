//! The servers that all tests share: one for a whole `make test` when its variables are set, else one
//! for each test process. Tests keep apart by topic prefix and by database.

use std::env;

use tokio::sync::OnceCell;

use crate::{Kafka, Kubernetes, Postgres, PostgresOptions};

/// Names the bootstrap servers of a Kafka that runs already.
pub const KAFKA_VARIABLE: &str = "STOREFRONT_TEST_KAFKA";
/// Holds the URL of a PostgreSQL that runs already, as a user who may create databases.
pub const POSTGRES_VARIABLE: &str = "STOREFRONT_TEST_POSTGRES";

static KAFKA: OnceCell<Kafka> = OnceCell::const_new();
static KUBERNETES: OnceCell<Kubernetes> = OnceCell::const_new();
static POSTGRES: OnceCell<Postgres> = OnceCell::const_new();

/// The shared Apache Kafka, started when the first test asks.
pub async fn kafka() -> anyhow::Result<Kafka> {
    let start = async || match given(KAFKA_VARIABLE) {
        Some(bootstrap) => Ok(Kafka::at(bootstrap)),
        None => Kafka::private().await,
    };
    KAFKA.get_or_try_init(start).await.cloned()
}

/// The Kubernetes API that the tests of one process share, started when the first of them asks. They keep
/// apart by namespace.
pub async fn kubernetes() -> anyhow::Result<Kubernetes> {
    KUBERNETES.get_or_try_init(Kubernetes::private).await.cloned()
}

/// The shared PostgreSQL, started when the first test asks. It does not sync to disk.
pub async fn postgres() -> anyhow::Result<Postgres> {
    let start = async || match given(POSTGRES_VARIABLE) {
        Some(url) => Postgres::at(&url),
        None => Postgres::private(&PostgresOptions::default()).await,
    };
    POSTGRES.get_or_try_init(start).await.cloned()
}

fn given(variable: &str) -> Option<String> {
    env::var_os(variable)?.into_string().ok().filter(|value| !value.is_empty())
}
