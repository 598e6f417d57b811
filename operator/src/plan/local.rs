//! The placement on a laptop: actual addresses, files below one folder, and what of the manifest is
//! done otherwise here.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::SocketAddr,
    path::PathBuf,
};

use storefront_contract::{
    ServiceId,
    settings::{DatabaseUrl, KafkaSecurity, SmtpTls},
};
use url::Url;

use super::{
    Placement, PlacementError, ServicePlace, SmtpPlace, StripePlace,
    placement::{SWEEP_INTERVAL_MS, smtp_tls, url},
};
use crate::api::{SecretRef, Service, Storefront, StorefrontSpec};

/// What a laptop offers, with everything that was chosen on the command line.
#[derive(Clone, Debug, PartialEq)]
pub struct Local {
    /// Folder for everything that is kept.
    pub data: PathBuf,
    /// Addresses that are listened on already, so ports are known.
    pub services: BTreeMap<ServiceId, LocalAddress>,
    pub sandbox: SocketAddr,
    pub smtp: SocketAddr,
    /// The embedded broker, or those of `--kafka`.
    pub brokers: Vec<String>,
    pub broker_count: i32,
    /// `--kafka` was given.
    pub own_brokers: bool,
    /// `--database`.
    pub database: Option<String>,
    /// `--stripe-api-base`.
    pub stripe_api_base: Option<Url>,
    /// `--sweep-interval-ms`.
    pub sweep_interval_ms: Option<u64>,
    /// `--smtp`.
    pub smtp_server: Option<(String, u16)>,
    /// `--secrets`: `<secret>/<key>` below it.
    pub secrets: Option<PathBuf>,
    /// `--without`.
    pub without: BTreeSet<ServiceId>,
    /// ConfigMaps that are in the same file as the Storefront.
    pub config_maps: BTreeSet<String>,
}

/// Where a service listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalAddress {
    pub http: SocketAddr,
    pub admin: SocketAddr,
}

/// Something of the manifest that is done otherwise on a laptop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Such as `spec.kafka.strimzi`.
    pub field: String,
    /// What is done instead, and how to have it otherwise.
    pub instead: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.instead)
    }
}

impl Local {
    /// Whether payments go to the stand-in: a Stripe account needs its Secret.
    pub fn uses_sandbox(&self, spec: &StorefrontSpec) -> bool {
        spec.is_sandbox() || (self.secrets.is_none() && self.stripe_api_base.is_none())
    }

    /// Folder with the keys that are made for the stand-in.
    pub fn sandbox_secrets(&self) -> PathBuf {
        self.data.join("secrets/sandbox")
    }

    fn secret(&self, secret: &SecretRef, key: &str) -> Option<PathBuf> {
        self.secret_file(&secret.name, key)
    }

    fn secret_file(&self, name: &str, key: &str) -> Option<PathBuf> {
        Some(self.secrets.as_ref()?.join(name).join(key))
    }

    fn database(&self, id: ServiceId) -> DatabaseUrl {
        DatabaseUrl::Plain(match &self.database {
            Some(url) => url.clone(),
            None => format!("sqlite:{}", self.data.join(format!("{id}.db")).display()),
        })
    }

    fn stripe(&self, spec: &StorefrontSpec) -> Result<StripePlace, PlacementError> {
        let stand_in = self.uses_sandbox(spec);
        let given = spec.payment.stripe.as_ref().filter(|_| !stand_in);
        let file = |key: &str| {
            given
                .and_then(|stripe| self.secret(&stripe.secret_ref, key))
                .unwrap_or_else(|| self.sandbox_secrets().join(key))
        };
        let default = if stand_in { http(self.sandbox)? } else { url("https://api.stripe.com")? };
        let api_base = self.stripe_api_base.clone().unwrap_or(default);
        Ok(StripePlace {
            sandbox: api_base.host_str() != Some("api.stripe.com"),
            api_base,
            api_key_file: file("api-key"),
            webhook_secret_files: vec![file("webhook-secret"), file("webhook-secret-old")],
            sweep_interval_ms: self.sweep_interval_ms.unwrap_or(SWEEP_INTERVAL_MS),
        })
    }

    fn smtp(&self, spec: &StorefrontSpec) -> Result<SmtpPlace, PlacementError> {
        let plain = |host: String, port| SmtpPlace {
            host,
            port,
            tls: SmtpTls::None,
            ca_file: None,
            credentials: None,
        };
        if let Some((host, port)) = &self.smtp_server {
            return Ok(plain(host.clone(), *port));
        }
        let (Some(smtp), Some(_)) = (spec.smtp(), &self.secrets) else {
            return Ok(plain(reachable(self.smtp).ip().to_string(), self.smtp.port()));
        };
        let port = smtp.port_or_default();
        let credentials = smtp.secret_ref.as_ref().and_then(|secret| {
            Some((self.secret(secret, "username")?, self.secret(secret, "password")?))
        });
        Ok(SmtpPlace {
            host: smtp.host.clone(),
            port: u16::try_from(port).map_err(|_| PlacementError::Port { port })?,
            tls: smtp_tls(smtp.tls.unwrap_or_default()),
            ca_file: smtp.ca_secret_ref.as_ref().and_then(|ca| self.secret_file(&ca.name, &ca.key)),
            credentials,
        })
    }

    /// What of the manifest needs a cluster or is overridden here, in the order of the manifest.
    pub fn differences(&self, spec: &StorefrontSpec) -> Vec<Difference> {
        let mut list = Vec::new();
        let mut add = |present: bool, field: &str, instead: String| {
            if present {
                list.push(Difference { field: field.to_owned(), instead });
            }
        };
        let missing =
            spec.catalog_config_map().filter(|(name, _)| !self.config_maps.contains(name));
        add(
            missing.is_some(),
            "spec.catalog.configMapRef",
            "it is not in this file, so the demo catalog is sold; add the ConfigMap to the file, after ---".into(),
        );
        let stripe = spec.payment.stripe.as_ref();
        add(
            stripe.is_some() && self.uses_sandbox(spec),
            "spec.payment.stripe",
            format!(
                "a stand-in takes its place; for a test account put its keys into DIR/{}/ and add --secrets DIR",
                stripe.map_or("stripe", |stripe| &stripe.secret_ref.name)
            ),
        );
        add(
            stripe.is_none() && self.stripe_api_base.is_some(),
            "spec.payment.sandbox",
            "--stripe-api-base takes its place".into(),
        );
        self.kafka_differences(spec, &mut add);
        self.other_differences(spec, &mut add);
        Self::pod_differences(spec, &mut add);
        for id in &self.without {
            let instead = "--without leaves it out; its events wait in their topics".into();
            add(true, &format!("spec.services.{id}"), instead);
        }
        list
    }

    fn kafka_differences(&self, spec: &StorefrontSpec, add: &mut impl FnMut(bool, &str, String)) {
        let instead = if self.own_brokers {
            "the brokers of --kafka take their place"
        } else {
            "an embedded broker takes its place; --kafka BROKERS uses others"
        };
        let managed = spec.kafka.as_ref().and_then(|kafka| kafka.managed.as_ref());
        let sized = managed.is_some_and(|managed| {
            managed.replicas.is_some_and(|replicas| replicas > 1)
                || managed.storage.is_some()
                || managed.resources.is_some()
                || managed.version.is_some()
                || managed.image.is_some()
                || managed.placement.is_some()
        });
        add(sized || (managed.is_some() && self.own_brokers), "spec.kafka.managed", instead.into());
        add(spec.external_kafka().is_some(), "spec.kafka.external", instead.into());
        add(spec.strimzi().is_some(), "spec.kafka.strimzi", instead.into());
        add(
            spec.topics().and_then(|topics| topics.replication_factor) > Some(self.broker_count),
            "spec.kafka.topics.replicationFactor",
            format!("{}, as there are no more brokers", self.broker_count),
        );
    }

    fn other_differences(&self, spec: &StorefrontSpec, add: &mut impl FnMut(bool, &str, String)) {
        let instead = match &self.database {
            Some(_) => "the database of --database takes its place",
            None => "SQLite takes its place; --database URL uses a PostgreSQL",
        };
        let external = spec.database.as_ref().is_some_and(|database| database.external.is_some());
        let field = if external { "spec.database.external" } else { "spec.database.managed" };
        add(spec.database.is_some(), field, instead.into());
        let smtp = spec.smtp().is_some();
        let instead = match (&self.smtp_server, &self.secrets) {
            (Some(_), _) => Some("the mail server of --smtp takes its place"),
            (None, None) => Some("an inbox keeps the mails; --secrets DIR sends them"),
            (None, Some(_)) => None,
        };
        add(smtp && instead.is_some(), "spec.email.smtp", instead.unwrap_or_default().into());
        let inbox = spec.email.as_ref().is_some_and(|email| email.inbox.is_some());
        let instead = "the mail server of --smtp takes its place".into();
        add(inbox && self.smtp_server.is_some(), "spec.email.inbox", instead);
        let Some(gateway) = &spec.gateway else { return };
        let below = "the shop is at the gateway's address below";
        add(gateway.host.is_some(), "spec.gateway.host", below.into());
        add(gateway.public_url.is_some(), "spec.gateway.publicUrl", below.into());
        add(gateway.http_route.is_some(), "spec.gateway.httpRoute", below.into());
        add(gateway.ingress.is_some(), "spec.gateway.ingress", below.into());
    }

    /// What only pods have.
    fn pod_differences(spec: &StorefrontSpec, add: &mut impl FnMut(bool, &str, String)) {
        for id in ServiceId::ALL {
            let Some(service) = spec.service(id) else { continue };
            // Without `..`: a new field does not compile until both sides have decided.
            let Service {
                enabled: _,
                replicas,
                autoscaling,
                resources,
                image,
                env,
                placement,
                pod_metadata,
                service_account,
                disruption_budget,
            } = service;
            let more = replicas.is_some_and(|replicas| replicas != 1) || autoscaling.is_some();
            let place = image.is_some() || resources.is_some() || placement.is_some();
            let marks = pod_metadata.is_some() || service_account.is_some();
            let field = format!("spec.services.{id}");
            let instead = "it runs once, in this process";
            add(more || place || marks || disruption_budget.is_some(), &field, instead.into());
            let instead = "the environment of this process is used".into();
            add(env.is_some(), &format!("spec.services.{id}.env"), instead);
        }
        let instead = "there are no pods here";
        add(spec.images.is_some(), "spec.images", instead.into());
        add(spec.placement.is_some(), "spec.placement", instead.into());
        add(spec.pod_metadata.is_some(), "spec.podMetadata", instead.into());
        add(spec.service_account.is_some(), "spec.serviceAccount", instead.into());
        add(spec.network_policy.is_some(), "spec.networkPolicy", instead.into());
        let instead = "only an operator can be told to wait";
        add(spec.paused == Some(true), "spec.paused", instead.into());
    }
}

impl Placement {
    /// Everything in one process.
    pub fn local(storefront: &Storefront, local: &Local) -> Result<Self, PlacementError> {
        let spec = &storefront.spec;
        let services = local.services.iter().map(|(id, address)| {
            let place = ServicePlace {
                http_listen: address.http,
                admin_listen: address.admin,
                url: http(address.http)?,
                database: local.database(*id),
            };
            Ok((*id, place))
        });
        let services: BTreeMap<_, _> = services.collect::<Result<_, PlacementError>>()?;
        let gateway = services.get(&ServiceId::Gateway);
        let gateway = gateway.ok_or(PlacementError::NoAddress(ServiceId::Gateway))?;
        let public_url = gateway.url.clone();
        Ok(Self {
            // The identity that `kubectl apply` without a namespace would give it.
            namespace: storefront.metadata.namespace.clone().unwrap_or_else(|| "default".into()),
            public_url,
            brokers: local.brokers.clone(),
            kafka_security: KafkaSecurity::default(),
            replication_max: Some(local.broker_count),
            services,
            catalog_file: local.data.join("catalog.json"),
            stripe: local.stripe(spec)?,
            sandbox: local.uses_sandbox(spec).then(|| http(local.sandbox)).transpose()?,
            smtp: local.smtp(spec)?,
            without: local.without.clone(),
            // Nothing in front of the gateway would notice.
            drain_ms: 0,
        })
    }
}

/// An address that listens everywhere is reached at the loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let mut address = address;
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

fn http(address: SocketAddr) -> Result<Url, PlacementError> {
    url(&format!("http://{}", reachable(address)))
}
