//! Groups as a table for people. Pure.

use storefront_inspect::{Group, GroupPartition};

use super::{Groups, Shown, pace::Pace};
use crate::{
    table::{Cell, Column, Table},
    terminal::{Terminal, Tone},
    words,
};

/// A line for each group, and below it one for each of its partitions.
pub fn text(groups: &Groups, terminal: Terminal) -> String {
    let paced = groups.groups.iter().any(|shown| shown.pace.is_some());
    let mut columns = vec![
        Column::text("GROUP"),
        Column::number("PART"),
        Column::number("COMMITTED"),
        Column::number("END"),
        Column::number("LAG"),
    ];
    if paced {
        columns.extend([
            Column::number("HANDLED"),
            Column::number("ARRIVING"),
            Column::number("DRAINED"),
        ]);
    }
    columns.push(Column::long("MEMBERS"));
    let mut table = Table::new(&columns);
    for shown in &groups.groups {
        table.row(total(shown, paced));
        for partition in &shown.group.partitions {
            table.row(line(&shown.group, partition, paced));
        }
    }
    table.text(terminal)
}

fn total(Shown { group, pace }: &Shown, paced: bool) -> Vec<Cell> {
    let mut cells = vec![Cell::toned(Tone::Strong, &group.name), "".into(), "".into(), "".into()];
    cells.push(lag(group.lag, group.members.is_empty()));
    if paced {
        cells.extend(pace_cells(pace.as_ref(), group.lag));
    }
    let members = match group.members.len() {
        0 => "no members".to_owned(),
        count => words::count(count, "member"),
    };
    let said = format!("{members} ({})", group.state.to_lowercase());
    let tone = match (group.members.len(), group.state.as_str()) {
        (0, _) if group.service.is_some() => Tone::Bad,
        (_, "Stable") => Tone::Good,
        (0, _) => Tone::Dim,
        _ => Tone::Warning,
    };
    cells.push(Cell::toned(tone, said));
    cells
}

fn pace_cells(pace: Option<&Pace>, behind: i64) -> [Cell; 3] {
    let Some(pace) = pace else { return Default::default() };
    let rate = |per_s: f64| Cell::from(format!("{per_s:.1}/s"));
    let drained = match pace.drained_in_s {
        _ if behind == 0 => Cell::toned(Tone::Dim, "-"),
        Some(seconds) => words::span(seconds).into(),
        None => Cell::toned(Tone::Bad, "never"),
    };
    [rate(pace.handled), rate(pace.arriving), drained]
}

fn line(group: &Group, partition: &GroupPartition, paced: bool) -> Vec<Cell> {
    let dash = || Cell::toned(Tone::Dim, "-");
    let committed = partition.committed.map_or_else(dash, |offset| offset.to_string().into());
    let mut cells = vec![
        Cell::toned(Tone::Dim, format!("  {}", partition.topic)),
        partition.number.to_string().into(),
        committed,
        partition.end.to_string().into(),
        lag(partition.lag, partition.member.is_none()),
    ];
    if paced {
        cells.extend(<[Cell; 3]>::default());
    }
    let member = partition.member.as_deref().map(|id| member(group, id));
    cells.push(member.map_or_else(dash, |text| Cell::toned(Tone::Dim, text)));
    cells
}

/// Who reads a partition: the client's name, where it is, and the end of its id, by which two of one
/// name are told apart.
fn member(group: &Group, id: &str) -> String {
    let end: String = id.chars().skip(id.chars().count().saturating_sub(6)).collect();
    match group.members.iter().find(|member| member.id == id) {
        Some(member) => {
            format!("{}…{end} {}", member.client, member.host.trim_start_matches('/'))
        }
        None => id.to_owned(),
    }
}

fn lag(lag: i64, unread: bool) -> Cell {
    let tone = match lag {
        0 => Tone::Dim,
        _ if unread => Tone::Bad,
        _ => Tone::Warning,
    };
    Cell::toned(tone, lag.to_string())
}

#[cfg(test)]
mod tests {
    use storefront_contract::ServiceId;
    use storefront_inspect::Member;

    use super::*;

    fn groups(pace: Option<Pace>) -> Groups {
        let partition =
            |number, committed: Option<i64>, end, member: Option<&str>| GroupPartition {
                topic: "payment-successful".into(),
                number,
                committed,
                end,
                lag: end - committed.unwrap_or_default(),
                member: member.map(str::to_owned),
            };
        let order = Group {
            name: "order-service".into(),
            service: Some(ServiceId::Order),
            state: "Missing".into(),
            members: Vec::new(),
            partitions: vec![partition(0, None, 7, None), partition(1, None, 3, None)],
            lag: 10,
        };
        let member = Member {
            id: "storefront-6f3c2b0e".into(),
            client: "storefront".into(),
            host: "/10.0.0.7".into(),
        };
        let email = Group {
            name: "email-service".into(),
            service: Some(ServiceId::Email),
            state: "Stable".into(),
            members: vec![member],
            partitions: vec![partition(0, Some(4), 7, Some("storefront-6f3c2b0e"))],
            lag: 3,
        };
        let shown = [order, email].into_iter();
        let shown = shown.map(|group| Shown { pace: pace.filter(|_| group.lag < 10), group });
        Groups { groups: shown.collect() }
    }

    #[test]
    fn a_backlog_is_seen_at_a_glance() {
        insta::assert_snapshot!(text(&groups(None), Terminal::default()));
    }

    #[test]
    fn the_time_to_drain_is_told_once_it_is_known() {
        let pace = Pace { handled: 1.5, arriving: 0.5, drained_in_s: Some(3.0) };
        insta::assert_snapshot!(text(&groups(Some(pace)), Terminal::default()));
    }
}
