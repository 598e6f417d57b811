//! One log line, rendered. Pure, so that what an attacker may write into a log is tested here.

use std::{borrow::Cow, fmt::Write};

use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Map, Value};
use tracing::Level;

use super::{layer::Fields, redact::redact};

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Text { colour: bool },
}

/// What a line says.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub time: Timestamp,
    pub level: Level,
    pub target: &'a str,
    pub service: String,
    pub message: String,
    pub fields: Fields,
}

impl Line<'_> {
    /// The line with its line ending.
    pub(super) fn render(self, format: Format) -> String {
        match format {
            Format::Json => self.json(),
            Format::Text { colour } => self.text(colour),
        }
    }

    fn json(self) -> String {
        let mut line = Map::new();
        line.insert("time".into(), format!("{:.3}", self.time).into());
        line.insert("level".into(), self.level.as_str().to_ascii_lowercase().into());
        line.insert("service".into(), self.service.into());
        line.insert("message".into(), escape_for_json(&redact(&self.message)).into());
        for (name, value) in self.fields.0 {
            let value = match value {
                Value::String(text) => escape_for_json(&redact(&text)).into(),
                other => other,
            };
            // A field must not pass for one of the line's own.
            let name =
                if line.contains_key(name) { format!("field.{name}") } else { name.to_owned() };
            line.insert(name, value);
        }
        line.insert("target".into(), self.target.into());
        let mut text = Value::Object(line).to_string();
        text.push('\n');
        text
    }

    fn text(self, colour: bool) -> String {
        let (dim, plain) = if colour { ("\x1b[2m", "\x1b[0m") } else { ("", "") };
        let level_colour = match self.level {
            _ if !colour => "",
            Level::ERROR => "\x1b[31m",
            Level::WARN => "\x1b[33m",
            Level::INFO => "\x1b[32m",
            _ => "\x1b[34m",
        };
        let time = self.time.to_zoned(TimeZone::system()).strftime("%H:%M:%S%.3f");
        let (level, service) = (self.level.as_str(), escape(&self.service));
        let message = redact(&self.message);
        let mut text = String::with_capacity(160);
        // Writing into a String cannot fail.
        let _ = write!(
            text,
            "{dim}{time}{plain} {level_colour}{level:5}{plain} {service:10} {}",
            escape(&message)
        );
        for (name, value) in &self.fields.0 {
            let value = match value {
                Value::String(text) => quoted(&redact(text)),
                other => other.to_string(),
            };
            let _ = write!(text, " {dim}{name}={plain}{value}");
        }
        text.push('\n');
        text
    }
}

fn quoted(text: &str) -> String {
    let escaped = escape(text);
    let bare = !escaped.is_empty() && !escaped.contains([' ', '"', '=']);
    if bare { escaped.into_owned() } else { format!("\"{}\"", escaped.replace('"', "\\\"")) }
}

/// Control characters forge lines and steer terminals; direction marks make text read backwards.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

fn escape(text: &str) -> Cow<'_, str> {
    escape_if(text, is_unsafe)
}

/// JSON escapes the control characters below a blank by itself, but not the others.
fn escape_for_json(text: &str) -> Cow<'_, str> {
    escape_if(text, |c| is_unsafe(c) && c >= ' ')
}

fn escape_if(text: &str, unwanted: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&unwanted) {
        return text.into();
    }
    let escaped = text.chars().flat_map(|c| {
        let (kept, escaped) =
            if unwanted(c) { (None, Some(c.escape_default())) } else { (Some(c), None) };
        kept.into_iter().chain(escaped.into_iter().flatten())
    });
    escaped.collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(message: &str, fields: Vec<(&'static str, Value)>) -> Line<'static> {
        Line {
            time: "2026-03-01T12:00:00.123456Z".parse().unwrap(),
            level: Level::WARN,
            target: "storefront_order",
            service: "order".into(),
            message: message.into(),
            fields: Fields(fields),
        }
    }

    #[test]
    fn json_lines_are_flat_with_dotted_ids() {
        let fields = vec![("order.id", "o-1".into()), ("attempt", 2.into()), ("level", "9".into())];
        insta::assert_snapshot!(line("an event failed", fields).render(Format::Json).trim_end(), @r#"{"time":"2026-03-01T12:00:00.123Z","level":"warn","service":"order","message":"an event failed","order.id":"o-1","attempt":2,"field.level":"9","target":"storefront_order"}"#);
    }

    #[test]
    fn text_lines_are_for_people() {
        let fields = vec![("order.id", "o-1".into()), ("why", "two words".into())];
        let text = line("an event failed", fields).render(Format::Text { colour: false });
        assert!(
            text.ends_with(" WARN  order      an event failed order.id=o-1 why=\"two words\"\n"),
            "{text}"
        );
        let colourful = line("x", vec![]).render(Format::Text { colour: true });
        assert!(colourful.contains("\x1b[33mWARN"), "{colourful:?}");
    }

    #[test]
    fn what_an_attacker_sends_stays_one_harmless_line() {
        let evil = "x\r\n2026 ERROR forged \x1b[31mred\x1b[0m \u{9b}31m \u{7f} \u{202e}txt.exe";
        for format in [Format::Json, Format::Text { colour: false }] {
            let fields = vec![("user.id", evil.into())];
            let text = line(evil, fields).render(format);
            let body = text.strip_suffix('\n').unwrap();
            assert!(!body.contains(is_unsafe), "{body:?}");
            assert!(body.contains("forged"), "{body:?}");
        }
    }
}
