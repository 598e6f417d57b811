//! The secrets that payment holds: Stripe's API key and the webhooks' signing secrets. Both are files,
//! looked at for each use, so that a rotation needs no restart. Nothing here is ever printed.

use std::path::PathBuf;

use storefront_contract::settings::StripeSettings;
use storefront_runtime::{Secret, SecretError, SecretFile};

/// Which half of a Stripe account: play money or real money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Test,
    Live,
}

/// Why a secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("the Stripe API key cannot be used")]
    File(#[source] SecretError),
    #[error("the webhook signing secret cannot be used")]
    WebhookSecret(#[source] SecretError),
    #[error(
        "the Stripe API key must begin with sk_test_, rk_test_, sk_live_ or rk_live_ \
         and have no blanks"
    )]
    Form,
    #[error("a live Stripe key is set, but Stripe is a sandbox: real keys go to Stripe only")]
    LiveInSandbox,
    #[error("a live Stripe key is set, but STRIPE_API_BASE is not https")]
    LiveWithoutTls,
}

impl KeyError {
    /// A fixed word for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::File(error) | Self::WebhookSecret(error) => error.reason(),
            Self::Form => "KeyMalformed",
            Self::LiveInSandbox => "LiveKeyInSandbox",
            Self::LiveWithoutTls => "LiveKeyWithoutTls",
        }
    }
}

/// The API key's file, and where the key may be sent.
#[derive(Debug)]
pub struct KeyFile {
    file: SecretFile,
    sandbox: bool,
    tls: bool,
}

/// A key that may be used.
#[derive(Debug, Clone)]
pub struct ApiKey {
    pub secret: Secret,
    pub mode: Mode,
}

impl KeyFile {
    pub fn new(settings: &StripeSettings) -> Self {
        Self {
            file: SecretFile::new(&settings.api_key_file),
            sandbox: settings.sandbox,
            tls: settings.api_base.scheme() == "https",
        }
    }

    /// The key as it is now. The same rules hold at the start and after a rotation.
    pub fn read(&self) -> Result<ApiKey, KeyError> {
        let secret = self.file.read().map_err(KeyError::File)?;
        let mode = mode_of(secret.expose()).ok_or(KeyError::Form)?;
        match mode {
            Mode::Live if self.sandbox => Err(KeyError::LiveInSandbox),
            Mode::Live if !self.tls => Err(KeyError::LiveWithoutTls),
            _ => Ok(ApiKey { secret, mode }),
        }
    }
}

fn mode_of(key: &str) -> Option<Mode> {
    let prefixes = [
        ("sk_test_", Mode::Test),
        ("rk_test_", Mode::Test),
        ("sk_live_", Mode::Live),
        ("rk_live_", Mode::Live),
    ];
    let graphic = key.bytes().all(|byte| byte.is_ascii_graphic());
    let known = prefixes.into_iter().find(|(prefix, _)| key.starts_with(prefix));
    known.filter(|(prefix, _)| graphic && key.len() > prefix.len()).map(|(_, mode)| mode)
}

/// The files of the signing secrets: the first must be there, others only during a rotation.
#[derive(Debug)]
pub struct WebhookSecrets {
    first: SecretFile,
    others: Vec<SecretFile>,
}

impl WebhookSecrets {
    /// Checks every file that is there: an empty or placeholder secret would let anybody forge a
    /// payment, so it ends the start.
    pub fn open(paths: &[PathBuf]) -> Result<Self, KeyError> {
        let mut files = paths.iter().map(SecretFile::new);
        let first = files.next().unwrap_or_else(|| SecretFile::new(""));
        let secrets = Self { first, others: files.collect() };
        for file in &secrets.others {
            if file.path().exists() {
                file.read().map_err(KeyError::WebhookSecret)?;
            }
        }
        secrets.first.read().map_err(KeyError::WebhookSecret)?;
        Ok(secrets)
    }

    /// The secrets that are valid now. One whose file has gone is not: that is how a rotation ends.
    pub fn read(&self) -> Result<Vec<Secret>, KeyError> {
        let mut secrets = vec![self.first.read().map_err(KeyError::WebhookSecret)?];
        for file in &self.others {
            if file.path().exists() {
                secrets.extend(file.read().ok());
            }
        }
        Ok(secrets)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    fn key(text: &str, base: &str, sandbox: bool) -> Result<Mode, &'static str> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("api-key");
        fs::write(&path, text).unwrap();
        let settings = StripeSettings {
            api_base: base.parse().unwrap(),
            ca_file: None,
            api_key_file: path,
            webhook_secret_files: vec![],
            timeout_ms: 1,
            sandbox,
            webhook_tolerance_s: 300,
        };
        KeyFile::new(&settings).read().map(|key| key.mode).map_err(|error| error.reason())
    }

    #[test]
    fn a_key_goes_only_where_it_belongs() {
        let stripe = "https://api.stripe.com";
        let local = "http://127.0.0.1:12111";
        assert_eq!(key("sk_test_4eC39HqL\n", local, true), Ok(Mode::Test));
        assert_eq!(key("rk_live_4eC39HqL", stripe, false), Ok(Mode::Live));
        assert_eq!(key("sk_live_4eC39HqL", stripe, true), Err("LiveKeyInSandbox"));
        assert_eq!(key("sk_live_4eC39HqL", local, false), Err("LiveKeyWithoutTls"));
        assert_eq!(key("pk_test_4eC39HqL", stripe, false), Err("KeyMalformed"));
        assert_eq!(key("sk_test_4eC3 9HqL", stripe, false), Err("KeyMalformed"));
        assert_eq!(key("sk_test_xxx", stripe, false), Err("SecretPlaceholder"));
        assert_eq!(key("\n", stripe, false), Err("SecretEmpty"));
    }

    #[test]
    fn the_old_secret_is_valid_until_its_file_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let write = |name: &str, text: &str| fs::write(path(name), text).unwrap();
        let files = [path("new"), path("old")];
        let open = |files: &[PathBuf]| WebhookSecrets::open(files).map_err(|error| error.reason());
        assert_eq!(open(&files).unwrap_err(), "SecretUnreadable");
        write("new", "whsec_a1");
        write("old", "");
        assert_eq!(open(&files).unwrap_err(), "SecretEmpty");
        fs::remove_file(path("old")).unwrap();
        let secrets = open(&files).unwrap();
        let shown = || -> Vec<String> {
            secrets.read().unwrap().iter().map(|secret| secret.expose().to_owned()).collect()
        };
        assert_eq!(shown(), ["whsec_a1"]);
        // A rotation: the new one is written first, the old one is kept beside it for a while.
        write("old", "whsec_a1");
        write("new", "whsec_b22");
        assert_eq!(shown(), ["whsec_b22", "whsec_a1"]);
        fs::remove_file(path("old")).unwrap();
        assert_eq!(shown(), ["whsec_b22"]);
        assert_eq!(open(&[]).unwrap_err(), "SecretUnreadable");
        assert!(!Path::new("").exists());
    }
}
