//! Rows of sessions.

use std::collections::BTreeMap;

use sqlx::{QueryBuilder, Row, Sqlite, sqlite::SqliteRow};

use super::{Statement, Store, StoreError, Window, window::push_any_of};
use crate::session::{Session, State};

/// Which sessions, newest first.
#[derive(Debug, Clone, Default)]
pub struct SessionQuery {
    pub states: Option<Vec<State>>,
    pub payment_intent: Option<String>,
    pub window: Window,
}

impl Session {
    fn body(&self) -> Result<String, StoreError> {
        serde_json::to_string(self).map_err(StoreError::Row)
    }

    /// The row of a new session.
    pub fn insert(&self) -> Result<Statement, StoreError> {
        Ok(Statement::new(
            "INSERT INTO sessions (id, created, expires_at, state, payment_intent, body)
             VALUES ($1, $2, $3, $4, $5, $6)",
            [
                self.id.as_str().into(),
                self.created.into(),
                self.expires_at.into(),
                self.state.name().into(),
                self.payment.as_ref().map(|payment| payment.intent_id.as_str()).into(),
                self.body()?.into(),
            ],
        ))
    }

    /// The changed row of a session.
    pub fn update(&self) -> Result<Statement, StoreError> {
        Ok(Statement::new(
            "UPDATE sessions SET state = $1, payment_intent = $2, body = $3 WHERE id = $4",
            [
                self.state.name().into(),
                self.payment.as_ref().map(|payment| payment.intent_id.as_str()).into(),
                self.body()?.into(),
                self.id.as_str().into(),
            ],
        ))
    }
}

fn session(row: &SqliteRow) -> Result<Session, StoreError> {
    let body: &str = row.try_get("body").map_err(StoreError::Read)?;
    serde_json::from_str(body).map_err(StoreError::Row)
}

impl Store {
    pub async fn session(&self, id: &str) -> Result<Option<Session>, StoreError> {
        let row = sqlx::query("SELECT body FROM sessions WHERE id = $1").bind(id);
        let row = row.fetch_optional(&self.read).await.map_err(StoreError::Read)?;
        row.as_ref().map(session).transpose()
    }

    pub async fn session_of_intent(&self, intent: &str) -> Result<Option<Session>, StoreError> {
        let row = sqlx::query("SELECT body FROM sessions WHERE payment_intent = $1").bind(intent);
        let row = row.fetch_optional(&self.read).await.map_err(StoreError::Read)?;
        row.as_ref().map(session).transpose()
    }

    /// The place of a session in the order of creation; a cursor for [`SessionQuery`].
    pub async fn session_seq(&self, id: &str) -> Result<Option<i64>, StoreError> {
        let query = sqlx::query_scalar("SELECT seq FROM sessions WHERE id = $1").bind(id);
        query.fetch_optional(&self.read).await.map_err(StoreError::Read)
    }

    /// A page, newest first, and whether there is more beyond it.
    pub async fn sessions(&self, query: &SessionQuery) -> Result<(Vec<Session>, bool), StoreError> {
        let mut sql = QueryBuilder::<Sqlite>::new("SELECT body FROM sessions WHERE TRUE");
        if let Some(intent) = &query.payment_intent {
            sql.push(" AND payment_intent = ").push_bind(intent.clone());
        }
        let states: Option<Vec<&'static str>> =
            query.states.as_ref().map(|states| states.iter().map(|state| state.name()).collect());
        match (&states, &query.payment_intent) {
            (Some(states), None) => query.window.push_kinds(&mut sql, "sessions", "state", states),
            (states, _) => {
                push_any_of(&mut sql, "state", states.as_deref());
                query.window.push(&mut sql, "sessions");
            }
        }
        let rows = sql.build().fetch_all(&self.read).await.map_err(StoreError::Read)?;
        let sessions = rows.iter().map(session).collect::<Result<Vec<_>, _>>()?;
        Ok(query.window.page(sessions))
    }

    /// Open sessions whose time has come, oldest first.
    pub async fn overdue_sessions(&self, now: i64, limit: i64) -> Result<Vec<String>, StoreError> {
        let query = sqlx::query_scalar(
            "SELECT id FROM sessions INDEXED BY sessions_to_expire WHERE state = 'open' AND expires_at <= $1
             ORDER BY expires_at LIMIT $2",
        );
        let query = query.bind(now).bind(limit);
        query.fetch_all(&self.read).await.map_err(StoreError::Read)
    }

    /// When the next open session's time comes.
    pub async fn next_expiry(&self) -> Result<Option<i64>, StoreError> {
        let query = sqlx::query_scalar(
            "SELECT min(expires_at) FROM sessions INDEXED BY sessions_to_expire
             WHERE state = 'open'",
        );
        query.fetch_one(&self.read).await.map_err(StoreError::Read)
    }

    /// How many sessions there are in each state. Reads the whole index: for the control API only.
    pub async fn session_counts(&self) -> Result<BTreeMap<String, i64>, StoreError> {
        let query = sqlx::query_as("SELECT state, count(*) FROM sessions GROUP BY state");
        let rows: Vec<(String, i64)> =
            query.fetch_all(&self.read).await.map_err(StoreError::Read)?;
        let mut counts: BTreeMap<_, _> =
            State::ALL.iter().map(|state| (state.name().to_owned(), 0)).collect();
        counts.extend(rows);
        Ok(counts)
    }
}
