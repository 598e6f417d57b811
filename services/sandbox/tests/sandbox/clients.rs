//! Clients that nobody here wrote: Stripe's own library, nodemailer and swaks. `make tools` fetches the first two.

use std::{path::Path, process::Stdio, time::Duration};

use serde_json::{Value, json};
use storefront_sandbox::{FaultSettings, Sandbox, SandboxOptions, SmtpFault, SmtpStage};
use storefront_testkit::Http;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::Command,
    time::timeout,
};

const LIMIT: Duration = Duration::from_secs(90);

fn node(script: &str) -> Command {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/clients"));
    let mut command = Command::new("node");
    command.current_dir(folder).arg(script).kill_on_drop(true);
    command
}

fn parsed(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn stripes_own_library_finds_what_it_knows() {
    let mut command = node("stripe.mjs");
    command.arg(Sandbox::WEBHOOK_SECRET).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut library = command.spawn().unwrap();
    let mut lines = BufReader::new(library.stdout.take().unwrap()).lines();
    let listens = timeout(LIMIT, lines.next_line()).await.unwrap().unwrap().unwrap();
    let listens: Value = serde_json::from_str(&listens).unwrap();
    let webhook_url = listens["listens"].as_str().map(str::to_owned);
    let sandbox =
        Sandbox::start(SandboxOptions { webhook_url, ..Default::default() }).await.unwrap();
    let base = format!("{}\n", sandbox.stripe_url());
    library.stdin.take().unwrap().write_all(base.as_bytes()).await.unwrap();
    let mut held = Vec::new();
    while let Some(line) = timeout(LIMIT, lines.next_line()).await.unwrap().unwrap() {
        held.push(line);
    }
    let status = library.wait().await.unwrap();
    assert!(status.success(), "only these held: {held:#?}");
    assert_eq!(held.len(), 10);
}

async fn get(sandbox: &Sandbox, path: &str) -> Value {
    let url = format!("{}{path}", sandbox.inbox_url());
    Http::default().get(url).await.unwrap().expect_status(200).unwrap().json().unwrap()
}

/// Subjects and recipients of the mails that were kept, the oldest first.
async fn kept(sandbox: &Sandbox) -> Vec<(String, Vec<String>)> {
    let list = get(sandbox, "/api/v1/messages").await;
    let mails = list["messages"].as_array().unwrap().iter().rev();
    let addresses = |mail: &Value| {
        let to = mail["To"].as_array().unwrap().iter();
        to.map(|to| to["Address"].as_str().unwrap().to_owned()).collect()
    };
    mails.map(|mail| (mail["Subject"].as_str().unwrap().to_owned(), addresses(mail))).collect()
}

#[tokio::test]
async fn nodemailers_mails_are_kept_as_they_were_meant() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let send = async || {
        let port = sandbox.smtp_address().port().to_string();
        let sent =
            timeout(LIMIT, node("nodemailer.mjs").arg(port).output()).await.unwrap().unwrap();
        assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
        parsed(&String::from_utf8(sent.stdout).unwrap())
    };
    for sent in send().await {
        assert!(sent["response"].as_str().is_some_and(|said| said.starts_with("250 ")), "{sent}");
    }
    let ada = || vec!["ada@example.com".to_owned()];
    let both = ["ada@example.com", "bob@example.com"].map(str::to_owned).to_vec();
    let expected = [
        ("plain", ada()),
        ("Ravi’s order ₹1,899 ✓", ada()),
        ("long", ada()),
        ("attached", ada()),
        ("smuggled Bcc: eve@example.com", ada()),
        ("two", both),
    ];
    let expected: Vec<_> = expected.map(|(subject, to)| (subject.to_owned(), to)).into();
    assert_eq!(kept(&sandbox).await, expected);
    let text = async |subject: &str| {
        let found = get(&sandbox, &format!("/api/v1/search?query=subject:{subject}")).await;
        let id = found["messages"][0]["ID"].as_str().unwrap().to_owned();
        let mail = get(&sandbox, &format!("/api/v1/message/{id}")).await;
        mail["Text"].as_str().unwrap().replace("\r\n", "\n")
    };
    assert_eq!(text("plain").await.trim_end(), "Thank you.\n.\n..two dots");
    assert!(text("smuggled").await.contains("\n.\nMAIL FROM:<eve@example.com>"));
    assert_eq!(text("long").await.matches(&"x".repeat(900)).count(), 300);

    // What it says when it is refused, and that the connection goes on.
    let smtp = SmtpFault {
        reply: Some("450 4.2.0 greylisted".into()),
        how: None,
        at: SmtpStage::Rcpt,
        share: 1.0,
        stored: false,
    };
    sandbox.set_faults(FaultSettings { smtp: Some(smtp), ..FaultSettings::default() });
    for sent in send().await {
        assert_eq!((&sent["code"], &sent["responseCode"]), (&json!("EENVELOPE"), &json!(450)));
    }
    assert_eq!(kept(&sandbox).await.len(), 6);
}

#[tokio::test]
async fn swaks_sends_by_every_way_that_it_has() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let server = sandbox.smtp_address().to_string();
    let swaks = async |arguments: &[&str]| {
        let mut command = Command::new("swaks");
        command.args([
            "--server",
            &server,
            "--from",
            "shop@example.com",
            "--to",
            "ada@example.com",
        ]);
        command.args(arguments).kill_on_drop(true);
        let output = timeout(LIMIT, command.output()).await.unwrap().expect("swaks is needed");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    for arguments in [
        &["--header", "Subject: plain"][..],
        &["--header", "Subject: pipelined", "--pipeline"],
        &["--header", "Subject: old", "--protocol", "SMTP"],
        &[
            "--header",
            "Subject: login",
            "--auth",
            "LOGIN",
            "--auth-user",
            "a",
            "--auth-password",
            "b",
        ],
        &[
            "--header",
            "Subject: known",
            "--auth",
            "PLAIN",
            "--auth-user",
            "a",
            "--auth-password",
            "b",
        ],
        &["--header", "Subject: dots", "--body", ".\n..\n."],
    ] {
        let (code, said) = swaks(arguments).await;
        assert_eq!(code, Some(0), "{arguments:?}: {said}");
    }
    let subjects: Vec<String> = kept(&sandbox).await.into_iter().map(|mail| mail.0).collect();
    assert_eq!(subjects, ["plain", "pipelined", "old", "login", "known", "dots"]);
    // Its own codes: 24 when no recipient was taken, 26 when the mail was not.
    for (at, reply, code) in
        [(SmtpStage::Rcpt, "550 5.1.1 nobody", 24), (SmtpStage::EndOfData, "552 5.2.2 full", 26)]
    {
        let smtp =
            SmtpFault { reply: Some(reply.into()), how: None, at, share: 1.0, stored: false };
        sandbox.set_faults(FaultSettings { smtp: Some(smtp), ..FaultSettings::default() });
        let (told, said) = swaks(&[]).await;
        assert_eq!(told, Some(code), "{said}");
        assert!(said.contains(reply), "{said}");
    }
}
