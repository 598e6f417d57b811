//! `storefront dlq list`.

use jiff::Timestamp;
use serde::Serialize;
use storefront_inspect::{DeadLetter, Fate};

use super::Wanted;
use crate::{
    Exit,
    args::ListArguments,
    table::{Cell, Column, Table},
    terminal::{Terminal, Tone},
    watch, words,
};

/// What is listed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    letters: Vec<DeadLetter>,
    /// Letters that fit, but that nobody has to do anything about.
    settled: usize,
    /// Older letters that were not looked at.
    not_looked_at: i64,
    /// Records on the dead-letter topics that are none.
    strangers: usize,
    #[serde(skip)]
    now: Timestamp,
}

/// Prints the letters.
pub fn run(arguments: &ListArguments) -> anyhow::Result<Exit> {
    let brokers = arguments.brokers.read()?;
    let session = brokers.open()?;
    let look = || {
        let wanted = Wanted::new(&arguments.filter, &brokers.scope, Timestamp::now())?;
        let found = session.dead_letters(&brokers.scope)?;
        let fitting = found.letters.into_iter().filter(|letter| wanted.fits(letter));
        let (settled, open): (Vec<_>, Vec<_>) = fitting.partition(is_settled);
        let count = settled.len();
        let mut letters = open;
        if arguments.all {
            letters.extend(settled);
            letters.sort_by_key(|letter| (letter.died, letter.place()));
        }
        Ok(Listed {
            letters,
            settled: count,
            not_looked_at: found.not_shown,
            strangers: found.strangers,
            now: Timestamp::now(),
        })
    };
    let listed = watch::show(arguments.watch.watch, arguments.output.output, look, text)?;
    let open = listed.letters.iter().any(|letter| letter.fate.is_open());
    Ok(if arguments.check && open { Exit::Found } else { Exit::Done })
}

fn is_settled(letter: &DeadLetter) -> bool {
    matches!(letter.fate, Fate::TakenUp(_) | Fate::DiedAgain(_))
}

fn text(listed: &Listed, terminal: Terminal) -> String {
    let mut table = Table::new(&[
        Column::text("PLACE"),
        Column::text("REASON"),
        Column::number("ATTEMPTS"),
        Column::number("AGE"),
        Column::long("KEY"),
        Column::text("FATE"),
        Column::long("ERROR"),
    ]);
    for letter in &listed.letters {
        table.row([
            letter.place().to_string().into(),
            Cell::toned(Tone::Warning, &letter.reason),
            letter.attempts.to_string().into(),
            words::age(letter.died, listed.now).into(),
            letter.record.key_text().into(),
            fate(letter),
            letter.error.as_str().into(),
        ]);
    }
    let mut lines =
        vec![if table.is_empty() { "no dead letters\n".into() } else { table.text(terminal) }];
    let mut note = |text: String| lines.push(terminal.paint(Tone::Dim, &text) + "\n");
    let shown = listed.letters.iter().filter(|letter| is_settled(letter)).count();
    if listed.settled > shown {
        let count = words::count(listed.settled - shown, "letter");
        note(format!("{count} taken up or given up again: --all shows them"));
    }
    if listed.not_looked_at > 0 {
        note(format!("{} older ones were not looked at", listed.not_looked_at));
    }
    if listed.strangers > 0 {
        let records = words::count(listed.strangers, "record");
        note(format!("the dead-letter topics also have {records} of somebody else: see `tail`"));
    }
    lines.concat()
}

fn fate(letter: &DeadLetter) -> Cell {
    if letter.fate.is_open() && letter.is_in_a_circle() {
        return Cell::toned(Tone::Bad, format!("dead, sent back {} times", letter.sent_back));
    }
    let tone = match letter.fate {
        Fate::Dead => Tone::Bad,
        Fate::SentBack(_) => Tone::Warning,
        Fate::TakenUp(_) => Tone::Good,
        Fate::DiedAgain(_) => Tone::Dim,
    };
    Cell::toned(tone, letter.fate.word())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dlq::tests::letter;

    #[test]
    fn letters_are_listed_with_why_and_since_when() {
        let mut sent_back = letter(1, b"{\"userId\": ");
        sent_back.fate = Fate::SentBack("blue.payment-successful/1/90".parse().unwrap());
        let mut in_a_circle = letter(2, b"y");
        in_a_circle.sent_back = 3;
        let listed = Listed {
            letters: vec![letter(0, b"x"), sent_back, in_a_circle],
            settled: 2,
            not_looked_at: 0,
            strangers: 1,
            now: "2026-01-02T10:05:00Z".parse().unwrap(),
        };
        insta::assert_snapshot!(text(&listed, Terminal::default()));
        let nothing = Listed { letters: Vec::new(), settled: 0, strangers: 0, ..listed };
        insta::assert_snapshot!(text(&nothing, Terminal::default()), @"no dead letters");
    }
}
