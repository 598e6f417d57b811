//! What the success page says in each state. Pure.

use storefront_contract::Money;

use super::Verified;

/// The head of the page and how it goes on.
pub struct Words {
    /// For scripts and tests.
    pub state: &'static str,
    /// `done`, `wait` or `wrong`: the sign.
    pub mark: &'static str,
    pub title: &'static str,
    pub texts: Vec<String>,
    /// In how many milliseconds the script looks again; `None` when nothing can change any more.
    pub live_ms: Option<u32>,
    /// In how many seconds a browser without scripts loads the page again.
    pub refresh_s: Option<u32>,
    /// Where to go on paying.
    pub pay_url: Option<String>,
    /// What the way back is called.
    pub back: &'static str,
}

/// One step of an order on its way.
pub struct Step {
    /// `done`, `wait` or `wrong`.
    pub mark: &'static str,
    pub title: &'static str,
    pub text: &'static str,
}

const BACK_TO_CART: &str = "Back to the cart";
const BACK_TO_SHOP: &str = "Continue shopping";

impl Words {
    fn new(state: &'static str, mark: &'static str, title: &'static str, texts: &[&str]) -> Self {
        Self {
            state,
            mark,
            title,
            texts: texts.iter().map(ToString::to_string).collect(),
            live_ms: None,
            refresh_s: None,
            pay_url: None,
            back: BACK_TO_SHOP,
        }
    }

    fn looking_again(self, live_ms: u32, refresh_s: u32) -> Self {
        Self { live_ms: Some(live_ms), refresh_s: Some(refresh_s), ..self }
    }

    /// No session, or none of this shop's.
    pub fn nothing() -> Self {
        let texts = [
            "The link may be incomplete, or it belongs to another shop.",
            "If you have paid here, nothing is lost: the confirmation comes by mail, with your order number.",
        ];
        Self::new("unknown", "wrong", "This shop knows no such payment", &texts)
    }

    /// Payment cannot be asked.
    pub fn unreachable() -> Self {
        let texts = [
            "If you have paid, nothing is lost: your payment is safe, and a mail confirms it.",
            "This page looks again by itself. Please do not pay a second time.",
        ];
        let title = "Your payment cannot be checked at the moment";
        Self::new("unreachable", "wait", title, &texts).looking_again(2_000, 10)
    }

    /// A session of this shop; `mail` is the state of its order's mail once there is an order.
    pub fn of(verified: &Verified, mail: Option<&str>) -> Self {
        let amount = Money { amount: verified.amount, currency: verified.currency };
        match verified.status.as_str() {
            "paid" => {
                let paid = format!("Your payment of {amount} has arrived.");
                let words = Self::new("paid", "done", "Thank you for your order", &[&paid]);
                if is_settled(mail) { words } else { words.looking_again(700, 3) }
            }
            "open" => {
                let texts = ["Nothing was charged so far. Your cart is as you left it."];
                let words = Self::new("open", "wait", "Your payment is not finished", &texts);
                let url = verified.url.clone().filter(|url| is_web(url));
                Self { pay_url: url, back: BACK_TO_CART, ..words.looking_again(2_000, 15) }
            }
            "processing" => {
                let texts = [
                    "It is being confirmed. Some banks take minutes for that, others up to a few days.",
                    "You need not wait here: a mail follows as soon as the money has arrived. Please do not pay a second time.",
                ];
                let title = "Your payment is on its way";
                Self::new("processing", "wait", title, &texts).looking_again(1_500, 15)
            }
            "expired" => {
                let texts = [
                    "The time for this payment has run out. Nothing was charged, and your cart is as you left it.",
                ];
                let words = Self::new("expired", "wrong", "This payment has expired", &texts);
                Self { back: BACK_TO_CART, ..words }
            }
            "failed" => {
                let texts = [
                    "Nothing was charged, and your cart is as you left it. You can try again, with another card or another way to pay.",
                ];
                let title = "Your payment did not go through";
                Self { back: BACK_TO_CART, ..Self::new("failed", "wrong", title, &texts) }
            }
            // Of a newer payment service: nobody is told that they were not charged.
            _ => Self::unreachable(),
        }
    }
}

/// Whether neither the order nor its mail changes any more. Email has `none` until it has read of the
/// payment, which may be after the order service has.
fn is_settled(mail: Option<&str>) -> bool {
    matches!(mail, Some("sent" | "failed"))
}

fn is_web(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

/// The way of an order: paid, recorded, confirmed by mail.
pub fn steps(paid: bool, mail: Option<&str>) -> Vec<Step> {
    let step = |mark, title, text| Step { mark, title, text };
    let payment = if paid {
        step("done", "Payment", "received")
    } else {
        step("wait", "Payment", "being confirmed")
    };
    let order = match (paid, mail) {
        (true, Some(_)) => step("done", "Order", "recorded"),
        (true, None) => step("wait", "Order", "being recorded…"),
        (false, _) => step("todo", "Order", "recorded when the money has arrived"),
    };
    let mail = match mail {
        Some("sent") => step("done", "Confirmation mail", "sent"),
        Some("failed") => {
            step("wrong", "Confirmation mail", "could not be sent: please note the order number")
        }
        Some("none") => step("todo", "Confirmation mail", "not sent yet"),
        Some("queued" | "sending") => step("wait", "Confirmation mail", "on its way…"),
        Some(_) => step("wait", "Confirmation mail", "not known at the moment"),
        None => step("todo", "Confirmation mail", "follows"),
    };
    vec![payment, order, mail]
}
