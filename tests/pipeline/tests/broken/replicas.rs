//! One of three brokers is lost, or so many that nothing can be written: each topic is on all three, and a
//! message counts once two have it.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
};
use storefront_pipeline_tests::{MANIFEST, Shop, TOPICS};
use storefront_testkit::{DevOptions, Kafka, eventually, eventually_some};

use crate::flow::{Crowd, LIMIT, Shopper, waiting};

const CARTS: usize = 8;
const ASK_LIMIT: Duration = Duration::from_secs(10);

/// Three brokers, and clients of the tests' own.
struct Cluster {
    brokers: [Kafka; 3],
    bootstrap: String,
    client: BaseConsumer,
    admin: AdminClient<DefaultClientContext>,
}

/// Who has a partition: brokers by their numbers, which begin with 1.
#[derive(Debug)]
struct Copies {
    leader: usize,
    in_sync: usize,
}

impl Cluster {
    async fn start() -> Result<Self> {
        let brokers = Kafka::three().await?;
        let bootstrap = brokers.each_ref().map(Kafka::bootstrap).join(",");
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &bootstrap).set("group.id", "tests-watcher");
        let (client, admin) = (config.create()?, config.create()?);
        Ok(Self { brokers, bootstrap, client, admin })
    }

    /// The demo shop for three brokers.
    async fn open_shop(&self) -> Result<Crowd> {
        let text = fs::read_to_string(MANIFEST)?;
        let (_, text) = text.split_once("apiVersion").context("no manifest")?;
        let manifest = format!("apiVersion{text}").replace("replicas: 1", "replicas: 3");
        let options = DevOptions::new(manifest).with(&["--kafka", &self.bootstrap]);
        Shop::start_with(options).await.map(Crowd::of)
    }

    fn broker(&self, number: usize) -> &Kafka {
        &self.brokers[number - 1]
    }

    /// Of each partition of a topic.
    fn copies(&self, topic: &str) -> Result<Vec<Copies>> {
        let metadata = self.client.fetch_metadata(Some(topic), ASK_LIMIT)?;
        let partitions = metadata.topics().first().context("no metadata")?.partitions();
        let copies = partitions.iter().map(|partition| Copies {
            leader: usize::try_from(partition.leader()).unwrap_or_default(),
            in_sync: partition.isr().len(),
        });
        Ok(copies.collect())
    }

    /// Waits until so many brokers have every partition of the shop's topics.
    async fn in_sync(&self, brokers: usize) {
        for topic in TOPICS {
            eventually(LIMIT, &format!("{brokers} copies of {topic}"), async || {
                self.copies(topic).is_ok_and(|copies| {
                    copies.iter().all(|copies| copies.leader > 0 && copies.in_sync == brokers)
                })
            })
            .await;
        }
    }

    /// So many copies must be written before a message counts.
    async fn need(&self, copies: &str) -> Result<()> {
        let topics = TOPICS.map(|topic| {
            AlterConfig::new(ResourceSpecifier::Topic(topic)).set("min.insync.replicas", copies)
        });
        for altered in self.admin.alter_configs(&topics, &AdminOptions::new()).await? {
            altered.map_err(|(topic, code)| anyhow::anyhow!("{topic:?}: {code}"))?;
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_becomes_of_three_brokers_payments_go_on_and_everything_comes() -> Result<()> {
    let cluster = Cluster::start().await?;
    let mut crowd = cluster.open_shop().await?;
    let site = crowd.shop.site.clone();
    for topic in TOPICS {
        cluster.in_sync(3).await;
        let leader = cluster.copies(topic)?[0].leader;
        let began = Instant::now();
        cluster.broker(leader).kill()?;
        let replaced = async {
            let other = eventually_some(LIMIT, "another leader", async || {
                let other = cluster.copies(topic).ok()?[0].leader;
                (other > 0 && other != leader).then_some(other)
            })
            .await;
            println!("{topic}: {other} leads for {leader} after {:?}", began.elapsed());
            Ok(())
        };
        let what = format!("the leader of {topic} is lost");
        let (patience, ()) = crowd.through(&what, CARTS, Shopper::Returns, replaced).await?;
        ensure!(patience == 0, "{what}: {patience} shoppers had to wait for it");
        // Without it: two are enough.
        crowd.settled().await.context(what)?;
        println!("{topic}: all is there {:?} after its leader was lost", began.elapsed());
        cluster.broker(leader).start().await?;
    }
    cluster.in_sync(3).await;

    cluster.need("3").await?;
    waiting(&site, 0).await;
    cluster.broker(1).kill()?;
    cluster.in_sync(2).await;
    let short = async {
        waiting(&site, CARTS).await;
        cluster.broker(1).start().await
    };
    let what = "a message would be on two brokers, and must be on three";
    let (patience, ()) = crowd.through(what, CARTS, Shopper::Returns, short).await?;
    ensure!(patience == 0, "{what}: {patience} shoppers had to wait for it");
    crowd.settled().await.context(what)?;

    cluster.need("2").await?;
    cluster.in_sync(3).await;
    waiting(&site, 0).await;
    cluster.broker(2).kill()?;
    cluster.broker(3).kill()?;
    let alone = async {
        waiting(&site, CARTS).await;
        tokio::try_join!(cluster.broker(2).start(), cluster.broker(3).start()).map(drop)
    };
    let what = "one of three brokers is left";
    let (patience, ()) = crowd.through(what, CARTS, Shopper::Returns, alone).await?;
    ensure!(patience == 0, "{what}: {patience} shoppers had to wait for it");
    let again = crowd.settled().await.context(what)?;
    ensure!(again == 0, "{again} mails came more than once");
    Ok(())
}
