//! `storefront status`: how shops in a cluster are, what is wrong with them, and what to do about it.

mod advice;
mod events;
mod facts;
mod list;
mod look;
mod page;
#[cfg(test)]
mod tests;

use std::{
    thread,
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::{
    Exit,
    args::StatusArguments,
    cluster::Target,
    output::{self, Output},
    terminal::Terminal,
    watch,
};
use facts::Shop;

/// How often is looked while somebody waits.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is shown: one shop as a whole, or a line for each.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Shown {
    One(Box<Shop>),
    All {
        storefronts: Vec<Shop>,
        #[serde(skip)]
        everywhere: bool,
        #[serde(skip)]
        namespace: String,
    },
}

impl Shown {
    fn shops(&self) -> &[Shop] {
        match self {
            Self::One(shop) => std::slice::from_ref(shop),
            Self::All { storefronts, .. } => storefronts,
        }
    }

    /// Nothing is not ready: a mistyped namespace is not a healthy one.
    fn is_ready(&self) -> bool {
        !self.shops().is_empty() && self.shops().iter().all(Shop::is_ready)
    }

    fn has_settled(&self) -> bool {
        !self.shops().is_empty() && self.shops().iter().all(Shop::has_settled)
    }

    /// What there is to wait for, a line each.
    fn waits_for(&self) -> String {
        let lines: Vec<_> = self.shops().iter().filter_map(Shop::waits_for).collect();
        match self {
            Self::All { storefronts, everywhere, namespace } if storefronts.is_empty() => {
                list::nothing(*everywhere, namespace)
            }
            _ => lines.join("\n  "),
        }
    }

    fn text(&self, terminal: Terminal) -> String {
        match self {
            Self::One(shop) => page::text(shop, terminal),
            Self::All { storefronts, everywhere, namespace } => {
                list::text(storefronts, *everywhere, namespace, terminal)
            }
        }
    }
}

/// Why waiting has ended.
#[derive(Debug, thiserror::Error)]
#[error("not ready after {}: {waiting}", crate::words::span(.limit.as_secs_f64()))]
struct NotReady {
    limit: Duration,
    waiting: String,
}

/// Shows the shops.
pub fn run(arguments: &StatusArguments) -> anyhow::Result<Exit> {
    let runtime = crate::runtime()?;
    let target = runtime.block_on(Target::new(&arguments.cluster))?;
    let look = || Ok(runtime.block_on(look::look(&target, arguments))?);
    if arguments.wait {
        return wait(arguments, look);
    }
    let form = arguments.output.output;
    let shown = watch::show(arguments.watch.watch, form, look, Shown::text)?;
    Ok(if arguments.check && !shown.is_ready() { Exit::Found } else { Exit::Done })
}

/// Looks until everything is ready, and shows it then; on the way it says what is waited for.
fn wait(
    arguments: &StatusArguments,
    look: impl Fn() -> anyhow::Result<Shown>,
) -> anyhow::Result<Exit> {
    let end = Instant::now() + arguments.timeout;
    let mut said = String::new();
    loop {
        let shown = look()?;
        if shown.has_settled() {
            match arguments.output.output {
                Output::Json => output::print_json(&shown)?,
                Output::Text => output::print(&shown.text(Terminal::stdout()))?,
            }
            return Ok(Exit::Done);
        }
        let waiting = shown.waits_for();
        if Instant::now() >= end {
            return Err(NotReady { limit: arguments.timeout, waiting }.into());
        }
        if waiting != said {
            output::note(&storefront_inspect::tame(&waiting));
            said = waiting;
        }
        thread::sleep(LOOK_EVERY.min(end.saturating_duration_since(Instant::now())));
    }
}
