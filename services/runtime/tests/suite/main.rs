//! The runtime as its users meet it: one suite, each scenario on the embedded broker with SQLite and on
//! a real Apache Kafka with a real PostgreSQL.

#![cfg(test)]

mod commit;
mod database;
mod dead_letters;
mod delivery;
mod outbox;
mod parking;
mod rebalance;
mod restore;
mod rotation;
mod secured;
mod shop;
mod silence;
mod trouble;
mod world;

/// Makes two tests of each scenario: `embedded::NAME` and `real::NAME`.
#[macro_export]
macro_rules! on_both {
    ($world:ident; $($name:ident),* $(,)?) => {
        mod embedded {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() -> anyhow::Result<()> { super::$name(super::$world::embedded().await?).await }
            )*
        }
        mod real {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() -> anyhow::Result<()> { super::$name(super::$world::real().await?).await }
            )*
        }
    };
}
