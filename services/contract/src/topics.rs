//! Topics, consumer groups and their names on a broker.

use std::sync::Arc;

use crate::catalog::{CATALOG, ServiceId, service};

/// How many partitions a topic has unless the manifest says otherwise.
pub const PARTITIONS_DEFAULT: i32 = 3;

/// A topic of the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// A Checkout session was paid. Sent by payment.
    PaymentSuccessful,
    /// An order was stored. Sent by order.
    OrderSuccessful,
    /// A mail was accepted by the mail server. Sent by email.
    EmailSuccessful,
}

impl Topic {
    /// Every topic, in the order of the flow.
    pub const ALL: [Self; 3] =
        [Self::PaymentSuccessful, Self::OrderSuccessful, Self::EmailSuccessful];

    /// The name before the prefix.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PaymentSuccessful => "payment-successful",
            Self::OrderSuccessful => "order-successful",
            Self::EmailSuccessful => "email-successful",
        }
    }

    /// When an event of it is sent, for people.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::PaymentSuccessful => {
                "A Checkout session was paid: sent once for each, by payment"
            }
            Self::OrderSuccessful => {
                "An order was stored: sent once for each paid session, by order"
            }
            Self::EmailSuccessful => {
                "A mail was accepted by the mail server: sent once for each, by email"
            }
        }
    }

    /// The topic of that name, before the prefix.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.name() == name)
    }
}

impl std::fmt::Display for Topic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Names on the broker: `spec.kafka.prefix` goes before every topic and group, so that two shops
/// can share brokers.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Names {
    prefix: Arc<str>,
}

impl Names {
    pub fn new(prefix: &str) -> Self {
        Self { prefix: prefix.into() }
    }

    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    pub fn topic(&self, topic: Topic) -> String {
        format!("{}{}", self.prefix, topic.name())
    }

    /// The consumer group of a service, if it consumes.
    pub fn group(&self, id: ServiceId) -> Option<String> {
        service(id).group.map(|group| format!("{}{group}", self.prefix))
    }

    /// The dead-letter topic of one group for one source topic: `<topic>.<group>.dlq`, with the
    /// prefix once, at its front.
    pub fn dead_letter(&self, topic: Topic, id: ServiceId) -> Option<String> {
        service(id).group.map(|group| format!("{}{}.{group}.dlq", self.prefix, topic.name()))
    }

    /// Every dead-letter topic with its source, in the order of the catalog.
    pub fn dead_letters(&self) -> Vec<(Topic, ServiceId, String)> {
        CATALOG
            .iter()
            .flat_map(|entry| entry.consumes.iter().map(move |topic| (*topic, entry.id)))
            .filter_map(|(topic, id)| Some((topic, id, self.dead_letter(topic, id)?)))
            .collect()
    }

    /// The topic behind a name on the broker, if it is one of ours (and no dead-letter topic).
    pub fn parse_topic(&self, name: &str) -> Option<Topic> {
        name.strip_prefix(&*self.prefix).and_then(Topic::from_name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_goes_before_every_topic_and_group() {
        let names = Names::new("blue.");
        assert_eq!(names.topic(Topic::OrderSuccessful), "blue.order-successful");
        assert_eq!(names.group(ServiceId::Analytics).as_deref(), Some("blue.analytic-service"));
        assert_eq!(names.group(ServiceId::Gateway), None);
        assert_eq!(
            names.dead_letter(Topic::PaymentSuccessful, ServiceId::Email).as_deref(),
            Some("blue.payment-successful.email-service.dlq")
        );
        assert_eq!(names.parse_topic("blue.email-successful"), Some(Topic::EmailSuccessful));
        assert_eq!(names.parse_topic("email-successful"), None);
    }

    #[test]
    fn every_group_has_a_dead_letter_topic_for_each_source() {
        let names: Vec<_> = Names::default().dead_letters().into_iter().map(|(.., n)| n).collect();
        assert_eq!(
            names,
            [
                "payment-successful.order-service.dlq",
                "payment-successful.email-service.dlq",
                "order-successful.email-service.dlq",
                "payment-successful.analytic-service.dlq",
                "order-successful.analytic-service.dlq",
                "email-successful.analytic-service.dlq",
            ]
        );
    }
}
