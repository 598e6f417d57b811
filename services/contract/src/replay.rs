//! Sending a dead letter back to where it came from, for the one group that gave it up. Pure: makes the
//! record; whoever calls it sends it.

use crate::envelope::headers as names;

/// A record to send: the original's bytes, to its topic, for one group only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// The topic where it stood first, by its name on the broker.
    pub topic: String,
    /// The partition where it stood first, so that it keeps its key's order with what comes.
    pub partition: i32,
    /// Its headers, with `replay-group`. Its place is kept in them: a record without an id is known by
    /// it, so that a second replay of the same dead letter changes nothing.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

/// A record that does not say where it came from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the record is no dead letter: its header `{0}` is missing or wrong")]
pub struct NotADeadLetter(pub &'static str);

/// What to send so that `group` takes a dead letter up again. Every other group skips it, and so does
/// `group` itself unless the event is still dead to it. `letter` is where the letter stands,
/// `topic/partition/offset`: by it people see which letters were sent back.
pub fn replay(
    headers: &[(String, Option<Vec<u8>>)],
    group: &str,
    letter: &str,
) -> Result<Replay, NotADeadLetter> {
    let text = |name: &'static str| {
        headers
            .iter()
            .find(|(known, _)| known == name)
            .and_then(|(_, value)| std::str::from_utf8(value.as_deref()?).ok())
            .ok_or(NotADeadLetter(name))
    };
    let topic = text(names::DLQ_TOPIC)?.to_owned();
    let partition = text(names::DLQ_PARTITION)?;
    let partition = partition.parse().map_err(|_| NotADeadLetter(names::DLQ_PARTITION))?;
    text(names::DLQ_OFFSET)?.parse::<i64>().map_err(|_| NotADeadLetter(names::DLQ_OFFSET))?;
    let place = [names::DLQ_TOPIC, names::DLQ_PARTITION, names::DLQ_OFFSET];
    let count = times_sent_back(headers).saturating_add(1);
    let mut kept: Vec<_> = headers
        .iter()
        .filter(|(name, _)| !name.starts_with("dlq-") || place.contains(&name.as_str()))
        .filter(|(name, _)| !ABOUT_REPLAYS.contains(&name.as_str()))
        .cloned()
        .collect();
    let mut add = |name: &str, value: &str| kept.push((name.to_owned(), Some(value.into())));
    add(names::DLQ_LETTER, letter);
    add(names::REPLAY_GROUP, group);
    add(names::REPLAY_COUNT, &count.to_string());
    Ok(Replay { topic, partition, headers: kept })
}

/// What an earlier replay has left makes room.
const ABOUT_REPLAYS: [&str; 5] = [
    names::REPLAY_GROUP,
    names::REPLAY_COUNT,
    names::REPLAY_BY,
    names::REPLAY_AT,
    names::REPLAY_ANEW,
];

/// How often the event of a dead letter was sent back before it died this time.
pub fn times_sent_back(headers: &[(String, Option<Vec<u8>>)]) -> u32 {
    let value = headers.iter().find(|(name, _)| name == names::REPLAY_COUNT);
    let text = value.and_then(|(_, value)| std::str::from_utf8(value.as_deref()?).ok());
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &str, value: &str) -> (String, Option<Vec<u8>>) {
        (name.to_owned(), Some(value.as_bytes().to_vec()))
    }

    #[test]
    fn a_dead_letter_goes_back_for_one_group() {
        let dead = [
            header("ce_id", "1"),
            header("dlq-reason", "rejected"),
            header("dlq-topic", "orders"),
            header("dlq-partition", "2"),
            header("dlq-offset", "41"),
        ];
        let replay = replay(&dead, "email-service", "d/2/7").unwrap();
        assert_eq!((replay.topic.as_str(), replay.partition), ("orders", 2));
        assert_eq!(
            replay.headers,
            [
                header("ce_id", "1"),
                header("dlq-topic", "orders"),
                header("dlq-partition", "2"),
                header("dlq-offset", "41"),
                header("dlq-letter", "d/2/7"),
                header("replay-group", "email-service"),
                header("replay-count", "1"),
            ]
        );
    }

    #[test]
    fn each_time_is_counted_and_only_the_last_one_is_told() {
        let dead = [
            header("replay-count", "2"),
            header("replay-by", "ada"),
            header("replay-at", "2026-01-02T10:00:00Z"),
            header("dlq-topic", "orders"),
            header("dlq-partition", "2"),
            header("dlq-offset", "41"),
        ];
        let told = replay(&dead, "g", "d/2/7").unwrap().headers;
        let about: Vec<_> = told.into_iter().filter(|(n, _)| n.starts_with("replay-")).collect();
        assert_eq!(about, [header("replay-group", "g"), header("replay-count", "3")]);
        assert_eq!(times_sent_back(&dead), 2);
        assert_eq!(times_sent_back(&[header("replay-count", "often")]), 0);
    }

    #[test]
    fn any_other_record_is_refused() {
        assert_eq!(replay(&[], "g", ""), Err(NotADeadLetter("dlq-topic")));
        let strange = [header("dlq-topic", "t"), header("dlq-partition", "x")];
        assert_eq!(replay(&strange, "g", ""), Err(NotADeadLetter("dlq-partition")));
    }
}
