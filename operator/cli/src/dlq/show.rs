//! `storefront dlq show`.

use jiff::Timestamp;
use storefront_contract::headers;
use storefront_inspect::{DeadLetter, Fate, tame};

use crate::{
    Exit,
    args::ShowArguments,
    output::{self, Output},
    tail::line,
    terminal::{Terminal, Tone},
    words,
};

/// Prints letters as wholes.
pub fn run(arguments: &ShowArguments) -> anyhow::Result<Exit> {
    let brokers = arguments.brokers.read()?;
    let session = brokers.open()?;
    for (index, place) in arguments.places.iter().enumerate() {
        let letter = session.dead_letter(&brokers.scope, place)?;
        match arguments.output.output {
            Output::Json => output::print_json(&letter)?,
            Output::Text => {
                let between = if index > 0 { "\n" } else { "" };
                let text = text(&letter, Timestamp::now(), Terminal::stdout());
                output::print(&format!("{between}{text}"))?;
            }
        }
    }
    Ok(Exit::Done)
}

fn text(letter: &DeadLetter, now: Timestamp, terminal: Terminal) -> String {
    let place = letter.place().to_string();
    let tries = words::count(usize::try_from(letter.attempts).unwrap_or_default(), "attempt");
    let age = words::age(letter.died, now);
    let size = letter.record.value.as_ref().map_or(0, Vec::len);
    let row = |name: &str, value: &str| {
        format!("  {}  {value}\n", terminal.paint(Tone::Dim, &format!("{name:8}")))
    };
    [
        terminal.paint(Tone::Strong, &place) + "\n",
        row("group", &letter.group),
        row("reason", &terminal.paint(Tone::Warning, &letter.reason)),
        row("error", &letter.error),
        row("given up", &format!("{age} ago, after {tries}")),
        row("origin", &letter.origin.to_string()),
        row("fate", &fate(&letter.fate)),
        row("replays", &replays(letter)),
        row("key", &letter.record.key_text()),
        row("value", &words::count(size, "byte")),
        line::whole(&letter.record, terminal),
    ]
    .concat()
}

/// How often it was sent back, and who did it last before it died.
fn replays(letter: &DeadLetter) -> String {
    if letter.sent_back == 0 {
        return "never sent back".into();
    }
    let count = usize::try_from(letter.sent_back).unwrap_or_default();
    let by = letter.record.header(headers::REPLAY_BY).map(|by| format!(", by {}", tame(by)));
    let at = letter.record.header(headers::REPLAY_AT).map(|at| format!(" at {}", tame(at)));
    let circle =
        if letter.is_in_a_circle() { ": mend the cause; only --force sends it" } else { "" };
    format!(
        "sent back {}{}{}{circle}",
        words::count(count, "time"),
        by.unwrap_or_default(),
        at.unwrap_or_default()
    )
}

fn fate(fate: &Fate) -> String {
    match fate {
        Fate::Dead => "dead: it was not sent back".into(),
        Fate::SentBack(place) => format!("sent back to {place}, which its group has not read yet"),
        Fate::TakenUp(place) => format!("taken up: its group has read {place}"),
        Fate::DiedAgain(place) => format!("died again: {place} stands for it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dlq::tests::letter;

    #[test]
    fn a_letter_is_shown_as_a_whole() {
        let now = "2026-01-02T10:05:00Z".parse().unwrap();
        let text = |value: &[u8]| text(&letter(0, value), now, Terminal::default());
        insta::assert_snapshot!(text(b"{\"userId\": \x1b"));
        assert!(text(&[0xff]).contains("base64:/w=="));
        let mut again = letter(0, b"x");
        again.sent_back = 3;
        let header = |name: &str, value: &str| (name.to_owned(), Some(value.as_bytes().to_vec()));
        again.record.headers.push(header("replay-by", "bob"));
        again.record.headers.push(header("replay-at", "2026-01-02T09:59:00Z"));
        assert_eq!(
            replays(&again),
            "sent back 3 times, by bob at 2026-01-02T09:59:00Z: mend the cause; only --force sends it"
        );
    }
}
