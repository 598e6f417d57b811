use super::*;
use crate::{
    facts::{Sales, Wire},
    shopper::Purchase,
};

/// Two shoppers with two carts each: all is as it should be.
fn facts() -> Facts {
    let mut facts = Facts::default();
    for number in 0..4_usize {
        let (user, session) = (format!("user-{}", number % 2), format!("cs_{number}"));
        let amount = 100 + i64::try_from(number).unwrap();
        let purchase = Purchase {
            place: number,
            number,
            user: user.clone(),
            session: session.clone(),
            manner: Manner::Returns,
        };
        facts.bought.by_user.entry(user.clone()).or_default().push(purchase);
        facts.sessions.insert(
            session.clone(),
            Session { is_paid: true, amount, user: user.clone(), created: 10 },
        );
        facts.orders.push((session.clone(), amount));
        facts.mails.insert(format!("mail-{number}"), 1);
        for (topic, wire) in facts.topics.iter_mut().enumerate() {
            wire.events.push(Told {
                id: format!("{topic}-{number}"),
                key: user.clone(),
                session: session.clone(),
                amount: (topic < 2).then_some(amount),
                message_id: if topic == 2 { format!("mail-{number}") } else { String::new() },
                place: (0, i64::try_from(number).unwrap()),
            });
        }
    }
    facts.poison = BTreeSet::from([(0, 9)]);
    for group in ["order-service", "email-service", "analytic-service"] {
        facts.dead.insert(format!("payment-successful.{group}.dlq"), vec![(0, 9), (0, 9)]);
    }
    facts.sales = Sales { payments: 4, orders: 4, mails: 4, revenue: 406 };
    facts
}

/// What is found after something was done to it: the counts and the words.
fn found(spoil: impl FnOnce(&mut Facts)) -> (usize, usize, usize, String) {
    let mut facts = facts();
    spoil(&mut facts);
    let Verdict { lost, doubled, wrong, findings } = compare(&facts);
    (lost, doubled, wrong, findings.join("\n"))
}

#[test]
fn nothing_is_found_where_all_is_right() {
    assert!(compare(&facts()).holds());
    // A message that stands twice on the wire is one, and a mail whose attempt was unclear may come again.
    let (lost, doubled, wrong, words) = found(|facts| {
        facts.topics[0].again = 3;
        facts.mails.insert("mail-2".into(), 2);
        facts.unclear.insert("mail-2".into(), 1);
    });
    assert_eq!((lost, doubled, wrong), (0, 0, 0), "{words}");
}

#[test]
fn each_loss_is_found() {
    assert_eq!(found(|facts| facts.orders.truncate(3)).0, 1);
    assert_eq!(found(|facts| facts.mails.retain(|id, _| id != "mail-1")).0, 1);
    assert_eq!(found(|facts| facts.sessions.retain(|id, _| id != "cs_1")).0, 1);
    assert_eq!(found(|facts| facts.dead.values_mut().for_each(Vec::clear)).0, 3);
    assert_eq!(found(|facts| facts.sales.orders = 2).0, 2);
    for topic in 0..3 {
        let (lost, ..) = found(|facts| drop(facts.topics[topic].events.remove(1)));
        assert_eq!(lost, 1, "{topic}");
    }
}

#[test]
fn each_double_is_found() {
    assert_eq!(found(|facts| facts.orders.push(("cs_1".into(), 101))).1, 1);
    assert_eq!(found(|facts| facts.mails.extend([("mail-1".into(), 3)])).1, 2);
    assert_eq!(found(|facts| facts.sales.mails = 5).1, 1);
    let (_, doubled, ..) = found(|facts| {
        let mut again = facts.topics[1].events[0].clone();
        again.id = "another".into();
        facts.topics[1].events.push(again);
    });
    assert_eq!(doubled, 1);
    let (_, doubled, ..) = found(|facts| {
        let orphan = Session { is_paid: false, amount: 1, user: "user-1".into(), created: 10 };
        facts.sessions.insert("cs_9".into(), orphan);
    });
    assert_eq!(doubled, 1);
}

#[test]
fn a_database_that_was_restored_is_forgiven_what_it_cannot_know() {
    let forgive = |facts: &mut Facts| {
        facts.mails.insert("mail-1".into(), 2);
        facts.excuses.mails.insert("mail-1".into(), 1);
        facts.excuses.sessions_until = 10;
    };
    let orphan = |is_paid, created| Session { is_paid, amount: 1, user: "user-1".into(), created };
    let with = |session| {
        let (lost, doubled, wrong, _) = found(|facts| {
            forgive(facts);
            facts.sessions.insert("cs_9".into(), session);
        });
        (lost > 0, doubled, wrong)
    };
    assert_eq!(with(orphan(false, 10)), (false, 0, 0));
    // Made after it, or paid.
    assert_eq!(with(orphan(false, 11)), (false, 1, 0));
    assert!(with(orphan(true, 10)).0);
}

#[test]
fn whatever_else_is_wrong_is_found() {
    let wrong = |spoil: fn(&mut Facts)| {
        let (lost, doubled, wrong, words) = found(spoil);
        assert_eq!((lost, doubled), (0, 0), "{words}");
        assert!(wrong > 0);
        words
    };
    let words = [
        wrong(|facts| facts.topics[1].events[0].amount = Some(1)),
        wrong(|facts| facts.orders[0].1 = 1),
        wrong(|facts| facts.sales.revenue += 1),
        wrong(|facts| facts.topics[1].events.swap(0, 2)),
        wrong(|facts| facts.topics[0].events.swap(0, 2)),
        wrong(|facts| facts.waiting.extend([("order".into(), 2)])),
        wrong(|facts| facts.bought.failed.push("cart 7 was answered 500".into())),
        wrong(|facts| {
            facts.dead.insert("order-successful.analytic-service.dlq".into(), vec![(1, 2)]);
        }),
    ];
    insta::assert_snapshot!(words.join("\n"));
}

#[test]
fn a_topic_without_any_record_is_all_lost() {
    let (lost, ..) = found(|facts| facts.topics[2] = Wire::default());
    assert_eq!(lost, 4);
}
