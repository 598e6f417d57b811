//! `storefront dlq replay`: sends letters back, never in circles.

use anyhow::bail;
use jiff::Timestamp;
use serde::Serialize;
use storefront_inspect::{DeadLetter, Fate, Sent, Session};

use super::Wanted;
use crate::{
    Exit,
    args::ReplayArguments,
    brokers::Brokers,
    output::{self, Output},
    terminal::{Terminal, Tone},
    words,
};

/// Most letters that are looked at in one partition: they are held in memory until they are sent.
const LETTERS_MAX: i64 = 20_000;

/// What was sent, or would be.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Replayed {
    dry_run: bool,
    letters: Vec<Line>,
    /// Left alone, as they were sent back before.
    skipped: Vec<String>,
    /// Left alone, as they were sent back three times and died each time.
    in_circles: Vec<String>,
    /// Older letters that were not looked at.
    not_looked_at: i64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    place: String,
    group: String,
    topic: String,
    partition: i32,
    /// Where it stands again; `null` in a dry run.
    offset: Option<i64>,
}

/// Sends the letters that were asked for.
pub fn run(arguments: &ReplayArguments) -> anyhow::Result<Exit> {
    let brokers = arguments.brokers.read()?;
    let session = brokers.open()?;
    // What is listed now: a letter that dies while this runs is not sent again by it.
    let (wanted, not_looked_at) = wanted(&session, &brokers, arguments)?;
    let (again, fresh): (Vec<_>, Vec<_>) =
        wanted.iter().partition(|letter| !arguments.again && letter.fate != Fate::Dead);
    let (circling, fresh): (Vec<_>, Vec<_>) =
        fresh.into_iter().partition(|letter| !arguments.force && letter.is_in_a_circle());
    let places =
        |letters: &[&DeadLetter]| letters.iter().map(|it| it.place().to_string()).collect();
    let mut replayed = Replayed {
        dry_run: arguments.dry_run,
        letters: Vec::new(),
        skipped: places(&again),
        in_circles: places(&circling),
        not_looked_at,
    };
    if arguments.dry_run {
        replayed.letters = fresh.iter().map(|letter| line(letter, None)).collect();
    } else {
        let told = arguments.output.output == Output::Text;
        session.send_back(&fresh, &arguments.by, arguments.rate, |letter, sent| {
            let line = line(letter, Some(sent));
            if told {
                // A reader that has gone does not end what was begun.
                let _ = output::print(&said(&line));
            }
            replayed.letters.push(line);
        })?;
    }
    report(&replayed, arguments)?;
    Ok(if replayed.in_circles.is_empty() { Exit::Done } else { Exit::Found })
}

fn wanted(
    session: &Session,
    brokers: &Brokers,
    arguments: &ReplayArguments,
) -> anyhow::Result<(Vec<DeadLetter>, i64)> {
    let filter = Wanted::new(&arguments.filter, &brokers.scope, Timestamp::now())?;
    let fits = |letter: &DeadLetter| filter.fits(letter);
    if arguments.all {
        let mut found = session.newest_dead_letters(&brokers.scope, LETTERS_MAX)?;
        found.letters.retain(fits);
        return Ok((found.letters, found.not_shown));
    }
    let mut letters = Vec::new();
    for place in &arguments.places {
        let letter = session.dead_letter(&brokers.scope, place)?;
        if !fits(&letter) {
            bail!(
                "{place} was given up by {} for {:?}, key {:?}: it is none of those that the filters leave",
                letter.group,
                letter.reason,
                letter.record.key_text()
            );
        }
        letters.push(letter);
    }
    Ok((letters, 0))
}

fn line(letter: &DeadLetter, sent: Option<&Sent>) -> Line {
    Line {
        place: letter.place().to_string(),
        group: letter.group.clone(),
        topic: letter.origin.topic.clone(),
        partition: letter.origin.partition,
        offset: sent.map(|sent| sent.offset),
    }
}

fn said(Line { place, group, topic, partition, offset }: &Line) -> String {
    match offset {
        Some(offset) => format!("{place} sent to {topic}/{partition}/{offset} for {group}"),
        None => format!("{place} would be sent to {topic}/{partition} for {group}"),
    }
}

fn report(replayed: &Replayed, arguments: &ReplayArguments) -> anyhow::Result<()> {
    if arguments.output.output == Output::Json {
        return output::print_json(replayed);
    }
    let terminal = Terminal::stdout();
    let dry = replayed.letters.iter().filter(|_| replayed.dry_run);
    let mut lines: Vec<_> = dry.map(|line| said(line) + "\n").collect();
    let count = words::count(replayed.letters.len(), "letter");
    let done = if replayed.dry_run { "would be sent back" } else { "sent back" };
    lines.push(terminal.paint(Tone::Strong, &format!("{count} {done}")) + "\n");
    if !replayed.skipped.is_empty() {
        let skipped = words::count(replayed.skipped.len(), "letter");
        lines.push(format!(
            "{skipped} left alone, sent back before: --again sends them once more\n"
        ));
    }
    if !replayed.in_circles.is_empty() {
        let circling = words::count(replayed.in_circles.len(), "letter");
        lines.push(format!(
            "{circling} left alone, sent back three times or more and dead all the same: mend the cause, \
             then --force\n"
        ));
    }
    if replayed.not_looked_at > 0 {
        let older = replayed.not_looked_at;
        lines.push(format!(
            "{older} older ones were not looked at: name them by their places, as `tail` shows them\n"
        ));
    }
    Ok(output::print(&lines.concat())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dlq::tests::letter;

    #[test]
    fn each_letter_is_told_with_where_it_goes() {
        let sent = Sent { topic: "blue.payment-successful".into(), partition: 1, offset: 90 };
        let letter = letter(2, b"x");
        assert_eq!(
            said(&line(&letter, Some(&sent))),
            "blue.payment-successful.order-service.dlq/1/2 sent to blue.payment-successful/1/90 \
             for blue.order-service"
        );
        assert!(said(&line(&letter, None)).contains("would be sent"));
    }
}
