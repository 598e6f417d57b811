//! Which messages are wanted. Pure.

use storefront_contract::headers;
use storefront_inspect::Record;

use crate::args::Match;

/// Whether every condition holds.
pub fn holds(record: &Record, conditions: &[Match]) -> bool {
    conditions.iter().all(|Match { what, value }| match what.as_str() {
        "key" => record.key.as_deref() == Some(value.as_bytes()),
        "user" => record.field("userId").as_deref() == Some(value),
        "order" => record.field("orderId").as_deref() == Some(value),
        "session" => record.field("sessionId").as_deref() == Some(value),
        "trace" => record.trace_id() == Some(value),
        // With or without what stands before every type of ours.
        "type" => record.header(headers::TYPE).is_some_and(|kind| {
            kind == value || kind.strip_suffix(value.as_str()).is_some_and(|it| it.ends_with('.'))
        }),
        header => record.header(header) == Some(value),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_on_key_value_and_headers() {
        let header = |name: &str, value: &str| (name.to_owned(), Some(value.as_bytes().to_vec()));
        let record = Record {
            topic: "t".into(),
            partition: 0,
            offset: 0,
            time: None,
            key: Some(b"ada".to_vec()),
            value: Some(br#"{"userId": "ada", "orderId": "o-1"}"#.to_vec()),
            headers: vec![header("ce_type", "dev.storefront.order-successful"), header("x", "1")],
        };
        let all = |texts: &[&str]| {
            let conditions: Vec<Match> = texts.iter().map(|text| text.parse().unwrap()).collect();
            holds(&record, &conditions)
        };
        assert!(all(&["key=ada", "user=ada", "order=o-1", "x=1", "type=order-successful"]));
        assert!(all(&["type=dev.storefront.order-successful"]));
        for wrong in ["key=ad", "order=o-2", "session=o-1", "type=successful", "y=1", "x="] {
            assert!(!all(&["key=ada", wrong]), "{wrong}");
        }
    }
}
