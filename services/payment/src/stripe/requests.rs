//! The calls that payment makes, most of them built with async-stripe's typed requests. Pure: rows in, form out.
//!
//! A call repeated with the same idempotency key must have the same parameters, so nothing here comes
//! from anywhere but the row and the settings.

use std::collections::BTreeMap;

use storefront_contract::{
    CartLine, Currency, Notice, Shop,
    cart::{self, CartError},
    notice::NOTICE,
};
use stripe::StripeRequest;
use stripe_checkout::{
    CheckoutSessionStatus,
    checkout_session::{
        ListCheckoutSession, ListLineItemsCheckoutSession, RetrieveCheckoutSession,
    },
};
use stripe_core::event::ListEvent;
use url::form_urlencoded::{Serializer, byte_serialize};

use crate::session_id::SessionId;

/// The version of Stripe's API that the fields read here belong to. Sent with each call, so that the
/// account's default version does not matter.
pub const API_VERSION: &str = "2026-09-30.endive";
/// Largest page of a list.
const PAGE_MAX: i64 = 100;
/// Where a form's memory begins.
const FORM_USUAL_BYTES: usize = 1024;

/// One call, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// Which call this is, for metrics.
    pub call: &'static str,
    /// Path and query behind the API's base, `/v1/…`.
    pub target: String,
    /// The form of a `POST`; without one it is a `GET`.
    pub form: Option<String>,
}

/// What a session is made from.
#[derive(Debug, Clone, Copy)]
pub struct NewSession<'a> {
    /// Our row: it comes back with the session, and finds the row when its answer was lost.
    pub payment_id: &'a str,
    pub shop: &'a Shop,
    pub user_id: &'a str,
    pub email: Option<&'a str>,
    pub cart: &'a [CartLine],
    pub currency: Currency,
    /// Where shoppers reach the shop, without a slash at its end.
    pub public_url: &'a str,
}

impl NewSession<'_> {
    /// `POST /v1/checkout/sessions`. Nothing that could change the amount is on: no promotion codes,
    /// no tax, no adjustable quantities, no adaptive pricing.
    pub fn prepare(&self) -> Result<Prepared, CartError> {
        let lines = self.cart.iter().map(|line| (line.id.as_str(), line.quantity));
        let cart = cart::compact(lines)?;
        let (call, target) = ("create_session", "/v1/checkout/sessions".to_owned());
        Ok(Prepared { call, target, form: Some(self.form(&cart)) })
    }

    /// The fields in an order that never changes: the same call must be the same bytes. Written by hand, as
    /// the typed request keeps metadata in a `HashMap`, and costs more than the rest of a checkout's form;
    /// a test holds this against it. Names are encoded here already.
    fn form(&self, cart: &BTreeMap<String, String>) -> String {
        let currency = self.currency.to_stripe();
        let mut form = String::with_capacity(FORM_USUAL_BYTES);
        form.push_str("adaptive_pricing%5Benabled%5D=false&cancel_url=");
        append(&mut form, "", self.public_url);
        form.push_str("%2F%3F");
        form.push_str(NOTICE);
        form.push_str("%3D");
        form.push_str(Notice::Cancelled.name());
        append(&mut form, "&client_reference_id=", self.payment_id);
        if let Some(email) = self.email {
            append(&mut form, "&customer_email=", email);
        }
        for (index, line) in self.cart.iter().enumerate() {
            let item = format!("&line_items%5B{index}%5D");
            let mut append = |name: &str, value: &str| {
                form.push_str(&item);
                append(&mut form, name, value);
            };
            append("%5Bprice_data%5D%5Bcurrency%5D=", &currency);
            append("%5Bprice_data%5D%5Bproduct_data%5D%5Bmetadata%5D%5Bid%5D=", &line.id);
            append("%5Bprice_data%5D%5Bproduct_data%5D%5Bname%5D=", &line.name);
            append("%5Bprice_data%5D%5Bunit_amount%5D=", &line.price.to_string());
            append("%5Bquantity%5D=", &line.quantity.to_string());
        }
        append(&mut form, "&mode=payment&success_url=", self.public_url);
        form.push_str("%2Fsuccess%3Fsession_id%3D%7BCHECKOUT_SESSION_ID%7D");
        for (key, value) in cart {
            form.push_str("&metadata%5B");
            append(&mut form, key, "");
            append(&mut form, "%5D=", value);
        }
        append(&mut form, "&metadata%5Bshop%5D=", self.shop.id());
        append(&mut form, "&metadata%5BuserId%5D=", self.user_id);
        form
    }
}

/// What is encoded already, and what is not.
fn append(form: &mut String, encoded: &str, value: &str) {
    form.push_str(encoded);
    form.extend(byte_serialize(value.as_bytes()));
}

/// `GET /v1/checkout/sessions/{id}`, with the payment behind it: only that tells a delayed payment
/// that failed from one that is under way.
pub fn retrieve_session(id: &SessionId) -> Prepared {
    let expand = vec!["payment_intent".to_owned()];
    prepare("retrieve_session", &RetrieveCheckoutSession::new(id.as_str()).expand(expand))
}

/// `GET /v1/checkout/sessions/{id}/line_items`: all of them, as a cart has at most 100 lines.
pub fn list_line_items(id: &SessionId) -> Prepared {
    let expand = vec!["data.price.product".to_owned()];
    let request = ListLineItemsCheckoutSession::new(id.as_str()).limit(PAGE_MAX).expand(expand);
    prepare("list_line_items", &request)
}

/// Sessions that were made in a span of Stripe's time, in Unix seconds: from `since` on, before `until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made<'a> {
    pub since_s: i64,
    pub until_s: i64,
    /// The last session of the page before.
    pub after: Option<&'a SessionId>,
}

/// `GET /v1/checkout/sessions`: those that are complete, newest first. Whether they are paid stands in each.
pub fn list_sessions(made: Made<'_>) -> Prepared {
    let status = CheckoutSessionStatus::Complete;
    let request = ListCheckoutSession::new().limit(PAGE_MAX).status(status);
    let request = match made.after {
        Some(id) => request.starting_after(id.as_str()),
        None => request,
    };
    let mut prepared = prepare("list_sessions", &request);
    // The type of this pair is in a crate that nothing else here needs.
    let more = Serializer::new(String::new())
        .append_pair("created[gte]", &made.since_s.to_string())
        .append_pair("created[lt]", &made.until_s.to_string())
        .finish();
    prepared.target = format!("{}&{more}", prepared.target);
    prepared
}

/// Which page of the events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventPage<'a> {
    /// The newest ones.
    Newest,
    /// Those next newer than this event.
    NewerThan(&'a str),
    /// Those next older than this event.
    OlderThan(&'a str),
}

/// `GET /v1/events` of these types, newest first.
pub fn list_events(page: EventPage<'_>, types: &[&str]) -> Prepared {
    let types: Vec<String> = types.iter().map(|name| (*name).to_owned()).collect();
    let request = ListEvent::new().limit(PAGE_MAX).types(types);
    let request = match page {
        EventPage::Newest => request,
        EventPage::NewerThan(id) => request.ending_before(id),
        EventPage::OlderThan(id) => request.starting_after(id),
    };
    prepare("list_events", &request)
}

fn prepare(call: &'static str, request: &impl StripeRequest) -> Prepared {
    let request = request.build();
    let mut target = format!("/v1{}", request.path);
    if let Some(query) = request.query.filter(|query| !query.is_empty()) {
        target.push('?');
        target.push_str(&query);
    }
    Prepared { call, target, form: request.body }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use stripe_checkout::{
        CheckoutSessionMode,
        checkout_session::{
            CreateCheckoutSession, CreateCheckoutSessionAdaptivePricing,
            CreateCheckoutSessionLineItems, CreateCheckoutSessionLineItemsPriceData, ProductData,
        },
    };

    use super::*;

    fn readable(form: &str) -> String {
        let pairs = url::form_urlencoded::parse(form.as_bytes());
        pairs.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("\n")
    }

    fn line(id: &str, name: &str, quantity: u32, price: i64) -> CartLine {
        CartLine { id: id.into(), name: name.into(), quantity, price }
    }

    fn with_session(check: impl FnOnce(NewSession<'_>)) {
        let cart =
            [line("phone", "Nova & <5G> {{7*7}}", 1, 1_899_900), line("case", "Case", 2, 49_900)];
        check(NewSession {
            payment_id: "0198",
            shop: &"default/demo".parse().unwrap(),
            user_id: "user-1",
            email: Some("a+b@example.com"),
            cart: &cart,
            currency: "INR".parse().unwrap(),
            public_url: "http://127.0.0.1:8080",
        });
    }

    /// As async-stripe's types have it.
    fn typed(session: &NewSession<'_>) -> Prepared {
        let items: Vec<_> =
            session.cart.iter().map(|line| line_item(line, session.currency)).collect();
        let metadata = [("cart", "phone:1,case:2"), ("shop", "default/demo"), ("userId", "user-1")];
        let metadata: HashMap<_, _> =
            metadata.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let url = session.public_url;
        let request = CreateCheckoutSession::new()
            .mode(CheckoutSessionMode::Payment)
            .client_reference_id(session.payment_id)
            .success_url(format!("{url}/success?session_id={{CHECKOUT_SESSION_ID}}"))
            .cancel_url(format!("{url}/?notice=cancelled"))
            .adaptive_pricing(CreateCheckoutSessionAdaptivePricing { enabled: Some(false) })
            .customer_email(session.email.unwrap())
            .metadata(metadata)
            .line_items(items);
        prepare("create_session", &request)
    }

    fn line_item(line: &CartLine, currency: Currency) -> CreateCheckoutSessionLineItems {
        let mut product = ProductData::new(line.name.as_str());
        product.metadata = Some(HashMap::from([("id".to_owned(), line.id.clone())]));
        let Ok(currency) = currency.to_stripe().parse();
        let mut price = CreateCheckoutSessionLineItemsPriceData {
            currency,
            product: None,
            product_data: None,
            recurring: None,
            tax_behavior: None,
            unit_amount: None,
            unit_amount_decimal: None,
        };
        price.unit_amount = Some(line.price);
        price.product_data = Some(product);
        let mut item = CreateCheckoutSessionLineItems::new();
        item.quantity = Some(line.quantity.into());
        item.price_data = Some(price);
        item
    }

    #[test]
    fn a_session_is_what_the_typed_request_says() {
        with_session(|session| {
            let sorted = |prepared: &Prepared| {
                let form = readable(prepared.form.as_deref().unwrap());
                let mut pairs: Vec<_> = form.lines().map(str::to_owned).collect();
                pairs.sort_unstable();
                pairs
            };
            let (ours, typed) = (session.prepare().unwrap(), typed(&session));
            assert_eq!((ours.call, &ours.target), (typed.call, &typed.target));
            assert_eq!(sorted(&ours), sorted(&typed));
        });
    }

    #[test]
    fn a_session_is_made_of_the_row_alone() {
        with_session(|session| {
            let prepared = session.prepare().unwrap();
            assert_eq!(prepared.target, "/v1/checkout/sessions");
            insta::assert_snapshot!(readable(prepared.form.as_deref().unwrap()));
            for _ in 0..20 {
                assert_eq!(session.prepare().unwrap(), prepared, "the same bytes each time");
            }
        });
    }

    #[test]
    fn reads_have_their_targets() {
        let id = SessionId::parse("cs_test_1").unwrap();
        let types = ["checkout.session.completed", "checkout.session.expired"];
        let targets = [
            retrieve_session(&id),
            list_line_items(&id),
            list_sessions(Made { since_s: 1_790_000_000, until_s: 1_790_086_400, after: None }),
            list_sessions(Made { since_s: 0, until_s: 1, after: Some(&id) }),
            list_events(EventPage::Newest, &types),
            list_events(EventPage::NewerThan("evt_1"), &types[..1]),
            list_events(EventPage::OlderThan("evt_1"), &types[..1]),
        ];
        assert!(targets.iter().all(|prepared| prepared.form.is_none()));
        let targets: Vec<_> = targets.iter().map(|prepared| readable(&prepared.target)).collect();
        insta::assert_snapshot!(targets.join("\n\n"));
    }
}
