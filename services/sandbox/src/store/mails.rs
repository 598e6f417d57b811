//! Rows of mails that were accepted.

use sqlx::{QueryBuilder, Row, Sqlite, sqlite::SqliteRow};

use super::{Statement, Store, StoreError};
use crate::mail::{Envelope, Summary, search::Term};

/// A mail to be stored.
#[derive(Debug, Clone)]
pub struct NewMail {
    pub id: String,
    pub created_ms: i64,
    pub summary: Summary,
    pub envelope: Envelope,
    pub search_text: String,
    pub raw: Vec<u8>,
}

/// A mail in a list.
#[derive(Debug, Clone)]
pub struct MailSummaryRow {
    pub id: String,
    pub created_ms: i64,
    pub is_read: bool,
    pub size: i64,
    pub summary: Summary,
}

/// A mail whole.
#[derive(Debug, Clone)]
pub struct MailRow {
    pub id: String,
    pub created_ms: i64,
    pub envelope: Envelope,
    pub raw: Vec<u8>,
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(StoreError::Row)
}

impl NewMail {
    fn insert(self) -> Result<Statement, StoreError> {
        let size = i64::try_from(self.raw.len()).unwrap_or(i64::MAX);
        Ok(Statement::new(
            "INSERT INTO mails
             (id, created_ms, message_id, size, summary, addresses, envelope, search_text, raw)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            [
                self.id.into(),
                self.created_ms.into(),
                self.summary.message_id.as_str().into(),
                size.into(),
                json(&self.summary)?.into(),
                self.summary.addresses_text().into(),
                json(&self.envelope)?.into(),
                self.search_text.into(),
                self.raw.into(),
            ],
        ))
    }
}

fn summary(row: &SqliteRow) -> Result<MailSummaryRow, StoreError> {
    let read = || -> Result<_, sqlx::Error> {
        Ok((
            row.try_get("id")?,
            row.try_get("created_ms")?,
            row.try_get("is_read")?,
            row.try_get("size")?,
            row.try_get::<&str, _>("summary")?,
        ))
    };
    let (id, created_ms, is_read, size, summary) = read().map_err(StoreError::Read)?;
    let summary = serde_json::from_str(summary).map_err(StoreError::Row)?;
    Ok(MailSummaryRow { id, created_ms, is_read, size, summary })
}

fn push_terms(sql: &mut QueryBuilder<Sqlite>, terms: &[Term]) {
    for term in terms {
        sql.push(if term.exclude { " AND NOT (" } else { " AND (" }).push(term.sql);
        if let Some(pattern) = &term.pattern {
            sql.push(" LIKE ").push_bind(pattern.clone()).push(" ESCAPE '\\'");
        }
        sql.push(")");
    }
}

impl Store {
    /// Stores a mail and returns when it is on disk.
    pub async fn keep_mail(&self, mail: NewMail) -> Result<(), StoreError> {
        self.commit(vec![mail.insert()?]).await
    }

    /// All mails, and those that nobody has opened.
    pub async fn mail_counts(&self) -> Result<(i64, i64), StoreError> {
        let query = sqlx::query_as("SELECT total, unread FROM mail_counts");
        query.fetch_one(&self.read).await.map_err(StoreError::Read)
    }

    /// Changes whenever a mail comes, goes or is opened.
    pub async fn mail_revision(&self) -> Result<String, StoreError> {
        let query = sqlx::query_scalar(
            "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'mails'), 0)
             || '-' || total || '-' || unread FROM mail_counts",
        );
        query.fetch_one(&self.read).await.map_err(StoreError::Read)
    }

    /// How many different Message-IDs were accepted. Reads a whole index: control API only.
    pub async fn distinct_message_ids(&self) -> Result<i64, StoreError> {
        let query = sqlx::query_scalar("SELECT count(DISTINCT message_id) FROM mails");
        query.fetch_one(&self.read).await.map_err(StoreError::Read)
    }

    /// Mails that match every term, newest first.
    pub async fn mails(
        &self,
        terms: &[Term],
        before_ms: Option<i64>,
        start: i64,
        limit: i64,
    ) -> Result<Vec<MailSummaryRow>, StoreError> {
        let mut sql = QueryBuilder::<Sqlite>::new(
            "SELECT id, created_ms, is_read, size, summary FROM mails WHERE TRUE",
        );
        push_terms(&mut sql, terms);
        if let Some(before_ms) = before_ms {
            sql.push(" AND created_ms < ").push_bind(before_ms);
        }
        sql.push(" ORDER BY seq DESC LIMIT ").push_bind(limit);
        sql.push(" OFFSET ").push_bind(start);
        let rows = sql.build().fetch_all(&self.read).await.map_err(StoreError::Read)?;
        rows.iter().map(summary).collect()
    }

    /// Mails, and unread mails, that match every term.
    pub async fn count_mails(&self, terms: &[Term]) -> Result<(i64, i64), StoreError> {
        let mut sql = QueryBuilder::<Sqlite>::new(
            "SELECT count(*), coalesce(sum(1 - is_read), 0) FROM mails WHERE TRUE",
        );
        push_terms(&mut sql, terms);
        let row = sql.build().fetch_one(&self.read).await.map_err(StoreError::Read)?;
        let read = || -> Result<_, sqlx::Error> { Ok((row.try_get(0)?, row.try_get(1)?)) };
        read().map_err(StoreError::Read)
    }

    /// A mail by its id, or the newest by `latest`.
    pub async fn mail(&self, id: &str) -> Result<Option<MailRow>, StoreError> {
        let mut sql =
            QueryBuilder::<Sqlite>::new("SELECT id, created_ms, envelope, raw FROM mails");
        if id == "latest" {
            sql.push(" ORDER BY seq DESC LIMIT 1");
        } else {
            sql.push(" WHERE id = ").push_bind(id.to_owned());
        }
        let row = sql.build().fetch_optional(&self.read).await.map_err(StoreError::Read)?;
        let Some(row) = row else { return Ok(None) };
        let read = || -> Result<_, sqlx::Error> {
            let id = row.try_get("id")?;
            Ok((id, row.try_get("created_ms")?, row.try_get("envelope")?, row.try_get("raw")?))
        };
        let (id, created_ms, envelope, raw): (_, _, &str, _) = read().map_err(StoreError::Read)?;
        let envelope = serde_json::from_str(envelope).map_err(StoreError::Row)?;
        Ok(Some(MailRow { id, created_ms, envelope, raw }))
    }

    /// Notes that somebody opened a mail.
    pub async fn mark_read(&self, id: &str) -> Result<(), StoreError> {
        let sql = "UPDATE mails SET is_read = 1 WHERE id = $1 AND is_read = 0";
        self.commit(vec![Statement::new(sql, [id.into()])]).await
    }

    /// Deletes these mails, or all when there are no ids.
    pub async fn delete_mails(&self, ids: &[String]) -> Result<(), StoreError> {
        let statements = if ids.is_empty() {
            vec![Statement::new("DELETE FROM mails", [])]
        } else {
            let delete = "DELETE FROM mails WHERE id = $1";
            ids.iter().map(|id| Statement::new(delete, [id.as_str().into()])).collect()
        };
        self.commit(statements).await
    }
}
