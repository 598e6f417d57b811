//! Statements on the table `stripe_cursor`: the newest event that the list was followed to.

use storefront_runtime::{Database, DatabaseError, Sql};

use super::{query, with_now};

/// The table. There is one list to follow; its name leaves room for others.
#[derive(Clone)]
pub struct Cursor(Database);

const NAME: &str = "checkout-events";
const MOVE: Sql = with_now!(
    "INSERT INTO stripe_cursor (name, event_id, moved_at) VALUES ($1, $2, ",
    ") ON CONFLICT (name) DO UPDATE SET event_id = excluded.event_id, \
     moved_at = excluded.moved_at RETURNING name"
);

impl Cursor {
    pub fn new(database: Database) -> Self {
        Self(database)
    }

    /// The newest event that was taken; `None` before the first.
    pub async fn read(&self) -> Result<Option<String>, DatabaseError> {
        let select = "SELECT event_id FROM stripe_cursor WHERE name = $1";
        let rows = query(&self.0, select.into(), &[NAME.into()]).await?;
        rows.first().map(|row| row.text("event_id")).transpose()
    }

    pub async fn move_to(&self, event_id: &str) -> Result<(), DatabaseError> {
        query(&self.0, MOVE, &[NAME.into(), event_id.into()]).await.map(drop)
    }

    /// Begins again: Stripe does not list the event any more.
    pub async fn reset(&self) -> Result<(), DatabaseError> {
        let delete = "DELETE FROM stripe_cursor WHERE name = $1 RETURNING name";
        query(&self.0, delete.into(), &[NAME.into()]).await.map(drop)
    }
}
