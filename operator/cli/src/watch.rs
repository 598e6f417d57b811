//! Looking again and again, until Ctrl-C: a picture that is redrawn on a terminal, one JSON object a
//! line for programs.

use std::{thread, time::Duration};

use serde::Serialize;

use crate::{
    output::{self, Output},
    terminal::{Terminal, Tone},
};

/// Cursor to the top; each line is cleared as it is written, so that nothing flickers.
const TOP: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";
const CLEAR_ALL: &str = "\x1b[2J";

/// Shows what `look` finds: once, or every so often. `text` makes it readable.
pub fn show<T: Serialize>(
    every: Option<Duration>,
    form: Output,
    mut look: impl FnMut() -> anyhow::Result<T>,
    text: impl Fn(&T, Terminal) -> String,
) -> anyhow::Result<T> {
    let mut first = true;
    loop {
        // Asked each time: a window may have changed its size.
        let terminal = Terminal::stdout();
        let Some(every) = every else {
            let found = look()?;
            match form {
                Output::Json => output::print_json(&found)?,
                Output::Text => output::print(&text(&found, terminal))?,
            }
            return Ok(found);
        };
        match (look(), form) {
            // At the beginning it is most likely a wrong flag; later it may pass.
            (Err(error), _) if first => return Err(error),
            (Err(error), Output::Json) => output::error(&error),
            (Ok(found), Output::Json) => output::print_json(&found)?,
            (Err(error), Output::Text) => {
                let text = format!("error: {}\n", output::with_causes(&error));
                draw(&terminal.paint(Tone::Bad, &text), every, terminal, first)?;
            }
            (Ok(found), Output::Text) => draw(&text(&found, terminal), every, terminal, first)?,
        }
        first = false;
        thread::sleep(every);
    }
}

fn draw(text: &str, every: Duration, terminal: Terminal, first: bool) -> std::io::Result<()> {
    if terminal.width.is_none() {
        return output::print(&format!("{text}\n"));
    }
    let seconds = every.as_secs_f32();
    let foot = terminal.paint(Tone::Dim, &format!("every {seconds} s; Ctrl-C ends"));
    let lines = text.lines().chain(["", foot.as_str()]);
    let lines: String = lines.flat_map(|line| [line, CLEAR_LINE, "\n"]).collect();
    let start = if first { CLEAR_ALL } else { "" };
    output::print(&format!("{start}{TOP}{lines}{CLEAR_BELOW}"))
}
