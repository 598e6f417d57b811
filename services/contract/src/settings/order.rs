//! Settings of order.

use std::collections::BTreeMap;

use url::Url;

use super::{
    Common, DatabaseSettings, KafkaSettings, Reader, Settings, SettingsError, Source,
    payment::http_url, put,
};

/// Settings of order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderSettings {
    pub common: Common,
    pub kafka: KafkaSettings,
    pub database: DatabaseSettings,
    /// `EMAIL_URL`: where the state of an order's mail is asked; without it the state is unknown.
    pub email_url: Option<Url>,
    /// `EMAIL_TIMEOUT_MS`: for that question. Default 300: an order is shown without waiting long.
    pub email_timeout_ms: u64,
}

impl Settings for OrderSettings {
    fn read(source: &dyn Source) -> Result<Self, SettingsError> {
        let mut reader = Reader::new(source);
        let r = &mut reader;
        let common = Common::read(r);
        let kafka = KafkaSettings::read(r);
        let database = DatabaseSettings::read(r);
        let email_url = match r.raw("EMAIL_URL") {
            Some(text) => http_url(r, "EMAIL_URL", &text).map(Some),
            None => Some(None),
        };
        let email_timeout_ms = r.within("EMAIL_TIMEOUT_MS", 300, (10, 10_000));
        let settings = (|| {
            Some(Self {
                common: common?,
                kafka: kafka?,
                database: database?,
                email_url: email_url?,
                email_timeout_ms: email_timeout_ms?,
            })
        })();
        reader.finish(settings)
    }

    fn write(&self) -> BTreeMap<String, String> {
        let Self { common, kafka, database, email_url, email_timeout_ms } = self;
        let mut variables = BTreeMap::new();
        common.write(&mut variables);
        kafka.write(&mut variables);
        database.write(&mut variables);
        if let Some(url) = email_url {
            put(&mut variables, "EMAIL_URL", url);
        }
        put(&mut variables, "EMAIL_TIMEOUT_MS", email_timeout_ms);
        variables
    }
}
