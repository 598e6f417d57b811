//! The success page: whether a session is paid, then the order and its mail. The page is complete
//! without a script; `live.js` asks for it again and shows what has changed.

mod words;

use std::time::Duration;

use askama::Template;
use http::StatusCode;
use serde::Deserialize;
use storefront_contract::{Currency, Money};
use url::form_urlencoded;
use uuid::Uuid;

use super::{
    ask::{AskError, Services},
    icons::{ICONS, Icons},
    shop::Shop,
};
use words::{Step, Words};

/// How long the page waits for payment, which may have to ask Stripe.
const VERIFY_LIMIT: Duration = Duration::from_secs(4);
/// How long it waits for the order, which asks for its mail.
const ORDER_LIMIT: Duration = Duration::from_secs(1);

/// What `GET /payment/verify` says.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verified {
    status: String,
    order_id: Uuid,
    cart: Vec<Line>,
    amount: i64,
    currency: Currency,
    url: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Line {
    name: String,
    quantity: u32,
    price: i64,
}

/// What `GET /orders/{id}` says, as far as the page needs it.
#[derive(Debug, Deserialize)]
pub struct Order {
    mail: Option<Mail>,
}

#[derive(Debug, Deserialize)]
struct Mail {
    state: String,
}

/// What is known of the session.
#[derive(Debug)]
pub enum Known {
    /// The page was opened without a session, or with one that is not this shop's.
    Nothing,
    /// Payment could not be asked.
    Unreachable,
    Verified {
        verified: Verified,
        order: Option<Order>,
    },
}

#[derive(Template)]
#[template(path = "success.html")]
struct SuccessPage<'a> {
    shop: Shop<'a>,
    icons: Icons,
    session: &'a str,
    words: Words,
    order: Option<OrderShown>,
}

struct OrderShown {
    id: Uuid,
    paid: bool,
    steps: Vec<Step>,
    lines: Vec<LineShown>,
    total: String,
}

struct LineShown {
    name: String,
    quantity: u32,
    price: String,
    sum: String,
}

/// Asks for the payment, and for the order once it is paid.
pub async fn look(services: Services<'_>, session: Option<&str>) -> Known {
    let Some(session) = session else { return Known::Nothing };
    let query =
        form_urlencoded::Serializer::new(String::new()).append_pair("session_id", session).finish();
    let asked = services.ask::<Verified>("/payment/verify", &query, VERIFY_LIMIT).await;
    let verified = match asked {
        Ok(verified) => verified,
        Err(AskError::Status(StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST)) => {
            return Known::Nothing;
        }
        Err(error) => {
            let reason = error.reason();
            let error = &error as &dyn std::error::Error;
            tracing::warn!(reason, error, "a payment cannot be asked for");
            return Known::Unreachable;
        }
    };
    let path = format!("/orders/{}", verified.order_id);
    let order = if verified.status == "paid" {
        // An order that is not there yet, or cannot be asked for, is one that the page waits for.
        services.ask::<Order>(&path, "", ORDER_LIMIT).await.ok()
    } else {
        None
    };
    Known::Verified { verified, order }
}

/// The page with its status. Pure.
pub fn page(
    shop: Shop<'_>,
    session: &str,
    known: Known,
) -> Result<(StatusCode, String), askama::Error> {
    let (status, words, order) = match known {
        Known::Nothing => (StatusCode::NOT_FOUND, Words::nothing(), None),
        Known::Unreachable => (StatusCode::SERVICE_UNAVAILABLE, Words::unreachable(), None),
        Known::Verified { verified, order } => {
            let mail = order.as_ref().map(|order| match &order.mail {
                Some(mail) => mail.state.as_str(),
                None => "unknown",
            });
            let words = Words::of(&verified, mail);
            let known = ["paid", "processing"].contains(&words.state);
            let order = known.then(|| shown(&verified, mail));
            (StatusCode::OK, words, order)
        }
    };
    let html = SuccessPage { shop, icons: ICONS, session, words, order }.render()?;
    Ok((status, html))
}

fn shown(verified: &Verified, mail: Option<&str>) -> OrderShown {
    let money = |amount| Money { amount, currency: verified.currency }.to_string();
    let line = |line: &Line| LineShown {
        name: line.name.clone(),
        quantity: line.quantity,
        price: money(line.price),
        sum: money(line.price.saturating_mul(line.quantity.into())),
    };
    let paid = verified.status == "paid";
    OrderShown {
        id: verified.order_id,
        paid,
        steps: words::steps(paid, mail),
        lines: verified.cart.iter().map(line).collect(),
        total: money(verified.amount),
    }
}

#[cfg(test)]
mod tests;
