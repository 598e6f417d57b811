//! `storefront dlq drop`: Kafka removes records only from the front of a partition, and for ever.

use std::{
    collections::BTreeMap,
    io::{self, BufRead as _, IsTerminal as _, Write as _},
};

use anyhow::bail;
use serde::Serialize;
use storefront_inspect::{Place, Removed, Session};

use crate::{
    Exit,
    args::DropArguments,
    brokers::Brokers,
    output::{self, Output},
    words,
};

/// What goes, or would go.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Dropped {
    dry_run: bool,
    partitions: Vec<Part>,
}

/// One partition from whose front records go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Part {
    topic: String,
    partition: i32,
    /// The oldest record now.
    start: i64,
    /// The oldest record afterwards.
    before: i64,
    records: i64,
}

/// Removes letters, and all that are older in their partitions.
pub async fn run(arguments: &DropArguments) -> anyhow::Result<Exit> {
    let brokers = arguments.brokers.read()?;
    let session = brokers.open()?;
    let parts = parts(&session, &brokers, &arguments.places)?;
    let records: i64 = parts.iter().map(|part| part.records).sum();
    let count = words::count(usize::try_from(records).unwrap_or_default(), "record");
    let form = arguments.output.output;
    let mut dropped = Dropped { dry_run: arguments.dry_run, partitions: parts };
    if form == Output::Text {
        let go = if arguments.dry_run { "would go" } else { "go" };
        let line = |part: &Part| {
            format!(
                "{}/{}: {} to {} {go}\n",
                part.topic,
                part.partition,
                part.start,
                part.before - 1
            )
        };
        output::print(&dropped.partitions.iter().map(line).collect::<String>())?;
    }
    if !arguments.dry_run && records > 0 {
        if !arguments.yes && !agreed(&format!("Remove {count} for ever? [y/N] "))? {
            bail!("nothing was removed");
        }
        let before: BTreeMap<_, _> = dropped
            .partitions
            .iter()
            .map(|part| ((part.topic.clone(), part.partition), part.before))
            .collect();
        for Removed { topic, partition, start } in session.remove(&before).await? {
            let same = |part: &&mut Part| part.topic == topic && part.partition == partition;
            if let Some(part) = dropped.partitions.iter_mut().find(same) {
                part.before = start;
            }
        }
    }
    match form {
        Output::Json => output::print_json(&dropped)?,
        Output::Text if arguments.dry_run => output::print(&format!("{count} would be removed"))?,
        Output::Text => output::print(&format!("{count} removed"))?,
    }
    Ok(Exit::Done)
}

/// Every place must be a letter that stands: what is removed was seen.
fn parts(session: &Session, brokers: &Brokers, places: &[Place]) -> anyhow::Result<Vec<Part>> {
    let cluster = session.cluster()?;
    let mut parts: BTreeMap<(String, i32), Part> = BTreeMap::new();
    for place in places {
        session.dead_letter(&brokers.scope, place)?;
        let topic = cluster.topic(&place.topic).ok_or_else(|| cluster.no_topic(&place.topic))?;
        let found = topic.partitions.iter().find(|it| it.number == place.partition);
        let start = found.map_or(0, |partition| partition.start);
        let key = (place.topic.clone(), place.partition);
        let before = place.offset + 1;
        let part = parts.entry(key).or_insert_with(|| Part {
            topic: place.topic.clone(),
            partition: place.partition,
            start,
            before,
            records: 0,
        });
        part.before = part.before.max(before);
        part.records = part.before - part.start;
    }
    Ok(parts.into_values().collect())
}

fn agreed(question: &str) -> anyhow::Result<bool> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        bail!("records are removed for ever, and there is no terminal to ask at: add --yes");
    }
    let mut stderr = io::stderr();
    stderr.write_all(question.as_bytes())?;
    stderr.flush()?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
