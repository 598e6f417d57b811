//! Shops as a table, one line each. Pure.

use super::facts::Shop;
use crate::{
    table::{Cell, Column, Table},
    terminal::{Terminal, Tone},
};

pub fn nothing(everywhere: bool, namespace: &str) -> String {
    let place = if everywhere { String::new() } else { format!(" in namespace {namespace}") };
    format!("no Storefronts{place}")
}

pub fn text(shops: &[Shop], everywhere: bool, namespace: &str, terminal: Terminal) -> String {
    if shops.is_empty() {
        return nothing(everywhere, namespace) + "\n";
    }
    let mut columns = vec![
        Column::text("NAME"),
        Column::text("READY"),
        Column::number("SINCE"),
        Column::text("REASON"),
        Column::number("LAG"),
        Column::long("URL"),
        Column::long("WHY"),
    ];
    if everywhere {
        columns.insert(0, Column::text("NAMESPACE"));
    }
    let mut table = Table::new(&columns);
    for shop in shops {
        let mut cells = row(shop);
        if everywhere {
            cells.insert(0, shop.namespace.as_str().into());
        }
        table.row(cells);
    }
    table.text(terminal)
}

fn row(shop: &Shop) -> Vec<Cell> {
    let dash = || Cell::toned(Tone::Dim, "-");
    let (tone, ready) = if shop.ready { (Tone::Good, "yes") } else { (Tone::Bad, "no") };
    let lag = |lag: i64| {
        let tone = if lag == 0 { Tone::Dim } else { Tone::Warning };
        Cell::toned(tone, lag.to_string())
    };
    let reason = match (shop.deleting, shop.is_current()) {
        (true, _) => "Deleting",
        (false, false) => "NotObserved",
        (false, true) => shop.reason.as_str(),
    };
    let why = shop.problems.first().map(|problem| problem.message.as_str().into());
    vec![
        Cell::toned(Tone::Strong, &shop.name),
        Cell::toned(tone, ready),
        shop.ago(shop.since.or(shop.created)).into(),
        reason.into(),
        shop.lag.map_or_else(dash, lag),
        shop.url.as_deref().map_or_else(dash, Cell::from),
        why.unwrap_or_default(),
    ]
}
