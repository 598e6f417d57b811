//! The twins in Node that `tests/bench` measures against: two of each, too.

use std::path::Path;

use anyhow::Result;
use storefront_contract::ServiceId;
use storefront_testkit::Instance;

use super::servers::Servers;
use crate::member::Member;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../bench/node");
/// Analytics only writes down what it reads.
const SERVICES: [ServiceId; 4] =
    [ServiceId::Gateway, ServiceId::Payment, ServiceId::Order, ServiceId::Email];

/// Instances that do not run yet.
pub fn members(servers: &Servers) -> Result<Vec<Member>> {
    let libraries = Path::new(FOLDER).join("node_modules");
    anyhow::ensure!(libraries.exists(), "the twins need their libraries: `make chaos SHOP=node`");
    let mut members = Vec::new();
    for service in SERVICES {
        for (number, [port, _]) in (1..).zip(servers.ports[&service]) {
            let words = vec!["node".to_owned(), format!("{FOLDER}/{service}.js")];
            let settings = [
                ("NODE_ENV", "production".to_owned()),
                ("GATEWAY_PORT", port.to_string()),
                ("PAYMENT_PORT", port.to_string()),
                ("PAYMENT_URL", servers.front(ServiceId::Payment)),
                ("SUCCESS_URL", servers.front(ServiceId::Gateway)),
                ("STRIPE_API_BASE", servers.stripe()),
                ("STRIPE_SECRET_KEY", "sk_test_chaos".into()),
                ("KAFKA_BROKERS", servers.brokers.clone()),
                ("SMTP_PORT", servers.smtp.to_string()),
            ];
            let name = format!("{service}-{number}");
            let instance = Instance::of(words, port, &name, &settings)?;
            members.push(Member::new(service, number, instance, None));
        }
    }
    Ok(members)
}
