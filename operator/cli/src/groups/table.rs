//! Groups as a table for people.

use super::{Group, Groups};
use crate::output;

/// One line a partition, and a line for the whole of each group before them.
pub fn text(groups: &Groups) -> String {
    let mut rows = vec![row(&["GROUP", "TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "MEMBER"])];
    for group in &groups.groups {
        rows.push(total(group));
        for partition in &group.partitions {
            let committed = partition.committed.map_or("-".to_owned(), |offset| offset.to_string());
            rows.push(row(&[
                "",
                &partition.topic,
                &partition.number.to_string(),
                &committed,
                &partition.end.to_string(),
                &partition.lag.to_string(),
                partition.member.as_deref().unwrap_or("-"),
            ]));
        }
    }
    output::table(&rows)
}

fn total(group: &Group) -> Vec<String> {
    let members = match group.members.len() {
        0 => format!("no members ({})", group.state.to_lowercase()),
        1 => format!("1 member ({})", group.state.to_lowercase()),
        count => format!("{count} members ({})", group.state.to_lowercase()),
    };
    row(&[&group.name, "", "", "", "", &group.lag.to_string(), &members])
}

fn row(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|cell| (*cell).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Member, Partition},
        *,
    };

    #[test]
    fn a_backlog_is_seen_at_a_glance() {
        let partition = |partition, committed: Option<i64>, end, member: Option<&str>| Partition {
            topic: "payment-successful".into(),
            number: partition,
            committed,
            end,
            lag: end - committed.unwrap_or_default(),
            member: member.map(str::to_owned),
        };
        let groups = Groups {
            groups: vec![
                Group {
                    name: "order-service".into(),
                    state: "Missing".into(),
                    members: Vec::new(),
                    partitions: vec![partition(0, None, 7, None), partition(1, None, 3, None)],
                    lag: 10,
                },
                Group {
                    name: "email-service".into(),
                    state: "Stable".into(),
                    members: vec![Member {
                        id: "m-1".into(),
                        client: "email".into(),
                        host: "/1".into(),
                    }],
                    partitions: vec![partition(0, Some(7), 7, Some("m-1"))],
                    lag: 0,
                },
            ],
        };
        insta::assert_snapshot!(text(&groups));
    }
}
