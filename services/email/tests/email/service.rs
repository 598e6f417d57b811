//! The whole service on a real Kafka, with the sandbox's inbox as the mail server and its ledger as the
//! truth about what was sent.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;
use storefront_contract::{
    CartLine, PaymentSuccessful, ServiceId, Topic, ids,
    settings::{
        Branding, Common, DatabaseSettings, DatabaseUrl, EmailSettings, SmtpSettings, SmtpTls,
    },
};
use storefront_email::{Policy, run_with};
use storefront_runtime::{Listeners, Shutdown};
use storefront_sandbox::{FaultSettings, Message, Sandbox, SmtpFault, SmtpStage};
use storefront_testkit::{Http, Letter, Topics, eventually};

const LIMIT: Duration = Duration::from_secs(60);

/// A shop's email service with all that is around it.
struct Shop {
    topics: Topics,
    sandbox: Sandbox,
    url: String,
    admin: String,
}

fn settings(
    listeners: &Listeners,
    topics: &Topics,
    sandbox: &Sandbox,
    database_url: String,
) -> EmailSettings {
    let smtp = sandbox.smtp_address();
    EmailSettings {
        common: Common {
            shop: "default/demo".parse().unwrap(),
            http_listen: listeners.http_address().unwrap(),
            admin_listen: listeners.admin_address().unwrap(),
            drain_ms: 0,
        },
        branding: Branding {
            shop_name: "Demo".into(),
            logo: None,
            primary_color: Branding::DEFAULT_PRIMARY_COLOR,
            accent_color: Branding::DEFAULT_ACCENT_COLOR,
        },
        kafka: topics.settings.clone(),
        database: DatabaseSettings { url: DatabaseUrl::Plain(database_url), max_connections: 6 },
        smtp: SmtpSettings {
            host: smtp.ip().to_string(),
            port: smtp.port(),
            tls: SmtpTls::None,
            ca_file: None,
            credentials: None,
            timeout_ms: 5_000,
            connections: 4,
        },
        from: "Demo <shop@example.com>".into(),
        send_on: vec![Topic::PaymentSuccessful],
        public_url: "https://shop.example.com".parse().unwrap(),
        max_age_hours: 72,
    }
}

/// Runs the service until the end of `work`; it must end cleanly and soon.
async fn with_service(database_url: String, work: impl AsyncFnOnce(Shop)) {
    let listeners = Listeners::loopback().await.unwrap();
    let url = format!("http://{}", listeners.http_address().unwrap());
    let admin = format!("http://{}", listeners.admin_address().unwrap());
    let topics = Topics::of(ServiceId::Email).await.unwrap();
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let settings = settings(&listeners, &topics, &sandbox, database_url);
    let policy = Policy {
        retry_first: Duration::from_millis(50),
        retry_most: Duration::from_millis(200),
        unclear_most: 30,
        ..Policy::default()
    };
    let shutdown = Shutdown::new();
    let run = run_with(policy, listeners, settings, shutdown.clone());
    let running = tokio::spawn(Box::pin(run));
    work(Shop { topics, sandbox, url, admin }).await;
    shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(25), running).await.unwrap().unwrap().unwrap();
}

fn payment(n: u32) -> PaymentSuccessful {
    let session_id = format!("cs_{n}");
    PaymentSuccessful {
        user_id: format!("user-{}", n % 7),
        cart: vec![CartLine {
            id: "case".into(),
            name: "<b>Case</b> {{7*7}}\r\n.\r\n".into(),
            quantity: 2,
            price: 99_950,
        }],
        amount: 199_900,
        currency: "INR".parse().unwrap(),
        email: Some(format!("user{n}@example.com")),
        order_id: ids::order_id(&"default/demo".parse().unwrap(), &session_id),
        session_id,
        paid_at: jiff::Timestamp::now(),
    }
}

impl Shop {
    /// Mails by recipient.
    async fn mails(&self) -> BTreeMap<String, Vec<Message>> {
        let mut mails: BTreeMap<String, Vec<Message>> = BTreeMap::new();
        for mail in self.sandbox.mails().await.unwrap() {
            mails.entry(mail.summary.to[0].address.clone()).or_default().push(mail);
        }
        mails
    }

    async fn state(&self, n: u32) -> Value {
        let url = format!("{}/mails/{}", self.url, payment(n).order_id);
        Http::default().get(url).await.unwrap().json().unwrap()["mails"][0]["state"].clone()
    }

    async fn metrics(&self) -> String {
        Http::default().get(format!("{}/metrics", self.admin)).await.unwrap().text()
    }
}

/// Mails whose connection was cut after the server had kept them come again, under their own id.
async fn each_payment_becomes_one_mail(database_url: String) {
    let work = async |shop: Shop| {
        let fault = SmtpFault {
            reply: None,
            how: None,
            at: SmtpStage::EndOfData,
            share: 0.2,
            stored: true,
        };
        let seed = Some(storefront_testkit::seed());
        shop.sandbox.set_faults(FaultSettings {
            seed,
            smtp: Some(fault),
            ..FaultSettings::default()
        });
        for n in 0..40 {
            for _ in 0..2 {
                shop.topics.put(&payment(n), &format!("e{n}")).await.unwrap();
            }
        }
        eventually(LIMIT, "40 events", async || {
            shop.topics.values(Topic::EmailSuccessful).unwrap().len() == 40
        })
        .await;
        let (mails, events) =
            (shop.mails().await, shop.topics.values(Topic::EmailSuccessful).unwrap());
        assert_eq!(mails.len(), 40);
        for event in events {
            let n: u32 = event["sessionId"].as_str().unwrap()[3..].parse().unwrap();
            let copies = &mails[&format!("user{n}@example.com")];
            for mail in copies {
                assert_eq!(mail.summary.message_id, event["messageId"]);
                assert_eq!(mail.summary.subject, copies[0].summary.subject);
                assert!(mail.text.contains("- <b>Case</b> {{7*7}} .\r\n"), "{}", mail.text);
                assert!(mail.text.contains("2 × ₹999.50 = ₹1,999.00"), "{}", mail.text);
                assert!(mail.html.contains("&#60;b&#62;Case&#60;/b&#62; {{7*7}} ."));
                assert!(mail.text.contains(&payment(n).order_id.to_string()));
            }
            assert_eq!(shop.state(n).await, "sent");
        }
        let metrics = shop.metrics().await;
        assert!(metrics.contains("storefront_mails_total{state=\"sent\"} 40"), "{metrics}");
    };
    with_service(database_url, work).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_payment_becomes_one_mail_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("email.db").display());
    each_payment_becomes_one_mail(url).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_payment_becomes_one_mail_on_postgres() {
    let url = storefront_testkit::postgres().await.unwrap().database().await.unwrap();
    each_payment_becomes_one_mail(url).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_mail_is_a_dead_letter_that_can_be_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("email.db").display());
    let work = async |shop: Shop| {
        let fault = |reply: &str| FaultSettings {
            smtp: Some(SmtpFault {
                reply: Some(reply.into()),
                how: None,
                at: SmtpStage::Rcpt,
                share: 1.0,
                stored: false,
            }),
            ..FaultSettings::default()
        };
        shop.sandbox.set_faults(fault("550 5.7.1 policy"));
        shop.topics.put(&payment(1), "e1").await.unwrap();
        let mut bad = payment(2);
        bad.email = Some("nobody at example.com".into());
        shop.topics.put(&bad, "e2").await.unwrap();
        let source = Topic::PaymentSuccessful;
        eventually(LIMIT, "two dead letters", async || {
            shop.topics.dead(source).unwrap().len() == 2
        })
        .await;
        let mut letters = shop.topics.dead(source).unwrap();
        letters.sort_by_key(|letter| letter.header("ce_id").to_owned());
        let reasons: Vec<_> = letters.iter().map(|letter| letter.header("dlq-reason")).collect();
        assert_eq!(reasons, ["mail-rejected", "bad-address"]);
        assert_eq!(letters[0].payload, serde_json::to_vec(&event_of(&letters[0])).unwrap());
        assert_eq!(letters[0].header("dlq-error"), "5.7.1 policy");
        assert_eq!(shop.state(1).await, "failed");

        shop.sandbox.set_faults(FaultSettings::default());
        shop.topics.replay(source, &letters[0]).await.unwrap();
        eventually(LIMIT, "the mail", async || shop.state(1).await == "sent").await;
        // The same replay again is known.
        shop.topics.replay(source, &letters[0]).await.unwrap();
        shop.topics.put(&payment(3), "e3").await.unwrap();
        eventually(LIMIT, "the next mail", async || shop.state(3).await == "sent").await;
        assert_eq!(shop.sandbox.mails().await.unwrap().len(), 2);
    };
    with_service(url, work).await;
}

fn event_of(letter: &Letter) -> PaymentSuccessful {
    serde_json::from_slice(&letter.payload).unwrap()
}
