//! The defaults of the spec, each in one place.

use storefront_contract::{ServiceId, Topic, topics::PARTITIONS_DEFAULT};

use super::TopicPolicy;
use crate::api::{
    ExternalKafka, MailTopic, Service, Smtp, SmtpTls, StorefrontSpec, StrimziKafka, Topics,
};

const DEFAULT_CURRENCY: &str = "INR";
const DEFAULT_CATALOG_KEY: &str = "catalog.json";
const DEFAULT_REPLICATION_FACTOR: i32 = 3;
const DEFAULT_MAX_AGE_HOURS: i32 = 72;
const DEFAULT_REQUEST_TIMEOUT_MS: i32 = 5_000;

impl StorefrontSpec {
    pub(crate) fn currency_code(&self) -> &str {
        self.currency.as_deref().unwrap_or(DEFAULT_CURRENCY)
    }

    /// Name and key of the ConfigMap that holds the catalog.
    pub(crate) fn catalog_config_map(&self) -> Option<(String, String)> {
        let reference = self.catalog.as_ref()?.config_map_ref.as_ref()?;
        let key = reference.key.clone().unwrap_or_else(|| DEFAULT_CATALOG_KEY.into());
        Some((reference.name.clone(), key))
    }

    /// Whether payments go to the stand-in.
    pub fn is_sandbox(&self) -> bool {
        self.payment.stripe.is_none()
    }

    pub(crate) fn external_kafka(&self) -> Option<&ExternalKafka> {
        self.kafka.as_ref()?.external.as_ref()
    }

    pub(crate) fn strimzi(&self) -> Option<&StrimziKafka> {
        self.kafka.as_ref()?.strimzi.as_ref()
    }

    /// Number of brokers that the operator runs, or `None` when others run them.
    pub(crate) fn managed_brokers(&self) -> Option<i32> {
        if self.external_kafka().is_some() || self.strimzi().is_some() {
            return None;
        }
        let managed = self.kafka.as_ref().and_then(|kafka| kafka.managed.as_ref());
        Some(managed.and_then(|managed| managed.replicas).unwrap_or(1))
    }

    /// Which brokers these are, as far as one manifest can say: others are others when this differs.
    pub fn brokers(&self) -> String {
        match (self.external_kafka(), self.strimzi()) {
            (Some(external), _) => format!("external {}", external.bootstrap_servers),
            (None, Some(strimzi)) => format!("strimzi {}", strimzi.cluster),
            (None, None) => "managed".into(),
        }
    }

    /// Whether the operator runs the database.
    pub(crate) fn manages_database(&self) -> bool {
        self.database.as_ref().is_none_or(|database| database.external.is_none())
    }

    /// What goes before the name of every topic and group.
    pub fn prefix(&self) -> &str {
        self.kafka.as_ref().and_then(|kafka| kafka.prefix.as_deref()).unwrap_or_default()
    }

    pub(crate) fn topics(&self) -> Option<&Topics> {
        self.kafka.as_ref()?.topics.as_ref()
    }

    pub(crate) fn partitions(&self) -> i32 {
        self.topics().and_then(|topics| topics.partitions).unwrap_or(PARTITIONS_DEFAULT)
    }

    /// One copy where there is one broker, for development; three otherwise.
    pub(crate) fn replication_factor(&self) -> i32 {
        let written = self.topics().and_then(|topics| topics.replication_factor);
        let default = self.managed_brokers().unwrap_or(DEFAULT_REPLICATION_FACTOR);
        written.unwrap_or(default.min(DEFAULT_REPLICATION_FACTOR))
    }

    pub(crate) fn topic_policy(&self) -> TopicPolicy {
        let topics = self.topics();
        TopicPolicy {
            deletion: topics.and_then(|topics| topics.deletion_policy).unwrap_or_default(),
            adopt: topics.and_then(|topics| topics.adopt).unwrap_or_default(),
            allow_partition_growth: topics
                .and_then(|topics| topics.allow_partition_growth)
                .unwrap_or_default(),
        }
    }

    pub(crate) fn smtp(&self) -> Option<&Smtp> {
        self.email.as_ref()?.smtp.as_ref()
    }

    /// Topics whose events become a mail.
    pub fn send_on(&self) -> Vec<Topic> {
        let written = self.email.as_ref().and_then(|email| email.send_on.as_deref());
        let topics = written.unwrap_or(&[MailTopic::PaymentSuccessful]);
        topics
            .iter()
            .map(|topic| match topic {
                MailTopic::PaymentSuccessful => Topic::PaymentSuccessful,
                MailTopic::OrderSuccessful => Topic::OrderSuccessful,
            })
            .collect()
    }

    pub(crate) fn max_age_hours(&self) -> i32 {
        let written = self.email.as_ref().and_then(|email| email.max_age_hours);
        written.unwrap_or(DEFAULT_MAX_AGE_HOURS)
    }

    pub(crate) fn pages(&self) -> bool {
        self.gateway.as_ref().and_then(|gateway| gateway.pages).unwrap_or(true)
    }

    pub(crate) fn host(&self) -> Option<&str> {
        self.gateway.as_ref()?.host.as_deref()
    }

    /// How browsers reach `host`. An Ingress without a certificate is reached by http; of what stands before a
    /// route, or a load balancer of somebody else, the certificate is not known here.
    pub(crate) fn scheme(&self) -> &'static str {
        let Some(gateway) = &self.gateway else { return "https" };
        let is_plain = gateway.ingress.as_ref().is_some_and(|it| it.tls_secret_ref.is_none());
        if is_plain && gateway.http_route.is_none() { "http" } else { "https" }
    }

    pub(crate) fn public_url(&self) -> Option<&str> {
        self.gateway.as_ref()?.public_url.as_deref()
    }

    pub(crate) fn request_timeout_ms(&self) -> i32 {
        let written = self.gateway.as_ref().and_then(|gateway| gateway.request_timeout_ms);
        written.unwrap_or(DEFAULT_REQUEST_TIMEOUT_MS)
    }

    pub(crate) fn service(&self, id: ServiceId) -> Option<&Service> {
        self.services.as_ref()?.get(id)
    }

    /// Whether the manifest wants a service to run.
    pub(crate) fn enabled(&self, id: ServiceId) -> bool {
        self.service(id).and_then(|service| service.enabled).unwrap_or(true)
    }
}

impl Smtp {
    /// The usual port of the protection that is chosen.
    pub(crate) fn port_or_default(&self) -> i32 {
        self.port.unwrap_or(match self.tls.unwrap_or_default() {
            SmtpTls::None => 25,
            SmtpTls::StartTls => 587,
            SmtpTls::Implicit => 465,
        })
    }
}
