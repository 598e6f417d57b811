//! What `/livez` says while the loop goes on, however badly, and when it does not. The limits are shorter than
//! the operator's own; everything else is as it is there.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use storefront_operator::{
    controller::{
        metrics::Metrics,
        pulse::{Limits, Pulse},
        server::{self, Life},
    },
    render::Options,
};
use storefront_testkit::{Http, free_ports};
use tokio::{
    runtime::{Builder, Runtime},
    sync::watch,
};

use crate::{
    abort::both,
    faults::{Fate, Faults},
    world::{Operator, Place, kubernetes, until},
};

/// Two calls that get no answer take 20 s.
const UNDER_WAY: Duration = Duration::from_secs(45);

/// Where `/livez` is.
struct Probe {
    metrics: Metrics,
    url: String,
    http: Http,
    beat: watch::Sender<Instant>,
}

impl Probe {
    async fn new() -> Self {
        let limits = Limits { under_way: UNDER_WAY, silence: UNDER_WAY * 2 };
        let metrics = Metrics::with(Pulse::with(limits));
        let (beat, beats) = watch::channel(Instant::now());
        let [port] = free_ports().unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        tokio::spawn(server::serve(address, Life { beat: beats, metrics: metrics.clone() }));
        let probe =
            Self { metrics, url: format!("http://{address}/livez"), http: Http::default(), beat };
        until("somebody answers", async || probe.http.get(&probe.url).await.is_ok()).await;
        probe
    }

    /// As the kubelet asks: the status, and what is said.
    async fn ask(&self) -> (u16, String) {
        self.beat.send_replace(Instant::now());
        let reply = self.http.get(&self.url).await.unwrap();
        (reply.status, String::from_utf8_lossy(&reply.body).into_owned())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_server_that_answers_nothing_is_no_reason_to_end_the_operator() {
    let (place, probe) = (Place::new().await, Probe::new().await);
    let frozen = Arc::new(AtomicBool::new(false));
    let is_frozen = Arc::clone(&frozen);
    let faults = Faults::new(move |call| {
        if is_frozen.load(Ordering::SeqCst) && !call.is_watch() {
            Fate::Slow(Duration::from_secs(3_600))
        } else {
            Fate::Pass
        }
    });
    let client = faults.client(kubernetes().await.config("first").unwrap());
    let metrics = probe.metrics.clone();
    let operator = Operator::start_counting(client, &place.namespace, Options::default(), metrics);
    let [(spec, _), (other, _)] = both().await;
    place.apply(spec).await;
    operator.settles(&place).await;
    frozen.store(true, Ordering::SeqCst);
    place.apply(other).await;
    let failed = operator.number("errors_total");
    until("several attempts get no answer", async || {
        assert_eq!(probe.ask().await, (200, "ok".to_owned()));
        operator.number("errors_total") >= failed + 2
    })
    .await;
    frozen.store(false, Ordering::SeqCst);
    operator.settles(&place).await;
}

/// A thread that waits for what never comes, as a lock that is taken twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loop_that_is_stuck_is_told_so_that_the_operator_is_started_anew() {
    let (place, probe) = (Place::new().await, Probe::new().await);
    let stuck = Arc::new(AtomicBool::new(true));
    let is_stuck = Arc::clone(&stuck);
    let faults = Faults::new(move |call| {
        while call.write.is_some() && is_stuck.load(Ordering::SeqCst) {
            std::thread::park_timeout(Duration::from_millis(20));
        }
        Fate::Pass
    });
    let config = kubernetes().await.config("first").unwrap();
    // A runtime of its own: nothing of it gets a turn while it is stuck.
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    // It ends with the process: one that is stuck cannot be waited for.
    let runtime: &'static Runtime = Box::leak(Box::new(runtime));
    let (metrics, namespace) = (probe.metrics.clone(), place.namespace.clone());
    let _operator = runtime
        .spawn(async move {
            let client = faults.client(config);
            Operator::start_counting(client, &namespace, Options::default(), metrics)
        })
        .await
        .unwrap();
    assert_eq!(probe.ask().await, (200, "ok".to_owned()));
    place.apply(&both().await[0].0).await;
    until("an attempt is under way", async || probe.metrics.pulse().under_way() == 1).await;
    let began = Instant::now();
    until("it is told", async || probe.ask().await.0 != 200).await;
    assert!(began.elapsed() + Duration::from_secs(5) > UNDER_WAY, "told too early");
    assert_eq!(probe.ask().await, (503, "an attempt does not end".to_owned()));
    // Whatever it was, it goes on, and so does the loop.
    stuck.store(false, Ordering::SeqCst);
    until("it is alive", async || probe.ask().await.0 == 200).await;
}
