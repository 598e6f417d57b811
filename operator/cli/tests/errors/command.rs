//! The command, used wrong or where something is missing. Each ends with an exit code that is no success.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use storefront_testkit::{FREE_PORTS, Ready};

use crate::{LIVE_KEY, PASSWORD, Said};

/// Nobody listens there.
const NOBODY: &str = "127.0.0.1:1";

struct Terminal {
    folder: tempfile::TempDir,
    /// The shop's addresses, and what to call them.
    shop: [(String, &'static str); 2],
    said: Vec<Said>,
}

impl Terminal {
    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn run(&mut self, arguments: &[&str]) {
        let output = Command::new(env!("CARGO_BIN_EXE_storefront"))
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .env("NO_COLOR", "1")
            .output()
            .unwrap();
        let done = format!("storefront {}", arguments.join(" "));
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{done} succeeded: {told}");
        let lines: Vec<&str> = told.lines().filter(|line| !is_log(line)).collect();
        let (done, told) = (self.tidy(&done), self.tidy(&lines.join("\n")));
        self.said.push(Said::new(done, told));
    }

    /// Without what differs from run to run: its folder, and the ports of the shop.
    fn tidy(&self, text: &str) -> String {
        let mut text = text.replace(&self.folder.path().display().to_string(), "DIR");
        for (address, name) in &self.shop {
            text = text.replace(address, name);
        }
        text
    }
}

/// A line of the log, not of the error.
fn is_log(line: &str) -> bool {
    line.starts_with(|c: char| c.is_ascii_digit() || c == '{')
}

pub fn messages(ready: &Ready) -> Vec<Said> {
    let shop = [(ready.kafka.clone(), "KAFKA"), (ready.gateway.clone(), "GATEWAY")];
    let mut terminal = Terminal { folder: tempfile::tempdir().unwrap(), shop, said: Vec::new() };
    dev(&mut terminal);
    tools(&mut terminal, ready);
    cluster(&mut terminal);
    terminal.said
}

fn dev(terminal: &mut Terminal) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::copy(root.join("examples/demo.yaml"), terminal.path("demo.yaml")).unwrap();
    fs::copy(root.join("operator/tests/cases/live.yaml"), terminal.path("live.yaml")).unwrap();
    fs::write(
        terminal.path("wrong.yaml"),
        fs::read(root.join("operator/tests/bad/choices.yaml")).unwrap(),
    )
    .unwrap();
    fs::write(terminal.path("file"), "").unwrap();
    terminal.run(&["deploy"]);
    terminal.run(&["validate"]);
    terminal.run(&["validate", "nowhere.yaml"]);
    terminal.run(&["validate", "wrong.yaml"]);
    terminal.run(&["dev", "nowhere.yaml"]);
    terminal.run(&["dev", "wrong.yaml"]);
    let database_url = format!("mysql://shop:{PASSWORD}@localhost/shop");
    let away = format!("postgres://shop:{PASSWORD}@{NOBODY}/shop");
    for wrong in [
        &["--data", "file"][..],
        &["--database", &database_url],
        &["--database", &away],
        &["--kafka", NOBODY],
        &["--without", "warehouse"],
        &["--smtp", "mail"],
        &["--stripe-api-base", "stripe"],
        &["--console-listen", "somewhere"],
    ] {
        terminal.run(&[&["dev", "demo.yaml"], wrong, &FREE_PORTS].concat());
    }
    fs::create_dir_all(terminal.path("secrets/stripe")).unwrap();
    terminal.run(&[&["dev", "live.yaml", "--secrets", "secrets"], &FREE_PORTS[..]].concat());
    fs::write(terminal.path("secrets/stripe/api-key"), "pk_test_8f3a9c").unwrap();
    terminal.run(&[&["dev", "live.yaml", "--secrets", "secrets"], &FREE_PORTS[..]].concat());
    for (key, content) in [("api-key", LIVE_KEY), ("webhook-secret", "whsec_8f3a9c")] {
        fs::write(terminal.path(&format!("secrets/stripe/{key}")), content).unwrap();
    }
    terminal.run(&[&["dev", "live.yaml", "--secrets", "secrets"], &FREE_PORTS[..]].concat());
}

fn tools(terminal: &mut Terminal, ready: &Ready) {
    let kafka = ["--kafka", &ready.kafka];
    let nobody = format!("http://{NOBODY}");
    for tool in [&["topics"][..], &["groups"], &["tail", "payment-successful"], &["dlq", "list"]] {
        terminal.run(&[tool, &["--kafka", NOBODY]].concat());
    }
    for wrong in [
        &["topics", "nonsense"][..],
        &["tail", "nonsense"],
        &["tail", "payment-successful", "--from", "yesterday"],
        &["orders", "12345"],
        &["dlq", "show", "nonsense"],
        &["dlq", "show", "payment-successful.order-service.dlq/0/99"],
        &["dlq", "replay", "payment-successful.order-service.dlq/0/99"],
        &["trace", "cs_test_nobody", "--gateway", &nobody],
    ] {
        terminal.run(&[wrong, &kafka].concat());
    }
    terminal.run(&["orders", "00000000-0000-4000-8000-000000000000", "--gateway", &ready.gateway]);
    terminal.run(&["purchase", "--item", "gramophone", "--gateway", &ready.gateway]);
    terminal.run(&["purchase", "--gateway", &nobody]);
}

fn cluster(terminal: &mut Terminal) {
    let kubeconfig = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "home", "cluster": {"server": format!("https://{NOBODY}")}}],
        "users": [{"name": "me", "user": {"token": PASSWORD}}],
        "contexts": [{"name": "home", "context": {"cluster": "home", "user": "me"}}],
    });
    fs::write(terminal.path("kubeconfig"), kubeconfig.to_string()).unwrap();
    fs::write(terminal.path("broken"), "clusters: 1").unwrap();
    let with = ["--kubeconfig", "kubeconfig"];
    terminal.run(&["status", "--kubeconfig", "nowhere"]);
    terminal.run(&["status", "--kubeconfig", "broken"]);
    terminal.run(&[&["status"], &with[..]].concat());
    terminal.run(&[&["status", "--context", "work"], &with[..]].concat());
    terminal.run(&[&["status", "--context", "home"], &with[..]].concat());
    terminal.run(&["status", "demo", "--all-namespaces"]);
    terminal.run(&["status", "demo", "--timeout", "5m"]);
    terminal.run(&["plan", "nowhere.yaml"]);
    terminal.run(&["plan", "wrong.yaml"]);
    terminal.run(&[&["plan", "demo.yaml", "--context", "home"], &with[..]].concat());
}
