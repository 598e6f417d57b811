//! Twins: shops with the same brokers and prefix share topics and groups, and would take one another's events.
//! The older one has them; the younger one is not made, and neither is one that may be a younger twin.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use kube::{Resource, ResourceExt};

use crate::{
    api::{Storefront, StorefrontStatus},
    controller::{
        brokers::{blocking, properties, trouble},
        context::Context,
        error::Error,
        observe::{self, Live, References},
        topics,
    },
    plan::cluster,
    reading,
    status::{
        Brokers, Observed,
        reasons::{CONFLICT, DEGRADED, KAFKA_READY, READY, TOPICS_READY},
    },
};

/// Ids that brokers have which nobody gave one, or which are copied from a guide: they tell no cluster from
/// another. Of the image `apache/kafka`, of two widely copied compose files, and of the embedded broker.
const NOBODYS: &[&str] = &[
    "5L6g3nShT-eMCtK--X86sw",
    "4L6g3nShT-eMCtK--X86sw",
    "MkU3OEVBNTcwNTJENENEMk",
    "storefront-embedded",
];
/// How long a younger shop waits for brokers that do not answer an older one.
const NEW_FOR: SignedDuration = SignedDuration::from_mins(2);
/// How long brokers may take to say which they are.
const ID_LIMIT: Duration = Duration::from_secs(3);

/// Which brokers, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    pub addresses: BTreeSet<String>,
    /// What they call their cluster: the same at whatever address they are reached.
    pub id: Option<String>,
}

impl Identity {
    /// Those that a shop uses, unless it runs them itself.
    pub fn of(storefront: &Storefront) -> Option<Self> {
        let brokers = reading::brokers(storefront);
        let addresses = match brokers.split_once(' ')? {
            ("external", servers) => {
                servers.split(',').map(|server| server.trim().to_owned()).collect()
            }
            (_, cluster) => {
                let namespace = storefront.namespace().unwrap_or_default();
                BTreeSet::from([format!("{namespace}/{cluster}")])
            }
        };
        let status = storefront.status.clone().unwrap_or_default();
        Some(Self { addresses, id: status.of_brokers(&brokers).cluster_id })
    }

    /// The same brokers by an id that they have said.
    pub fn with_id(self, id: Option<String>) -> Self {
        Self { id, ..self }
    }

    /// The id, if it is of this cluster alone.
    pub fn proof(&self) -> Option<&str> {
        self.id.as_deref().filter(|id| !NOBODYS.contains(id))
    }

    fn shares_an_address(&self, other: &Self) -> bool {
        !self.addresses.is_disjoint(&other.addresses)
    }
}

/// The shops that this process has begun to make, by their uid. The API server tells when a shop was created by
/// the second: of two of the same second, the one that is made already is the older one.
#[derive(Debug, Default)]
pub struct Begun(Mutex<BTreeSet<String>>);

impl Begun {
    /// What `look` finds for a shop. It is begun, in the same moment, when there is nothing in its way.
    fn unless(
        &self,
        storefront: &Storefront,
        look: impl FnOnce(&BTreeSet<String>) -> Option<Twin>,
    ) -> Option<Twin> {
        let mut begun = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = look(&begun);
        let uid = storefront.uid().unwrap_or_default();
        match found {
            None => begun.insert(uid),
            Some(Twin::ByAddress(_) | Twin::ById(_)) => begun.remove(&uid),
            Some(Twin::Maybe(_)) => false,
        };
        found
    }

    /// A shop that has gone.
    pub fn forget(&self, storefront: &Storefront) {
        let uid = storefront.uid().unwrap_or_default();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&uid);
    }
}

/// Whether a shop was made, by this process or, as its status tells, by one before it.
fn is_begun(storefront: &Storefront, begun: &BTreeSet<String>) -> bool {
    let was_made = |status: &StorefrontStatus| {
        let refused = status.condition(READY).is_some_and(|ready| ready.reason == CONFLICT);
        status.says(TOPICS_READY, "True") && !refused
    };
    storefront.uid().is_some_and(|uid| begun.contains(&uid))
        || storefront.status.as_ref().is_some_and(was_made)
}

/// Whether the brokers of a shop are still to say which they are: they were not asked yet, or have answered without,
/// and nothing lasting is in the way. Of a new shop nothing is lasting.
fn is_soon_told(storefront: &Storefront) -> bool {
    let Some(status) = &storefront.status else { return true };
    let settled = status.says(KAFKA_READY, "False") || status.says(DEGRADED, "True");
    let created = storefront.meta().creation_timestamp.as_ref();
    let is_new = created.is_some_and(|at| Timestamp::now().duration_since(at.0) < NEW_FOR);
    is_new || !settled
}

/// What is known of an older shop with the same prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Twin {
    /// It has an address of our brokers.
    ByAddress(String),
    /// Its brokers have the id of ours.
    ById(String),
    /// It may have the same brokers: it is not known which ours are, or it has not been looked at yet.
    Maybe(String),
}

/// Another shop with the same brokers and prefix that was there before this one. The same cluster may have
/// several addresses: one in common is enough, and so is an id of its own.
pub fn older_twin(storefront: &Storefront, others: &[Arc<Storefront>]) -> Option<String> {
    let ours = Identity::of(storefront)?;
    match twin(storefront, &ours, others, &BTreeSet::new())? {
        Twin::ByAddress(other) | Twin::ById(other) => Some(other),
        Twin::Maybe(_) => None,
    }
}

fn twin(
    storefront: &Storefront,
    ours: &Identity,
    others: &[Arc<Storefront>],
    begun: &BTreeSet<String>,
) -> Option<Twin> {
    let age = |s: &Storefront| {
        let second = s.meta().creation_timestamp.clone().map(|time| time.0);
        (second, !is_begun(s, begun), s.uid())
    };
    let elders = others.iter().filter(|other| {
        let same = other.uid() == storefront.uid();
        !same && age(other) < age(storefront) && other.spec.prefix() == storefront.spec.prefix()
    });
    let mut maybe = None;
    for elder in elders {
        let Some(theirs) = Identity::of(elder) else { continue };
        let name = format!("{}/{}", elder.namespace().unwrap_or_default(), elder.name_any());
        if theirs.shares_an_address(ours) {
            return Some(Twin::ByAddress(name));
        }
        if ours.proof().is_some() && ours.proof() == theirs.proof() {
            return Some(Twin::ById(name));
        }
        let unknown = match (&ours.id, &theirs.id) {
            (None, None) => true,
            // Nothing can come out that would tell them apart from others.
            (None, Some(_)) => theirs.proof().is_some(),
            (Some(_), None) => is_soon_told(elder) && ours.proof().is_some(),
            (Some(_), Some(_)) => false,
        };
        if unknown {
            maybe.get_or_insert(Twin::Maybe(name));
        }
    }
    maybe
}

/// Fails when an older shop has the same topics and groups: before anything is made that would take its
/// events. So it does when that cannot be told, unless the shop runs already at these brokers. Writes into `observed` which
/// brokers they are, if they were asked.
pub(crate) async fn check(
    storefront: &Storefront,
    context: &Context,
    others: &References,
    live: &Live,
    observed: &mut Observed,
) -> Result<(), Error> {
    let Some(mut ours) = Identity::of(storefront) else { return Ok(()) };
    let all = context.storefronts_of_all_watches().await;
    let runs = runs_there(storefront, live);
    let look = |ours: &Identity| {
        context.begun.unless(storefront, |begun| {
            let found = twin(storefront, ours, &all, begun);
            found.filter(|found| !(runs && matches!(found, Twin::Maybe(_))))
        })
    };
    let asks = match look(&ours) {
        None => return Ok(()),
        Some(Twin::ByAddress(other)) => return Err(Error::SharedPrefix { other }),
        // What was written down may be of brokers that are not there any more.
        Some(Twin::ById(_)) => true,
        Some(Twin::Maybe(_)) => ours.id.is_none(),
    };
    let mut why = "it has not been looked at yet".to_owned();
    if asks {
        match ask(storefront, context, others).await {
            Ok(id) => ours.id = Some(id),
            Err(silence) => {
                why.clone_from(&silence.why);
                observed.brokers = silence.brokers;
            }
        }
        observed.cluster_id.clone_from(&ours.id);
    }
    match look(&ours) {
        Some(Twin::ByAddress(other) | Twin::ById(other)) => Err(Error::SharedPrefix { other }),
        Some(Twin::Maybe(other)) => Err(Error::MaybeSharedPrefix { other, why }),
        None => Ok(()),
    }
}

/// Whether some service has been told to use the brokers that the manifest names now.
fn runs_there(storefront: &Storefront, live: &Live) -> bool {
    let (brokers, _) = cluster::kafka(&storefront.spec, &storefront.name_any());
    let brokers = brokers.join(",");
    live.objects.iter().any(|object| object.data["data"]["KAFKA_BROKERS"] == *brokers)
}

/// The same for brokers that have said which they are: whatever else was known.
pub(crate) fn is_alone(
    storefront: &Storefront,
    context: &Context,
    ours: &Identity,
) -> Result<(), Error> {
    let all = context.storefronts();
    let found = context.begun.unless(storefront, |begun| twin(storefront, ours, &all, begun));
    match found {
        Some(Twin::ByAddress(other) | Twin::ById(other)) => Err(Error::SharedPrefix { other }),
        Some(Twin::Maybe(_)) | None => Ok(()),
    }
}

/// Why brokers do not say which they are.
struct Silence {
    why: String,
    brokers: Brokers,
}

async fn ask(
    storefront: &Storefront,
    context: &Context,
    others: &References,
) -> Result<String, Silence> {
    let silence = |why: &str| Silence { why: why.to_owned(), brokers: Brokers::NotAsked };
    if let Some(strimzi) = storefront.spec.strimzi() {
        // Its operator has asked them; ours may not before it has a user there.
        let id = observe::strimzi_cluster_id(&context.cluster, storefront).await;
        let silent =
            format!("Kafka {} does not say in its status which brokers it is", strimzi.cluster);
        return id.ok_or_else(|| silence(&silent));
    }
    if !others.are_complete_for_kafka() {
        return Err(silence("what is needed to ask the brokers is missing"));
    }
    let properties = properties(storefront, others);
    let asked = blocking(move || {
        let session = topics::open(&properties)?;
        session.ask_cluster_id(ID_LIMIT)
    });
    match asked.await {
        Ok(id) => Ok(id),
        Err(Error::Brokers(error)) => {
            let trouble = trouble(storefront, &error);
            Err(Silence { why: trouble.message.clone(), brokers: Brokers::Unreachable(trouble) })
        }
        Err(other) => Err(silence(&other.story())),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use serde_json::{Value, json};

    use super::*;

    fn shop(name: &str, age: i64, servers: &str, status: &Value) -> Storefront {
        serde_json::from_value(json!({
            "apiVersion": "storefront.dev/v1alpha1",
            "kind": "Storefront",
            "metadata": {
                "name": name, "namespace": "shops", "uid": name,
                "creationTimestamp": format!("2026-01-0{age}T00:00:00Z"),
            },
            "spec": {
                "payment": {"sandbox": {}},
                "kafka": {"external": {"bootstrapServers": servers}, "prefix": "blue."},
            },
            "status": status,
        }))
        .unwrap()
    }

    /// As an operator writes it that has asked these brokers.
    fn of(servers: &str, id: &str) -> Value {
        json!({"brokers": format!("external {servers}"), "clusterId": id, "observedGeneration": 1})
    }

    fn condition(kind: &str, status: &str, reason: &str) -> Value {
        json!({
            "type": kind, "status": status, "reason": reason, "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        })
    }

    /// What a younger shop is beside an older one. `asked` is what its brokers have just said.
    fn found(elder: &Storefront, servers: &str, status: &Value, asked: Option<&str>) -> Value {
        let younger = shop("younger", 2, servers, status);
        let mut ours = Identity::of(&younger).unwrap();
        ours.id = asked.map(str::to_owned).or(ours.id);
        match twin(&younger, &ours, &[Arc::new(elder.clone())], &BTreeSet::new()) {
            None => json!(null),
            Some(Twin::ByAddress(_)) => json!("address"),
            Some(Twin::ById(_)) => json!("id"),
            Some(Twin::Maybe(_)) => json!("maybe"),
        }
    }

    #[test]
    fn twins_are_known_by_an_address_or_by_the_id_of_their_brokers() {
        let elder = shop("elder", 1, "a:9092,b:9092", &of("a:9092,b:9092", "main"));
        let nothing = json!({});
        assert_eq!(found(&elder, "b:9092, c:9092", &nothing, None), "address");
        assert_eq!(found(&elder, "c:9092", &nothing, None), "maybe", "they do not answer yet");
        assert_eq!(found(&elder, "c:9092", &nothing, Some("main")), "id");
        assert_eq!(found(&elder, "c:9092", &nothing, Some("other")), json!(null));
        assert_eq!(found(&elder, "c:9092", &of("c:9092", "main"), None), "id");
        // Of brokers that it had before, and that are not there any more.
        assert_eq!(found(&elder, "c:9092", &of("d:9092", "main"), None), "maybe");
        assert_eq!(found(&elder, "c:9092", &of("c:9092", "main"), Some("other")), json!(null));
        let younger = Arc::new(shop("younger", 2, "c:9092", &of("c:9092", "main")));
        assert_eq!(older_twin(&elder, &[younger.clone(), Arc::new(elder.clone())]), None);
        assert_eq!(older_twin(&younger, &[Arc::new(elder)]).as_deref(), Some("shops/elder"));
    }

    #[test]
    fn an_id_that_many_clusters_have_is_no_proof() {
        for usual in NOBODYS {
            let elder = shop("elder", 1, "a:9092", &of("a:9092", usual));
            assert_eq!(found(&elder, "c:9092", &json!({}), Some(usual)), json!(null));
            assert_eq!(found(&elder, "c:9092", &json!({}), None), json!(null));
            assert_eq!(found(&elder, "a:9092", &json!({}), Some(usual)), "address");
        }
    }

    #[test]
    fn who_is_older_is_looked_at_first() {
        let unseen = shop("elder", 1, "a:9092", &json!({}));
        assert_eq!(found(&unseen, "c:9092", &json!({}), Some("main")), "maybe");
        // It was looked at, and its brokers do not say which they are: nobody waits for them.
        let told = |kind: &str, status: &str| {
            let conditions = [condition(kind, status, "Some")];
            shop("elder", 1, "a:9092", &json!({"observedGeneration": 1, "conditions": conditions}))
        };
        for ready in ["Unknown", "True"] {
            let soon = told(KAFKA_READY, ready);
            assert_eq!(found(&soon, "c:9092", &json!({}), Some("main")), "maybe");
        }
        let wrong = told(DEGRADED, "True");
        assert_eq!(found(&wrong, "c:9092", &json!({}), Some("main")), json!(null));
        let mut seen = told(KAFKA_READY, "False");
        seen.metadata.creation_timestamp = Some(Time(Timestamp::now()));
        assert!(is_soon_told(&seen), "it is new");
        let seen = told(KAFKA_READY, "False");
        assert_eq!(found(&seen, "c:9092", &json!({}), Some("main")), json!(null));
        assert_eq!(found(&seen, "c:9092", &json!({}), None), "maybe");
    }

    #[test]
    fn of_two_of_the_same_second_the_one_that_is_made_is_older() {
        let topics = condition(TOPICS_READY, "True", "AsPlanned");
        let conflict = condition(READY, "False", CONFLICT);
        let older = |a: &Storefront, b: &Storefront, begun: &[&str]| {
            let begun = begun.iter().map(|&uid| uid.to_owned()).collect();
            let refused = |of: &Storefront, other: &Storefront| {
                let ours = Identity::of(of).unwrap();
                twin(of, &ours, &[Arc::new(other.clone())], &begun).is_some()
            };
            [refused(a, b), refused(b, a)]
        };
        let shop = |name: &str, status: &Value| shop(name, 1, "main:9092", status);
        let [a, b] = ["a", "b"].map(|name| shop(name, &json!({})));
        assert_eq!(older(&a, &b, &[]), [false, true], "by their uid");
        assert_eq!(older(&a, &b, &["a"]), [false, true]);
        assert_eq!(older(&a, &b, &["b"]), [true, false]);
        assert_eq!(older(&a, &b, &["a", "b"]), [false, true]);
        // After another process: by what it has written.
        let made = shop("b", &json!({"conditions": [topics]}));
        assert_eq!(older(&a, &made, &[]), [true, false]);
        let refused = shop("a", &json!({"conditions": [topics, conflict]}));
        assert_eq!(older(&refused, &made, &[]), [true, false]);
        assert_eq!(older(&refused, &b, &[]), [false, true], "neither is made");
    }

    #[test]
    fn a_shop_that_moves_does_not_run_there_yet() {
        let settings = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "demo-order"},
            "data": {"KAFKA_BROKERS": "a:9092,b:9092"},
        });
        let live = Live { objects: vec![serde_json::from_value(settings).unwrap()] };
        assert!(runs_there(&shop("demo", 1, "a:9092, b:9092", &json!({})), &live));
        assert!(!runs_there(&shop("demo", 1, "c:9092", &json!({})), &live));
        assert!(!runs_there(&shop("demo", 1, "a:9092", &json!({})), &Live::default()));
    }

    #[test]
    fn a_shop_that_cannot_be_read_has_the_brokers_that_it_had() {
        let mut newer =
            serde_json::to_value(shop("elder", 1, "a:9092", &of("a:9092", "main"))).unwrap();
        newer["spec"]["kafka"]["external"] = json!({"bootstrapServers": ["a:9092"]});
        let elder = reading::read(serde_json::from_value(newer).unwrap());
        assert_eq!(found(&elder, "a:9092", &json!({}), None), "address");
        assert_eq!(found(&elder, "c:9092", &json!({}), Some("main")), "id");
    }
}
