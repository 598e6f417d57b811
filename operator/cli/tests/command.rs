//! The built command as people use it: what it prints, where, and with which exit code.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed expectation fails the test")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write as _},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use storefront_testkit::FREE_PORTS;
use tempfile::TempDir;

/// A stop that takes longer is no clean one.
const STOP_LIMIT: Duration = Duration::from_secs(20);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn example(name: &str) -> String {
    root().join("examples").join(name).display().to_string()
}

fn storefront(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_storefront"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    storefront(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `dev` that ends by itself: standard error and exit code.
fn refused(arguments: &[&str]) -> (String, i32) {
    let output = run(&[&["dev"], arguments, &FREE_PORTS].concat());
    assert_eq!(text(&output.stdout), "", "only the news that it is ready goes there");
    (text(&output.stderr), output.status.code().unwrap())
}

/// A `dev` that is ready; killed when a test fails.
struct Shop {
    child: Child,
    /// What it printed until it was ready.
    said: String,
    rest: BufReader<std::process::ChildStdout>,
}

impl Shop {
    /// Waits for a line of standard output that `is_last` takes.
    fn start(arguments: &[&str], is_last: fn(&str) -> bool) -> Self {
        let mut child = storefront(&[&["dev"], arguments].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut rest = BufReader::new(child.stdout.take().unwrap());
        let mut said = String::new();
        let mut line = String::new();
        while !is_last(&line) {
            line.clear();
            if rest.read_line(&mut line).unwrap() == 0 {
                let mut log = String::new();
                child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
                panic!("it ended before it was ready:\n{log}");
            }
            said.push_str(&line);
        }
        // Nobody reads its log: it must not stop for that.
        let mut log = child.stderr.take().unwrap();
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self { child, said, rest }
    }

    /// Ctrl-C; the exit code, and what it printed after it was ready.
    fn interrupt(mut self) -> (i32, String) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        let started = Instant::now();
        let mut after = String::new();
        self.rest.read_to_string(&mut after).unwrap();
        let code = self.child.wait().unwrap().code().unwrap();
        assert!(started.elapsed() < STOP_LIMIT, "{:?}", started.elapsed());
        (code, after)
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn people_get_a_table_when_all_is_ready_and_ctrl_c_ends_it() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let manifest = example("minimal.yaml");
    let arguments = [&[manifest.as_str(), "--data", data], &FREE_PORTS[..]].concat();
    let shop = Shop::start(&arguments, |line| line.starts_with("started in"));
    assert!(shop.said.starts_with("ready  "), "{}", shop.said);
    for word in ["inbox", "Kafka", "gateway", "payment", "order", "email", "analytics"] {
        assert!(shop.said.contains(word), "{word}:\n{}", shop.said);
    }
    let (log, code) = refused(&[&manifest, "--data", data]);
    assert!(code == 1 && log.contains("another storefront dev (process"), "{log}");
    assert_eq!(shop.interrupt(), (0, String::new()));
    // Everything is free again, and what was kept is taken up.
    let shop = Shop::start(&arguments, |line| line.starts_with("started in"));
    assert_eq!(shop.interrupt().0, 0);
}

#[test]
fn programs_get_one_json_object() {
    let manifest = example("demo.yaml");
    let arguments = [
        &[manifest.as_str(), "--ephemeral", "--output", "json", "--without", "order"],
        &FREE_PORTS[..],
    ]
    .concat();
    let shop = Shop::start(&arguments, |line| line.ends_with("}\n"));
    let ready: serde_json::Value = serde_json::from_str(&shop.said).unwrap();
    assert_eq!(ready["ready"], true);
    for name in ["gateway", "sandbox", "inbox", "console"] {
        let url = ready[name].as_str().unwrap();
        assert!(url.starts_with("http://127.0.0.1:") && !url.ends_with(":0"), "{name}: {url}");
    }
    let services: Vec<_> = ready["services"].as_object().unwrap().keys().collect();
    assert_eq!(services, ["analytics", "email", "gateway", "payment"]);
    let kafka = ready["kafka"].as_str().unwrap();
    let groups = run(&["groups", "--manifest", &manifest, "--kafka", kafka, "--output", "json"]);
    let groups: serde_json::Value = serde_json::from_slice(&groups.stdout).unwrap();
    assert_eq!(groups["groups"][0]["group"], "order-service");
    assert_eq!(groups["groups"][0]["members"].as_array().unwrap().len(), 0);
    assert_eq!(groups["groups"][0]["partitions"].as_array().unwrap().len(), 3);
    assert_eq!(shop.interrupt(), (0, String::new()), "one object, and nothing after it");
}

#[test]
fn a_port_in_use_names_the_flag_that_changes_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let manifest = example("minimal.yaml");
    for flag in FREE_PORTS.iter().step_by(2) {
        let others = FREE_PORTS.chunks(2).filter(|pair| pair[0] != *flag).flatten();
        let mut arguments = vec!["dev", &manifest, "--ephemeral", flag, &taken];
        arguments.extend(others);
        let output = run(&arguments);
        let log = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{log}");
        assert!(log.contains(&taken) && log.contains(flag), "{log}");
    }
}

#[test]
fn a_live_key_is_refused() {
    let folder = TempDir::new().unwrap();
    let manifest = folder.path().join("shop.yaml");
    fs::write(
        &manifest,
        "apiVersion: storefront.dev/v1alpha1
kind: Storefront
metadata: {name: live}
spec:
  currency: INR
  catalog: {products: [{id: a, name: A, price: 100}]}
  payment: {stripe: {secretRef: {name: stripe}}}
",
    )
    .unwrap();
    fs::create_dir(folder.path().join("stripe")).unwrap();
    fs::write(folder.path().join("stripe/api-key"), "sk_live_verysecret\n").unwrap();
    let secrets = folder.path().to_str().unwrap();
    let arguments = [manifest.to_str().unwrap(), "--ephemeral", "--secrets", secrets];
    let (log, code) = refused(&arguments);
    assert!(code == 1 && log.contains("stripe/api-key holds a live Stripe key"), "{log}");
    assert!(!log.contains("verysecret"), "{log}");
}

#[test]
fn wrong_manifests_and_wrong_usage_are_told_apart() {
    let wrong = root().join("operator/tests/bad/bad-catalog.yaml").display().to_string();
    let (log, code) = refused(&[&wrong, "--ephemeral"]);
    assert!(code == 1 && log.contains("bad-catalog.yaml:5: spec.currency: \"inr\""), "{log}");
    let output = run(&["validate", &wrong]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(run(&["dev", &wrong, "--without", "orders"]).status.code(), Some(2));
    assert_eq!(run(&["dev"]).status.code(), Some(2));
    let output = run(&["validate", &example("demo.yaml")]);
    assert!(output.status.success() && text(&output.stdout).contains("demo is right"));
}

#[test]
fn the_definition_is_printed() {
    let expected = fs::read_to_string(root().join("crds/storefront.yaml")).unwrap();
    assert_eq!(text(&run(&["crds"]).stdout), expected);
}

#[test]
fn what_a_cluster_would_run_is_printed() {
    let output = run(&["render", &example("demo.yaml"), "--namespace", "shops"]);
    let stream = text(&output.stdout);
    let documents = stream.matches("\n---\n").count();
    assert!(output.status.success() && documents > 30, "{documents} documents");
    for expected in ["kind: Deployment", "name: demo-order", "namespace: shops", "GENERATED"] {
        assert!(stream.contains(expected), "{expected}");
    }
    assert!(!stream.contains("kind: List"));
}

/// A shop that gives these answers and then is gone; what it was asked, line by line.
fn shop(answers: &'static [(&str, &str)]) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let gateway = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", gateway.local_addr().unwrap());
    let answer = move |(status, body): &(&str, &str)| {
        let (mut stream, _) = gateway.accept().unwrap();
        let mut line = String::new();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        reader.read_line(&mut line).unwrap();
        let head = "Connection: close\r\nContent-Type: application/problem+json";
        write!(
            stream,
            "HTTP/1.1 {status}\r\n{head}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        line
    };
    (url, std::thread::spawn(move || answers.iter().map(answer).collect()))
}

const AT_STRIPE: (&str, &str) =
    ("404 Not Found", r#"{"title": "Not Found", "detail": "there is nothing at /sandbox"}"#);

#[test]
fn nothing_is_bought_where_there_is_no_stand_in() {
    // The listener is gone after one request: a second one would be told of, too.
    let (url, asked) = shop(&[AT_STRIPE]);
    let output = run(&["purchase", "--gateway", &url, "--count", "3"]);
    assert_eq!(asked.join().unwrap(), ["GET /sandbox/checkout/none HTTP/1.1\r\n"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output.stderr),
        "error: the shop takes payments at Stripe itself: this works only in sandbox mode\n"
    );
}

#[test]
fn a_purchase_waits_for_a_shop_that_is_not_there_yet() {
    const STARTING: (&str, &str) = ("503 Service Unavailable", r#"{"title": "Starting"}"#);
    let (url, asked) = shop(&[STARTING, ("200 OK", "{}"), AT_STRIPE]);
    run(&["purchase", "--gateway", &url, "--wait", "20s"]);
    let catalog = "GET /catalog HTTP/1.1\r\n";
    let asked = asked.join().unwrap();
    assert_eq!(asked, [catalog, catalog, "GET /sandbox/checkout/none HTTP/1.1\r\n"]);

    let (url, asked) = shop(&[STARTING]);
    let output = run(&["purchase", "--gateway", &url, "--wait", "1ms"]);
    assert_eq!(asked.join().unwrap(), [catalog]);
    let said = text(&output.stderr);
    assert!(said.contains("(--wait)") && said.contains("503"), "{said}");
}
