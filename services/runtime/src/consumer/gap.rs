//! Losses that are not ours to prevent, and must never be silent: records that expired before they were
//! read, and topics that were deleted and made again.

use std::sync::Arc;

use prometheus_client::metrics::{counter::Counter, family::Family};

use crate::metrics::{Metrics, PARTITION, PartitionLabels};

#[derive(Clone)]
pub(crate) struct Gaps {
    /// `storefront_records_expired_total{topic, partition}`.
    expired: Family<PartitionLabels, Counter>,
    /// `storefront_topics_replaced_total{topic, partition}`.
    replaced: Family<PartitionLabels, Counter>,
}

impl Gaps {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            expired: metrics.register_by(
                PARTITION,
                "storefront_records_expired",
                "Records that the topic's retention removed before they were read",
                Family::default(),
            ),
            replaced: metrics.register_by(
                PARTITION,
                "storefront_topics_replaced",
                "Partitions whose topic was deleted and made again",
                Family::default(),
            ),
        }
    }

    /// The records in `from..to` are gone.
    pub(crate) fn expired(&self, topic: &Arc<str>, partition: i32, from: i64, to: i64) {
        let Ok(records @ 1..) = u64::try_from(to - from) else { return };
        tracing::error!(
            %topic, partition, from, to,
            "records expired before they were read: {records} are lost"
        );
        let labels = PartitionLabels { topic: Arc::clone(topic), partition };
        self.expired.get_or_create(&labels).inc_by(records);
    }

    pub(crate) fn replaced(&self, topic: &Arc<str>, partition: i32) {
        tracing::warn!(
            %topic, partition,
            "the topic is another one than before: it is read from its beginning, and what was handled \
             before is skipped"
        );
        let labels = PartitionLabels { topic: Arc::clone(topic), partition };
        self.replaced.get_or_create(&labels).inc();
    }
}
