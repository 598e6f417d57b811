//! Numbers and times as people say them. Pure.

use jiff::{Timestamp, tz::TimeZone};

/// `1 message`, `2 messages`.
pub fn count(number: usize, word: &str) -> String {
    if number == 1 { format!("1 {word}") } else { format!("{number} {word}s") }
}

/// How long something took or takes: two units at most.
pub fn span(seconds: f64) -> String {
    let whole = seconds.round();
    match seconds {
        s if s < 1.0 => format!("{:.0} ms", s.max(0.0) * 1_000.0),
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 60.0 => format!("{s:.0} s"),
        s if s < 3_600.0 => format!("{:.0} min {:.0} s", (whole / 60.0).floor(), whole % 60.0),
        s if s < 86_400.0 => {
            format!(
                "{:.0} h {:.0} min",
                (whole / 3_600.0).floor(),
                (whole % 3_600.0 / 60.0).floor()
            )
        }
        _ => format!(
            "{:.0} d {:.0} h",
            (whole / 86_400.0).floor(),
            (whole % 86_400.0 / 3_600.0).floor()
        ),
    }
}

/// How long ago: one unit, rounded down.
pub fn age(then: Option<Timestamp>, now: Timestamp) -> String {
    let Some(then) = then else { return "?".into() };
    let seconds = now.duration_since(then).as_secs().max(0);
    match seconds {
        s if s < 60 => format!("{s} s"),
        s if s < 3_600 => format!("{} min", s / 60),
        s if s < 172_800 => format!("{} h", s / 3_600),
        s => format!("{} d", s / 86_400),
    }
}

/// A time of day with milliseconds, in UTC; with the day when it is not today.
pub fn clock(time: Timestamp, now: Timestamp) -> String {
    let zoned = |time: Timestamp| time.to_zoned(TimeZone::UTC);
    let today = zoned(time).date() == zoned(now).date();
    zoned(time).strftime(if today { "%H:%M:%S%.3fZ" } else { "%F %H:%M:%S%.3fZ" }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_in_units_that_fit() {
        let spans = [0.04, 9.96, 59.0, 61.0, 3_725.0, 90_000.0];
        assert_eq!(
            spans.map(span),
            ["40 ms", "10.0 s", "59 s", "1 min 1 s", "1 h 2 min", "1 d 1 h"]
        );
        let now: Timestamp = "2026-01-02T10:00:00Z".parse().unwrap();
        let then = |text: &str| age(Some(text.parse().unwrap()), now);
        assert_eq!(then("2026-01-02T09:59:30Z"), "30 s");
        assert_eq!(then("2026-01-02T09:00:00Z"), "1 h");
        assert_eq!(then("2025-12-30T09:00:00Z"), "3 d");
        assert_eq!(then("2026-01-02T11:00:00Z"), "0 s", "a clock that is ahead");
        assert_eq!(age(None, now), "?");
        assert_eq!(clock("2026-01-02T09:59:30.5Z".parse().unwrap(), now), "09:59:30.500Z");
        assert_eq!(clock("2026-01-01T09:59:30Z".parse().unwrap(), now), "2026-01-01 09:59:30.000Z");
        assert_eq!(
            (count(1, "member"), count(0, "member")),
            ("1 member".into(), "0 members".into())
        );
    }
}
