//! A real PostgreSQL.

use std::process::Command;

use storefront_testkit::{Postgres, PostgresOptions, postgres};

fn query(url: &str, sql: &str) -> Result<String, String> {
    let output = Command::new("psql").args(["-X", "-A", "-t", "-q", "-d", url, "-c", sql]).output();
    let output = output.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim().to_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

#[tokio::test]
async fn each_test_has_a_database_of_its_own() {
    let postgres = postgres().await.unwrap();
    let (one, other) = tokio::try_join!(postgres.database(), postgres.database()).unwrap();
    query(&one, "CREATE TABLE orders (id BIGINT)").unwrap();
    query(&one, "SELECT * FROM orders").unwrap();
    assert!(query(&other, "SELECT * FROM orders").unwrap_err().contains("does not exist"));
}

#[tokio::test]
async fn a_backup_brings_everything_back_as_it_was() {
    let postgres = Postgres::private(&PostgresOptions::default()).await.unwrap();
    let url = postgres.database().await.unwrap();
    query(&url, "CREATE TABLE orders AS SELECT 1 AS id").unwrap();
    let backup = postgres.back_up().await.unwrap();
    query(&url, "INSERT INTO orders VALUES (2)").unwrap();
    postgres.kill().unwrap();
    postgres.restore(backup).await.unwrap();
    assert_eq!(query(&url, "SELECT id FROM orders").unwrap(), "1");
    query(&url, "INSERT INTO orders VALUES (3)").unwrap();
}

#[tokio::test]
async fn a_private_cluster_can_be_configured_killed_started() {
    let settings = vec![("max_connections", "7")];
    let postgres = Postgres::private(&PostgresOptions { fsync: true, settings }).await.unwrap();
    let url = postgres.database().await.unwrap();
    assert_eq!(query(&url, "SHOW max_connections").unwrap(), "7");
    assert_eq!(query(&url, "SHOW fsync").unwrap(), "on");
    query(&url, "CREATE TABLE orders AS SELECT 1 AS id").unwrap();

    postgres.kill().unwrap();
    query(&url, "SELECT 1").unwrap_err();
    postgres.start().await.unwrap();
    assert_eq!(query(&url, "SELECT id FROM orders").unwrap(), "1");

    postgres.pause().unwrap();
    let limited = format!("{url}?connect_timeout=2");
    query(&limited, "SELECT 1").unwrap_err();
    postgres.resume().unwrap();
    query(&url, "SELECT 1").unwrap();
}
