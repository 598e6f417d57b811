//! The certificate of a mail server that speaks TLS from the first byte (RFC 8314, 3.3).

use std::{path::Path, sync::Arc};

use anyhow::Context as _;
use tokio_rustls::rustls::{
    ServerConfig, crypto,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

/// Reads a certificate, with those it is vouched for by, and its key from one file (PEM).
pub fn read(file: &Path) -> anyhow::Result<Arc<ServerConfig>> {
    let at = || format!("{} has no certificate with its key (PEM)", file.display());
    let pem = std::fs::read(file).with_context(|| format!("could not read {}", file.display()))?;
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().with_context(at)?;
    let key = PrivateKeyDer::from_pem_slice(&pem).with_context(at)?;
    let provider = Arc::new(crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .with_context(at)?;
    Ok(Arc::new(config))
}
