//! One mail and one server: what each answer, cut and silence is taken for, and what becomes of the
//! connection.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use storefront_contract::settings::{SmtpSettings, SmtpTls};
use storefront_email::{
    address,
    smtp::{Outcome, Parcel, Smtp},
};
use storefront_runtime::Shutdown;
use storefront_testkit::Authority;

use crate::server::{Act, Server, Stage};

fn parcel(to: &str) -> Parcel {
    Parcel {
        from: address::recipient("shop@example.com").unwrap(),
        to: address::recipient(to).unwrap(),
        bytes: b"Message-ID: <1@example.com>\r\n\r\n.\r\n..x\r\n".to_vec(),
    }
}

/// The outcome in short.
fn told(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Accepted => "accepted".into(),
        Outcome::Deferred(answer) => format!("deferred: {}", answer.text),
        Outcome::Rejected(answer) => format!("rejected: {}", answer.text),
        Outcome::Unclear(answer) => format!("unclear: {}", answer.text),
        Outcome::Unreachable(answer) => format!("unreachable: {}", answer.text),
    }
}

async fn deliver(smtp: &Smtp, to: &str) -> String {
    told(&smtp.deliver(&parcel(to), &Shutdown::new()).await)
}

/// What one act at one stage is taken for.
async fn outcome(stage: Stage, act: Act) -> String {
    let server = Server::start(move |at, _, _| if at == stage { act } else { Act::Accept }).await;
    // Only a silence has to last as long as the limit.
    let limit_ms = if matches!(act, Act::Silence) { 300 } else { 20_000 };
    let smtp = Smtp::new(&server.settings(limit_ms)).unwrap();
    format!("{stage:?} {act:?} -> {}", deliver(&smtp, "ada@example.com").await)
}

#[tokio::test]
async fn what_each_answer_means() {
    let reply = Act::Reply;
    let mut seen = Vec::new();
    for (stage, act) in [
        (Stage::Content, Act::Accept),
        (Stage::Greeting, reply("421 4.3.2 busy")),
        (Stage::Greeting, reply("554 5.7.1 not you")),
        (Stage::Greeting, Act::Silence),
        (Stage::Greeting, Act::Cut),
        (Stage::Hello, reply("502 what")),
        (Stage::Sender, reply("421 4.7.0 too many")),
        (Stage::Sender, reply("550 5.7.1 not from you")),
        (Stage::Sender, Act::Cut),
        (Stage::Recipient, reply("450 4.2.0 greylisted")),
        (Stage::Recipient, reply("550 5.1.1 <ada@example.com> no such user")),
        (Stage::Recipient, reply("421 4.7.0 too many")),
        (Stage::Recipient, reply("530 5.7.0 authentication required")),
        (Stage::Recipient, Act::Cut),
        (Stage::Recipient, Act::Silence),
        (Stage::Data, reply("451 4.3.0 later")),
        (Stage::Data, reply("554 5.5.1 no")),
        (Stage::Data, reply("250 2.0.0 out of step")),
        (Stage::Content, reply("451 4.3.0 later")),
        (Stage::Content, reply("552 5.3.4 too big")),
        (Stage::Content, reply("354 out of step")),
        (Stage::Content, reply("what")),
        (Stage::Content, Act::Cut),
        (Stage::Content, Act::Silence),
    ] {
        seen.push(outcome(stage, act).await);
    }
    insta::assert_snapshot!(seen.join("\n"));
}

#[tokio::test]
async fn nobody_there_is_not_the_mails_fault() {
    let server = Server::start(|_, _, _| Act::Accept).await;
    let mut settings = server.settings(1_000);
    settings.port = 1;
    let smtp = Smtp::new(&settings).unwrap();
    let told = deliver(&smtp, "ada@example.com").await;
    assert!(told.starts_with("unreachable: cannot connect"), "{told}");
}

#[tokio::test]
async fn the_limit_is_for_the_whole_mail_not_for_one_answer() {
    // Every answer comes within the limit, all of them together do not.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server::start(|_, _, _| Act::Accept).await;
    let mut settings = server.settings(300);
    settings.port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        for byte in b"220 slow and steady wins no race\r\n".iter().cycle() {
            stream.writable().await.unwrap();
            stream.try_write(&[*byte]).unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let smtp = Smtp::new(&settings).unwrap();
    let start = Instant::now();
    let told = deliver(&smtp, "ada@example.com").await;
    assert_eq!(told, "unreachable: no answer within the time for one mail");
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_connection_serves_many_mails_and_outlives_a_refusal() {
    let server = Server::start(|stage, to, _| match (stage, to) {
        (Stage::Recipient, "nobody@example.com") => Act::Reply("550 5.1.1 no"),
        (Stage::Content, "big@example.com") => Act::Reply("552 5.3.4 big"),
        _ => Act::Accept,
    })
    .await;
    let smtp = Smtp::new(&server.settings(20_000)).unwrap();
    for to in ["ada", "nobody", "bob", "big", "eve"] {
        deliver(&smtp, &format!("{to}@example.com")).await;
    }
    let taken: Vec<_> = server.taken().into_iter().map(|mail| mail.to).collect();
    assert_eq!(taken, ["ada@example.com", "bob@example.com", "eve@example.com"]);
    assert_eq!(server.connections(), 1);
    // lettre ends the content with a line of its own.
    let sent = [&parcel("ada@example.com").bytes[..], b"\r\n"].concat();
    assert_eq!(server.taken()[0].bytes, sent, "dots survive");
}

#[tokio::test]
async fn a_mail_that_was_cut_never_gives_its_answer_to_the_next() {
    let server = Server::start(|stage, to, _| match (stage, to) {
        (Stage::Content, "slow@example.com") => Act::Silence,
        _ => Act::Accept,
    })
    .await;
    let smtp = Smtp::new(&server.settings(1_500)).unwrap();
    assert_eq!(deliver(&smtp, "ada@example.com").await, "accepted");
    assert!(deliver(&smtp, "slow@example.com").await.starts_with("unclear"));
    assert_eq!(deliver(&smtp, "bob@example.com").await, "accepted");
    assert_eq!(server.connections(), 2, "the cut one was not used again");
}

#[tokio::test]
async fn a_dialogue_that_is_out_of_step_is_not_gone_on_with() {
    let server = Server::start(|stage, to, _| match (stage, to) {
        (Stage::Content, "shifted@example.com") => Act::Reply("354 an answer to something else"),
        _ => Act::Accept,
    })
    .await;
    let smtp = Smtp::new(&server.settings(20_000)).unwrap();
    assert!(deliver(&smtp, "shifted@example.com").await.starts_with("unclear"));
    assert_eq!(deliver(&smtp, "ada@example.com").await, "accepted");
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn an_idle_connection_that_the_server_closed_costs_no_mail() {
    let server = Server::start(|stage, to, _| match (stage, to) {
        // Accepted, and then the server hangs up.
        (Stage::Content, "last@example.com") => Act::Reply("421 4.4.2 too long idle"),
        _ => Act::Accept,
    })
    .await;
    let smtp = Smtp::new(&server.settings(20_000)).unwrap();
    assert!(deliver(&smtp, "last@example.com").await.starts_with("deferred: 4.4.2"));
    assert_eq!(deliver(&smtp, "ada@example.com").await, "accepted");
}

/// What a server does that closes an idle connection, or takes only so many mails over one.
#[tokio::test]
async fn a_farewell_to_the_next_mail_costs_no_mail() {
    for farewell in [Act::Reply("421 4.4.2 idle too long"), Act::Cut, Act::Silence] {
        let server = Server::start(move |stage, _, count| match (stage, count) {
            (Stage::Sender, 2) => farewell,
            _ => Act::Accept,
        })
        .await;
        let smtp = Smtp::new(&server.settings(4_000)).unwrap();
        assert_eq!(deliver(&smtp, "ada@example.com").await, "accepted");
        assert_eq!(deliver(&smtp, "bob@example.com").await, "accepted", "{farewell:?}");
        assert_eq!((server.taken().len(), server.connections()), (2, 2));
        // Anything else that it says is about the mail.
        assert_eq!(deliver(&smtp, "eve@example.com").await, "accepted");
        assert_eq!(server.connections(), 2);
    }
}

#[tokio::test]
async fn a_server_without_starttls_gets_neither_password_nor_mail() {
    let folder = tempfile::tempdir().unwrap();
    let (username, password) = (folder.path().join("username"), folder.path().join("password"));
    fs::write(&username, "shop").unwrap();
    fs::write(&password, "hunter2").unwrap();
    let server = Server::start(|_, _, _| Act::Accept).await;
    let mut settings = server.settings(20_000);
    settings.tls = SmtpTls::StartTls;
    settings.credentials = Some((username, password));
    let smtp = Smtp::new(&settings).unwrap();
    let told = deliver(&smtp, "ada@example.com").await;
    assert!(told.starts_with("unreachable: ") && told.contains("STARTTLS"), "{told}");
    assert_eq!((server.asked(Stage::Auth), server.asked(Stage::Recipient)), (0, 0));
}

#[tokio::test]
async fn rotated_credentials_are_used_at_once_and_a_wrong_password_costs_no_mail() {
    let folder = tempfile::tempdir().unwrap();
    let (username, password) = (folder.path().join("username"), folder.path().join("password"));
    fs::write(&username, "shop\n").unwrap();
    fs::write(&password, "hunter1\n").unwrap();
    // base64 of \0shop\0hunter1 and \0shop\0hunter3.
    let server = Server::start(|stage, credentials, _| match (stage, credentials) {
        (Stage::Auth, "AHNob3AAaHVudGVyMQ==" | "AHNob3AAaHVudGVyMw==") => Act::Accept,
        (Stage::Auth, _) => Act::Reply("535 5.7.8 wrong"),
        _ => Act::Accept,
    })
    .await;
    let mut settings = server.settings(20_000);
    settings.credentials = Some((username, password.clone()));
    let smtp = Smtp::new(&settings).unwrap();
    assert_eq!(deliver(&smtp, "ada@example.com").await, "accepted");
    fs::write(&password, "hunter22\n").unwrap();
    assert_eq!(deliver(&smtp, "ada@example.com").await, "unreachable: 5.7.8 wrong");
    fs::write(&password, "hunter3\n").unwrap();
    assert_eq!(deliver(&smtp, "ada@example.com").await, "accepted");
    assert_eq!(server.connections(), 3);
}

#[test]
fn missing_credentials_are_told_at_the_start() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = runtime.block_on(Server::start(|_, _, _| Act::Accept));
    let mut settings = server.settings(300);
    settings.credentials = Some(("/nowhere/username".into(), "/nowhere/password".into()));
    let error = Smtp::new(&settings).err().unwrap();
    assert_eq!(error.to_string(), "the SMTP credentials cannot be read");
}

#[tokio::test]
async fn other_letters_before_the_at_need_a_server_that_takes_them() {
    let server = Server::start(|_, _, _| Act::Accept).await;
    let smtp = Smtp::new(&server.settings(20_000)).unwrap();
    let told = deliver(&smtp, "用户@example.com").await;
    assert_eq!(told, "rejected: the address needs SMTPUTF8, which the server does not offer");
}

/// The settings of a server that is known by a name, whose CA is in a file.
fn trusting(server: &Server, tls: SmtpTls, ca_file: &Path) -> SmtpSettings {
    let ca_file = Some(ca_file.to_owned());
    SmtpSettings { host: "localhost".into(), tls, ca_file, ..server.settings(20_000) }
}

#[tokio::test]
async fn a_server_with_a_ca_of_its_own_is_checked_against_it() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (Authority::new().unwrap(), Authority::new().unwrap());
    let ca_file = folder.path().join("ca.crt");
    ours.write(&ca_file).unwrap();
    for tls in [SmtpTls::StartTls, SmtpTls::Implicit] {
        let right = Server::encrypted(tls, ours.server("localhost").unwrap()).await;
        let smtp = Smtp::new(&trusting(&right, tls, &ca_file)).unwrap();
        assert_eq!(deliver(&smtp, "ada@example.com").await, "accepted");
        assert_eq!(right.taken().len(), 1);
        // As every other shop sees it, with the public authorities only.
        let public = SmtpSettings { ca_file: None, ..trusting(&right, tls, &ca_file) };
        let public = Smtp::new(&public).unwrap();

        let renamed = Server::encrypted(tls, ours.server("mail.example.com").unwrap()).await;
        let by_name = Smtp::new(&trusting(&renamed, tls, &ca_file)).unwrap();
        let foreign = Server::encrypted(tls, theirs.server("localhost").unwrap()).await;
        let by_authority = Smtp::new(&trusting(&foreign, tls, &ca_file)).unwrap();
        for smtp in [public, by_name, by_authority] {
            let told = deliver(&smtp, "ada@example.com").await;
            assert!(told.starts_with("unreachable: ") && told.contains("certificate"), "{told}");
        }
        assert!(renamed.taken().is_empty() && foreign.taken().is_empty());
        assert_eq!(right.taken().len(), 1);
    }
}

#[tokio::test]
async fn a_rotated_ca_is_taken_up_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Authority::new().unwrap(), Authority::new().unwrap());
    let ca_file = folder.path().join("ca.crt");
    old.write(&ca_file).unwrap();
    let server = Server::encrypted(SmtpTls::Implicit, new.server("localhost").unwrap()).await;
    let smtp = Smtp::new(&trusting(&server, SmtpTls::Implicit, &ca_file)).unwrap();
    assert!(deliver(&smtp, "ada@example.com").await.starts_with("unreachable: "));
    fs::write(&ca_file, format!("{}{}", old.pem(), new.pem())).unwrap();
    assert_eq!(deliver(&smtp, "ada@example.com").await, "accepted");
    fs::write(&ca_file, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    assert_eq!(deliver(&smtp, "bob@example.com").await, "accepted");
}

#[test]
fn a_ca_that_cannot_be_used_ends_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.crt");
    let settings = SmtpSettings {
        host: "localhost".into(),
        port: 465,
        tls: SmtpTls::Implicit,
        ca_file: Some(ca_file.clone()),
        credentials: None,
        timeout_ms: 1_000,
        connections: 1,
    };
    let refusal = || Smtp::new(&settings).err().unwrap().to_string();
    assert_eq!(refusal(), "SMTP_CA_FILE cannot be read");
    for wrong in ["hello\n", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        fs::write(&ca_file, wrong).unwrap();
        assert!(refusal().starts_with("SMTP_CA_FILE holds no certificate"), "{wrong}");
    }
}
