//! An API server that fails, lies about the past, or goes away in the middle.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use fastrand::Rng;
use http::Method;
use kube::ResourceExt;
use serde_json::json;
use storefront_operator::Storefront;
use storefront_testkit::{Kubernetes, seed};

use crate::{
    abort::{both, made_up},
    controllers::collect_garbage,
    faults::{Call, Fate, Faults},
    state::{assert_same, objects, state, without_kept},
    world::{Operator, Place, define, kubernetes, until},
};

/// Installs, edits and deletes a shop in bad times, and looks at it in good ones in between.
async fn live_through(place: &Place, operator: &Operator, bad: &AtomicBool) {
    let both = both().await;
    let mut before = None;
    for (spec, fresh) in [&both[0], &both[1], &both[0]] {
        bad.store(true, Ordering::SeqCst);
        place.apply(spec).await;
        operator.settles(place).await;
        bad.store(false, Ordering::SeqCst);
        operator.settles(place).await;
        assert_same(&without_kept(state(place).await, fresh), fresh, "after bad times");
        let kept = ["demo-database", "demo-kafka"];
        let now = made_up(place).await;
        let now = kept.map(|name| now[name].clone());
        assert_eq!(*before.get_or_insert_with(|| now.clone()), now);
    }
    bad.store(true, Ordering::SeqCst);
    place.delete().await;
    until("the shop is gone", async || place.shop().await.is_none()).await;
    collect_garbage(place).await;
    let left: Vec<_> = state(place).await.into_keys().collect();
    assert_eq!(left, ["Secret demo-database", "Secret demo-kafka"]);
}

/// Of a hundred requests some are answered with an error of some kind, or late, or not at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_fail_are_made_again_and_not_before_their_time() {
    const WAIT: Duration = Duration::from_secs(1);
    let random = Mutex::new(Rng::with_seed(seed()));
    let asked_to_wait: Arc<Mutex<HashMap<String, Instant>>> = Arc::default();
    let too_early: Arc<Mutex<Vec<String>>> = Arc::default();
    let (waiting, early) = (Arc::clone(&asked_to_wait), Arc::clone(&too_early));
    let bad = Arc::new(AtomicBool::new(true));
    let is_bad = Arc::clone(&bad);
    let faults = Faults::new(move |call| {
        let request = format!("{} {}", call.method, call.path);
        let mut waiting = waiting.lock().unwrap();
        // A read is given up when one beside it fails, and comes again with the next attempt.
        if let Some(since) = waiting.remove(&request)
            && call.write.is_some()
            && since.elapsed() < WAIT
        {
            early.lock().unwrap().push(request.clone());
        }
        if !is_bad.load(Ordering::SeqCst) {
            return Fate::Pass;
        }
        match random.lock().unwrap().u32(..500) {
            0..4 if call.write.is_some() => Fate::Refused(409, None),
            4..7 => Fate::Refused(500, None),
            7..10 => {
                waiting.insert(request, Instant::now());
                Fate::Refused(429, Some(1))
            }
            10..16 => Fate::Refused(503, None),
            16..19 => Fate::Unanswered,
            19..29 => Fate::Slow(Duration::from_millis(100)),
            _ => Fate::Pass,
        }
    });
    let place = Place::new().await;
    let config = kubernetes().await.config("first").unwrap();
    let operator = Operator::start(faults.client(config), &place.namespace);
    live_through(&place, &operator, &bad).await;
    assert!(faults.happened() > 10, "only {} requests failed", faults.happened());
    assert_eq!(*too_early.lock().unwrap(), Vec::<String>::new());
}

/// Somebody takes away some objects again and again, and others are refused: to write the first again is no
/// progress, after which an attempt would come soon.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_only_written_again_hurries_nobody() {
    const WATCHED: Duration = Duration::from_secs(7);
    let again = Arc::new(AtomicUsize::new(0));
    let written = Arc::clone(&again);
    let faults = Faults::new(move |call| {
        let of = |kind: &str| call.path.contains(kind);
        match call.write {
            // Nothing tells of them, each time.
            None if of("/configmaps") && !call.is_watch() => Fate::Stale,
            Some(_) if of("/deployments/") => Fate::Refused(500, None),
            Some(_) if of("/configmaps/demo-order") => {
                written.fetch_add(1, Ordering::SeqCst);
                Fate::Pass
            }
            _ => Fate::Pass,
        }
    });
    let place = Place::new().await;
    let config = kubernetes().await.config("first").unwrap();
    let operator = Operator::start(faults.client(config), &place.namespace);
    place.apply(&json!({"payment": {"sandbox": {}}})).await;
    // That is after three attempts in a row; the next ones come 8 s later, and 16 s after that.
    until("it is told", async || place.says("ApplyFailed").await).await;
    let before = operator.number("reconciles_total");
    assert!(again.load(Ordering::SeqCst) >= 3, "they are written each time");
    let hurries = async || operator.number("reconciles_total") > before + 2;
    let hurried = tokio::time::timeout(WATCHED, until("it hurries", hurries)).await;
    assert!(hurried.is_err(), "{} attempts", operator.number("reconciles_total") - before);
}

/// Lists that say what was so some time ago, as another API server's cache might.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_of_the_past_make_nothing_that_is_wanted_go() {
    let random = Mutex::new(Rng::with_seed(seed()));
    let lie = Arc::new(AtomicBool::new(true));
    let lies = Arc::clone(&lie);
    let is_list =
        |call: &Call<'_>| call.method == Method::GET && call.path.contains("labelSelector");
    let faults = Faults::new(move |call| {
        let lies = lies.load(Ordering::SeqCst) && random.lock().unwrap().u32(..3) > 0;
        if lies && is_list(call) && !call.is_watch() { Fate::Stale } else { Fate::Pass }
    });
    let place = Place::new().await;
    let config = kubernetes().await.config("first").unwrap();
    let operator = Operator::start(faults.client(config), &place.namespace);
    let both = both().await;
    // What both manifests make is never taken away in between.
    let mut first: HashMap<String, Option<String>> = HashMap::new();
    let mut before = None;
    for (spec, fresh) in both.iter().chain(both).chain(both) {
        place.apply(spec).await;
        until("the manifest is seen", async || place.is_seen().await).await;
        lie.store(false, Ordering::SeqCst);
        operator.settles(&place).await;
        lie.store(true, Ordering::SeqCst);
        assert_same(&without_kept(state(&place).await, fresh), fresh, "after lies");
        for (resource, object) in objects(&place).await {
            let name = format!("{} {}", resource.kind, object.name_any());
            if both.iter().all(|(_, state)| state.contains_key(&name)) {
                let uid = first.entry(name.clone()).or_insert_with(|| object.uid());
                assert_eq!(*uid, object.uid(), "{name} was made anew");
            }
        }
        let now = made_up(&place).await["demo-database"].clone();
        assert_eq!(*before.get_or_insert_with(|| now.clone()), now);
    }
    assert!(faults.happened() > 10, "only {} lies", faults.happened());
}

/// `kill -9` of the API server in the middle of an install, an edit and a deletion.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_server_that_goes_away_in_the_middle_finds_everything_done_later() {
    let kubernetes = Kubernetes::private().await.unwrap();
    define(&kubernetes.client().unwrap()).await;
    let both = both().await;
    let place = Place::on(&kubernetes).await;
    let faults = Faults::new(|_| Fate::Pass);
    let operator =
        Operator::start(faults.client(kubernetes.config("first").unwrap()), &place.namespace);
    for (index, (spec, fresh)) in both.iter().chain(both).enumerate() {
        let writes = faults.writes() + 3 + 7 * index;
        place.apply(spec).await;
        until("some writes", async || faults.writes() >= writes).await;
        kubernetes.kill().unwrap();
        kubernetes.start().await.unwrap();
        let began = Instant::now();
        operator.settles(&place).await;
        println!("settled {:?} after the API server was back", began.elapsed());
        assert_same(&without_kept(state(&place).await, fresh), fresh, "after an outage");
    }
    // Frozen, it hears everything late.
    place.apply(&both[0].0).await;
    kubernetes.pause().unwrap();
    let shops = place.api::<Storefront>();
    until("nothing is answered", async || {
        tokio::time::timeout(Duration::from_secs(1), shops.get("demo")).await.is_err()
    })
    .await;
    kubernetes.resume().unwrap();
    operator.settles(&place).await;
    place.delete().await;
    kubernetes.kill().unwrap();
    kubernetes.start().await.unwrap();
    until("the shop is gone", async || {
        shops.get_opt("demo").await.is_ok_and(|shop| shop.is_none())
    })
    .await;
    collect_garbage(&place).await;
    let left: Vec<_> = state(&place).await.into_keys().collect();
    assert_eq!(left, ["Secret demo-database", "Secret demo-kafka"]);
}
