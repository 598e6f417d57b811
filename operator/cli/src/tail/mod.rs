//! `storefront tail`: messages as they stand and as they come, in words or whole.

mod filter;
pub mod line;

use std::time::Duration;

use jiff::Timestamp;
use storefront_inspect::{Cluster, InspectError, Span, Start};

use crate::{
    Exit,
    args::{TailArguments, TailFrom},
    output::{self, Output},
    terminal::Terminal,
};

/// Longest wait before looking again whether something came.
const WAIT: Duration = Duration::from_secs(1);

/// Prints messages.
pub fn run(arguments: &TailArguments) -> anyhow::Result<Exit> {
    let brokers = arguments.brokers.read()?;
    let session = brokers.open()?;
    let prefix = brokers.scope.names.prefix();
    let topics = names(&session.cluster()?, &arguments.topics, prefix)?;
    let start = start(arguments.from, Timestamp::now());
    let span = if arguments.follow { Span::Follow } else { Span::Now };
    let mut reader = session.read(&topics, arguments.partition, start, span)?;
    let mut left = arguments.limit;
    while !reader.is_at_end() && left != Some(0) {
        let Some(record) = reader.next(WAIT)? else { continue };
        if !filter::holds(&record, &arguments.filter) {
            continue;
        }
        match arguments.output.output {
            Output::Json => output::print_json(&record)?,
            Output::Text => {
                let (terminal, now) = (Terminal::stdout(), Timestamp::now());
                let mut text = line::text(&record, &brokers.scope.names, now, terminal);
                if arguments.verbose {
                    text.push_str(&line::whole(&record, terminal));
                }
                output::print(&text)?;
            }
        }
        left = left.map(|left| left - 1);
    }
    Ok(Exit::Done)
}

/// Names on the broker: as they were written, or with the shop's prefix before them.
fn names(cluster: &Cluster, wanted: &[String], prefix: &str) -> Result<Vec<String>, InspectError> {
    let name = |wanted: &String| {
        let known = cluster.topic(wanted).or_else(|| cluster.topic(&format!("{prefix}{wanted}")));
        known.map(|topic| topic.name.clone()).ok_or_else(|| cluster.no_topic(wanted))
    };
    wanted.iter().map(name).collect()
}

fn start(from: TailFrom, now: Timestamp) -> Start {
    match from {
        TailFrom::Beginning => Start::Beginning,
        TailFrom::End => Start::End,
        TailFrom::Offset(offset) => Start::Offset(offset),
        TailFrom::Last(count) => Start::Last(count),
        TailFrom::Time(time) => Start::Time(time.as_millisecond()),
        TailFrom::Ago(span) => {
            let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
            Start::Time(now.as_millisecond().saturating_sub(span))
        }
    }
}
