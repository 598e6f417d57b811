//! Names of the objects that a Storefront becomes. All of them are made here, from the Storefront's name
//! and a part, so that they can be found again and never collide.

/// The brokers: `StatefulSet`, Service for clients, and what belongs to their disks.
pub const KAFKA: &str = "kafka";
/// The Service that gives each broker a name of its own.
pub const KAFKA_NODES: &str = "kafka-nodes";
/// The user of a Strimzi cluster.
pub const KAFKA_USER: &str = "kafka-user";
/// PostgreSQL: `StatefulSet`, Service, and the Secret with its password and URL.
pub const DATABASE: &str = "database";
/// The stand-in for Stripe, with the inbox.
pub const SANDBOX: &str = "sandbox";
/// The ConfigMap with the products.
pub const CATALOG: &str = "catalog";
/// The ConfigMap that says which topics are ours.
pub const TOPICS: &str = "topics";

/// Name of the claim of each disk, which Kubernetes puts before the pod's name.
pub const DISK: &str = "data";

/// The name of one object. A Storefront's name has at most 40 characters, so this has at most 52:
/// a `StatefulSet`'s pods still fit their names with a number into a label of 63.
pub fn object(storefront: &str, part: &str) -> String {
    format!("{storefront}-{part}")
}

/// The Secret with the certificate of a Kafka cluster's authority, as Strimzi names it.
pub fn strimzi_authority(cluster: &str) -> String {
    format!("{cluster}-cluster-ca-cert")
}

#[cfg(test)]
mod tests {
    use storefront_contract::ServiceId;

    use super::*;

    /// Else `a` with the part `b-c` would be `a-b` with the part `c`.
    #[test]
    fn two_storefronts_never_share_a_name() {
        let mut parts = vec![KAFKA, KAFKA_NODES, KAFKA_USER, DATABASE, SANDBOX, CATALOG, TOPICS];
        parts.extend(ServiceId::ALL.map(ServiceId::name));
        for part in &parts {
            assert!(object(&"a".repeat(40), part).len() <= 52, "{part}");
            for other in &parts {
                assert!(!other.ends_with(&format!("-{part}")), "{other} ends with {part}");
            }
        }
    }
}
