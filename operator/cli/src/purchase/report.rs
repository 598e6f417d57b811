//! Purchases for people, and a summary of many. Pure.

use std::collections::BTreeMap;

use serde::Serialize;
use storefront_inspect::tame;

use super::{Purchase, Step};
use crate::{
    table::{Column, Table},
    terminal::{Terminal, Tone},
    words,
};

/// How long one step took over all purchases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    pub step: &'static str,
    pub count: usize,
    pub p50_ms: u64,
    pub p95_ms: u64,
    pub longest_ms: u64,
}

/// One step of one purchase.
pub fn step(step: &Step, terminal: Terminal) -> String {
    let took = format!("{:>6} ms", step.took_ms);
    let name = terminal.paint(Tone::Good, &format!("{:9}", step.name));
    format!("{name} {}  {}\n", terminal.paint(Tone::Dim, &took), tame(&step.said))
}

/// One purchase of several.
pub fn line(purchase: &Purchase, terminal: Terminal) -> String {
    let Purchase { user, order, error, took_ms, .. } = purchase;
    if let Some(error) = error {
        return format!("{user}  {}  {}\n", terminal.paint(Tone::Bad, "failed"), tame(error));
    }
    let order = order.as_deref().unwrap_or_default();
    format!(
        "{user}  {}  order {} in {took_ms} ms\n",
        terminal.paint(Tone::Good, "done"),
        tame(order)
    )
}

/// Steps in their order, then the whole of those purchases that came to their end.
pub fn summary(purchases: &[Purchase]) -> Vec<Summary> {
    const ORDER: [&str; 6] = ["catalog", "checkout", "pay", "verify", "order", "mail"];
    let mut times: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for purchase in purchases {
        for step in &purchase.steps {
            times.entry(step.name).or_default().push(step.took_ms);
        }
    }
    let mut summary: Vec<_> =
        ORDER.into_iter().filter_map(|step| Some(summarise(step, times.remove(step)?))).collect();
    let whole = purchases.iter().filter(|purchase| purchase.error.is_none());
    let whole: Vec<_> = whole.map(|purchase| purchase.took_ms).collect();
    if !whole.is_empty() {
        summary.push(summarise("all", whole));
    }
    summary
}

fn summarise(step: &'static str, mut times: Vec<u64>) -> Summary {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    Summary { step, count: times.len(), p50_ms: at(50), p95_ms: at(95), longest_ms: at(100) }
}

/// The summary as a table.
pub fn text(summary: &[Summary], count: usize, failed: usize, took_ms: u64) -> String {
    let mut table = Table::new(&[
        Column::text("STEP"),
        Column::number("DONE"),
        Column::number("P50"),
        Column::number("P95"),
        Column::number("LONGEST"),
    ]);
    let ms = |ms: u64| format!("{ms} ms").into();
    for it in summary {
        table.row([
            it.step.into(),
            it.count.to_string().into(),
            ms(it.p50_ms),
            ms(it.p95_ms),
            ms(it.longest_ms),
        ]);
    }
    let seconds = std::time::Duration::from_millis(took_ms).as_secs_f64();
    format!(
        "\n{}\n{} in {}, {failed} failed\n",
        table.text(Terminal::default()),
        words::count(count, "purchase"),
        words::span(seconds)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn purchase(number: u64, error: Option<&str>) -> Purchase {
        let step = |name, took_ms| Step { name, took_ms, said: "said".into() };
        Purchase {
            user: format!("terminal-{number}"),
            order: Some(format!("o-{number}")),
            steps: vec![step("checkout", 10 * number), step("catalog", number)],
            error: error.map(str::to_owned),
            took_ms: 11 * number,
            ..Purchase::default()
        }
    }

    #[test]
    fn many_purchases_are_summarised() {
        let mut purchases: Vec<_> = (1..=100).map(|number| purchase(number, None)).collect();
        purchases.push(purchase(500, Some("order: not within 60 s")));
        let terminal = Terminal::default();
        let lines = format!(
            "{}{}{}",
            step(&purchases[0].steps[0], terminal),
            line(&purchases[0], terminal),
            line(&purchases[100], terminal)
        );
        let text = text(&summary(&purchases), purchases.len(), 1, 61_000);
        insta::assert_snapshot!(format!("{lines}{text}"));
    }

    #[test]
    fn nothing_that_came_to_its_end_has_no_whole() {
        let steps: Vec<_> =
            summary(&[purchase(1, Some("x"))]).into_iter().map(|it| it.step).collect();
        assert_eq!(steps, ["catalog", "checkout"]);
    }
}
