//! Settings of payment.

use std::path::PathBuf;

use url::Url;

use super::{
    Common, DatabaseSettings, Field, KafkaSettings, Need, Reader, Variable, Variables,
    declare::{File, HttpUrl, OptionalFile, Or, Part, Required, Within},
};
use crate::{money::Currency, section};

section! {
    /// Settings of payment.
    pub struct PaymentSettings {
        pub common: Common = Part,
        pub kafka: KafkaSettings = Part,
        pub database: DatabaseSettings = Part,
        /// ISO 4217 code, in capitals, of every price in the catalog.
        pub currency: Currency = Required("CURRENCY"),
        /// JSON `{"products": [{id, name, price, image?}]}`, read again when it changes.
        pub catalog_file: PathBuf = File("CATALOG_FILE"),
        /// Where shoppers reach the gateway; Stripe sends them back there.
        pub public_url: Url = HttpUrl("PUBLIC_URL", None),
        pub stripe: StripeSettings = Part,
        /// How often sessions without news are asked about.
        pub sweep_interval_ms: u64 = Within("SWEEP_INTERVAL_MS", 30_000, 100..=3_600_000),
    }
}

section! {
    /// How to talk with Stripe.
    pub struct StripeSettings {
        /// Stripe, or a stand-in.
        pub api_base: Url = HttpUrl("STRIPE_API_BASE", Some("https://api.stripe.com")),
        /// File with certificates (PEM) to trust instead of the public ones, for a stand-in or a proxy with
        /// a CA of its own; read at the start.
        pub ca_file: Option<PathBuf> = OptionalFile("STRIPE_CA_FILE"),
        /// File with a secret or restricted key.
        pub api_key_file: PathBuf = File("STRIPE_API_KEY_FILE"),
        /// Files with signing secrets, separated by commas. The first must be there; others, as the old
        /// one during a rotation, may be absent.
        pub webhook_secret_files: Vec<PathBuf> = SecretFiles("STRIPE_WEBHOOK_SECRET_FILES"),
        /// For one call.
        pub timeout_ms: u64 = Within("STRIPE_TIMEOUT_MS", 8_000, 10..=80_000),
        /// Whether the base is a stand-in; a live key is then refused.
        pub sandbox: bool = Or("STRIPE_SANDBOX", false),
        /// Largest age of a signature; the default is Stripe's own.
        pub webhook_tolerance_s: u64 = Within("STRIPE_WEBHOOK_TOLERANCE_S", 300, 1..=3_600),
    }
}

struct SecretFiles(&'static str);

impl Field<Vec<PathBuf>> for SecretFiles {
    fn read(&self, reader: &mut Reader<'_>) -> Option<Vec<PathBuf>> {
        let files: Vec<PathBuf> = reader.list(self.0)?;
        if files.is_empty() {
            let problem = "is missing; set it: files with signing secrets, without which anybody could forge a payment";
            reader.problem(self.0, problem);
        }
        Some(files)
    }

    fn write(&self, value: &Vec<PathBuf>, variables: &mut Variables) {
        let files: Vec<_> = value.iter().map(|path| path.to_string_lossy()).collect();
        variables.insert(self.0.into(), files.join(","));
    }

    fn describe(&self, meaning: &'static str, list: &mut Vec<Variable>) {
        let meaning = meaning.trim().to_owned();
        list.push(Variable { name: self.0, meaning, need: Need::Required, limits: None });
    }
}
