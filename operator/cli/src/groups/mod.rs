//! `storefront groups`: members of consumer groups, how far behind they are, and how fast they catch up.

mod pace;
mod table;

use std::{thread, time::Instant};

use serde::Serialize;
use storefront_inspect::{Group, Scope, Session};

use crate::{Exit, args::GroupsArguments, watch};
use pace::{Look, Pace};

/// Every group that is shown.
#[derive(Debug, Serialize)]
struct Groups {
    groups: Vec<Shown>,
}

/// One group, with its pace once it was looked at twice.
#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    group: Group,
    #[serde(skip_serializing_if = "Option::is_none")]
    pace: Option<Pace>,
}

/// Prints the groups.
pub fn run(arguments: &GroupsArguments) -> anyhow::Result<Exit> {
    let brokers = arguments.brokers.read()?;
    let session = brokers.open()?;
    let mut before = None;
    if let Some(apart) = arguments.sample {
        before = Some(look(&session, &brokers.scope, arguments.all)?);
        thread::sleep(apart);
    }
    let looked = || {
        let now = look(&session, &brokers.scope, arguments.all)?;
        let groups = now.groups.iter().map(|group| Shown {
            pace: before.as_ref().and_then(|before| pace::between(before, &now, group)),
            group: group.clone(),
        });
        let shown = Groups { groups: groups.collect() };
        before = Some(now);
        Ok(shown)
    };
    let shown = watch::show(arguments.watch.watch, arguments.output.output, looked, table::text)?;
    let limit = arguments.fail_on_lag.map(|limit| i64::try_from(limit).unwrap_or(i64::MAX));
    let behind = |limit| shown.groups.iter().any(|shown| shown.group.lag > limit);
    Ok(if limit.is_some_and(behind) { Exit::Found } else { Exit::Done })
}

fn look(session: &Session, scope: &Scope, all: bool) -> anyhow::Result<Look> {
    let cluster = session.cluster()?;
    let groups = session.groups(scope, &cluster, all)?;
    Ok(Look { at: Instant::now(), groups })
}
