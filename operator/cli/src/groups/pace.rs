//! How fast a group works and when it is done, from two looks at it. Pure.

use std::time::Instant;

use serde::Serialize;
use storefront_inspect::{Group, GroupPartition};

/// What was seen, and when.
#[derive(Debug)]
pub struct Look {
    pub at: Instant,
    pub groups: Vec<Group>,
}

/// Messages per second between two looks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Pace {
    #[serde(rename = "handledPerS")]
    pub handled: f64,
    #[serde(rename = "arrivingPerS")]
    pub arriving: f64,
    /// Until the lag is gone at this pace; `null` when it does not shrink.
    #[serde(rename = "drainedInS")]
    pub drained_in_s: Option<f64>,
}

/// The pace of a group since an earlier look; none when it was not there or no time has passed.
pub fn between(before: &Look, now: &Look, group: &Group) -> Option<Pace> {
    let seconds = now.at.duration_since(before.at).as_secs_f64();
    let earlier = before.groups.iter().find(|it| it.name == group.name)?;
    (seconds > 0.0).then(|| pace(earlier, group, seconds))
}

fn pace(before: &Group, now: &Group, seconds: f64) -> Pace {
    let (mut handled, mut arrived) = (0, 0);
    for partition in &now.partitions {
        let same =
            |it: &&GroupPartition| it.topic == partition.topic && it.number == partition.number;
        let Some(earlier) = before.partitions.iter().find(same) else { continue };
        // A group that stored its first offset has handled what it was behind before.
        let next = |it: &GroupPartition| it.committed.unwrap_or(it.end - it.lag);
        handled += (next(partition) - next(earlier)).max(0);
        arrived += (partition.end - earlier.end).max(0);
    }
    let per_s = |count: i64| {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        f64::from(count) / seconds
    };
    let (handled, arriving) = (per_s(handled), per_s(arrived));
    let drained_in_s = drained(now.lag, handled - arriving);
    Pace { handled, arriving, drained_in_s }
}

fn drained(lag: i64, net_per_s: f64) -> Option<f64> {
    if lag == 0 {
        return Some(0.0);
    }
    let lag = f64::from(u32::try_from(lag).unwrap_or(u32::MAX));
    (net_per_s > 0.0).then(|| lag / net_per_s)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn look(at: Instant, committed: Option<i64>, end: i64) -> Look {
        let lag = end - committed.unwrap_or_default();
        let partition =
            GroupPartition { topic: "t".into(), number: 0, committed, end, lag, member: None };
        let group = Group {
            name: "g".into(),
            service: None,
            state: "Stable".into(),
            members: Vec::new(),
            partitions: vec![partition],
            lag,
        };
        Look { at, groups: vec![group] }
    }

    /// Two looks two seconds apart.
    fn check(
        before: (Option<i64>, i64),
        now: (Option<i64>, i64),
        expected: (f64, f64, Option<f64>),
    ) {
        let start = Instant::now();
        let before = look(start, before.0, before.1);
        let now = look(start + Duration::from_secs(2), now.0, now.1);
        let (handled, arriving, drained_in_s) = expected;
        assert_eq!(
            between(&before, &now, &now.groups[0]),
            Some(Pace { handled, arriving, drained_in_s })
        );
    }

    #[test]
    fn two_looks_tell_when_a_group_is_done() {
        check((Some(0), 100), (Some(20), 100), (10.0, 0.0, Some(8.0)));
        check((Some(0), 100), (Some(20), 110), (10.0, 5.0, Some(18.0)));
        check((Some(0), 100), (Some(0), 110), (0.0, 5.0, None));
        check((Some(100), 100), (Some(100), 100), (0.0, 0.0, Some(0.0)));
        check((None, 100), (Some(10), 100), (5.0, 0.0, Some(18.0)));
        check((Some(50), 100), (Some(10), 100), (0.0, 0.0, None));
    }

    #[test]
    fn a_group_that_was_not_there_has_no_pace() {
        let now = look(Instant::now(), None, 1);
        let before = Look { at: now.at, groups: Vec::new() };
        assert_eq!(between(&before, &now, &now.groups[0]), None);
    }
}
