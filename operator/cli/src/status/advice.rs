//! What is wrong with a shop, and what to do about it. Pure. Conditions mostly say it themselves; here are
//! the commands that go on from there, and what no condition can say.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::Serialize;
use storefront_operator::{
    Storefront,
    plan::{Placement, plan},
    reading,
    references::{self, Kind, Reference},
    status::reasons::{
        API_MISSING, CONFLICT, CONTESTED, DATABASE_READY, DEGRADED, KAFKA_READY, LEADERLESS,
        MISSING, NOT_ASKED, NOT_CREATED, PAUSED, PROGRESSING, READY, SCALED_TO_ZERO, SECRETS_READY,
        STARTING, TOPICS_READY, UNDER_REPLICATED, UNREACHABLE,
    },
};

use super::facts::Shop;

/// An operator that looks at its shops does so within seconds.
const OBSERVED_WITHIN_S: i64 = 30;

/// Something that is wrong, or on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// The condition that says so, or what else does.
    pub subject: String,
    pub reason: String,
    pub message: String,
    /// What to do, where the message does not say it.
    pub remedy: String,
    /// What to type for it.
    pub commands: Vec<String>,
    /// It may go away by waiting.
    pub waits: bool,
}

/// Everything that is wrong, what matters most first.
pub fn problems(shop: &Shop, storefront: &Storefront, kubectl: &str) -> Vec<Problem> {
    let advice = Advice { shop, storefront, kubectl: format!("{kubectl} -n {}", shop.namespace) };
    let mut problems = Vec::new();
    problems.extend(advice.life());
    problems.extend(advice.whole());
    // What keeps the operator from making anything says why a part is not there, or not looked at.
    let is_held = problems.iter().any(|problem| !problem.waits);
    let follows = |it: &Problem| is_held && [NOT_CREATED, NOT_ASKED].contains(&it.reason.as_str());
    problems.extend(advice.parts().into_iter().filter(|problem| !follows(problem)));
    problems.extend(advice.unread());
    problems
}

struct Advice<'a> {
    shop: &'a Shop,
    storefront: &'a Storefront,
    kubectl: String,
}

impl Advice<'_> {
    fn look_for_operator(&self) -> Vec<String> {
        let kubectl = self.kubectl.split(" -n ").next().unwrap_or_default();
        vec![format!(
            "{kubectl} get pods --all-namespaces --selector app.kubernetes.io/name=storefront-operator"
        )]
    }

    /// What no condition says: nobody looks after it, or it goes.
    fn life(&self) -> Option<Problem> {
        let shop = self.shop;
        let problem = |subject: &str, reason: &str, message: String, remedy: &str| Problem {
            subject: subject.into(),
            reason: reason.into(),
            message,
            remedy: remedy.into(),
            commands: Vec::new(),
            waits: true,
        };
        if shop.deleting {
            let finalizers = self.storefront.metadata.finalizers.clone().unwrap_or_default();
            let message = match finalizers.as_slice() {
                [] => "the shop is being deleted".to_owned(),
                some => format!("the shop is being deleted; it waits for {}", some.join(", ")),
            };
            let remedy = "it goes by itself within a minute or two; what must not go, such as disks \
                          and topics that are retained, stays";
            return Some(problem("Shop", "Deleting", message, remedy));
        }
        if shop.is_current() {
            return None;
        }
        let message = match shop.observed_generation {
            None => "no operator has looked at it yet".to_owned(),
            Some(seen) => format!(
                "the operator has not looked at the newest edit yet (generation {}, it saw {seen})",
                shop.generation.unwrap_or_default()
            ),
        };
        let since = shop.created.map_or(0, |then| shop.now.duration_since(then).as_secs());
        let late = shop.observed_generation.is_some() || since > OBSERVED_WITHIN_S;
        let remedy = "it takes some seconds; when it takes longer, look whether an operator runs \
                      and watches this namespace";
        let commands = if late { self.look_for_operator() } else { Vec::new() };
        Some(Problem { commands, ..problem("Shop", "NotObserved", message, remedy) })
    }

    /// What this command cannot read, unless the operator cannot either and has said so.
    fn unread(&self) -> Option<Problem> {
        let said = reading::unreadable(self.storefront)?;
        let is_told = self.shop.conditions.iter().any(|it| it.reason == "Unreadable");
        (!is_told).then(|| Problem {
            subject: "Shop".into(),
            reason: "Unreadable".into(),
            message: format!("this command cannot read {said}"),
            remedy:
                "use the command of the operator's version; here is shown what this one can read"
                    .into(),
            commands: Vec::new(),
            waits: false,
        })
    }

    /// What is said about the shop as a whole and of none of its parts.
    fn whole(&self) -> Vec<Problem> {
        let is_of_a_part = |message: &str| {
            let types = self.shop.conditions.iter().map(|it| it.type_.as_str());
            types.clone().any(|type_| message.starts_with(&format!("{type_}: ")))
        };
        let ready = self.shop.condition(READY).filter(|it| it.status != "True");
        let degraded = self.shop.condition(DEGRADED).filter(|it| it.status == "True");
        let mut found = Vec::new();
        for condition in [ready, degraded].into_iter().flatten() {
            let said = found.iter().any(|it: &Problem| it.message == condition.message);
            if !said && !is_of_a_part(&condition.message) {
                found.push(self.problem(condition));
            }
        }
        let paused = self.shop.condition(PROGRESSING).filter(|it| it.reason == PAUSED);
        found.extend(paused.map(|condition| self.problem(condition)));
        found
    }

    fn parts(&self) -> Vec<Problem> {
        let whole = [READY, PROGRESSING, DEGRADED];
        let parts = self.shop.conditions.iter().filter(|it| !whole.contains(&it.type_.as_str()));
        let wrong = parts.filter(|it| it.status != "True" || it.reason == UNDER_REPLICATED);
        wrong.map(|condition| self.problem(condition)).collect()
    }

    fn problem(&self, condition: &Condition) -> Problem {
        let (remedy, commands) = self.remedy(condition);
        Problem {
            subject: condition.type_.clone(),
            reason: condition.reason.clone(),
            message: condition.message.clone(),
            remedy,
            commands,
            waits: [STARTING, NOT_CREATED, "Replacing", UNDER_REPLICATED]
                .contains(&condition.reason.as_str()),
        }
    }

    /// What to do about a condition, beyond what its message says.
    fn remedy(&self, condition: &Condition) -> (String, Vec<String>) {
        let k = &self.kubectl;
        let (name, pods) = (&self.shop.name, self.pods(&condition.type_));
        let said = |text: &str, commands: Vec<String>| (text.to_owned(), commands);
        match condition.reason.as_str() {
            MISSING if condition.type_ == SECRETS_READY => {
                said("", self.make_missing(&condition.message))
            }
            STARTING => said(
                "it takes a minute or two; when it takes longer, its pods say why",
                vec![format!("{k} describe pods{pods}")],
            ),
            NOT_CREATED => said(
                "it takes some seconds; when it takes longer, the operator's log says why",
                self.look_for_operator(),
            ),
            SCALED_TO_ZERO => {
                said("write a number of replicas, or 1 in spec.services when it is to run", vec![])
            }
            "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" => said(
                "check spec.images and the part's image: registry, tag, and pullSecrets for a \
                 registry with a password",
                vec![format!("{k} describe pods{pods}")],
            ),
            "CrashLoopBackOff" | "RunContainerError" => said(
                "its log says why it ends",
                vec![format!("{k} logs{pods} --previous --tail 30 --prefix")],
            ),
            "CreateContainerConfigError" | "CreateContainerError" => said(
                "something that its pod refers to is not there",
                vec![format!("{k} describe pods{pods}")],
            ),
            "Unschedulable" => said(
                "add a node, ask for less in the part's resources, or loosen its placement",
                vec![format!("{k} describe pods{pods}"), format!("{k} describe quota")],
            ),
            UNREACHABLE if condition.type_ == KAFKA_READY => {
                said("payments go on and events wait; nothing is lost", vec![self.try_brokers()])
            }
            UNREACHABLE => said("see KafkaReady", vec![]),
            LEADERLESS | UNDER_REPLICATED => said(
                "with the brokers' address this shows every partition",
                vec![format!("storefront topics --kafka BROKERS{}", self.prefix())],
            ),
            "ReadFailed" | "ApplyFailed" | "DeleteFailed" | "StatusFailed" => said(
                "the operator tries again; when it does not help, look at its rights and its log",
                self.look_for_operator(),
            ),
            PAUSED => said(
                "",
                vec![format!(
                    "{k} patch storefront {name} --type merge --patch '{{\"spec\": {{\"paused\": false}}}}'"
                )],
            ),
            // Messages about the manifest, topics and brokers say what to write.
            API_MISSING | CONFLICT | CONTESTED | "FewerPartitions" | "MorePartitions"
            | "TooFewBrokers" | "BrokersUnknown" | "OtherBrokers" | "OlderKafka"
            | "OtherPostgres" | "LostSecret" | "Replacing" | "Unreadable" => said("", vec![]),
            _ => said("", vec![format!("{k} describe storefront {name}")]),
        }
    }

    /// How to see whether brokers answer.
    fn try_brokers(&self) -> String {
        let kafka = self.storefront.spec.kafka.as_ref();
        match kafka.and_then(|kafka| kafka.external.as_ref()) {
            Some(external) => {
                let brokers = external.bootstrap_servers.replace(' ', "");
                format!("storefront topics --kafka {brokers}{}", self.prefix())
            }
            None => format!("{} get pods,services{}", self.kubectl, self.pods(KAFKA_READY)),
        }
    }

    fn prefix(&self) -> String {
        match self.storefront.spec.prefix() {
            "" => String::new(),
            prefix => format!(" --prefix {prefix}"),
        }
    }

    /// A selector for the pods that a condition is about.
    fn pods(&self, type_: &str) -> String {
        let component = match type_ {
            KAFKA_READY | TOPICS_READY => "kafka".to_owned(),
            DATABASE_READY => "database".to_owned(),
            other => other.strip_suffix("Ready").unwrap_or_default().to_lowercase(),
        };
        let shop = format!(" --selector app.kubernetes.io/instance={}", self.shop.name);
        if self.shop.parts.iter().any(|part| part.component == component) {
            format!("{shop},app.kubernetes.io/component={component}")
        } else {
            shop
        }
    }

    /// How to make what is missing, with every key that is needed; or where it comes from.
    fn make_missing(&self, message: &str) -> Vec<String> {
        let missing = |it: &&Reference| {
            message.contains(&format!("{} {} is missing", it.kind.name(), it.name))
        };
        let placement = Placement::cluster(self.storefront, &self.shop.namespace).ok();
        let plan = placement.and_then(|placement| plan(self.storefront, &placement).ok());
        let references = plan.map(|plan| references::references(&plan)).unwrap_or_default();
        let make = |it: &Reference| {
            if let Some(kafka) = &it.strimzi {
                return format!("{} get kafka {kafka}", self.kubectl);
            }
            let keys: String = it.keys.iter().flat_map(|key| [" --from-file=", key]).collect();
            let kind = match it.kind {
                Kind::Secret => "secret generic",
                Kind::ConfigMap => "configmap",
            };
            format!("{} create {kind} {}{keys}", self.kubectl, it.name)
        };
        references.iter().filter(missing).map(make).collect()
    }
}
