//! What a program says of itself: one log line an event, JSON for machines or readable for people, on
//! standard error; and with the feature `traces` spans, by OTLP, where somebody asks for them. Only a
//! `main` function starts it; everyone else just uses `tracing`.
//!
//! A failure is logged once, where it is handled. `error = &error as &dyn std::error::Error` writes
//! the chain of causes, ids are dotted fields (`order.id`).

mod env;
mod layer;
mod line;
mod redact;
#[cfg(feature = "traces")]
mod traces;

use std::{
    io::{self, IsTerminal},
    str::FromStr,
};

use storefront_contract::settings::Source;
use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

use self::{layer::Lines, line::Format};
pub use env::ProcessEnv;

/// What is logged when neither `RUST_LOG` nor `LOG` says.
const DEFAULT_FILTER: &str = "info,librdkafka=warn,rdkafka=warn,sqlx=warn,hyper=warn";

/// Keeps telemetry going; drop it last in `main`.
#[must_use = "telemetry ends when the guard is dropped"]
#[derive(Debug)]
pub struct Guard {
    #[cfg(feature = "traces")]
    traces: Option<traces::Traces>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Spans wait to be sent together.
        #[cfg(feature = "traces")]
        if let Some(traces) = self.traces.take() {
            traces.end();
        }
        // Each line is written at once, so nothing can be left behind; this flushes the rest of
        // what other code wrote to standard error.
        let _ = io::Write::flush(&mut io::stderr());
    }
}

/// Starts logging for this process. `service` is who speaks outside of any span with a field
/// `service` of its own.
///
/// `RUST_LOG` or `LOG` filter (the syntax of `EnvFilter`), `LOG_FORMAT` is `json` or `text`;
/// without it, a terminal gets text and anything else JSON. Panics are logged as errors.
pub fn init(service: &'static str) -> Guard {
    let (filter, lines, problems) = parts(service);
    // Fails only where a subscriber is set already, as in a test: then that one is kept.
    started(tracing_subscriber::registry().with(filter).with(lines).try_init().is_ok(), problems);
    Guard {
        #[cfg(feature = "traces")]
        traces: None,
    }
}

/// As [`init`], and sends spans to a collector when `OTEL_EXPORTER_OTLP_ENDPOINT` or
/// `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` names one: by HTTP, as `http/protobuf` or `http/json`. The other
/// variables of OpenTelemetry count, too. `name` is that of the service in traces. Needs a runtime of
/// tokio around it.
#[cfg(feature = "traces")]
pub fn init_traced(service: &'static str, name: &'static str, version: &'static str) -> Guard {
    let (filter, lines, mut problems) = parts(service);
    let traces = traces::Traces::begin(name, version, &ProcessEnv);
    let traces = traces.unwrap_or_else(|problem| {
        problems.push(problem);
        None
    });
    let spans = traces.as_ref().map(traces::Traces::layer);
    let registry = tracing_subscriber::registry().with(filter).with(lines).with(spans);
    started(registry.try_init().is_ok(), problems);
    Guard { traces }
}

type StandardError = fn() -> io::Stderr;

/// What lines need, and what is wrong with the settings.
fn parts(service: &'static str) -> (EnvFilter, Lines<StandardError>, Vec<String>) {
    let environment = ProcessEnv;
    let wanted = environment.get("RUST_LOG").or_else(|| environment.get("LOG"));
    let (filter, bad) = filter(wanted.as_deref());
    let terminal = io::stderr().is_terminal();
    let (format, bad_format) = format(environment.get("LOG_FORMAT").as_deref(), terminal);
    let lines = Lines::new(service, format, io::stderr as StandardError);
    (filter, lines, [bad, bad_format].into_iter().flatten().collect())
}

fn started(is_ours: bool, problems: Vec<String>) {
    if is_ours {
        std::panic::set_hook(Box::new(log_panic));
    }
    for problem in problems {
        tracing::warn!(problem, "a setting of logs or traces was ignored");
    }
}

fn filter(wanted: Option<&str>) -> (EnvFilter, Option<String>) {
    let default = || EnvFilter::new(DEFAULT_FILTER);
    match wanted.map(EnvFilter::from_str) {
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (default(), Some(format!("RUST_LOG or LOG: {error}"))),
        None => (default(), None),
    }
}

fn format(wanted: Option<&str>, terminal: bool) -> (Format, Option<String>) {
    let usual = if terminal { Format::Text { colour: true } } else { Format::Json };
    match wanted {
        Some("json") => (Format::Json, None),
        Some("text") => (Format::Text { colour: terminal }, None),
        None | Some("") => (usual, None),
        Some(other) => (usual, Some(format!("LOG_FORMAT is {other:?}; write json or text"))),
    }
}

fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("no message");
    let location = panic.location().map(ToString::to_string);
    tracing::error!(panic.message = message, panic.location = location, "a task panicked");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_text_and_anything_else_json() {
        assert_eq!(format(None, true).0, Format::Text { colour: true });
        assert_eq!(format(None, false).0, Format::Json);
        assert_eq!(format(Some("json"), true).0, Format::Json);
        assert_eq!(format(Some("text"), false).0, Format::Text { colour: false });
        assert!(format(Some("xml"), false).1.unwrap().contains("xml"));
    }

    #[test]
    fn a_wrong_filter_is_named_and_replaced() {
        assert!(filter(Some("storefront=loud=x")).1.is_some());
        assert!(filter(Some("storefront_order=debug,info")).1.is_none());
    }
}
