//! Whose word is taken for the mail server's certificate: that of the public authorities, or that of a CA
//! in a file, which may be rotated while the service runs.

use std::{
    path::Path,
    sync::{Mutex, PoisonError},
};

use lettre::transport::smtp::client::{Certificate, CertificateStore, TlsParameters};
use storefront_runtime::{Secret, SecretFile};

use super::SmtpError;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";

pub(super) struct Trust {
    host: String,
    ca: Option<SecretFile>,
    /// What was made last, of which certificates.
    last: Mutex<(Option<Secret>, TlsParameters)>,
}

impl Trust {
    /// The file must be readable and right now.
    pub(super) fn new(host: &str, ca_file: Option<&Path>) -> Result<Self, SmtpError> {
        let ca = ca_file.map(SecretFile::new);
        let read = ca.as_ref().map(SecretFile::read).transpose();
        let read = read.map_err(SmtpError::CaUnreadable)?;
        let parameters = parameters(host, read.as_ref())?;
        Ok(Self { host: host.to_owned(), ca, last: Mutex::new((read, parameters)) })
    }

    /// What a connection is opened with now. A rotation that went wrong must not hold the mails: the last
    /// good certificates are used on, and a warning says so once.
    pub(super) fn current(&self) -> TlsParameters {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // The file itself sees to it that an unreadable one is told and the last one used on.
        let read = self.ca.as_ref().and_then(|ca| ca.read().ok());
        if last.0 != read {
            match parameters(&self.host, read.as_ref()) {
                Ok(parameters) => last.1 = parameters,
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(
                        error,
                        "rotated certificates are not taken, the last are used on"
                    );
                }
            }
            last.0 = read;
        }
        last.1.clone()
    }
}

fn parameters(host: &str, ca: Option<&Secret>) -> Result<TlsParameters, SmtpError> {
    let Some(ca) = ca else {
        return TlsParameters::new(host.to_owned()).map_err(SmtpError::TlsName);
    };
    let unusable = |source| SmtpError::CaUnusable { source };
    // A file without a certificate reads as an empty list, which would refuse every server.
    if !ca.contains(BEGIN) {
        return Err(unusable(None));
    }
    let certificates =
        Certificate::from_pem(ca.as_bytes()).map_err(|error| unusable(Some(error)))?;
    TlsParameters::builder(host.to_owned())
        .certificate_store(CertificateStore::None)
        .add_root_certificate(certificates)
        .build()
        .map_err(|error| unusable(Some(error)))
}
