//! Flags of `dlq`.

use clap::{Args, Subcommand};
use storefront_contract::ServiceId;
use storefront_inspect::Place;

use super::{BrokerArguments, OutputArguments, WatchArguments, When};

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub enum DlqCommand {
    /// List dead letters: where, whose, why, since when.
    #[command(after_long_help = include_str!("../help/dlq-list.txt"))]
    List(ListArguments),
    /// Show a dead letter as a whole: headers and bytes.
    #[command(after_long_help = include_str!("../help/dlq-show.txt"))]
    Show(ShowArguments),
    /// Send dead letters back to the topic they came from, for the group that gave them up.
    #[command(after_long_help = include_str!("../help/dlq-replay.txt"))]
    Replay(ReplayArguments),
    /// Remove dead letters for ever, from the front of their partition.
    #[command(after_long_help = include_str!("../help/dlq-drop.txt"))]
    Drop(DropArguments),
}

/// Which letters.
#[derive(Args, Clone, Debug, Default)]
pub struct LetterFilter {
    /// Only those that this service gave up: order, email or analytics.
    #[arg(long, value_name = "SERVICE", conflicts_with = "group")]
    pub service: Option<ServiceId>,
    /// Only those of this group, with or without the shop's prefix.
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,
    /// Only those that came from this topic, with or without the shop's prefix.
    #[arg(long, value_name = "TOPIC")]
    pub topic: Option<String>,
    /// Only those given up for this reason, such as `undecodable`, `invalid` or `rejected`.
    #[arg(long, value_name = "REASON")]
    pub reason: Option<String>,
    /// Only those with this key: what is about a user has the user's id.
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Only those given up since then: a span ago (`36h`) or a time (`2026-01-31T10:00:00Z`).
    #[arg(long, value_name = "WHEN")]
    pub since: Option<When>,
    /// Only those given up before then, written in the same way.
    #[arg(long, value_name = "WHEN")]
    pub until: Option<When>,
}

/// Flags of `dlq list`.
#[derive(Args, Debug)]
pub struct ListArguments {
    /// Also those that were sent back and taken up, or that a newer letter stands for.
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    pub filter: LetterFilter,
    /// End with 3 when there is a letter that was not sent back.
    #[arg(long, conflicts_with = "watch")]
    pub check: bool,
    #[command(flatten)]
    pub watch: WatchArguments,
    #[command(flatten)]
    pub output: OutputArguments,
    #[command(flatten)]
    pub brokers: BrokerArguments,
}

/// Flags of `dlq show`.
#[derive(Args, Debug)]
pub struct ShowArguments {
    /// Where it stands, as `dlq list` says: TOPIC/PARTITION/OFFSET.
    #[arg(value_name = "PLACE", required = true)]
    pub places: Vec<Place>,
    #[command(flatten)]
    pub output: OutputArguments,
    #[command(flatten)]
    pub brokers: BrokerArguments,
}

/// Flags of `dlq replay`.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag, and any of them go together")]
pub struct ReplayArguments {
    /// Where they stand, as `dlq list` says: TOPIC/PARTITION/OFFSET.
    #[arg(value_name = "PLACE", required_unless_present = "all", conflicts_with = "all")]
    pub places: Vec<Place>,
    /// Every letter that was not sent back yet; the filters below narrow it.
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    pub filter: LetterFilter,
    /// Also letters that were sent back before. A group that has handled one skips it.
    #[arg(long)]
    pub again: bool,
    /// Also letters whose event was sent back three times and died each time: they go in a circle.
    #[arg(long)]
    pub force: bool,
    /// Who sends them back: it stands in a header of each, and in the log of the service that takes it.
    #[arg(
        long,
        value_name = "NAME",
        env = "USER",
        hide_env_values = true,
        default_value = "unknown"
    )]
    pub by: String,
    /// Send at most so many a second [default: as fast as the brokers take them].
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rate: Option<u32>,
    /// Only say what would be sent.
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub output: OutputArguments,
    #[command(flatten)]
    pub brokers: BrokerArguments,
}

/// Flags of `dlq drop`.
#[derive(Args, Debug)]
pub struct DropArguments {
    /// The newest letters to remove, as `dlq list` says: TOPIC/PARTITION/OFFSET. Everything before each
    /// in its partition goes with it.
    #[arg(value_name = "PLACE", required = true)]
    pub places: Vec<Place>,
    /// Do not ask.
    #[arg(short, long)]
    pub yes: bool,
    /// Only say what would be removed.
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub output: OutputArguments,
    #[command(flatten)]
    pub brokers: BrokerArguments,
}
