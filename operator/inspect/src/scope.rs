//! What of a broker is a shop's: its names, and which topics each of its groups surely reads.

use std::collections::BTreeSet;

use storefront_contract::{CATALOG, Names, ServiceId, Topic, service};

/// Whether a topic is one for dead letters, by its name.
pub fn is_for_dead_letters(topic: &str) -> bool {
    topic.strip_suffix(".dlq").is_some()
}

/// A shop, as far as brokers are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    pub names: Names,
    /// Topics whose events become mails (`spec.email.sendOn`): what lies in another is no lag of email.
    pub send_on: Vec<Topic>,
}

impl Default for Scope {
    fn default() -> Self {
        Self { names: Names::default(), send_on: vec![Topic::PaymentSuccessful] }
    }
}

impl Scope {
    /// Names on the broker of topics and dead-letter topics, in the order of the flow.
    pub fn topics(&self) -> Vec<String> {
        let own = Topic::ALL.into_iter().map(|topic| self.names.topic(topic));
        own.chain(self.names.dead_letters().into_iter().map(|(.., name)| name)).collect()
    }

    /// Every group with the service that it belongs to.
    pub fn groups(&self) -> Vec<(ServiceId, String)> {
        CATALOG.iter().filter_map(|entry| Some((entry.id, self.names.group(entry.id)?))).collect()
    }

    /// Topics that a service may read.
    pub fn may_read(&self, id: ServiceId) -> BTreeSet<String> {
        self.on_broker(service(id).consumes)
    }

    /// Topics that a service reads for certain.
    pub fn surely_reads(&self, id: ServiceId) -> BTreeSet<String> {
        match id {
            ServiceId::Email => self.on_broker(&self.send_on),
            _ => self.may_read(id),
        }
    }

    fn on_broker(&self, topics: &[Topic]) -> BTreeSet<String> {
        topics.iter().map(|topic| self.names.topic(*topic)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn email_surely_reads_only_what_it_mails_on() {
        let scope = Scope { names: Names::new("blue."), ..Scope::default() };
        let topics = scope.surely_reads(ServiceId::Email);
        assert_eq!(topics, BTreeSet::from(["blue.payment-successful".to_owned()]));
        assert_eq!(scope.may_read(ServiceId::Email).len(), 2);
        assert_eq!(scope.surely_reads(ServiceId::Analytics).len(), 3);
    }
}
