//! Collects an event's fields and those of the spans around it, and writes them as one line.

use std::{error::Error, fmt, io::Write};

use jiff::Timestamp;
use serde_json::Value;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use super::line::{Format, Line};

/// Writes lines to whatever `writer` gives.
pub(super) struct Lines<W> {
    service: &'static str,
    format: Format,
    writer: W,
}

impl<W> Lines<W> {
    pub(super) fn new(service: &'static str, format: Format, writer: W) -> Self {
        Self { service, format, writer }
    }
}

/// Fields in the order in which they were set; the last value of a name counts.
#[derive(Debug, Default)]
pub(super) struct Fields(pub(super) Vec<(&'static str, Value)>);

impl Fields {
    fn set(&mut self, name: &'static str, value: Value) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some(field) => field.1 = value,
            None => self.0.push((name, value)),
        }
    }

    /// Takes a field out.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        let at = self.0.iter().position(|(known, _)| *known == name)?;
        Some(self.0.remove(at).1)
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field.name(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field.name(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field.name(), value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field.name(), value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        self.set(field.name(), text.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field.name(), format!("{value:?}").into());
    }
}

impl<S, W, O> Layer<S> for Lines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Fn() -> O + 'static,
    O: Write,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        for span in
            context.event_scope(event).into_iter().flatten().collect::<Vec<_>>().iter().rev()
        {
            if let Some(outer) = span.extensions().get::<Fields>() {
                outer.0.iter().for_each(|(name, value)| fields.set(name, value.clone()));
            }
        }
        event.record(&mut fields);
        let text = |value: Option<Value>| match value {
            Some(Value::String(text)) => Some(text),
            Some(other) => Some(other.to_string()),
            None => None,
        };
        let line = Line {
            time: Timestamp::now(),
            level: *event.metadata().level(),
            target: event.metadata().target(),
            service: text(fields.take("service")).unwrap_or_else(|| self.service.to_owned()),
            message: text(fields.take("message")).unwrap_or_default(),
            fields,
        };
        // Nobody is left to be told when standard error cannot be written.
        let _ = (self.writer)().write_all(line.render(self.format).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(work: impl FnOnce()) -> Vec<Value> {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let lines = Lines::new("storefront", Format::Json, move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), work);
        let text = String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_line_has_the_fields_of_its_spans_and_says_who_speaks() {
        let lines = logged(|| {
            tracing::info!("nobody's");
            let service = tracing::info_span!("service", service = "order").entered();
            let request =
                tracing::info_span!("request", trace.id = "4bf9", order.id = tracing::field::Empty);
            request.record("order.id", "o-1");
            request.in_scope(|| tracing::warn!(attempt = 2, "an event failed"));
            drop(service);
        });
        assert_eq!(lines[0]["service"], "storefront");
        let line = &lines[1];
        let got = ["service", "level", "message", "trace.id", "order.id"].map(|name| &line[name]);
        assert_eq!(got, ["order", "warn", "an event failed", "4bf9", "o-1"]);
        assert_eq!(line["attempt"], 2);
    }

    #[test]
    fn an_error_is_written_with_its_causes() {
        #[derive(Debug, thiserror::Error)]
        #[error("secret file \"/secrets/key\" cannot be read")]
        struct Unreadable(#[source] std::io::Error);

        let error = Unreadable(std::io::Error::other("no broker answers"));
        let lines = logged(|| {
            tracing::error!(error = &error as &(dyn Error + 'static), "it failed");
        });
        let text = "secret file \"/secrets/key\" cannot be read: no broker answers";
        assert_eq!(lines[0]["error"], text);
    }
}
