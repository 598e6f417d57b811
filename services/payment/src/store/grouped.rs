//! The two statements of a checkout for all that come at once (PostgreSQL): what a shop's rush costs most is not
//! the rows but the round trips and commits around each.

use std::collections::HashMap;

use storefront_runtime::{
    Database, DatabaseError, Sql, Value,
    db::{Dialect, Group},
};

use super::{
    payments::{NewPayment, Opened},
    query, with_now,
};

/// As `INSERT` for one. Ordered by what may conflict, so that two instances never wait for each other in turn.
const INSERT_ALL: Sql = with_now!(
    "INSERT INTO payments (id, state, user_id, email, cart, amount, currency, fingerprint, \
     idempotency_key, attempt, traceparent, claimed_until, created_at, next_check_at) \
     SELECT id, 'creating', user_id, NULLIF(email, ''), cart, amount, currency, fingerprint, \
     NULLIF(key, ''), 1, NULLIF(traceparent, ''), 0, ",
    ", lease + ",
    " FROM UNNEST($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], \
     $8::text[], $9::bigint[], $10::bigint[]) \
     AS new (id, user_id, email, cart, currency, fingerprint, key, traceparent, amount, lease) \
     ORDER BY user_id, key ON CONFLICT DO NOTHING RETURNING id, created_at"
);
/// As `OPEN` for one.
const OPEN_ALL: Sql = with_now!(
    "UPDATE payments SET state = 'open', session_id = new.session_id, url = NULLIF(new.url, ''), \
     expires_at = NULLIF(new.expires_at, 0), next_check_at = new.check_in + ",
    " FROM UNNEST($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[]) \
     AS new (id, session_id, url, expires_at, check_in) \
     WHERE payments.id = new.id AND state = 'creating' AND payments.session_id IS NULL RETURNING payments.id, payments.session_id"
);

/// A row: its texts, of which an empty one is none, and its numbers.
type Row<const TEXTS: usize, const INTS: usize> = ([String; TEXTS], [i64; INTS]);
type NewRow = Row<8, 2>;
type OpenRow = Row<3, 2>;

/// See the module.
#[derive(Clone)]
pub(super) struct Grouped {
    /// When it was stored, unless it was there or its key was.
    inserts: Group<NewRow, Option<i64>>,
    opens: Group<OpenRow, bool>,
}

impl Grouped {
    /// Nothing on SQLite, where a statement has no round trip.
    pub(super) fn new(database: &Database) -> Option<Self> {
        if database.dialect() != Dialect::Postgres {
            return None;
        }
        let (inserts, opens) = (database.clone(), database.clone());
        Some(Self {
            inserts: Group::new(move |rows| {
                let database = inserts.clone();
                Box::pin(async move { insert_all(&database, rows).await })
            }),
            opens: Group::new(move |rows| {
                let database = opens.clone();
                Box::pin(async move { open_all(&database, rows).await })
            }),
        })
    }

    /// As `Payments::insert`; the database's time, if the row is new. `None`: it has to be tried alone.
    pub(super) async fn insert(
        &self,
        new: &NewPayment<'_>,
        cart: &str,
    ) -> Result<Option<Option<i64>>, DatabaseError> {
        let texts = [
            new.id,
            new.user_id,
            new.email.unwrap_or_default(),
            cart,
            new.priced.currency.code(),
            new.fingerprint,
            new.idempotency_key.unwrap_or_default(),
            new.traceparent.unwrap_or_default(),
        ];
        self.inserts.take((texts.map(str::to_owned), [new.priced.amount, new.lease_ms])).await
    }

    /// As `Payments::open`. `None`: it has to be tried alone.
    pub(super) async fn open(
        &self,
        id: &str,
        opened: Opened<'_>,
    ) -> Result<Option<bool>, DatabaseError> {
        let texts = [id, opened.session_id.as_str(), opened.url.unwrap_or_default()];
        let ints = [opened.expires_at_ms.unwrap_or_default(), opened.check_in_ms];
        self.opens.take((texts.map(str::to_owned), ints)).await
    }
}

async fn insert_all(
    database: &Database,
    rows: Vec<NewRow>,
) -> Result<Vec<Option<i64>>, DatabaseError> {
    let (ids, columns) = columns(rows);
    let mut stored = HashMap::with_capacity(ids.len());
    for row in query(database, INSERT_ALL, &columns).await? {
        stored.insert(row.text("id")?, row.int("created_at")?);
    }
    Ok(ids.iter().map(|id| stored.get(id).copied()).collect())
}

async fn open_all(database: &Database, rows: Vec<OpenRow>) -> Result<Vec<bool>, DatabaseError> {
    let sessions: Vec<String> = rows.iter().map(|([_, session, _], _)| session.clone()).collect();
    let (ids, columns) = columns(rows);
    let mut opened = HashMap::with_capacity(ids.len());
    for row in query(database, OPEN_ALL, &columns).await? {
        opened.insert(row.text("id")?, row.text("session_id")?);
    }
    // Of two sessions for one payment only one is its.
    let is_open = |(id, session)| opened.get(id) == Some(session);
    Ok(ids.iter().zip(&sessions).map(is_open).collect())
}

/// The first texts, which are the rows' ids, and all columns, the texts before the numbers.
fn columns<const TEXTS: usize, const INTS: usize>(
    rows: Vec<Row<TEXTS, INTS>>,
) -> (Vec<String>, Vec<Value>) {
    let ids = rows.iter().filter_map(|(texts, _)| texts.first().cloned()).collect();
    let mut by_text = [const { Vec::new() }; TEXTS];
    let mut by_int = [const { Vec::new() }; INTS];
    for (texts, ints) in rows {
        by_text.iter_mut().zip(texts).for_each(|(column, text)| column.push(text));
        by_int.iter_mut().zip(ints).for_each(|(column, int)| column.push(int));
    }
    let texts = by_text.into_iter().map(Value::Texts);
    (ids, texts.chain(by_int.into_iter().map(Value::Ints)).collect())
}
