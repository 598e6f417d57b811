//! What the terminal can do: its width and colours. Asked once; whoever writes text gets it as a value,
//! so that everything else is pure.

use std::io::{self, IsTerminal as _};

use anstream::{AutoStream, ColorChoice};

/// Narrower than this tables are not made: they would say nothing.
const NARROWEST: usize = 40;

/// Where text for people goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terminal {
    /// Columns; `None` when it is no terminal and lines may be as long as they are.
    pub width: Option<usize>,
    pub colours: bool,
}

/// What a piece of text is, from which its colour follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    #[default]
    Plain,
    /// Heads of tables, names of things.
    Strong,
    /// What matters less.
    Dim,
    Good,
    Warning,
    Bad,
}

impl Terminal {
    /// Standard output, with `NO_COLOR`, `CLICOLOR` and `TERM` in mind.
    pub fn stdout() -> Self {
        let stdout = io::stdout();
        let size = terminal_size::terminal_size().filter(|_| stdout.is_terminal());
        Self {
            width: size.map(|(width, _)| usize::from(width.0).max(NARROWEST)),
            colours: AutoStream::choice(&stdout) != ColorChoice::Never,
        }
    }

    /// Text in the colour of its tone.
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Strong => "1",
            Tone::Dim => "2",
            Tone::Good => "32",
            Tone::Warning => "33",
            Tone::Bad => "31",
            Tone::Plain => return text.to_owned(),
        };
        if self.colours && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}
