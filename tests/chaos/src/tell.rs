//! What a run says while it goes on: what is done to the shop, and on a terminal how far it is.

use std::{
    io::{IsTerminal as _, Write as _, stderr},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// To clear the line that shows how far it is.
const CLEAR: &str = "\r\x1b[K";

/// Says it on stderr.
pub struct Teller {
    began: Instant,
    is_terminal: bool,
    lines: Mutex<()>,
}

impl Default for Teller {
    fn default() -> Self {
        let is_terminal = stderr().is_terminal();
        Self { began: Instant::now(), is_terminal, lines: Mutex::default() }
    }
}

impl Teller {
    /// Since the run began.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Something that stays to be read.
    pub fn say(&self, words: &str) {
        let _alone = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let clear = if self.is_terminal { CLEAR } else { "" };
        eprintln!("{clear}{} {words}", clock(self.elapsed()));
    }

    /// How far it is, in the last line of a terminal.
    pub fn progress(&self, words: &str) {
        if self.is_terminal {
            let _alone = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            eprint!("{CLEAR}{} {words}", clock(self.elapsed()));
            stderr().flush().ok();
        }
    }
}

/// Minutes, seconds and tenths, in a width that stays.
pub fn clock(time: Duration) -> String {
    let tenths = time.as_millis() / 100;
    format!("{:02}:{:02}.{}", tenths / 600, tenths / 10 % 60, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_of_one_width() {
        assert_eq!(clock(Duration::from_millis(65_432)), "01:05.4");
        assert_eq!(clock(Duration::from_secs(6_000)), "100:00.0");
    }
}
