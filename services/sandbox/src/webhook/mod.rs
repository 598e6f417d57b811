//! Tells the shop what happened: signed deliveries with retries, until a 2xx. What is still to be
//! delivered stands in the ledger, so that a restart goes on. The order is not promised, as with Stripe.

mod client;
pub mod signature;

use std::{collections::HashSet, sync::Arc, time::Duration};

use storefront_runtime::{Secret, SecretFile};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use client::{Client, InvalidUrl};

use crate::{
    clock,
    faults::Attempt,
    ledger::Ledger,
    store::{Delivery, EventRow, Outcome, StoreError},
    stripe::event_json,
};

/// Deliveries under way at once.
const IN_FLIGHT_MAX: usize = 64;
/// Longest pause between two attempts.
const RETRY_CAP_MS: i64 = 60_000;
/// Stripe gives up after three days, and so does the stand-in.
const GIVE_UP_MS: i64 = 3 * 24 * 60 * 60 * 1_000;
const NAP_MAX: Duration = Duration::from_secs(600);
const NAP_AFTER_ERROR: Duration = Duration::from_secs(1);

/// The secret of the endpoint.
pub enum SignedBy {
    Secret(Secret),
    /// Read again for each delivery: it may be rotated, and the shop reads it again, too.
    File(SecretFile, Secret),
}

impl SignedBy {
    fn now(&self) -> Secret {
        match self {
            Self::Secret(secret) => secret.clone(),
            Self::File(file, first) => file.read().unwrap_or_else(|_| first.clone()),
        }
    }
}

/// Where deliveries go and how they are signed.
pub struct Endpoint {
    pub client: Client,
    pub signed_by: SignedBy,
    /// Pause after the first failed attempt; it doubles up to a minute.
    pub first_retry_ms: i64,
}

/// Runs until `shutdown`. Deliveries under way are then dropped: they are still due in the ledger.
pub async fn run(ledger: Arc<Ledger>, endpoint: Endpoint, shutdown: CancellationToken) {
    let endpoint = Arc::new(endpoint);
    let mut under_way = HashSet::new();
    let mut tasks = JoinSet::new();
    loop {
        let nap = match start_due(&ledger, &endpoint, &mut under_way, &mut tasks).await {
            Ok(nap) => nap,
            Err(error) => {
                error.log("reading deliveries");
                NAP_AFTER_ERROR
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = ledger.events_came.notified() => {}
            () = tokio::time::sleep(nap) => {}
            Some(ended) = tasks.join_next() => forget(&mut under_way, &ended),
        }
        while let Some(ended) = tasks.try_join_next() {
            forget(&mut under_way, &ended);
        }
    }
}

fn forget(under_way: &mut HashSet<i64>, ended: &Result<i64, tokio::task::JoinError>) {
    match ended {
        Ok(seq) => {
            under_way.remove(seq);
        }
        // Which one is not known, so all are taken for ended: at worst one is sent twice.
        Err(_) => under_way.clear(),
    }
}

/// Starts what is due and has room, and says how long there is nothing to start.
async fn start_due(
    ledger: &Arc<Ledger>,
    endpoint: &Arc<Endpoint>,
    under_way: &mut HashSet<i64>,
    tasks: &mut JoinSet<i64>,
) -> Result<Duration, StoreError> {
    if under_way.len() >= IN_FLIGHT_MAX {
        return Ok(NAP_MAX);
    }
    let now_ms = clock::now_ms();
    // Those under way are still due, and may stand first.
    let limit = i64::try_from(IN_FLIGHT_MAX + under_way.len()).unwrap_or(i64::MAX);
    for seq in ledger.store.due_events(now_ms, limit).await? {
        if under_way.len() < IN_FLIGHT_MAX && under_way.insert(seq) {
            let (ledger, endpoint) = (Arc::clone(ledger), Arc::clone(endpoint));
            tasks.spawn(async move {
                if let Err(error) = deliver(&ledger, &endpoint, seq).await {
                    error.log("noting a delivery");
                    tokio::time::sleep(NAP_AFTER_ERROR).await;
                }
                seq
            });
        }
    }
    let next_ms = ledger.store.next_due_ms(now_ms).await?;
    let nap_ms = next_ms.map_or(i64::MAX, |next_ms| (next_ms - clock::now_ms()).max(1));
    Ok(NAP_MAX.min(Duration::from_millis(u64::try_from(nap_ms).unwrap_or_default())))
}

async fn deliver(ledger: &Ledger, endpoint: &Endpoint, seq: i64) -> Result<(), StoreError> {
    // Delivered in the moment between being listed and being started.
    let Some(event) = ledger.store.event_by_seq(seq).await?.filter(|event| event.pending) else {
        return Ok(());
    };
    let post = || {
        let (body, signature) =
            letter(&event, &endpoint.signed_by.now(), ledger.faults.attempt(), clock::now_s());
        async move { endpoint.client.post(body, &signature).await }
    };
    let result = if event.copies > 1 {
        // Together: two that come one after the other are the easier case.
        let (first, second) = tokio::join!(post(), post());
        first.or(second)
    } else {
        post().await
    };
    let outcome = outcome(&event, &result, clock::now_ms(), endpoint.first_retry_ms);
    if let Err(problem) = &result {
        tracing::debug!(event.id, event.attempts, problem, "a delivery failed");
    }
    ledger.store.commit(vec![outcome.update()]).await
}

/// The body and the signature of one attempt.
fn letter(event: &EventRow, secret: &str, attempt: Attempt, now: i64) -> (String, String) {
    let told = EventRow { created: event.created.saturating_sub(attempt.age_s), ..event.clone() };
    // Stripe's bodies are indented: whoever parses and writes them again breaks the signature.
    let mut body = format!("{:#}", event_json(&told));
    let secret = if attempt.old_secret { signature::OLD_SECRET } else { secret };
    let signature = signature::header(secret, &body, now.saturating_add(attempt.skew_s));
    if attempt.tampered
        && let Some(at) = body.rfind(|letter: char| letter.is_ascii_digit())
    {
        // Another digit: still the same JSON, with another number in it.
        let other = if body[at..].starts_with('0') { "1" } else { "0" };
        body.replace_range(at..=at, other);
    }
    (body, signature)
}

fn outcome(
    event: &EventRow,
    result: &Result<u16, String>,
    now_ms: i64,
    first_retry_ms: i64,
) -> Outcome {
    let text = match result {
        Ok(status) => status.to_string(),
        Err(problem) => problem.clone(),
    };
    let exponent = u32::try_from(event.attempts.clamp(0, 30)).unwrap_or_default();
    let pause_ms = first_retry_ms.saturating_mul(1 << exponent).min(RETRY_CAP_MS);
    let delivery = if result.is_ok() {
        Delivery::Delivered
    } else if now_ms - event.created.saturating_mul(1_000) > GIVE_UP_MS {
        Delivery::Failed
    } else {
        Delivery::Pending
    };
    Outcome { seq: event.seq, delivery, due_ms: now_ms.saturating_add(pause_ms), result: text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(attempts: i64) -> EventRow {
        EventRow {
            seq: 1,
            id: "evt_1".into(),
            created: 1_000_000,
            event_type: "charge.succeeded".into(),
            pending: true,
            copies: 1,
            attempts,
            request: serde_json::Value::Null,
            object: serde_json::json!({"amount": 190}),
        }
    }

    #[test]
    fn an_attempt_is_broken_as_it_was_asked_for() {
        let whole = Attempt { tampered: false, old_secret: false, skew_s: 0, age_s: 0 };
        let sent = |attempt| letter(&event(0), "whsec_1", attempt, 2_000_000);
        let (body, signature) = sent(whole);
        assert_eq!(signature, signature::header("whsec_1", &body, 2_000_000));
        let (tampered, same) = sent(Attempt { tampered: true, ..whole });
        assert_eq!(same, signature, "of the body as it was");
        let differs = body.bytes().zip(tampered.bytes()).filter(|(one, other)| one != other);
        assert_eq!((tampered.len(), differs.count()), (body.len(), 1));
        let (same, old) = sent(Attempt { old_secret: true, ..whole });
        assert_eq!(old, signature::header(signature::OLD_SECRET, &same, 2_000_000));
        let (same, skewed) = sent(Attempt { skew_s: -400, ..whole });
        assert_eq!(skewed, signature::header("whsec_1", &same, 1_999_600));
        let (aged, _) = sent(Attempt { age_s: 259_200, ..whole });
        assert!(aged.contains("\"created\": 740800"), "{aged}");
    }

    #[test]
    fn a_rotated_secret_signs_the_next_attempt() {
        let folder = tempfile::tempdir().unwrap();
        let (path, next) = (folder.path().join("secret"), folder.path().join("next"));
        std::fs::write(&path, "whsec_1").unwrap();
        let signed_by = SignedBy::File(SecretFile::new(&path), Secret::from("whsec_1"));
        assert_eq!(&*signed_by.now(), "whsec_1");
        std::fs::write(&next, "whsec_2").unwrap();
        std::fs::rename(next, path).unwrap();
        assert_eq!(&*signed_by.now(), "whsec_2");
    }

    fn after(attempts: i64, age_ms: i64) -> (Delivery, i64) {
        let event = event(attempts);
        let now_ms = 1_000_000_000 + age_ms;
        let outcome = outcome(&event, &Err("status 500".into()), now_ms, 1_000);
        (outcome.delivery, outcome.due_ms - now_ms)
    }

    #[test]
    fn pauses_double_up_to_a_minute_for_three_days() {
        let pauses: Vec<i64> = (0..8).map(|attempts| after(attempts, 0).1 / 1_000).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(after(10_000, GIVE_UP_MS).0, Delivery::Pending);
        assert_eq!(after(10_000, GIVE_UP_MS + 1).0, Delivery::Failed);
    }
}
