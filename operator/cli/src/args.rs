//! The command line, as typed values. Every flag says what it is for; defaults are the design's ports.

use std::{net::SocketAddr, path::PathBuf, str::FromStr};

use clap::{Args, Parser, Subcommand};
use storefront_contract::ServiceId;
use url::Url;

use crate::output::Output;

/// A shop's checkout back end: on a laptop with `dev`, and tools for the one on call.
#[derive(Debug, Parser)]
#[command(name = "storefront", version, about, max_term_width = 100)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a whole shop in this process: services, an embedded Kafka broker, a stand-in for Stripe and
    /// a mail inbox. For development and tests only.
    Dev(Box<DevArguments>),
    /// Show consumer groups: members, and lag per partition.
    Groups(GroupsArguments),
    /// Print the definition (CRD) of Storefront, which `kubectl apply --server-side` takes.
    Crds,
    /// Check a manifest with the rules that the API server applies.
    Validate {
        /// Manifest with one Storefront.
        file: PathBuf,
    },
}

/// Flags of `dev`.
#[derive(Args, Debug)]
pub struct DevArguments {
    /// Manifest with one Storefront.
    pub file: PathBuf,
    /// Folder where everything is kept between runs [default: .storefront/NAME].
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Keep nothing: a temporary folder, removed at the end.
    #[arg(long, conflicts_with = "data")]
    pub ephemeral: bool,
    /// Address of the gateway; port 0 picks a free one, here and below.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub listen: Listen,
    /// Address of the embedded Kafka broker.
    #[arg(long, value_name = "ADDRESS", default_value = ":9092")]
    pub kafka_listen: Listen,
    /// Address of the stand-in for Stripe.
    #[arg(long, value_name = "ADDRESS", default_value = ":12111")]
    pub sandbox_listen: Listen,
    /// Address of the inbox's pages and API.
    #[arg(long, value_name = "ADDRESS", default_value = ":8025")]
    pub inbox_listen: Listen,
    /// Address where the inbox takes mails.
    #[arg(long, value_name = "ADDRESS", default_value = ":1025")]
    pub smtp_listen: Listen,
    /// Use these brokers, host:port separated by commas, instead of the embedded one.
    #[arg(long, value_name = "BROKERS", value_delimiter = ',')]
    pub kafka: Vec<String>,
    /// Use this PostgreSQL, `postgres://user:password@host/database`, instead of SQLite.
    #[arg(long, value_name = "URL", value_parser = database_url)]
    pub database: Option<String>,
    /// Use Stripe, or another stand-in, at this address.
    #[arg(long, value_name = "URL", value_parser = http_url)]
    pub stripe_api_base: Option<Url>,
    /// Hand mails to this server, without TLS, instead of the inbox.
    #[arg(long, value_name = "HOST:PORT", value_parser = host_and_port)]
    pub smtp: Option<(String, u16)>,
    /// Folder with the manifest's Secrets as files: DIR/<secret>/<key>.
    #[arg(long, value_name = "DIR")]
    pub secrets: Option<PathBuf>,
    /// Leave a service out, to watch its backlog grow; may be repeated.
    #[arg(long, value_name = "SERVICE")]
    pub without: Vec<ServiceId>,
    /// How to say that everything is ready. Logs are always on standard error.
    #[arg(long, value_enum, default_value_t)]
    pub output: Output,
}

/// Flags of `groups`.
#[derive(Args, Debug)]
pub struct GroupsArguments {
    /// Manifest of the shop, for its prefix and what is mailed [default: no prefix].
    pub file: Option<PathBuf>,
    /// Brokers, host:port separated by commas.
    #[arg(long, value_name = "BROKERS", default_value = "127.0.0.1:9092")]
    pub kafka: String,
    /// Every group on the brokers, not only the shop's.
    #[arg(long)]
    pub all: bool,
    /// How to write the groups.
    #[arg(long, value_enum, default_value_t)]
    pub output: Output,
}

/// An address to listen on: `HOST:PORT`, or `:PORT` for the loopback interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen(pub SocketAddr);

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
        let host = if matches!(host, "" | "localhost") { "127.0.0.1" } else { host };
        format!("{host}:{port}").parse().map(Self).map_err(|_| {
            "write HOST:PORT with an IP address, or :PORT for this machine only".into()
        })
    }
}

fn database_url(text: &str) -> Result<String, String> {
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        Ok(text.to_owned())
    } else {
        // The URL may hold a password: it is not repeated.
        Err("write postgres://user:password@host/database; without it SQLite is used".into())
    }
}

fn http_url(text: &str) -> Result<Url, String> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err("write http://HOST:PORT or https://HOST".into()),
    }
}

fn host_and_port(text: &str) -> Result<(String, u16), String> {
    let fault = || "write HOST:PORT, such as localhost:2525".to_owned();
    let (host, port) = text.rsplit_once(':').ok_or_else(fault)?;
    let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(fault)?;
    if host.is_empty() { Err(fault()) } else { Ok((host.to_owned(), port)) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn an_address_without_a_host_is_this_machine_only() {
        for (text, expected) in [
            (":9092", "127.0.0.1:9092"),
            ("0", "127.0.0.1:0"),
            ("localhost:80", "127.0.0.1:80"),
            ("0.0.0.0:8080", "0.0.0.0:8080"),
            ("[::1]:1", "[::1]:1"),
        ] {
            assert_eq!(text.parse(), Ok(Listen(expected.parse().unwrap())), "{text}");
        }
        for wrong in ["", "shop.example.com:80", "1.2.3.4", ":70000"] {
            assert!(wrong.parse::<Listen>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn wrong_values_are_refused_before_anything_starts() {
        let dev = |flag: &str, value: &str| {
            Arguments::try_parse_from(["storefront", "dev", "shop.yaml", flag, value])
        };
        for (flag, right, wrong) in [
            ("--without", "order", "orders"),
            ("--database", "postgres://shop@localhost/shop", "mysql://localhost"),
            ("--stripe-api-base", "http://127.0.0.1:12111", "127.0.0.1:12111"),
            ("--smtp", "localhost:2525", "localhost"),
            ("--listen", ":0", "somewhere"),
        ] {
            assert!(dev(flag, right).is_ok(), "{flag} {right}");
            let error = dev(flag, wrong).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{error}");
            assert!(error.to_string().contains(flag), "{error}");
        }
        let both = ["storefront", "dev", "a.yaml", "--ephemeral", "--data", "b"];
        assert!(Arguments::try_parse_from(both).is_err());
    }
}
