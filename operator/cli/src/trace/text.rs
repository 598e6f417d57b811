//! A story for people. Pure.

use jiff::Timestamp;
use serde_json::Value;
use storefront_inspect::tame;

use super::story::{Kind, Story, Waiting};
use crate::{
    table::{Cell, Column, Table},
    terminal::{Terminal, Tone},
    words,
};

/// A time line, then what is still open, what the shop says, and what could not be asked.
pub fn text(story: &Story, now: Timestamp, terminal: Terminal) -> String {
    let mut text = timeline(story, now).text(terminal);
    if !story.waiting.is_empty() {
        text.push('\n');
    }
    for waiting in &story.waiting {
        text.push_str(&terminal.paint(Tone::Warning, &wait(waiting)));
        text.push('\n');
    }
    if !story.orders.is_empty() {
        text.push('\n');
    }
    for order in &story.orders {
        text.push_str(&shop(order, terminal));
    }
    for note in &story.notes {
        text.push_str(&terminal.paint(Tone::Dim, &format!("note: {}", tame(note))));
        text.push('\n');
    }
    text
}

fn timeline(story: &Story, now: Timestamp) -> Table {
    let mut table = Table::new(&[
        Column::text("TIME"),
        Column::number("AFTER"),
        Column::long("WHAT"),
        Column::long("WHERE"),
    ]);
    let mut before: Option<Timestamp> = None;
    for entry in story.in_order() {
        let time = entry.time.map_or_else(|| "?".into(), |time| words::clock(time, now));
        let after = match (before, entry.time) {
            (Some(before), Some(time)) => {
                format!("+{}", words::span(time.duration_since(before).as_secs_f64()))
            }
            _ => String::new(),
        };
        before = entry.time.or(before);
        let tone = match entry.kind {
            Kind::Event => Tone::Plain,
            Kind::DeadLetter => Tone::Bad,
            Kind::Replay => Tone::Warning,
            Kind::Mail | Kind::Shop => Tone::Good,
        };
        table.row([
            Cell::toned(Tone::Dim, time),
            Cell::toned(Tone::Dim, after),
            Cell::toned(tone, &entry.what),
            Cell::toned(Tone::Dim, &entry.place),
        ]);
    }
    table
}

fn wait(waiting: &Waiting) -> String {
    let Waiting { group, place, before_it, members } = waiting;
    let before = match before_it {
        0 => "next in turn".to_owned(),
        count => format!(
            "{} before it",
            words::count(usize::try_from(*count).unwrap_or_default(), "message")
        ),
    };
    let members = match members {
        0 => ", and the group has no members",
        _ => "",
    };
    format!("{group} has not read {place} yet: {before}{members}")
}

fn shop(order: &Value, terminal: Terminal) -> String {
    let text = |value: &Value| tame(value.as_str().unwrap_or("?"));
    let mail = text(&order["mail"]["state"]);
    let tone = if mail == "sent" { Tone::Good } else { Tone::Warning };
    format!(
        "the shop has order {}; its mail is {}\n",
        text(&order["orderId"]),
        terminal.paint(tone, &mail)
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::story::Entry, *};

    #[test]
    fn a_story_is_told_in_order() {
        let entry = |time: Option<&str>, kind, place: &str, what: &str| Entry {
            time: time.map(|time| format!("2026-01-02T10:00:{time}Z").parse().unwrap()),
            kind,
            place: place.into(),
            what: what.into(),
            trace: None,
        };
        let mut story = Story::new("o-1");
        story.entries = vec![
            entry(
                Some("04.5"),
                Kind::Mail,
                "http://inbox/1",
                "in the inbox for ada@example.com: Thanks",
            ),
            entry(
                Some("00"),
                Kind::Event,
                "payment-successful/1/7",
                "paid ₹1.00 for 1 × A, order o-1",
            ),
            entry(
                Some("00.25"),
                Kind::DeadLetter,
                "p.order-service.dlq/1/0",
                "dead (rejected): why",
            ),
            entry(None, Kind::Shop, "http://shop/payment/verify", "the session is open"),
        ];
        story.waiting.push(Waiting {
            group: "order-service".into(),
            place: "payment-successful/1/7".into(),
            before_it: 3,
            members: 0,
        });
        story.orders.push(json!({"orderId": "o-1", "mail": {"state": "queued"}}));
        story.notes.push("the inbox was not asked".into());
        let now = "2026-01-02T11:00:00Z".parse().unwrap();
        insta::assert_snapshot!(text(&story, now, Terminal::default()));
    }
}
