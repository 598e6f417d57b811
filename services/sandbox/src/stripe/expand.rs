//! `expand[]`: which ids a client wants as whole objects (<https://docs.stripe.com/expand>).

use super::{error::StripeError, form::Node, params::Param};

/// Paths asked for.
#[derive(Debug, Clone, Default)]
pub struct Expand(Vec<String>);

/// What can be expanded in a session.
pub const IN_SESSION: &[&str] = &[
    "line_items",
    "line_items.data.price.product",
    "payment_intent",
    "payment_intent.latest_charge",
    "customer",
];
/// What can be expanded in a page of lines.
pub const IN_LINES: &[&str] = &["data.price.product"];
/// What can be expanded in a payment intent.
pub const IN_INTENT: &[&str] = &["latest_charge", "customer"];

impl Expand {
    /// Reads `expand[]`; `prefix` is `data.` in a list.
    pub fn read(params: &Node, known: &[&str], prefix: &str) -> Result<Self, StripeError> {
        let mut paths = Vec::new();
        for item in Param::of(params, "expand").items()? {
            let path = item.required()?;
            let inner = path.strip_prefix(prefix).filter(|inner| known.contains(inner));
            let inner = inner.ok_or_else(|| {
                item.invalid(format!("This property cannot be expanded ({path})."))
            })?;
            paths.push(inner.to_owned());
        }
        Ok(Self(paths))
    }

    /// Whether `path`, or something below it, is wanted.
    pub fn has(&self, path: &str) -> bool {
        self.0.iter().any(|wanted| {
            wanted.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }

    /// What is wanted below `path`.
    pub fn below(&self, path: &str) -> Self {
        let rests = self.0.iter().filter_map(|wanted| wanted.strip_prefix(path)?.strip_prefix('.'));
        Self(rests.map(str::to_owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stripe::form;

    #[test]
    fn paths_are_followed_downwards() {
        let params = form::parse(b"expand[]=line_items.data.price.product").unwrap();
        let expand = Expand::read(&params, IN_SESSION, "").unwrap();
        assert!(expand.has("line_items") && !expand.has("line") && !expand.has("payment_intent"));
        assert!(expand.below("line_items").below("data").has("price.product"));
        let error = Expand::read(&params, IN_LINES, "").unwrap_err();
        assert_eq!(
            error.message,
            "This property cannot be expanded (line_items.data.price.product)."
        );
        assert_eq!(error.param.as_deref(), Some("expand[0]"));
    }
}
