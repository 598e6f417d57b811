//! Every message that people meet when something is wrong, in one list: made by doing it wrong. The snapshot
//! is there to be read from top to bottom; the checks hold the form that each must have.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed expectation fails the test")]

mod command;
mod events;
mod http;
mod manifest;
mod settings;

use std::fmt::Write as _;

use storefront_testkit::{Dev, DevOptions};

/// What was done wrong, and what was said about it.
pub struct Said {
    pub done: String,
    pub told: String,
}

impl Said {
    pub fn new(done: impl Into<String>, told: impl Into<String>) -> Self {
        Self { done: done.into(), told: told.into() }
    }
}

/// Secrets that the cases use: whoever reads a message must not learn them.
pub const PASSWORD: &str = "hunter2-is-no-placeholder";
pub const LIVE_KEY: &str = "sk_live_51NobodyHasThisKey";

/// What a message asks its reader to do, one way or another. A message without any of these only
/// complains.
const REMEDIES: &[&str] = &[
    "write",
    "must",
    "choose",
    "set ",
    "use ",
    "check ",
    "add ",
    "send ",
    "ask ",
    "keep ",
    "lower",
    "did you mean",
    "belongs under",
    "known here are",
    "at most",
    "try ",
    "buy",
    "start ",
    "build",
    "go together",
    "mend",
    "allowed",
    "this shop has",
    "put ",
    "look ",
    "see ",
    "give ",
    "create",
    "possible values",
    "for more information",
    "can be",
    "sells",
    "remove",
    "sign",
    "is missing: ",
    "needs ",
    "lists ",
    "there are ",
    "expected ',' or '}'",
];

/// Words of a program that talks to itself.
const DEBRIS: &[&str] =
    &["Some(", "None)", "Err(", "Error {", "panicked", "unwrap", "0x", "\u{1b}"];

/// Everything that is wrong with the messages of a part.
fn faults(part: &str, said: &[Said], addresses: &[String]) -> Vec<String> {
    let mut faults = Vec::new();
    for Said { done, told } in said {
        let mut fault = |what: &str| faults.push(format!("{part}: {done}: {what}:\n    {told}"));
        if told.trim().is_empty() {
            fault("nothing is said");
        }
        if [PASSWORD, LIVE_KEY].iter().any(|secret| told.contains(secret)) {
            fault("a secret is told");
        }
        if addresses.iter().any(|address| told.contains(address)) {
            fault("the address of a service is told");
        }
        if DEBRIS.iter().any(|debris| told.contains(debris)) {
            fault("a program talks to itself");
        }
        let lower = told.to_lowercase();
        // What to do with a dead letter is said where they are shown; it says what is wrong, and where.
        let helps = match part {
            "Dead letters" => told.contains('`') || told.contains("value"),
            _ => REMEDIES.iter().any(|remedy| lower.contains(remedy)),
        };
        if !helps {
            fault("it does not say what to do");
        }
    }
    faults
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_says_what_is_wrong_where_and_what_to_do() {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/demo.yaml");
    let dev = Dev::start(DevOptions::new(manifest)).await.unwrap();
    let ready = dev.ready().clone();
    // Where the services are is nobody's business but the gateway's.
    let mut addresses: Vec<String> = ready.services.values().filter_map(port).collect();
    addresses.push(ready.sandbox.rsplit_once(':').unwrap().1.to_owned());
    let parts = [
        ("Manifest", manifest::messages()),
        ("Settings", settings::messages()),
        ("HTTP", http::messages(&ready.gateway).await),
        ("Dead letters", events::messages(&ready.kafka).await),
        ("Command", command::messages(&ready)),
    ];
    let mut catalog = String::new();
    let mut wrong = Vec::new();
    for (part, said) in &parts {
        wrong.extend(faults(part, said, if *part == "HTTP" { &addresses } else { &[] }));
        writeln!(catalog, "# {part}\n").unwrap();
        for Said { done, told } in said {
            let told = told.trim().replace('\n', "\n    ");
            writeln!(catalog, "{done}\n    {told}").unwrap();
        }
        catalog.push('\n');
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    insta::assert_snapshot!("catalog", catalog);
}

/// The port in what a service tells of itself.
fn port(service: &serde_json::Value) -> Option<String> {
    let text = service.as_str().map_or_else(|| service.to_string(), str::to_owned);
    let digits = text.rsplit_once(':')?.1;
    Some(digits.chars().take_while(char::is_ascii_digit).collect())
}
