//! One attempt to bring a shop to what its manifest says: observe, plan, render, apply, status. Nothing is
//! assumed about why it began, and everything is looked at anew.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use kube::{
    ResourceExt,
    api::{Patch, PatchParams},
    runtime::controller::Action,
};
use serde_json::json;
use tracing::{Instrument, Span, field::Empty, info_span};
use uuid::Uuid;

use crate::{
    api::{API_VERSION, KIND, Storefront, StorefrontStatus},
    controller::{
        apply::{Done, apply},
        brokers,
        cluster::FIELD_MANAGER,
        context::{Context, shop},
        error::Error,
        finalize, kinds,
        observe::{self, Live, References},
        releases,
        shops::readable,
        twins,
    },
    plan::{Placement, Plan, plan},
    render::{Apis, Input, render},
    status::{Observed, Outcome, events, reasons::READY, says_the_same, status},
};

/// When nothing happens a shop is looked at this often: facts of brokers come by no watch.
const RESYNC: Duration = Duration::from_secs(60);
/// So often while something of others is missing, whose coming no watch tells.
const RESYNC_MISSING: Duration = Duration::from_secs(15);

/// An attempt that takes longer is given up: each call has a limit, but there are many of them.
pub(super) const ATTEMPT_LIMIT: Duration = Duration::from_secs(120);
/// After so many failures in a row what should pass by itself is told as something that does not. That is
/// after 1 + 2 + 4 seconds.
const LASTING_AFTER: u32 = 3;

/// What an attempt has found and done.
#[derive(Default)]
pub(crate) struct Attempt {
    pub plan: Option<Plan>,
    pub observed: Observed,
    pub done: Done,
}

/// One attempt, which ends in any case.
pub async fn reconcile(
    storefront: Arc<Storefront>,
    context: Arc<Context>,
) -> Result<Action, Error> {
    let (began, shop) = (Instant::now(), shop(&storefront));
    let metrics = &context.cluster.metrics;
    let under_way = metrics.pulse().begin(&shop);
    let span = span(&storefront);
    let mut writes = 0;
    let result = attempt(&storefront, &context, &mut writes).instrument(span.clone()).await;
    span.record("result", result.as_ref().err().map_or("done", Error::reason));
    span.record("otel.status_code", if result.is_ok() { "OK" } else { "ERROR" });
    span.record("writes", writes);
    metrics.reconciled(&shop, began, result.as_ref().err().map(Error::reason), writes > 0);
    if let Ok((_, wait)) = &result {
        let _ = wait.map(|wait| metrics.pulse().due(shop, wait));
        context.retries.reset(&storefront);
    }
    drop(under_way);
    result.map(|(action, _)| action)
}

/// What logs and traces say of all that happens in an attempt.
fn span(storefront: &Storefront) -> Span {
    tracing::info_span!(
        "attempt",
        storefront = storefront.name_any(),
        namespace = storefront.namespace(),
        generation = storefront.metadata.generation,
        writes = Empty,
        result = Empty,
        otel.status_code = Empty,
    )
}

/// What to do next, and after how long if there is a time for it.
type Next = (Action, Option<Duration>);

/// One attempt. The status is written whether it succeeds or not.
async fn attempt(
    storefront: &Storefront,
    context: &Context,
    writes: &mut usize,
) -> Result<Next, Error> {
    if storefront.metadata.deletion_timestamp.is_some() {
        return finalize::run(storefront, context).await.map(|action| (action, None));
    }
    let mut attempt = Attempt::default();
    let run = run(storefront, context, &mut attempt);
    let result = tokio::time::timeout(ATTEMPT_LIMIT, run).await;
    let result = result.unwrap_or(Err(Error::TooLong { limit_s: ATTEMPT_LIMIT.as_secs() }));
    if let Err(Error::NotLeading) = result {
        return Err(Error::NotLeading);
    }
    let after = {
        let failed = context.retries.failed(storefront, attempt.done.reached);
        let outcome = outcome(storefront, &attempt, result.as_ref().err(), failed);
        status(storefront, &attempt.observed, &outcome, Timestamp::now())
    };
    let written = write_status(storefront, context, &after).instrument(info_span!("status"));
    *writes = attempt.done.writes + usize::from(written.await?);
    result?;
    let look_again = context.looks.next(storefront).unwrap_or(RESYNC);
    let complete = attempt.observed.missing.is_empty() && attempt.observed.missing_apis.is_empty();
    let wait = if complete { RESYNC } else { RESYNC_MISSING };
    let uid = storefront.uid().unwrap_or_default();
    let (_, contested) = context.contests.of(&uid, Instant::now());
    let wait = wait.min(look_again).min(contested.unwrap_or(RESYNC));
    Ok((Action::requeue(wait), Some(wait)))
}

async fn run(
    storefront: &Storefront,
    context: &Context,
    attempt: &mut Attempt,
) -> Result<(), Error> {
    let (cluster, namespace) = (&context.cluster, storefront.namespace().unwrap_or_default());
    let shop = storefront.name_any();
    let planned = info_span!("plan").in_scope(|| planned(storefront, &namespace));
    let observed = async {
        let apis = context.apis(storefront).await?;
        let live = observe::live(cluster, &namespace, &shop, &apis).await?;
        Ok::<_, Error>((apis, live))
    };
    let (apis, mut live) = observed.instrument(info_span!("observe")).await?;
    let made = match planned {
        Ok((placement, plan)) => {
            attempt.observed.url = Some(placement.public_url.to_string());
            attempt.observed.missing_apis = observe::missing_apis(storefront, &apis);
            let plan = &*attempt.plan.insert(plan);
            let others = observe::others(cluster, &namespace, plan).await?;
            attempt.observed.missing.clone_from(&others.missing);
            let work = Work { storefront, context, placement, plan, apis: &apis, others };
            work.make(&mut attempt.done, &mut live, &mut attempt.observed).await.map(|()| work)
        }
        Err(error) => Err(error),
    };
    if made.is_err() && attempt.done.writes > 0 {
        live = observe::live(cluster, &namespace, &shop, &apis).await?;
    }
    // What runs is seen whether or not it could be changed: it goes on in any case.
    let workloads = observe::workloads(cluster, &namespace, &shop, &live).await?;
    attempt.observed.workloads = Some(workloads);
    let Work { plan, others, .. } = made?;
    let paused = is_paused(storefront);
    let look = brokers::Look { storefront, context, plan, live: &live, others: &others, paused };
    let looked = look.run(&mut attempt.observed).instrument(info_span!("brokers"));
    attempt.done.writes += looked.await?;
    Ok(())
}

fn planned(storefront: &Storefront, namespace: &str) -> Result<(Placement, Plan), Error> {
    readable(storefront)?;
    let placement = Placement::cluster(storefront, namespace)?;
    let plan = plan(storefront, &placement)?;
    Ok((placement, plan))
}

fn is_paused(storefront: &Storefront) -> bool {
    storefront.spec.paused.unwrap_or_default()
}

/// Everything that is needed to make the cluster as planned.
struct Work<'a> {
    storefront: &'a Storefront,
    context: &'a Context,
    placement: Placement,
    plan: &'a Plan,
    apis: &'a Apis,
    others: References,
}

impl Work<'_> {
    /// Renders and applies, unless the shop is paused. Counts what it has written, also when it fails.
    async fn make(
        &self,
        done: &mut Done,
        live: &mut Live,
        observed: &mut Observed,
    ) -> Result<(), Error> {
        let Self { storefront, context, placement, plan, apis, others } = self;
        twins::check(storefront, context, others, live, observed).await?;
        releases::check(storefront, &context.options, live)?;
        let (cluster, namespace) = (&context.cluster, &placement.namespace);
        let credentials = others.credentials(live);
        let generated =
            observe::generated(cluster, namespace, storefront, live, credentials, random).await?;
        if is_paused(storefront) {
            return Ok(());
        }
        done.writes += finalize::prepare(storefront, context).await?;
        let options = &context.options;
        let input = Input { storefront, plan, placement, options, generated: &generated, apis };
        let objects = info_span!("render").in_scope(|| render(&input));
        observe::unlabelled(cluster, namespace, &objects, live).await?;
        let uid = storefront.uid().unwrap_or_default();
        let contests = &context.contests;
        let applied = apply(cluster, namespace, &uid, &objects, live, contests, done);
        let applied = applied.instrument(info_span!("apply")).await;
        (observed.contested, _) = contests.of(&uid, Instant::now());
        applied
    }
}

fn outcome<'a>(
    storefront: &Storefront,
    attempt: &'a Attempt,
    error: Option<&Error>,
    failed: u32,
) -> Outcome<'a> {
    match (error, &attempt.plan) {
        (Some(error), _) if error.is_permanent() => {
            let message = match error {
                // What is wrong with the manifest says it all.
                Error::Invalid(invalid) => invalid.to_string(),
                other => other.story(),
            };
            Outcome::Invalid { reason: error.reason(), message }
        }
        (Some(error), plan) => Outcome::Failed {
            plan: plan.as_ref(),
            reason: error.reason(),
            message: error.story(),
            passing: error.is_passing() && failed < LASTING_AFTER,
        },
        (None, Some(plan)) if is_paused(storefront) => Outcome::Paused(plan),
        (None, Some(plan)) => Outcome::Applied(plan),
        (None, None) => Outcome::Failed {
            plan: None,
            reason: "NoPlan",
            message: "there is no plan".to_owned(),
            passing: false,
        },
    }
}

/// Written only when it says something else: an unchanged status would wake our own watch.
async fn write_status(
    storefront: &Storefront,
    context: &Context,
    after: &StorefrontStatus,
) -> Result<bool, Error> {
    let (namespace, name) = (storefront.namespace().unwrap_or_default(), storefront.name_any());
    context.cluster.metrics.ready(&shop(storefront), after.says(READY, "True"));
    if says_the_same(storefront.status.as_ref(), after) {
        return Ok(false);
    }
    context.cluster.write(KIND, "status")?;
    let api = context.cluster.api(&namespace, &kinds::resource(API_VERSION, KIND));
    let status = json!({
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name, "uid": storefront.metadata.uid},
        "status": after,
    });
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    let patch = Patch::Apply(&status);
    let patched = context.cluster.written(api.patch_status(&name, &parameters, &patch)).await;
    match patched {
        Ok(_) => {}
        // Deleted, or deleted and made anew, meanwhile.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => return Ok(false),
        Err(error) => return Err(Error::Status(error)),
    }
    for event in events(storefront.status.as_ref(), after) {
        context.publish(storefront, &event).await;
    }
    Ok(true)
}

/// 32 letters and digits from the system's randomness.
fn random() -> String {
    Uuid::new_v4().simple().to_string()
}

/// What the controller does after a failure: an edit wakes us anyway; everything else is tried again,
/// later each time.
#[expect(clippy::needless_pass_by_value, reason = "the signature is the controller's")]
pub fn error_policy(storefront: Arc<Storefront>, error: &Error, context: Arc<Context>) -> Action {
    tracing::warn!(
        storefront = storefront.name_any(),
        namespace = storefront.namespace(),
        reason = error.reason(),
        "{}",
        error.story()
    );
    if error.is_permanent() {
        return Action::await_change();
    }
    let wait = match error {
        // It costs nothing to look, and no watch tells this one that the other is gone.
        Error::SharedPrefix { .. } => RESYNC_MISSING,
        // Brokers that begin to answer, too.
        Error::MaybeSharedPrefix { .. } => context.retries.next(&storefront).min(RESYNC),
        _ => context.retries.next(&storefront),
    };
    context.cluster.metrics.pulse().due(shop(&storefront), wait);
    Action::requeue(wait)
}
