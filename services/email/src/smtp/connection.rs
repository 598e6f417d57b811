//! One connection to the mail server, from the name to the authenticated session.

use std::time::{Duration, Instant};

use lettre::transport::smtp::{
    authentication::{Credentials, Mechanism},
    client::AsyncSmtpConnection,
    commands::{Mail, Quit, Rset},
    extension::{ClientId, Extension, MailParameter},
};
use storefront_contract::settings::{SmtpSettings, SmtpTls};
use storefront_runtime::{SecretError, SecretFile};
use tokio::net::TcpStream;

use super::{Parcel, SmtpError, expect, outcome::Fault, trust::Trust};

/// Longest wait for the server's farewell.
const QUIT_LIMIT: Duration = Duration::from_secs(1);

/// A session that mails can be sent over.
pub(super) struct Connection {
    pub smtp: AsyncSmtpConnection,
    /// What it was opened with: after a rotation it is not used any more.
    pub credentials: Option<Credentials>,
    pub idle_since: Instant,
    /// The last mail on it was taken, or there was none.
    pub is_clean: bool,
}

impl Connection {
    /// Names the sender of a mail.
    pub(super) async fn offer(&mut self, parcel: &Parcel) -> Result<(), Fault> {
        let mut parameters = Vec::new();
        let addresses: [&str; 2] = [parcel.from.as_ref(), parcel.to.as_ref()];
        if !addresses.iter().all(|address| address.is_ascii()) {
            if !self.smtp.server_info().supports_feature(Extension::SmtpUtfEight) {
                return Err(Fault::NoSmtpUtf8);
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        self.smtp.command(Mail::new(Some(parcel.from.clone()), parameters)).await?;
        Ok(())
    }

    /// As [`Connection::offer`], on one that was used before; nothing when the server is not there any more or
    /// takes its leave (421), of which nobody says a word while a connection is idle.
    pub(super) async fn offer_again(&mut self, parcel: &Parcel) -> Option<Result<(), Fault>> {
        // What the last mail left behind has to be forgotten first, unless it was taken, which ends it (RFC 5321,
        // 4.1.1.4).
        if !self.is_clean {
            self.smtp.command(Rset).await.ok()?;
        }
        Some(self.offer(parcel).await)
            .filter(|offered| !matches!(offered, Err(fault) if fault.is_end()))
    }

    /// Says goodbye, as the protocol asks, but does not insist on an answer.
    pub(super) async fn quit(mut self) {
        tokio::time::timeout(QUIT_LIMIT, self.smtp.command(Quit)).await.ok();
    }
}

/// Knows how to open a session.
pub(super) struct Connector {
    host: String,
    port: u16,
    protection: Protection,
    secrets: Option<(SecretFile, SecretFile)>,
    hello: ClientId,
}

enum Protection {
    None,
    /// Asked for and insisted on: a server without it gets neither credentials nor mail.
    StartTls(Trust),
    Implicit(Trust),
}

impl Connector {
    pub(super) fn new(settings: &SmtpSettings) -> Result<Self, SmtpError> {
        let SmtpSettings { host, port, tls, ca_file, credentials, .. } = settings;
        let trust = || Trust::new(host, ca_file.as_deref());
        let connector = Self {
            host: host.clone(),
            port: *port,
            protection: match tls {
                SmtpTls::None => Protection::None,
                SmtpTls::StartTls => Protection::StartTls(trust()?),
                SmtpTls::Implicit => Protection::Implicit(trust()?),
            },
            secrets: credentials
                .as_ref()
                .map(|(username, password)| (SecretFile::new(username), SecretFile::new(password))),
            hello: ClientId::default(),
        };
        if connector.credentials()?.is_some() && *tls == SmtpTls::None {
            tracing::warn!(
                "SMTP_TLS is none: the mail server's password goes over the wire in clear"
            );
        }
        Ok(connector)
    }

    /// The credentials as they are now.
    pub(super) fn credentials(&self) -> Result<Option<Credentials>, SecretError> {
        let Some((username, password)) = &self.secrets else { return Ok(None) };
        let (username, password) = (username.read()?, password.read()?);
        Ok(Some(Credentials::new(username.expose().into(), password.expose().into())))
    }

    pub(super) async fn connect(
        &self,
        credentials: Option<Credentials>,
    ) -> Result<Connection, Fault> {
        let server = (self.host.as_str(), self.port);
        let mut smtp = match &self.protection {
            Protection::Implicit(trust) => {
                let tls = Some(trust.current());
                AsyncSmtpConnection::connect_tokio1(server, None, &self.hello, tls, None).await?
            }
            Protection::None | Protection::StartTls(_) => {
                let stream = TcpStream::connect(server).await.map_err(Fault::Io)?;
                // lettre writes a mail's end on its own: it would wait for a delayed ACK each time.
                stream.set_nodelay(true).map_err(Fault::Io)?;
                AsyncSmtpConnection::connect_with_transport(Box::new(stream), &self.hello).await?
            }
        };
        if let Protection::StartTls(trust) = &self.protection {
            smtp.starttls(trust.current(), &self.hello).await?;
        }
        if let Some(credentials) = &credentials {
            let answer = smtp.auth(&[Mechanism::Plain, Mechanism::Login], credentials).await?;
            expect(235, &answer)?;
        }
        Ok(Connection { smtp, credentials, idle_since: Instant::now(), is_clean: true })
    }
}
