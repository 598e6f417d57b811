//! An attempt that is cut off after each of its writes, or misses the answer to it: what comes after ends in
//! the state of a fresh install, with nothing too much and nothing lost, and what was made up stays as it is.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, stream};
use kube::ResourceExt;
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer},
};
use serde_json::{Value, json};
use storefront_testkit::kafka;
use tokio::sync::OnceCell;

use crate::{
    controllers::collect_garbage,
    faults::{Fate, Faults},
    state::{State, assert_same, objects, secret, state, without_kept},
    world::{Operator, Place, kubernetes, until},
};

/// Cases that run at the same time.
const AT_ONCE: usize = 4;
/// No attempt of these shops writes as often.
const WRITES_MAX: usize = 200;

/// Every kind of object is among what this becomes.
fn wide() -> Value {
    json!({
        "payment": {"sandbox": {}},
        "gateway": {
            "host": "shop.example.com",
            "ingress": {"className": "nginx"},
            "httpRoute": {"parentRefs": [{"name": "public"}]},
        },
        "services": {
            "gateway": {"autoscaling": {"maxReplicas": 5}},
            "order": {"replicas": 2},
            "email": {"enabled": false},
            "analytics": {"enabled": false},
        },
    })
}

/// From the one to the other objects are created, changed and deleted; and so they are on the way back.
fn narrow() -> Value {
    json!({
        "payment": {"sandbox": {}},
        "gateway": {"host": "shop.example.com"},
        "database": {"external": {"secretRef": {"name": "postgres", "key": "uri"}}},
        "services": {
            "gateway": {"replicas": 3},
            "order": {"enabled": false},
            "email": {"autoscaling": {"maxReplicas": 2}},
            "analytics": {"enabled": false},
        },
    })
}

/// What a shop becomes that nothing happens to.
async fn fresh(spec: &Value) -> State {
    let place = Place::new().await;
    let operator = Operator::start(place.client.clone(), &place.namespace);
    place.apply(spec).await;
    operator.settles(&place).await;
    state(&place).await
}

/// Both, once for all cases.
pub async fn both() -> &'static [(Value, State); 2] {
    static BOTH: OnceCell<[(Value, State); 2]> = OnceCell::const_new();
    BOTH.get_or_init(async || {
        let (wide, narrow) = (wide(), narrow());
        let (of_wide, of_narrow) = tokio::join!(fresh(&wide), fresh(&narrow));
        [(wide, of_wide), (narrow, of_narrow)]
    })
    .await
}

/// What was made up, by Secret.
pub async fn made_up(place: &Place) -> BTreeMap<String, BTreeMap<String, String>> {
    let objects = objects(place).await;
    let secrets = objects.iter().filter(|(resource, _)| resource.kind == "Secret");
    secrets.map(|(_, object)| (object.name_any(), secret(object))).collect()
}

/// Whatever was made up before is the same now, unless its Secret went as a whole.
fn assert_kept(
    before: &BTreeMap<String, BTreeMap<String, String>>,
    now: &BTreeMap<String, BTreeMap<String, String>>,
    what: &str,
) {
    for (name, data) in before {
        assert!(now.get(name).is_none_or(|now| now == data), "{what}: {name} was made up anew");
    }
}

/// An operator that meets that fate with its `n`th write, and no other.
async fn meeting(place: &Place, n: usize, fate: fn() -> Fate) -> (Operator, Faults) {
    let faults = Faults::new(move |call| if call.write == Some(n) { fate() } else { Fate::Pass });
    let config = kubernetes().await.config("first").unwrap();
    (Operator::start(faults.client(config), &place.namespace), faults)
}

/// Something begins, and the operator is gone with its `n`th write. Whether that was before the end of it.
async fn cut_off(
    place: &Place,
    n: usize,
    begin: impl AsyncFnOnce(),
    end: impl AsyncFnOnce(&Operator),
) -> bool {
    let (operator, faults) = meeting(place, n, || Fate::LastOne).await;
    begin().await;
    tokio::select! {
        () = faults.gone() => true,
        () = end(&operator) => false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_install_cut_off_after_any_write_is_finished_by_the_next_start() {
    let [(spec, fresh), _] = both().await;
    let completed = Arc::new(AtomicUsize::new(0));
    let cases = stream::iter(1..WRITES_MAX).take_while(|_| {
        let completed = completed.load(Ordering::SeqCst);
        async move { completed == 0 }
    });
    let cut = async |n: usize| {
        let what = format!("cut off after write {n} of an install");
        let place = Place::new().await;
        let settles = async |operator: &Operator| operator.settles(&place).await;
        if !cut_off(&place, n, async || place.apply(spec).await, settles).await {
            completed.fetch_add(1, Ordering::SeqCst);
        }
        let before = made_up(&place).await;
        let operator = Operator::start(place.client.clone(), &place.namespace);
        operator.settles(&place).await;
        assert_same(&state(&place).await, fresh, &what);
        assert_kept(&before, &made_up(&place).await, &what);
    };
    cases.for_each_concurrent(AT_ONCE, cut).await;
    assert!(completed.load(Ordering::SeqCst) > 0, "no install was finished in {WRITES_MAX} writes");
}

/// Goes from one manifest to the other and back; each time `meddle` has its `n`, until an attempt was not
/// meddled with.
async fn to_and_fro(lane: usize, meddle: impl AsyncFn(&Place, usize, &Value) -> bool) {
    let both = both().await;
    let place = Place::new().await;
    let mut whole = [false; 2];
    let operator = Operator::start(place.client.clone(), &place.namespace);
    place.apply(&both[0].0).await;
    operator.settles(&place).await;
    drop(operator);
    let mut before = made_up(&place).await;
    for n in (1 + lane..WRITES_MAX).step_by(AT_ONCE) {
        for to in [1, 0] {
            let (spec, fresh) = &both[to];
            let what = format!("write {n} on the way to {spec}");
            if !meddle(&place, n, spec).await {
                whole[to] = true;
            }
            let there = without_kept(state(&place).await, fresh);
            assert_same(&there, fresh, &what);
            let now = made_up(&place).await;
            assert_kept(&before, &now, &what);
            before = now;
        }
        if whole == [true; 2] {
            println!("neither way has as many as {n} writes");
            return;
        }
    }
    panic!("no edit was finished in {WRITES_MAX} writes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_cut_off_after_any_write_is_finished_by_the_next_start() {
    let cut = async |place: &Place, n: usize, spec: &Value| {
        let settles = async |operator: &Operator| operator.settles(place).await;
        let was_cut = cut_off(place, n, async || place.apply(spec).await, settles).await;
        let operator = Operator::start(place.client.clone(), &place.namespace);
        operator.settles(place).await;
        was_cut
    };
    stream::iter(0..AT_ONCE).for_each_concurrent(None, |lane| to_and_fro(lane, cut)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_whose_answer_is_lost_after_any_write_is_tried_again() {
    let lose = async |place: &Place, n: usize, spec: &Value| {
        let (operator, faults) = meeting(place, n, || Fate::Unanswered).await;
        place.apply(spec).await;
        operator.settles(place).await;
        faults.happened() > 0
    };
    stream::iter(0..AT_ONCE).for_each_concurrent(None, |lane| to_and_fro(lane, lose)).await;
}

/// The operator was away: what belongs to the shop that was there before is not that of the new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_made_anew_while_nobody_looks_takes_over_what_is_left() {
    let [(spec, fresh), _] = both().await;
    let place = Place::new().await;
    let operator = Operator::start(place.client.clone(), &place.namespace);
    place.apply(spec).await;
    operator.settles(&place).await;
    let before = made_up(&place).await;
    drop(operator);
    place.delete().await;
    place.apply(spec).await;
    let operator = Operator::start(place.client.clone(), &place.namespace);
    operator.settles(&place).await;
    // The collector may come late: what was taken over is not the old shop's any more.
    collect_garbage(&place).await;
    assert_same(&state(&place).await, fresh, "made anew");
    assert_eq!(made_up(&place).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_shop_leaves_what_belongs_to_disks_and_nothing_else() {
    let [(spec, fresh), _] = both().await;
    let place = Place::new().await;
    let operator = Operator::start(place.client.clone(), &place.namespace);
    place.apply(spec).await;
    operator.settles(&place).await;
    let before = made_up(&place).await;
    place.delete().await;
    until("the shop is gone", async || place.shop().await.is_none()).await;
    collect_garbage(&place).await;
    let left: Vec<_> = state(&place).await.into_keys().collect();
    assert_eq!(left, ["Secret demo-database", "Secret demo-kafka"]);
    place.apply(spec).await;
    operator.settles(&place).await;
    assert_same(&state(&place).await, fresh, "taken up again");
    let now = made_up(&place).await;
    for kept in ["demo-database", "demo-kafka"] {
        assert_eq!(now[kept], before[kept]);
    }
}

/// The topics of the shop that the broker has.
fn topics(bootstrap: &str, prefix: &str) -> Vec<String> {
    let client: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", bootstrap).create().unwrap();
    let metadata = client.fetch_metadata(None, Duration::from_secs(30)).unwrap();
    let names = metadata.topics().iter().map(|topic| topic.name().to_owned());
    names.filter(|name| name.starts_with(prefix)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_cut_off_after_any_write_is_finished_with_its_topics() {
    let kafka = kafka().await.unwrap();
    let mut was_cut = true;
    let mut n = 0;
    while was_cut {
        n += 1;
        let place = Place::new().await;
        let spec = json!({
            "payment": {"sandbox": {}},
            "kafka": {
                "external": {"bootstrapServers": kafka.bootstrap()},
                "prefix": format!("{}.", place.namespace),
                "topics": {"replicationFactor": 1, "deletionPolicy": "Delete"},
            },
        });
        let operator = Operator::start(place.client.clone(), &place.namespace);
        place.apply(&spec).await;
        operator.settles(&place).await;
        assert_eq!(topics(kafka.bootstrap(), &place.namespace).len(), 9);
        drop(operator);
        let gone = async || place.shop().await.is_none();
        let is_gone = async |_: &Operator| until("the shop is gone", gone).await;
        was_cut = cut_off(&place, n, async || place.delete().await, is_gone).await;
        let _operator = Operator::start(place.client.clone(), &place.namespace);
        until("the shop is gone", gone).await;
        collect_garbage(&place).await;
        let left: Vec<_> = state(&place).await.into_keys().collect();
        assert_eq!(left, ["Secret demo-database"], "cut off after write {n} of a deletion");
        until("the topics are gone", async || {
            topics(kafka.bootstrap(), &place.namespace).is_empty()
        })
        .await;
    }
    assert!(n > 1, "a deletion writes nothing");
}
