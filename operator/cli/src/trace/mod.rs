//! `storefront trace`: the whole story of an order, from everything that can be asked about it.

mod ask;
mod story;
mod text;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::bail;
use jiff::Timestamp;
use storefront_contract::{ServiceId, headers};
use storefront_inspect::{Place, Record, Session, Span, Start};

use crate::{
    Exit,
    args::TraceArguments,
    brokers::Brokers,
    http::Client,
    output::{self, Output},
    terminal::Terminal,
};
use story::{Entry, Story, Waiting};

const WAIT: Duration = Duration::from_secs(15);
/// Groups tell about once a second what they have read: a message younger than this is looked for again before it
/// is said to be unread.
const TOLD_WITHIN: Duration = Duration::from_secs(3);
const LOOK_AGAIN: Duration = Duration::from_millis(300);
/// Most messages of one story: a user may have very many.
const RECORDS_MAX: usize = 1_000;

/// Prints the story.
pub async fn run(arguments: &TraceArguments) -> anyhow::Result<Exit> {
    let brokers = arguments.brokers.read()?;
    let session = brokers.open()?;
    let mut story = Story::new(&arguments.id);
    let records = records(&session, &brokers, arguments, &mut story)?;
    let until = Instant::now() + TOLD_WITHIN;
    while waiting(&session, &brokers, &records, &mut story)? && Instant::now() < until {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    let client = Client::default();
    ask::orders(&client, arguments, &mut story).await;
    ask::mails(&client, arguments, &mut story).await;
    if story.is_empty() {
        let looked = brokers.scope.topics().len();
        let mut notes = String::new();
        for note in &story.notes {
            notes.push_str("\n  ");
            notes.push_str(note);
        }
        bail!(
            "nothing is known of {:?}: no message on {looked} topics has it as order, session, user or key; check the id, and --kafka{notes}",
            arguments.id
        );
    }
    match arguments.output.output {
        Output::Json => output::print_json(&story)?,
        Output::Text => {
            output::print(&text::text(&story, Timestamp::now(), Terminal::stdout()))?;
        }
    }
    Ok(Exit::Done)
}

/// Every message that is about it, on the shop's topics and dead-letter topics.
fn records(
    session: &Session,
    brokers: &Brokers,
    arguments: &TraceArguments,
    story: &mut Story,
) -> anyhow::Result<Vec<Record>> {
    let cluster = session.cluster()?;
    let mut topics = brokers.scope.topics();
    topics.retain(|name| {
        let there = cluster.topic(name).is_some();
        if !there {
            story.notes.push(format!("the topic {name} is not there"));
        }
        there
    });
    let start = match arguments.since {
        None => Start::Beginning,
        Some(since) => {
            let ms = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
            Start::Time(Timestamp::now().as_millisecond().saturating_sub(ms))
        }
    };
    let mut reader = session.read(&topics, None, start, Span::Now)?;
    let mut records = Vec::new();
    while !reader.is_at_end() {
        let Some(record) = reader.next(WAIT)? else { continue };
        if !story::is_about(&record, &arguments.id) {
            continue;
        }
        if records.len() == RECORDS_MAX {
            story
                .notes
                .push(format!("there are more than {RECORDS_MAX} messages: narrow it by --since"));
            break;
        }
        story.entries.push(Entry::of(&record, &brokers.scope.names));
        story.learn(&record);
        records.push(record);
    }
    Ok(records)
}

/// Which groups have still to read one of the messages. Whether one of these came just now.
fn waiting(
    session: &Session,
    brokers: &Brokers,
    records: &[Record],
    story: &mut Story,
) -> anyhow::Result<bool> {
    let fresh = Timestamp::now() - TOLD_WITHIN;
    let mut is_fresh = false;
    story.waiting.clear();
    let cluster = session.cluster()?;
    let groups = session.groups(&brokers.scope, &cluster, false)?;
    let mut committed = BTreeMap::new();
    for group in &groups {
        let reads = group.service.map(|id: ServiceId| brokers.scope.surely_reads(id));
        for partition in &group.partitions {
            if reads.as_ref().is_some_and(|topics| topics.contains(&partition.topic)) {
                let key = (partition.topic.as_str(), partition.number);
                let list: &mut Vec<_> = committed.entry(key).or_default();
                let next = partition.committed.unwrap_or(partition.end - partition.lag);
                list.push((group, next));
            }
        }
    }
    for record in records {
        let key = (record.topic.as_str(), record.partition);
        for (group, next) in committed.get(&key).into_iter().flatten() {
            // Others skip what is sent back for one of them.
            let only = record.header(headers::REPLAY_GROUP);
            if *next <= record.offset && only.is_none_or(|only| only == group.name) {
                let read_soon = !group.members.is_empty();
                is_fresh |= read_soon && record.time.is_some_and(|time| time > fresh);
                let place = Place {
                    topic: record.topic.clone(),
                    partition: record.partition,
                    offset: record.offset,
                };
                story.waiting.push(Waiting {
                    group: group.name.clone(),
                    place: place.to_string(),
                    before_it: record.offset - next,
                    members: group.members.len(),
                });
            }
        }
    }
    Ok(is_fresh)
}
