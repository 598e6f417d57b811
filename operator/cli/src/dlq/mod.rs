//! `storefront dlq`: dead letters are listed, shown, sent back and removed.

mod discard;
mod list;
mod replay;
mod show;

use jiff::Timestamp;
use storefront_contract::{CATALOG, ServiceId};
use storefront_inspect::{DeadLetter, Scope};

use crate::{
    Exit,
    args::{DlqCommand, LetterFilter, When},
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

/// What was asked for, with names and times as letters have them.
struct Wanted<'a> {
    filter: &'a LetterFilter,
    scope: &'a Scope,
    group: Option<String>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl<'a> Wanted<'a> {
    fn new(filter: &'a LetterFilter, scope: &'a Scope, now: Timestamp) -> anyhow::Result<Self> {
        let group = match filter.service {
            Some(id) => Some(scope.names.group(id).ok_or_else(|| gives_nothing_up(id))?),
            None => filter.group.clone(),
        };
        let at = |when: Option<When>| when.map(|when| when.before(now));
        Ok(Self { filter, scope, group, since: at(filter.since), until: at(filter.until) })
    }

    /// Whether a letter is one of those.
    fn fits(&self, letter: &DeadLetter) -> bool {
        let prefix = self.scope.names.prefix();
        let named = |wanted: &Option<String>, name: &str| {
            wanted.as_deref().is_none_or(|it| it == name || name.strip_prefix(prefix) == Some(it))
        };
        let Self { filter, group, since, until, .. } = self;
        let key = letter.record.key.as_deref().unwrap_or_default();
        named(group, &letter.group)
            && named(&filter.topic, &letter.origin.topic)
            && filter.reason.as_deref().is_none_or(|reason| reason == letter.reason)
            && filter.key.as_deref().is_none_or(|wanted| wanted.as_bytes() == key)
            && since.is_none_or(|since| letter.died.is_some_and(|died| died >= since))
            && until.is_none_or(|until| letter.died.is_some_and(|died| died < until))
    }
}

fn gives_nothing_up(id: ServiceId) -> anyhow::Error {
    let readers = CATALOG.iter().filter(|entry| !entry.consumes.is_empty());
    let readers: Vec<_> = readers.map(|entry| entry.id.name()).collect();
    anyhow::anyhow!(
        "{id} reads no topic, and so gives nothing up; --service takes {}",
        readers.join(", ")
    )
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

    fn fits(filter: &LetterFilter) -> bool {
        let scope = Scope { names: Names::new("blue."), ..Scope::default() };
        let now = "2026-01-02T10:30:00Z".parse().unwrap();
        Wanted::new(filter, &scope, now).unwrap().fits(&letter(1, b"x"))
    }

    #[test]
    fn a_filter_takes_names_with_and_without_the_prefix() {
        let fits = |group: Option<&str>, topic: Option<&str>, reason: Option<&str>| {
            let own = |text: Option<&str>| text.map(str::to_owned);
            let (group, topic, reason) = (own(group), own(topic), own(reason));
            fits(&LetterFilter { group, topic, reason, ..LetterFilter::default() })
        };
        assert!(fits(None, None, None));
        assert!(fits(Some("order-service"), Some("payment-successful"), Some("undecodable")));
        assert!(fits(Some("blue.order-service"), None, None));
        assert!(!fits(Some("email-service"), None, None));
        assert!(!fits(None, Some("order-successful"), None));
        assert!(!fits(None, None, Some("invalid")));
    }

    #[test]
    fn a_filter_takes_a_service_a_key_and_times() {
        let none = LetterFilter::default;
        let service = |id| fits(&LetterFilter { service: Some(id), ..none() });
        assert!(service(ServiceId::Order) && !service(ServiceId::Email));
        let key = |key: &str| fits(&LetterFilter { key: Some(key.into()), ..none() });
        assert!(key("ada") && !key("a"));
        // It died at ten, half an hour ago.
        let since = |text: &str| fits(&LetterFilter { since: text.parse().ok(), ..none() });
        assert!(since("30m") && !since("29m") && since("2026-01-02T10:00:00Z"));
        let until = |text: &str| fits(&LetterFilter { until: text.parse().ok(), ..none() });
        assert!(until("29m") && !until("30m") && !until("2026-01-02T10:00:00Z"));

        let wrong = LetterFilter { service: Some(ServiceId::Payment), ..none() };
        let refused = Wanted::new(&wrong, &Scope::default(), Timestamp::UNIX_EPOCH).err().unwrap();
        assert!(refused.to_string().contains("takes order, email, analytics"), "{refused}");
    }
}
