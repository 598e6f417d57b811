//! A session without a row: found by the row that asked for it, rebuilt from Stripe when it is this
//! shop's, and otherwise left alone.

use storefront_contract::{CartLine, Currency, Money, cart, events::TEXT_MAX_LENGTH};
use tokio::time::Instant;

use super::{Asker, FulfilError};
use crate::{
    app::App,
    pricing,
    session_id::SessionId,
    state::State,
    store::{Opened, Payment},
    stripe::objects::{LineItem, Session},
};

impl App {
    /// Makes sure that a session of this shop has a row. `false`: it is none of ours.
    pub(super) async fn adopt(
        &self,
        id: &SessionId,
        asker: Asker,
        deadline: Instant,
    ) -> Result<bool, FulfilError> {
        let unknown = &self.fulfilling.unknown;
        // Events are signed and bounded by Stripe; browsers are neither. And what was said of a session
        // may have been said to the key of another account: an event knows better.
        if asker == Asker::Verify {
            if unknown.is_foreign(id) {
                return Ok(false);
            }
            if !unknown.may_ask() {
                return Err(FulfilError::TooMany);
            }
        }
        let session = match self.stripe.session(id, deadline).await {
            Ok(session) => session,
            Err(error) if error.is_missing() => {
                unknown.remember(id);
                return Ok(false);
            }
            Err(error) => return Err(FulfilError::Stripe(error)),
        };
        if session.metadata("shop") != Some(self.shop.id()) {
            unknown.remember(id);
            self.metrics.foreign();
            return Ok(false);
        }
        if self.join(id, &session).await? {
            return Ok(true);
        }
        let lines = self.stripe.line_items(id, deadline).await.map_err(FulfilError::Stripe)?;
        let payment = rebuild(id, &session, &lines, self.catalog.current().currency());
        // Whoever rebuilt it settles it next, or the sweeper does.
        if self.payments.insert_rebuilt(&payment).await? {
            let lacks = payment.reason.as_deref();
            tracing::warn!(payment.id = payment.id, lacks, "a payment was rebuilt from Stripe");
        }
        Ok(true)
    }

    /// Joins a session with the row that asked for it: Stripe's answer to the creation was lost, or
    /// the shopper was faster than we.
    async fn join(&self, id: &SessionId, session: &Session) -> Result<bool, FulfilError> {
        let Some(payment_id) = session.client_reference_id.as_deref() else { return Ok(false) };
        let opened = Opened {
            session_id: id,
            url: session.url.as_deref(),
            expires_at_ms: session.expires_at.map(|seconds| seconds.saturating_mul(1000)),
            check_in_ms: self.sweep_interval_ms(),
        };
        Ok(self.payments.open(payment_id, opened).await?)
    }
}

/// A payment from what Stripe knows of it, open until it is settled. One that cannot be rebuilt for
/// certain is never guessed: it says what it lacks, and is held if it turns out to be paid.
fn rebuild(id: &SessionId, session: &Session, items: &[LineItem], shop: Currency) -> Payment {
    let user_id =
        session.metadata("userId").filter(|user_id| (1..=TEXT_MAX_LENGTH).contains(&user_id.len()));
    let lines = lines(session, items);
    let currency = session.currency.as_deref().and_then(|code| Currency::from_stripe(code).ok());
    // The sum of the lines is what the shop priced, as Stripe charges nothing else.
    let sum = lines.as_deref().and_then(pricing::sum).filter(|_| currency.is_some());
    let reason = match (user_id, &lines, sum) {
        (None, ..) => Some("rebuilt from Stripe without its user"),
        (_, None, _) => Some("rebuilt from Stripe without its cart"),
        (.., None) => Some("rebuilt from Stripe without its amount"),
        _ => None,
    };
    let amount = sum.or(session.amount_total).unwrap_or(0);
    Payment {
        id: uuid::Uuid::new_v4().simple().to_string(),
        state: State::Open,
        user_id: user_id.unwrap_or_default().to_owned(),
        email: None,
        cart: lines.filter(|_| sum.is_some()).unwrap_or_default(),
        priced: Money { amount, currency: currency.unwrap_or(shop) },
        fingerprint: String::new(),
        attempt: 1,
        session_id: Some(id.clone()),
        url: session.url.clone(),
        traceparent: None,
        created_at_ms: 0,
        expires_at_ms: session.expires_at.map(|seconds| seconds.saturating_mul(1000)),
        paid_at_ms: None,
        reason: reason.map(str::to_owned),
        read_at_ms: 0,
    }
}

/// The cart's lines: ids and quantities from the session's metadata, names and prices from Stripe's
/// lines, which must tell of the same quantities.
fn lines(session: &Session, items: &[LineItem]) -> Option<Vec<CartLine>> {
    let compact = cart::expand(|key| session.metadata(key)).ok()?;
    if compact.len() != items.len() {
        return None;
    }
    compact
        .iter()
        .map(|(id, quantity)| {
            // Found by product, as the order of Stripe's list is nowhere promised.
            let item = items.iter().find(|item| item.product_id() == Some(id))?;
            (item.quantity == Some(*quantity)).then_some(())?;
            Some(CartLine {
                id: id.clone(),
                name: item.description.clone().unwrap_or_else(|| id.clone()),
                quantity: *quantity,
                price: item.price.as_ref()?.unit_amount?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize as _;
    use serde_json::{Value, json};

    use super::*;

    fn item(id: &str, quantity: u32, price: i64) -> Value {
        json!({"description": format!("The {id}"), "quantity": quantity,
               "price": {"unit_amount": price, "product": {"metadata": {"id": id}}}})
    }

    fn rebuilt(metadata: &Value, items: &Value) -> Payment {
        let session = json!({"id": "cs_test_1", "currency": "inr", "metadata": metadata,
                             "expires_at": 1_790_000_000, "amount_total": 7});
        let id = SessionId::parse("cs_test_1").unwrap();
        let session: Session = serde_json::from_value(session).unwrap();
        let items = Vec::<LineItem>::deserialize(items).unwrap();
        rebuild(&id, &session, &items, "INR".parse().unwrap())
    }

    #[test]
    fn a_payment_is_rebuilt_whatever_the_order_of_its_lines() {
        let metadata = json!({"shop": "default/demo", "userId": "u", "cart": "phone:1,case:2"});
        let payment = rebuilt(&metadata, &json!([item("case", 2, 3), item("phone", 1, 5)]));
        assert_eq!((payment.state, payment.priced.to_string()), (State::Open, "₹0.11".into()));
        let lines: Vec<_> = payment.cart.iter().map(|l| (l.id.as_str(), l.name.as_str())).collect();
        assert_eq!(lines, [("phone", "The phone"), ("case", "The case")]);
        assert_eq!(payment.expires_at_ms, Some(1_790_000_000_000));
    }

    #[test]
    fn what_cannot_be_rebuilt_says_what_it_lacks() {
        let metadata = |cart: &str| json!({"shop": "default/demo", "userId": "u", "cart": cart});
        let phone = || json!([item("phone", 1, 5)]);
        let lacks = |payment: Payment| {
            assert_eq!((payment.state, payment.is_whole()), (State::Open, false));
            assert_eq!(payment.priced.amount, if payment.cart.is_empty() { 7 } else { 5 });
            payment.reason.unwrap_or_default()
        };
        let without = |what: &str| format!("rebuilt from Stripe without its {what}");
        assert_eq!(lacks(rebuilt(&json!({"cart": "phone:1"}), &phone())), without("user"));
        assert_eq!(lacks(rebuilt(&json!({"userId": "u"}), &phone())), without("cart"));
        assert_eq!(lacks(rebuilt(&metadata("phone:2"), &phone())), without("cart"));
        assert_eq!(lacks(rebuilt(&metadata("phone:1,case:1"), &phone())), without("cart"));
        assert_eq!(lacks(rebuilt(&metadata("case:1"), &phone())), without("cart"));
        let dear = json!([item("phone", 1, i64::MAX), item("case", 2, i64::MAX)]);
        assert_eq!(lacks(rebuilt(&metadata("phone:1,case:2"), &dear)), without("amount"));
    }
}
