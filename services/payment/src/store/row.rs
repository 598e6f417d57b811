//! A payment as its row says.

use storefront_contract::{CartLine, Currency, Money};
use storefront_runtime::{
    Row,
    failpoint::{self, Guard},
};
use uuid::Uuid;

use super::StoreError;
use crate::{session_id::SessionId, state::State};

/// A payment, as it was when the row was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    pub id: String,
    pub state: State,
    pub user_id: String,
    pub email: Option<String>,
    pub cart: Vec<CartLine>,
    /// What was priced.
    pub priced: Money,
    pub fingerprint: String,
    pub attempt: i64,
    pub session_id: Option<SessionId>,
    pub url: Option<String>,
    pub traceparent: Option<String>,
    pub created_at_ms: i64,
    /// When Stripe closes the session.
    pub expires_at_ms: Option<i64>,
    /// When it was paid, as far as we know.
    pub paid_at_ms: Option<i64>,
    /// Why it is held or failed, or what one that was rebuilt lacks.
    pub reason: Option<String>,
    /// The database's time when the row was read.
    pub read_at_ms: i64,
}

/// The columns that [`Payment::read`] needs, beside `now`.
macro_rules! columns {
    () => {
        "id, state, user_id, email, cart, amount, currency, fingerprint, attempt, session_id, url, \
         traceparent, created_at, expires_at, paid_at, reason"
    };
}
pub(super) use columns;

impl Payment {
    pub(super) fn read(row: &Row) -> Result<Self, StoreError> {
        let id = row.text("id")?;
        let unreadable = |column| StoreError::Unreadable { id: id.clone(), column };
        let state = State::from_name(&row.text("state")?).ok_or_else(|| unreadable("state"))?;
        let cart = serde_json::from_str(&row.text("cart")?).map_err(|_| unreadable("cart"))?;
        let currency = Currency::new(&row.text("currency")?).map_err(|_| unreadable("currency"))?;
        let session_id = match row.opt_text("session_id")? {
            Some(text) => Some(SessionId::parse(&text).ok_or_else(|| unreadable("session_id"))?),
            None => None,
        };
        Ok(Self {
            state,
            user_id: row.text("user_id")?,
            email: row.opt_text("email")?,
            cart,
            priced: Money { amount: row.int("amount")?, currency },
            fingerprint: row.text("fingerprint")?,
            attempt: row.int("attempt")?,
            session_id,
            url: row.opt_text("url")?,
            traceparent: row.opt_text("traceparent")?,
            created_at_ms: row.int("created_at")?,
            expires_at_ms: row.opt_int("expires_at")?,
            paid_at_ms: row.opt_int("paid_at")?,
            reason: row.opt_text("reason")?,
            read_at_ms: row.int("now")?,
            id,
        })
    }

    /// Whether it says who bought what. One that was rebuilt may not.
    pub fn is_whole(&self) -> bool {
        !self.user_id.is_empty() && !self.cart.is_empty()
    }

    /// How long ago it was created, in milliseconds.
    pub fn age_ms(&self) -> i64 {
        self.read_at_ms.saturating_sub(self.created_at_ms)
    }

    /// The key under which Stripe knows this attempt to create the session: the same after a crash.
    pub fn stripe_key(&self) -> String {
        if failpoint::without(Guard::IdempotencyKey) {
            return Uuid::new_v4().to_string();
        }
        format!("{}-{}", self.id, self.attempt)
    }
}
