//! Proof that the faults have bitten: what the services count while they live, over all their lives.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::world::World;

const LOOK_EVERY: Duration = Duration::from_secs(1);
const METRIC: &str = "storefront_events_total";

/// A counter of one instance: what stood there when its last life ended, and what stands there now.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    past: u64,
    now: u64,
}

/// Of every instance and series. What a process has counted in its last second before a kill is not in it.
#[derive(Default)]
pub struct Counters(Mutex<BTreeMap<(String, String), Count>>);

impl Counters {
    /// Looks every so often, for as long as it is awaited.
    pub async fn watch(self: Arc<Self>, world: World) {
        loop {
            self.look(&world).await;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    pub async fn look(&self, world: &World) {
        for member in &world.members {
            let asked = world.http.get(member.instance.admin("/metrics"));
            // Dead or frozen: next time.
            let Ok(Ok(reply)) = tokio::time::timeout(LOOK_EVERY, asked).await else { continue };
            self.note(member.instance.name(), &reply.text());
        }
    }

    fn note(&self, instance: &str, text: &str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for line in text.lines().filter(|line| line.starts_with(METRIC)) {
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            let Ok(value) = value.parse::<u64>() else { continue };
            let count = counts.entry((instance.to_owned(), series.to_owned())).or_default();
            if value < count.now {
                count.past += count.now;
            }
            count.now = value;
        }
    }

    /// How many events had this result (`duplicate`, `parked`…), all instances together.
    pub fn events(&self, result: &str) -> u64 {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let label = format!("result=\"{result}\"");
        let of = counts.iter().filter(|((_, series), _)| series.contains(&label));
        of.map(|(_, count)| count.past + count.now).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_earlier_lives_have_counted_stays() {
        let line = |value: u32| format!("{METRIC}{{topic=\"t\",result=\"duplicate\"}} {value}\n");
        let counters = Counters::default();
        for value in [1, 5, 2, 3] {
            counters.note("order-1", &line(value));
        }
        counters.note("order-2", &line(10));
        assert_eq!(counters.events("duplicate"), 5 + 3 + 10);
        assert_eq!(counters.events("parked"), 0);
    }
}
