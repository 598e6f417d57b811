//! Settings of payment.

use std::{collections::BTreeMap, path::PathBuf};

use url::Url;

use super::{
    Common, DatabaseSettings, KafkaSettings, Reader, Settings, SettingsError, Source, Variables,
    put, put_path,
};
use crate::money::Currency;

/// Settings of payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentSettings {
    pub common: Common,
    pub kafka: KafkaSettings,
    pub database: DatabaseSettings,
    /// `CURRENCY`: of every price in the catalog.
    pub currency: Currency,
    /// `CATALOG_FILE`: JSON `{"products": [{id, name, price, image?}]}`, read again when it changes.
    pub catalog_file: PathBuf,
    /// `PUBLIC_URL`: where shoppers reach the gateway; Stripe sends them back there.
    pub public_url: Url,
    pub stripe: StripeSettings,
    /// `SWEEP_INTERVAL_MS`: how often sessions without news are asked about. Default 30000.
    pub sweep_interval_ms: u64,
}

/// How to talk with Stripe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StripeSettings {
    /// `STRIPE_API_BASE`: Stripe, or a stand-in. Default `https://api.stripe.com`.
    pub api_base: Url,
    /// `STRIPE_API_KEY_FILE`: a secret or restricted key.
    pub api_key_file: PathBuf,
    /// `STRIPE_WEBHOOK_SECRET_FILES`: signing secrets, separated by commas. The first must be
    /// there; others, as the old one during a rotation, may be absent.
    pub webhook_secret_files: Vec<PathBuf>,
    /// `STRIPE_TIMEOUT_MS`: for one call. Default 8000.
    pub timeout_ms: u64,
    /// `STRIPE_SANDBOX`: the base is a stand-in; a live key is then refused. Default false.
    pub sandbox: bool,
    /// `STRIPE_WEBHOOK_TOLERANCE_S`: largest age of a signature. Default 300, as Stripe's own.
    pub webhook_tolerance_s: u64,
}

impl StripeSettings {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let api_base = reader
            .or("STRIPE_API_BASE", "https://api.stripe.com".to_owned())
            .and_then(|text| http_url(reader, "STRIPE_API_BASE", &text));
        let api_key_file = reader.path("STRIPE_API_KEY_FILE");
        let webhook_secret_files: Option<Vec<PathBuf>> = reader.list("STRIPE_WEBHOOK_SECRET_FILES");
        if webhook_secret_files.as_ref().is_some_and(Vec::is_empty) {
            reader.problem(
                "STRIPE_WEBHOOK_SECRET_FILES",
                "is missing: without a secret anybody could forge a payment",
            );
        }
        let timeout_ms = reader.within("STRIPE_TIMEOUT_MS", 8_000, (10, 80_000));
        let sandbox = reader.flag("STRIPE_SANDBOX", false);
        let webhook_tolerance_s = reader.within("STRIPE_WEBHOOK_TOLERANCE_S", 300, (1, 3_600));
        Some(Self {
            api_base: api_base?,
            api_key_file: api_key_file?,
            webhook_secret_files: webhook_secret_files?,
            timeout_ms: timeout_ms?,
            sandbox: sandbox?,
            webhook_tolerance_s: webhook_tolerance_s?,
        })
    }

    fn write(&self, variables: &mut Variables) {
        let Self { api_base, api_key_file, webhook_secret_files, timeout_ms, .. } = self;
        let Self { sandbox, webhook_tolerance_s, .. } = self;
        put(variables, "STRIPE_API_BASE", api_base);
        put_path(variables, "STRIPE_API_KEY_FILE", api_key_file);
        let files: Vec<_> =
            webhook_secret_files.iter().map(|path| path.to_string_lossy()).collect();
        put(variables, "STRIPE_WEBHOOK_SECRET_FILES", files.join(","));
        put(variables, "STRIPE_TIMEOUT_MS", timeout_ms);
        put(variables, "STRIPE_SANDBOX", sandbox);
        put(variables, "STRIPE_WEBHOOK_TOLERANCE_S", webhook_tolerance_s);
    }
}

/// An `http` or `https` URL with a host.
pub(super) fn http_url(reader: &mut Reader<'_>, name: &str, text: &str) -> Option<Url> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Some(url),
        _ => {
            reader.problem(name, format!("is {text:?}; write http://HOST:PORT or https://HOST"));
            None
        }
    }
}

impl Settings for PaymentSettings {
    fn read(source: &dyn Source) -> Result<Self, SettingsError> {
        let mut reader = Reader::new(source);
        let r = &mut reader;
        let common = Common::read(r);
        let kafka = KafkaSettings::read(r);
        let database = DatabaseSettings::read(r);
        let currency = r.required("CURRENCY");
        let catalog_file = r.path("CATALOG_FILE");
        let public_url =
            r.required::<String>("PUBLIC_URL").and_then(|text| http_url(r, "PUBLIC_URL", &text));
        let stripe = StripeSettings::read(r);
        let sweep_interval_ms = r.within("SWEEP_INTERVAL_MS", 30_000, (100, 3_600_000));
        let settings = (|| {
            Some(Self {
                common: common?,
                kafka: kafka?,
                database: database?,
                currency: currency?,
                catalog_file: catalog_file?,
                public_url: public_url?,
                stripe: stripe?,
                sweep_interval_ms: sweep_interval_ms?,
            })
        })();
        reader.finish(settings)
    }

    fn write(&self) -> BTreeMap<String, String> {
        let Self { common, kafka, database, currency, catalog_file, .. } = self;
        let Self { public_url, stripe, sweep_interval_ms, .. } = self;
        let mut variables = BTreeMap::new();
        common.write(&mut variables);
        kafka.write(&mut variables);
        database.write(&mut variables);
        put(&mut variables, "CURRENCY", currency);
        put_path(&mut variables, "CATALOG_FILE", catalog_file);
        put(&mut variables, "PUBLIC_URL", public_url);
        stripe.write(&mut variables);
        put(&mut variables, "SWEEP_INTERVAL_MS", sweep_interval_ms);
        variables
    }
}
