//! One of three brokers is lost, or so many that nothing can be written: each topic is on all three, and a
//! message counts once two have it.

use std::{collections::BTreeMap, fs, time::Instant};

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier},
    client::DefaultClientContext,
};
use storefront_pipeline_tests::{MANIFEST, Shop, Site, TOPICS};
use storefront_testkit::{Cluster, DevOptions, Kafka, Letter, eventually_some, read_topics};
use tokio::task::spawn_blocking;

use crate::flow::{Crowd, LIMIT, Shopper, waiting};

const CARTS: usize = 8;
/// The longest from a payment to its order while a leader is lost, with all that the broker did for groups, and others are
/// found. These brokers miss one after three seconds, others after nine; eight in all were seen on a machine that was busy.
const GAP_MAX: SignedDuration = SignedDuration::from_secs(20);

/// The demo shop for three brokers.
async fn open_shop(cluster: &Cluster) -> Result<Crowd> {
    let text = fs::read_to_string(MANIFEST)?;
    let (_, text) = text.split_once("apiVersion").context("no manifest")?;
    let manifest = format!("apiVersion{text}").replace("replicas: 1", "replicas: 3");
    let options = DevOptions::new(manifest).with(&["--kafka", cluster.bootstrap()]);
    Shop::start_with(options).await.map(Crowd::of)
}

/// Waits until so many brokers have every partition of the shop's topics.
async fn in_sync(cluster: &Cluster, brokers: usize) {
    cluster.in_sync(&TOPICS, brokers, LIMIT).await;
}

/// So many copies must be written before a message counts.
async fn need(cluster: &Cluster, copies: &str) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", cluster.bootstrap()).create()?;
    let topics = TOPICS.map(|topic| {
        AlterConfig::new(ResourceSpecifier::Topic(topic)).set("min.insync.replicas", copies)
    });
    for altered in admin.alter_configs(&topics, &AdminOptions::new()).await? {
        altered.map_err(|(topic, code)| anyhow::anyhow!("{topic:?}: {code}"))?;
    }
    Ok(())
}

/// How long after its payment each order was made, by the times that their events tell; the shortest first.
async fn gaps(site: &Site) -> Result<Vec<SignedDuration>> {
    let (brokers, [payments, orders, _]) = (site.brokers().to_owned(), TOPICS);
    let letters = spawn_blocking(move || read_topics(&brokers, &[payments, orders])).await??;
    let times = |topic: &str, field: &str| -> Result<BTreeMap<String, Timestamp>> {
        let events = letters[topic].iter().map(Letter::value);
        let times = events.map(|event| {
            let session = event["sessionId"].as_str().context("no session")?;
            Ok((session.to_owned(), event[field].as_str().context("no time")?.parse()?))
        });
        times.collect()
    };
    let (paid, made) = (times(payments, "paidAt")?, times(orders, "createdAt")?);
    let gaps = made.iter().map(|(session, at)| {
        Ok(at.duration_since(*paid.get(session).context("an order without a payment")?))
    });
    let mut gaps: Vec<_> = gaps.collect::<Result<_>>()?;
    gaps.sort();
    Ok(gaps)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_becomes_of_three_brokers_payments_go_on_and_everything_comes() -> Result<()> {
    let cluster = Cluster::of(Kafka::three().await?)?;
    let mut crowd = open_shop(&cluster).await?;
    let site = crowd.shop.site.clone();
    for topic in TOPICS {
        in_sync(&cluster, 3).await;
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
    in_sync(&cluster, 3).await;
    let gaps = gaps(&site).await?;
    println!("from payment to order: {gaps:?}");
    ensure!(gaps.len() == TOPICS.len() * CARTS, "{} orders tell their time", gaps.len());
    ensure!(gaps.iter().all(|gap| *gap < GAP_MAX), "too long from payment to order: {gaps:?}");

    need(&cluster, "3").await?;
    waiting(&site, 0).await;
    cluster.broker(1).kill()?;
    in_sync(&cluster, 2).await;
    let short = async {
        waiting(&site, CARTS).await;
        cluster.broker(1).start().await
    };
    let what = "a message would be on two brokers, and must be on three";
    let (patience, ()) = crowd.through(what, CARTS, Shopper::Returns, short).await?;
    ensure!(patience == 0, "{what}: {patience} shoppers had to wait for it");
    crowd.settled().await.context(what)?;

    need(&cluster, "2").await?;
    in_sync(&cluster, 3).await;
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
