//! `storefront orders`: the latest ones from their topic, or one from the shop itself.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use storefront_contract::{Incoming as _, Money, OrderSuccessful, Topic};
use storefront_inspect::{Record, Span, Start, cart};

use crate::{
    Exit,
    args::OrdersArguments,
    http::{Client, below},
    output::{self, Output},
    table::{Cell, Column, Table},
    terminal::{Terminal, Tone},
    words,
};

/// Most orders that are read of each partition when those of one user are looked for.
const SEARCHED_MAX: i64 = 1_000_000;
const WAIT: Duration = Duration::from_secs(10);

/// What is listed.
#[derive(Debug, Serialize)]
struct Orders {
    orders: Vec<OrderSuccessful>,
}

/// Prints orders.
pub async fn run(arguments: &OrdersArguments) -> anyhow::Result<Exit> {
    match arguments.order {
        Some(order) => {
            let url = below(&arguments.gateway, &format!("orders/{order}"));
            let order = Client::default().get(&url).await?.json()?;
            match arguments.output.output {
                Output::Json => output::print_json(&order)?,
                Output::Text => output::print(&one(&order, Terminal::stdout()))?,
            }
        }
        None => list(arguments)?,
    }
    Ok(Exit::Done)
}

fn list(arguments: &OrdersArguments) -> anyhow::Result<()> {
    let brokers = arguments.brokers.read()?;
    let session = brokers.open()?;
    let topic = brokers.scope.names.topic(Topic::OrderSuccessful);
    let limit = usize::try_from(arguments.limit)?;
    let start = match arguments.user {
        Some(_) => Start::Last(SEARCHED_MAX),
        None => Start::Last(arguments.limit.into()),
    };
    let mut reader = session.read(&[topic], None, start, Span::Now)?;
    let mut orders: Vec<OrderSuccessful> = Vec::new();
    while !reader.is_at_end() {
        let Some(record) = reader.next(WAIT)? else { continue };
        let order = order(&record)
            .filter(|order| arguments.user.as_ref().is_none_or(|user| *user == order.user_id));
        orders.extend(order);
        // Bounded also for a user with very many.
        if orders.len() >= 2 * limit {
            keep_newest(&mut orders, limit);
        }
    }
    keep_newest(&mut orders, limit);
    let orders = Orders { orders };
    match arguments.output.output {
        Output::Json => output::print_json(&orders),
        Output::Text => Ok(output::print(&table(&orders, Timestamp::now(), Terminal::stdout()))?),
    }
}

fn order(record: &Record) -> Option<OrderSuccessful> {
    OrderSuccessful::decode(Topic::OrderSuccessful, record.value.as_deref()?).ok()
}

/// The newest first; a message that was sent twice is one order.
fn keep_newest(orders: &mut Vec<OrderSuccessful>, limit: usize) {
    orders.sort_by_key(|order| (std::cmp::Reverse(order.created_at), order.order_id));
    orders.dedup_by_key(|order| order.order_id);
    orders.truncate(limit);
}

fn table(orders: &Orders, now: Timestamp, terminal: Terminal) -> String {
    if orders.orders.is_empty() {
        return "no orders\n".into();
    }
    let mut table = Table::new(&[
        Column::text("ORDER"),
        Column::number("AGE"),
        Column::long("USER"),
        Column::number("AMOUNT"),
        Column::long("CART"),
    ]);
    for order in &orders.orders {
        table.row([
            order.order_id.to_string().into(),
            words::age(Some(order.created_at), now).into(),
            order.user_id.as_str().into(),
            Money { amount: order.amount, currency: order.currency }.to_string().into(),
            Cell::toned(Tone::Dim, cart(&order.cart)),
        ]);
    }
    table.text(terminal)
}

/// One order as the shop tells it.
fn one(order: &Value, terminal: Terminal) -> String {
    let text = |name: &str| order[name].as_str().unwrap_or("?").to_owned();
    let mut table = Table::new(&[Column::text(""), Column::text("")]);
    let mut row =
        |name: &str, value: String| table.row([Cell::toned(Tone::Dim, name), value.into()]);
    row("order", text("orderId"));
    row("user", text("userId"));
    row("created", text("createdAt"));
    row("session", text("sessionId"));
    let currency = order["currency"].as_str().and_then(|code| code.parse().ok());
    let money = |amount: &Value| match (amount.as_i64(), currency) {
        (Some(amount), Some(currency)) => Money { amount, currency }.to_string(),
        _ => amount.to_string(),
    };
    for line in order["cart"].as_array().into_iter().flatten() {
        let name = line["name"].as_str().unwrap_or("?");
        row("", format!("{} × {name} at {}", line["quantity"], money(&line["price"])));
    }
    row("total", money(&order["amount"]));
    let mail = &order["mail"];
    let message = mail["messageId"].as_str().map(|id| format!(" as {id}")).unwrap_or_default();
    row("mail", format!("{}{message}", mail["state"].as_str().unwrap_or("unknown")));
    table.text(terminal)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(id: u128, created_at: &str) -> OrderSuccessful {
        serde_json::from_value(json!({
            "orderId": uuid::Uuid::from_u128(id), "userId": "ada", "amount": 1_900_000,
            "currency": "INR", "sessionId": "cs_1", "createdAt": created_at,
            "cart": [{"id": "phone", "name": "Nova 5G", "quantity": 2, "price": 950_000}],
        }))
        .unwrap()
    }

    #[test]
    fn the_newest_orders_come_first_and_once() {
        let mut orders = vec![
            event(1, "2026-01-02T10:00:00Z"),
            event(2, "2026-01-02T11:00:00Z"),
            event(2, "2026-01-02T11:00:00Z"),
            event(3, "2026-01-02T09:00:00Z"),
        ];
        keep_newest(&mut orders, 2);
        let now = "2026-01-02T11:00:30Z".parse().unwrap();
        insta::assert_snapshot!(table(&Orders { orders }, now, Terminal::default()));
    }

    #[test]
    fn one_order_is_told_as_a_whole() {
        let mut order = serde_json::to_value(event(1, "2026-01-02T10:00:00Z")).unwrap();
        order["mail"] = json!({"state": "sent", "messageId": "m-1@shop"});
        insta::assert_snapshot!(one(&order, Terminal::default()));
    }
}
