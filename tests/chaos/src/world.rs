//! The shop: three brokers, PostgreSQL, the stand-in with its mail sink, and two of every service, each a process of its own.
//! Between them lie cables that can be broken; those of the stand-in and of whoever compares at the end stay whole.

use std::{collections::BTreeMap, fs, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use storefront_contract::{Names, ServiceId, Topic};
use storefront_testkit::{
    Cluster, Http, Instance, Kafka, Postgres, PostgresOptions, Wire, create_replicated_topics,
    eventually, free_ports,
};
use tempfile::TempDir;

use crate::{
    member::Member,
    options::{Guard, Options},
};

/// More than members of a group, so that each has several.
const PARTITIONS: i32 = 6;
const START_LIMIT: Duration = Duration::from_secs(60);
const SECRET: &str = "whsec_chaos0123456789abcdef";
const CATALOG: &str = r#"{"products": [{"id": "phone", "name": "Nova 5G", "price": 1899900},
    {"id": "chai", "name": "Masala chai", "price": 24900}]}"#;
/// Which variable takes a guard out, in a build with failpoints.
const WITHOUT: &str = "STOREFRONT_WITHOUT";

/// Clones are the same one.
#[derive(Clone)]
pub struct World {
    pub kafka: Arc<Cluster>,
    pub kafka_wires: [Wire; 3],
    pub postgres: Postgres,
    /// Of each service that has one; not over a cable.
    pub databases: BTreeMap<ServiceId, String>,
    pub members: Vec<Member>,
    /// Where shoppers come in.
    pub public: String,
    /// The stand-in, and its inbox.
    pub stripe: String,
    pub inbox: String,
    pub http: Http,
    _sandbox: Instance,
    _folder: Arc<TempDir>,
}

/// What every instance of a service is told, but for its own cable.
struct Settings {
    all: Vec<(&'static str, String)>,
    of: BTreeMap<ServiceId, Vec<(&'static str, String)>>,
}

impl World {
    /// Starts everything, and waits until all of it is ready.
    pub async fn start(options: &Options) -> Result<Self> {
        let postgres = PostgresOptions::default();
        let (kafka, postgres) =
            tokio::try_join!(Kafka::three_with_wires(), Postgres::private(&postgres))?;
        let (brokers, kafka_wires) = kafka;
        let cluster = Cluster::of(brokers)?;
        let topics = topics();
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        create_replicated_topics(cluster.bootstrap(), &names, PARTITIONS).await?;

        let folder = Arc::new(tempfile::tempdir()?);
        // All at once, so that no two are the same.
        let [stripe, inbox, smtp, no_http, no_admin, rest @ ..] = free_ports::<25>()?;
        let (pairs, _) = rest.as_chunks::<2>();
        let (pairs, _) = pairs.as_chunks::<2>();
        let ports: BTreeMap<ServiceId, [[u16; 2]; 2]> =
            ServiceId::ALL.into_iter().zip(pairs.iter().copied()).collect();
        // A load balancer before each service. Instances are not there yet, and their addresses are.
        let mut fronts = BTreeMap::new();
        for (service, ports) in &ports {
            let servers = ports.iter().map(|[http, _]| format!("127.0.0.1:{http}")).collect();
            fronts.insert(*service, Wire::start(servers).await?.address().to_string());
        }
        let servers = Servers { fronts, stripe, inbox, smtp, folder: Arc::clone(&folder) };
        let sandbox = servers.sandbox([no_http, no_admin])?;
        let http = Http::default();
        let base = format!("http://127.0.0.1:{stripe}");
        eventually(START_LIMIT, "the stand-in is ready", async || {
            let asked = http.get(format!("{base}/readyz")).await;
            asked.is_ok_and(|reply| reply.status == 200)
        })
        .await;
        let mut databases = BTreeMap::new();
        for service in ServiceId::ALL.into_iter().filter(|service| *service != ServiceId::Gateway) {
            databases.insert(service, postgres.database().await?);
        }
        let brokers: Vec<String> =
            kafka_wires.iter().map(|wire| wire.address().to_string()).collect();
        let settings = servers.settings(&brokers.join(","), options.without)?;
        let mut members = Vec::new();
        for (service, ports) in ports {
            for (number, ports) in (1..).zip(ports) {
                let url = databases.get(&service);
                members.push(member(service, number, ports, url, &settings).await?);
            }
        }
        for member in &members {
            member.start()?;
        }
        for member in &members {
            member.instance.ready(&http).await?;
        }
        let world = Self {
            kafka: Arc::new(cluster),
            kafka_wires,
            postgres,
            databases,
            members,
            public: format!("http://{}", servers.fronts[&ServiceId::Gateway]),
            stripe: base,
            inbox: format!("http://127.0.0.1:{inbox}"),
            http,
            _sandbox: sandbox,
            _folder: folder,
        };
        world.set_outside(None).await?;
        Ok(world)
    }

    /// How Stripe is, and the mail server: Stripe always takes a while, sends some news twice, and some late.
    pub async fn set_outside(&self, more: Option<(&str, Value)>) -> Result<()> {
        let mut faults = json!({
            "api_delay_ms": 60, "webhooks": "duplicate", "webhook_share": 0.2, "webhook_jitter_ms": 400,
        });
        if let Some((name, how)) = more {
            faults[name] = how;
            // Whatever becomes of webhooks then becomes of all.
            faults["webhook_share"] = json!(if name == "webhooks" { 1.0 } else { 0.2 });
        }
        let url = format!("{}/control/faults", self.stripe);
        self.http.put_json(url, &faults).await?.expect_status(200)?;
        Ok(())
    }

    pub fn member(&self, service: ServiceId, number: usize) -> Result<&Member> {
        let mut members = self.members.iter();
        members
            .find(|member| member.service == service && member.number == number)
            .context("there is no such instance")
    }

    /// One value of a service's database, of its own schema.
    pub async fn ask(&self, service: ServiceId, query: &str) -> Result<String> {
        let url = self.databases.get(&service).context("it has no database")?;
        let query = format!("SET search_path TO \"default_chaos_{service}\"; {query}");
        self.postgres.ask(url, &query).await
    }

    /// Whether every topic is on all three brokers.
    pub async fn is_replicated(&self) -> bool {
        let cluster = Arc::clone(&self.kafka);
        let look = move || {
            let topics = topics();
            let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
            cluster.is_in_sync(&topics, 3)
        };
        tokio::task::spawn_blocking(look).await.unwrap_or(false)
    }
}

/// Everything that the services write.
pub fn topics() -> Vec<String> {
    let names = Names::new("");
    let dead = names.dead_letters().into_iter().map(|(_, _, topic)| topic);
    Topic::ALL.into_iter().map(|topic| names.topic(topic)).chain(dead).collect()
}

async fn member(
    service: ServiceId,
    number: usize,
    ports: [u16; 2],
    database: Option<&String>,
    settings: &Settings,
) -> Result<Member> {
    let mut told = settings.all.clone();
    told.extend(settings.of.get(&service).into_iter().flatten().cloned());
    let wire = match database {
        None => None,
        Some(url) => {
            let (before, rest) = url.split_once('@').context("a URL without a user")?;
            let (server, path) = rest.split_once('/').context("a URL without a database")?;
            let wire = Wire::start(vec![server.to_owned()]).await?;
            told.push(("DATABASE_URL", format!("{before}@{}/{path}", wire.address())));
            Some(wire)
        }
    };
    let name = format!("{service}-{number}");
    let instance = Instance::at(ports, service.name(), &name, &told)?;
    Ok(Member::new(service, number, instance, wire))
}

/// What services are told of.
struct Servers {
    /// A load balancer before each service: `host:port`.
    fronts: BTreeMap<ServiceId, String>,
    stripe: u16,
    inbox: u16,
    smtp: u16,
    folder: Arc<TempDir>,
}

impl Servers {
    fn front(&self, service: ServiceId) -> String {
        format!("http://{}", self.fronts[&service])
    }

    /// A file with a text; its path, for a setting.
    fn file(&self, name: &str, text: &str) -> Result<String> {
        let path = self.folder.path().join(name);
        fs::write(&path, text)?;
        Ok(path.to_string_lossy().into_owned())
    }

    fn sandbox(&self, ports: [u16; 2]) -> Result<Instance> {
        let at = |port: u16| format!("127.0.0.1:{port}");
        let settings = [
            ("SANDBOX_STRIPE_LISTEN", at(self.stripe)),
            ("SANDBOX_INBOX_LISTEN", at(self.inbox)),
            ("SANDBOX_SMTP_LISTEN", at(self.smtp)),
            ("PUBLIC_URL", self.front(ServiceId::Gateway)),
            ("SANDBOX_WEBHOOK_URL", format!("{}/payment/webhook", self.front(ServiceId::Gateway))),
            ("SANDBOX_WEBHOOK_SECRET_FILE", self.file("webhook", SECRET)?),
            ("RUST_LOG", "warn".into()),
        ];
        let sandbox = Instance::at(ports, "sandbox", "stand-in", &settings)?;
        sandbox.start()?;
        Ok(sandbox)
    }

    fn settings(&self, brokers: &str, without: Option<Guard>) -> Result<Settings> {
        let front = |service| self.front(service);
        let mut all = vec![
            ("SHOP", "default/chaos".to_owned()),
            ("DRAIN_MS", "500".to_owned()),
            ("RUST_LOG", "warn".to_owned()),
            ("KAFKA_BROKERS", brokers.to_owned()),
            ("PUBLIC_URL", front(ServiceId::Gateway)),
        ];
        if let Some(guard) = without {
            let name = clap::ValueEnum::to_possible_value(&guard).context("a guard of no name")?;
            all.push((WITHOUT, name.get_name().to_owned()));
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
            ("CATALOG_FILE", self.file("catalog.json", CATALOG)?),
            ("STRIPE_API_BASE", format!("http://127.0.0.1:{}", self.stripe)),
            ("STRIPE_API_KEY_FILE", self.file("key", "sk_test_chaos")?),
            ("STRIPE_WEBHOOK_SECRET_FILES", self.file("secret", SECRET)?),
            ("STRIPE_SANDBOX", "true".into()),
            ("SWEEP_INTERVAL_MS", "2000".into()),
        ];
        let email = vec![
            ("SMTP_HOST", "127.0.0.1".into()),
            ("SMTP_PORT", self.smtp.to_string()),
            ("SMTP_TLS", "none".into()),
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

/// A cart that costs something else each time.
pub fn cart(number: usize) -> Value {
    json!([{"id": "phone", "quantity": 1 + number % 3}, {"id": "chai", "quantity": 1 + number % 7}])
}
