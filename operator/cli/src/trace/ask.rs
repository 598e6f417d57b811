//! What the shop and the inbox say. Whoever cannot be asked is noted, and is no failure.

use serde_json::Value;
use url::Url;

use super::story::{Entry, Kind, Story};
use crate::{
    args::TraceArguments,
    http::{Client, HttpError, below},
};

/// Most orders and mails that are asked about: a user may have very many.
const ASKED_MAX: usize = 20;

/// Asks the gateway for every order that is known; for a session without any, what became of it.
pub async fn orders(client: &Client, arguments: &TraceArguments, story: &mut Story) {
    let id = &arguments.id;
    if story.order_ids.is_empty() && id.parse::<uuid::Uuid>().is_ok() {
        story.order_ids.insert(id.clone());
    }
    if story.entries.is_empty() && id.starts_with("cs_") {
        return session(client, arguments, story).await;
    }
    if story.order_ids.len() > ASKED_MAX {
        story
            .notes
            .push(format!("the shop is asked for {ASKED_MAX} of {} orders", story.order_ids.len()));
    }
    let ids: Vec<_> = story.order_ids.iter().take(ASKED_MAX).cloned().collect();
    for id in ids {
        let url = below(&arguments.gateway, &format!("orders/{id}"));
        let asked = client.get(&url).await;
        match asked.and_then(|answer| answer.json()) {
            Ok(order) => story.orders.push(order),
            Err(error) => {
                let gone =
                    matches!(error, HttpError::Unreachable { .. } | HttpError::Silent { .. });
                story.notes.push(error.to_string());
                if gone {
                    return;
                }
            }
        }
    }
}

async fn session(client: &Client, arguments: &TraceArguments, story: &mut Story) {
    let mut url = below(&arguments.gateway, "payment/verify");
    url.query_pairs_mut().append_pair("session_id", &arguments.id);
    match client.get(&url).await.and_then(|answer| answer.json()) {
        Ok(answer) => {
            let status = answer["status"].as_str().unwrap_or("?");
            let order = answer["orderId"].as_str();
            let order = order.map(|order| format!(", order {order}")).unwrap_or_default();
            story.entries.push(Entry {
                time: None,
                kind: Kind::Shop,
                place: below(&arguments.gateway, "payment/verify").into(),
                what: format!("the session is {status}{order}"),
                trace: None,
            });
        }
        Err(error) => story.notes.push(error.to_string()),
    }
}

/// Looks in the inbox for the mails that were sent.
pub async fn mails(client: &Client, arguments: &TraceArguments, story: &mut Story) {
    let known = story.orders.iter().filter_map(|order| order["mail"]["messageId"].as_str());
    story.message_ids.extend(known.map(str::to_owned));
    let ids: Vec<_> = story.message_ids.iter().take(ASKED_MAX).cloned().collect();
    for id in ids {
        let mut url = below(&arguments.inbox, "api/v1/search");
        url.query_pairs_mut().append_pair("query", &format!("message-id:\"{id}\""));
        match client.get(&url).await.and_then(|answer| answer.json()) {
            Ok(found) => {
                let found = found["messages"].as_array().cloned().unwrap_or_default();
                if found.is_empty() {
                    story.notes.push(format!("the inbox has no mail {id}"));
                }
                story.entries.extend(found.iter().map(|mail| entry(mail, &arguments.inbox)));
            }
            Err(error) => {
                story.notes.push(format!("the inbox was not asked: {error}"));
                return;
            }
        }
    }
}

fn entry(mail: &Value, inbox: &Url) -> Entry {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let to = mail["To"]
        .as_array()
        .and_then(|to| to.first())
        .map_or("?".into(), |to| text(&to["Address"]));
    Entry {
        time: mail["Created"].as_str().and_then(|time| time.parse().ok()),
        kind: Kind::Mail,
        place: below(inbox, &format!("api/v1/message/{}", text(&mail["ID"]))).into(),
        what: format!("in the inbox for {to}: {}", text(&mail["Subject"])),
        trace: None,
    }
}
