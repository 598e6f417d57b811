//! What a service holds in memory while it works off a backlog: none of it may grow with what is waiting.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use storefront_contract::{Names, ServiceId, Topic};
use storefront_testkit::measure::machine;

use crate::{
    Options, checkout,
    events::{Counter, Topics},
    programs::{self, Service},
    report::{table, thousands},
    servers::Servers,
    start::Committed,
};

const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Without anything done.
const STALLED: Duration = Duration::from_secs(120);

/// Where it is seen how far a service is.
enum Done {
    /// As many messages stand on a topic.
    Sent(Counter),
    /// So far its group has committed.
    Read(Committed),
}

impl Done {
    fn count(&self) -> Result<i64> {
        match self {
            Self::Sent(counter) => counter.count(),
            Self::Read(committed) => Ok(committed.count()),
        }
    }
}

pub async fn measure(servers: &Servers, options: &Options) -> Result<String> {
    let mut rows = Vec::new();
    for (id, out) in [
        (ServiceId::Order, Some(Topic::OrderSuccessful)),
        // It sends more slowly than it reads: what has to be bounded is how much of the queue it holds.
        (ServiceId::Email, None),
        (ServiceId::Analytics, None),
    ] {
        let topics = Topics::new(servers, storefront_testkit::prefix()).await?;
        topics.fill(servers, options.backlog).await?;
        let environment = environment(servers, &topics, id).await?;
        let done = match out {
            Some(topic) => Done::Sent(Counter::new(servers, topics.names.topic(topic))?),
            None => Done::Read(read(servers, &topics.names, id)?),
        };
        let name = format!("{id}: its topic");
        rows.push(worked_off(name, programs::start(id.name(), &environment)?, &done, options)?);
    }
    rows.push(outbox(servers, options).await?);
    let head = ["", "a tenth is done", "half", "all", "peak", "messages a second"];
    Ok(format!(
        "## Memory under a backlog\n\n`make bench-pipeline ONLY=backlog`: {} messages wait when a service starts, on its topic of payments or in its own outbox; \
         resident memory while it works them off, on {}. email has read all before it has sent them, and keeps them in its database.\n\n{}",
        thousands(options.backlog.into()),
        machine(),
        table(&head, &rows)
    ))
}

async fn environment(
    servers: &Servers,
    topics: &Topics,
    id: ServiceId,
) -> Result<Vec<(&'static str, String)>> {
    let mut environment = servers.places(&topics.prefix).await?;
    if id == ServiceId::Email {
        environment.extend(servers.mail());
        environment.push(("EMAIL_MAX_AGE_HOURS", "8760".into()));
    }
    Ok(environment)
}

fn read(servers: &Servers, names: &Names, id: ServiceId) -> Result<Committed> {
    let group = names.group(id).context("it has a group")?;
    Committed::new(servers, &group, &names.topic(Topic::PaymentSuccessful))
}

/// Messages that were written while no broker could be reached, as many as of payments elsewhere.
async fn outbox(servers: &Servers, options: &Options) -> Result<Vec<String>> {
    let topics = Topics::new(servers, storefront_testkit::prefix()).await?;
    let environment = environment(servers, &topics, ServiceId::Order).await?;
    let database = environment.iter().find(|(name, _)| *name == "DATABASE_URL");
    let (_, database) = database.context("order has a database")?;
    let mut service = programs::start("order", &environment)?;
    // Then its tables are made.
    checkout::ready(&mut service).await?;
    drop(service);
    let topic = topics.names.topic(Topic::OrderSuccessful);
    let schema = "SELECT schemaname FROM pg_tables WHERE tablename = 'outbox'";
    let schema = servers.postgres.ask(database, schema).await?;
    let rows = format!(
        "INSERT INTO {}.outbox (topic, key, payload, headers, created_at) \
         SELECT '{topic}', convert_to('user-' || n % 1000, 'UTF8'), convert_to(repeat('x', 400), 'UTF8'), '[]', 0 \
         FROM generate_series(1, {}) n",
        schema.trim(),
        options.backlog
    );
    servers.postgres.run(database, &rows).await?;
    let done = Done::Sent(Counter::new(servers, topic)?);
    worked_off("order: its outbox".into(), programs::start("order", &environment)?, &done, options)
}

/// A row of the table.
fn worked_off(
    name: String,
    mut service: Service,
    done: &Done,
    options: &Options,
) -> Result<Vec<String>> {
    let all = i64::from(options.backlog);
    let mut row = vec![name];
    let began = Instant::now();
    for part in [all / 10, all / 2, all] {
        let mut before = (done.count()?, Instant::now());
        while before.0 < part {
            std::thread::sleep(LOOK_EVERY);
            service.process.running()?;
            match done.count()? {
                count if count > before.0 => before = (count, Instant::now()),
                count => anyhow::ensure!(
                    before.1.elapsed() < STALLED,
                    "{}: {count} of {all}, and nothing more within {STALLED:?}",
                    row[0]
                ),
            }
        }
        row.push(format!("{:.1} MB", service.process.usage()?.memory_mb));
    }
    row.push(format!("{:.1} MB", service.process.usage()?.peak_mb));
    row.push(thousands(f64::from(options.backlog) / began.elapsed().as_secs_f64()));
    Ok(row)
}
