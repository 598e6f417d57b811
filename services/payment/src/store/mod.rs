//! Payment's own tables. Statements only: what they mean for a payment is decided elsewhere. Times are
//! the database's own, so that leases hold between machines whose clocks differ.

mod cursor;
mod events;
mod grouped;
mod payments;
mod row;

use std::time::{Duration, Instant};

use storefront_runtime::{Database, DatabaseError, Migration, Row, Sql, Value, db::Kind};

pub use cursor::Cursor;
pub use events::{StoredEvent, StripeEvents};
pub use payments::{Claim, KEY_LIFE_MS, NewPayment, Opened, Payments, Settled, settle};
pub use row::Payment;

/// Why a row cannot be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the database failed")]
    Database(#[from] DatabaseError),
    #[error("column {column} of payment {id} cannot be read")]
    Unreadable { id: String, column: &'static str },
    #[error("the cart cannot be written")]
    Cart(#[source] serde_json::Error),
}

impl StoreError {
    /// Whether waiting and trying again can help.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Database(error) if error.is_temporary())
    }

    /// A fixed word for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Database(error) => error.reason(),
            Self::Unreadable { .. } | Self::Cart(_) => "row-unreadable",
        }
    }
}

/// Most dead connections that one statement meets: those of a pool after the server was restarted.
const DEAD_MAX: u32 = 32;
/// How long a statement is run again. A dead connection is met at once, unless it is silent.
const AGAIN_LIMIT: Duration = Duration::from_secs(3);

/// Runs one statement, again when its connection turns out to be dead or when it lost against another
/// one. Every statement here may be run twice: each names the state it leaves, or the row it makes by
/// an id of its own.
async fn query(database: &Database, sql: Sql, params: &[Value]) -> Result<Vec<Row>, DatabaseError> {
    let (began, mut met, mut silences) = (Instant::now(), 0, 0);
    loop {
        let result = database.query(sql, params).await;
        let again = match &result {
            // What it was asked may have been done: a row that begins must not be left to nobody. Silence again means
            // that the database is away.
            Err(error) if error.is_silence() => {
                silences += 1;
                silences == 1
            }
            // Not when no connection can be made: then the database is away, and the caller waits.
            Err(DatabaseError::Statement { kind: Kind::Unavailable | Kind::Conflict, .. }) => {
                met += 1;
                met <= DEAD_MAX && began.elapsed() < AGAIN_LIMIT
            }
            _ => false,
        };
        if !again {
            return result;
        }
    }
}

/// A statement with the database's time, in Unix milliseconds, between its parts.
macro_rules! with_now {
    ($first:expr, $($part:expr),+) => {
        storefront_runtime::Sql {
            postgres: concat!(
                $first,
                $("CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)", $part),+
            ),
            sqlite: concat!($first, $("CAST(unixepoch('subsec') * 1000 AS BIGINT)", $part),+),
        }
    };
}
use with_now;

/// Payment's tables.
pub const MIGRATIONS: &[Migration] = &[
    Migration::same("payments", PAYMENTS),
    Migration::same("stripe-events", STRIPE_EVENTS),
    Migration::same("stripe-cursor", STRIPE_CURSOR),
    Migration::same("payments-creating", PAYMENTS_CREATING),
];

/// One row for each Checkout session, kept for ever: it is the shop's record of what was paid.
///
/// - `state`: see `state::State`; only ever moves up.
/// - `cart` (JSON), `amount` (minor units), `currency`: what was priced, before Stripe was asked.
/// - `fingerprint`: of the client's request. `idempotency_key`: the client's, emptied after 24 hours.
/// - `attempt`: part of the key towards Stripe; grows when Stripe's answer for the last one is useless.
/// - `session_id`, `url`: Stripe's session, from the moment its answer is here.
/// - `traceparent`: the request that began it, so that its event belongs to the same trace.
/// - `next_check_at`: when the sweeper asks Stripe, and until when somebody else is at it. `NULL`:
///   nothing more can come.
/// - `claimed_until`: somebody is asking Stripe about the session.
/// - `reason`: why it is `held` or `failed`, in a word.
const PAYMENTS: &str = "
CREATE TABLE payments (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    user_id TEXT NOT NULL,
    email TEXT,
    cart TEXT NOT NULL,
    amount BIGINT NOT NULL,
    currency TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    idempotency_key TEXT,
    attempt BIGINT NOT NULL,
    session_id TEXT,
    url TEXT,
    traceparent TEXT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    paid_at BIGINT,
    next_check_at BIGINT,
    claimed_until BIGINT NOT NULL,
    reason TEXT
);
CREATE UNIQUE INDEX payments_session_id ON payments (session_id) WHERE session_id IS NOT NULL;
CREATE UNIQUE INDEX payments_idempotency_key ON payments (user_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE INDEX payments_with_key ON payments (created_at) WHERE idempotency_key IS NOT NULL;
CREATE INDEX payments_next_check_at ON payments (next_check_at) WHERE next_check_at IS NOT NULL;
";

/// For the sweeper, which finishes creations before it looks at the many sessions that are due.
const PAYMENTS_CREATING: &str =
    "CREATE INDEX payments_creating ON payments (next_check_at) WHERE state = 'creating'";

/// Stripe's events that were taken, without their content: it holds addresses, and Stripe keeps it.
/// `created_at` is Stripe's time; `done_at` is empty until what the event means is stored.
const STRIPE_EVENTS: &str = "
CREATE TABLE stripe_events (
    id TEXT PRIMARY KEY,
    type TEXT NOT NULL,
    session_id TEXT,
    created_at BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    done_at BIGINT
);
CREATE INDEX stripe_events_created_at ON stripe_events (created_at);
";

/// How far the list of Stripe's events has been followed.
const STRIPE_CURSOR: &str = "
CREATE TABLE stripe_cursor (
    name TEXT PRIMARY KEY,
    event_id TEXT NOT NULL,
    moved_at BIGINT NOT NULL
);
";
