//! One look at the brokers: the topics as planned, and facts for the status. At most once a minute for a
//! shop, with a client that lives for the look.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use kube::{Resource, ResourceExt};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use serde_json::json;
use storefront_inspect::{Cause, Cluster, InspectError, Scope, Session};

use crate::{
    api::{self, Storefront},
    controller::{
        apply::is_of,
        context::{Context, Seen},
        error::Error,
        kinds,
        ledger::{CLUSTER_KEY, Ledger, TOPICS_KEY},
        observe::{self, Live, References},
        topics::{self, Decision, Ownership},
    },
    names,
    plan::Plan,
    render::RETAIN,
    status::{Brokers, Event, Observed, TopicTrouble, Trouble},
};

/// Looks in a row without an answer, after an answer, until the brokers count as unreachable.
const TOLD_AFTER: u32 = 2;

/// Everything that a look needs.
pub(crate) struct Look<'a> {
    pub storefront: &'a Storefront,
    pub context: &'a Context,
    pub plan: &'a Plan,
    pub live: &'a Live,
    pub others: &'a References,
    pub paused: bool,
}

impl Look<'_> {
    /// Looks if it is time, and writes into `observed` what is known. Returns the number of writes.
    pub async fn run(&self, observed: &mut Observed) -> Result<usize, Error> {
        if let Some(seen) = self.context.looks.fresh(self.storefront) {
            // The facts are in the status already; what is wrong is said again.
            observed.topics = seen.topics;
            observed.brokers = match seen.brokers {
                Brokers::Seen(_) if self.storefront.status.is_some() => Brokers::NotAsked,
                other => other,
            };
            return Ok(0);
        }
        let starting = observed.workload(names::KAFKA).is_none_or(|kafka| kafka.ready == 0);
        let incomplete = self
            .others
            .missing
            .iter()
            .any(|missing| self.others.needs_for_kafka(&missing.reference.name));
        if (self.storefront.spec.managed_brokers().is_some() && starting) || incomplete {
            return Ok(0);
        }
        let (seen, writes) = match self.ask().await {
            Ok((brokers, topics, writes)) => (self.seen(brokers, topics), writes),
            Err(Error::Brokers(error)) => {
                let before = self.context.looks.last(self.storefront);
                let nothing =
                    self.seen(Brokers::Unreachable(trouble(self.storefront, &error)), Vec::new());
                (without_answer(before, nothing), 0)
            }
            Err(other) => return Err(other),
        };
        self.context.looks.keep(self.storefront, seen.clone());
        (observed.brokers, observed.topics) = (seen.brokers, seen.topics);
        Ok(writes)
    }

    fn seen(&self, brokers: Brokers, topics: Vec<TopicTrouble>) -> Seen {
        let generation = self.storefront.metadata.generation;
        let is_whole = match &brokers {
            Brokers::Seen(facts) => facts.is_whole(self.plan),
            _ => false,
        };
        Seen { generation, brokers, topics, is_whole, unanswered: 0 }
    }

    async fn ask(&self) -> Result<(Brokers, Vec<TopicTrouble>, usize), Error> {
        let properties = properties(self.storefront, self.others);
        // Strimzi makes its topics itself.
        let ours = self.storefront.spec.strimzi().is_none() && !self.paused;
        let ask = move || {
            let session = topics::open(&properties)?;
            let look = || Ok::<_, InspectError>((session.cluster()?, session.cluster_id()));
            let cluster = ours.then(look).transpose()?;
            Ok((session, cluster))
        };
        let (session, cluster) = blocking(ask).await?;
        let changed = match cluster {
            Some((cluster, id)) => self.change(&session, &cluster, id).await,
            None => Ok((0, Vec::new())),
        };
        let (plan, scope) = (self.plan.clone(), self.scope());
        // A client is let go on that thread, too: it says goodbye to brokers that may not answer.
        let failed = changed.is_err();
        let made = changed.as_ref().is_ok_and(|(writes, _)| *writes > 0);
        let facts = blocking(move || {
            let look = || topics::facts(&session, &plan, &scope, made);
            (!failed).then(look).transpose()
        });
        let (facts, (writes, troubles)) = (facts.await?, changed?);
        Ok((facts.map_or(Brokers::NotAsked, Brokers::Seen), troubles, writes))
    }

    async fn change(
        &self,
        session: &Session,
        cluster: &Cluster,
        id: Option<String>,
    ) -> Result<(usize, Vec<TopicTrouble>), Error> {
        let written = Ledger::read(self.live, &self.storefront.name_any());
        let mut ledger = written.topics_of(id.as_deref()).clone();
        let all_ours = self.storefront.spec.managed_brokers().is_some();
        let ownership = Ownership { ledger: &ledger, all_ours };
        let Decision { create, .. } = &topics::decide(self.plan, cluster, ownership);
        let ours = self.plan.topics.iter().filter(|topic| {
            let adopted = self.plan.topic_policy.adopt && cluster.topic(&topic.name).is_some();
            adopted || create.iter().any(|new| new.name == topic.name)
        });
        ledger.extend(ours.map(|topic| topic.name.clone()));
        let mut writes = 0;
        // Written before the topics are made: a crash in between must not make them foreign.
        if !all_ours && !written.says(&ledger, id.as_deref()) {
            self.write_ledger(&ledger, id.as_deref()).await?;
            writes += 1;
        }
        let ownership = Ownership { ledger: &ledger, all_ours };
        let decision = topics::decide(self.plan, cluster, ownership);
        let mut troubles = decision.troubles.clone();
        self.context.cluster.may_write()?;
        let (calls, refused) = topics::change(session, &decision).await.map_err(|source| {
            Error::Brokers(Box::new(InspectError::NoAnswer {
                brokers: session.connection().brokers().to_owned(),
                said: None,
                source: Box::new(source),
            }))
        })?;
        if calls > 0 {
            self.context.cluster.metrics.write("Topic", "change");
        }
        self.tell_of_lost(&decision, &refused).await;
        troubles.extend(refused);
        Ok((writes + calls, troubles))
    }

    /// A topic that was there and had to be made again: what was in it is lost, which no condition tells.
    async fn tell_of_lost(&self, decision: &Decision, refused: &[TopicTrouble]) {
        let known = self.storefront.status.iter().flat_map(|status| &status.topics);
        let known: BTreeSet<_> = known.map(|topic| topic.name.as_str()).collect();
        let lost = decision.create.iter().map(|topic| topic.name.as_str());
        let lost: Vec<_> = lost.filter(|name| known.contains(name)).collect();
        if lost.is_empty() || !refused.is_empty() {
            return;
        }
        let note = format!(
            "{} was deleted by somebody else and is made anew, empty: what was in it and had not been read is lost",
            lost.join(", ")
        );
        let event = Event { warning: true, reason: "TopicRecreated".into(), note };
        self.context.publish(self.storefront, &event).await;
    }

    async fn write_ledger(
        &self,
        topics: &BTreeSet<String>,
        cluster: Option<&str>,
    ) -> Result<(), Error> {
        let (namespace, shop) =
            (self.storefront.namespace().unwrap_or_default(), self.storefront.name_any());
        let name = names::object(&shop, names::TOPICS);
        let lines: Vec<_> = topics.iter().map(String::as_str).collect();
        let object = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": name,
                "labels": {
                    "app.kubernetes.io/name": "storefront",
                    "app.kubernetes.io/instance": shop,
                    "app.kubernetes.io/component": names::TOPICS,
                    "app.kubernetes.io/part-of": "storefront",
                    "app.kubernetes.io/managed-by": "storefront-operator",
                },
                "annotations": {RETAIN: "true"},
            },
            "data": {TOPICS_KEY: lines.join("\n"), CLUSTER_KEY: cluster.unwrap_or_default()},
        });
        let resource = kinds::resource("v1", "ConfigMap");
        let cluster = &self.context.cluster;
        if let Some(there) = cluster.get(&namespace, &resource, &name).await? {
            is_of(&shop, &observe::typed(there, &resource))?;
        }
        cluster.apply(&namespace, &resource, &name, &object).await.map(|_| ())
    }

    fn scope(&self) -> Scope {
        Scope { names: self.plan.names.clone(), send_on: self.storefront.spec.send_on() }
    }
}

/// Why brokers cannot be asked, and which field to look after.
pub(crate) fn trouble(storefront: &Storefront, error: &InspectError) -> Trouble {
    let field = match &storefront.spec.kafka {
        Some(kafka) if kafka.external.is_some() => "spec.kafka.external",
        Some(kafka) if kafka.strimzi.is_some() => "spec.kafka.strimzi",
        _ => "the pods of the brokers",
    };
    let (brokers, why) = match error {
        InspectError::Unreachable { brokers, source } => (brokers, source.to_string()),
        InspectError::NoAnswer { brokers, said: Some(said), .. } => {
            let (why, remedy) = match Cause::of(said) {
                Some(cause) => (format!("{} ({said})", cause.words()), remedy(cause, field)),
                None => (said.clone(), format!("check {field}")),
            };
            let message = format!("the brokers {brokers} do not answer: {why}; {remedy}");
            return Trouble { reason: "Unreachable".into(), message };
        }
        InspectError::NoAnswer { brokers, source, .. } => (brokers, plainly(source)),
        other => {
            let message = format!("{other}: look after {field}");
            return Trouble { reason: other.reason().to_owned(), message };
        }
    };
    let message = format!("the brokers {brokers} do not answer: {why}; check {field}");
    Trouble { reason: "Unreachable".into(), message }
}

/// What to do about it in the manifest.
fn remedy(cause: Cause, field: &str) -> String {
    match cause {
        Cause::Password => {
            format!("check {field}.sasl: its mechanism, and username and password in its Secret")
        }
        Cause::Certificate => format!(
            "give their authority's certificate in {field}.tls.caSecretRef, and write names in {field}.bootstrapServers that the certificate is for"
        ),
        Cause::ClientCertificate => {
            format!("write a listener in {field}.bootstrapServers that asks for a password instead")
        }
        Cause::NeedlessTls => format!("leave out {field}.tls, or write a port that speaks TLS"),
        Cause::HangUp => format!("write {field}.tls: {{}}, or {field}.sasl, if they want that"),
    }
}

/// A look that got no answer. Among others that did, one such says little: only a second one is told. What
/// is known of the topics stays.
fn without_answer(before: Option<Seen>, nothing: Seen) -> Seen {
    let Some(before) = before else { return Seen { unanswered: 1, ..nothing } };
    let unanswered = before.unanswered + 1;
    let was_told = matches!(before.brokers, Brokers::Unreachable(_));
    let brokers =
        if unanswered < TOLD_AFTER && !was_told { Brokers::NotAsked } else { nothing.brokers };
    Seen { brokers, topics: before.topics, unanswered, ..nothing }
}

/// What a client says that has met no trouble but silence.
fn plainly(error: &KafkaError) -> String {
    match error.rdkafka_error_code() {
        Some(
            RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::OperationTimedOut
            | RDKafkaErrorCode::RequestTimedOut,
        ) => "they take connections, and then nothing comes".to_owned(),
        _ => error.to_string(),
    }
}

/// Another shop with the same brokers and prefix that was there before this one. One broker in common is
/// enough: the others are of the same cluster.
pub fn older_twin(storefront: &Storefront, others: &[Arc<Storefront>]) -> Option<String> {
    let (brokers, prefix) = place_of(storefront)?;
    let age = |s: &Storefront| (s.meta().creation_timestamp.clone().map(|time| time.0), s.uid());
    let twin = others.iter().find(|other| {
        let same = place_of(other)
            .is_some_and(|(others, its)| its == prefix && !others.is_disjoint(&brokers));
        same && other.uid() != storefront.uid() && age(other) < age(storefront)
    })?;
    Some(format!("{}/{}", twin.namespace().unwrap_or_default(), twin.name_any()))
}

/// Which brokers and which prefix, of those that several shops can share.
fn place_of(storefront: &Storefront) -> Option<(BTreeSet<String>, String)> {
    let prefix = storefront.spec.prefix().to_owned();
    if let Some(strimzi) = storefront.spec.strimzi() {
        let namespace = storefront.namespace().unwrap_or_default();
        return Some((BTreeSet::from([format!("{namespace}/{}", strimzi.cluster)]), prefix));
    }
    let external = storefront.spec.external_kafka()?;
    let servers = external.bootstrap_servers.split(',').map(|server| server.trim().to_owned());
    Some((servers.collect(), prefix))
}

/// librdkafka's properties for the operator's own client.
pub(crate) fn properties(storefront: &Storefront, others: &References) -> BTreeMap<String, String> {
    let (namespace, shop) = (storefront.namespace().unwrap_or_default(), storefront.name_any());
    let secret = |name: &str, key: &str| {
        others.kafka_secrets.get(&(name.to_owned(), key.to_owned())).cloned().unwrap_or_default()
    };
    let mut properties = BTreeMap::new();
    let mut set = |key: &str, value: String| properties.insert(key.to_owned(), value);
    if let Some(strimzi) = storefront.spec.strimzi() {
        let cluster = &strimzi.cluster;
        let user = names::object(&shop, names::KAFKA_USER);
        let bootstrap = format!("{cluster}-kafka-bootstrap.{namespace}.svc:9093");
        set("bootstrap.servers", bootstrap);
        set("security.protocol", "sasl_ssl".into());
        set("ssl.ca.pem", secret(&format!("{cluster}-cluster-ca-cert"), "ca.crt"));
        set("sasl.mechanism", "SCRAM-SHA-512".into());
        set("sasl.password", secret(&user, "password"));
        set("sasl.username", user);
    } else if let Some(external) = storefront.spec.external_kafka() {
        set("bootstrap.servers", external.bootstrap_servers.replace(' ', ""));
        let protocol = match (&external.tls, &external.sasl) {
            (None, None) => "plaintext",
            (Some(_), None) => "ssl",
            (None, Some(_)) => "sasl_plaintext",
            (Some(_), Some(_)) => "sasl_ssl",
        };
        set("security.protocol", protocol.into());
        if let Some(ca) = external.tls.as_ref().and_then(|tls| tls.ca_secret_ref.as_ref()) {
            set("ssl.ca.pem", secret(&ca.name, &ca.key));
        }
        if let Some(sasl) = &external.sasl {
            let mechanism = match sasl.mechanism {
                api::SaslMechanism::Plain => "PLAIN",
                api::SaslMechanism::ScramSha256 => "SCRAM-SHA-256",
                api::SaslMechanism::ScramSha512 => "SCRAM-SHA-512",
            };
            set("sasl.mechanism", mechanism.into());
            set("sasl.username", secret(&sasl.secret_ref.name, "username").trim().to_owned());
            set("sasl.password", secret(&sasl.secret_ref.name, "password").trim().to_owned());
        }
    } else {
        let service = names::object(&shop, names::KAFKA);
        set("bootstrap.servers", format!("{service}.{namespace}.svc:9092"));
    }
    properties
}

/// On a thread of its own: the calls block, each for a bounded time.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, InspectError> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(|error| Error::Brokers(Box::new(error))),
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::BrokerFacts;

    fn seen(brokers: Brokers) -> Seen {
        let topics = vec![TopicTrouble::TooFewBrokers { wanted: 3, brokers: 1 }];
        Seen { generation: Some(1), brokers, topics, is_whole: true, unanswered: 0 }
    }

    fn nothing() -> Seen {
        let trouble = Trouble { reason: "Unreachable".into(), message: "nobody answers".into() };
        Seen { topics: Vec::new(), ..seen(Brokers::Unreachable(trouble)) }
    }

    #[test]
    fn one_look_without_an_answer_is_no_news() {
        let well = seen(Brokers::Seen(BrokerFacts::default()));
        let first = without_answer(Some(well.clone()), nothing());
        assert_eq!((&first.brokers, &first.topics), (&Brokers::NotAsked, &well.topics));
        let second = without_answer(Some(first), nothing());
        assert_eq!(second.brokers, nothing().brokers);
        assert_eq!(without_answer(Some(second), nothing()).brokers, nothing().brokers);
        // Nothing was ever known: then it is told at once.
        assert_eq!(without_answer(None, nothing()).brokers, nothing().brokers);
    }
}
