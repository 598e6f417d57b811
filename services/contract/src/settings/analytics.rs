//! Settings of analytics.

use super::{Common, DatabaseSettings, KafkaSettings, declare::Part};
use crate::section;

section! {
    /// Settings of analytics.
    pub struct AnalyticsSettings {
        pub common: Common = Part,
        pub kafka: KafkaSettings = Part,
        pub database: DatabaseSettings = Part,
    }
}
