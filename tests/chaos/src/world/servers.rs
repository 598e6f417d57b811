//! Where everything is, and what the services are told of it.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use storefront_contract::ServiceId;
use storefront_runtime::failpoint::{self, Guard};
use storefront_testkit::{Instance, Wire, free_ports};

use super::FIRST;
use crate::{
    member::{Cable, Member},
    secrets::Secrets,
};

const CATALOG: &str = r#"{"products": [{"id": "phone", "name": "Nova 5G", "price": 1899900},
    {"id": "chai", "name": "Masala chai", "price": 24900}]}"#;

/// The places of everything but the databases.
pub struct Servers {
    /// By their cables.
    pub brokers: String,
    /// A load balancer before each service: `host:port`.
    fronts: BTreeMap<ServiceId, String>,
    /// Of the two instances of each: HTTP, and for who runs it.
    pub ports: BTreeMap<ServiceId, [[u16; 2]; 2]>,
    stripe: u16,
    inbox: u16,
    pub smtp: u16,
    /// That the stand-in has as any service, and does not use.
    sandbox_ports: [u16; 2],
    pub secrets: Secrets,
}

/// What every instance of a service is told, but for its own cable.
struct Settings {
    all: Vec<(&'static str, String)>,
    of: BTreeMap<ServiceId, Vec<(&'static str, String)>>,
}

impl Servers {
    /// At free ports; the load balancers begin at once.
    pub async fn new(kafka_wires: &[Wire], secrets: Secrets) -> Result<Self> {
        // All at once, so that no two are the same.
        let [stripe, inbox, smtp, no_http, no_admin, rest @ ..] = free_ports::<25>()?;
        let (pairs, _) = rest.as_chunks::<2>();
        let (pairs, _) = pairs.as_chunks::<2>();
        let ports: BTreeMap<ServiceId, [[u16; 2]; 2]> =
            ServiceId::ALL.into_iter().zip(pairs.iter().copied()).collect();
        // Instances are not there yet, and their addresses are.
        let mut fronts = BTreeMap::new();
        for (service, ports) in &ports {
            let servers = ports.iter().map(|[http, _]| format!("127.0.0.1:{http}")).collect();
            fronts.insert(*service, Wire::start(servers).await?.address().to_string());
        }
        let brokers: Vec<String> =
            kafka_wires.iter().map(|wire| wire.address().to_string()).collect();
        let (brokers, sandbox_ports) = (brokers.join(","), [no_http, no_admin]);
        Ok(Self { brokers, fronts, ports, stripe, inbox, smtp, sandbox_ports, secrets })
    }

    /// The stand-in for Stripe.
    pub fn stripe(&self) -> String {
        format!("http://127.0.0.1:{}", self.stripe)
    }

    pub fn inbox(&self) -> String {
        format!("http://127.0.0.1:{}", self.inbox)
    }

    /// Of a service: its load balancer.
    pub fn front(&self, service: ServiceId) -> String {
        format!("http://{}", self.fronts[&service])
    }

    /// Where a secret is, for a setting.
    fn path(&self, name: &str) -> String {
        self.secrets.path(name).to_string_lossy().into_owned()
    }

    /// Starts it.
    pub fn sandbox(&self) -> Result<Instance> {
        let at = |port: u16| format!("127.0.0.1:{port}");
        let settings = [
            ("SANDBOX_STRIPE_LISTEN", at(self.stripe)),
            ("SANDBOX_INBOX_LISTEN", at(self.inbox)),
            ("SANDBOX_SMTP_LISTEN", at(self.smtp)),
            ("PUBLIC_URL", self.front(ServiceId::Gateway)),
            ("SANDBOX_WEBHOOK_URL", format!("{}/payment/webhook", self.front(ServiceId::Gateway))),
            ("SANDBOX_WEBHOOK_SECRET_FILE", self.path("stripe-signs-by")),
            ("RUST_LOG", "warn".into()),
        ];
        let sandbox = Instance::at(self.sandbox_ports, "sandbox", "stand-in", &settings)?;
        sandbox.start()?;
        Ok(sandbox)
    }

    /// Two of every service, each with a cable of its own to its database.
    pub async fn members(
        &self,
        databases: &BTreeMap<ServiceId, String>,
        without: Option<Guard>,
    ) -> Result<Vec<Member>> {
        let settings = self.settings(without)?;
        let mut members = Vec::new();
        for (service, ports) in &self.ports {
            for (number, ports) in (1..).zip(ports) {
                let url = databases.get(service);
                members.push(self.member(*service, number, *ports, url, &settings).await?);
            }
        }
        Ok(members)
    }

    async fn member(
        &self,
        service: ServiceId,
        number: usize,
        ports: [u16; 2],
        database: Option<&String>,
        settings: &Settings,
    ) -> Result<Member> {
        let mut told = settings.all.clone();
        told.extend(settings.of.get(&service).into_iter().flatten().cloned());
        let name = format!("{service}-{number}");
        let database = match database {
            None => None,
            Some(url) => {
                let (_, place) = url.split_once('@').context("a URL without a user")?;
                let (server, path) = place.split_once('/').context("a URL without a database")?;
                let wire = Wire::start(vec![server.to_owned()]).await?;
                let place = format!("{}/{path}", wire.address());
                Some(Cable { wire, place, file: format!("{name}-database") })
            }
        };
        if let Some(cable) = &database {
            cable.write_login(&self.secrets, &FIRST)?;
            let file = self.secrets.path(&cable.file);
            told.push(("DATABASE_URL_FILE", file.to_string_lossy().into_owned()));
        }
        let instance = Instance::at(ports, service.name(), &name, &told)?;
        Ok(Member::new(service, number, instance, database))
    }

    fn settings(&self, without: Option<Guard>) -> Result<Settings> {
        let front = |service| self.front(service);
        let mut all = vec![
            ("SHOP", "default/chaos".to_owned()),
            ("DRAIN_MS", "500".to_owned()),
            ("RUST_LOG", "warn".to_owned()),
            ("KAFKA_BROKERS", self.brokers.clone()),
            ("PUBLIC_URL", front(ServiceId::Gateway)),
        ];
        if let Some(guard) = without {
            all.push((failpoint::WITHOUT, guard.name().to_owned()));
        }
        let routes = format!(
            "/payment=payment@{payment},/catalog=payment@{payment},/orders=order@{order}",
            payment = front(ServiceId::Payment),
            order = front(ServiceId::Order),
        );
        // Whoever asks a frozen instance is not to wait for as long as shoppers may.
        let gateway = vec![("ROUTES", routes), ("UPSTREAM_TIMEOUT_MS", "12000".into())];
        let payment = vec![
            ("CURRENCY", "INR".into()),
            ("CATALOG_FILE", self.secrets.write("catalog.json", CATALOG)?),
            ("STRIPE_API_BASE", self.stripe()),
            ("STRIPE_API_KEY_FILE", self.path("api-key")),
            (
                "STRIPE_WEBHOOK_SECRET_FILES",
                ["webhook-secret", "webhook-secret-old"].map(|name| self.path(name)).join(","),
            ),
            ("STRIPE_SANDBOX", "true".into()),
            ("SWEEP_INTERVAL_MS", "2000".into()),
        ];
        let email = vec![
            ("SMTP_HOST", "127.0.0.1".into()),
            ("SMTP_PORT", self.smtp.to_string()),
            ("SMTP_TLS", "none".into()),
            ("SMTP_USERNAME_FILE", self.path("mail-user")),
            ("SMTP_PASSWORD_FILE", self.path("mail-password")),
            ("EMAIL_FROM", "Chaos <shop@example.com>".into()),
        ];
        let of = [
            (ServiceId::Gateway, gateway),
            (ServiceId::Payment, payment),
            (ServiceId::Order, vec![("EMAIL_URL", front(ServiceId::Email))]),
            (ServiceId::Email, email),
        ];
        Ok(Settings { all, of: BTreeMap::from(of) })
    }
}
