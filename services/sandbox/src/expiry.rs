//! Expires open sessions when their time has come, and forgets old idempotency keys. Sleeps between.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    clock,
    ledger::{Cause, Ledger, LedgerError},
    session::Action,
    store::StoreError,
    stripe::KEY_LIFE_MS,
};

/// Sessions expired in one round; the next round follows at once.
const ROUND: i64 = 200;
/// Keys forgotten in one round.
const KEYS_ROUND: i64 = 10_000;
/// The longest sleep, and how often old keys are looked for. A new session lives for half an hour at
/// least, so none can run out during a sleep that had begun without it.
const NAP_MAX: Duration = Duration::from_secs(600);
const NAP_AFTER_ERROR: Duration = Duration::from_secs(5);

/// Runs until `shutdown`.
pub async fn run(ledger: Arc<Ledger>, shutdown: CancellationToken) {
    loop {
        let nap = match round(&ledger).await {
            Ok(nap) => nap,
            Err(error) => {
                error.log("expiring sessions");
                NAP_AFTER_ERROR
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(nap) => {}
        }
    }
}

async fn round(ledger: &Arc<Ledger>) -> Result<Duration, StoreError> {
    ledger.store.forget_keys(clock::now_ms() - KEY_LIFE_MS, KEYS_ROUND).await?;
    let now = clock::now_s();
    for id in ledger.store.overdue_sessions(now, ROUND).await? {
        match ledger.apply(&id, Action::Expire, Cause::default(), |_| None).await {
            Ok(_) => tracing::info!(session.id = id, "a session expired"),
            // Paid or expired by somebody else in the meantime.
            Err(LedgerError::Conflict(_) | LedgerError::NotFound) => {}
            Err(LedgerError::Store(error)) => return Err(error),
        }
    }
    let next = ledger.store.next_expiry().await?;
    let seconds = next.map_or(i64::MAX, |next| next.saturating_sub(clock::now_s()).max(0));
    Ok(NAP_MAX.min(Duration::from_secs(u64::try_from(seconds).unwrap_or_default())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        session::{State, tests::open_session},
        store::{EventQuery, Store, Window},
    };

    #[tokio::test]
    async fn open_sessions_run_out_and_others_do_not() {
        let store = Store::open(None).await.unwrap();
        let ledger = Arc::new(Ledger::new(store, "http://shop.example", None));
        let now = clock::now_s();
        for (id, expires_at, state) in [
            ("cs_late", now - 5, State::Open),
            ("cs_paid", now - 5, State::Paid),
            ("cs_fresh", now + 100, State::Open),
        ] {
            let session = crate::Session { id: id.into(), expires_at, state, ..open_session() };
            ledger.create(&session, None).await.unwrap();
        }
        let nap = round(&ledger).await.unwrap();
        assert!((95..=100).contains(&nap.as_secs()), "until the next one: {nap:?}");
        let mut states = Vec::new();
        for id in ["cs_late", "cs_paid", "cs_fresh"] {
            states.push(ledger.store.session(id).await.unwrap().unwrap().state);
        }
        assert_eq!(states, [State::Expired, State::Paid, State::Open]);
        let window = Window { limit: 10, ..Window::default() };
        let query = EventQuery { window, ..EventQuery::default() };
        let (events, _) = ledger.store.events(&query).await.unwrap();
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].event_type, "checkout.session.expired");
    }
}
