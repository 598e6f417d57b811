//! Stripe is slow, wrong, silent, or says everything twice.

use anyhow::Result;
use serde_json::{Value, json};
use storefront_testkit::seed;

use crate::flow::{Crowd, Shopper, set_faults};

const CARTS: usize = 8;

/// What is broken, how, how often it must have struck before it is mended, and who shops.
fn cases() -> Vec<(&'static str, Value, u64, Shopper)> {
    use Shopper::{Leaves, Returns, Waits};
    let api = |fault: Value| json!({"api": fault});
    vec![
        // First, as the sweeper takes its time.
        ("webhooks are lost", json!({"webhooks": "drop"}), 8, Leaves),
        ("429 for half", api(json!({"status": 429, "share": 0.5})), 5, Returns),
        ("500 for half", api(json!({"status": 500, "share": 0.5})), 5, Returns),
        (
            "a stored 500 for half",
            api(json!({"status": 500, "stored": true, "share": 0.5, "calls": ["create"]})),
            4,
            Returns,
        ),
        (
            "a stored 500 for what was done",
            api(
                json!({"status": 500, "stored": true, "applied": true, "share": 0.5, "calls": ["create"]}),
            ),
            4,
            Returns,
        ),
        ("503 for all", api(json!({"status": 503})), 12, Returns),
        ("cut", api(json!({"how": "cut", "share": 0.5})), 5, Returns),
        (
            "cut when it is done",
            api(json!({"how": "cut", "applied": true, "share": 0.5})),
            5,
            Returns,
        ),
        ("hangs", api(json!({"how": "hang", "share": 0.5})), 4, Returns),
        (
            "hangs when it is done",
            api(json!({"how": "hang", "applied": true, "share": 0.5, "calls": ["create"]})),
            4,
            Returns,
        ),
        ("slow", json!({"api_delay_ms": 700}), 0, Returns),
        ("said twice", json!({"webhooks": "duplicate"}), 8, Leaves),
        ("shuffled", json!({"webhook_jitter_ms": 1_500}), 0, Leaves),
        ("tampered with", json!({"webhooks": "tamper"}), 8, Leaves),
        ("signed with an old secret", json!({"webhooks": "old-secret"}), 8, Leaves),
        ("clocks that disagree", json!({"webhook_skew_s": -400}), 8, Leaves),
        // What is three days old is mailed to nobody any more.
        (
            "nearly three days late",
            json!({"webhook_delay_ms": 259_200_000, "webhook_age_s": 255_600}),
            0,
            Leaves,
        ),
        ("banks", json!({"delayed": {"after_ms": 300, "fail_share": 0.4}}), 0, Waits),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_stripe_does_each_payment_becomes_one_order() -> Result<()> {
    let seed = seed() & u64::from(u32::MAX);
    let mut crowd = Crowd::open(&[]).await?;
    let mut struck = 0;
    for (what, mut faults, strikes, shopper) in cases() {
        faults["seed"] = json!(seed);
        set_faults(&crowd.shop.site, &faults).await?;
        let mending = crowd.mend_after(strikes);
        struck += crowd.through(what, CARTS, shopper, mending).await?.1;
    }
    assert!(struck > 50, "nearly nothing was broken: {struck} times");
    let again = crowd.settled().await?;
    assert_eq!(again, 0, "mails came more than once");
    Ok(())
}
