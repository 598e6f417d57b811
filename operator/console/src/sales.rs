//! The numbers of analytics, from its own port. Without them the page shows the rest.

use std::{error::Error, time::Duration};

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use serde_json::{Value, json};
use storefront_contract::Currency;
use url::Url;

const ANSWER_LIMIT: Duration = Duration::from_secs(2);
const BODY_MAX_BYTES: usize = 1 << 20;
const IDLE_LIMIT: Duration = Duration::from_secs(10);

/// Asks analytics.
pub struct Sales {
    client: Client<HttpConnector, Empty<Bytes>>,
    url: Option<Url>,
}

impl Sales {
    pub fn new(analytics: Option<Url>) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_LIMIT)
            .build_http();
        let url = analytics.map(|mut url| {
            url.set_path("/analytics");
            url
        });
        Self { client, url }
    }

    /// The report, with the decimals of each currency; `null` and why, when there is none.
    pub async fn report(&self) -> (Value, Option<String>) {
        let Some(url) = &self.url else {
            return (Value::Null, Some("analytics is left out of this shop".into()));
        };
        let asked = tokio::time::timeout(ANSWER_LIMIT, self.ask(url)).await;
        match asked.unwrap_or_else(|_| Err("analytics does not answer".into())) {
            Ok(mut report) => {
                report["decimals"] = decimals(&report);
                (report, None)
            }
            Err(why) => (Value::Null, Some(why)),
        }
    }

    async fn ask(&self, url: &Url) -> Result<Value, String> {
        let failed = |_: Box<dyn Error + Send + Sync>| "analytics cannot be reached".to_owned();
        let uri = url.as_str().parse().map_err(|_| "analytics has no address".to_owned())?;
        let answer = self.client.get(uri).await.map_err(|error| failed(error.into()))?;
        if answer.status() != StatusCode::OK {
            return Err(format!("analytics answers {}", answer.status()));
        }
        let body = Limited::new(answer.into_body(), BODY_MAX_BYTES).collect().await;
        let body = body.map_err(failed)?.to_bytes();
        serde_json::from_slice(&body).map_err(|_| "analytics answers with something else".into())
    }
}

/// Browsers know the decimals of most currencies, but not always Stripe's.
fn decimals(report: &Value) -> Value {
    let codes = report["revenue"].as_object().into_iter().flatten().map(|(code, _)| code);
    let known = codes.filter_map(|code| Some((code.clone(), code.parse::<Currency>().ok()?)));
    known.map(|(code, currency)| (code, json!(currency.exponent()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_currency_has_its_decimals() {
        let report = json!({"revenue": {"INR": 1, "JPY": 2, "UGX": 3, "?": 4}});
        assert_eq!(decimals(&report), json!({"INR": 2, "JPY": 0, "UGX": 2}));
        assert_eq!(decimals(&json!({})), json!({}));
    }

    #[tokio::test]
    async fn a_shop_without_analytics_says_so() {
        let (report, why) = Sales::new(None).report().await;
        assert!(report.is_null() && why.unwrap().contains("left out"));
        let gone = Sales::new(Some("http://127.0.0.1:1".parse().unwrap()));
        assert_eq!(gone.report().await.1.as_deref(), Some("analytics cannot be reached"));
    }
}
