//! The one place that reads the process's environment. Services get their settings as values.

use storefront_contract::settings::Source;

/// The environment of this process, as a source of settings. Only `main` functions use it.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessEnv;

impl Source for ProcessEnv {
    /// A variable that is not Unicode counts as absent, and so is reported as missing.
    #[expect(clippy::disallowed_methods, reason = "the one allowed reader of the environment")]
    fn get(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}
