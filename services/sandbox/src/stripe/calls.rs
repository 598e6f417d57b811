//! Which call a method and a path mean. Pure.

use http::Method;

/// A call of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    Create,
    Expire(String),
    Retrieve(String),
    List,
    LineItems(String),
    Events,
    Event(String),
    Intent(String),
}

impl Call {
    pub fn find(method: &Method, path: &str) -> Option<Self> {
        let segments: Vec<&str> = path.strip_prefix("/v1/")?.split('/').collect();
        let get = method == Method::GET;
        let post = method == Method::POST;
        Some(match segments.as_slice() {
            ["checkout", "sessions"] if post => Self::Create,
            ["checkout", "sessions"] if get => Self::List,
            ["checkout", "sessions", id] if get => Self::Retrieve((*id).into()),
            ["checkout", "sessions", id, "expire"] if post => Self::Expire((*id).into()),
            ["checkout", "sessions", id, "line_items"] if get => Self::LineItems((*id).into()),
            ["events"] if get => Self::Events,
            ["events", id] if get => Self::Event((*id).into()),
            ["payment_intents", id] if get => Self::Intent((*id).into()),
            _ => return None,
        })
    }

    pub fn is_post(&self) -> bool {
        matches!(self, Self::Create | Self::Expire(_))
    }

    /// The name that faults use; one of [`crate::faults::CALLS`].
    pub fn name(&self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Expire(_) => "expire",
            Self::Retrieve(_) => "retrieve",
            Self::List => "list",
            Self::LineItems(_) => "line_items",
            Self::Events => "events",
            Self::Event(_) => "event",
            Self::Intent(_) => "intent",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_calls() {
        let find = |method: Method, path| Call::find(&method, path).map(|call| call.name());
        assert_eq!(find(Method::POST, "/v1/checkout/sessions"), Some("create"));
        assert_eq!(find(Method::GET, "/v1/checkout/sessions/cs_1/line_items"), Some("line_items"));
        assert_eq!(find(Method::POST, "/v1/checkout/sessions/cs_1/expire"), Some("expire"));
        for (method, path) in [
            (Method::DELETE, "/v1/checkout/sessions/cs_1"),
            (Method::POST, "/v1/checkout/sessions/cs_1"),
            (Method::GET, "/v1/checkout/sessions/cs_1/expire"),
            (Method::GET, "/v1/customers"),
            (Method::GET, "/v1"),
            (Method::GET, "/v2/checkout/sessions"),
        ] {
            assert_eq!(find(method, path), None);
        }
    }
}
