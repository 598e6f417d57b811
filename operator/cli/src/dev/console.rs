//! What the console is told of a shop on a laptop.

use std::net::SocketAddr;

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
    let of =
        |id: ServiceId| bound.addresses().remove(&id).filter(|_| bound.services.contains_key(&id));
    let url = |address: SocketAddr| format!("http://{address}").parse().ok();
    ConsoleSettings {
        shop: shop.to_owned(),
        connection: Connection::new(&broker.brokers().join(",")),
        scope: Scope { names: Names::new(spec.prefix()), send_on: spec.send_on() },
        analytics: of(ServiceId::Analytics).and_then(|at| url(at.http)),
        payment_admin: of(ServiceId::Payment).and_then(|at| url(at.admin)),
        links: report.links(),
    }
}
