//! The broker and the database are killed, frozen, slow, full or overrun:
//! a real Apache Kafka and a real PostgreSQL, with a shop between them.

use std::{sync::atomic::Ordering, time::Duration};

use anyhow::{Result, ensure};
use storefront_pipeline_tests::Site;
use storefront_testkit::{Kafka, Postgres, PostgresOptions, eventually, read_topic};
use tokio::time::sleep;

use crate::flow::{Crowd, LIMIT, Shopper, waiting};

const CARTS: usize = 12;
/// How long something stays broken: longer than what waits in memory for a moment would last.
const BROKEN: Duration = Duration::from_secs(2);

/// Whether all services can do their work.
pub async fn all_ready(site: &Site) -> bool {
    for service in site.ready.services.values() {
        let Some(address) = service["admin"].as_str() else { return false };
        let ready = site.http.get(format!("{address}/readyz")).await;
        if !ready.is_ok_and(|reply| reply.status == 200) {
            return false;
        }
    }
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_broker_does_payments_go_on_and_everything_comes() -> Result<()> {
    let kafka = Kafka::private().await?;
    let mut crowd = Crowd::open(&["--kafka", kafka.bootstrap()]).await?;
    let site = crowd.shop.site.clone();
    kafka.kill()?;
    let down = async {
        waiting(&site, CARTS).await;
        eventually(LIMIT, "who needs the broker says so", async || !all_ready(&site).await).await;
        kafka.start().await
    };
    // A shopper who returns is told of the payment although no event can be sent.
    let (patience, ()) = crowd.through("the broker is down", CARTS, Shopper::Returns, down).await?;
    ensure!(patience == 0, "{patience} shoppers had to wait for the broker");
    // Counted every so often: what waited before is not to be taken for what waits now.
    waiting(&site, 0).await;
    kafka.pause()?;
    let frozen = async {
        waiting(&site, CARTS).await;
        sleep(BROKEN).await;
        kafka.resume()
    };
    let (patience, ()) =
        crowd.through("the broker is frozen", CARTS, Shopper::Returns, frozen).await?;
    ensure!(patience == 0, "{patience} shoppers had to wait for the broker");
    let slow = async {
        // Every answer takes a third of a second or more.
        for _ in 0..10 {
            kafka.pause()?;
            sleep(Duration::from_millis(350)).await;
            kafka.resume()?;
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    };
    crowd.through("the broker is slow", CARTS, Shopper::Leaves, slow).await?;
    let full = async {
        kafka.fill_disk()?;
        // It gives up by itself, as nothing can be relied on any more.
        kafka.ended(LIMIT).await?;
        kafka.start().await
    };
    let (patience, ()) =
        crowd.through("the broker's disk is full", CARTS, Shopper::Returns, full).await?;
    ensure!(patience == 0, "{patience} shoppers had to wait for the broker");
    let again = crowd.settled().await?;
    ensure!(again == 0, "{again} mails came more than once");
    eventually(LIMIT, "every service is ready again", async || all_ready(&site).await).await;
    Ok(())
}

/// A role of the database's that is bound by limits, and a fault that every table can be given.
struct Server {
    postgres: Postgres,
    admin: String,
    shop: String,
}

/// Says at each write what a server says that cannot: it is there once, and whole until it is told otherwise.
const TRIGGERS: &str = "
CREATE SEQUENCE public.struck; GRANT ALL ON SEQUENCE public.struck TO shop;
CREATE FUNCTION public.broken() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
DO $$ DECLARE place record; BEGIN
  FOR place IN SELECT schemaname, tablename FROM pg_tables
    WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
  LOOP
    EXECUTE format('CREATE TRIGGER broken BEFORE INSERT OR UPDATE OR DELETE ON %I.%I
      FOR EACH STATEMENT EXECUTE FUNCTION public.broken()', place.schemaname, place.tablename);
  END LOOP;
END $$";

/// Counted by a sequence, which counts on when its transaction is rolled back.
const FULL: &str = "PERFORM nextval('public.struck');
    RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full';";
/// Seldom enough that no transaction of a few writes loses each of its five attempts.
const LOST: &str = "IF random() < 0.03 THEN
    PERFORM nextval('public.struck');
    RAISE EXCEPTION 'could not serialize access' USING ERRCODE = 'serialization_failure';
  END IF;";

impl Server {
    async fn start() -> Result<Self> {
        let postgres = Postgres::private(&PostgresOptions::default()).await?;
        let admin = postgres.database().await?;
        let name = admin.rsplit('/').next().unwrap_or_default().to_owned();
        let server = Self { shop: admin.replacen("storefront@", "shop@", 1), postgres, admin };
        server.sql(&format!("CREATE ROLE shop LOGIN; ALTER DATABASE {name} OWNER TO shop")).await?;
        Ok(server)
    }

    async fn sql(&self, sql: &str) -> Result<()> {
        self.postgres.run(&self.admin, sql).await
    }

    /// How many writes were broken.
    async fn struck(&self) -> Result<u64> {
        let last = self.postgres.ask(&self.admin, "SELECT last_value FROM public.struck").await?;
        Ok(last.parse()?)
    }

    /// From now on each write ends so.
    async fn writes(&self, body: &str) -> Result<()> {
        self.sql(&format!(
            "CREATE OR REPLACE FUNCTION public.broken() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN {body} RETURN NULL; END $$"
        ))
        .await
    }

    /// When so many of them were broken they are whole again.
    async fn mend_writes(&self, times: u64) -> Result<()> {
        let before = self.struck().await?;
        eventually(LIMIT, "writes break", async || {
            self.struck().await.is_ok_and(|struck| struck >= before + times)
        })
        .await;
        self.writes("").await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_database_does_nothing_is_lost_or_doubled() -> Result<()> {
    let server = Server::start().await?;
    let mut crowd = Crowd::open(&["--database", &server.shop]).await?;
    let site = crowd.shop.site.clone();
    server.sql(TRIGGERS).await?;
    server.postgres.kill()?;
    let killed = async {
        eventually(LIMIT, "who needs it says so", async || !all_ready(&site).await).await;
        server.postgres.start().await
    };
    crowd.through("the database is killed", CARTS, Shopper::Returns, killed).await?;
    server.writes(FULL).await?;
    let patience = crowd.patience.clone();
    let freed = async {
        eventually(LIMIT, "a shopper is asked to come again", async || {
            patience.asked.load(Ordering::SeqCst) > 0
        })
        .await;
        server.writes("").await
    };
    crowd.through("the database is full", CARTS, Shopper::Returns, freed).await?;
    server.sql("ALTER ROLE shop CONNECTION LIMIT 0").await?;
    server
        .sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'shop'")
        .await?;
    let limit = async {
        eventually(LIMIT, "who needs it says so", async || !all_ready(&site).await).await;
        server.sql("ALTER ROLE shop CONNECTION LIMIT -1").await
    };
    crowd.through("the database takes no connection", CARTS, Shopper::Returns, limit).await?;
    server.writes(LOST).await?;
    let mending = server.mend_writes(2);
    // Each is done again at once: no shopper hears of it.
    let (patience, ()) =
        crowd.through("transactions lose against others", CARTS, Shopper::Returns, mending).await?;
    ensure!(patience == 0, "{patience} shoppers had to wait");
    let again = crowd.settled().await?;
    ensure!(again == 0, "{again} mails came more than once");
    for group in ["order-service", "email-service", "analytic-service"] {
        let dead = read_topic(site.brokers(), &format!("payment-successful.{group}.dlq"))?;
        ensure!(dead.is_empty(), "no event pays for a database that is away: {dead:?}");
    }
    eventually(LIMIT, "every service is ready again", async || all_ready(&site).await).await;
    Ok(())
}
