//! What `POST /payment` may ask for: shape, limits, and the fingerprint by which a repeated request is
//! known. Pure; knows no prices.

use schemars::JsonSchema;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use storefront_contract::{
    events::{CART_MAX_LINES, TEXT_MAX_LENGTH},
    object::objects,
    product::{ID_PATTERN, is_product_id},
};

/// Most pieces of one product in one cart. Far above what a shopper means, far below what makes
/// sums overflow.
pub const QUANTITY_MAX: u32 = 1_000;
/// Longest address, by RFC 5321, section 4.5.3.1.3 (256 octets with the angle brackets).
const EMAIL_MAX_LENGTH: usize = 254;
/// Longest local part, by RFC 5321, section 4.5.3.1.1.
const EMAIL_LOCAL_MAX_LENGTH: usize = 64;
/// Enough to repair a form in one go; a bound on the answer to a body of nothing but mistakes.
const PROBLEMS_MAX: usize = 20;

/// The body of `POST /payment`. Unknown fields are refused: whoever sends `amount` believes that it
/// has an effect.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PaymentRequest {
    /// The shopper, as the shop's front end names them: 1 to 255 bytes, no control characters.
    #[schemars(length(min = 1, max = TEXT_MAX_LENGTH), regex(pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))]
    pub user_id: String,
    /// Where the receipt goes; without it, the address that the shopper gives Stripe.
    #[serde(default)]
    #[schemars(email, length(max = EMAIL_MAX_LENGTH))]
    pub email: Option<String>,
    /// Lines of the same product are added up.
    #[schemars(length(min = 1, max = CART_MAX_LINES))]
    #[serde(deserialize_with = "objects")]
    pub cart: Vec<RequestedLine>,
}

/// One line of a requested cart.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestedLine {
    /// Product id in the catalog.
    #[schemars(regex(pattern = ID_PATTERN))]
    pub id: String,
    /// Pieces of the product, in all lines together.
    #[schemars(range(min = 1, max = QUANTITY_MAX))]
    pub quantity: u32,
    /// The price of one piece that the shopper saw, in minor units. It never sets the price: when it
    /// is not the catalog's, the request is refused, so that nobody pays what they did not see.
    #[serde(default)]
    pub price: Option<i64>,
}

/// A request whose shape and limits hold; each product has one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedRequest {
    pub user_id: String,
    pub email: Option<String>,
    pub cart: Vec<RequestedLine>,
}

/// One field that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, JsonSchema)]
pub struct FieldProblem {
    /// JSON pointer into the body (RFC 6901), such as `/cart/0/quantity`.
    pub pointer: String,
    pub detail: String,
}

/// Collects problems up to a bound.
#[derive(Default)]
struct Problems(Vec<FieldProblem>);

impl Problems {
    fn add(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        if self.0.len() < PROBLEMS_MAX {
            self.0.push(FieldProblem { pointer: pointer.into(), detail: detail.into() });
        }
    }
}

impl PaymentRequest {
    /// Checks every field and adds up lines of the same product.
    pub fn check(self) -> Result<CheckedRequest, Vec<FieldProblem>> {
        let mut problems = Problems::default();
        let Self { user_id, email, cart } = self;
        if user_id.is_empty() || user_id.len() > TEXT_MAX_LENGTH {
            problems.add("/userId", format!("must have 1 to {TEXT_MAX_LENGTH} bytes"));
        } else if user_id.chars().any(char::is_control) {
            problems.add("/userId", "must not contain control characters");
        }
        if email.as_deref().is_some_and(|email| !is_email(email)) {
            problems.add("/email", "must be an address such as name@example.com");
        }
        let cart = check_cart(cart, &mut problems);
        if problems.0.is_empty() {
            Ok(CheckedRequest { user_id, email, cart })
        } else {
            Err(problems.0)
        }
    }
}

fn check_cart(cart: Vec<RequestedLine>, problems: &mut Problems) -> Vec<RequestedLine> {
    if cart.is_empty() || cart.len() > CART_MAX_LINES {
        problems.add("/cart", format!("must have 1 to {CART_MAX_LINES} lines, not {}", cart.len()));
        return Vec::new();
    }
    let mut merged: Vec<RequestedLine> = Vec::with_capacity(cart.len());
    for (index, line) in cart.into_iter().enumerate() {
        if !is_product_id(&line.id) {
            let detail = "must be a product id: 1 to 64 letters, digits, `.`, `_` and `-`";
            problems.add(format!("/cart/{index}/id"), detail);
            continue;
        }
        // At most 100 lines, so looking through them is cheaper than hashing.
        let earlier = merged.iter_mut().find(|earlier| earlier.id == line.id);
        let quantity = line.quantity.saturating_add(earlier.as_ref().map_or(0, |e| e.quantity));
        if line.quantity == 0 || quantity > QUANTITY_MAX {
            let detail = format!("must be 1 to {QUANTITY_MAX} pieces of a product in all");
            problems.add(format!("/cart/{index}/quantity"), detail);
        }
        match earlier {
            None => merged.push(line),
            Some(earlier) => {
                if earlier.price.zip(line.price).is_some_and(|(one, other)| one != other) {
                    let detail = "differs from the price of an earlier line of this product";
                    problems.add(format!("/cart/{index}/price"), detail);
                }
                earlier.quantity = quantity;
                earlier.price = earlier.price.or(line.price);
            }
        }
    }
    merged
}

/// Good enough to send a receipt to, and nothing that could break out of a mail header. Whether the
/// mailbox exists, only a mail can tell.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let forbidden = |c: char| {
        c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | ',' | ';' | '"' | '\\')
    };
    let labels = || domain.split('.');
    (1..=EMAIL_LOCAL_MAX_LENGTH).contains(&local.len())
        && text.len() <= EMAIL_MAX_LENGTH
        && !local.contains('@')
        && !text.contains(forbidden)
        && labels().count() >= 2
        && labels().all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_alphanumeric() || c == '-')
        })
}

impl CheckedRequest {
    /// SHA-256, in hexadecimal, of everything the client asked for. Two bodies that mean the same
    /// (other blanks, other order of fields) have the same one.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        // Each part goes with its length, so that no two requests give the same bytes.
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        part(self.user_id.as_bytes());
        part(&[u8::from(self.email.is_some())]);
        part(self.email.as_deref().unwrap_or_default().as_bytes());
        for line in &self.cart {
            part(line.id.as_bytes());
            part(&line.quantity.to_be_bytes());
            part(line.price.map(i64::to_be_bytes).as_ref().map_or(&[], |bytes| &bytes[..]));
        }
        hex::encode(hash.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<CheckedRequest, String> {
        let request: PaymentRequest = serde_json::from_str(body).map_err(|e| e.to_string())?;
        request.check().map_err(|problems| {
            let lines = problems.iter().map(|p| format!("{} {}", p.pointer, p.detail));
            lines.collect::<Vec<_>>().join("\n")
        })
    }

    fn cart(lines: &str) -> Result<CheckedRequest, String> {
        read(&format!(r#"{{"userId":"u","cart":[{lines}]}}"#))
    }

    #[test]
    fn what_cannot_be_paid_is_refused_with_its_field() {
        let long = "u".repeat(256);
        let many = vec![r#"{"id":"a","quantity":1}"#; 101].join(",");
        let bodies = [
            r"{}".to_owned(),
            r#"{"userId":"","cart":[]}"#.into(),
            format!(r#"{{"userId":"{long}","cart":[{{"id":"a","quantity":1}}]}}"#),
            r#"{"userId":"a\u0000b","email":"a@b","cart":[{"id":"a","quantity":1}]}"#.into(),
            format!(r#"{{"userId":"u","cart":[{many}]}}"#),
            r#"{"userId":"u","cart":[{"id":"a","quantity":0},{"id":"a:b","quantity":1}]}"#.into(),
            r#"{"userId":"u","cart":[{"id":"a","quantity":1001}]}"#.into(),
            r#"{"userId":"u","cart":[{"id":"a","quantity":999},{"id":"a","quantity":2}]}"#.into(),
            r#"{"userId":"u","cart":[{"id":"a","quantity":1,"price":5},{"id":"a","quantity":1,"price":6}]}"#.into(),
            r#"{"userId":"u","cart":[{"id":"a","quantity":-1}]}"#.into(),
            r#"{"userId":"u","cart":[{"id":"a","quantity":1.5}]}"#.into(),
            r#"{"userId":"u","cart":[{"id":"a","quantity":"1e9"}]}"#.into(),
            r#"{"userId":"u","cart":[{"id":"a","quantity":2147483648}]}"#.into(),
            r#"{"userId":"u","cart":[{"id":"a","quantity":9223372036854775808}]}"#.into(),
            r#"{"userId":"u","cart":[{"id":"a","quantity":NaN}]}"#.into(),
            r#"{"userId":"u","amount":1,"cart":[{"id":"a","quantity":1}]}"#.into(),
            r#"{"userId":"u","cart":[{"id":"a","quantity":1,"total":1}]}"#.into(),
            r#"{"userId":"u","isAdmin":true,"cart":[]}"#.into(),
        ];
        let table: Vec<String> = bodies
            .iter()
            .map(|body| {
                let shown: String = body.chars().take(90).collect();
                format!("{shown}\n  {}", read(body).unwrap_err().replace('\n', "\n  "))
            })
            .collect();
        insta::assert_snapshot!(table.join("\n"));
    }

    #[test]
    fn lines_of_one_product_are_added_up() {
        let checked = cart(
            r#"{"id":"a","quantity":1},{"id":"b","quantity":2},{"id":"a","quantity":3,"price":5}"#,
        );
        let line = |id: &str, quantity, price| RequestedLine { id: id.into(), quantity, price };
        assert_eq!(checked.unwrap().cart, [line("a", 4, Some(5)), line("b", 2, None)]);
    }

    #[test]
    fn addresses_are_checked_simply() {
        for good in ["a@b.co", "first.last+tag@sub.example.com", "o'neil@пример.рф"] {
            assert!(is_email(good), "{good}");
        }
        let header = "a@b.co\r\nBcc: x@y.zz";
        for bad in
            ["", "a", "a@b", "@b.co", "a@.co", "a@b.", "a@b@c.co", "a b@c.co", header, "<a@b.co>"]
        {
            assert!(!is_email(bad), "{bad:?}");
        }
        assert!(!is_email(&format!("{}@b.co", "a".repeat(65))));
        assert!(!is_email(&format!("a@{}.co", "b".repeat(250))));
    }

    #[test]
    fn the_fingerprint_is_of_the_meaning_not_of_the_bytes() {
        let one = cart(r#"{"id":"a","quantity":1,"price":5}"#).unwrap().fingerprint();
        let same = r#" { "cart" : [ {"price":5, "quantity":1, "id":"a"} ], "userId":"u" }"#;
        assert_eq!(one, read(same).unwrap().fingerprint());
        assert_eq!(one.len(), 64);
        for other in [
            r#"{"id":"a","quantity":2,"price":5}"#,
            r#"{"id":"a","quantity":1}"#,
            r#"{"id":"a","quantity":1,"price":6}"#,
            r#"{"id":"a","quantity":1,"price":5},{"id":"b","quantity":1}"#,
        ] {
            assert_ne!(one, cart(other).unwrap().fingerprint(), "{other}");
        }
    }
}
