//! Flags of `orders`, `trace` and `purchase`.

use std::{str::FromStr, time::Duration};

use clap::Args;
use url::Url;
use uuid::Uuid;

use super::{
    BrokerArguments, OutputArguments,
    values::{Unrepeated, http_url, order_id, span},
};

pub(super) const GATEWAY: &str = "http://127.0.0.1:8080";

/// Flags of `orders`.
#[derive(Args, Debug)]
pub struct OrdersArguments {
    /// Ask the shop for this order, with its mail's state [default: list the latest orders].
    #[arg(value_name = "ORDER", value_parser = order_id)]
    pub order: Option<Uuid>,
    /// List so many.
    #[arg(long, value_name = "COUNT", default_value_t = 20,
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
    /// List only orders of this user.
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// Address of the shop's gateway, to ask for one order.
    #[arg(long, value_name = "URL", value_parser = Unrepeated(http_url), default_value = GATEWAY,
          env = "STOREFRONT_GATEWAY", hide_env_values = true)]
    pub gateway: Url,
    #[command(flatten)]
    pub output: OutputArguments,
    #[command(flatten)]
    pub brokers: BrokerArguments,
}

/// Flags of `trace`.
#[derive(Args, Debug)]
pub struct TraceArguments {
    /// Order id, Checkout session (`cs_…`) or user id.
    #[arg(value_name = "ID")]
    pub id: String,
    /// Look only at messages since then, a span ago; `all` is everything that the topics keep.
    #[arg(long, value_name = "SPAN", default_value = "all", value_parser = since)]
    pub since: Since,
    /// Address of the shop's gateway, to ask for orders.
    #[arg(long, value_name = "URL", value_parser = Unrepeated(http_url), default_value = GATEWAY,
          env = "STOREFRONT_GATEWAY", hide_env_values = true)]
    pub gateway: Url,
    /// Address of a mail inbox with Mailpit's API, to look for mails.
    #[arg(long, value_name = "URL", value_parser = Unrepeated(http_url), default_value = "http://127.0.0.1:8025",
          env = "STOREFRONT_INBOX", hide_env_values = true)]
    pub inbox: Url,
    #[command(flatten)]
    pub output: OutputArguments,
    #[command(flatten)]
    pub brokers: BrokerArguments,
}

/// How far back to look; `None` is everything.
pub type Since = Option<Duration>;

fn since(text: &str) -> Result<Since, String> {
    if text == "all" { Ok(None) } else { span(text).map(Some) }
}

/// Flags of `purchase`.
#[derive(Args, Debug)]
pub struct PurchaseArguments {
    /// Address of the shop's gateway.
    #[arg(long, value_name = "URL", value_parser = Unrepeated(http_url), default_value = GATEWAY,
          env = "STOREFRONT_GATEWAY", hide_env_values = true)]
    pub gateway: Url,
    /// Address of the stand-in for Stripe, to pay at its control API [default: pay on its checkout
    /// page, through the gateway].
    #[arg(long, value_name = "URL", value_parser = Unrepeated(http_url),
          env = "STOREFRONT_SANDBOX", hide_env_values = true)]
    pub sandbox: Option<Url>,
    /// What to buy, PRODUCT or PRODUCT:QUANTITY; may be repeated [default: one of the catalog's first].
    #[arg(long, value_name = "PRODUCT")]
    pub item: Vec<Item>,
    /// Who buys; with --count, followed by a dash and a number.
    #[arg(long, value_name = "USER", default_value = "terminal")]
    pub user: String,
    /// Where the mail goes [default: USER@example.com].
    #[arg(long, value_name = "ADDRESS")]
    pub email: Option<String>,
    /// Be content with the order; do not wait for its mail.
    #[arg(long)]
    pub no_mail: bool,
    /// Longest time for one purchase, from the catalog to the mail.
    #[arg(long, value_name = "SPAN", default_value = "60s", value_parser = span)]
    pub limit: Duration,
    /// How long to wait for a shop that is not there yet, before the first purchase.
    #[arg(long, value_name = "SPAN", default_value = "0s", hide_default_value = true, value_parser = span)]
    pub wait: Duration,
    /// How many purchases.
    #[arg(long, value_name = "COUNT", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub count: u32,
    /// How many of them at the same time.
    #[arg(long, value_name = "COUNT", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=256))]
    pub concurrency: u32,
    #[command(flatten)]
    pub output: OutputArguments,
}

/// A product and how many of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub id: String,
    pub quantity: u32,
}

impl FromStr for Item {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fault = || "write PRODUCT or PRODUCT:QUANTITY, such as phone:2".to_owned();
        let (id, quantity) = match text.rsplit_once(':') {
            Some((id, quantity)) => (id, quantity.parse().map_err(|_| fault())?),
            None => (text, 1),
        };
        let right = !id.is_empty() && quantity > 0;
        if right { Ok(Self { id: id.to_owned(), quantity }) } else { Err(fault()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_a_product_and_a_quantity() {
        assert_eq!("phone".parse(), Ok(Item { id: "phone".into(), quantity: 1 }));
        assert_eq!("phone:3".parse(), Ok(Item { id: "phone".into(), quantity: 3 }));
        for wrong in ["", ":2", "phone:", "phone:0", "phone:x"] {
            assert!(wrong.parse::<Item>().is_err(), "{wrong}");
        }
    }
}
