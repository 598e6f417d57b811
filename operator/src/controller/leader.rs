//! Who may write: one operator at a time, by a Lease. A leader that was stopped for longer than its
//! lease must not write when it goes on: the fence looks at the clock before each write.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, Client, api::PostParams};

/// How long a lease holds without being renewed.
const LEASE: Duration = Duration::from_secs(15);
/// After this long without a renewal the leader writes no more: before anybody else may.
const FENCE: Duration = Duration::from_secs(10);
const RENEW: Duration = Duration::from_secs(5);
/// A write that was let through just before has this long to end: less than what is left of the lease.
const LAST_WRITE: Duration = Duration::from_secs(4);
/// How often one who waits looks.
const LOOK: Duration = Duration::from_secs(2);

/// Longest wait for one answer: a renewal that hangs must leave time for another one before the fence.
const CALL_LIMIT: Duration = Duration::from_secs(3);

async fn answer<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, kube::Error> {
    let late = |_| kube::Error::Service("the API server has not answered in time".into());
    tokio::time::timeout(CALL_LIMIT, call).await.map_err(late)?
}

/// Whether writing is allowed. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Fence(Arc<Mutex<State>>);

#[derive(Debug, Default)]
enum State {
    #[default]
    Closed,
    OpenUntil(Instant),
    /// There is nobody else.
    Open,
}

impl Fence {
    /// For an operator that runs alone.
    pub fn open() -> Self {
        Self(Arc::new(Mutex::new(State::Open)))
    }

    /// From now on nothing is written.
    pub fn close(&self) {
        self.set(State::Closed);
    }

    pub fn is_open(&self) -> bool {
        match *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Closed => false,
            State::OpenUntil(end) => Instant::now() < end,
            State::Open => true,
        }
    }

    /// How long a write that begins now may take, while there may be somebody else.
    pub fn time_left(&self) -> Option<Duration> {
        match *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Closed => Some(Duration::ZERO),
            State::OpenUntil(end) => {
                Some(end.saturating_duration_since(Instant::now()) + LAST_WRITE)
            }
            State::Open => None,
        }
    }

    fn set(&self, state: State) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

/// One operator among several.
pub struct Candidate {
    pub client: Client,
    pub namespace: String,
    pub lease: String,
    /// Unique to this process, whatever others are called: two of one name would both hold the lease.
    pub identity: String,
}

impl Candidate {
    /// Waits for the lease, then keeps it until it is lost: then the fence has closed, and the process
    /// should end. A stop gives the lease back, so that nobody has to wait for its end.
    pub async fn acquire(&self, fence: &Fence) {
        // Another clock's times are not compared with ours: a lease has ended when it has not changed
        // for its own length.
        let mut seen = Seen::default();
        loop {
            match self.try_to_hold(&mut seen).await {
                Ok(Some(asked)) => {
                    fence.set(State::OpenUntil(asked + FENCE));
                    return;
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "cannot look at the lease"),
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Renews until the lease is lost.
    pub async fn keep(&self, fence: &Fence) {
        let mut end = Instant::now() + FENCE;
        loop {
            tokio::time::sleep(RENEW.min(end.saturating_duration_since(Instant::now()))).await;
            match self.renew().await {
                Ok(Some(asked)) => {
                    end = asked + FENCE;
                    fence.set(State::OpenUntil(end));
                }
                Ok(None) => {
                    tracing::error!("another operator has the lease");
                    return fence.close();
                }
                Err(error) => tracing::warn!(%error, "cannot renew the lease"),
            }
            if Instant::now() >= end {
                tracing::error!("the lease could not be renewed in time");
                return fence.close();
            }
        }
    }

    /// Gives the lease back.
    pub async fn release(&self, fence: &Fence) {
        fence.close();
        let api = self.api();
        let Ok(Some(mut lease)) = answer(api.get_opt(&self.lease)).await else { return };
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() == Some(&self.identity) {
            spec.holder_identity = None;
            let replaced = answer(api.replace(&self.lease, &PostParams::default(), &lease)).await;
            if let Err(error) = replaced {
                tracing::warn!(%error, "cannot give the lease back");
            }
        }
    }

    fn api(&self) -> Api<Lease> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// When it was asked for, if the lease is ours now.
    async fn try_to_hold(&self, seen: &mut Seen) -> Result<Option<Instant>, kube::Error> {
        let (api, asked) = (self.api(), Instant::now());
        let Some(mut lease) = answer(api.get_opt(&self.lease)).await? else {
            let created = answer(api.create(&PostParams::default(), &self.claim(None))).await;
            return taken(created, asked);
        };
        let version = lease.metadata.resource_version.clone().unwrap_or_default();
        let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.clone());
        let other = holder.filter(|holder| !holder.is_empty() && *holder != self.identity);
        let since = seen.since(version, asked);
        if let Some(other) = other
            && since.elapsed() < LEASE
        {
            self.tell_of(other, seen);
            return Ok(None);
        }
        lease = self.claim(Some(lease));
        taken(answer(api.replace(&self.lease, &PostParams::default(), &lease)).await, asked)
    }

    /// Who waits for ever, as a second release would, says for whom.
    fn tell_of(&self, other: String, seen: &mut Seen) {
        if seen.told.as_ref() != Some(&other) {
            tracing::info!(
                holder = other,
                lease = self.lease,
                namespace = self.namespace,
                "another operator leads"
            );
            seen.told = Some(other);
        }
    }

    async fn renew(&self) -> Result<Option<Instant>, kube::Error> {
        let (api, asked) = (self.api(), Instant::now());
        let mut lease = answer(api.get(&self.lease)).await?;
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() != Some(&self.identity) {
            return Ok(None);
        }
        spec.renew_time = Some(MicroTime(Timestamp::now()));
        taken(answer(api.replace(&self.lease, &PostParams::default(), &lease)).await, asked)
    }

    /// The lease with our name on it. A version in it makes a second claim at the same time fail.
    fn claim(&self, before: Option<Lease>) -> Lease {
        let now = MicroTime(Timestamp::now());
        let turns = before.as_ref().and_then(|lease| lease.spec.as_ref()?.lease_transitions);
        let metadata = before.map_or_else(
            || ObjectMeta { name: Some(self.lease.clone()), ..Default::default() },
            |lease| lease.metadata,
        );
        Lease {
            metadata,
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: i32::try_from(LEASE.as_secs()).ok(),
                acquire_time: Some(now.clone()),
                renew_time: Some(now),
                lease_transitions: Some(turns.map_or(0, |turns| turns + 1)),
                ..Default::default()
            }),
        }
    }
}

/// What one who waits knows of the lease.
#[derive(Default)]
struct Seen {
    /// Its version, and since when it has been that.
    version: Option<(String, Instant)>,
    /// The holder that was last told of.
    told: Option<String>,
}

impl Seen {
    /// Since when a lease has not changed.
    fn since(&mut self, version: String, now: Instant) -> Instant {
        match &self.version {
            Some((known, since)) if *known == version => *since,
            _ => self.version.insert((version, now)).1,
        }
    }
}

/// Somebody else was faster: that is no error.
fn taken(
    result: Result<Lease, kube::Error>,
    asked: Instant,
) -> Result<Option<Instant>, kube::Error> {
    match result {
        Ok(_) => Ok(Some(asked)),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_ends_before_another_operator_may_begin() {
        let fence = Fence::default();
        assert_eq!((fence.is_open(), fence.time_left()), (false, Some(Duration::ZERO)));
        let asked = Instant::now();
        fence.set(State::OpenUntil(asked + FENCE));
        let left = fence.time_left().unwrap();
        assert!(fence.is_open() && asked + left < asked + LEASE, "{left:?}");
        // The last moment in which a write is let through.
        assert!(FENCE + LAST_WRITE < LEASE);
        fence.set(State::Open);
        assert_eq!((fence.is_open(), fence.time_left()), (true, None));
    }
}
