//! What the services stand on, all of it real but Stripe and the mail server.

use std::{fs, path::PathBuf};

use anyhow::Result;
use storefront_testkit::{Kafka, Postgres, PostgresOptions, free_ports};
use tempfile::TempDir;

use crate::{
    process::{Core, Process},
    programs,
};

/// Apache Kafka, PostgreSQL that writes to disk before it answers, and the stand-in; not on the measured core.
pub struct Servers {
    pub kafka: Kafka,
    pub postgres: Postgres,
    pub stripe_port: u16,
    pub smtp_port: u16,
    folder: TempDir,
    _sandbox: Process,
}

impl Servers {
    pub async fn start() -> Result<Self> {
        let options = PostgresOptions { fsync: true, ..PostgresOptions::default() };
        let (kafka, postgres) = tokio::try_join!(Kafka::private(), Postgres::private(&options))?;
        let folder = tempfile::tempdir()?;
        let [stripe_port, inbox_port, smtp_port] = free_ports()?;
        let at = |port: u16| format!("127.0.0.1:{port}");
        let environment = [
            ("SANDBOX_STRIPE_LISTEN", at(stripe_port)),
            ("SANDBOX_INBOX_LISTEN", at(inbox_port)),
            ("SANDBOX_SMTP_LISTEN", at(smtp_port)),
            ("RUST_LOG", "warn".into()),
        ];
        let program = programs::program("storefront-sandbox")?;
        let mut sandbox = Process::start(Core::Other, &[&program], &environment)?;
        sandbox.listening(stripe_port)?;
        Ok(Self { kafka, postgres, stripe_port, smtp_port, folder, _sandbox: sandbox })
    }

    /// A file with a text; its path, for a setting.
    pub fn file(&self, name: &str, text: &str) -> Result<String> {
        let path: PathBuf = self.folder.path().join(name);
        fs::write(&path, text)?;
        Ok(path.to_string_lossy().into_owned())
    }

    pub fn stripe(&self) -> String {
        format!("http://127.0.0.1:{}", self.stripe_port)
    }

    /// Where Kafka and a new database are, for a service whose topics have the prefix.
    pub async fn places(&self, prefix: &str) -> Result<Vec<(&'static str, String)>> {
        Ok(vec![
            ("KAFKA_BROKERS", self.kafka.bootstrap().to_owned()),
            ("KAFKA_PREFIX", prefix.to_owned()),
            ("DATABASE_URL", self.postgres.database().await?),
        ])
    }

    /// What email needs beside them.
    pub fn mail(&self) -> Vec<(&'static str, String)> {
        vec![
            ("SMTP_HOST", "127.0.0.1".into()),
            ("SMTP_PORT", self.smtp_port.to_string()),
            ("SMTP_TLS", "none".into()),
            ("EMAIL_FROM", "Bench <shop@example.com>".into()),
            ("PUBLIC_URL", "http://127.0.0.1:3000".into()),
        ]
    }

    /// What payment needs beside them.
    pub fn payment(&self) -> Result<Vec<(&'static str, String)>> {
        let catalog = r#"{"products": [{"id": "phone", "name": "Nova 5G", "price": 1899900},
            {"id": "chai", "name": "Masala chai", "price": 24900}]}"#;
        Ok(vec![
            ("CURRENCY", "INR".into()),
            ("CATALOG_FILE", self.file("catalog.json", catalog)?),
            ("PUBLIC_URL", "http://127.0.0.1:3000".into()),
            ("STRIPE_API_BASE", self.stripe()),
            ("STRIPE_API_KEY_FILE", self.file("key", "sk_test_bench")?),
            ("STRIPE_WEBHOOK_SECRET_FILES", self.file("secret", "whsec_bench0123456789abcdef")?),
            ("STRIPE_SANDBOX", "true".into()),
        ])
    }
}
