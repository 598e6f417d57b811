//! The database's user is replaced by another one under load, by a file that is written anew.

use std::fs;

use futures_util::future::join_all;
use storefront_contract::settings::{DatabaseSettings, DatabaseUrl};
use storefront_runtime::Database;
use storefront_testkit::{eventually, postgres, prefix};

use crate::world::{LIMIT, shop};

/// More than there are connections.
const CALLERS: usize = 24;
const ROUNDS: u32 = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_who_ask_at_once_come_by_the_new_user() -> anyhow::Result<()> {
    let server = postgres().await?;
    let url = server.database().await?;
    let (_, place) = url.split_once('@').unwrap();
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("url");
    let prefix = prefix().replace('-', "_");
    let user = |round: u32| format!("{prefix}{round}");
    let admit = async |round| {
        server.run(&url, &format!("CREATE ROLE {} SUPERUSER LOGIN", user(round))).await?;
        fs::write(&file, format!("postgres://{}@{place}", user(round)))?;
        anyhow::Ok(())
    };
    admit(0).await?;
    let settings = DatabaseSettings { url: DatabaseUrl::File(file.clone()), max_connections: 8 };
    let service = storefront_contract::ServiceId::Order;
    let database = Database::open(&settings, &shop(), service, &[]).await?;
    let one = async || {
        let mut tx = database.begin().await?;
        let rows = tx.query("SELECT CAST(current_user AS TEXT) AS name", &[]).await?;
        tx.commit().await?;
        anyhow::Ok(rows[0].text("name")?)
    };
    let all = async || {
        let asked = join_all((0..CALLERS).map(|_| one())).await;
        asked.into_iter().collect::<anyhow::Result<Vec<String>>>()
    };
    for round in 1..=ROUNDS {
        all().await?;
        admit(round).await?;
        let old = user(round - 1);
        server.run(&url, &format!("ALTER ROLE {old} NOLOGIN")).await?;
        let end = format!(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = '{old}'"
        );
        eventually(LIMIT, "an end of the old connections", async || {
            server.ask(&url, &end).await.is_ok_and(|count| count == "0")
        })
        .await;
        let names = all().await?;
        assert!(names.iter().all(|name| *name == user(round)), "round {round}: {names:?}");
    }
    database.close().await;
    Ok(())
}
