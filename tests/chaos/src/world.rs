//! The shop: three brokers, PostgreSQL, the stand-in with its mail sink, and two of every service, each a process of its own.
//! Between them lie cables that can be broken; those of the stand-in and of whoever compares at the end stay whole.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use storefront_contract::{Names, ServiceId, Topic};
use storefront_testkit::{
    Cluster, Http, Instance, Kafka, Postgres, PostgresOptions, Wire, create_replicated_topics,
    eventually,
};

use crate::{
    member::Member,
    options::{Options, Stack},
    secrets::{self, Generation, Secrets},
};

mod node;
mod servers;

use servers::Servers;

/// More than members of a group, so that each has several.
pub const PARTITIONS: i32 = 6;
const START_LIMIT: Duration = Duration::from_secs(60);
/// The secrets that it begins with.
const FIRST: Generation = Generation(0);

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
    pub secrets: Secrets,
    _sandbox: Instance,
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
        let secrets = Secrets::new()?;
        secrets.write_stripe(&FIRST, &FIRST)?;
        secrets.write_mail(&FIRST)?;
        secrets::prepare(&postgres, &FIRST).await?;

        let servers = Servers::new(&kafka_wires, secrets).await?;
        let (http, sandbox) = (Http::default(), servers.sandbox()?);
        let (stripe, inbox) = (servers.stripe(), servers.inbox());
        eventually(START_LIMIT, "the stand-in is ready", async || {
            let asked = http.get(format!("{stripe}/readyz")).await;
            asked.is_ok_and(|reply| reply.status == 200)
        })
        .await;
        let mut databases = BTreeMap::new();
        let members = match options.shop {
            Stack::Storefront => {
                for service in ServiceId::ALL {
                    if service != ServiceId::Gateway {
                        databases.insert(service, postgres.database().await?);
                    }
                }
                servers.members(&databases, options.without).await?
            }
            Stack::Node => node::members(&servers)?,
        };
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
            public: servers.front(ServiceId::Gateway),
            stripe,
            inbox,
            http,
            secrets: servers.secrets,
            _sandbox: sandbox,
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

    /// From now on every instance is told to come to its database as another user.
    pub fn write_logins(&self, now: &Generation) -> Result<()> {
        let mut cables = self.members.iter().filter_map(|member| member.database.as_ref());
        cables.try_for_each(|cable| cable.write_login(&self.secrets, now))
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

/// A cart that costs something else each time. Node's shop believes its browser what things cost.
pub fn cart(number: usize, stack: Stack) -> Value {
    let (phones, teas) = (1 + number % 3, 1 + number % 7);
    match stack {
        Stack::Storefront => {
            json!([{"id": "phone", "quantity": phones}, {"id": "chai", "quantity": teas}])
        }
        Stack::Node => json!([
            {"id": "phone", "name": "Nova 5G", "price": 18_999, "quantity": phones},
            {"id": "chai", "name": "Masala chai", "price": 249, "quantity": teas},
        ]),
    }
}
