//! Settings of analytics.

use std::collections::BTreeMap;

use super::{Common, DatabaseSettings, KafkaSettings, Reader, Settings, SettingsError, Source};

/// Settings of analytics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnalyticsSettings {
    pub common: Common,
    pub kafka: KafkaSettings,
    pub database: DatabaseSettings,
}

impl Settings for AnalyticsSettings {
    fn read(source: &dyn Source) -> Result<Self, SettingsError> {
        let mut reader = Reader::new(source);
        let common = Common::read(&mut reader);
        let kafka = KafkaSettings::read(&mut reader);
        let database = DatabaseSettings::read(&mut reader);
        let settings = (|| Some(Self { common: common?, kafka: kafka?, database: database? }))();
        reader.finish(settings)
    }

    fn write(&self) -> BTreeMap<String, String> {
        let Self { common, kafka, database } = self;
        let mut variables = BTreeMap::new();
        common.write(&mut variables);
        kafka.write(&mut variables);
        database.write(&mut variables);
        variables
    }
}
