//! Values that flags take, with errors that say how to write them.

use std::{ffi::OsStr, net::SocketAddr, str::FromStr, time::Duration};

use clap::{
    Arg, Command,
    builder::TypedValueParser,
    error::{Error, ErrorKind},
};
use jiff::Timestamp;
use url::Url;
use uuid::Uuid;

/// An address to listen on: `HOST:PORT`, or `:PORT` for the loopback interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen(pub SocketAddr);

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
        let host = if matches!(host, "" | "localhost") { "127.0.0.1" } else { host };
        format!("{host}:{port}").parse().map(Self).map_err(|_| {
            "write HOST:PORT with an IP address, or :PORT for this machine only".into()
        })
    }
}

/// Reads a value that may hold a password. clap repeats what is wrong; this does not.
#[derive(Clone)]
pub(super) struct Unrepeated<T>(pub fn(&str) -> Result<T, String>);

impl<T: Clone + Send + Sync + 'static> TypedValueParser for Unrepeated<T> {
    type Value = T;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<T, Error> {
        let read = value.to_str().ok_or_else(|| "write it in UTF-8".to_owned()).and_then(self.0);
        read.map_err(|fault| {
            let flag = arg.map(ToString::to_string).unwrap_or_default();
            let message = format!("invalid value for '{flag}': {fault}");
            command.clone().error(ErrorKind::ValueValidation, message)
        })
    }
}

pub(super) fn database_url(text: &str) -> Result<String, String> {
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        Ok(text.to_owned())
    } else {
        Err("write postgres://user:password@host/database; without it SQLite is used".into())
    }
}

pub(super) fn order_id(text: &str) -> Result<Uuid, String> {
    text.parse().map_err(|_| {
        "write an order's id, as `storefront orders` lists them; `storefront trace` takes a session or a user, too"
            .into()
    })
}

pub(super) fn http_url(text: &str) -> Result<Url, String> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err("write http://HOST:PORT or https://HOST".into()),
    }
}

pub(super) fn host_and_port(text: &str) -> Result<(String, u16), String> {
    let fault = || "write HOST:PORT, such as localhost:2525".to_owned();
    let (host, port) = text.rsplit_once(':').ok_or_else(fault)?;
    let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(fault)?;
    if host.is_empty() { Err(fault()) } else { Ok((host.to_owned(), port)) }
}

/// A time span: `2s`, `500ms`, `15m`, `36h`, `7d`; a bare number is seconds.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    let parsed = || {
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number: f64 = number.parse().ok()?;
        let seconds = match unit {
            "ms" => 0.001,
            "" | "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86400.0,
            _ => return None,
        };
        Duration::try_from_secs_f64(number * seconds).ok()
    };
    parsed().ok_or_else(|| "write a number with its unit, such as 500ms, 2s, 15m, 36h or 7d".into())
}

/// A time: a span ago, or a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Ago(Duration),
    At(Timestamp),
}

impl When {
    pub fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(span) => now.checked_sub(span).unwrap_or(Timestamp::MIN),
            Self::At(time) => time,
        }
    }
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(time) = text.parse() {
            return Ok(Self::At(time));
        }
        span(text).map(Self::Ago).map_err(|_| {
            "write a span ago, such as 15m, 36h or 7d, or a time such as 2026-01-31T10:00:00Z"
                .into()
        })
    }
}

/// A span to wait between two looks.
pub(super) fn pause(text: &str) -> Result<Duration, String> {
    const SHORTEST: Duration = Duration::from_millis(200);
    const LONGEST: Duration = Duration::from_hours(1);
    match span(text)? {
        pause if pause < SHORTEST => Err("the shortest is 200ms".into()),
        pause if pause > LONGEST => Err("the longest is 1h".into()),
        pause => Ok(pause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_host_is_this_machine_only() {
        for (text, expected) in [
            (":9092", "127.0.0.1:9092"),
            ("0", "127.0.0.1:0"),
            ("localhost:80", "127.0.0.1:80"),
            ("0.0.0.0:8080", "0.0.0.0:8080"),
            ("[::1]:1", "[::1]:1"),
        ] {
            assert_eq!(text.parse(), Ok(Listen(expected.parse().unwrap())), "{text}");
        }
        for wrong in ["", "shop.example.com:80", "1.2.3.4", ":70000"] {
            assert!(wrong.parse::<Listen>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_time_is_a_span_ago_or_a_moment() {
        let now: Timestamp = "2026-01-02T10:00:00Z".parse().unwrap();
        let when = |text: &str| text.parse::<When>().map(|when| when.before(now).to_string());
        assert_eq!(when("90m").as_deref(), Ok("2026-01-02T08:30:00Z"));
        assert_eq!(when("2026-01-01T00:00:00+01:00").as_deref(), Ok("2025-12-31T23:00:00Z"));
        assert!(when("9999999d").is_ok(), "before all time");
        assert!(when("yesterday").unwrap_err().contains("36h"));
    }

    #[test]
    fn a_span_has_a_unit() {
        for (text, ms) in [("500ms", 500), ("2", 2_000), ("1.5s", 1_500), ("15m", 900_000)] {
            assert_eq!(span(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        assert_eq!(span("7d"), Ok(Duration::from_hours(168)));
        for wrong in ["", "s", "2 s", "-1", "1w", "1e9d", "nan"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
        assert!(pause("10ms").is_err() && pause("2h").is_err() && pause("2s").is_ok());
    }
}
