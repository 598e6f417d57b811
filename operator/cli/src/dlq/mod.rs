//! `storefront dlq`: dead letters are listed, shown, sent back and removed.

mod discard;
mod list;
mod replay;
mod show;

use storefront_inspect::{DeadLetter, Scope};

use crate::{
    Exit,
    args::{DlqCommand, LetterFilter},
};

/// Does what was asked.
pub async fn run(command: &DlqCommand) -> anyhow::Result<Exit> {
    match command {
        DlqCommand::List(arguments) => list::run(arguments),
        DlqCommand::Show(arguments) => show::run(arguments),
        DlqCommand::Replay(arguments) => replay::run(arguments),
        DlqCommand::Drop(arguments) => discard::run(arguments).await,
    }
}

/// Whether a letter is one of those that were asked for.
fn fits(letter: &DeadLetter, filter: &LetterFilter, scope: &Scope) -> bool {
    let prefix = scope.names.prefix();
    let named = |wanted: &Option<String>, name: &str| {
        wanted.as_deref().is_none_or(|it| it == name || name.strip_prefix(prefix) == Some(it))
    };
    named(&filter.group, &letter.group)
        && named(&filter.topic, &letter.origin.topic)
        && filter.reason.as_deref().is_none_or(|reason| reason == letter.reason)
}

#[cfg(test)]
mod tests {
    use storefront_contract::Names;
    use storefront_inspect::Record;

    use super::*;

    /// A letter of a shop with the prefix `blue.`.
    pub(super) fn letter(offset: i64, value: &[u8]) -> DeadLetter {
        let header = |name: &str, value: &str| (name.to_owned(), Some(value.as_bytes().to_vec()));
        let record = Record {
            topic: "blue.payment-successful.order-service.dlq".into(),
            partition: 1,
            offset,
            time: None,
            key: Some(b"ada".to_vec()),
            value: Some(value.to_vec()),
            headers: vec![
                header("ce_id", "1"),
                header("dlq-reason", "undecodable"),
                header("dlq-error", "the value is no JSON of a payment-successful event"),
                header("dlq-attempts", "1"),
                header("dlq-topic", "blue.payment-successful"),
                header("dlq-partition", "1"),
                header("dlq-offset", &(offset + 40).to_string()),
                header("dlq-time", "2026-01-02T10:00:00Z"),
            ],
        };
        DeadLetter::read(record, "blue.order-service").unwrap()
    }

    #[test]
    fn a_filter_takes_names_with_and_without_the_prefix() {
        let scope = Scope { names: Names::new("blue."), ..Scope::default() };
        let fits = |group: Option<&str>, topic: Option<&str>, reason: Option<&str>| {
            let own = |text: Option<&str>| text.map(str::to_owned);
            let filter = LetterFilter { group: own(group), topic: own(topic), reason: own(reason) };
            super::fits(&letter(1, b"x"), &filter, &scope)
        };
        assert!(fits(None, None, None));
        assert!(fits(Some("order-service"), Some("payment-successful"), Some("undecodable")));
        assert!(fits(Some("blue.order-service"), None, None));
        assert!(!fits(Some("email-service"), None, None));
        assert!(!fits(None, Some("order-successful"), None));
        assert!(!fits(None, None, Some("invalid")));
    }
}
