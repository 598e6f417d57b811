//! Mails sent by the library that email uses, read through Mailpit's API.

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::MultiPart,
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, CertificateStore, Tls, TlsParameters},
    },
};
use serde_json::{Value, json};
use storefront_sandbox::{FaultSettings, Sandbox, SandboxOptions, SmtpFault, SmtpStage};
use storefront_testkit::{Authority, Http};

use crate::client::redacted;

pub fn transport(sandbox: &Sandbox) -> AsyncSmtpTransport<Tokio1Executor> {
    let address = sandbox.smtp_address();
    AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(address.ip().to_string())
        .port(address.port())
        .credentials(Credentials::new("shop".into(), "secret".into()))
        .build()
}

pub fn receipt(number: usize) -> Message {
    Message::builder()
        .from("Café Demo <shop@example.com>".parse().unwrap())
        .to(format!("Asha <asha{number}@example.com>").parse().unwrap())
        .subject(format!("Order {number} ₹1,500"))
        .message_id(Some(format!("<{number}@shop.example>")))
        .multipart(MultiPart::alternative_plain_html(
            format!("Thank you for order {number}\n.\n..dots\n"),
            "<p>Thank <b>you</b></p><script>alert(1)</script>".to_owned(),
        ))
        .unwrap()
}

async fn get(sandbox: &Sandbox, path: &str) -> Value {
    let url = format!("{}{path}", sandbox.inbox_url());
    Http::default().get(url).await.unwrap().expect_status(200).unwrap().json().unwrap()
}

#[tokio::test]
async fn a_mail_is_shown_as_mailpit_shows_it() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    transport(&sandbox).send(receipt(1)).await.unwrap();
    let list = get(&sandbox, "/api/v1/messages").await;
    let mut message = get(&sandbox, "/api/v1/message/latest").await;
    assert!(message["Date"].as_str().unwrap().ends_with('Z'));
    message["Date"] = "[Date]".into();
    let mut settings = insta::Settings::clone_current();
    settings.set_sort_maps(true);
    settings.bind(|| {
        insta::assert_json_snapshot!("mail_list", redacted(&list));
        insta::assert_json_snapshot!("mail", redacted(&message));
    });
    assert_eq!(get(&sandbox, "/api/v1/messages").await["unread"], 0, "it was opened");
}

#[tokio::test]
async fn mail_comes_over_tls_where_there_is_a_certificate() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new().unwrap());
    let (certificate, key) = authority.certificate(&["localhost"]).unwrap();
    let file = folder.path().join("server.pem");
    std::fs::write(&file, certificate + &key).unwrap();
    let options = SandboxOptions { smtp_tls_file: Some(file), ..SandboxOptions::default() };
    let sandbox = Sandbox::start(options).await.unwrap();
    let trusted = TlsParameters::builder("localhost".into())
        .certificate_store(CertificateStore::None)
        .add_root_certificate(Certificate::from_pem(authority.pem().as_bytes()).unwrap())
        .build_rustls()
        .unwrap();
    let transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(
        sandbox.smtp_address().ip().to_string(),
    )
    .port(sandbox.smtp_address().port())
    .tls(Tls::Wrapper(trusted))
    .credentials(Credentials::new("shop".into(), "secret".into()))
    .build();
    transport.send(receipt(1)).await.unwrap();
    assert_eq!(get(&sandbox, "/api/v1/messages").await["messages"][0]["Username"], "shop");
}

#[tokio::test]
async fn raw_and_headers_are_what_was_sent() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let mail = receipt(1);
    transport(&sandbox).send(mail.clone()).await.unwrap();
    let id =
        get(&sandbox, "/api/v1/messages").await["messages"][0]["ID"].as_str().unwrap().to_owned();
    let url = format!("{}/api/v1/message/{id}/raw", sandbox.inbox_url());
    let raw = Http::default().get(url).await.unwrap();
    // The client ends a mail by CRLF . CRLF, also where it ends with a line's end already.
    assert_eq!(raw.body, [mail.formatted().as_slice(), b"\r\n"].concat());
    let headers = get(&sandbox, &format!("/api/v1/message/{id}/headers")).await;
    assert_eq!(headers["Message-Id"], json!(["<1@shop.example>"]));
}

#[tokio::test]
async fn mails_are_paged_searched_and_deleted() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let transport = transport(&sandbox);
    for number in 0..12 {
        transport.send(receipt(number)).await.unwrap();
    }
    let page = get(&sandbox, "/api/v1/messages?start=2&limit=3").await;
    let subjects: Vec<&str> = page["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|mail| mail["Subject"].as_str().unwrap())
        .collect();
    assert_eq!(subjects, ["Order 9 ₹1,500", "Order 8 ₹1,500", "Order 7 ₹1,500"]);
    assert_eq!(
        (&page["total"], &page["start"], &page["count"]),
        (&json!(12), &json!(2), &json!(3))
    );
    let found = |query: &str| {
        let path = format!("/api/v1/search?query={query}");
        let sandbox = &sandbox;
        async move { get(sandbox, &path).await["messages_count"].as_i64().unwrap() }
    };
    assert_eq!(found("to:asha7@example.com").await, 1);
    assert_eq!(found("message-id:7@shop").await, 1);
    assert_eq!(found("%22for%20order%2011%22").await, 1);
    assert_eq!(found("thank%20-subject:11").await, 11);
    assert_eq!(found("to:%25").await, 0, "a percent sign is one");
    let counts = Http::default().get(format!("{}/control/mails", sandbox.stripe_url())).await;
    assert_eq!(
        counts.unwrap().json().unwrap(),
        json!({"total": 12, "unread": 12, "distinctMessageIds": 12})
    );
    let delete = async |path: &str, body: &str| {
        let request = http::Request::delete(format!("{}{path}", sandbox.inbox_url()));
        let body = body.to_owned().into_bytes();
        let reply = Http::default().send(request.body(body.into()).unwrap()).await.unwrap();
        reply.expect_status(200).unwrap();
    };
    let id = page["messages"][0]["ID"].as_str().unwrap();
    delete("/api/v1/messages", &json!({"IDs": [id]}).to_string()).await;
    delete("/api/v1/search?query=to:asha7@example.com", "").await;
    assert_eq!(get(&sandbox, "/api/v1/messages").await["total"], 10);
    delete("/api/v1/messages", "").await;
    assert_eq!(get(&sandbox, "/api/v1/messages").await["total"], 0);
    let gone = Http::default().get(format!("{}/api/v1/message/latest", sandbox.inbox_url())).await;
    assert_eq!(gone.unwrap().status, 404);
}

#[tokio::test]
async fn faults_are_what_a_sender_meets() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let fault = |reply: Option<&str>, at, stored| {
        let reply = reply.map(str::to_owned);
        let smtp = Some(SmtpFault { reply, how: None, at, share: 1.0, stored });
        sandbox.set_faults(FaultSettings { smtp, ..FaultSettings::default() });
    };
    let told = async || match transport(&sandbox).send(receipt(1)).await {
        Ok(_) => "sent".to_owned(),
        Err(error) if error.is_transient() => format!("later: {}", error.status().unwrap()),
        Err(error) if error.is_permanent() => format!("never: {}", error.status().unwrap()),
        Err(_) => "unclear".to_owned(),
    };
    fault(Some("421 4.3.2 closing"), SmtpStage::Connect, false);
    assert_eq!(told().await, "later: 421");
    fault(Some("450 4.2.0 greylisted"), SmtpStage::Rcpt, false);
    assert_eq!(told().await, "later: 450");
    fault(Some("550 5.1.1 nobody"), SmtpStage::Rcpt, false);
    assert_eq!(told().await, "never: 550");
    fault(None, SmtpStage::Data, false);
    assert_eq!(told().await, "unclear");
    fault(Some("451 4.3.0 disk"), SmtpStage::EndOfData, false);
    assert_eq!(told().await, "later: 451");
    assert_eq!(sandbox.mails().await.unwrap().len(), 0);
    // The worst of them: kept, and the sender does not know.
    fault(None, SmtpStage::EndOfData, true);
    assert_eq!(told().await, "unclear");
    let mails = sandbox.mails().await.unwrap();
    assert_eq!(mails[0].summary.message_id, "1@shop.example");
    sandbox.set_faults(FaultSettings::default());
    assert_eq!(told().await, "sent");
}
