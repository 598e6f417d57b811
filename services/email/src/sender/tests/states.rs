//! The states of a mail, from its event to the end of its claim.

use storefront_contract::EmailSuccessful;
use storefront_runtime::TraceContext;

use super::*;
use crate::marks::Sent;

on_both!(
    each_mail_is_sent_once_and_said_once,
    a_claim_that_ended_is_taken_up,
    of_mails_written_down_together_each_has_its_own_claim,
    a_mail_is_dated_by_when_it_was_wanted,
    two_instances_share_the_work,
    what_is_old_or_has_no_address_is_not_sent,
    an_order_waits_for_the_address_of_its_payment,
    what_expires_while_waiting_is_a_dead_letter,
    a_bad_address_is_the_events_own_fault,
    addresses_are_forgotten_and_uniqueness_is_not,
    other_services_are_told_the_states,
);

async fn each_mail_is_sent_once_and_said_once(store: Store) {
    let server = Server::start(|_, _, _| Act::Accept).await;
    let office = Office::open(&store, &server.settings(20_000)).await;
    let events: Vec<_> = (0..30).map(|n| paid(&format!("user{n}"))).collect();
    office.take(&events).await.unwrap();
    // The same sessions under other event ids.
    let again: Vec<_> = events
        .iter()
        .map(|event| {
            let mut event = event.clone();
            event.envelope.id.push_str(" again");
            event
        })
        .collect();
    office.take(&again).await.unwrap();
    for n in 0..30 {
        office.comes_to(&format!("user{n}"), SENT).await;
    }
    let taken = server.taken();
    let to: HashSet<_> = taken.iter().map(|mail| &*mail.to).collect();
    assert_eq!((taken.len(), to.len()), (30, 30));
    assert!(server.most_open() <= 4, "{} connections", server.most_open());
    let outbox = office.outbox().await;
    assert_eq!(outbox.len(), 30);
    for (topic, value) in outbox {
        assert_eq!(topic, "email-successful");
        let session = value["sessionId"].as_str().unwrap();
        let mail = taken.iter().find(|mail| mail.to == format!("{session}@example.com")).unwrap();
        assert_eq!(value["messageId"], mail.message_id);
        assert_eq!(value["userId"], format!("user of {session}"));
        assert_eq!(value["orderId"], ids::order_id(&shop(), session).to_string());
        assert_eq!(value["template"], "payment-receipt");
        let id = ids::event_id(
            &shop(),
            "dev.storefront.email-successful",
            &format!("{session}/payment-receipt"),
        );
        assert_eq!(mail.message_id, format!("{id}@example.com"));
    }
    office.close().await;
}

async fn a_claim_that_ended_is_taken_up(store: Store) {
    let server = Server::start(|_, _, _| Act::Accept).await;
    let office = Office::open(&store, &server.settings(20_000)).await;
    let Office { shutdown, running, handler, database, desk } = office;
    shutdown.cancel();
    running.await.unwrap();
    let mut tx = database.begin().await.unwrap();
    handler.take(&[paid("ada")], &mut tx).await.unwrap();
    tx.commit().await.unwrap();
    // Another instance claims it and is gone.
    let now = database.now_ms().await.unwrap();
    let claimed = mails::claim(&database, "gone", now, now + 300, 4).await.unwrap();
    assert_eq!(claimed.len(), 1);
    assert!(mails::claim(&database, "other", now, now + 300, 4).await.unwrap().is_empty());
    drop(desk);
    let office = Office::open(&store, &server.settings(20_000)).await;
    office.comes_to("ada", "sent after 2, 1 unclear").await;
    assert_eq!(server.taken().len(), 1);
    // The one that was gone comes back and believes that its mail went out.
    let mut tx = database.begin().await.unwrap();
    let own = mails::finish(&mut tx, "gone", &claimed[0].mail_id, mails::End::Sent, now).await;
    assert!(!own.unwrap(), "a claim that was taken over ends nothing");
    drop(tx);
    office.close().await;
}

async fn of_mails_written_down_together_each_has_its_own_claim(store: Store) {
    let server = Server::start(|_, _, _| Act::Accept).await;
    let office = Office::open(&store, &server.settings(20_000)).await;
    let Office { shutdown, running, handler, database, desk } = office;
    shutdown.cancel();
    running.await.unwrap();
    let mut tx = database.begin().await.unwrap();
    handler.take(&[paid("ada"), paid("bob"), paid("eve")], &mut tx).await.unwrap();
    tx.commit().await.unwrap();
    let now = database.now_ms().await.unwrap();
    let mails = mails::claim(&database, &desk.holder, now, now, 3).await.unwrap();
    assert_eq!(mails.len(), 3);
    // The claims end, and another instance takes one of the mails.
    assert_eq!(mails::expire_claims(&database, now).await.unwrap(), 3);
    let taken = mails::claim(&database, "other", now, now + 60_000, 1).await.unwrap();
    let write = |mail| desk.marks.write(sent(mail));
    let own = tokio::join!(write(&mails[0]), write(&mails[1]), write(&mails[2]));
    for (mail, own) in mails.iter().zip([own.0, own.1, own.2]) {
        assert_eq!(own.unwrap(), Some(mail.mail_id != taken[0].mail_id));
    }
    let rows = database.query("SELECT payload FROM outbox", &[]).await.unwrap();
    assert_eq!(rows.len(), 2, "whoever took the third says so");
    let sql = "SELECT holder FROM mails WHERE state = 'sending'";
    let rows = database.query(sql, &[]).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].text("holder").unwrap(), "other");
}

fn sent(mail: &mails::Claimed) -> Sent {
    let event = EmailSuccessful {
        message_id: mail.message_id.clone(),
        user_id: "ada".into(),
        order_id: mail.order_id,
        session_id: mail.session_id.clone(),
        template: mail.template.unwrap(),
        sent_at: Timestamp::now(),
    };
    Sent { mail_id: mail.mail_id.clone(), event, trace: TraceContext::new_root() }
}

/// So that one which is sent again is the same to the byte.
async fn a_mail_is_dated_by_when_it_was_wanted(store: Store) {
    let server = Server::start(|_, _, _| Act::Accept).await;
    let mut office = Office::open(&store, &server.settings(20_000)).await;
    office.handler.clock = || Timestamp::now() - jiff::SignedDuration::from_hours(5);
    office.take(&[paid("ada")]).await.unwrap();
    office.comes_to("ada", SENT).await;
    let taken = server.taken().remove(0);
    let mail = mailparse::parse_mail(&taken.bytes).unwrap();
    let date = mailparse::MailHeaderMap::get_first_value(&mail.headers[..], "Date").unwrap();
    let age_s = Timestamp::now().as_second() - mailparse::dateparse(&date).unwrap();
    assert!((5 * 3_600..5 * 3_600 + 60).contains(&age_s), "{date}");
    office.close().await;
}

async fn two_instances_share_the_work(store: Store) {
    let server = Server::start(|_, _, _| Act::Accept).await;
    let first = Office::open(&store, &server.settings(20_000)).await;
    let second = Office::open(&store, &server.settings(20_000)).await;
    let events: Vec<_> = (0..80).map(|n| paid(&format!("user{n}"))).collect();
    let (left, right) = events.split_at(40);
    let (one, two) = tokio::join!(first.take(left), second.take(right));
    one.and(two).unwrap();
    for n in 0..80 {
        first.comes_to(&format!("user{n}"), SENT).await;
    }
    assert_eq!((server.taken().len(), first.outbox().await.len()), (80, 80));
    first.close().await;
    second.close().await;
}

async fn what_is_old_or_has_no_address_is_not_sent(store: Store) {
    let server = Server::start(|_, _, _| Act::Accept).await;
    let office = Office::open(&store, &server.settings(20_000)).await;
    let mut old = payment("old", Some("ada@example.com"));
    old.paid_at = Timestamp::now() - jiff::SignedDuration::from_hours(73);
    let none = payment("none", None);
    let events =
        [received(old, "1", Happening::Paid), received(none, "2", Happening::Paid), paid("ada")];
    office.take(&events).await.unwrap();
    office.comes_to("ada", SENT).await;
    assert_eq!(office.state("old").await, "failed (too-old) after 0, 0 unclear");
    assert_eq!(office.state("none").await, "failed (no-address) after 0, 0 unclear");
    // Neither is a dead letter, and the same event again wakes neither.
    office.take(&events).await.unwrap();
    assert_eq!(office.state("old").await, "failed (too-old) after 0, 0 unclear");
    assert_eq!((server.taken().len(), office.outbox().await.len()), (1, 1));
    office.close().await;
}

async fn an_order_waits_for_the_address_of_its_payment(store: Store) {
    let server = Server::start(|_, _, _| Act::Accept).await;
    let office = Office::open(&store, &server.settings(20_000)).await;
    office.take(&[ordered("ada"), ordered("nobody")]).await.unwrap();
    eventually(LIMIT, "it is looked for", async || {
        let state = office.state("ada").await;
        state.starts_with("queued") && !state.contains("after 0")
    })
    .await;
    let nobody = received(payment("nobody", None), "3", Happening::Paid);
    office.take(&[paid("ada"), nobody]).await.unwrap();
    eventually(LIMIT, "both mails", async || server.taken().len() == 2).await;
    eventually(LIMIT, "both events", async || office.outbox().await.len() == 2).await;
    let ids: HashSet<_> = server.taken().into_iter().map(|mail| mail.message_id).collect();
    assert_eq!(ids.len(), 2);
    eventually(LIMIT, "nobody is found out", async || {
        office.state("nobody").await.matches("failed (no-address)").count() == 2
    })
    .await;
    office.close().await;
}

async fn what_expires_while_waiting_is_a_dead_letter(store: Store) {
    let server = Server::start(|stage, _, _| match stage {
        Stage::Recipient => Act::Reply("451 4.3.0 later"),
        _ => Act::Accept,
    })
    .await;
    let office = Office::open_with(&store, &server.settings(20_000), quick(), 1_500).await;
    office.take(&[paid("ada")]).await.unwrap();
    eventually(LIMIT, "it expires", async || {
        office.state("ada").await.starts_with("failed (mail-expired)")
    })
    .await;
    assert_eq!(office.outbox().await[0].0, "payment-successful.email-service.dlq");
    assert!(server.asked(Stage::Recipient) >= 2, "it was tried until then");
    office.close().await;
}

async fn a_bad_address_is_the_events_own_fault(store: Store) {
    let server = Server::start(|_, _, _| Act::Accept).await;
    let office = Office::open(&store, &server.settings(20_000)).await;
    let bad = payment("bad", Some("ada@example.com\r\nBcc: eve@example.com"));
    let batch = [paid("ada"), received(bad, "1", Happening::Paid)];
    match office.take(&batch).await {
        Err(failure @ Failure::Permanent { reason: "bad-address", .. }) => {
            let source = std::error::Error::source(&failure).unwrap().to_string();
            assert!(!source.contains("eve"), "{source}");
        }
        other => panic!("{other:?}"),
    }
    office.take(&batch[..1]).await.unwrap();
    office.comes_to("ada", SENT).await;
    office.close().await;
}

async fn addresses_are_forgotten_and_uniqueness_is_not(store: Store) {
    let server = Server::start(|_, _, _| Act::Accept).await;
    let office = Office::open(&store, &server.settings(20_000)).await;
    office.take(&[paid("ada")]).await.unwrap();
    office.comes_to("ada", SENT).await;
    let now = store.database.now_ms().await.unwrap();
    assert_eq!(mails::forget(&store.database, now, KEPT_LONGER_MS).await.unwrap(), 0);
    let later = now + 40 * 24 * 3_600_000;
    assert_eq!(mails::forget(&store.database, later, KEPT_LONGER_MS).await.unwrap(), 2);
    assert_eq!(mails::forget(&store.database, later, KEPT_LONGER_MS).await.unwrap(), 0);
    let left = "SELECT (SELECT COUNT(*) FROM addresses) + (SELECT COUNT(*) FROM mails \
        WHERE recipient IS NOT NULL OR payload IS NOT NULL OR event_key IS NOT NULL) AS left_over";
    let left = store.database.query(left, &[]).await.unwrap();
    assert_eq!(left[0].int("left_over").unwrap(), 0);
    office.take(&[paid("ada")]).await.unwrap();
    assert_eq!(office.state("ada").await, SENT);
    assert_eq!(server.taken().len(), 1);
    office.close().await;
}

async fn other_services_are_told_the_states(store: Store) {
    let server = Server::start(|_, _, _| Act::Accept).await;
    let office = Office::open(&store, &server.settings(20_000)).await;
    office.take(&[paid("ada")]).await.unwrap();
    office.comes_to("ada", SENT).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mails", listener.local_addr().unwrap());
    let router = api::router(store.database.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let ask = async |id: String| {
        storefront_testkit::Http::default().get(format!("{url}/{id}")).await.unwrap()
    };
    let order = ids::order_id(&shop(), "ada").to_string();
    let reply = ask(order.clone()).await.expect_status(200).unwrap();
    assert!(!reply.text().contains("ada@"), "{}", reply.text());
    let mail = &reply.json().unwrap()["mails"][0];
    assert_eq!((&mail["state"], &mail["template"]), (&"sent".into(), &"payment-receipt".into()));
    assert_eq!(mail["messageId"], server.taken()[0].message_id);
    let other = ask(order.replace('0', "1")).await.expect_status(200).unwrap();
    assert_eq!(other.json().unwrap()["mails"], serde_json::json!([]));
    assert_eq!(ask("1".into()).await.status, 400);
    office.close().await;
}
