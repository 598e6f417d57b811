//! What `observe` has seen, as plain data.

use std::collections::BTreeMap;

use storefront_contract::CATALOG;

use crate::{
    api::{GroupStatus, TopicStatus},
    plan::Plan,
    references::Missing,
    status::reasons::CONFLICT,
};

/// Everything that was seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// Where the shop is reached.
    pub url: Option<String>,
    /// Deployments and `StatefulSet`s by component; `None` when the attempt did not get to look at them, and
    /// then nothing below was seen either.
    pub workloads: Option<BTreeMap<String, Workload>>,
    /// What is missing of Secrets and ConfigMaps of others.
    pub missing: Vec<Missing>,
    pub brokers: Brokers,
    /// What they call their cluster, if they were asked for that alone.
    pub cluster_id: Option<String>,
    /// Topics that are not as planned.
    pub topics: Vec<TopicTrouble>,
    /// APIs that the manifest needs and the cluster does not serve, such as `HTTPRoute`.
    pub missing_apis: Vec<MissingApi>,
    /// Objects that somebody else changes each time they are put back, each in a sentence.
    pub contested: Vec<String>,
}

impl Observed {
    /// One workload, where it is known to be there.
    pub fn workload(&self, component: &str) -> Option<&Workload> {
        self.workloads.as_ref()?.get(component)
    }
}

/// An API that is not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingApi {
    pub field: &'static str,
    pub api: &'static str,
}

/// What the brokers say.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Brokers {
    /// They were not asked this time: what was known stays.
    #[default]
    NotAsked,
    /// They did not answer.
    Unreachable(Trouble),
    Seen(BrokerFacts),
}

/// What the brokers know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrokerFacts {
    pub brokers: usize,
    /// What they call their cluster.
    pub cluster_id: Option<String>,
    /// Every topic of the plan that is there.
    pub topics: Vec<TopicStatus>,
    /// Members and exact lag of the plan's groups; not known while their coordinator starts.
    pub groups: Option<Vec<GroupStatus>>,
}

impl BrokerFacts {
    /// Topics of the plan that are not there, or not yet: brokers tell of new ones a little later.
    pub fn missing<'a>(&self, plan: &'a Plan) -> Vec<&'a str> {
        let is_known = |name: &str| self.topics.iter().any(|topic| topic.name == name);
        let names = plan.topics.iter().map(|topic| topic.name.as_str());
        names.filter(|name| !is_known(name)).collect()
    }

    /// Whether every topic of the plan can be used.
    pub fn is_whole(&self, plan: &Plan) -> bool {
        self.missing(plan).is_empty() && self.topics.iter().all(|topic| topic.leaderless == 0)
    }
}

/// One Deployment or `StatefulSet`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workload {
    /// Instances that are wanted.
    pub wanted: i32,
    /// Instances of the newest kind.
    pub updated: i32,
    pub ready: i32,
    /// All instances, old ones too.
    pub total: i32,
    /// Its controller has seen the newest spec.
    pub is_current: bool,
    /// Why its pods do not come up.
    pub trouble: Option<Trouble>,
}

impl Workload {
    pub fn is_complete(&self) -> bool {
        let all = self.updated >= self.wanted && self.total <= self.updated;
        self.is_current && all && self.ready >= self.wanted
    }
}

/// A fixed word and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub reason: String,
    pub message: String,
}

/// What is not as planned about a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicTrouble {
    /// Somebody else made it.
    Foreign {
        topic: String,
    },
    /// Adding partitions was not allowed.
    FewerPartitions {
        topic: String,
        has: i32,
        wanted: i32,
    },
    /// Partitions are never taken away.
    MorePartitions {
        topic: String,
        has: i32,
        wanted: i32,
    },
    TooFewBrokers {
        wanted: i32,
        brokers: usize,
    },
    /// The brokers refused.
    Refused {
        topic: String,
        message: String,
    },
}

impl TopicTrouble {
    /// A fixed word.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Foreign { .. } => CONFLICT,
            Self::FewerPartitions { .. } => "FewerPartitions",
            Self::MorePartitions { .. } => "MorePartitions",
            Self::TooFewBrokers { .. } => "TooFewBrokers",
            Self::Refused { .. } => "Refused",
        }
    }
}

impl std::fmt::Display for TopicTrouble {
    /// What is so, and what to do.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Foreign { topic } => write!(
                f,
                "topic {topic} was made by somebody else: write kafka.topics.adopt: true to take it over, or create the Storefront anew with another kafka.prefix"
            ),
            Self::FewerPartitions { topic, has, wanted } => write!(
                f,
                "topic {topic} has {has} partitions instead of {wanted}: write kafka.topics.allowPartitionGrowth: true to add them, or partitions: {has} to keep them. Growth breaks the order of a shopper's events that are under way"
            ),
            Self::MorePartitions { topic, has, wanted } => write!(
                f,
                "topic {topic} has {has} partitions instead of {wanted}: partitions cannot be taken away, write kafka.topics.partitions: {has}"
            ),
            Self::TooFewBrokers { wanted, brokers } => write!(
                f,
                "{wanted} copies are wanted and the number of brokers is {brokers}: write kafka.topics.replicationFactor: {brokers}, or add brokers"
            ),
            Self::Refused { topic, message } => {
                write!(
                    f,
                    "the brokers refuse topic {topic}: {message}; check kafka.topics, and what their user may do"
                )
            }
        }
    }
}

/// Topics as the status has them.
pub(super) fn topics(facts: &BrokerFacts, plan: &Plan) -> Vec<TopicStatus> {
    let ours = |name: &str| facts.topics.iter().find(|topic| topic.name == name).cloned();
    plan.topics.iter().filter_map(|topic| ours(&topic.name)).collect()
}

/// The groups of services that run, and their lag all together.
pub(super) fn groups(known: &[GroupStatus], plan: &Plan) -> (Vec<GroupStatus>, Option<i64>) {
    let groups: Vec<_> = CATALOG
        .iter()
        .filter(|entry| plan.service(entry.id).is_some())
        .filter_map(|entry| plan.names.group(entry.id))
        .filter_map(|name| known.iter().find(|group| group.name == name))
        .collect();
    let lag = groups.iter().map(|group| group.lag).sum();
    let rounded = |group: &&GroupStatus| GroupStatus { lag: coarse(group.lag), ..(*group).clone() };
    (groups.iter().map(rounded).collect(), Some(coarse(lag)))
}

/// Rounded down to 1, 2 or 5 and zeros behind it: a status that followed every event would be written
/// all the time.
pub fn coarse(lag: i64) -> i64 {
    let powers = std::iter::successors(Some(1_i64), |power| power.checked_mul(10));
    let steps = powers.flat_map(|power| [1, 2, 5].map(|factor| power.checked_mul(factor)));
    steps.flatten().take_while(|step| *step <= lag).last().unwrap_or_default()
}
