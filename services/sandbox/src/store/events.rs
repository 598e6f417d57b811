//! Rows of events, and how far each one's delivery to the shop has come.

use serde::Serialize;
use serde_json::Value as Json;
use sqlx::{QueryBuilder, Row, Sqlite, sqlite::SqliteRow};

use super::{Statement, Store, StoreError, Window, window::push_any_of};

/// An event to be stored.
#[derive(Debug, Clone)]
pub struct NewEvent {
    pub id: String,
    /// Seconds since 1970.
    pub created: i64,
    pub event_type: &'static str,
    /// `{id, idempotency_key}` of the request that caused it.
    pub request: Json,
    pub object: Json,
    pub delivery: Delivery,
    /// How often one delivery is sent: twice when duplicates are asked for.
    pub copies: i64,
    pub due_ms: i64,
}

/// Whether and how an event goes to the shop's webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    Pending,
    Delivered,
    /// By a fault that was asked for.
    Dropped,
    /// Given up after the last attempt.
    Failed,
    /// Nobody listens to it.
    None,
}

impl Delivery {
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dropped => "dropped",
            Self::Failed => "failed",
            Self::None => "none",
        }
    }
}

impl NewEvent {
    pub fn insert(&self) -> Statement {
        Statement::new(
            "INSERT INTO events (id, created, type, delivery, copies, due_ms, request, object)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            [
                self.id.as_str().into(),
                self.created.into(),
                self.event_type.into(),
                self.delivery.name().into(),
                self.copies.into(),
                self.due_ms.into(),
                self.request.to_string().into(),
                self.object.to_string().into(),
            ],
        )
    }
}

/// An event as it was stored.
#[derive(Debug, Clone)]
pub struct EventRow {
    pub seq: i64,
    pub id: String,
    pub created: i64,
    pub event_type: String,
    pub pending: bool,
    pub copies: i64,
    pub attempts: i64,
    pub request: Json,
    pub object: Json,
}

/// Which events, newest first.
#[derive(Debug, Clone, Default)]
pub struct EventQuery {
    /// One of these, or of any type.
    pub types: Option<Vec<&'static str>>,
    /// Delivered, or not.
    pub delivered: Option<bool>,
    pub window: Window,
}

/// How an attempt to deliver ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub seq: i64,
    pub delivery: Delivery,
    pub due_ms: i64,
    /// A status or a short error, for people.
    pub result: String,
}

impl Outcome {
    pub fn update(&self) -> Statement {
        Statement::new(
            "UPDATE events SET delivery = $1, due_ms = $2, last_result = $3,
             attempts = attempts + 1 WHERE seq = $4",
            [
                self.delivery.name().into(),
                self.due_ms.into(),
                self.result.as_str().into(),
                self.seq.into(),
            ],
        )
    }
}

/// Events by state of their delivery.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DeliveryCounts {
    pub pending: i64,
    pub delivered: i64,
    pub dropped: i64,
    pub failed: i64,
    /// Events that nobody listens to.
    pub none: i64,
    /// Attempts in all, also those that failed.
    pub attempts: i64,
}

const COLUMNS: &str = "SELECT seq, id, created, type, delivery, copies, attempts, request, object \
                       FROM events";

fn event(row: &SqliteRow) -> Result<EventRow, StoreError> {
    let json = |column: &str| {
        let text: &str = row.try_get(column).map_err(StoreError::Read)?;
        serde_json::from_str(text).map_err(StoreError::Row)
    };
    let delivery: &str = row.try_get("delivery").map_err(StoreError::Read)?;
    Ok(EventRow {
        seq: row.try_get("seq").map_err(StoreError::Read)?,
        id: row.try_get("id").map_err(StoreError::Read)?,
        created: row.try_get("created").map_err(StoreError::Read)?,
        event_type: row.try_get("type").map_err(StoreError::Read)?,
        pending: delivery == Delivery::Pending.name(),
        copies: row.try_get("copies").map_err(StoreError::Read)?,
        attempts: row.try_get("attempts").map_err(StoreError::Read)?,
        request: json("request")?,
        object: json("object")?,
    })
}

impl Store {
    pub async fn event(&self, id: &str) -> Result<Option<EventRow>, StoreError> {
        let mut sql = QueryBuilder::<Sqlite>::new(COLUMNS);
        sql.push(" WHERE id = ").push_bind(id.to_owned());
        let row = sql.build().fetch_optional(&self.read).await.map_err(StoreError::Read)?;
        row.as_ref().map(event).transpose()
    }

    pub async fn event_by_seq(&self, seq: i64) -> Result<Option<EventRow>, StoreError> {
        let mut sql = QueryBuilder::<Sqlite>::new(COLUMNS);
        sql.push(" WHERE seq = ").push_bind(seq);
        let row = sql.build().fetch_optional(&self.read).await.map_err(StoreError::Read)?;
        row.as_ref().map(event).transpose()
    }

    pub async fn event_seq(&self, id: &str) -> Result<Option<i64>, StoreError> {
        let query = sqlx::query_scalar("SELECT seq FROM events WHERE id = $1").bind(id);
        query.fetch_optional(&self.read).await.map_err(StoreError::Read)
    }

    /// A page, newest first, and whether there is more beyond it.
    pub async fn events(&self, query: &EventQuery) -> Result<(Vec<EventRow>, bool), StoreError> {
        let mut sql = QueryBuilder::<Sqlite>::new(COLUMNS);
        sql.push(" WHERE TRUE");
        match (&query.types, query.delivered) {
            (Some(types), None) => query.window.push_kinds(&mut sql, "events", "type", types),
            (types, delivered) => {
                push_any_of(&mut sql, "type", types.as_deref());
                if let Some(delivered) = delivered {
                    sql.push(" AND (delivery = 'delivered') = ").push_bind(delivered);
                }
                query.window.push(&mut sql, "events");
            }
        }
        let rows = sql.build().fetch_all(&self.read).await.map_err(StoreError::Read)?;
        let events = rows.iter().map(event).collect::<Result<Vec<_>, _>>()?;
        Ok(query.window.page(events))
    }

    /// Everything that waits to be delivered, or tried again, is due now.
    pub async fn hasten_deliveries(&self, now_ms: i64) -> Result<(), StoreError> {
        let sql = "UPDATE events SET due_ms = $1 WHERE delivery = 'pending' AND due_ms > $1";
        self.commit(vec![Statement::new(sql, [now_ms.into()])]).await
    }

    /// Events whose delivery is due, the longest due first.
    pub async fn due_events(&self, now_ms: i64, limit: i64) -> Result<Vec<i64>, StoreError> {
        let query = sqlx::query_scalar(
            "SELECT seq FROM events INDEXED BY events_due
             WHERE delivery = 'pending' AND due_ms <= $1 ORDER BY due_ms LIMIT $2",
        );
        let query = query.bind(now_ms).bind(limit);
        query.fetch_all(&self.read).await.map_err(StoreError::Read)
    }

    /// When the next delivery after `now_ms` is due.
    pub async fn next_due_ms(&self, now_ms: i64) -> Result<Option<i64>, StoreError> {
        let query = sqlx::query_scalar(
            "SELECT min(due_ms) FROM events INDEXED BY events_due
             WHERE delivery = 'pending' AND due_ms > $1",
        );
        query.bind(now_ms).fetch_one(&self.read).await.map_err(StoreError::Read)
    }

    /// Reads a whole index: for the control API only.
    pub async fn delivery_counts(&self) -> Result<DeliveryCounts, StoreError> {
        let query = sqlx::query_as(
            "SELECT delivery, count(*), sum(attempts) FROM events GROUP BY delivery",
        );
        let rows: Vec<(String, i64, i64)> =
            query.fetch_all(&self.read).await.map_err(StoreError::Read)?;
        let mut counts = DeliveryCounts::default();
        for (delivery, events, attempts) in rows {
            counts.attempts += attempts;
            match delivery.as_str() {
                "pending" => counts.pending = events,
                "delivered" => counts.delivered = events,
                "dropped" => counts.dropped = events,
                "failed" => counts.failed = events,
                _ => counts.none += events,
            }
        }
        Ok(counts)
    }
}
