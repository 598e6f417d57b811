//! The tools of whoever is on call, against a real shop: each command does what its help says, for
//! people and for programs.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use serde_json::{Value, json};
use storefront_pipeline_tests::{Shop, command, json_of, said};
use storefront_testkit::{Kafka, eventually, eventually_some, produce, read_topic};

const LIMIT: Duration = Duration::from_secs(60);

/// Makes two tests of each: on the embedded broker, and on an Apache Kafka of its own.
macro_rules! on_both {
    ($($name:ident($($argument:literal),*)),* $(,)?) => {
        mod embedded {
            use super::*;
            $(
                #[tokio::test]
                async fn $name() -> Result<()> {
                    super::$name(Shop::start(&[$($argument),*]).await?).await
                }
            )*
        }
        mod real {
            use super::*;
            $(
                #[tokio::test]
                async fn $name() -> Result<()> {
                    let kafka = Kafka::private().await?;
                    let shop = Shop::start(&["--kafka", kafka.bootstrap(), $($argument),*]).await?;
                    super::$name(shop).await
                }
            )*
        }
    };
}

on_both! {
    a_purchase_is_seen_by_every_command(),
    a_purchase_that_gets_no_order_says_so_and_trace_says_why("--without", "order"),
    a_letter_is_shown_sent_back_handled_once_and_removed(),
    what_nobody_understands_dies_again_and_goes_in_no_circle(),
}

fn places(listed: &Value) -> Vec<String> {
    let letters = listed["letters"].as_array().into_iter().flatten();
    letters.filter_map(|letter| letter["place"].as_str().map(str::to_owned)).collect()
}

async fn a_purchase_is_seen_by_every_command(shop: Shop) -> Result<()> {
    let bought = json_of(&shop, &["purchase", "--item", "phone:2", "--user", "ada"]).await?;
    let purchase = &bought["purchases"][0];
    let steps: Vec<_> = purchase["steps"].as_array().context("no steps")?.iter().collect();
    let names: Vec<_> = steps.iter().filter_map(|step| step["step"].as_str()).collect();
    ensure!(names == ["catalog", "checkout", "pay", "verify", "order", "mail"], "{bought}");
    let order = purchase["order"].as_str().context("no order")?;
    let session = purchase["session"].as_str().context("no session")?;

    let topics = said(&shop, &["topics", "--check"], 0).await?;
    ensure!(topics.contains("payment-successful") && topics.contains("in step"), "{topics}");
    let whole = json_of(&shop, &["topics", "payment-successful"]).await?;
    ensure!(whole["topics"][0]["messages"] == 1, "{whole}");
    eventually(LIMIT, "no group lags", async || {
        said(&shop, &["groups", "--fail-on-lag", "0"], 0).await.is_ok()
    })
    .await;
    let groups = json_of(&shop, &["groups", "--sample", "300ms"]).await?;
    ensure!(groups["groups"][0]["pace"]["drainedInS"] == 0.0, "{groups}");

    let topic = ["tail", "order-successful", "--filter", &format!("order={order}")];
    let record: Value = json_of(&shop, &topic).await?;
    ensure!(record["key"] == "ada" && record["value"]["sessionId"] == session, "{record}");
    let text = said(&shop, &["tail", "payment-successful", "email-successful", "-v"], 0).await?;
    ensure!(text.contains("paid ₹37,998.00") && text.contains("ce_id: "), "{text}");
    let followed = ["tail", "payment-successful", "--follow", "--from", "0", "--limit", "1"];
    ensure!(said(&shop, &followed, 0).await?.lines().count() == 1);

    let orders = json_of(&shop, &["orders", "--user", "ada"]).await?;
    ensure!(orders["orders"][0]["orderId"] == order, "{orders}");
    ensure!(said(&shop, &["orders", "--user", "eve"], 0).await? == "no orders\n");
    let one = said(&shop, &["orders", order], 0).await?;
    ensure!(one.contains("2 × ") && one.contains("sent as "), "{one}");
    for id in [order, session, "ada"] {
        let story = said(&shop, &["trace", id], 0).await?;
        for part in
            ["paid ₹37,998.00", "ordered 2 × ", "mailed payment-receipt", "in the inbox for"]
        {
            ensure!(story.contains(part), "{id}, {part}:\n{story}");
        }
        ensure!(story.contains("its mail is sent"), "{story}");
    }
    Ok(())
}

async fn a_purchase_that_gets_no_order_says_so_and_trace_says_why(shop: Shop) -> Result<()> {
    let wanted = ["purchase", "--user", "ada", "--limit", "3s"];
    let error = said(&shop, &wanted, 1).await?;
    ensure!(error.contains("order: not within 3 s (--limit)"), "{error}");
    let story = said(&shop, &["trace", "ada"], 0).await?;
    ensure!(story.contains("order-service has not read payment-successful/"), "{story}");
    ensure!(story.contains("next in turn, and the group has no members"), "{story}");
    said(&shop, &["groups", "--fail-on-lag", "0"], 3).await?;
    let nothing = said(&shop, &["trace", "nobody"], 1).await?;
    ensure!(nothing.contains("nothing is known of \"nobody\""), "{nothing}");
    Ok(())
}

async fn a_letter_is_shown_sent_back_handled_once_and_removed(shop: Shop) -> Result<()> {
    said(&shop, &["dlq", "list", "--check"], 0).await?;
    // The mail server refuses for good: the mail's event is given up.
    let refused = json!({"smtp": {"reply": "550 5.1.1 no such user", "at": "rcpt"}});
    shop.http.put_json(shop.sandbox("/control/faults"), &refused).await?.expect_status(200)?;
    let bought = said(&shop, &["purchase", "--user", "ada", "--limit", "20s"], 1).await?;
    ensure!(bought.contains("mail: the mail server refused it for good"), "{bought}");
    let listed = eventually_some(LIMIT, "the letter", async || {
        let listed = json_of(&shop, &["dlq", "list", "--group", "email-service"]).await.ok()?;
        (!places(&listed).is_empty()).then_some(listed)
    })
    .await;
    let place = places(&listed).remove(0);
    said(&shop, &["dlq", "list", "--check"], 3).await?;
    let shown = said(&shop, &["dlq", "show", &place], 0).await?;
    for part in ["email-service", "dead: it was not sent back", "\"userId\": \"ada\"", "dlq-offset"]
    {
        ensure!(shown.contains(part), "{part}:\n{shown}");
    }

    // The server is mended; a dry run sends nothing, a replay once.
    shop.http.put_json(shop.sandbox("/control/faults"), &json!({})).await?.expect_status(200)?;
    let dry = said(&shop, &["dlq", "replay", "--all", "--dry-run"], 0).await?;
    ensure!(dry.contains("would be sent to payment-successful/"), "{dry}");
    ensure!(read_topic(shop.brokers(), "payment-successful")?.len() == 1, "nothing was sent");
    let others = ["dlq", "replay", "--all", "--service", "order", "--key", "ada", "--until", "1h"];
    ensure!(json_of(&shop, &others).await?["letters"] == json!([]), "none is the order service's");
    let these = ["dlq", "list", "--service", "email", "--key", "ada", "--since", "1h"];
    ensure!(places(&json_of(&shop, &these).await?) == std::slice::from_ref(&place));
    let replayed = json_of(&shop, &["dlq", "replay", &place, "--by", "grace"]).await?;
    ensure!(replayed["letters"][0]["offset"].is_i64(), "{replayed}");
    let sent = read_topic(shop.brokers(), "payment-successful")?;
    let replay =
        sent.iter().find(|it| !it.header("replay-group").is_empty()).context("no replay")?;
    ensure!(replay.header("replay-by") == "grace" && replay.header("replay-count") == "1");
    ensure!(replay.header("replay-at").parse::<jiff::Timestamp>().is_ok(), "{replay:?}");
    ensure!(replay.header("dlq-letter") == place, "{replay:?}");
    eventually(LIMIT, "its mail is sent", async || {
        shop.mails().await.is_ok_and(|mails| mails.len() == 1)
    })
    .await;
    eventually(LIMIT, "the letter is taken up", async || {
        let all = json_of(&shop, &["dlq", "list", "--all"]).await;
        all.is_ok_and(|all| all["letters"][0]["fate"] == "taken-up")
    })
    .await;
    ensure!(places(&json_of(&shop, &["dlq", "list"]).await?).is_empty(), "nothing is left to do");

    // Again: left alone, unless it is asked for; and then the group skips it.
    let again = json_of(&shop, &["dlq", "replay", "--all"]).await?;
    ensure!(again["letters"] == json!([]) && again["skipped"] == json!([place]), "{again}");
    json_of(&shop, &["dlq", "replay", "--again", &place]).await?;
    said(&shop, &["purchase", "--user", "eve"], 0).await?;
    eventually(LIMIT, "no group lags", async || {
        said(&shop, &["groups", "--fail-on-lag", "0"], 0).await.is_ok()
    })
    .await;
    ensure!(shop.mails().await?.len() == 2, "one for each purchase");
    ensure!(read_topic(shop.brokers(), "order-successful")?.len() == 2, "one for each purchase");

    // Removed for ever, and only when it is meant.
    let asked = said(&shop, &["dlq", "drop", &place], 1).await?;
    ensure!(asked.contains("add --yes"), "{asked}");
    said(&shop, &["dlq", "drop", &place, "--dry-run"], 0).await?;
    said(&shop, &["dlq", "show", &place], 0).await?;
    ensure!(said(&shop, &["dlq", "drop", &place, "--yes"], 0).await?.contains("1 record removed"));
    let gone = said(&shop, &["dlq", "show", &place], 1).await?;
    ensure!(gone.contains("there is no record at"), "{gone}");
    Ok(())
}

async fn what_nobody_understands_dies_again_and_goes_in_no_circle(shop: Shop) -> Result<()> {
    produce(shop.brokers(), "payment-successful", "bob", b"{\"userId\": ").await?;
    let listed = eventually_some(LIMIT, "a letter of each group", async || {
        let listed = json_of(&shop, &["dlq", "list"]).await.ok()?;
        (places(&listed).len() == 3).then_some(listed)
    })
    .await;
    ensure!(listed["letters"][0]["reason"] == "undecodable", "{listed}");
    let replayed = json_of(&shop, &["dlq", "replay", "--all"]).await?;
    ensure!(replayed["letters"].as_array().is_some_and(|sent| sent.len() == 3), "{replayed}");
    eventually(LIMIT, "each died again", async || {
        let all = json_of(&shop, &["dlq", "list", "--all"]).await.unwrap_or_default();
        let fates = all["letters"].as_array().into_iter().flatten().map(|it| it["fate"].as_str());
        let fates: Vec<_> = fates.flatten().collect();
        let count = |fate| fates.iter().filter(|it| **it == fate).count();
        count("died-again") == 3 && count("dead") == 3
    })
    .await;
    let story = said(&shop, &["trace", "bob"], 0).await?;
    ensure!(story.contains("dead (undecodable)") && story.contains("sent back for"), "{story}");

    // Twice more, and then it is a circle that only somebody's word opens.
    for round in 2..=3 {
        let replay = ["dlq", "replay", "--all", "--service", "order"];
        json_of(&shop, &replay).await?;
        eventually(LIMIT, "it died again", async || {
            let listed = json_of(&shop, &["dlq", "list", "--service", "order"]).await;
            listed.is_ok_and(|it| it["letters"][0]["sentBack"] == round)
        })
        .await;
    }
    let before = read_topic(shop.brokers(), "payment-successful")?.len();
    let refused = said(&shop, &["dlq", "replay", "--all", "--service", "order"], 3).await?;
    ensure!(refused.contains("0 letters sent back") && refused.contains("--force"), "{refused}");
    ensure!(read_topic(shop.brokers(), "payment-successful")?.len() == before, "nothing was sent");
    let shown = said(&shop, &["dlq", "list", "--service", "order"], 0).await?;
    ensure!(shown.contains("dead, sent back 3 times"), "{shown}");
    let forced = ["dlq", "replay", "--all", "--service", "order", "--force", "--rate", "50"];
    ensure!(said(&shop, &forced, 0).await?.contains("1 letter sent back"));
    Ok(())
}

#[tokio::test]
async fn programs_and_people_at_the_wrong_place_are_told_what_to_do() -> Result<()> {
    let shop = Shop::start(&[]).await?;
    for (arguments, code, expected) in [
        (&["tail", "payment-succesful"][..], 1, "there is payment-successful"),
        (&["tail", "payment-successful", "--partition", "9"], 1, "it has 0 to 2"),
        (&["dlq", "show", "payment-successful/0/0"], 1, "there is no record at"),
        (&["groups", "--kafka", "127.0.0.1:1"], 1, "no broker of 127.0.0.1:1 takes connections"),
        (&["groups", "--kafka-config", "/nowhere"], 1, "cannot read the Kafka settings /nowhere"),
        (&["purchase", "--item", "hat"], 1, "there is no product \"hat\"; there are phone"),
        (&["purchase", "--gateway", "http://127.0.0.1:1"], 1, "catalog: http://127.0.0.1:1 cannot"),
        (&["orders", "00000000-0000-0000-0000-000000000000"], 1, "there is no order"),
    ] {
        let text = said(&shop, arguments, code).await?;
        ensure!(text.contains(expected), "{arguments:?}: {text}");
    }
    let wrong = command(&shop, &["dlq", "show", "here"]).await?;
    ensure!(wrong.status.code() == Some(2));
    Ok(())
}

#[tokio::test]
async fn many_purchases_are_summarised() -> Result<()> {
    let shop = Shop::start(&[]).await?;
    let many = ["purchase", "--count", "12", "--concurrency", "6"];
    let (bought, watched) = tokio::try_join!(
        json_of(&shop, &many),
        try_join_all((0..3).map(|_| json_of(&shop, &["groups"])))
    )?;
    ensure!(bought["failed"] == 0 && watched.len() == 3, "{bought}");
    let all =
        bought["summary"].as_array().and_then(|summary| summary.last()).context("no summary")?;
    ensure!(all["step"] == "all" && all["count"] == 12, "{all}");
    let listed = json_of(&shop, &["orders", "--limit", "5"]).await?;
    ensure!(listed["orders"].as_array().is_some_and(|orders| orders.len() == 5), "{listed}");
    Ok(())
}
