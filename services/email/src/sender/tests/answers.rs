//! What the mail server says, or does not say, and what becomes of the mail.

use super::*;

on_both!(
    a_deferral_is_tried_again,
    a_refusal_is_final_a_dead_letter_and_can_be_replayed,
    an_unclear_end_is_sent_again_under_the_same_message_id,
    too_many_unclear_ends_are_given_up,
    an_absent_server_costs_no_attempts,
    a_silent_recipient_delays_nobody_else,
    a_stop_in_the_middle_of_a_mail_leaves_it_unknown,
);

async fn a_deferral_is_tried_again(store: Store) {
    let server = Server::start(|stage, to, count| match (stage, to, count) {
        (Stage::Recipient, "grey@example.com", 1 | 2) => Act::Reply("450 4.2.0 greylisted"),
        (Stage::Content, "busy@example.com", 1) => Act::Reply("421 4.3.2 shutting down"),
        (Stage::Data, "cut@example.com", 1) => Act::Cut,
        _ => Act::Accept,
    })
    .await;
    let office = Office::open(&store, &server.settings(20_000)).await;
    office.take(&[paid("grey"), paid("busy"), paid("cut")]).await.unwrap();
    office.comes_to("grey", "sent after 3, 0 unclear").await;
    office.comes_to("busy", "sent after 2, 0 unclear").await;
    office.comes_to("cut", "sent after 2, 0 unclear").await;
    assert_eq!((server.taken().len(), office.outbox().await.len()), (3, 3));
    office.close().await;
}

async fn a_refusal_is_final_a_dead_letter_and_can_be_replayed(store: Store) {
    let server = Server::start(|stage, to, count| match (stage, to, count) {
        (Stage::Recipient, "gone@example.com", 1) => {
            Act::Reply("550 5.1.1 <gone@example.com> no such user")
        }
        (Stage::Content, "big@example.com", _) => Act::Reply("552 5.3.4 too big"),
        _ => Act::Accept,
    })
    .await;
    let office = Office::open(&store, &server.settings(20_000)).await;
    office.take(&[paid("gone"), paid("big")]).await.unwrap();
    office.comes_to("gone", "failed (mail-rejected) after 1, 0 unclear").await;
    office.comes_to("big", "failed (mail-rejected) after 1, 0 unclear").await;
    let sql = "SELECT topic, partition, key, payload, headers FROM outbox ORDER BY id";
    let rows = office.database.query(sql, &[]).await.unwrap();
    assert_eq!(rows.len(), 2);
    let row = rows.iter().find(|row| row.bytes("key").unwrap() == b"user of gone").unwrap();
    assert_eq!(row.text("topic").unwrap(), "payment-successful.email-service.dlq");
    assert_eq!(row.int("partition").unwrap(), 1);
    let event: PaymentSuccessful = serde_json::from_slice(&row.bytes("payload").unwrap()).unwrap();
    assert_eq!(event.session_id, "gone");
    let headers = row.text("headers").unwrap();
    for header in ["of-a-client", "kept", "mail-rejected", "5.1.1", "dlq-attempts", "dlq-offset"] {
        assert!(headers.contains(header), "{header} is missing in {headers}");
    }
    // A copy of the event changes nothing but by a replay, and a replay is such a copy.
    office.take(&[paid("gone")]).await.unwrap();
    office.comes_to("gone", SENT).await;
    office.take(&[paid("gone")]).await.unwrap();
    assert_eq!(office.state("gone").await, SENT);
    assert_eq!(server.taken().len(), 1);
    office.close().await;
}

async fn an_unclear_end_is_sent_again_under_the_same_message_id(store: Store) {
    let server = Server::start(|stage, to, count| match (stage, to, count) {
        (Stage::Content, "cut@example.com", 1 | 2) => Act::Cut,
        (Stage::Content, "silent@example.com", 1) => Act::Silence,
        _ => Act::Accept,
    })
    .await;
    let office = Office::open(&store, &server.settings(1_500)).await;
    office.take(&[paid("cut"), paid("silent")]).await.unwrap();
    office.comes_to("cut", "sent after 3, 2 unclear").await;
    office.comes_to("silent", "sent after 2, 1 unclear").await;
    for (mailbox, copies) in [("cut", 3), ("silent", 2)] {
        let taken = server.taken().into_iter();
        let mails: Vec<_> =
            taken.filter(|mail| mail.to == format!("{mailbox}@example.com")).collect();
        assert_eq!(mails.len(), copies, "one more for each unclear end");
        assert!(mails.iter().all(|mail| mail.bytes == mails[0].bytes), "not the same mail");
    }
    assert_eq!(office.outbox().await.len(), 2);
    office.close().await;
}

async fn too_many_unclear_ends_are_given_up(store: Store) {
    let server = Server::start(|stage, _, _| match stage {
        Stage::Content => Act::Cut,
        _ => Act::Accept,
    })
    .await;
    let office = Office::open(&store, &server.settings(20_000)).await;
    office.take(&[paid("ada")]).await.unwrap();
    office.comes_to("ada", "failed (mail-unclear) after 4, 3 unclear").await;
    assert_eq!(server.taken().len(), 4);
    assert_eq!(office.outbox().await[0].0, "payment-successful.email-service.dlq");
    office.close().await;
}

async fn an_absent_server_costs_no_attempts(store: Store) {
    let mut settings = Server::start(|_, _, _| Act::Accept).await.settings(20_000);
    [settings.port] = free_ports().unwrap();
    let address = (Ipv4Addr::LOCALHOST, settings.port);
    let office = Office::open(&store, &settings).await;
    let events: Vec<_> = (0..10).map(|n| paid(&format!("user{n}"))).collect();
    office.take(&events[..5]).await.unwrap();
    eventually(LIMIT, "the sender notices", async || office.desk.metrics.smtp_up.get() == 0).await;
    // The consumer goes on.
    office.take(&events[5..]).await.unwrap();
    office.comes_to("user9", "queued after 0, 0 unclear").await;
    let server = Server::on(TcpListener::bind(address).await.unwrap(), |_, _, _| Act::Accept);
    for n in 0..10 {
        office.comes_to(&format!("user{n}"), SENT).await;
    }
    assert_eq!((server.taken().len(), office.desk.metrics.smtp_up.get()), (10, 1));
    office.close().await;
}

async fn a_silent_recipient_delays_nobody_else(store: Store) {
    let server = Server::start(|stage, to, _| match (stage, to) {
        (Stage::Recipient, "silent@example.com") => Act::Silence,
        _ => Act::Accept,
    })
    .await;
    let office = Office::open(&store, &server.settings(60_000)).await;
    office.take(&[paid("silent")]).await.unwrap();
    office.comes_to("silent", "sending after 1, 0 unclear").await;
    let events: Vec<_> = (0..20).map(|n| paid(&format!("user{n}"))).collect();
    office.take(&events).await.unwrap();
    for n in 0..20 {
        office.comes_to(&format!("user{n}"), SENT).await;
    }
    // Longer than a claim lasts: it is kept alive while the mail is under way.
    let since = Instant::now();
    eventually(LIMIT, "a claim's time", async || since.elapsed() > quick().lease * 2).await;
    assert_eq!(office.state("silent").await, "sending after 1, 0 unclear");
    office.close().await;
    let state = store.database.query("SELECT state FROM mails WHERE session_id = 'silent'", &[]);
    assert_eq!(state.await.unwrap()[0].text("state").unwrap(), "queued");
}

async fn a_stop_in_the_middle_of_a_mail_leaves_it_unknown(store: Store) {
    let server = Server::start(|stage, _, _| match stage {
        Stage::Content => Act::Silence,
        _ => Act::Accept,
    })
    .await;
    let office = Office::open(&store, &server.settings(60_000)).await;
    office.take(&[paid("ada")]).await.unwrap();
    eventually(LIMIT, "the mail is on its way", async || server.asked(Stage::Content) == 1).await;
    let stopping = Instant::now();
    office.close().await;
    assert!(stopping.elapsed() < Duration::from_secs(5), "{:?}", stopping.elapsed());
    let row = store.database.query("SELECT state, unclear FROM mails", &[]).await.unwrap();
    assert_eq!((&*row[0].text("state").unwrap(), row[0].int("unclear").unwrap()), ("unknown", 1));
}

#[test]
fn after_a_pause_one_mail_asks_for_all() {
    let now = Instant::now();
    let mut hold = Hold::default();
    assert_eq!(hold.free(4, 1, now), 3);
    hold.until = Some(now + Duration::from_secs(1));
    assert_eq!(hold.free(4, 0, now), 0);
    let later = now + Duration::from_secs(2);
    assert_eq!(hold.free(4, 0, later), 1);
    assert_eq!(hold.free(4, 1, later), 0);
}
