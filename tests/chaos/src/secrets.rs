//! What the shop and its neighbours know of each other: Stripe's key and secret, the mail server's login, PostgreSQL's. Files, as in
//! a cluster, which services read again when they change.

use std::{fs, path::PathBuf, sync::Arc};

use anyhow::{Context as _, Result};
use storefront_testkit::Postgres;
use tempfile::TempDir;

/// Who may come to the databases, by password: two users, so that one can follow the other.
pub const USERS: [&str; 2] = ["blue", "green"];

/// A folder with a file for each secret; clones are the same one.
#[derive(Clone)]
pub struct Secrets(Arc<TempDir>);

/// The values of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation(pub u32);

impl Generation {
    /// What is shown of the key where it is used.
    pub fn ending(&self) -> String {
        format!("{:04}", self.0)
    }

    pub fn api_key(&self) -> String {
        format!("sk_test_4eC39HqLyjWDarjtT1{}", self.ending())
    }

    pub fn webhook_secret(&self) -> String {
        format!("whsec_chaos{:04}8f3a51c7e29b4d06", self.0)
    }

    pub fn mail_user(&self) -> String {
        format!("shop-{}", self.0)
    }

    pub fn mail_password(&self) -> String {
        format!("mail-{:04}9d27f3b08c", self.0)
    }

    pub fn database_user(&self) -> &'static str {
        USERS[self.0 as usize % USERS.len()]
    }

    pub fn database_password(&self) -> String {
        format!("database{:04}c615ea4", self.0)
    }

    /// Of the database at `host:port/name`.
    pub fn database_url(&self, place: &str) -> String {
        format!("postgres://{}:{}@{place}", self.database_user(), self.database_password())
    }
}

impl Secrets {
    /// An empty folder.
    pub fn new() -> Result<Self> {
        Ok(Self(Arc::new(tempfile::tempdir()?)))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file, so that nobody sees half of it; its path, for a setting.
    pub fn write(&self, name: &str, text: &str) -> Result<String> {
        let (path, new) = (self.path(name), self.path(&format!("{name}.new")));
        fs::write(&new, text)?;
        fs::rename(&new, &path)?;
        Ok(path.to_string_lossy().into_owned())
    }

    /// Stripe's key and the secret by which it signs; the one before stays good.
    pub fn write_stripe(&self, now: &Generation, before: &Generation) -> Result<()> {
        self.write("webhook-secret-old", &before.webhook_secret())?;
        self.write("webhook-secret", &now.webhook_secret())?;
        self.write("api-key", &now.api_key())?;
        // Stripe's own: it signs by the new one once the shop has it.
        self.write("stripe-signs-by", &now.webhook_secret()).map(drop)
    }

    pub fn write_mail(&self, now: &Generation) -> Result<()> {
        self.write("mail-user", &now.mail_user())?;
        self.write("mail-password", &now.mail_password()).map(drop)
    }
}

/// Lets the two users in by password alone, and the first of them at all. Whoever compares at the end comes as ever.
pub async fn prepare(postgres: &Postgres, now: &Generation) -> Result<()> {
    let file = postgres.ask(postgres.url(), "SHOW hba_file").await?;
    let rest = fs::read_to_string(&file).context("pg_hba.conf")?;
    fs::write(&file, format!("host all {} all scram-sha-256\n{rest}", USERS.join(",")))?;
    postgres.run(postgres.url(), "SELECT pg_reload_conf()").await?;
    for user in USERS {
        postgres.run(postgres.url(), &format!("CREATE ROLE {user} SUPERUSER NOLOGIN")).await?;
    }
    admit(postgres, now).await
}

/// The generation's user may log in, by its password.
pub async fn admit(postgres: &Postgres, now: &Generation) -> Result<()> {
    let (user, password) = (now.database_user(), now.database_password());
    postgres.run(postgres.url(), &format!("ALTER ROLE {user} LOGIN PASSWORD '{password}'")).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_of_the_database_follow_each_other() {
        let url = |number| Generation(number).database_url("here:5432/shop");
        assert!(url(0).starts_with("postgres://blue:") && url(1).starts_with("postgres://green:"));
        assert!(url(2).starts_with("postgres://blue:") && url(2) != url(0));
    }

    #[test]
    fn a_file_is_there_whole_and_takes_the_place_of_the_one_before() {
        let secrets = Secrets::new().unwrap();
        for text in ["one", "two"] {
            let path = secrets.write("key", text).unwrap();
            assert_eq!(fs::read_to_string(path).unwrap(), text);
        }
    }
}
