//! What the tests say to a sandbox.

use http::Request;
use serde_json::Value;
use storefront_sandbox::Sandbox;
use storefront_testkit::{Http, Reply};

/// A request for a session of two lines, 38,497.00 rupees in all.
pub const CART: &[(&str, &str)] = &[
    ("mode", "payment"),
    ("success_url", "http://shop.example/success?session_id={CHECKOUT_SESSION_ID}"),
    ("cancel_url", "http://shop.example/"),
    ("customer_email", "asha@example.com"),
    ("metadata[shop]", "default/demo"),
    ("metadata[cart]", "phone:2,case:1"),
    ("line_items[0][price_data][currency]", "inr"),
    ("line_items[0][price_data][unit_amount]", "1899900"),
    ("line_items[0][price_data][product_data][name]", "Nova <b>5G</b> {{7*7}}"),
    ("line_items[0][quantity]", "2"),
    ("line_items[1][price_data][currency]", "inr"),
    ("line_items[1][price_data][unit_amount]", "49900"),
    ("line_items[1][price_data][product_data][name]", "Case"),
    ("line_items[1][quantity]", "1"),
];

pub struct Client {
    pub base: String,
    pub http: Http,
}

impl Client {
    pub fn of(sandbox: &Sandbox) -> Self {
        Self { base: sandbox.stripe_url(), http: Http::default() }
    }

    pub async fn get(&self, path: &str) -> Reply {
        let request = Request::get(format!("{}{path}", self.base))
            .header("authorization", format!("Bearer {}", Sandbox::API_KEY));
        self.http.send(request.body(Vec::new().into()).unwrap()).await.unwrap()
    }

    pub async fn get_json(&self, path: &str) -> Value {
        self.get(path).await.expect_status(200).unwrap().json().unwrap()
    }

    pub async fn post(&self, path: &str, params: &[(&str, &str)], key: Option<&str>) -> Reply {
        self.try_post(path, params, key).await.unwrap()
    }

    /// For answers that do not come.
    pub async fn try_post(
        &self,
        path: &str,
        params: &[(&str, &str)],
        key: Option<&str>,
    ) -> anyhow::Result<Reply> {
        let body =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
        let mut request = Request::post(format!("{}{path}", self.base))
            .header("authorization", format!("Bearer {}", Sandbox::API_KEY))
            .header("content-type", "application/x-www-form-urlencoded");
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        self.http.send(request.body(body.into_bytes().into())?).await
    }

    /// A new session.
    pub async fn create(&self) -> Value {
        let reply = self.post("/v1/checkout/sessions", CART, None).await;
        reply.expect_status(200).unwrap().json().unwrap()
    }

    /// The id of a new session.
    pub async fn session(&self) -> String {
        self.create().await["id"].as_str().unwrap().to_owned()
    }

    /// What a shopper or a bank does.
    pub async fn act(&self, id: &str, action: &str) -> Reply {
        self.http.post(format!("{}/control/sessions/{id}/{action}", self.base)).await.unwrap()
    }

    pub async fn faults(&self, faults: Value) -> Reply {
        self.http.put_json(format!("{}/control/faults", self.base), &faults).await.unwrap()
    }
}

/// The ids of a page.
pub fn ids(list: &Value) -> Vec<String> {
    let data = list["data"].as_array().unwrap();
    data.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

/// The value with every id and time replaced by its kind.
pub fn redacted(value: &Value) -> Value {
    const PREFIXES: [&str; 8] = ["cs_test", "pi", "ch", "li", "price", "prod", "evt", "req"];
    const VARYING: [&str; 7] =
        ["created", "expires_at", "expiresAt", "updated", "ID", "Created", "Size"];
    match value {
        Value::Array(items) => items.iter().map(redacted).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| {
                let varies = VARYING.contains(&name.as_str());
                let value = if varies { format!("[{name}]").into() } else { redacted(value) };
                (name.clone(), value)
            })
            .collect(),
        Value::String(text) => {
            let is = |prefix: &&&str| {
                let rest = text.strip_prefix(**prefix).and_then(|rest| rest.strip_prefix('_'));
                rest.is_some_and(|rest| rest.len() >= 10)
            };
            match PREFIXES.iter().find(is) {
                Some(prefix) => format!("[{prefix}]").into(),
                // The checkout page's address holds a port and the session's id.
                None if text.contains("/checkout/") => "[address of the session]".into(),
                None => text.clone().into(),
            }
        }
        other => other.clone(),
    }
}

/// A page as it is written, without what is the same on each of them, and with its ids and times
/// replaced.
pub fn page_text(html: &str, ids: &[&str]) -> String {
    let mut text = html.to_owned();
    for (from, to) in [("<style>", "</style>"), ("<script>", "</script>")] {
        if let (Some(start), Some(end)) = (text.find(from), text.find(to)) {
            text.replace_range(start + from.len()..end, "…");
        }
    }
    for id in ids {
        text = text.replace(id, "[id]");
    }
    let mut parts = text.split("<time datetime=\"");
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        whole += "<time>";
        whole += part.split_once("</time>").map_or(part, |(_, rest)| rest);
    }
    whole
}
