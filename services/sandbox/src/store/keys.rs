//! Rows of idempotency keys: the first answer given to each.

use sqlx::Row;

use super::{Statement, Store, StoreError};

/// The answer that a key was given first, and what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAnswer {
    pub key: String,
    pub created_ms: i64,
    /// `POST /v1/checkout/sessions`.
    pub endpoint: String,
    /// A digest of the parameters.
    pub fingerprint: String,
    pub request_id: String,
    pub status: u16,
    pub body: String,
}

impl StoredAnswer {
    /// An old answer of the same key has run out by now, else it would have been given again.
    pub fn insert(&self) -> Statement {
        Statement::new(
            "INSERT OR REPLACE INTO idempotency_keys
             (key, created_ms, endpoint, fingerprint, request_id, status, body)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            [
                self.key.as_str().into(),
                self.created_ms.into(),
                self.endpoint.as_str().into(),
                self.fingerprint.as_str().into(),
                self.request_id.as_str().into(),
                i64::from(self.status).into(),
                self.body.as_str().into(),
            ],
        )
    }
}

impl Store {
    /// The answer of a key that was stored at `since_ms` or later.
    pub async fn stored_answer(
        &self,
        key: &str,
        since_ms: i64,
    ) -> Result<Option<StoredAnswer>, StoreError> {
        let query = sqlx::query(
            "SELECT created_ms, endpoint, fingerprint, request_id, status, body
             FROM idempotency_keys WHERE key = $1 AND created_ms >= $2",
        );
        let row = query.bind(key).bind(since_ms).fetch_optional(&self.read).await;
        let Some(row) = row.map_err(StoreError::Read)? else { return Ok(None) };
        let read = || -> Result<StoredAnswer, sqlx::Error> {
            Ok(StoredAnswer {
                key: key.to_owned(),
                created_ms: row.try_get("created_ms")?,
                endpoint: row.try_get("endpoint")?,
                fingerprint: row.try_get("fingerprint")?,
                request_id: row.try_get("request_id")?,
                status: row.try_get("status")?,
                body: row.try_get("body")?,
            })
        };
        read().map(Some).map_err(StoreError::Read)
    }

    /// Forgets keys older than `before_ms` among the `limit` oldest.
    pub async fn forget_keys(&self, before_ms: i64, limit: i64) -> Result<(), StoreError> {
        self.commit(vec![Statement::new(
            "DELETE FROM idempotency_keys WHERE created_ms < $1
             AND seq IN (SELECT seq FROM idempotency_keys ORDER BY seq LIMIT $2)",
            [before_ms.into(), limit.into()],
        )])
        .await
    }
}
