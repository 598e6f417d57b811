//! Statements on the table `payments`. Each that moves a row names the state it leaves, so that of two
//! who move it at once one finds nothing to move.

use storefront_contract::{CartLine, Money};
use storefront_runtime::{Database, DatabaseError, Row, Sql, Tx, Value};

use super::{
    StoreError,
    grouped::Grouped,
    query,
    row::{Payment, columns},
    with_now,
};
use crate::{session_id::SessionId, state::State};

/// How long a client's idempotency key is honoured.
pub const KEY_LIFE_MS: i64 = 24 * 60 * 60 * 1000;

/// The table.
#[derive(Clone)]
pub struct Payments {
    database: Database,
    /// The two statements of each checkout, shared by those that come at once.
    grouped: Option<Grouped>,
}

/// A payment that begins, as it is stored before Stripe is asked.
#[derive(Debug, Clone)]
pub struct NewPayment<'a> {
    pub id: &'a str,
    pub user_id: &'a str,
    pub email: Option<&'a str>,
    pub cart: &'a [CartLine],
    pub priced: Money,
    pub fingerprint: &'a str,
    pub idempotency_key: Option<&'a str>,
    pub traceparent: Option<&'a str>,
    /// For how long nobody else should try to finish it.
    pub lease_ms: i64,
}

impl NewPayment<'_> {
    /// The payment as its row is, once it is there.
    fn stored(&self, now_ms: i64) -> Payment {
        Payment {
            id: self.id.to_owned(),
            state: State::Creating,
            user_id: self.user_id.to_owned(),
            email: self.email.map(str::to_owned),
            cart: self.cart.to_vec(),
            priced: self.priced,
            fingerprint: self.fingerprint.to_owned(),
            attempt: 1,
            session_id: None,
            url: None,
            traceparent: self.traceparent.map(str::to_owned),
            created_at_ms: now_ms,
            expires_at_ms: None,
            paid_at_ms: None,
            reason: None,
            read_at_ms: now_ms,
        }
    }
}

/// What Stripe said of a session that it has created.
#[derive(Debug, Clone, Copy)]
pub struct Opened<'a> {
    pub session_id: &'a SessionId,
    pub url: Option<&'a str>,
    pub expires_at_ms: Option<i64>,
    /// When the sweeper looks at it for the first time, from now.
    pub check_in_ms: i64,
}

/// The answer to a try to be the only one who asks Stripe about a session.
#[derive(Debug)]
pub enum Claim {
    /// We are.
    Taken(Payment),
    /// The payment is charged: there is nothing left to ask.
    Charged(Payment),
    /// Somebody else is.
    Busy(Payment),
    /// There is no row with this session.
    Absent,
}

/// What a verdict does to a row.
#[derive(Debug, Clone, Copy)]
pub struct Settled<'a> {
    pub state: State,
    /// Known from Stripe; the request's own address goes before it.
    pub email: Option<&'a str>,
    pub paid_at_ms: Option<i64>,
    /// When to ask again, in the database's time.
    pub next_check_at_ms: Option<i64>,
    pub reason: Option<&'a str>,
}

const INSERT: Sql = with_now!(
    "INSERT INTO payments (id, state, user_id, email, cart, amount, currency, fingerprint, \
     idempotency_key, attempt, traceparent, claimed_until, created_at, next_check_at) \
     VALUES ($1, 'creating', $2, $3, $4, $5, $6, $7, $8, 1, $9, 0, ",
    ", $10 + ",
    concat!(") ON CONFLICT DO NOTHING RETURNING created_at AS now, ", columns!())
);
const INSERT_REBUILT: Sql = with_now!(
    "INSERT INTO payments (id, state, user_id, email, cart, amount, currency, fingerprint, attempt, \
     session_id, url, expires_at, claimed_until, created_at, next_check_at, reason) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, '', 1, $8, $9, $10, 0, ",
    ", 0, $11) ON CONFLICT DO NOTHING RETURNING id"
);
const BY_SESSION: Sql =
    with_now!(concat!("SELECT ", columns!(), ", "), " AS now FROM payments WHERE session_id = $1");
const BY_SESSIONS: Sql = Sql {
    postgres: concat!(
        "SELECT ",
        columns!(),
        ", CAST(0 AS BIGINT) AS now FROM payments WHERE session_id = ANY($1)"
    ),
    sqlite: concat!(
        "SELECT ",
        columns!(),
        ", 0 AS now FROM payments WHERE session_id IN (SELECT value FROM json_each($1))"
    ),
};
const BY_ID: Sql =
    with_now!(concat!("SELECT ", columns!(), ", "), " AS now FROM payments WHERE id = $1");
const BY_KEY: Sql = with_now!(
    concat!("SELECT ", columns!(), ", "),
    " AS now FROM payments WHERE user_id = $1 AND idempotency_key = $2"
);
const TAKE_OVER: Sql = with_now!(
    "UPDATE payments SET next_check_at = $2 + ",
    " WHERE id = $1 AND state = 'creating' AND next_check_at <= ",
    concat!(" RETURNING ", columns!(), ", "),
    " AS now"
);
const LET_GO: Sql = with_now!(
    "UPDATE payments SET next_check_at = $2 + ",
    " WHERE id = $1 AND state = 'creating' RETURNING id"
);
const OPEN: Sql = with_now!(
    "UPDATE payments SET state = 'open', session_id = $2, url = $3, expires_at = $4, \
     next_check_at = $5 + ",
    " WHERE id = $1 AND state = 'creating' AND session_id IS NULL RETURNING id"
);
const NEXT_ATTEMPT: &str = "UPDATE payments SET attempt = attempt + 1 \
    WHERE id = $1 AND attempt = $2 AND state = 'creating' RETURNING id";
const GIVE_UP: &str = "UPDATE payments SET state = $2, reason = $3, next_check_at = NULL \
    WHERE id = $1 AND state = 'creating' AND session_id IS NULL RETURNING id";
const CLAIM: Sql = with_now!(
    "UPDATE payments SET claimed_until = $2 + ",
    " WHERE session_id = $1 AND state NOT IN ('paid', 'held') AND claimed_until <= ",
    concat!(" RETURNING ", columns!(), ", "),
    " AS now"
);
const RELEASE: &str = "UPDATE payments SET claimed_until = 0 WHERE id = $1 RETURNING id";
const SETTLE: &str = "UPDATE payments SET state = $3, email = COALESCE(email, $4), paid_at = $5, \
    next_check_at = $6, reason = COALESCE($7, reason), claimed_until = 0 \
    WHERE id = $1 AND state = $2 RETURNING id";
/// Leases rows that are due and meet a condition.
macro_rules! due {
    ($condition:literal) => {
        with_now!(
            "UPDATE payments SET next_check_at = $2 + ",
            concat!(
                " WHERE id IN (SELECT id FROM payments WHERE ",
                $condition,
                " AND next_check_at <= "
            ),
            " ORDER BY next_check_at LIMIT $1) AND next_check_at <= ",
            concat!(" RETURNING ", columns!(), ", "),
            " AS now"
        )
    };
}
const DUE_CREATIONS: Sql = due!("state = 'creating'");
const DUE_SESSIONS: Sql = due!("state <> 'creating'");
const FORGET_KEY: &str = "UPDATE payments SET idempotency_key = NULL WHERE id = $1 RETURNING id";
const FORGET_KEYS: Sql = with_now!(
    "UPDATE payments SET idempotency_key = NULL WHERE idempotency_key IS NOT NULL AND created_at < ",
    " - $1 RETURNING 1 AS forgotten"
);

impl Payments {
    pub fn new(database: Database) -> Self {
        let grouped = Grouped::new(&database);
        Self { database, grouped }
    }

    /// The database, for a transaction around [`settle`].
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Stores a payment that begins. `None`: the user has used this idempotency key before.
    pub async fn insert(&self, new: &NewPayment<'_>) -> Result<Option<Payment>, StoreError> {
        let cart = serde_json::to_string(new.cart).map_err(StoreError::Cart)?;
        if let Some(grouped) = &self.grouped
            && let Some(inserted) = grouped.insert(new, &cart).await?
        {
            return Ok(inserted.map(|now_ms| new.stored(now_ms)));
        }
        let params = [
            new.id.into(),
            new.user_id.into(),
            new.email.into(),
            cart.into(),
            new.priced.amount.into(),
            new.priced.currency.code().into(),
            new.fingerprint.into(),
            new.idempotency_key.into(),
            new.traceparent.into(),
            new.lease_ms.into(),
        ];
        self.one(INSERT, &params).await
    }

    /// Stores a payment that only Stripe knew of, due at once. `false`: there is a row for its session
    /// already.
    pub async fn insert_rebuilt(&self, payment: &Payment) -> Result<bool, StoreError> {
        let params = [
            payment.id.as_str().into(),
            payment.state.name().into(),
            payment.user_id.as_str().into(),
            payment.email.as_deref().into(),
            serde_json::to_string(&payment.cart).map_err(StoreError::Cart)?.into(),
            payment.priced.amount.into(),
            payment.priced.currency.code().into(),
            payment.session_id.as_ref().map(SessionId::as_str).into(),
            payment.url.as_deref().into(),
            payment.expires_at_ms.into(),
            payment.reason.as_deref().into(),
        ];
        self.touched(INSERT_REBUILT, &params).await
    }

    pub async fn by_session(&self, id: &SessionId) -> Result<Option<Payment>, StoreError> {
        self.one(BY_SESSION, &[id.as_str().into()]).await
    }

    /// The rows of some sessions; those without one are left out. When they were read is not told.
    pub async fn by_sessions(&self, ids: &[SessionId]) -> Result<Vec<Payment>, StoreError> {
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        self.many(BY_SESSIONS, &[ids.into()]).await
    }

    pub async fn by_id(&self, id: &str) -> Result<Option<Payment>, StoreError> {
        self.one(BY_ID, &[id.into()]).await
    }

    pub async fn by_key(&self, user_id: &str, key: &str) -> Result<Option<Payment>, StoreError> {
        self.one(BY_KEY, &[user_id.into(), key.into()]).await
    }

    /// Takes over the creation of a session from somebody whose lease has ended.
    pub async fn take_over(&self, id: &str, lease_ms: i64) -> Result<Option<Payment>, StoreError> {
        self.one(TAKE_OVER, &[id.into(), lease_ms.into()]).await
    }

    /// Leaves the creation of a session to whoever comes next, after a while.
    pub async fn let_go(&self, id: &str, check_in_ms: i64) -> Result<(), StoreError> {
        self.touched(LET_GO, &[id.into(), check_in_ms.into()]).await.map(drop)
    }

    /// Notes the session that Stripe has created. `false`: the row has one already, or is no longer
    /// `creating`.
    pub async fn open(&self, id: &str, opened: Opened<'_>) -> Result<bool, StoreError> {
        if let Some(grouped) = &self.grouped
            && let Some(is_open) = grouped.open(id, opened).await?
        {
            return Ok(is_open);
        }
        let params = [
            id.into(),
            opened.session_id.as_str().into(),
            opened.url.into(),
            opened.expires_at_ms.into(),
            opened.check_in_ms.into(),
        ];
        self.touched(OPEN, &params).await
    }

    /// Moves to the next key towards Stripe. `false`: somebody else has, or the row is no longer
    /// `creating`.
    pub async fn next_attempt(&self, id: &str, attempt: i64) -> Result<bool, StoreError> {
        self.touched(NEXT_ATTEMPT.into(), &[id.into(), attempt.into()]).await
    }

    /// Ends a payment that never had a session.
    pub async fn give_up(&self, id: &str, state: State, reason: &str) -> Result<bool, StoreError> {
        self.touched(GIVE_UP.into(), &[id.into(), state.name().into(), reason.into()]).await
    }

    /// Tries to be the only one who asks Stripe about a session, for a while.
    pub async fn claim(&self, id: &SessionId, lease_ms: i64) -> Result<Claim, StoreError> {
        if let Some(payment) = self.one(CLAIM, &[id.as_str().into(), lease_ms.into()]).await? {
            return Ok(Claim::Taken(payment));
        }
        Ok(match self.by_session(id).await? {
            None => Claim::Absent,
            Some(payment) if payment.state.is_charged() => Claim::Charged(payment),
            Some(payment) => Claim::Busy(payment),
        })
    }

    /// Gives a claim up without news.
    pub async fn release(&self, id: &str) -> Result<(), StoreError> {
        self.touched(RELEASE.into(), &[id.into()]).await.map(drop)
    }

    /// [`settle`] as a statement of its own, when nothing else has to be true with it.
    pub async fn settle(
        &self,
        payment: &Payment,
        settled: &Settled<'_>,
    ) -> Result<bool, StoreError> {
        self.touched(SETTLE.into(), &settle_params(payment, settled)).await
    }

    /// Rows without a session whose time to be looked at has come, at most `limit`; nobody else gets
    /// them meanwhile.
    pub async fn due_creations(
        &self,
        limit: i64,
        lease_ms: i64,
    ) -> Result<Vec<Payment>, StoreError> {
        self.many(DUE_CREATIONS, &[limit.into(), lease_ms.into()]).await
    }

    /// As [`Payments::due_creations`], of rows with a session.
    pub async fn due_sessions(
        &self,
        limit: i64,
        lease_ms: i64,
    ) -> Result<Vec<Payment>, StoreError> {
        self.many(DUE_SESSIONS, &[limit.into(), lease_ms.into()]).await
    }

    /// Frees the idempotency key of one payment.
    pub async fn forget_key(&self, id: &str) -> Result<(), StoreError> {
        self.touched(FORGET_KEY.into(), &[id.into()]).await.map(drop)
    }

    /// Frees every idempotency key that is older than it is honoured; how many.
    pub async fn forget_keys(&self) -> Result<usize, StoreError> {
        Ok(query(&self.database.patient(), FORGET_KEYS, &[KEY_LIFE_MS.into()]).await?.len())
    }

    async fn one(&self, sql: Sql, params: &[Value]) -> Result<Option<Payment>, StoreError> {
        let rows: Vec<Row> = query(&self.database, sql, params).await?;
        rows.first().map(Payment::read).transpose()
    }

    async fn many(&self, sql: Sql, params: &[Value]) -> Result<Vec<Payment>, StoreError> {
        query(&self.database, sql, params).await?.iter().map(Payment::read).collect()
    }

    async fn touched(&self, sql: Sql, params: &[Value]) -> Result<bool, StoreError> {
        Ok(!query(&self.database, sql, params).await?.is_empty())
    }
}

/// Moves a row from the state that was read to the one that Stripe's answer means, and ends the claim.
/// `false`: the row has left that state meanwhile.
pub async fn settle(
    tx: &mut Tx<'_>,
    payment: &Payment,
    settled: &Settled<'_>,
) -> Result<bool, DatabaseError> {
    Ok(!tx.query(SETTLE, &settle_params(payment, settled)).await?.is_empty())
}

fn settle_params(payment: &Payment, settled: &Settled<'_>) -> [Value; 7] {
    [
        payment.id.as_str().into(),
        payment.state.name().into(),
        settled.state.name().into(),
        settled.email.into(),
        settled.paid_at_ms.into(),
        settled.next_check_at_ms.into(),
        settled.reason.into(),
    ]
}
