//! Why brokers that take connections cannot be spoken with, out of what their client says.

/// What has to be changed, on whichever side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Name and password, or the mechanism, are not theirs.
    Password,
    /// Their certificate is not of an authority that is trusted, or is for another name.
    Certificate,
    /// They want a certificate of the client.
    ClientCertificate,
    /// They do not speak TLS, and are spoken with in it.
    NeedlessTls,
    /// They hang up at once: most often they speak TLS, or want a password.
    HangUp,
}

/// Words of librdkafka, OpenSSL and Kafka itself. The first that is found decides.
const WORDS: &[(&str, Cause)] = &[
    ("SASL authentication error", Cause::Password),
    ("SASL authentication failed", Cause::Password),
    ("Unsupported SASL mechanism", Cause::Password),
    ("UNSUPPORTED_SASL_MECHANISM", Cause::Password),
    ("certificate verify failed", Cause::Certificate),
    ("verify broker certificate", Cause::Certificate),
    ("certificate required", Cause::ClientCertificate),
    ("bad certificate", Cause::ClientCertificate),
    ("client SSL authentication might be required", Cause::ClientCertificate),
    ("wrong version number", Cause::NeedlessTls),
    ("packet length too long", Cause::NeedlessTls),
    ("record layer failure", Cause::NeedlessTls),
    ("connecting to a PLAINTEXT broker listener?", Cause::NeedlessTls),
    ("connecting to a SSL listener?", Cause::HangUp),
    ("broker might require SASL authentication", Cause::HangUp),
    ("connection closed by peer", Cause::HangUp),
];

impl Cause {
    /// Whether to try again is of no use. Brokers hang up for a moment as well, when they start.
    pub fn lasts(self) -> bool {
        self != Self::HangUp
    }

    /// The cause of what is said, if it is one of those.
    pub fn of(said: &str) -> Option<Self> {
        WORDS.iter().find(|(word, _)| said.contains(word)).map(|(_, cause)| *cause)
    }

    /// What is so, in words for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Password => "they do not take this name and password",
            Self::Certificate => {
                "their certificate is not of a trusted authority, or is for another name"
            }
            Self::ClientCertificate => "they want a certificate of the client",
            Self::NeedlessTls => "they do not speak TLS here",
            Self::HangUp => "they hang up at once, as those do that want TLS or a password",
        }
    }
}
