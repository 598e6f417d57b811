//! Settings of each service that are missing, and that are wrong.

use std::collections::BTreeMap;

use storefront_contract::ServiceId;
use storefront_operator::plan::ServiceSettings;

use crate::{PASSWORD, Said};

/// A wrong value for every variable that can have one.
const WRONG: &[(&str, &str)] = &[
    ("SHOP", "demo"),
    ("HTTP_LISTEN", "8080"),
    ("ADMIN_LISTEN", "localhost"),
    ("DRAIN_MS", "soon"),
    ("KAFKA_BROKERS", "kafka"),
    ("KAFKA_TLS", "maybe"),
    ("KAFKA_SASL_MECHANISM", "GSSAPI"),
    ("DATABASE_MAX_CONNECTIONS", "0"),
    ("CURRENCY", "inr"),
    ("PUBLIC_URL", "ftp://shop"),
    ("STRIPE_API_BASE", "stripe"),
    ("STRIPE_TIMEOUT_MS", "0"),
    ("STRIPE_SANDBOX", "perhaps"),
    ("STRIPE_WEBHOOK_TOLERANCE_S", "86400"),
    ("SWEEP_INTERVAL_MS", "1"),
    ("SMTP_PORT", "99999"),
    ("SMTP_TLS", "ssl"),
    ("SMTP_USERNAME_FILE", "/etc/smtp/username"),
    ("SMTP_TIMEOUT_MS", "forever"),
    ("SMTP_CONNECTIONS", "0"),
    ("EMAIL_SEND_ON", "email-successful"),
    ("EMAIL_MAX_AGE_HOURS", "-1"),
    ("EMAIL_URL", "email"),
    ("EMAIL_TIMEOUT_MS", "0"),
    ("ROUTES", "payment"),
    ("PAGES", "yes please"),
    ("TRUSTED_PROXIES", "10.0.0.0/99"),
    ("BODY_MAX_BYTES", "2MB"),
    ("REQUEST_TIMEOUT_MS", "0"),
    ("CONNECT_TIMEOUT_MS", "0"),
    ("UPSTREAM_TIMEOUT_MS", "0"),
];

pub fn messages() -> Vec<Said> {
    let mut said = Vec::new();
    let nothing = BTreeMap::new();
    let database_url = format!("mysql://shop:{PASSWORD}@db/shop");
    let wrong: BTreeMap<String, String> = WRONG
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .chain([("DATABASE_URL".to_owned(), database_url)])
        .collect();
    for id in ServiceId::ALL {
        for (how, variables) in [("without settings", &nothing), ("with wrong ones", &wrong)] {
            let error = ServiceSettings::read(id, variables).unwrap_err().to_string();
            // Below its head, each line names its variable.
            for line in error.lines().skip(1).map(str::trim).filter(|line| !line.is_empty()) {
                assert!(line.starts_with(|c: char| c.is_ascii_uppercase()), "{error}");
                said.push(Said::new(format!("{id} {how}"), line));
            }
        }
    }
    // Services share settings; each message is read once.
    let mut seen = std::collections::BTreeSet::new();
    said.retain(|said| seen.insert(said.told.clone()));
    said
}
