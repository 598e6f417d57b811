//! The broker's program: killed, restarted, told to stop.

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use crate::client::Client;

struct Program {
    child: Child,
    stdout: BufReader<ChildStdout>,
    bootstrap: String,
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_storefront-broker"));
    command.args(arguments).stdout(Stdio::piped());
    command
}

impl Program {
    fn start(data: &Path) -> Self {
        let mut child = command(&["127.0.0.1:0", data.to_str().unwrap()]).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let bootstrap = line.trim().strip_prefix("ready ").expect("the address").to_owned();
        Self { child, stdout, bootstrap }
    }

    /// What a person's `kill -SIGNAL` does, and how the program ended.
    fn signal(mut self, signal: &str) -> (Option<i32>, String) {
        let kill = ["-s", signal, &self.child.id().to_string()].map(ToOwned::to_owned);
        assert!(Command::new("kill").args(kill).status().unwrap().success());
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn records_settings_and_offsets_survive_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let first = Program::start(folder.path());
    let client = Client::new(&first.bootstrap);
    client.create("orders", &[("retention.ms", "123456000")]).await.unwrap();
    client.send("orders", &[b"a", b"b", b"c"]).await.unwrap();
    assert_eq!(client.consume("order-service", "orders", 2), [b"a", b"b"]);
    drop(first); // SIGKILL

    let second = Program::start(folder.path());
    let client = Client::new(&second.bootstrap);
    assert_eq!(client.read("orders"), [b"a", b"b", b"c"]);
    assert_eq!(client.setting("orders", "retention.ms").await.as_deref(), Some("123456000"));
    client.send("orders", &[b"d"]).await.unwrap();
    assert_eq!(client.consume("order-service", "orders", 2), [b"c", b"d"]);
}

/// Go's runtime lives in the process too and must leave these signals to the program.
#[test]
fn the_program_handles_its_own_signals() {
    for signal in ["TERM", "INT"] {
        let folder = tempfile::tempdir().unwrap();
        let (code, said) = Program::start(folder.path()).signal(signal);
        assert_eq!((code, said.as_str()), (Some(0), "stopped\n"), "SIG{signal}");
    }
}

#[test]
fn a_port_in_use_ends_it_with_the_address_and_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let first = Program::start(folder.path());
    let output = command(&[&first.bootstrap]).stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains(&first.bootstrap) && said.contains("in use"), "{said}");
}
