//! The operator as a program of its own.

use std::{
    net::SocketAddr,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context;
use clap::Parser;
use kube::Client;
use storefront_operator::{
    controller::{
        self, Run,
        leader::{Candidate, Fence},
        metrics::Metrics,
        server::{self, Life},
    },
    render::Options,
};
use tokio::sync::watch;

/// Kubernetes mounts it beside the token of every pod that has one.
const ACCOUNT_NAMESPACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
const BEAT: Duration = Duration::from_secs(1);

/// Keeps Storefronts as their manifests say.
#[derive(Debug, Parser)]
#[command(name = "storefront-operator", version, max_term_width = 100)]
struct Arguments {
    /// Look after Storefronts of this namespace only; may be repeated, or list several with commas
    /// [default: every namespace].
    #[arg(long, env = "WATCH_NAMESPACE", value_name = "NAME", value_delimiter = ',')]
    namespace: Vec<String>,
    /// Namespace of the Lease that says who leads, the same for all operators of the same shops. Without it
    /// this operator has to be the only one.
    #[arg(long, env = "LEASE_NAMESPACE", value_name = "NAME")]
    lease_namespace: Option<String>,
    /// Name of the Lease.
    #[arg(long, default_value = "storefront-operator", value_name = "NAME")]
    lease: String,
    /// Name of this process, for the Lease and for Events [default: made up].
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    identity: Option<String>,
    /// Namespace that this operator runs in: only from there do managed brokers let it in [default: that
    /// of the pod's service account; outside of a cluster none].
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAME")]
    pod_namespace: Option<String>,
    /// Address of /livez, /readyz and /metrics.
    #[arg(long, default_value = "0.0.0.0:9000", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// What goes before the names of the services' images.
    #[arg(long, env = "IMAGE_REGISTRY", value_name = "REGISTRY")]
    image_registry: Option<String>,
    /// Tag of the services' images [default: this operator's version].
    #[arg(long, env = "IMAGE_TAG", value_name = "TAG")]
    image_tag: Option<String>,
    /// Image of Apache Kafka, without a tag.
    #[arg(long, env = "KAFKA_IMAGE", value_name = "IMAGE")]
    kafka_image: Option<String>,
    /// Release of Apache Kafka.
    #[arg(long, env = "KAFKA_VERSION", value_name = "VERSION")]
    kafka_version: Option<String>,
    /// Image of PostgreSQL.
    #[arg(long, env = "POSTGRES_IMAGE", value_name = "IMAGE")]
    postgres_image: Option<String>,
    /// Watch the metadata of Secrets, for which a right to list them is needed. Without it they are
    /// looked at by name every 15 to 60 seconds.
    #[arg(long, env = "WATCH_SECRETS", default_value_t = false)]
    watch_secrets: bool,
}

impl Arguments {
    fn candidate(&self, client: &Client, identity: &str) -> Option<Candidate> {
        let namespace = self.lease_namespace.clone()?;
        let (client, lease) = (client.clone(), self.lease.clone());
        // Several that are given one name, by a variable of the chart, are not one. Pods of several releases
        // may share a Lease.
        let home = self.pod_namespace.as_ref().map(|namespace| format!("{namespace}/"));
        let home = home.unwrap_or_default();
        let identity = format!("{home}{identity}_{}", uuid::Uuid::new_v4());
        Some(Candidate { client, namespace, lease, identity })
    }

    fn options(&self) -> Options {
        let own = Options::default();
        let or = |written: &Option<String>, own: String| written.clone().unwrap_or(own);
        Options {
            namespace: self.pod_namespace.clone().or_else(account_namespace),
            registry: or(&self.image_registry, own.registry),
            tag: or(&self.image_tag, own.tag),
            kafka_image: or(&self.kafka_image, own.kafka_image),
            kafka_version: or(&self.kafka_version, own.kafka_version),
            postgres_image: or(&self.postgres_image, own.postgres_image),
        }
    }
}

fn account_namespace() -> Option<String> {
    let text = std::fs::read_to_string(ACCOUNT_NAMESPACE).ok()?;
    Some(text.trim().to_owned()).filter(|namespace| !namespace.is_empty())
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let name = env!("CARGO_PKG_NAME");
    let _telemetry = storefront_telemetry::init_traced("operator", name, env!("CARGO_PKG_VERSION"));
    match run(arguments).await {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("the operator ends: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let metrics = Metrics::default();
    let life = Life { beat: beat(), metrics: metrics.clone() };
    let serving = tokio::spawn(server::serve(arguments.listen, life));
    let client = Client::try_default().await?;
    let identity = arguments.identity.clone();
    let identity =
        identity.unwrap_or_else(|| format!("storefront-operator-{}", uuid::Uuid::new_v4()));
    let candidate = arguments.candidate(&client, &identity);
    let fence = if candidate.is_some() { Fence::default() } else { Fence::open() };
    let stop = stop_signal();
    tokio::pin!(stop);
    if let Some(candidate) = &candidate {
        tracing::info!(identity, "waiting for the lease");
        tokio::select! {
            () = candidate.acquire(&fence) => {}
            () = &mut stop => return Ok(ExitCode::SUCCESS),
        }
    }
    tracing::info!(identity, "leading");
    metrics.leading(true);
    let (end, mut ending) = watch::channel(false);
    let mut controller = tokio::spawn(controller::run(
        Run {
            client,
            namespaces: arguments.namespace.clone(),
            options: arguments.options(),
            fence: fence.clone(),
            metrics,
            identity,
            watch_secrets: arguments.watch_secrets,
        },
        async move {
            // An end of the sender is an end, too.
            let _ = ending.wait_for(|end| *end).await;
        },
    ));
    let keep = async {
        match &candidate {
            Some(candidate) => candidate.keep(&fence).await,
            None => std::future::pending().await,
        }
    };
    let code = tokio::select! {
        () = &mut stop => ExitCode::SUCCESS,
        // Without the lease everything that is remembered may be old: a new process starts clean.
        () = keep => ExitCode::FAILURE,
        served = serving => {
            served??;
            ExitCode::FAILURE
        }
        // A bug, which a new process may not meet again.
        ended = &mut controller => {
            ended.context("the controller has ended")?;
            anyhow::bail!("the controller has ended");
        }
    };
    drop(end);
    if tokio::time::timeout(Duration::from_secs(20), controller).await.is_err() {
        tracing::warn!("attempts under way did not end in time");
    }
    if let Some(candidate) = &candidate {
        candidate.release(&fence).await;
    }
    Ok(code)
}

/// A sign of life, again and again.
fn beat() -> watch::Receiver<Instant> {
    let (beat, beats) = watch::channel(Instant::now());
    tokio::spawn(async move {
        while beat.send(Instant::now()).is_ok() {
            tokio::time::sleep(BEAT).await;
        }
    });
    beats
}

/// SIGTERM or Ctrl-C.
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
