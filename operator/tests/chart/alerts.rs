//! Alerts and dashboards: Prometheus' own tool reads them and runs what `alerts.yaml` says, and each number
//! that they ask for is one that the programs give.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use serde_json::{Value, json};
use storefront_operator::controller::metrics::Metrics;

use crate::{CHART, renders};

/// Labels that come by the way of collecting.
const COLLECTED: &[&str] = &["component", "namespace", "pod", "shop"];
/// What Prometheus and Grafana fill in.
const FILLED_IN: &[(&str, &str)] =
    &[("$__rate_interval", "5m"), ("$__range", "3h"), ("$namespace", ".*"), ("$shop", ".*")];

fn document(name: &str) -> String {
    fs::read_to_string(format!("{CHART}/../../docs/{name}")).unwrap()
}

/// Groups of rules with every alert.
async fn groups() -> Value {
    let words = ["--set", "metrics.prometheusRule.enabled=true"];
    let rendered = renders::template(&words).await;
    let objects = renders::objects(&rendered);
    let rule = objects.into_iter().find(|object| object["kind"] == "PrometheusRule");
    rule.unwrap()["spec"].take()
}

async fn alerts() -> Vec<Value> {
    let groups = groups().await;
    let groups = groups["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

/// Every query of every dashboard.
fn queries() -> Vec<String> {
    let mut queries = Vec::new();
    for file in fs::read_dir(format!("{CHART}/files/dashboards")).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        let dashboard: Value = serde_json::from_str(&text).unwrap();
        for panel in dashboard["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let mut query = target["expr"].as_str().unwrap().to_owned();
                for (variable, value) in FILLED_IN {
                    query = query.replace(variable, value);
                }
                queries.push(query);
            }
        }
    }
    queries
}

fn promtool(folder: &Path, words: &[&str]) {
    let output = Command::new("promtool").args(words).current_dir(folder).output();
    let output = output.expect("tests of the alerts need promtool (Debian: prometheus)");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[tokio::test]
async fn each_alert_tells_its_trouble_and_a_healthy_shop_is_silent() {
    let folder = tempfile::tempdir().unwrap();
    let rules = serde_yaml::to_string(&groups().await).unwrap();
    fs::write(folder.path().join("rules.yaml"), rules).unwrap();
    let tests = include_str!("alerts.yaml");
    fs::write(folder.path().join("alerts.yaml"), tests).unwrap();
    promtool(folder.path(), &["check", "rules", "rules.yaml"]);
    promtool(folder.path(), &["test", "rules", "alerts.yaml"]);
    for alert in alerts().await {
        let name = alert["alert"].as_str().unwrap();
        assert!(tests.contains(name), "alerts.yaml does not try {name}");
    }
}

#[test]
fn prometheus_can_read_every_query_of_the_dashboards() {
    let folder = tempfile::tempdir().unwrap();
    let rule = |(number, query)| json!({"record": format!("query:{number}"), "expr": query});
    let rules: Vec<_> = queries().into_iter().enumerate().map(rule).collect();
    assert!(rules.len() > 25, "{}", rules.len());
    let groups = json!({"groups": [{"name": "dashboards", "rules": rules}]});
    fs::write(folder.path().join("rules.yaml"), groups.to_string()).unwrap();
    promtool(folder.path(), &["check", "rules", "rules.yaml"]);
}

/// Metrics by their names in queries, each with its labels: those of the services from their document, the
/// operator's own from itself.
fn known() -> Vec<(String, BTreeSet<String>)> {
    let mut known = Vec::new();
    for row in document("metrics.md").lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = row.split(" | ").collect();
        let name = cells[0].trim_matches(['|', ' ', '`']);
        let labels = cells[2].split("<br>").filter_map(|label| label.split('`').nth(1));
        known.extend(samples(name, cells[1], &labels.map(str::to_owned).collect()));
    }
    let metrics = Metrics::default();
    metrics.write("Deployment", "apply");
    let shop = ("shops".to_owned(), "demo".to_owned());
    for error in [None, Some("ApplyFailed")] {
        metrics.reconciled(&shop, std::time::Instant::now(), error, false);
    }
    metrics.ready(&shop, true);
    let text = metrics.text();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, type_) = line.split_once(' ').unwrap();
        let is_own = |line: &&str| line.starts_with(name) && line.contains('{');
        let sample = text.lines().find(is_own).unwrap_or_default();
        let labels = sample.split_once('{').map_or("", |(_, rest)| rest).split_once('}');
        let labels = labels.map_or("", |(labels, _)| labels).split(',');
        let labels = labels.filter_map(|label| Some(label.split_once('=')?.0.to_owned()));
        let name = match type_ {
            "counter" => format!("{name}_total"),
            "info" => format!("{name}_info"),
            _ => name.to_owned(),
        };
        known.extend(samples(&name, type_, &labels.collect()));
    }
    known
}

fn samples(name: &str, type_: &str, labels: &BTreeSet<String>) -> Vec<(String, BTreeSet<String>)> {
    match type_ {
        "histogram" => ["_bucket", "_sum", "_count"]
            .iter()
            .map(|end| {
                let mut labels = labels.clone();
                labels.insert("le".to_owned());
                (format!("{name}{end}"), labels)
            })
            .collect(),
        _ => vec![(name.to_owned(), labels.clone())],
    }
}

/// The metrics of a query, each with the names of labels that it is chosen by.
fn used(query: &str) -> Vec<(String, BTreeSet<String>)> {
    let mut used = Vec::new();
    let mut rest = query;
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphabetic()) {
        let end = rest[start..].find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let end = end.map_or(rest.len(), |end| start + end);
        let word = &rest[start..end];
        rest = &rest[end..];
        if !word.starts_with("storefront_") && !word.starts_with("http_") {
            continue;
        }
        let chosen = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let chosen = chosen.map_or("", |(chosen, _)| chosen).split(',');
        let labels = chosen.filter_map(|label| label.split(['=', '!']).next());
        let labels = labels.map(|label| label.trim().to_owned()).filter(|label| !label.is_empty());
        used.push((word.to_owned(), labels.collect()));
    }
    used
}

#[tokio::test]
async fn what_is_asked_for_is_what_the_programs_tell() {
    let known = known();
    let mut queries = queries();
    queries.extend(alerts().await.iter().map(|alert| alert["expr"].as_str().unwrap().to_owned()));
    let mut asked = BTreeSet::new();
    for query in &queries {
        let used = used(query);
        assert!(!used.is_empty(), "{query} asks for nothing of ours");
        for (name, chosen) in used {
            let found = known.iter().find(|(known, _)| *known == name);
            assert!(found.is_some(), "nothing tells {name}: {query}");
            let labels = &found.unwrap().1;
            for label in chosen {
                let is_known = labels.contains(&label) || COLLECTED.contains(&label.as_str());
                assert!(is_known, "{name} has no label {label}: {query}");
            }
            asked.insert(name);
        }
    }
    // And the other way round: what is told can be seen somewhere.
    for (name, _) in known {
        let part_of_another = name.ends_with("_sum") || name.ends_with("_count");
        assert!(asked.contains(&name) || part_of_another, "no dashboard shows {name}");
    }
}

#[tokio::test]
async fn each_alert_has_its_section_and_each_section_its_alert() {
    let text = document("alerts.md");
    let sections: BTreeSet<_> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let alerts = alerts().await;
    let names: BTreeSet<_> = alerts.iter().map(|alert| alert["alert"].as_str().unwrap()).collect();
    assert_eq!(sections, names);
}
