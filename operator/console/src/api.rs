//! The routes: the page, and what it asks.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Path, Query, Request, State},
    middleware::from_fn,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{HeaderValue, StatusCode, header};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use storefront_inspect::{
    DeadLetter, Fate, InspectError, Place, Record, Scope, Sent, Session, Span, Start, summary,
};
use storefront_runtime::{Problem, http::Json};

use crate::{
    desk::{Desk, Unanswered},
    guard::guard,
    page::PAGES,
};

/// Most messages in one answer.
const MESSAGES_MAX: usize = 100;
const MESSAGES: usize = 25;
/// Most letters sent back by one request.
const REPLAYS_MAX: usize = 1_000;
/// Most bytes of keys, values and headers in one answer, but for the first message.
const BYTES_MAX: usize = 2 << 20;
const WAIT: Duration = Duration::from_secs(10);

/// Everything that the console serves.
pub fn router(desk: Arc<Desk>) -> Router {
    let mut router = Router::new()
        .route("/api/overview", get(overview))
        .route("/api/addresses", get(addresses))
        .route("/api/topics/{topic}/messages", get(messages))
        .route("/api/dead-letters", get(dead_letters))
        .route("/api/dead-letters/replay", post(replay))
        .route("/livez", get(async || "ok\n"));
    for page in &PAGES {
        router = router.route(page.path, get(async |request: Request| page.answer(&request)));
    }
    router.layer(from_fn(guard)).with_state(desk)
}

/// An answer that no cache keeps.
struct Fresh<T>(T);

impl<T: Serialize> IntoResponse for Fresh<T> {
    fn into_response(self) -> Response {
        let mut response = Json(self.0).into_response();
        let value = HeaderValue::from_static("no-store");
        response.headers_mut().insert(header::CACHE_CONTROL, value);
        response
    }
}

impl From<Unanswered> for Problem {
    fn from(error: Unanswered) -> Self {
        let status = match &error {
            Unanswered::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            Unanswered::Inspect(error) => match error.reason() {
                "NoTopic" | "NoPartition" | "NoRecord" | "NotADeadLetter" => StatusCode::NOT_FOUND,
                _ => StatusCode::BAD_GATEWAY,
            },
        };
        Self::of(status).detail(error.to_string())
    }
}

/// Brokers, topics, groups and sales in one.
async fn overview(State(desk): State<Arc<Desk>>) -> Result<Fresh<Arc<Value>>, Problem> {
    let make = async {
        let brokers = desk.ask(|session, settings| look(session, &settings.scope));
        let (found, (sales, why)) = tokio::join!(brokers, desk.sales.report());
        let mut value = found?;
        value["shop"] = json!(desk.settings.shop);
        value["links"] = json!(desk.settings.links);
        value["sales"] = sales;
        value["noSales"] = json!(why);
        value["now"] = json!(Timestamp::now());
        Ok::<_, Unanswered>(value)
    };
    Ok(Fresh(desk.overview(make).await?))
}

/// Where tools find what listens at another port each time.
async fn addresses(State(desk): State<Arc<Desk>>) -> Fresh<Value> {
    let payment_admin = desk.settings.payment_admin.as_ref().map(ToString::to_string);
    Fresh(json!({"paymentAdmin": payment_admin}))
}

fn look(session: &Session, scope: &Scope) -> Result<Value, InspectError> {
    let cluster = session.cluster()?;
    let groups = session.groups(scope, &cluster, false)?;
    let ours = scope.topics();
    let topics: Vec<_> = ours.iter().filter_map(|name| cluster.topic(name)).collect();
    let missing: Vec<_> = ours.iter().filter(|name| cluster.topic(name).is_none()).collect();
    Ok(json!({
        "brokers": cluster.brokers, "topics": topics, "missing": missing, "groups": groups,
    }))
}

#[derive(Debug, Deserialize)]
struct Listing {
    limit: Option<usize>,
}

/// A record with what it says in words.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    words: String,
    trace_id: Option<String>,
    happened: Option<Timestamp>,
    #[serde(flatten)]
    record: Record,
}

impl Message {
    fn of(record: Record, scope: &Scope) -> Self {
        Self {
            words: summary(&record, &scope.names),
            trace_id: record.trace_id().map(str::to_owned),
            happened: record.happened(),
            record,
        }
    }
}

/// The latest messages of a topic, the newest first.
async fn messages(
    State(desk): State<Arc<Desk>>,
    Path(topic): Path<String>,
    Query(listing): Query<Listing>,
) -> Result<Fresh<Value>, Problem> {
    let limit = listing.limit.unwrap_or(MESSAGES).clamp(1, MESSAGES_MAX);
    if !desk.settings.scope.topics().contains(&topic) {
        return Err(
            Problem::of(StatusCode::NOT_FOUND).detail(format!("the shop has no topic {topic:?}"))
        );
    }
    let read = desk.ask(move |session, settings| {
        let last = Start::Last(i64::try_from(limit).unwrap_or(i64::MAX));
        let mut reader = session.read(&[topic], None, last, Span::Now)?;
        let mut records = Vec::new();
        while !reader.is_at_end() {
            records.extend(reader.next(WAIT)?);
        }
        records.sort_by_key(|record| (std::cmp::Reverse(record.time), -record.offset));
        let scope = &settings.scope;
        Ok(fitting(records, limit, |record| record)
            .map(|record| Message::of(record, scope))
            .collect::<Vec<_>>())
    });
    Ok(Fresh(json!({"messages": read.await?})))
}

/// Letters that somebody may want to do something about, the newest first.
async fn dead_letters(State(desk): State<Arc<Desk>>) -> Result<Fresh<Value>, Problem> {
    let found = desk.ask(|session, settings| session.dead_letters(&settings.scope)).await?;
    let is_open = |letter: &&DeadLetter| matches!(letter.fate, Fate::Dead | Fate::SentBack(_));
    let open: Vec<_> = found.letters.iter().rev().filter(is_open).collect();
    let (count, settled) = (open.len(), found.letters.len() - open.len());
    let shown = fitting(open, MESSAGES_MAX, |letter| &letter.record);
    Ok(Fresh(json!({
        "letters": shown.collect::<Vec<_>>(),
        "open": count,
        "settled": settled,
        "notLookedAt": found.not_shown,
    })))
}

/// The first of them, at most so many, as far as they fit into one answer.
fn fitting<T>(
    items: Vec<T>,
    limit: usize,
    record: impl Fn(&T) -> &Record,
) -> impl Iterator<Item = T> {
    let mut bytes = 0;
    let few = items.into_iter().take(limit).enumerate();
    let fit = few.take_while(move |(place, item)| {
        bytes += size(record(item));
        *place == 0 || bytes <= BYTES_MAX
    });
    fit.map(|(_, item)| item)
}

fn size(record: &Record) -> usize {
    let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
    let headers = record.headers.iter().map(|(name, value)| name.len() + length(value));
    length(&record.key) + length(&record.value) + headers.sum::<usize>()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Replay {
    /// As `place` of a letter says.
    places: Vec<String>,
}

/// Who sends letters back here: nobody says their name to the console.
const BY: &str = "console";

/// Sends letters back. Those that were sent back before are left alone, and those that go in a circle.
async fn replay(
    State(desk): State<Arc<Desk>>,
    Json(Replay { places }): Json<Replay>,
) -> Result<Fresh<Value>, Problem> {
    let wrong = |detail: String| Problem::of(StatusCode::UNPROCESSABLE_ENTITY).detail(detail);
    if places.is_empty() || places.len() > REPLAYS_MAX {
        let detail = format!("`places` has {}; 1 to {REPLAYS_MAX} can be sent", places.len());
        return Err(wrong(detail));
    }
    let parsed: Result<Vec<Place>, _> = places.iter().map(|place| place.parse()).collect();
    let places = parsed.map_err(|error| wrong(error.to_string()))?;
    let _alone = desk.replays.lock().await;
    let sent = desk.ask(move |session, settings| send(session, &settings.scope, &places)).await?;
    Ok(Fresh(json!({"sent": sent})))
}

fn send(session: &Session, scope: &Scope, places: &[Place]) -> Result<Vec<Sent>, InspectError> {
    let letters = session.dead_letters(scope)?.letters;
    let wanted = |letter: &&DeadLetter| {
        letter.fate == Fate::Dead && !letter.is_in_a_circle() && places.contains(&letter.place())
    };
    let letters: Vec<_> = letters.iter().filter(wanted).collect();
    let mut sent = Vec::new();
    session.send_back(&letters, BY, None, |letter, to| {
        tracing::info!(
            letter = %letter.place(), group = letter.group, topic = to.topic,
            partition = to.partition, offset = to.offset, "a dead letter was sent back"
        );
        sent.push(to.clone());
    })?;
    Ok(sent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_as_many_messages_as_fit_and_always_one() {
        let record = |size: usize| Record {
            topic: "t".into(),
            partition: 0,
            offset: 0,
            time: None,
            key: Some(vec![0; 10]),
            value: Some(vec![0; size - 10]),
            headers: Vec::new(),
        };
        let fit = |sizes: &[usize], limit| {
            let records = sizes.iter().map(|size| record(*size)).collect();
            fitting(records, limit, |record: &Record| record).count()
        };
        assert_eq!(fit(&[100; 5], 3), 3);
        assert_eq!(fit(&[BYTES_MAX / 2; 5], 100), 2);
        assert_eq!(fit(&[2 * BYTES_MAX, 100], 100), 1);
        assert_eq!(fit(&[100, 2 * BYTES_MAX, 100], 100), 1);
        assert_eq!(fit(&[], 100), 0);
    }
}
