//! What the console is told of a shop on a laptop.

use storefront_console::ConsoleSettings;
use storefront_contract::{Names, ServiceId};
use storefront_inspect::{Connection, Scope};
use storefront_operator::StorefrontSpec;

use super::{broker::Broker, listen::Bound, report::Report};

/// The console's settings.
pub fn settings(
    shop: &str,
    spec: &StorefrontSpec,
    bound: &Bound,
    broker: &Broker,
    report: &Report,
) -> ConsoleSettings {
    let analytics = bound.services.contains_key(&ServiceId::Analytics);
    let analytics = bound.addresses().remove(&ServiceId::Analytics).filter(|_| analytics);
    ConsoleSettings {
        shop: shop.to_owned(),
        connection: Connection::new(&broker.brokers().join(",")),
        scope: Scope { names: Names::new(spec.prefix()), send_on: spec.send_on() },
        analytics: analytics.and_then(|at| format!("http://{}", at.http).parse().ok()),
        links: report.links(),
    }
}
