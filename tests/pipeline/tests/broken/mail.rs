//! The mail server refuses, says nothing, says one byte a second, or takes a mail and forgets to say so.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use storefront_pipeline_tests::Site;
use storefront_testkit::{eventually, read_topic, seed};

use crate::flow::{Crowd, LIMIT, Shopper, set_faults};

const CARTS: usize = 5;
/// How often a mail must have met the fault before it is mended.
const STRIKES: u64 = 2;
const DEAD_LETTERS: &str = "payment-successful.email-service.dlq";

/// What is said, or not, at which stage. All but the last two let the mail come later.
fn cases() -> Vec<(&'static str, Value)> {
    vec![
        ("421", json!({"at": "connect", "reply": "421 4.3.2 closing"})),
        ("450", json!({"at": "rcpt", "reply": "450 4.2.0 greylisted", "share": 0.5})),
        ("451", json!({"at": "end-of-data", "reply": "451 4.3.0 no room", "share": 0.5})),
        ("silence", json!({"at": "mail", "how": "silence", "share": 0.7})),
        (
            "silence after the end",
            json!({"at": "end-of-data", "how": "silence", "stored": true, "share": 0.5}),
        ),
        ("one byte a second", json!({"at": "connect", "how": "trickle"})),
        ("cut at data", json!({"at": "data", "how": "cut", "share": 0.5})),
        ("cut after the end", json!({"at": "end-of-data", "how": "cut", "share": 0.5})),
        (
            "cut when it is kept",
            json!({"at": "end-of-data", "how": "cut", "stored": true, "share": 0.5}),
        ),
    ]
}

/// How many mails the shop has given up, as dead letters with the server's words.
fn given_up(site: &Site, words: &str) -> Result<usize> {
    let letters = read_topic(site.brokers(), DEAD_LETTERS)?;
    Ok(letters.iter().filter(|letter| letter.header("dlq-error").contains(words)).count())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_mail_server_says_each_mail_comes() -> Result<()> {
    // One for each case: the same for all would draw the same again and again.
    let seeds = (seed() & u64::from(u32::MAX))..;
    let mut crowd = Crowd::open(&[]).await?;
    let mut struck = 0;
    for ((what, smtp), seed) in cases().into_iter().zip(seeds) {
        set_faults(&crowd.shop.site, &json!({"seed": seed, "smtp": smtp})).await?;
        let mending = crowd.mend_after_mails(STRIKES, CARTS);
        struck += crowd.through(what, CARTS, Shopper::Returns, mending).await?.1;
    }
    ensure!(struck > 9, "nearly nothing was broken: {struck} times");
    // Only what was kept without a word can come twice, and then under the same Message-ID.
    let again = crowd.settled().await?;
    let unclear = 2 * CARTS;
    ensure!(again <= unclear, "{again} mails came more than once");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_mail_server_refuses_for_good_is_tried_once() -> Result<()> {
    let mut crowd = Crowd::open(&[]).await?;
    for (reply, words, at) in [
        ("550 5.1.1 nobody here", "5.1.1 nobody here", "rcpt"),
        ("552 5.2.2 mailbox full", "5.2.2 mailbox full", "end-of-data"),
    ] {
        let site = crowd.shop.site.clone();
        set_faults(&site, &json!({"smtp": {"at": at, "reply": reply}})).await?;
        let refused = async {
            eventually(LIMIT, "each is a dead letter", async || {
                given_up(&site, words).is_ok_and(|count| count == CARTS)
            })
            .await;
            let told = site.http.get(site.sandbox("/control/faults/strikes")).await?.json()?;
            ensure!(told["strikes"] == CARTS, "{told}: not one attempt each");
            Ok(())
        };
        crowd.through(reply, CARTS, Shopper::Returns, refused).await?;
    }
    let mails = crowd.shop.mails().await?;
    ensure!(mails.is_empty(), "{} mails came", mails.len());
    Ok(())
}
