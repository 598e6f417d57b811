//! The ledger: sessions, what happened to them, and who is told. Every change is one commit with its
//! events, and nobody hears of it before that commit.

use std::{
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    sync::Arc,
    time::Duration,
};

use serde_json::{Value, json};
use tokio::sync::{Mutex, Notify};

use crate::{
    clock,
    faults::Faults,
    ids,
    keys::KeysUsed,
    session::{Act, Action, Conflict, Happening, Session},
    store::{Delivery, NewEvent, Statement, Store, StoreError, StoredAnswer},
    stripe::intent,
};

/// Sessions that share a lock wait for each other; with this many it is seldom.
const LOCKS: usize = 256;

#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error("there is no such session")]
    NotFound,
    #[error(transparent)]
    Conflict(#[from] Conflict),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The request behind a change, as events name it.
#[derive(Debug, Clone, Default)]
pub struct Cause {
    pub request_id: Option<String>,
    pub idempotency_key: Option<String>,
}

impl Cause {
    fn json(&self) -> Value {
        json!({"id": self.request_id, "idempotency_key": self.idempotency_key})
    }
}

/// Shared by everything that the sandbox serves.
pub struct Ledger {
    pub store: Store,
    pub faults: Faults,
    pub keys: KeysUsed,
    /// Where shoppers reach the checkout page, without a slash at its end.
    pub public_url: String,
    /// Event types that the shop's webhook wants: `None` if there is no webhook, all when empty.
    listens_to: Option<Vec<String>>,
    locks: Vec<Mutex<()>>,
    /// Events were stored.
    pub events_came: Notify,
}

impl Ledger {
    pub fn new(store: Store, public_url: &str, listens_to: Option<Vec<String>>) -> Self {
        Self {
            store,
            faults: Faults::default(),
            keys: KeysUsed::default(),
            public_url: public_url.trim_end_matches('/').to_owned(),
            listens_to,
            locks: (0..LOCKS).map(|_| Mutex::new(())).collect(),
            events_came: Notify::new(),
        }
    }

    /// Stores a new session, with the answer kept for its idempotency key.
    pub async fn create(
        &self,
        session: &Session,
        answer: Option<StoredAnswer>,
    ) -> Result<(), StoreError> {
        let mut statements = vec![session.insert()?];
        statements.extend(answer.as_ref().map(StoredAnswer::insert));
        self.store.commit(statements).await
    }

    /// Does something to a session. A caller that goes away does not stop it half-way: it runs in a
    /// task of its own. `answer` makes what is kept for the idempotency key, in the same commit.
    pub async fn apply(
        self: &Arc<Self>,
        id: &str,
        act: impl Into<Act>,
        cause: Cause,
        answer: impl FnOnce(&Session) -> Option<StoredAnswer> + Send + 'static,
    ) -> Result<Session, LedgerError> {
        let (ledger, id, act) = (Arc::clone(self), id.to_owned(), act.into());
        let delays = act.action == Action::Delay;
        let task = tokio::spawn(async move {
            let session = ledger.change(&id, act, &cause, answer).await?;
            if delays {
                ledger.end_later(&session);
            }
            Ok(session)
        });
        task.await.map_err(|_| StoreError::Stopping)?
    }

    /// Money by bank comes, or does not, after a while, when that was asked for.
    fn end_later(self: &Arc<Self>, session: &Session) {
        let Some(outcome) = self.faults.delayed() else { return };
        let action = if outcome.fails { Action::Fail } else { Action::Settle };
        let (ledger, id) = (Arc::clone(self), session.id.clone());
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(outcome.after_ms)).await;
            match ledger.change(&id, action.into(), &Cause::default(), |_| None).await {
                // Somebody else was faster.
                Ok(_) | Err(LedgerError::Conflict(_) | LedgerError::NotFound) => {}
                Err(LedgerError::Store(error)) => error.log("ending a delayed payment"),
            }
        });
    }

    async fn change(
        &self,
        id: &str,
        act: Act,
        cause: &Cause,
        answer: impl FnOnce(&Session) -> Option<StoredAnswer>,
    ) -> Result<Session, LedgerError> {
        let _only_one = self.lock_of(id).lock().await;
        let mut session = self.store.session(id).await?.ok_or(LedgerError::NotFound)?;
        let happened = session.apply(act, clock::now_s())?;
        let now_ms = clock::now_ms();
        let mut statements = vec![session.update()?];
        statements.extend(happened.iter().map(|h| self.event(&session, *h, cause, now_ms)));
        statements.extend(answer(&session).as_ref().map(StoredAnswer::insert));
        self.store.commit(statements).await?;
        self.events_came.notify_one();
        Ok(session)
    }

    fn lock_of(&self, id: &str) -> &Mutex<()> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(id);
        let index = usize::try_from(hash % LOCKS as u64).unwrap_or_default();
        &self.locks[index]
    }

    fn event(
        &self,
        session: &Session,
        happened: Happening,
        cause: &Cause,
        now_ms: i64,
    ) -> Statement {
        let event_type = happened.event_type();
        let dispatch = self.faults.webhook();
        let delivery = if self.wants(event_type) { dispatch.delivery } else { Delivery::None };
        NewEvent {
            id: ids::stripe("evt"),
            created: now_ms / 1_000,
            event_type,
            request: cause.json(),
            object: intent::subject(session, happened),
            delivery,
            copies: dispatch.copies,
            due_ms: now_ms.saturating_add(dispatch.delay_ms),
        }
        .insert()
    }

    fn wants(&self, event_type: &str) -> bool {
        self.listens_to.as_ref().is_some_and(|types| {
            types.is_empty() || types.iter().any(|wanted| wanted == event_type)
        })
    }
}
