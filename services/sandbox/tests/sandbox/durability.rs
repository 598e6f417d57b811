//! The ledger through kill -9: whatever was answered is there afterwards.

use std::{
    collections::BTreeSet,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use storefront_sandbox::Sandbox;
use storefront_testkit::{Http, eventually, free_ports};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use crate::client::{CART, Client};

struct Program {
    child: Child,
    client: Client,
    smtp: String,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn start(data: &Path) -> Program {
    let [stripe, inbox, smtp] = free_ports().unwrap().map(|port| format!("127.0.0.1:{port}"));
    let child = Command::new(env!("CARGO_BIN_EXE_storefront-sandbox"))
        .env_clear()
        .envs([("SANDBOX_STRIPE_LISTEN", &stripe), ("SANDBOX_INBOX_LISTEN", &inbox)])
        .envs([("SANDBOX_SMTP_LISTEN", &smtp)])
        .env("SANDBOX_DATA", data)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let client = Client { base: format!("http://{stripe}"), http: Http::default() };
    let program = Program { child, client, smtp };
    eventually(Duration::from_secs(20), "the sandbox is up", async || {
        program.client.http.get(format!("http://{stripe}/readyz")).await.is_ok()
    })
    .await;
    program
}

/// Sends one mail and says whether it was accepted.
async fn mail(address: &str, number: usize) -> Option<()> {
    let stream = TcpStream::connect(address).await.ok()?;
    let (read, mut write) = stream.into_split();
    let input = format!(
        "EHLO t\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\nMessage-ID: <{number}@t>\r\n\r\nx\r\n.\r\n"
    );
    write.write_all(input.as_bytes()).await.ok()?;
    let mut lines = BufReader::new(read).lines();
    while let Some(line) = lines.next_line().await.ok()? {
        if line.contains("kept as") {
            return Some(());
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_survives_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    let mut program = start(directory.path()).await;
    let (sessions, paid, mails) = (
        Arc::new(Mutex::new(BTreeSet::new())),
        Arc::new(Mutex::new(BTreeSet::new())),
        Arc::new(Mutex::new(BTreeSet::new())),
    );
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..16_usize {
        let client = Client { base: program.client.base.clone(), http: Http::default() };
        let smtp = program.smtp.clone();
        let (sessions, paid, mails) = (sessions.clone(), paid.clone(), mails.clone());
        tasks.spawn(async move {
            for round in 0..1_000_usize {
                let number = worker * 1_000 + round;
                if mail(&smtp, number).await.is_some() {
                    mails.lock().unwrap().insert(format!("{number}@t"));
                }
                let url = format!("{}/v1/checkout/sessions", client.base);
                let body = url::form_urlencoded::Serializer::new(String::new())
                    .extend_pairs(CART)
                    .finish();
                let request = http::Request::post(url)
                    .header("authorization", format!("Bearer {}", Sandbox::API_KEY))
                    .header("content-type", "application/x-www-form-urlencoded")
                    .body(body.into_bytes().into())
                    .unwrap();
                let Ok(reply) = client.http.send(request).await else { return };
                let id = reply.json().unwrap()["id"].as_str().unwrap().to_owned();
                sessions.lock().unwrap().insert(id.clone());
                let url = format!("{}/control/sessions/{id}/pay", client.base);
                if client.http.post(url).await.is_err() {
                    return;
                }
                paid.lock().unwrap().insert(id);
            }
        });
    }
    eventually(Duration::from_secs(60), "a hundred are paid", async || {
        paid.lock().unwrap().len() >= 100
    })
    .await;
    // SIGKILL.
    program.child.kill().unwrap();
    program.child.wait().unwrap();
    while tasks.join_next().await.is_some() {}

    let program = start(directory.path()).await;
    let listed = program.client.get_json("/control/sessions?limit=10000").await;
    let ids = |state: &str| -> BTreeSet<String> {
        let entries = listed["sessions"].as_array().unwrap().iter();
        entries
            .filter(|entry| state.is_empty() || entry["state"] == state)
            .map(|entry| entry["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let (sessions, paid) = (sessions.lock().unwrap().clone(), paid.lock().unwrap().clone());
    assert!(sessions.is_subset(&ids("")), "a session that was answered is lost");
    assert!(paid.is_subset(&ids("paid")), "a payment that was answered is lost");
    let completed = program.client.get_json("/v1/events?type=checkout.session.completed&limit=100");
    assert_eq!(completed.await["data"].as_array().unwrap().len(), 100);
    let counts = program.client.get_json("/control/mails").await;
    let kept = counts["distinctMessageIds"].as_u64().unwrap();
    let answered = mails.lock().unwrap().len() as u64;
    // One of each worker may have been kept without its answer.
    assert!((answered..=answered + 16).contains(&kept), "{answered} answered, {kept} kept");
}
