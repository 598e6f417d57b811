//! What a message says, in words. Pure.

use storefront_contract::{AnyEvent, CartLine, Incoming as _, Money, Names, headers};

use crate::{Content, Record, is_for_dead_letters, record::tame};

/// What a message says, in one line: an event of ours in words, anything else as it is.
pub fn summary(record: &Record, names: &Names) -> String {
    let raw = || Content::of(record.value.as_deref()).line();
    let prefix = names.prefix();
    let bare = record.topic.strip_prefix(prefix).unwrap_or(&record.topic);
    let dead = is_for_dead_letters(bare);
    // A letter is read as what it was.
    let origin = record.header(headers::DLQ_TOPIC).filter(|_| dead).unwrap_or(&record.topic);
    let event = names
        .parse_topic(origin)
        .and_then(|topic| AnyEvent::decode(topic, record.value.as_deref()?).ok());
    let said = event.map_or_else(raw, |event| event_words(&event));
    if dead {
        let reason = record.header(headers::DLQ_REASON).unwrap_or("?");
        return tame(&format!("dead ({reason}): {said}"));
    }
    match record.header(headers::REPLAY_GROUP) {
        Some(group) => tame(&format!("sent back for {group}: {said}")),
        None => said,
    }
}

fn event_words(event: &AnyEvent) -> String {
    let words = match event {
        AnyEvent::Payment(it) => {
            let amount = Money { amount: it.amount, currency: it.currency };
            format!("paid {amount} for {}, order {}", cart(&it.cart), it.order_id)
        }
        AnyEvent::Order(it) => {
            let amount = Money { amount: it.amount, currency: it.currency };
            format!("ordered {} for {amount}, order {}", cart(&it.cart), it.order_id)
        }
        AnyEvent::Email(it) => {
            format!("mailed {} {}, order {}", it.template.name(), it.message_id, it.order_id)
        }
    };
    tame(&words)
}

/// `2 × Nova 5G, 1 × Case`.
pub fn cart(lines: &[CartLine]) -> String {
    let line = |line: &CartLine| format!("{} × {}", line.quantity, line.name);
    lines.iter().map(line).collect::<Vec<_>>().join(", ")
}
