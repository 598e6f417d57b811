//! One look at the brokers: the topics as planned, and facts for the status. At most once a minute for a
//! shop, with a client that lives for the look.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use kube::ResourceExt;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use serde_json::json;
use storefront_inspect::{Cause, Cluster, InspectError, Scope, Session};

use crate::{
    api::Storefront,
    controller::{
        apply::is_of,
        context::{Context, Seen},
        error::Error,
        kinds,
        ledger::Ledger,
        observe::{self, Live, References},
        topics::{self, Decision, Ownership},
        twins::{self, Identity},
    },
    names,
    plan::{Plan, cluster},
    render::RETAIN,
    status::{
        Brokers, Event, Observed, TopicTrouble, Trouble,
        reasons::{KAFKA_READY, UNREACHABLE},
    },
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
                Brokers::Seen(_) if self.is_told() => Brokers::NotAsked,
                other => other,
            };
            return Ok(0);
        }
        let starting = observed.workload(names::KAFKA).is_none_or(|kafka| kafka.ready == 0);
        let managed = self.storefront.spec.managed_brokers().is_some();
        if (managed && starting) || !self.others.are_complete_for_kafka() {
            return Ok(0);
        }
        let (seen, writes) = match self.ask(&mut observed.cluster_id).await {
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

    /// Whether the status is about brokers of this edit: it could not be written after a look, otherwise.
    fn is_told(&self) -> bool {
        let status = self.storefront.status.as_ref();
        let told = status.and_then(|status| status.condition(KAFKA_READY));
        told.is_some_and(|told| told.observed_generation == self.storefront.metadata.generation)
    }

    fn seen(&self, brokers: Brokers, topics: Vec<TopicTrouble>) -> Seen {
        let generation = self.storefront.metadata.generation;
        let is_whole = match &brokers {
            Brokers::Seen(facts) => facts.is_whole(self.plan),
            _ => false,
        };
        Seen { generation, brokers, topics, is_whole, unanswered: 0 }
    }

    /// Writes into `known` what the brokers call their cluster, also when they fail then.
    async fn ask(
        &self,
        known: &mut Option<String>,
    ) -> Result<(Brokers, Vec<TopicTrouble>, usize), Error> {
        let properties = properties(self.storefront, self.others);
        // Strimzi makes its topics itself.
        let ours = self.storefront.spec.strimzi().is_none() && !self.paused;
        let ask = move || {
            let session = topics::open(&properties)?;
            let look =
                || Ok::<_, InspectError>((session.cluster()?, session.cluster_id(topics::TIMEOUT)));
            let cluster = ours.then(look).transpose()?;
            Ok((session, cluster))
        };
        let (session, cluster) = blocking(ask).await?;
        let changed = match cluster {
            Some((cluster, id)) => {
                known.clone_from(&id);
                self.change(&session, &cluster, id).await
            }
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
        let brokers = Identity::of(self.storefront).unwrap_or_default().with_id(id);
        twins::is_alone(self.storefront, self.context, &brokers)?;
        let written = Ledger::read(self.live, &self.storefront.name_any());
        let mut ledger = written.topics_of(&brokers).clone();
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
        if !all_ours && !written.says(&ledger, &brokers) {
            self.write_ledger(Ledger::new(ledger.clone(), &brokers)).await?;
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

    async fn write_ledger(&self, ledger: Ledger) -> Result<(), Error> {
        let (namespace, shop) =
            (self.storefront.namespace().unwrap_or_default(), self.storefront.name_any());
        let name = names::object(&shop, names::TOPICS);
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
            "data": ledger.data(),
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
        InspectError::NoAnswer { brokers, said: Some(said), .. } if is_silence(said) => {
            (brokers, SILENCE.to_owned())
        }
        InspectError::NoAnswer { brokers, said: Some(said), .. } => {
            let (why, remedy) = match Cause::of(said) {
                Some(cause) => (format!("{} ({said})", cause.words()), remedy(cause, field)),
                None => (said.clone(), format!("check {field}")),
            };
            let message = format!("the brokers {brokers} do not answer: {why}; {remedy}");
            return Trouble { reason: UNREACHABLE.into(), message };
        }
        InspectError::NoAnswer { brokers, source, .. } => (brokers, plainly(source)),
        other => {
            let message = format!("{other}: look after {field}");
            return Trouble { reason: other.reason().to_owned(), message };
        }
    };
    let message = format!("the brokers {brokers} do not answer: {why}; check {field}");
    Trouble { reason: UNREACHABLE.into(), message }
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
/// is known of the topics stays. Of an edit since then nothing is known, and that is told at once: its topics
/// have not been looked at.
fn without_answer(before: Option<Seen>, nothing: Seen) -> Seen {
    let before = before.filter(|before| before.generation == nothing.generation);
    let Some(before) = before else { return Seen { unanswered: 1, ..nothing } };
    let unanswered = before.unanswered + 1;
    let was_told = matches!(before.brokers, Brokers::Unreachable(_));
    let brokers =
        if unanswered < TOLD_AFTER && !was_told { Brokers::NotAsked } else { nothing.brokers };
    Seen { brokers, topics: before.topics, unanswered, ..nothing }
}

const SILENCE: &str = "they take connections, and then nothing comes";

/// Whether what librdkafka logged is that it got no answer to its first request; it guesses at very old brokers then.
fn is_silence(said: &str) -> bool {
    said.contains("ApiVersionRequest failed: Local: Timed out")
}

/// What a client says that has met no trouble but silence.
fn plainly(error: &KafkaError) -> String {
    match error.rdkafka_error_code() {
        Some(
            RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::OperationTimedOut
            | RDKafkaErrorCode::RequestTimedOut,
        ) => SILENCE.to_owned(),
        _ => error.to_string(),
    }
}

/// librdkafka's properties for the operator's own client: what the services are told, with the values of
/// Secrets in place of files.
pub(crate) fn properties(storefront: &Storefront, others: &References) -> BTreeMap<String, String> {
    let (namespace, shop) = (storefront.namespace().unwrap_or_default(), storefront.name_any());
    let (brokers, security) = cluster::kafka(&storefront.spec, &shop);
    // Services beside the shop have longer names from here.
    let is_external = storefront.spec.external_kafka().is_some();
    let brokers = brokers.iter().map(|broker| match broker.split_once(':') {
        Some((host, port)) if !is_external => format!("{host}.{namespace}.svc:{port}"),
        _ => broker.clone(),
    });
    let secret = |file: &Path| {
        let place = cluster::secret_of(file);
        place.and_then(|place| others.kafka_secrets.get(&place).cloned()).unwrap_or_default()
    };
    let mut properties = BTreeMap::new();
    let mut set = |key: &str, value: String| properties.insert(key.to_owned(), value);
    set("bootstrap.servers", brokers.collect::<Vec<_>>().join(","));
    set("security.protocol", security.protocol().to_owned());
    if let Some(file) = &security.ca_file {
        set("ssl.ca.pem", secret(file));
    }
    if let Some(sasl) = &security.sasl {
        // Strimzi's Secret has no name in it: it is the user's.
        let user = match storefront.spec.strimzi() {
            Some(_) => names::object(&shop, names::KAFKA_USER),
            None => secret(&sasl.username_file).trim().to_owned(),
        };
        set("sasl.mechanism", sasl.mechanism.name().to_owned());
        set("sasl.username", user);
        set("sasl.password", secret(&sasl.password_file).trim().to_owned());
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
        // Nothing was ever known, or nothing of this edit: then it is told at once.
        assert_eq!(without_answer(None, nothing()).brokers, nothing().brokers);
        let edited = Seen { generation: Some(2), ..nothing() };
        assert_eq!(without_answer(Some(well), edited).brokers, nothing().brokers);
    }
}
