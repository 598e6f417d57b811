//! The secrets that payment holds: Stripe's API key and the webhooks' signing secrets. Both are files,
//! looked at again and again, so that a rotation needs no restart. Nothing here is ever printed.

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use http::HeaderValue;
use storefront_contract::settings::StripeSettings;
use storefront_runtime::{Secret, SecretError, SecretFile};

/// How old the last look at the API key's file may be. A key that Stripe refuses is looked at once more before that.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

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
    /// And when it was looked at.
    last: Mutex<Option<(ApiKey, Instant)>>,
}

/// A key that may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// The header `Authorization`, which nobody prints.
    pub authorization: HeaderValue,
    pub mode: Mode,
}

impl KeyFile {
    pub fn new(settings: &StripeSettings) -> Self {
        Self {
            file: SecretFile::new(&settings.api_key_file),
            sandbox: settings.sandbox,
            tls: settings.api_base.scheme() == "https",
            last: Mutex::default(),
        }
    }

    /// The key as it is now, or was at most half a second ago.
    pub fn current(&self) -> Result<ApiKey, KeyError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((key, looked)) = &*last
            && looked.elapsed() < LOOK_AGAIN
        {
            return Ok(key.clone());
        }
        let key = self.read()?;
        *last = Some((key.clone(), Instant::now()));
        Ok(key)
    }

    /// Stripe refuses this key. Whether the file has another one by now.
    pub fn has_other_than(&self, refused: &ApiKey) -> bool {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.current().is_ok_and(|key| key != *refused)
    }

    /// The key as it is now. The same rules hold at the start and after a rotation.
    fn read(&self) -> Result<ApiKey, KeyError> {
        let secret = self.file.read().map_err(KeyError::File)?;
        let mode = mode_of(secret.expose()).ok_or(KeyError::Form)?;
        match mode {
            Mode::Live if self.sandbox => return Err(KeyError::LiveInSandbox),
            Mode::Live if !self.tls => return Err(KeyError::LiveWithoutTls),
            _ => {}
        }
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", secret.expose()))
            .map_err(|_| KeyError::Form)?;
        authorization.set_sensitive(true);
        Ok(ApiKey { authorization, mode })
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
    fn a_key_that_is_refused_is_looked_at_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("api-key");
        let write = |text: &str| fs::write(&path, text).unwrap();
        let file = KeyFile {
            file: SecretFile::new(&path),
            sandbox: true,
            tls: false,
            last: Mutex::default(),
        };
        assert_eq!(file.current().unwrap_err().reason(), "SecretUnreadable");
        write("sk_test_old");
        let old = file.current().unwrap();
        assert_eq!(old.authorization.to_str().ok(), Some("Bearer sk_test_old"));
        assert!(!format!("{old:?}").contains("old"), "{old:?}");
        write("sk_test_newer");
        assert!(file.has_other_than(&old));
        let newer = file.current().unwrap();
        assert_eq!(newer.authorization.to_str().ok(), Some("Bearer sk_test_newer"));
        assert!(!file.has_other_than(&newer));
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
