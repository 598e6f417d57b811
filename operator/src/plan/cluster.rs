//! The placement in a cluster: names of Services and paths of mounted Secrets, all made here.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use storefront_contract::{
    CATALOG, ServiceId,
    catalog::ADMIN_PORT,
    settings::{DatabaseUrl, KafkaSecurity, Sasl, SaslMechanism},
};

use super::{
    Placement, PlacementError, ServicePlace, SmtpPlace, StripePlace,
    placement::{SWEEP_INTERVAL_MS, smtp_tls, url},
};
use crate::{
    api::{self, Storefront, StorefrontSpec},
    names,
};

/// Where Secrets are mounted, each in a folder of its name.
pub(crate) const SECRETS: &str = "/etc/storefront/secrets";
/// Where the catalog's ConfigMap is mounted.
pub(crate) const CATALOG_FOLDER: &str = "/etc/storefront/catalog";
pub(crate) const SANDBOX_PORT: u16 = 12111;
pub(crate) const INBOX_SMTP_PORT: u16 = 1025;
pub(crate) const KAFKA_PORT: u16 = 9092;
/// The key of the catalog's ConfigMap that the operator makes.
pub(crate) const CATALOG_KEY: &str = "catalog.json";
/// Where browsers reach a shop that nobody has given an address: through a port that is forwarded to a laptop.
/// A name inside the cluster would help no browser, and the address that a request names (`Host`) is
/// whatever its sender likes.
pub(super) const PORT_FORWARD: &str = "http://127.0.0.1:8080";
const DRAIN_MS: u64 = 3_000;

/// Keys that may be missing: only there while a secret is being replaced.
pub(crate) const OPTIONAL_KEYS: &[&str] = &["webhook-secret-old"];

/// Keys by Secret that settings name, by paths such as `/etc/storefront/secrets/stripe/api-key`. A
/// setting may list several, separated by commas.
pub(crate) fn secret_keys(
    settings: &BTreeMap<String, String>,
) -> BTreeMap<String, BTreeSet<String>> {
    let mut secrets: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let paths = settings.values().flat_map(|value| value.split(','));
    let below = paths.filter_map(|path| path.strip_prefix(SECRETS)?.strip_prefix('/'));
    for (secret, key) in below.filter_map(|path| path.split_once('/')) {
        secrets.entry(secret.to_owned()).or_default().insert(key.to_owned());
    }
    secrets
}

/// The Secret and the key that a mounted file comes from.
pub(crate) fn secret_of(file: &Path) -> Option<(String, String)> {
    let (secret, key) = file.strip_prefix(SECRETS).ok()?.to_str()?.split_once('/')?;
    Some((secret.to_owned(), key.to_owned()))
}

/// One key of a mounted Secret.
fn secret(name: &str, key: &str) -> PathBuf {
    [SECRETS, name, key].iter().collect()
}

impl Placement {
    /// Everything in one namespace, reached by the names of its Services.
    pub fn cluster(storefront: &Storefront, namespace: &str) -> Result<Self, PlacementError> {
        let spec = &storefront.spec;
        let name = storefront.metadata.name.as_deref().unwrap_or_default();
        let all = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        let place = |id: ServiceId, port: u16| {
            Ok((
                id,
                ServicePlace {
                    http_listen: all(port),
                    admin_listen: all(ADMIN_PORT),
                    url: url(&format!("http://{}:{port}", names::object(name, id.name())))?,
                    database: database(spec, name),
                },
            ))
        };
        let services = CATALOG.iter().map(|entry| place(entry.id, entry.http_port));
        let services = services.collect::<Result<_, PlacementError>>()?;
        let public_url = match (spec.public_url(), spec.host()) {
            (Some(written), _) => url(written)?,
            (None, Some(host)) => url(&format!("{}://{host}", spec.scheme()))?,
            (None, None) => url(PORT_FORWARD)?,
        };
        let sandbox =
            url(&format!("http://{}:{SANDBOX_PORT}", names::object(name, names::SANDBOX)))?;
        let (brokers, kafka_security) = kafka(spec, name);
        let catalog_key = spec.catalog_config_map().map(|(_, key)| key);
        Ok(Self {
            namespace: namespace.to_owned(),
            public_url,
            brokers,
            kafka_security,
            replication_max: None,
            services,
            catalog_file: PathBuf::from(CATALOG_FOLDER)
                .join(catalog_key.as_deref().unwrap_or(CATALOG_KEY)),
            stripe: stripe(spec, name, &sandbox)?,
            sandbox: spec.is_sandbox().then_some(sandbox),
            smtp: smtp(spec, name)?,
            without: BTreeSet::new(),
            drain_ms: DRAIN_MS,
        })
    }
}

/// A Secret's URL: the shop's own PostgreSQL has one made for it.
fn database(spec: &StorefrontSpec, name: &str) -> DatabaseUrl {
    let external = spec.database.as_ref().and_then(|database| database.external.as_ref());
    DatabaseUrl::File(match external {
        Some(external) => secret(&external.secret_ref.name, &external.secret_ref.key),
        None => secret(&names::object(name, names::DATABASE), "url"),
    })
}

/// Brokers and how they are spoken with, as a shop's pods see them.
pub(crate) fn kafka(spec: &StorefrontSpec, name: &str) -> (Vec<String>, KafkaSecurity) {
    if let Some(external) = spec.external_kafka() {
        let servers = external.bootstrap_servers.split(',');
        let brokers = servers.map(|server| server.trim().to_owned()).collect();
        let ca = external.tls.as_ref().and_then(|tls| tls.ca_secret_ref.as_ref());
        let security = KafkaSecurity {
            tls: external.tls.is_some(),
            ca_file: ca.map(|ca| secret(&ca.name, &ca.key)),
            sasl: external.sasl.as_ref().map(|sasl| Sasl {
                mechanism: mechanism(sasl.mechanism),
                username_file: secret(&sasl.secret_ref.name, "username"),
                password_file: secret(&sasl.secret_ref.name, "password"),
            }),
        };
        return (brokers, security);
    }
    if let Some(strimzi) = spec.strimzi() {
        // Strimzi's own names: its listener with TLS and SCRAM, its CA, and the Secret that it
        // makes for a KafkaUser.
        let cluster = &strimzi.cluster;
        let user = names::object(name, names::KAFKA_USER);
        let security = KafkaSecurity {
            tls: true,
            ca_file: Some(secret(&names::strimzi_authority(cluster), "ca.crt")),
            sasl: Some(Sasl {
                mechanism: SaslMechanism::ScramSha512,
                username_file: secret(&user, "username"),
                password_file: secret(&user, "password"),
            }),
        };
        return (vec![format!("{cluster}-kafka-bootstrap:9093")], security);
    }
    (vec![format!("{}:{KAFKA_PORT}", names::object(name, names::KAFKA))], KafkaSecurity::default())
}

fn mechanism(mechanism: api::SaslMechanism) -> SaslMechanism {
    match mechanism {
        api::SaslMechanism::Plain => SaslMechanism::Plain,
        api::SaslMechanism::ScramSha256 => SaslMechanism::ScramSha256,
        api::SaslMechanism::ScramSha512 => SaslMechanism::ScramSha512,
    }
}

fn stripe(
    spec: &StorefrontSpec,
    name: &str,
    sandbox: &url::Url,
) -> Result<StripePlace, PlacementError> {
    let from = |folder: &str, api_base, old: bool| StripePlace {
        api_base,
        api_key_file: secret(folder, "api-key"),
        webhook_secret_files: ["webhook-secret", "webhook-secret-old"]
            .iter()
            .take(if old { 2 } else { 1 })
            .map(|key| secret(folder, key))
            .collect(),
        sandbox: !old,
        sweep_interval_ms: SWEEP_INTERVAL_MS,
    };
    Ok(match &spec.payment.stripe {
        Some(stripe) => from(&stripe.secret_ref.name, url("https://api.stripe.com")?, true),
        None => from(&names::object(name, names::SANDBOX), sandbox.clone(), false),
    })
}

fn smtp(spec: &StorefrontSpec, name: &str) -> Result<SmtpPlace, PlacementError> {
    let Some(smtp) = spec.smtp() else {
        return Ok(SmtpPlace {
            host: names::object(name, names::SANDBOX),
            port: INBOX_SMTP_PORT,
            tls: smtp_tls(api::SmtpTls::None),
            ca_file: None,
            credentials: None,
        });
    };
    let port = smtp.port_or_default();
    let credentials = smtp.secret_ref.as_ref();
    Ok(SmtpPlace {
        host: smtp.host.clone(),
        port: u16::try_from(port).map_err(|_| PlacementError::Port { port })?,
        tls: smtp_tls(smtp.tls.unwrap_or_default()),
        ca_file: smtp.ca_secret_ref.as_ref().map(|ca| secret(&ca.name, &ca.key)),
        credentials: credentials
            .map(|s| (secret(&s.name, "username"), secret(&s.name, "password"))),
    })
}
