//! Flags of `topics`, `groups` and `tail`.

use std::{str::FromStr, time::Duration};

use clap::Args;
use jiff::Timestamp;

use super::{
    BrokerArguments, OutputArguments,
    values::{pause, span},
};

/// Looking again and again.
#[derive(Args, Clone, Debug)]
pub struct WatchArguments {
    /// Look again every so often, until Ctrl-C: redrawn on a terminal, one JSON object a line with
    /// --output json [without a value: 2s].
    #[arg(
        long,
        value_name = "SPAN",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "2s",
        value_parser = pause
    )]
    pub watch: Option<Duration>,
}

/// Flags of `topics`.
#[derive(Args, Debug)]
pub struct TopicsArguments {
    /// Only these, with a line for each partition [default: the shop's, one line each].
    #[arg(value_name = "TOPIC")]
    pub topics: Vec<String>,
    /// Every topic on the brokers, not only the shop's.
    #[arg(long, conflicts_with = "topics")]
    pub all: bool,
    /// End with 3 when a topic is missing, has no leader, or has fewer replicas in step than it should.
    #[arg(long, conflicts_with = "watch")]
    pub check: bool,
    #[command(flatten)]
    pub watch: WatchArguments,
    #[command(flatten)]
    pub output: OutputArguments,
    #[command(flatten)]
    pub brokers: BrokerArguments,
}

/// Flags of `groups`.
#[derive(Args, Debug)]
pub struct GroupsArguments {
    /// Every group on the brokers, not only the shop's.
    #[arg(long)]
    pub all: bool,
    /// Look twice, this far apart, to tell how fast a group is and when it is done.
    #[arg(long, value_name = "SPAN", value_parser = pause, conflicts_with = "watch")]
    pub sample: Option<Duration>,
    /// End with 3 when a group is more than so many messages behind.
    #[arg(long, value_name = "MESSAGES", conflicts_with = "watch")]
    pub fail_on_lag: Option<u64>,
    #[command(flatten)]
    pub watch: WatchArguments,
    #[command(flatten)]
    pub output: OutputArguments,
    #[command(flatten)]
    pub brokers: BrokerArguments,
}

/// Flags of `tail`.
#[derive(Args, Debug)]
pub struct TailArguments {
    /// Topic, with or without the shop's prefix; several are shown as their messages come.
    #[arg(value_name = "TOPIC", required = true)]
    pub topics: Vec<String>,
    /// Go on with what comes, until Ctrl-C.
    #[arg(short, long)]
    pub follow: bool,
    /// Where to begin: `beginning`, `end`, an offset (`1042`), so many before the end of each
    /// partition (`-10`), a span ago (`15m`), or a time (`2026-01-31T10:00:00Z`).
    #[arg(long, value_name = "WHERE", default_value = "-10", allow_hyphen_values = true)]
    pub from: TailFrom,
    /// Only this partition.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i32).range(0..))]
    pub partition: Option<i32>,
    /// Stop after so many messages are shown.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// Only messages where this holds: `key=ada`, `user=ada`, `order=ID`, `session=ID`, `type=NAME`,
    /// `trace=ID`, or `NAME=VALUE` for a header. All of several must hold.
    #[arg(long, value_name = "WHAT=VALUE")]
    pub filter: Vec<Match>,
    /// Show headers and the whole value below each message.
    #[arg(short, long)]
    pub verbose: bool,
    #[command(flatten)]
    pub output: OutputArguments,
    #[command(flatten)]
    pub brokers: BrokerArguments,
}

/// Where `tail` begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TailFrom {
    Beginning,
    End,
    Offset(i64),
    Last(i64),
    Ago(Duration),
    Time(Timestamp),
}

impl FromStr for TailFrom {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let count = |text: &str| text.parse::<i64>().ok().filter(|count| *count >= 0);
        if let Some(last) = text.strip_prefix('-').and_then(count) {
            return Ok(Self::Last(last));
        }
        match text {
            "beginning" | "start" => return Ok(Self::Beginning),
            "end" => return Ok(Self::End),
            _ => {}
        }
        if let Some(offset) = count(text) {
            return Ok(Self::Offset(offset));
        }
        if let Ok(time) = text.parse() {
            return Ok(Self::Time(time));
        }
        span(text).map(Self::Ago).map_err(|_| {
            "write beginning, end, an offset such as 1042, -10 for the last ten, a span such as 15m, \
             or a time such as 2026-01-31T10:00:00Z"
                .into()
        })
    }
}

/// A condition on a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    pub what: String,
    pub value: String,
}

impl FromStr for Match {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((what, value)) if !what.is_empty() => {
                Ok(Self { what: what.to_owned(), value: value.to_owned() })
            }
            _ => Err("write WHAT=VALUE, such as key=ada or order=5ab5989b-…".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tail_begins_where_it_is_told() {
        let minutes = Duration::from_mins(15);
        for (text, from) in [
            ("beginning", TailFrom::Beginning),
            ("end", TailFrom::End),
            ("1042", TailFrom::Offset(1042)),
            ("-10", TailFrom::Last(10)),
            ("15m", TailFrom::Ago(minutes)),
            ("1970-01-01T00:00:00Z", TailFrom::Time(Timestamp::UNIX_EPOCH)),
        ] {
            assert_eq!(text.parse(), Ok(from), "{text}");
        }
        assert!("yesterday".parse::<TailFrom>().unwrap_err().contains("15m"));
    }
}
