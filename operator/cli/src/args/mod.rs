//! The command line, as typed values. Every flag says what it is for, in which unit, and what holds
//! without it; what a command does stands in `help/`, with examples.

mod audit;
mod brokers;
mod cluster;
mod dev;
mod inspect;
mod letters;
mod program;
mod render;
mod shop;
mod values;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::output::Output;
pub use audit::AuditArguments;
pub use brokers::BrokerArguments;
pub use cluster::{ClusterArguments, PlanArguments, StatusArguments};
pub use dev::DevArguments;
pub use inspect::{
    GroupsArguments, Match, TailArguments, TailFrom, TopicsArguments, WatchArguments,
};
pub use letters::{
    DlqCommand, DropArguments, LetterFilter, ListArguments, ReplayArguments, ShowArguments,
};
pub use program::command;
pub use render::RenderArguments;
pub use shop::{Item, OrdersArguments, PurchaseArguments, TraceArguments};
pub use values::{Listen, When};

/// A shop's checkout back end: on a laptop with `dev`, and tools for the one on call.
#[derive(Debug, Parser)]
#[command(
    name = "storefront",
    version,
    max_term_width = 100,
    after_help = include_str!("../help/storefront.txt"),
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a whole shop in this process: services, an embedded Kafka broker, a stand-in for Stripe and
    /// a mail inbox. For development and tests only.
    #[command(after_long_help = include_str!("../help/dev.txt"))]
    Dev(Box<DevArguments>),
    /// Show topics: partitions, leaders, replicas, messages.
    #[command(after_long_help = include_str!("../help/topics.txt"))]
    Topics(TopicsArguments),
    /// Show consumer groups: members, lag per partition, time to drain.
    #[command(after_long_help = include_str!("../help/groups.txt"))]
    Groups(GroupsArguments),
    /// Show the messages of a topic, and those that come.
    #[command(after_long_help = include_str!("../help/tail.txt"))]
    Tail(TailArguments),
    /// Look after dead letters: events that a group gave up.
    #[command(subcommand, after_long_help = include_str!("../help/dlq.txt"))]
    Dlq(DlqCommand),
    /// Show the latest orders, or one by its id.
    #[command(after_long_help = include_str!("../help/orders.txt"))]
    Orders(OrdersArguments),
    /// Tell the whole story of an order: over topics, dead letters, the order's API and the mail.
    #[command(after_long_help = include_str!("../help/trace.txt"))]
    Trace(TraceArguments),
    /// Compare what Stripe says was paid with orders and mails, and close the gaps.
    #[command(after_long_help = include_str!("../help/audit.txt"))]
    Audit(Box<AuditArguments>),
    /// Buy something at a shop in sandbox mode, and see it through to the mail.
    #[command(after_long_help = include_str!("../help/purchase.txt"))]
    Purchase(PurchaseArguments),
    /// Check a manifest with the rules that the API server applies.
    Validate {
        /// Manifest with one Storefront.
        file: PathBuf,
    },
    /// Print what the operator would create for a manifest, as YAML.
    #[command(after_long_help = include_str!("../help/render.txt"))]
    Render(RenderArguments),
    /// Show what applying a manifest would change in a cluster, and what it costs: restarts, topics,
    /// what goes and what stays.
    #[command(after_long_help = include_str!("../help/plan.txt"))]
    Plan(PlanArguments),
    /// Show how shops in a cluster are, what is wrong with them, and what to do about it.
    #[command(after_long_help = include_str!("../help/status.txt"))]
    Status(StatusArguments),
    /// List the services that a shop is made of: groups, topics, ports.
    Services(ServicesArguments),
    /// Write the reference documents, for those who work on Storefront.
    #[command(hide = true)]
    Docs(crate::docs::DocsArguments),
    /// Print the definition (CRD) of Storefront, which `kubectl apply --server-side` takes.
    Crds,
    /// Print a script that completes this command in a shell.
    #[command(after_long_help = include_str!("../help/completions.txt"))]
    Completions {
        /// Which shell.
        shell: Shell,
    },
}

/// Flags of `services`.
#[derive(Args, Debug)]
pub struct ServicesArguments {
    #[command(flatten)]
    pub output: OutputArguments,
}

/// How results are written.
#[derive(Args, Clone, Copy, Debug)]
pub struct OutputArguments {
    /// How results are written.
    #[arg(long, value_enum, value_name = "FORM", default_value_t)]
    pub output: Output,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    /// Every page of help, each below its command's line.
    fn pages(command: &mut clap::Command, line: &str, pages: &mut Vec<(String, String)>) {
        let text = command.clone().term_width(100).render_long_help().to_string();
        pages.push((line.to_owned(), text));
        for sub in command.get_subcommands_mut() {
            if sub.get_name() != "help" {
                let line = format!("{line} {}", sub.get_name());
                self::pages(sub, &line, pages);
            }
        }
    }

    #[test]
    fn every_command_has_a_page_of_help() {
        let mut command = Arguments::command();
        command.build();
        let mut pages = Vec::new();
        self::pages(&mut command, "storefront", &mut pages);
        for (line, text) in pages {
            insta::assert_snapshot!(line.replace(' ', "-"), text);
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
        for flag in ["--database", "--stripe-api-base"] {
            let error = dev(flag, "mysql://shop:hunter2@localhost").unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "what may hold a password is repeated: {error}");
        }
        let both = ["storefront", "dev", "a.yaml", "--ephemeral", "--data", "b"];
        assert!(Arguments::try_parse_from(both).is_err());
    }
}
