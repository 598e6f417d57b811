//! What docs/ says of topics and HTTP, read by the tools of those formats and held against a running shop.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use storefront_pipeline_tests::{Shop, ok};
use tokio::process::Command;

const LIMIT: Duration = Duration::from_secs(180);
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
/// What Schemathesis tries follows from it.
const SEED: &str = "1";
/// What AsyncAPI's parser calls mere information, such as that there is a newer version.
const INFORMATION: u64 = 2;

fn document(name: &str) -> Result<String> {
    Ok(fs::read_to_string(Path::new(ROOT).join("docs").join(name))?)
}

/// Runs a program in the folder of the readers; whether it succeeded, and what it said.
async fn run(program: &str, arguments: &[&str]) -> Result<(bool, String)> {
    let mut command = Command::new(program);
    command.current_dir(Path::new(ROOT).join("tests/documents")).args(arguments).kill_on_drop(true);
    let output = tokio::time::timeout(LIMIT, command.output()).await?;
    let output = output.with_context(|| format!("{program} is missing: run `make tools`"))?;
    let text = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
}

/// What the reference parser finds wrong.
async fn asyncapi_faults(file: &Path) -> Result<Vec<Value>> {
    let (_, said) = run("node", &["asyncapi.mjs", &file.to_string_lossy()]).await?;
    let lines = said.lines().map(|line| serde_json::from_str(line).with_context(|| said.clone()));
    let found: Result<Vec<Value>> = lines.collect();
    Ok(found?.into_iter().filter(|d| d["severity"].as_u64() < Some(INFORMATION)).collect())
}

#[tokio::test]
async fn the_asyncapi_document_is_one() -> Result<()> {
    let faults = asyncapi_faults(&Path::new(ROOT).join("docs/asyncapi.yaml")).await?;
    ensure!(faults.is_empty(), "{faults:#?}");

    // Nothing is shouted: the parser does look.
    let broken = document("asyncapi.yaml")?.replacen("action: send", "action: shout", 1);
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("asyncapi.yaml");
    fs::write(&file, broken)?;
    ensure!(!asyncapi_faults(&file).await?.is_empty(), "nothing was found");
    Ok(())
}

/// Name and labels of every sample that a service gives: `("storefront_parked", [])`.
fn samples(scraped: &str) -> impl Iterator<Item = (&str, Vec<&str>)> {
    scraped.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let (name, rest) = line.split_once(['{', ' ']).unwrap_or((line, ""));
        let labels = rest.split_once('}').map_or("", |(labels, _)| labels);
        (name, labels.split("\",").filter_map(|label| Some(label.split_once('=')?.0)).collect())
    })
}

#[tokio::test]
async fn every_metric_is_documented_with_its_labels() -> Result<()> {
    let documented = document("metrics.md")?;
    let row = |name: &str| documented.lines().find(|line| line.starts_with(&format!("| `{name}`")));
    let shop = Shop::start(&[]).await?;
    let session = shop.checkout("ada", "cart").await?;
    ok(&shop.act(&session, "pay").await?)?;
    shop.verify(&session).await?;
    let mut seen = 0;
    for (service, addresses) in &shop.ready.services {
        let admin = addresses["admin"].as_str().context("no admin port")?;
        let scraped = shop.http.get(format!("{admin}/metrics")).await?.text();
        for (name, labels) in samples(&scraped) {
            let bare = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let row = row(name).or_else(|| row(bare?));
            let row =
                row.with_context(|| format!("{service}: {name} is not in docs/metrics.md"))?;
            for label in labels.into_iter().filter(|label| *label != "le") {
                ensure!(
                    row.contains(&format!("`{label}`: ")),
                    "{service}: {name} by {label}: {row}"
                );
            }
            seen += 1;
        }
    }
    ensure!(seen > 50, "only {seen} samples");
    Ok(())
}

/// Tries the operations of a tag at an address.
async fn schemathesis(file: &str, tag: &str, url: &str, more: &[&str]) -> Result<(bool, String)> {
    let arguments = ["--config-file", "schemathesis.toml", "run", file, "--url", url];
    let chosen = ["--include-tag", tag, "--seed", SEED, "--no-color"];
    run("schemathesis", &[&arguments[..], &chosen, more].concat()).await
}

#[tokio::test]
async fn a_running_shop_does_what_the_openapi_document_says() -> Result<()> {
    let shop = Shop::start(&[]).await?;
    let alone = ["--phases", "examples,coverage,fuzzing"];
    let own = |service: &str, port: &str| {
        let address = shop.ready.services[service][port].as_str();
        address.map(ToOwned::to_owned).with_context(|| format!("{service} has no {port}"))
    };
    let runs: [(&str, String, &[&str]); 5] = [
        ("shop", shop.ready.gateway.clone(), &[]),
        ("email", own("email", "http")?, &alone),
        ("analytics", own("analytics", "http")?, &alone),
        ("admin", own("order", "admin")?, &alone),
        // Each question that is well formed asks Stripe, ten times a second at most.
        ("audit", own("payment", "admin")?, &["--phases", "examples,coverage"]),
    ];
    for (tag, url, phases) in &runs {
        let (found_nothing, said) =
            schemathesis("../../docs/openapi.yaml", tag, url, phases).await?;
        ensure!(found_nothing, "{said}");
    }

    // A document that does not know of a 404 is not what the shop does: Schemathesis does look.
    let untrue = document("openapi.yaml")?.replace("'404':", "'410':");
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("openapi.yaml");
    fs::write(&file, untrue)?;
    let (found_nothing, said) =
        schemathesis(&file.to_string_lossy(), "shop", &shop.ready.gateway, &alone).await?;
    ensure!(!found_nothing && said.contains("Undocumented status code"), "{said}");
    Ok(())
}
