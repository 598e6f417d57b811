//! The user's programs as child processes.

use std::{ffi::OsStr, path::Path, process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
};

/// No command takes longer: `kubectl wait` has its own, shorter limits.
const LIMIT: Duration = Duration::from_mins(5);
const FORWARD_LIMIT: Duration = Duration::from_secs(30);

pub(crate) const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Runs a program in the repository's root; what it printed, or an error with what it complained about.
pub(crate) async fn output<S: AsRef<OsStr>>(
    program: &str,
    words: &[S],
    input: &str,
) -> Result<String> {
    let shown = || {
        let words: Vec<_> = words.iter().map(|word| word.as_ref().to_string_lossy()).collect();
        format!("{program} {}", words.join(" "))
    };
    let mut child = Command::new(program)
        .args(words)
        .current_dir(ROOT)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("could not start {program}"))?;
    let mut stdin = child.stdin.take().context("no input")?;
    stdin.write_all(input.as_bytes()).await?;
    drop(stdin);
    let output = tokio::time::timeout(LIMIT, child.wait_with_output())
        .await
        .with_context(|| format!("{} does not end", shown()))??;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {}", shown(), complaint.trim());
    Ok(String::from_utf8(output.stdout)?)
}

/// `kubectl` with these words, separated by spaces.
pub async fn kubectl(words: &str) -> Result<String> {
    output("kubectl", &words.split_whitespace().collect::<Vec<_>>(), "").await
}

/// `kubectl` with something to read.
pub async fn kubectl_with(words: &str, input: &str) -> Result<String> {
    output("kubectl", &words.split_whitespace().collect::<Vec<_>>(), input).await
}

/// `kubectl` with an answer in JSON.
pub async fn kubectl_json(words: &str) -> Result<Value> {
    Ok(serde_json::from_str(&kubectl(&format!("{words} --output=json")).await?)?)
}

/// `helm` with these words.
pub async fn helm<S: AsRef<OsStr>>(words: &[S]) -> Result<String> {
    output("helm", words, "").await
}

/// A script of `tests/browser` with one argument.
pub async fn node(script: &str, argument: &Value) -> Result<String> {
    let script = Path::new("tests/browser").join(script);
    output("node", &[script.into_os_string(), argument.to_string().into()], "").await
}

/// A port of a Service, on this machine, for as long as it is held. It ends with the pod that it leads to.
pub struct Forward {
    pub address: String,
    _child: Child,
}

impl Forward {
    pub async fn open(namespace: &str, service: &str, port: u16) -> Result<Self> {
        let mut child = Command::new("kubectl")
            .args(["--namespace", namespace, "port-forward", &format!("service/{service}")])
            .arg(format!(":{port}"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().context("no output")?;
        let mut line = String::new();
        let mut reader = BufReader::new(stdout);
        tokio::time::timeout(FORWARD_LIMIT, reader.read_line(&mut line)).await??;
        // `Forwarding from 127.0.0.1:40123 -> 8080`
        let address = line.split_whitespace().find(|word| word.starts_with("127.0.0.1:"));
        let address =
            address.with_context(|| format!("no way to {service}:{port}: {line}"))?.to_owned();
        // It writes a line for each connection, to nobody.
        tokio::spawn(async move { tokio::io::copy(&mut reader, &mut tokio::io::sink()).await });
        Ok(Self { address, _child: child })
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}
