//! The addresses of a running shop, as a table for people or one JSON object for programs.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use serde::Serialize;
use storefront_contract::ServiceId;
use storefront_operator::plan::Plan;

use super::{DevError, broker::Broker, data::Data, listen::Bound};
use crate::{
    output::{self, Output},
    table::{Cell, Column, Table},
    terminal::Terminal,
};

/// Where everything is.
#[derive(Debug, Serialize)]
pub struct Report {
    ready: bool,
    /// URL of the shop; `null` when the gateway is left out.
    gateway: Option<String>,
    /// Bootstrap servers.
    kafka: String,
    /// URL of the stand-in for Stripe.
    sandbox: String,
    /// URL of the inbox.
    inbox: String,
    /// Where the inbox takes mails.
    smtp: String,
    /// URL of the console.
    console: String,
    services: BTreeMap<&'static str, ServiceUrls>,
    #[serde(skip)]
    admin: Vec<(String, SocketAddr)>,
    #[serde(skip)]
    data: PathBuf,
}

/// Where one service is.
#[derive(Debug, Serialize)]
struct ServiceUrls {
    http: String,
    admin: String,
}

impl Report {
    pub fn new(bound: &Bound, broker: &Broker, data: &Data, plan: &Plan) -> Self {
        let addresses = bound.addresses();
        let running: Vec<_> = plan
            .services
            .iter()
            .filter_map(|service| Some((service.id, *addresses.get(&service.id)?)))
            .collect();
        let services = running.iter().map(|(id, address)| {
            (id.name(), ServiceUrls { http: url(address.http), admin: url(address.admin) })
        });
        let gateway = running.iter().find(|(id, _)| *id == ServiceId::Gateway);
        Self {
            ready: true,
            gateway: gateway.map(|(_, address)| url(address.http)),
            kafka: broker.brokers().join(","),
            sandbox: url(bound.sandbox_address),
            inbox: url(bound.inbox_address),
            smtp: reachable(bound.smtp_address).to_string(),
            console: url(bound.console_address),
            services: services.collect(),
            admin: running
                .iter()
                .map(|(id, address)| (id.name().to_owned(), reachable(address.admin)))
                .collect(),
            data: data.folder().to_owned(),
        }
    }

    /// Where `/readyz` of each service is.
    pub fn admin_addresses(&self) -> Vec<(String, SocketAddr)> {
        self.admin.clone()
    }

    /// Where people go from the console.
    pub fn links(&self) -> Vec<(String, String)> {
        let shop = self.gateway.iter().map(|url| ("Shop".to_owned(), url.clone()));
        let others = [("Inbox", &self.inbox), ("Stripe stand-in", &self.sandbox)];
        shop.chain(others.map(|(name, url)| (name.to_owned(), url.clone()))).collect()
    }

    /// Says on standard output that everything is ready.
    pub fn print(&self, output: Output, took: Duration) -> Result<(), DevError> {
        let text = match output {
            Output::Text => self.text(took),
            Output::Json => serde_json::to_string(self).map_err(DevError::Report)?,
        };
        match output::print(&text) {
            // Whoever read it has gone; the shop has not.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            printed => printed.map_err(DevError::Print),
        }
    }

    fn text(&self, took: Duration) -> String {
        let mut table = Table::new(&[Column::text(""); 3]);
        let mut row = |cells: &[&str]| table.row(cells.iter().map(|cell| Cell::from(*cell)));
        row(&["ready", self.gateway.as_deref().unwrap_or("(without gateway)")]);
        row(&["console", &self.console]);
        row(&["Stripe stand-in", &self.sandbox]);
        row(&["inbox", &self.inbox]);
        row(&["mail server", &self.smtp]);
        row(&["Kafka", &self.kafka]);
        for (name, urls) in &self.services {
            row(&[name, &urls.http, &format!("{}/metrics", urls.admin)]);
        }
        row(&["data", &self.data.display().to_string()]);
        let seconds = took.as_secs_f32();
        let table = table.text(Terminal::default());
        format!("{table}started in {seconds:.1} s; Ctrl-C stops it\n")
    }
}

fn url(address: SocketAddr) -> String {
    format!("http://{}", reachable(address))
}

/// An address that listens everywhere is reached at the loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let urls = |http: &str, admin: &str| ServiceUrls { http: http.into(), admin: admin.into() };
        Report {
            ready: true,
            gateway: Some("http://127.0.0.1:8080".into()),
            kafka: "127.0.0.1:9092".into(),
            sandbox: "http://127.0.0.1:12111".into(),
            inbox: "http://127.0.0.1:8025".into(),
            smtp: "127.0.0.1:1025".into(),
            console: "http://127.0.0.1:8090".into(),
            services: BTreeMap::from([
                ("gateway", urls("http://127.0.0.1:8080", "http://127.0.0.1:40001")),
                ("order", urls("http://127.0.0.1:40002", "http://127.0.0.1:40003")),
            ]),
            admin: Vec::new(),
            data: "/shop/.storefront/demo".into(),
        }
    }

    #[test]
    fn people_get_a_table_that_begins_with_ready() {
        insta::assert_snapshot!(report().text(Duration::from_millis(840)));
    }

    #[test]
    fn programs_get_one_object() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&report()).unwrap());
    }
}
