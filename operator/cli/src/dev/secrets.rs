//! Keys of the stand-in for Stripe, made once for a data folder, and the check that no live key is
//! used beside stand-ins.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use storefront_operator::{StorefrontSpec, plan::Local};
use uuid::Uuid;

use super::{DevError, data::private_folder};

/// What the stand-in has to know.
pub struct SandboxKeys {
    pub api_key: String,
    /// Signs webhooks.
    pub webhook_secret: String,
}

/// Makes the keys of the stand-in and checks those of `--secrets`.
pub fn prepare(local: &Local, spec: &StorefrontSpec) -> Result<SandboxKeys, DevError> {
    let folder = local.sandbox_secrets();
    private_folder(&folder)
        .map_err(|source| DevError::Folder { folder: folder.clone(), source })?;
    // Stripe's own forms, so that whoever checks a prefix is served.
    let api_key = keep(&folder.join("api-key"), || format!("sk_test_{}", random()))?;
    let webhook_secret = keep(&folder.join("webhook-secret"), || format!("whsec_{}", random()))?;
    if let (Some(stripe), Some(secrets)) = (&spec.payment.stripe, &local.secrets) {
        let file = secrets.join(&stripe.secret_ref.name).join("api-key");
        expect_test_key(file)?;
    }
    Ok(SandboxKeys { api_key, webhook_secret })
}

/// A live key would charge people, while mails end in an inbox and the webhook never arrives here. What is no key
/// at all, as the publishable one or another file's content, is told with its file, which payment does not know.
fn expect_test_key(file: PathBuf) -> Result<(), DevError> {
    match fs::read_to_string(&file) {
        Ok(key) => {
            let begins = |forms: [&str; 2]| forms.iter().any(|form| key.trim().starts_with(form));
            if begins(["sk_live_", "rk_live_"]) {
                Err(DevError::LiveKey { file })
            } else if begins(["sk_test_", "rk_test_"]) {
                Ok(())
            } else {
                Err(DevError::NoKey { file })
            }
        }
        Err(source) => Err(DevError::Secret { file, source }),
    }
}

/// The content of a file, made when it is missing or empty. Only its owner can read it.
fn keep(file: &Path, make: impl FnOnce() -> String) -> Result<String, DevError> {
    let result = match fs::read_to_string(file) {
        Ok(text) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
        Ok(_) => write(file, make()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => write(file, make()),
        Err(error) => Err(error),
    };
    result.map_err(|source| DevError::Write { file: file.to_owned(), source })
}

fn write(file: &Path, text: String) -> io::Result<String> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut open = options.open(file)?;
    open.write_all(text.as_bytes())?;
    open.sync_all()?;
    Ok(text)
}

/// 32 letters and digits from the system's randomness.
fn random() -> String {
    Uuid::new_v4().simple().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("api-key");
        let made = keep(&file, || "sk_test_1".into()).unwrap();
        assert_eq!(keep(&file, || "sk_test_2".into()).unwrap(), made);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn what_is_no_test_key_is_refused_without_being_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("api-key");
        for key in ["sk_live_secret", " rk_live_secret\n"] {
            fs::write(&file, key).unwrap();
            let error = expect_test_key(file.clone()).unwrap_err();
            assert_eq!(error.reason(), "LiveKey");
            assert!(!error.to_string().contains("secret\""), "{error}");
            assert!(!error.to_string().contains("live_secret"), "{error}");
        }
        for key in ["pk_test_secret", "whsec_secret", ""] {
            fs::write(&file, key).unwrap();
            let error = expect_test_key(file.clone()).unwrap_err();
            assert_eq!(error.reason(), "NoKey");
            assert!(!error.to_string().contains("_secret"), "{error}");
        }
        fs::write(&file, "sk_test_secret").unwrap();
        expect_test_key(file).unwrap();
        let error = expect_test_key(folder.path().join("missing")).unwrap_err();
        assert_eq!(error.reason(), "NoSecret");
    }
}
