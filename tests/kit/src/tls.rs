//! A certificate authority of a test's own, and servers that it vouches for.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig, crypto,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

/// A certificate authority that nobody trusts but who is given its certificate.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> anyhow::Result<Self> {
        let mut parameters = CertificateParams::new(Vec::new())?;
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Two authorities of one name cannot be told apart.
        parameters.distinguished_name = named(&format!("authority {:08x}", fastrand::u32(..)));
        Ok(Self { issuer: CertifiedIssuer::self_signed(parameters, KeyPair::generate()?)? })
    }

    /// Its certificate in PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Writes its certificate to a file.
    pub fn write(&self, file: &Path) -> anyhow::Result<()> {
        Ok(std::fs::write(file, self.pem())?)
    }

    /// A certificate for these names (DNS or addresses) with its key, both in PEM.
    pub fn certificate(&self, names: &[&str]) -> anyhow::Result<(String, String)> {
        let key = KeyPair::generate()?;
        let alternatives: Vec<_> = names.iter().map(ToString::to_string).collect();
        let mut parameters = CertificateParams::new(alternatives)?;
        // OpenSSL takes a certificate that is named as its issuer for a self-signed one.
        parameters.distinguished_name = named(names.first().copied().unwrap_or_default());
        let certificate = parameters.signed_by(&key, &self.issuer)?;
        Ok((certificate.pem(), key.serialize_pem()))
    }

    /// The TLS side of a server that is known by `name`, a DNS name or an address.
    pub fn server(&self, name: &str) -> anyhow::Result<TlsAcceptor> {
        let key = KeyPair::generate()?;
        let parameters = CertificateParams::new(vec![name.to_owned()])?;
        let certificate = parameters.signed_by(&key, &self.issuer)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// Stands before a server without TLS (`host:port`) and speaks it in its place; ends with the test.
    pub async fn front(&self, name: &str, server: &str) -> anyhow::Result<SocketAddr> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (acceptor, server) = (self.server(name)?, Arc::<str>::from(server));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (acceptor, server) = (acceptor.clone(), Arc::clone(&server));
                let carry = async move {
                    let mut client = acceptor.accept(client).await?;
                    let mut server = TcpStream::connect(&*server).await?;
                    tokio::io::copy_bidirectional(&mut client, &mut server).await
                };
                // A client that is not content with the certificate is one that the test looks at.
                tokio::spawn(async move { carry.await.ok() });
            }
        });
        Ok(address)
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}
