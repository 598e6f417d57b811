//! Typed settings of each service: written by the plan, read back by the service.
//!
//! A cluster carries them in a ConfigMap as environment variables, `storefront dev` in a map. Either
//! way `read(write(settings)) == settings`, and a wrong value stops the service at its start with a
//! message that names the variable. Secrets are never here: settings hold the paths of their files.

mod analytics;
mod branding;
mod common;
mod database;
mod email;
mod gateway;
mod kafka;
mod order;
mod payment;
mod reader;

pub use analytics::AnalyticsSettings;
pub use branding::{Branding, SHOP_NAME_MAX_CHARS, is_shop_name};
pub use common::Common;
pub use database::{DatabaseSettings, DatabaseUrl};
pub use email::{EmailSettings, SmtpSettings, SmtpTls};
pub use gateway::{Cidr, GatewaySettings, Route};
pub use kafka::{KafkaSecurity, KafkaSettings, Sasl, SaslMechanism};
pub use order::OrderSettings;
pub use payment::{PaymentSettings, StripeSettings};
pub use reader::{Reader, SettingsError, SettingsProblem, Source};

use std::collections::BTreeMap;

/// What a service is told at its start.
pub trait Settings: Sized {
    /// Reads every variable; reports all that is wrong at once.
    fn read(source: &dyn Source) -> Result<Self, SettingsError>;

    /// The variables that [`Settings::read`] reads. A default is written out too, so that a pod's
    /// settings can be seen without knowing the program's version.
    fn write(&self) -> BTreeMap<String, String>;
}

/// Variables under construction; keeps `write` functions to one line a field.
pub(crate) type Variables = BTreeMap<String, String>;

#[expect(clippy::needless_pass_by_value, reason = "many callers hand over a text just made")]
pub(crate) fn put(variables: &mut Variables, name: &str, value: impl ToString) {
    variables.insert(name.to_owned(), value.to_string());
}

pub(crate) fn put_path(variables: &mut Variables, name: &str, path: &std::path::Path) {
    variables.insert(name.to_owned(), path.to_string_lossy().into_owned());
}
