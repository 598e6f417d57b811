//! `storefront services`: what a shop is made of, from the contract's catalog.

use serde::Serialize;
use storefront_contract::{CATALOG, Http, ServiceDef, ServiceId};

use crate::{
    Exit,
    args::ServicesArguments,
    table::{Cell, Column, Table},
    terminal::{Terminal, Tone},
    watch,
};

/// The whole catalog.
#[derive(Debug, Serialize)]
struct Services {
    services: Vec<Service>,
}

/// One service.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Service {
    #[serde(rename = "service")]
    id: ServiceId,
    group: Option<&'static str>,
    consumes: Vec<&'static str>,
    produces: Vec<&'static str>,
    /// Path prefixes that the gateway routes to it.
    routes: Vec<&'static str>,
    database: bool,
    http_port: u16,
}

/// Prints the catalog.
pub fn run(arguments: &ServicesArguments) -> anyhow::Result<Exit> {
    let look = || Ok(Services { services: CATALOG.iter().map(service).collect() });
    watch::show(None, arguments.output.output, look, text)?;
    Ok(Exit::Done)
}

fn service(entry: &ServiceDef) -> Service {
    let names = |topics: &[storefront_contract::Topic]| topics.iter().map(|it| it.name()).collect();
    Service {
        id: entry.id,
        group: entry.group,
        consumes: names(entry.consumes),
        produces: names(entry.produces),
        routes: match entry.http {
            Http::Public => vec!["/"],
            Http::Routed(prefixes) => prefixes.to_vec(),
            Http::Internal => Vec::new(),
        },
        database: entry.database,
        http_port: entry.http_port,
    }
}

fn text(services: &Services, terminal: Terminal) -> String {
    let mut table = Table::new(&[
        Column::text("SERVICE"),
        Column::number("PORT"),
        Column::text("GROUP"),
        Column::long("CONSUMES"),
        Column::long("PRODUCES"),
        Column::long("ROUTES"),
    ]);
    let list = |names: &[&str]| match names {
        [] => Cell::toned(Tone::Dim, "-"),
        names => names.join(", ").into(),
    };
    for it in &services.services {
        table.row([
            Cell::toned(Tone::Strong, it.id.name()),
            it.http_port.to_string().into(),
            list(it.group.as_slice()),
            list(&it.consumes),
            list(&it.produces),
            list(&it.routes),
        ]);
    }
    table.text(terminal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalog_is_listed() {
        let services = Services { services: CATALOG.iter().map(service).collect() };
        insta::assert_snapshot!(text(&services, Terminal::default()));
    }
}
