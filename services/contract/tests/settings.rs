//! What the plan writes is what the service reads; what is wrong is named.
#![expect(clippy::unwrap_used, reason = "a test ends where it is surprised")]

use std::{collections::BTreeMap, path::PathBuf};

use proptest::{collection::vec, option, prelude::*};
use storefront_contract::{
    Color, Shop, Topic,
    settings::{
        AnalyticsSettings, Branding, Common, DatabaseSettings, DatabaseUrl, EmailSettings,
        GatewaySettings, KafkaSecurity, KafkaSettings, OrderSettings, PaymentSettings, Route, Sasl,
        SaslMechanism, Settings, SmtpSettings, SmtpTls, StripeSettings,
    },
};
use url::Url;

fn path() -> impl Strategy<Value = PathBuf> {
    "(/[a-z0-9._-]{1,12}){1,4}".prop_map(PathBuf::from)
}

fn url() -> impl Strategy<Value = Url> {
    ("[a-z]{1,20}", 1_u16..)
        .prop_map(|(host, port)| format!("http://{host}:{port}").parse().unwrap())
}

fn common() -> impl Strategy<Value = Common> {
    ("[a-z]{1,10}", "[a-z][a-z0-9]{0,20}", any::<(u32, u16)>(), any::<(u128, u16)>(), 0_u64..15_000)
        .prop_map(|(namespace, name, http, admin, drain_ms)| Common {
            shop: Shop::new(&namespace, &name).unwrap(),
            http_listen: (std::net::Ipv4Addr::from_bits(http.0), http.1).into(),
            admin_listen: (std::net::Ipv6Addr::from_bits(admin.0), admin.1).into(),
            drain_ms,
        })
}

fn branding() -> impl Strategy<Value = Branding> {
    let logo = prop_oneof![
        path().prop_map(|path| path.to_string_lossy().into_owned()),
        url().prop_map(|url| url.as_str().replace("http:", "https:")),
    ];
    let color = || any::<[u8; 3]>().prop_map(|[red, green, blue]| Color { red, green, blue });
    let name = "[^\\p{Z}\\p{C}]([^\\p{C}]{0,20}[^\\p{Z}\\p{C}])?";
    (name, option::of(logo), color(), color()).prop_map(
        |(shop_name, logo, primary_color, accent_color)| Branding {
            shop_name,
            logo,
            primary_color,
            accent_color,
        },
    )
}

fn kafka() -> impl Strategy<Value = KafkaSettings> {
    let sasl = (prop::sample::select(&SaslMechanism::ALL), path(), path()).prop_map(
        |(mechanism, username_file, password_file)| Sasl {
            mechanism,
            username_file,
            password_file,
        },
    );
    let security = (any::<bool>(), option::of(path()), option::of(sasl))
        .prop_map(|(tls, ca_file, sasl)| KafkaSecurity { tls, ca_file, sasl });
    (vec("[a-z.]{1,20}:[1-9][0-9]{0,3}", 1..4), "[a-z.-]{0,10}", security)
        .prop_map(|(brokers, prefix, security)| KafkaSettings { brokers, prefix, security })
}

fn database() -> impl Strategy<Value = DatabaseSettings> {
    let url = prop_oneof![
        path().prop_map(DatabaseUrl::File),
        "sqlite:/[a-z/]{1,20}".prop_map(DatabaseUrl::Plain),
        "postgres://[a-z]{1,9}:[a-z]{1,9}@[a-z]{1,9}/[a-z]{1,9}".prop_map(DatabaseUrl::Plain),
    ];
    (url, 2_u32..200).prop_map(|(url, max_connections)| DatabaseSettings { url, max_connections })
}

fn smtp() -> impl Strategy<Value = SmtpSettings> {
    let encrypted = prop::sample::select(vec![SmtpTls::StartTls, SmtpTls::Implicit]);
    let tls = prop_oneof![Just((SmtpTls::None, None)), (encrypted, option::of(path()))];
    ("[a-z.]{1,20}", any::<u16>(), tls, option::of((path(), path())), 10_u64..600_000, 1_u32..64)
        .prop_map(|(host, port, (tls, ca_file), credentials, timeout_ms, connections)| {
            SmtpSettings { host, port, tls, ca_file, credentials, timeout_ms, connections }
        })
}

fn stripe() -> impl Strategy<Value = StripeSettings> {
    let base = (url(), option::of(path()));
    (base, path(), vec(path(), 1..4), 10_u64..80_000, any::<bool>(), 1_u64..3_600).prop_map(
        |(base, api_key_file, webhook_secret_files, timeout_ms, sandbox, tolerance)| {
            let (api_base, ca_file) = base;
            StripeSettings {
                api_base,
                ca_file,
                api_key_file,
                webhook_secret_files,
                timeout_ms,
                sandbox,
                webhook_tolerance_s: tolerance,
            }
        },
    )
}

fn survives<S: Settings + PartialEq + std::fmt::Debug>(settings: &S) -> Result<(), TestCaseError> {
    let read = S::read(&settings.write());
    prop_assert_eq!(read.as_ref(), Ok(settings));
    Ok(())
}

proptest! {
    #[test]
    fn gateway(
        (common, branding) in (common(), branding()),
        routes in vec(("(/[a-z]{1,9}){1,3}", "[a-z]{1,9}", url()), 0..5),
        pages in any::<bool>(),
        networks in vec(any::<std::net::IpAddr>(), 0..3),
        numbers in (1_024_u64..9_999_999, 10_u64..60_000, 10_u64..60_000, 10_u64..60_000),
    ) {
        let routes = routes
            .into_iter()
            .map(|(prefix, service, upstream)| Route { prefix, service, upstream })
            .collect();
        let trusted_proxies = networks.iter().map(|net| net.to_string().parse().unwrap()).collect();
        survives(&GatewaySettings {
            common,
            branding,
            routes,
            pages,
            trusted_proxies,
            body_max_bytes: numbers.0,
            request_timeout_ms: numbers.1,
            connect_timeout_ms: numbers.2,
            upstream_timeout_ms: numbers.3,
        })?;
    }

    #[test]
    fn payment(
        (common, kafka, database) in (common(), kafka(), database()),
        currency in "[A-Z]{3}",
        (catalog_file, public_url, stripe) in (path(), url(), stripe()),
        sweep_interval_ms in 100_u64..3_600_000,
    ) {
        let currency = currency.parse().unwrap();
        survives(&PaymentSettings {
            common, kafka, database, currency, catalog_file, public_url, stripe, sweep_interval_ms,
        })?;
    }

    #[test]
    fn order(
        (common, kafka, database) in (common(), kafka(), database()),
        email_url in option::of(url()),
        email_timeout_ms in 10_u64..10_000,
    ) {
        survives(&OrderSettings { common, kafka, database, email_url, email_timeout_ms })?;
    }

    #[test]
    fn email(
        (common, branding) in (common(), branding()),
        (kafka, database, smtp) in (kafka(), database(), smtp()),
        from in "[A-Za-z]{1,10} <[a-z]{1,9}@[a-z]{1,9}>",
        send_on in prop::sample::subsequence(vec![Topic::PaymentSuccessful, Topic::OrderSuccessful], 1..=2),
        public_url in url(),
        max_age_hours in 1_u64..8_000,
    ) {
        survives(&EmailSettings {
            common, branding, kafka, database, smtp, from, send_on, public_url, max_age_hours,
        })?;
    }

    #[test]
    fn analytics((common, kafka, database) in (common(), kafka(), database())) {
        survives(&AnalyticsSettings { common, kafka, database })?;
    }
}

fn refused<S: Settings + std::fmt::Debug>(variables: &[(&str, &str)]) -> String {
    let map: BTreeMap<String, String> =
        variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    S::read(&map).unwrap_err().to_string()
}

#[test]
fn everything_that_is_missing_is_named_at_once() {
    insta::assert_snapshot!(refused::<PaymentSettings>(&[]));
}

#[test]
fn a_wrong_value_is_named_with_its_variable() {
    let wrong = [
        ("SHOP", "Demo"),
        ("HTTP_LISTEN", "8000"),
        ("ADMIN_LISTEN", "localhost:9000"),
        ("DRAIN_MS", "60000"),
        ("SHOP_NAME", "Demo\u{7}"),
        ("SHOP_LOGO", "http://shop/logo.svg"),
        ("SHOP_PRIMARY_COLOR", "red"),
        ("KAFKA_BROKERS", "kafka"),
        ("KAFKA_TLS", "yes"),
        ("KAFKA_SASL_MECHANISM", "GSSAPI"),
        ("DATABASE_URL", "mysql://root:hunter2@db/x"),
        ("SMTP_HOST", "mail"),
        ("SMTP_PORT", "99999"),
        ("SMTP_TLS", "maybe"),
        ("SMTP_PASSWORD_FILE", "/etc/smtp/password"),
        ("EMAIL_FROM", "shop@example.com"),
        ("EMAIL_SEND_ON", "payment-successful,email-successful"),
        ("PUBLIC_URL", "ftp://shop"),
        ("EMAIL_MAX_AGE_HOURS", "-1"),
    ];
    let message = refused::<EmailSettings>(&wrong);
    assert!(!message.contains("hunter2"), "a password must not be printed");
    insta::assert_snapshot!(message);
}

#[test]
fn a_route_says_what_it_should_look_like() {
    let base = [("SHOP", "a/b"), ("HTTP_LISTEN", "0.0.0.0:1"), ("ADMIN_LISTEN", "0.0.0.0:2")];
    let with = |routes| refused::<GatewaySettings>(&[&base[..], &[("ROUTES", routes)]].concat());
    insta::assert_snapshot!(
        ["/payment", "payment=p@http://h:1", "/p=p@https://h", "/p=p@http://h/x", "/p=p@file:///x"]
            .map(with)
            .join("\n")
    );
}
