//! Typed settings of each service: written by the plan, read back by the service.
//!
//! A cluster carries them in a ConfigMap as environment variables, `storefront dev` in a map. Either
//! way `read(write(settings)) == settings`, and a wrong value stops the service at its start with a
//! message that names the variable. Secrets are never here: settings hold the paths of their files.

mod analytics;
mod branding;
mod common;
mod database;
pub mod declare;
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
pub use declare::{Field, Need, Section, Variable};
pub use email::{EmailSettings, SmtpSettings, SmtpTls};
pub use gateway::{Cidr, GatewaySettings, Route};
pub use kafka::{KafkaSecurity, KafkaSettings, Sasl, SaslMechanism};
pub use order::OrderSettings;
pub use payment::{PaymentSettings, StripeSettings};
pub use reader::{Reader, SettingsError, SettingsProblem, Source};

use std::collections::BTreeMap;

/// What a service is told at its start.
pub trait Settings: Section {
    /// Reads every variable; reports all that is wrong at once.
    fn read(source: &dyn Source) -> Result<Self, SettingsError> {
        let mut reader = Reader::new(source);
        let settings = Self::read_from(&mut reader);
        reader.finish(settings)
    }

    /// The variables that [`Settings::read`] reads.
    fn write(&self) -> Variables {
        let mut variables = Variables::new();
        self.write_to(&mut variables);
        variables
    }

    /// Every variable, for people.
    fn variables() -> Vec<Variable> {
        let mut list = Vec::new();
        Self::describe(&mut list);
        list
    }
}

impl<S: Section> Settings for S {}

/// Variables and their values.
pub type Variables = BTreeMap<String, String>;
