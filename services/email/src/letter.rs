//! What a mail says: from a purchase to subject, text and HTML. Pure; knows no addresses.

use askama::Template as _;
use jiff::Timestamp;
use storefront_contract::{CartLine, Currency, Money, Template};
use url::Url;
use uuid::Uuid;

use crate::words;

/// Longest product name in a mail, in characters: the catalog's own limit.
const NAME_MAX_CHARS: usize = 200;

/// What was bought, whichever event told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purchase {
    pub order_id: Uuid,
    pub session_id: String,
    pub user_id: String,
    pub cart: Vec<CartLine>,
    /// In minor units.
    pub amount: i64,
    pub currency: Currency,
    /// When it was paid, or when the order was stored.
    pub at: Timestamp,
}

/// A mail before it is put into an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// One line, without control characters.
    pub subject: String,
    pub text: String,
    /// Everything that came from outside is escaped.
    pub html: String,
}

/// What the templates show. Texts are clean single lines; the HTML templates escape them.
struct View {
    title: &'static str,
    shop: String,
    order_id: String,
    date: String,
    lines: Vec<LineView>,
    total: String,
    currency: Currency,
    link: String,
}

struct LineView {
    name: String,
    quantity: u32,
    price: String,
    total: String,
}

#[derive(askama::Template)]
#[template(path = "payment-receipt.html")]
struct ReceiptHtml<'a> {
    mail: &'a View,
}

#[derive(askama::Template)]
#[template(path = "payment-receipt.txt")]
struct ReceiptText<'a> {
    mail: &'a View,
}

#[derive(askama::Template)]
#[template(path = "order-confirmation.html")]
struct ConfirmationHtml<'a> {
    mail: &'a View,
}

#[derive(askama::Template)]
#[template(path = "order-confirmation.txt")]
struct ConfirmationText<'a> {
    mail: &'a View,
}

/// Writes the mail of a template. `shop` is the name that people know the shop by, `public_url`
/// where its pages are.
pub fn write(
    template: Template,
    purchase: &Purchase,
    shop: &str,
    public_url: &Url,
) -> Result<Letter, askama::Error> {
    let mail = &view(template, purchase, shop, public_url);
    let (text, html) = match template {
        Template::PaymentReceipt => {
            (ReceiptText { mail }.render()?, ReceiptHtml { mail }.render()?)
        }
        Template::OrderConfirmation => {
            (ConfirmationText { mail }.render()?, ConfirmationHtml { mail }.render()?)
        }
    };
    // The first group of the id is enough to tell one's mails apart; the body has the whole.
    let number = mail.order_id.get(..8).unwrap_or_default();
    Ok(Letter { subject: format!("{}: {} ({number})", mail.shop, mail.title), text, html })
}

fn view(template: Template, purchase: &Purchase, shop: &str, public_url: &Url) -> View {
    let currency = purchase.currency;
    let money = |amount| Money { amount, currency }.to_string();
    let line = |line: &CartLine| LineView {
        name: words::one_line(&line.name, NAME_MAX_CHARS),
        quantity: line.quantity,
        price: money(line.price),
        // The event was checked: the sum of the lines can be counted.
        total: money(line.price.saturating_mul(i64::from(line.quantity))),
    };
    View {
        title: match template {
            Template::PaymentReceipt => "We received your payment",
            Template::OrderConfirmation => "Your order is placed",
        },
        shop: words::one_line(shop, NAME_MAX_CHARS),
        order_id: purchase.order_id.to_string(),
        date: purchase.at.strftime("%-d %B %Y, %H:%M UTC").to_string(),
        lines: purchase.cart.iter().map(line).collect(),
        total: money(purchase.amount),
        currency,
        link: link(public_url, &purchase.session_id),
    }
}

/// The page that shows the order: `/success` under the shop's public URL.
fn link(public_url: &Url, session_id: &str) -> String {
    let mut url = public_url.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().push("success");
    }
    url.query_pairs_mut().clear().append_pair("session_id", session_id);
    url.set_fragment(None);
    url.into()
}
