//! Why a broker did not start, in words for the person who started it.

use std::{io, net::SocketAddr, path::PathBuf};

/// Why the embedded broker did not start.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The program was built without the feature.
    #[error(
        "this build has no embedded Kafka broker: build it with the feature `embedded-broker` \
         (needs Go 1.26), or use another broker with --kafka BROKERS"
    )]
    NotBuiltIn,
    /// Most often a port that another program has.
    #[error("the embedded Kafka broker cannot listen on {listen}")]
    Listen {
        /// The address asked for.
        listen: SocketAddr,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
    /// The data folder cannot be made or written to.
    #[error("the embedded Kafka broker cannot use the folder {}", .folder.display())]
    Folder {
        /// The data folder asked for.
        folder: PathBuf,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
    /// Another broker runs on the data folder.
    #[error("another broker is using the folder {}", .folder.display())]
    InUse {
        /// The data folder asked for.
        folder: PathBuf,
    },
    /// The broker's own words, as when it cannot read its folder.
    #[error("the embedded Kafka broker did not start: {message}")]
    Start {
        /// What it said.
        message: String,
    },
}

impl BrokerError {
    /// A fixed word for metrics and scripts.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotBuiltIn => "BrokerNotBuiltIn",
            Self::Listen { .. } => "BrokerCannotListen",
            Self::Folder { .. } => "BrokerFolderUnusable",
            Self::InUse { .. } => "BrokerFolderInUse",
            Self::Start { .. } => "BrokerNotStarted",
        }
    }
}
