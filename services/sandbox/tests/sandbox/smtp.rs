//! SMTP byte by byte, as a careless or hostile client speaks it.

use std::time::Duration;

use storefront_sandbox::{Sandbox, SandboxOptions, SmtpLimits};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Sends the bytes, ends its side, and returns all that was answered.
async fn talk(sandbox: &Sandbox, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(sandbox.smtp_address()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    tokio::time::timeout(Duration::from_secs(10), read).await.unwrap().unwrap();
    answer
}

/// The codes of the replies, without those of EHLO's lines.
fn codes(answer: &str) -> Vec<&str> {
    answer.lines().filter(|line| line.as_bytes()[3] == b' ').map(|line| &line[..3]).collect()
}

const ENVELOPE: &str =
    "EHLO shop\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n";

async fn kept(sandbox: &Sandbox) -> Vec<String> {
    let mails = sandbox.mails().await.unwrap();
    mails.into_iter().map(|mail| mail.text).collect()
}

#[tokio::test]
async fn pipelined_mails_are_kept_each() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let mail = "MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n";
    let input = format!(
        "{ENVELOPE}\r\none\r\n.\r\n{mail}\r\ntwo\r\n.\r\nNOOP\r\nRSET\r\nVRFY b\r\nQUIT\r\n"
    );
    let answer = talk(&sandbox, input.as_bytes()).await;
    assert_eq!(codes(&answer).join(" "), "220 250 250 250 354 250 250 250 354 250 250 250 252 221");
    assert_eq!(kept(&sandbox).await, ["one\r\n", "two\r\n"]);
}

#[tokio::test]
async fn a_smuggled_mail_is_no_mail() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    for end in ["\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r\n"] {
        let inner = "MAIL FROM:<evil@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\nevil";
        let input = format!("{ENVELOPE}\r\ngood{end}{inner}\r\n.\r\nQUIT\r\n");
        let answer = talk(&sandbox, input.as_bytes()).await;
        assert_eq!(codes(&answer).join(" "), "220 250 250 250 354 550 221", "{end:?}");
    }
    assert_eq!(kept(&sandbox).await.len(), 0);
}

#[tokio::test]
async fn limits_are_kept_and_the_connection_goes_on() {
    let smtp_limits = SmtpLimits { message_bytes: 1_000, ..SmtpLimits::default() };
    let options = SandboxOptions { smtp_limits: Some(smtp_limits), ..Default::default() };
    let sandbox = Sandbox::start(options).await.unwrap();
    let large = "x".repeat(70) + "\r\n";
    let input = format!("{ENVELOPE}\r\n{}.\r\nNOOP\r\nQUIT\r\n", large.repeat(20));
    assert_eq!(
        codes(&talk(&sandbox, input.as_bytes()).await).join(" "),
        "220 250 250 250 354 552 250 221"
    );
    let flood = format!("{ENVELOPE}\r\n{}", large.repeat(100));
    assert_eq!(codes(&talk(&sandbox, flood.as_bytes()).await).join(" "), "220 250 250 250 354 552");
    let line = format!("EHLO shop\r\nNOOP {}\r\nQUIT\r\n", "x".repeat(100_000));
    assert_eq!(codes(&talk(&sandbox, line.as_bytes()).await).join(" "), "220 250 500 221");
    assert_eq!(codes(&talk(&sandbox, b"NOOP\nQUIT\r\n").await).join(" "), "220 500 221");
    let errors = "FOO\r\n".repeat(30);
    let answer = talk(&sandbox, errors.as_bytes()).await;
    assert_eq!(codes(&answer).last(), Some(&"421"));
    assert_eq!(kept(&sandbox).await.len(), 0);
}

#[tokio::test]
async fn a_mail_cut_off_is_not_kept() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let input = format!("{ENVELOPE}\r\nhalf a mail\r\n.");
    assert_eq!(codes(&talk(&sandbox, input.as_bytes()).await).join(" "), "220 250 250 250 354");
    assert_eq!(kept(&sandbox).await.len(), 0);
}

#[tokio::test]
async fn a_silent_client_is_sent_away() {
    let smtp_limits = SmtpLimits { idle: Duration::from_millis(100), ..SmtpLimits::default() };
    let options = SandboxOptions { smtp_limits: Some(smtp_limits), ..Default::default() };
    let sandbox = Sandbox::start(options).await.unwrap();
    let mut stream = TcpStream::connect(sandbox.smtp_address()).await.unwrap();
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    tokio::time::timeout(Duration::from_secs(10), read).await.unwrap().unwrap();
    assert_eq!(codes(&answer), ["220", "421"]);
}
