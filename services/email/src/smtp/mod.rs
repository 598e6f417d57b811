//! Hands one mail to the mail server and says what became of it. Owns connections and the time that a
//! mail may take; knows nothing of rows, retries and states.
//!
//! lettre speaks the protocol, but its own pool is not used: a send that is cut by a time-out goes back
//! into that pool in the middle of its dialogue, and the next mail on it reads the answer to this one.

mod connection;
mod outcome;
mod pool;
mod trust;

use std::time::Duration;

use lettre::{
    Address,
    transport::smtp::commands::{Data, Rcpt},
};
use storefront_contract::{ServiceId, settings::SmtpSettings};
use storefront_runtime::{
    SecretError, Shutdown,
    failpoint::{self, Step},
};
use tokio::time::timeout;

pub use self::outcome::{Answer, Outcome};
use self::{
    connection::{Connection, Connector},
    outcome::{Fault, Phase},
    pool::Pool,
};

/// The mail server, as this process reaches it.
pub struct Smtp {
    connector: Connector,
    pool: Pool,
    mail_limit: Duration,
}

/// One mail, ready to be sent.
pub struct Parcel {
    pub from: Address,
    pub to: Address,
    /// With all headers, lines ended by CRLF, 7-bit.
    pub bytes: Vec<u8>,
}

/// Settings that no connection can be made with.
#[derive(Debug, thiserror::Error)]
pub enum SmtpError {
    #[error("SMTP_HOST is no name that a certificate can be checked for")]
    TlsName(#[source] lettre::transport::smtp::Error),
    #[error("SMTP_CA_FILE cannot be read")]
    CaUnreadable(#[source] SecretError),
    #[error("SMTP_CA_FILE holds no certificate that can be trusted: write one or more in PEM")]
    CaUnusable {
        #[source]
        source: Option<lettre::transport::smtp::Error>,
    },
    #[error("the SMTP credentials cannot be read")]
    Credentials(#[from] SecretError),
}

impl Smtp {
    /// Opens nothing yet. Credentials and CA must be readable now; later rotations are taken up.
    pub fn new(settings: &SmtpSettings) -> Result<Self, SmtpError> {
        Ok(Self {
            connector: Connector::new(settings)?,
            pool: Pool::new(settings.connections as usize),
            mail_limit: Duration::from_millis(settings.timeout_ms),
        })
    }

    /// The longest that [`Smtp::deliver`] takes.
    pub fn mail_limit(&self) -> Duration {
        self.mail_limit
    }

    /// Sends one mail: at most `mail_limit` from the connection to the server's last word, and not
    /// longer than until `abandon`, which counts as a time-out.
    pub async fn deliver(&self, parcel: &Parcel, abandon: &Shutdown) -> Outcome {
        let mut phase = Phase::Connecting;
        let dialogue = timeout(self.mail_limit, self.converse(parcel, &mut phase));
        let result = tokio::select! {
            result = dialogue => result.unwrap_or(Err(Fault::Timeout)),
            () = abandon.cancelled() => Err(Fault::Timeout),
        };
        match result {
            Ok(()) => Outcome::Accepted,
            Err(fault) => fault.in_phase(phase),
        }
    }

    /// Closes what was idle for long. Called now and then, so that a quiet shop holds no connection.
    pub fn prune(&self) {
        self.pool.prune();
    }

    async fn converse(&self, parcel: &Parcel, phase: &mut Phase) -> Result<(), Fault> {
        let credentials = self.connector.credentials()?;
        while let Some(mut idle) = self.pool.take() {
            if idle.credentials != credentials {
                continue;
            }
            // Gone in its sleep: the mail begins anew on another one.
            let limit = self.mail_limit / 4;
            let Ok(Some(offered)) = timeout(limit, idle.offer_again(parcel)).await else {
                continue;
            };
            return self.go_on(idle, offered, parcel, phase).await;
        }
        let mut connection = self.connector.connect(credentials).await?;
        *phase = Phase::Envelope;
        let offered = connection.offer(parcel).await;
        self.go_on(connection, offered, parcel, phase).await
    }

    /// The dialogue after the sender was named, and what becomes of the connection.
    async fn go_on(
        &self,
        mut connection: Connection,
        offered: Result<(), Fault>,
        parcel: &Parcel,
        phase: &mut Phase,
    ) -> Result<(), Fault> {
        *phase = Phase::Envelope;
        let result = match offered {
            Ok(()) => Self::hand_over(&mut connection, parcel, phase).await,
            Err(fault) => Err(fault),
        };
        connection.is_clean = result.is_ok();
        // After a complete answer, whatever it was, the dialogue is in step and the connection good
        // for another mail. After anything else it is dropped.
        if result.as_ref().err().is_none_or(Fault::is_answer) {
            self.pool.put(connection);
        }
        result
    }

    async fn hand_over(
        connection: &mut Connection,
        parcel: &Parcel,
        phase: &mut Phase,
    ) -> Result<(), Fault> {
        let smtp = &mut connection.smtp;
        smtp.command(Rcpt::new(parcel.to.clone(), Vec::new())).await?;
        failpoint::reach(ServiceId::Email, Step::MailOffered);
        expect(354, &smtp.command(Data).await?)?;
        *phase = Phase::Content;
        failpoint::reach(ServiceId::Email, Step::MailBegun);
        expect(250, &smtp.message(&parcel.bytes).await?)
    }
}

/// Another positive answer than the one expected means that answers and questions are out of step, as
/// after a reply that somebody slipped in before TLS began.
fn expect(code: u16, response: &lettre::transport::smtp::response::Response) -> Result<(), Fault> {
    if response.has_code(code) { Ok(()) } else { Err(Fault::OutOfStep(response.code().into())) }
}
