//! What the shop answers: payment's list of what Stripe says was paid, and each order as its shopper sees it.

use anyhow::{Context as _, bail};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::compare::{Checkout, Order, Sort};
use crate::{
    args::AuditArguments,
    http::{Client, HttpError, below},
};

/// Orders that are asked for at once.
const AT_ONCE: usize = 16;
/// Most sessions of one audit: they are held in memory.
const SESSIONS_MAX: usize = 1_000_000;

/// The shop's two doors.
pub struct Shop {
    client: Client,
    payment: Url,
    gateway: Url,
}

/// What payment did about a gap.
#[derive(Debug, Deserialize)]
pub struct Done {
    /// The state that the payment is in.
    pub state: String,
}

#[derive(Deserialize)]
struct Page {
    sessions: Vec<Checkout>,
    #[serde(default)]
    next: Option<String>,
}

impl Shop {
    /// Asks the console of `storefront dev` where payment's admin port is, unless that was said.
    pub async fn find(arguments: &AuditArguments) -> anyhow::Result<Self> {
        let client = Client::default();
        let payment = match &arguments.payment {
            Some(url) => url.clone(),
            None => told_by_the_console(&client, &arguments.console).await?,
        };
        Ok(Self { client, payment, gateway: arguments.gateway.clone() })
    }

    /// Everything that Stripe says was paid in a span.
    pub async fn paid(&self, since: Timestamp, until: Timestamp) -> anyhow::Result<Vec<Checkout>> {
        let mut paid = Vec::new();
        let mut after: Option<String> = None;
        // Stripe's times are whole seconds, and the one that has begun belongs to the span.
        let until_s = until.as_second() + i64::from(until.subsec_nanosecond() > 0);
        loop {
            let mut url = below(&self.payment, "audit/sessions");
            url.query_pairs_mut()
                .append_pair("since", &since.as_second().to_string())
                .append_pair("until", &until_s.to_string());
            if let Some(after) = &after {
                url.query_pairs_mut().append_pair("after", after);
            }
            let page: Page = self.read(&url).await?;
            paid.extend(page.sessions);
            if paid.len() > SESSIONS_MAX {
                bail!(
                    "more than {SESSIONS_MAX} sessions were paid: narrow it by --since and --until"
                );
            }
            match page.next {
                None => return Ok(paid),
                // A list that does not move on would be asked for for ever.
                next if next == after => bail!("{} does not go on", below(&self.payment, "audit")),
                next => after = next,
            }
        }
    }

    /// One session; `None` when it is none of the shop's.
    pub async fn session(&self, id: &str) -> anyhow::Result<Option<Checkout>> {
        let url = below(&self.payment, &format!("audit/sessions/{id}"));
        match self.read(&url).await {
            Ok(session) => Ok(Some(session)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The orders of some payments, where there is one.
    pub async fn orders(
        &self,
        paid: Vec<(String, String)>,
    ) -> anyhow::Result<Vec<(String, Order)>> {
        let found = stream::iter(paid)
            .map(|(session, order)| async move {
                let url = below(&self.gateway, &format!("orders/{order}"));
                match self.read::<Order>(&url).await {
                    Ok(order) => Ok(Some((session, order))),
                    Err(error) if is_missing(&error) => Ok(None),
                    Err(error) => Err(error),
                }
            })
            .buffer_unordered(AT_ONCE);
        found.try_filter_map(async |order| Ok(order)).try_collect().await
    }

    /// Has payment close a gap.
    pub async fn close(&self, session: &str, missing: Sort) -> anyhow::Result<Done> {
        let url = below(&self.payment, &format!("audit/sessions/{session}/close"));
        let answer = self.client.tell(&url, &json!({"missing": missing.word()})).await?;
        Ok(serde_json::from_value(answer.json()?)?)
    }

    /// Has payment count what was found.
    pub async fn count(&self, counts: &[(Sort, usize)]) -> anyhow::Result<()> {
        let url = below(&self.payment, "audit/findings");
        let counts = counts.iter().map(|(sort, count)| (sort.word().to_owned(), json!(count)));
        let counts = counts.collect::<serde_json::Map<_, _>>().into();
        Ok(self.client.tell(&url, &counts).await?.ok()?)
    }

    async fn read<T: serde::de::DeserializeOwned>(&self, url: &Url) -> anyhow::Result<T> {
        let answer = self.client.get(url).await?.json()?;
        let mut shown = url.clone();
        shown.set_query(None);
        serde_json::from_value(answer)
            .with_context(|| format!("{shown} answers what another version would"))
    }
}

async fn told_by_the_console(client: &Client, console: &Url) -> anyhow::Result<Url> {
    let found = async {
        let answer = client.get(&below(console, "api/addresses")).await?.json()?;
        let address = answer["paymentAdmin"].as_str().and_then(|text| text.parse().ok());
        address.context("the shop that runs there has no payment service")
    };
    found.await.context(
        "nobody says where payment's admin port is: start `storefront dev` (or say with --console where \
         its console is), or name it with --payment; in a cluster after `kubectl port-forward \
         deployment/NAME-payment 9000`",
    )
}

fn is_missing(error: &anyhow::Error) -> bool {
    let refused = error.downcast_ref::<HttpError>();
    matches!(refused, Some(HttpError::Refused { status: StatusCode::NOT_FOUND, .. }))
}
