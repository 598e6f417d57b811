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
        // Due at once: whoever rebuilt it settles it next, or the sweeper does.
        let next_check_at_ms = (!payment.state.is_final()).then_some(0);
        if self.payments.insert_rebuilt(&payment, next_check_at_ms).await? {
            tracing::warn!(payment.id = payment.id, "a payment was rebuilt from Stripe");
            if payment.state == State::Held {
                self.announce(&payment);
            }
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

/// A payment from what Stripe knows of it. What cannot be rebuilt for certain is `held`, never lost and
/// never guessed.
fn rebuild(id: &SessionId, session: &Session, items: &[LineItem], shop: Currency) -> Payment {
    let user_id =
        session.metadata("userId").filter(|user_id| (1..=TEXT_MAX_LENGTH).contains(&user_id.len()));
    let lines = lines(session, items);
    let priced = priced(session, lines.as_deref());
    let (state, reason) = match (user_id, &lines, priced) {
        (None, ..) => (State::Held, Some("rebuilt from Stripe without its user")),
        (_, None, _) => (State::Held, Some("rebuilt from Stripe without its cart")),
        (.., None) => (State::Held, Some("rebuilt from Stripe without its amount")),
        _ => (State::Open, None),
    };
    Payment {
        id: uuid::Uuid::new_v4().simple().to_string(),
        state,
        user_id: user_id.unwrap_or_default().to_owned(),
        email: None,
        cart: lines.unwrap_or_default(),
        priced: priced.unwrap_or(Money { amount: 0, currency: shop }),
        fingerprint: String::new(),
        attempt: 1,
        session_id: Some(id.clone()),
        url: session.url.clone(),
        traceparent: None,
        created_at_ms: 0,
        expires_at_ms: session.expires_at.map(|seconds| seconds.saturating_mul(1000)),
        reason: reason.map(str::to_owned),
        read_at_ms: 0,
    }
}

/// The sum of the lines in the session's currency: what the shop priced, as Stripe charges nothing else.
fn priced(session: &Session, lines: Option<&[CartLine]>) -> Option<Money> {
    let currency = Currency::from_stripe(session.currency.as_deref()?).ok()?;
    Some(Money { amount: pricing::sum(lines?)?, currency })
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
    fn what_cannot_be_rebuilt_is_held() {
        let metadata = |cart: &str| json!({"shop": "default/demo", "userId": "u", "cart": cart});
        let phone = || json!([item("phone", 1, 5)]);
        let reason = |payment: Payment| (payment.state.name(), payment.reason.unwrap_or_default());
        let held = |what: &str| ("held", format!("rebuilt from Stripe without its {what}"));
        assert_eq!(reason(rebuilt(&json!({"cart": "phone:1"}), &phone())), held("user"));
        assert_eq!(reason(rebuilt(&json!({"userId": "u"}), &phone())), held("cart"));
        assert_eq!(reason(rebuilt(&metadata("phone:2"), &phone())), held("cart"));
        assert_eq!(reason(rebuilt(&metadata("phone:1,case:1"), &phone())), held("cart"));
        assert_eq!(reason(rebuilt(&metadata("case:1"), &phone())), held("cart"));
        let dear = json!([item("phone", 1, i64::MAX), item("case", 2, i64::MAX)]);
        assert_eq!(reason(rebuilt(&metadata("phone:1,case:2"), &dear)), held("amount"));
    }
}
