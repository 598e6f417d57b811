//! Settings of order.

use url::Url;

use super::{
    Common, DatabaseSettings, KafkaSettings,
    declare::{OptionalHttpUrl, Part, Within},
};
use crate::section;

section! {
    /// Settings of order.
    pub struct OrderSettings {
        pub common: Common = Part,
        pub kafka: KafkaSettings = Part,
        pub database: DatabaseSettings = Part,
        /// Where the state of an order's mail is asked; without it the state is unknown.
        pub email_url: Option<Url> = OptionalHttpUrl("EMAIL_URL"),
        /// For that question: an order is shown without waiting long.
        pub email_timeout_ms: u64 = Within("EMAIL_TIMEOUT_MS", 300, 10..=10_000),
    }
}
