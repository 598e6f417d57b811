//! What a mail says: from a purchase to subject, text and HTML. Pure; knows no addresses.

use askama::Template as _;
use jiff::Timestamp;
use storefront_contract::{CartLine, Color, Currency, Money, Template, settings::Branding};
use url::Url;
use uuid::Uuid;

use crate::words;

/// Longest product name in a mail, in characters: the catalog's own limit.
const NAME_MAX_CHARS: usize = 200;
/// What the layout's text stands on, light and dark.
const PAPER: Color = Color::WHITE;
const PAPER_DARK: Color = Color::new(0x1d, 0x21, 0x2b);

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
    /// What a list of mails shows after the subject.
    preheader: String,
    shop: String,
    shop_link: String,
    logo: Option<String>,
    primary: Color,
    on_primary: Color,
    link_color: Color,
    link_dark: Color,
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

/// Writes the mail of a template. `public_url` is where the shop's pages are.
pub fn write(
    template: Template,
    purchase: &Purchase,
    branding: &Branding,
    public_url: &Url,
) -> Result<Letter, askama::Error> {
    let mail = &view(template, purchase, branding, public_url);
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

fn view(template: Template, purchase: &Purchase, branding: &Branding, public_url: &Url) -> View {
    let currency = purchase.currency;
    let money = |amount| Money { amount, currency }.to_string();
    let line = |line: &CartLine| LineView {
        name: name_of(line),
        quantity: line.quantity,
        price: money(line.price),
        // The event was checked: the sum of the lines can be counted.
        total: money(line.price.saturating_mul(i64::from(line.quantity))),
    };
    let lines: Vec<LineView> = purchase.cart.iter().map(line).collect();
    let primary = branding.primary_color;
    View {
        title: match template {
            Template::PaymentReceipt => "We received your payment",
            Template::OrderConfirmation => "Your order is placed",
        },
        preheader: preheader(&lines, &money(purchase.amount)),
        shop: words::one_line(&branding.shop_name, NAME_MAX_CHARS),
        shop_link: public_url.to_string(),
        logo: branding.logo.as_deref().and_then(|logo| picture(public_url, logo)),
        primary,
        on_primary: primary.text(),
        link_color: primary.readable_on(PAPER),
        link_dark: primary.readable_on(PAPER_DARK),
        order_id: purchase.order_id.to_string(),
        date: purchase.at.strftime("%-d %B %Y, %H:%M UTC").to_string(),
        lines,
        total: money(purchase.amount),
        currency,
        link: link(public_url, &purchase.session_id),
    }
}

/// A name that shows nothing says less than the product's id.
fn name_of(line: &CartLine) -> String {
    let name = words::one_line(&line.name, NAME_MAX_CHARS);
    if name.is_empty() { words::one_line(&line.id, NAME_MAX_CHARS) } else { name }
}

fn preheader(lines: &[LineView], total: &str) -> String {
    let first = lines.first().map_or("", |line| line.name.as_str());
    match lines.len() {
        0 | 1 => format!("{total} for {first}"),
        count => format!("{total} for {first} and {} more", count - 1),
    }
}

/// The logo's whole address. Mail programs show no SVG: then the name stands alone.
fn picture(public_url: &Url, logo: &str) -> Option<String> {
    let url = public_url.join(logo).ok()?;
    let is_svg = url.path().to_ascii_lowercase().ends_with(".svg");
    (matches!(url.scheme(), "http" | "https") && !is_svg).then(|| url.into())
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
