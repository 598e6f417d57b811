//! The placement in containers of one machine, reached by the names that a compose file gives them. Files
//! are where a cluster has them: the same paths, filled otherwise.

use std::net::{Ipv4Addr, SocketAddr};

use storefront_contract::{CATALOG, catalog::ADMIN_PORT, settings::KafkaSecurity};

use super::{
    Placement, PlacementError,
    cluster::{INBOX_SMTP_PORT, SANDBOX_PORT},
    placement::url,
};
use crate::api::Storefront;

/// Names of the containers that are no services of ours.
pub(crate) const KAFKA: &str = "kafka";
pub(crate) const DATABASE: &str = "database";
pub(crate) const SANDBOX: &str = "sandbox";
pub(crate) const INBOX: &str = "inbox";
/// Where the brokers listen for containers; clients on the machine itself use the design's 9092.
pub(crate) const KAFKA_INTERNAL_PORT: u16 = 19092;
/// Where the gateway is published on the machine itself.
pub(crate) const GATEWAY_PORT: u16 = 8080;

impl Placement {
    /// Everything on one machine, in containers.
    pub fn compose(storefront: &Storefront) -> Result<Self, PlacementError> {
        let spec = &storefront.spec;
        let namespace = storefront.metadata.namespace.as_deref().unwrap_or("default");
        let mut placement = Self::cluster(storefront, namespace)?;
        for entry in CATALOG {
            let Some(place) = placement.services.get_mut(&entry.id) else { continue };
            place.http_listen = SocketAddr::from((Ipv4Addr::UNSPECIFIED, entry.http_port));
            place.admin_listen = SocketAddr::from((Ipv4Addr::UNSPECIFIED, ADMIN_PORT));
            place.url = url(&format!("http://{}:{}", entry.id, entry.http_port))?;
        }
        placement.public_url = url(&format!("http://127.0.0.1:{GATEWAY_PORT}"))?;
        if spec.is_sandbox() {
            let stand_in = url(&format!("http://{SANDBOX}:{SANDBOX_PORT}"))?;
            placement.stripe.api_base = stand_in.clone();
            placement.sandbox = Some(stand_in);
        }
        if spec.smtp().is_none() {
            INBOX.clone_into(&mut placement.smtp.host);
            placement.smtp.port = INBOX_SMTP_PORT;
        }
        if spec.managed_brokers().is_some() || spec.strimzi().is_some() {
            placement.brokers = vec![format!("{KAFKA}:{KAFKA_INTERNAL_PORT}")];
            placement.kafka_security = KafkaSecurity::default();
            placement.replication_max = Some(1);
        }
        Ok(placement)
    }
}
