//! One shop as a page for people. Pure.

use std::fmt::Write as _;

use super::{advice::Problem, facts::Shop};
use crate::{
    table::{Cell, Column, Table},
    terminal::{Terminal, Tone},
    text::wrapped,
};

pub fn text(shop: &Shop, terminal: Terminal) -> String {
    let mut sections = vec![head(shop, terminal)];
    if !shop.problems.is_empty() {
        sections.push(problems(&shop.problems, terminal));
    }
    let tables = [parts(shop), conditions(shop), topics(shop), groups(shop), events(shop)];
    sections.extend(tables.iter().filter(|it| !it.is_empty()).map(|table| table.text(terminal)));
    if !shop.not_looked_at.is_empty() {
        let lines = shop.not_looked_at.iter().map(|why| format!("not looked at: {why}\n"));
        sections.push(terminal.paint(Tone::Dim, &lines.collect::<String>()));
    }
    sections.join("\n")
}

fn head(shop: &Shop, terminal: Terminal) -> String {
    let (tone, state) = match (shop.ready, shop.deleting) {
        (_, true) => (Tone::Warning, "is being deleted".to_owned()),
        (true, _) => (Tone::Good, format!("ready for {}", shop.ago(shop.since))),
        (false, _) if shop.since.is_none() || !shop.is_current() => {
            (Tone::Warning, "not looked at yet".to_owned())
        }
        (false, _) => (Tone::Bad, format!("not ready for {}", shop.ago(shop.since))),
    };
    let mut text = format!(
        "{} in {}: {}\n",
        terminal.paint(Tone::Strong, &shop.name),
        shop.namespace,
        terminal.paint(tone, &state)
    );
    if let Some(url) = &shop.url {
        let _ = writeln!(text, "{url}");
    }
    if shop.written.is_some() {
        let when = format!(
            "as the operator wrote it {} ago; it asks the brokers once a minute and writes what has changed",
            shop.ago(shop.written)
        );
        let _ = writeln!(text, "{}", terminal.paint(Tone::Dim, &when));
    }
    text
}

fn problems(problems: &[Problem], terminal: Terminal) -> String {
    let mut text = String::new();
    for problem in problems {
        let tone = if problem.waits { Tone::Warning } else { Tone::Bad };
        let title = format!("{} ({})", problem.subject, problem.reason);
        let _ = writeln!(text, "{}", terminal.paint(tone, &storefront_inspect::tame(&title)));
        for said in [&problem.message, &problem.remedy] {
            text.push_str(&wrapped(said, 2, terminal.width));
        }
        for command in &problem.commands {
            let _ = writeln!(text, "  $ {}", storefront_inspect::tame(command));
        }
    }
    text
}

fn parts(shop: &Shop) -> Table {
    let mut table = Table::new(&[
        Column::text("PART"),
        Column::number("READY"),
        Column::number("NEWEST"),
        Column::long("IMAGE"),
    ]);
    for part in &shop.parts {
        let tone = match part.ready {
            0 if part.wanted > 0 => Tone::Bad,
            ready if ready < part.wanted => Tone::Warning,
            _ => Tone::Good,
        };
        table.row([
            Cell::toned(Tone::Strong, &part.component),
            Cell::toned(tone, format!("{}/{}", part.ready, part.wanted)),
            format!("{}/{}", part.updated, part.wanted).into(),
            part.image.as_str().into(),
        ]);
    }
    table
}

fn conditions(shop: &Shop) -> Table {
    let mut table = Table::new(&[
        Column::text("CONDITION"),
        Column::text("STATE"),
        Column::number("SINCE"),
        Column::text("REASON"),
        Column::long("MESSAGE"),
    ]);
    for condition in &shop.conditions {
        let good = if condition.type_ == "Degraded" { "False" } else { "True" };
        let tone = match condition.status.as_str() {
            _ if condition.type_ == "Progressing" => Tone::Plain,
            "Unknown" => Tone::Warning,
            status if status == good => Tone::Good,
            _ => Tone::Bad,
        };
        table.row([
            condition.type_.as_str().into(),
            Cell::toned(tone, condition.status.to_lowercase()),
            shop.ago(Some(condition.last_transition_time.0)).into(),
            condition.reason.as_str().into(),
            said(shop, &condition.message),
        ]);
    }
    table
}

/// A message, unless it stands among the problems already.
fn said(shop: &Shop, message: &str) -> Cell {
    let bare = message.split_once("Ready: ").map_or(message, |(_, bare)| bare);
    let above = shop.problems.iter().any(|problem| [message, bare].contains(&&*problem.message));
    Cell::toned(Tone::Dim, if above { "(above)" } else { message })
}

fn topics(shop: &Shop) -> Table {
    let mut table = Table::new(&[
        Column::text("TOPIC"),
        Column::number("PARTITIONS"),
        Column::number("COPIES"),
        Column::text("STATE"),
    ]);
    for topic in &shop.topics {
        let of = topic.partitions;
        let state = match (topic.leaderless, topic.under_replicated) {
            (0, 0) => Cell::toned(Tone::Good, "in step"),
            (0, behind) => Cell::toned(Tone::Warning, format!("{behind} of {of} under-replicated")),
            (offline, _) => Cell::toned(Tone::Bad, format!("{offline} of {of} without a leader")),
        };
        table.row([
            topic.name.as_str().into(),
            of.to_string().into(),
            topic.replication_factor.to_string().into(),
            state,
        ]);
    }
    table
}

fn groups(shop: &Shop) -> Table {
    let mut table =
        Table::new(&[Column::text("GROUP"), Column::number("MEMBERS"), Column::number("LAG")]);
    for group in &shop.groups {
        let tone = if group.members == 0 { Tone::Bad } else { Tone::Plain };
        let behind = match group.lag {
            0 => Cell::toned(Tone::Dim, "0"),
            // The operator rounds down, so that it does not write with every event.
            lag => Cell::toned(Tone::Warning, format!("{lag}+")),
        };
        table.row([
            group.name.as_str().into(),
            Cell::toned(tone, group.members.to_string()),
            behind,
        ]);
    }
    table
}

fn events(shop: &Shop) -> Table {
    let mut table = Table::new(&[
        Column::text("EVENT"),
        Column::number("AGO"),
        Column::number("TIMES"),
        Column::long("MESSAGE"),
    ]);
    for event in &shop.events {
        let tone = if event.warning { Tone::Warning } else { Tone::Plain };
        table.row([
            Cell::toned(tone, &event.reason),
            shop.ago(event.time).into(),
            event.count.to_string().into(),
            said(shop, &event.message),
        ]);
    }
    table
}
