//! Empty databases of both kinds, and scenarios that run on each.

use storefront_contract::settings::{DatabaseSettings, DatabaseUrl};
use tempfile::TempDir;

/// A database with nothing in it. A file goes when this is dropped.
#[derive(Debug)]
pub struct EmptyDatabase {
    pub settings: DatabaseSettings,
    _folder: Option<TempDir>,
}

impl EmptyDatabase {
    /// A file of `SQLite`.
    pub fn sqlite() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let url = format!("sqlite:{}", folder.path().join("service.db").display());
        Ok(Self { settings: settings(url), _folder: Some(folder) })
    }

    /// One of the shared PostgreSQL.
    pub async fn postgres() -> anyhow::Result<Self> {
        let url = crate::postgres().await?.database().await?;
        Ok(Self { settings: settings(url), _folder: None })
    }
}

fn settings(url: String) -> DatabaseSettings {
    DatabaseSettings { url: DatabaseUrl::Plain(url), max_connections: 4 }
}

/// Makes two tests of each scenario, `sqlite::NAME` and `postgres::NAME`; a scenario takes what the function
/// before the names makes of an [`EmptyDatabase`].
#[macro_export]
macro_rules! on_both {
    ($open:path; $($name:ident),* $(,)?) => {
        $crate::on_both!(@ sqlite, $open, $crate::EmptyDatabase::sqlite(); $($name),*);
        $crate::on_both!(@ postgres, $open, $crate::EmptyDatabase::postgres().await; $($name),*);
    };
    (@ $kind:ident, $open:path, $empty:expr; $($name:ident),*) => {
        mod $kind { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($open($empty.unwrap()).await).await;
            }
        )* }
    };
}
