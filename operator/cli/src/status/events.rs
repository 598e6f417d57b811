//! The last Events of a shop. Pure.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::ResourceExt;
use serde::Serialize;
use storefront_operator::Storefront;

/// Those before them are old news.
const SHOWN: usize = 6;

/// One Event.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Happening {
    pub time: Option<Timestamp>,
    pub warning: bool,
    pub reason: String,
    pub message: String,
    /// How often it was said.
    pub count: i32,
}

/// The last ones of this very Storefront, the newest first.
pub fn of(storefront: &Storefront, events: &[Event]) -> Vec<Happening> {
    let ours = events.iter().filter(|event| event.involved_object.uid == storefront.uid());
    let mut found: Vec<_> = ours.map(happening).collect();
    found.sort_by(|a, b| (b.time, &b.message).cmp(&(a.time, &a.message)));
    found.truncate(SHOWN);
    found
}

fn happening(event: &Event) -> Happening {
    let series = event.series.as_ref();
    let last = series.and_then(|series| series.last_observed_time.as_ref()).map(|time| time.0);
    let last = last.or_else(|| event.last_timestamp.as_ref().map(|time| time.0));
    let first = event.event_time.as_ref().map(|time| time.0);
    let made = event.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let count = series.and_then(|series| series.count).or(event.count);
    Happening {
        time: last.or(first).or(made),
        warning: event.type_.as_deref() == Some("Warning"),
        reason: event.reason.clone().unwrap_or_default(),
        message: event.message.clone().unwrap_or_default(),
        count: count.unwrap_or(1).max(1),
    }
}
