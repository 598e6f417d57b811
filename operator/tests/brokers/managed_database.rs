//! The managed PostgreSQL, started by its own script on a real one.

use std::{fs, path::Path, process::Command};

use serde_json::json;
use storefront_testkit::{PostgresPrograms, Running, eventually, free_ports};

use crate::{
    pods::{Pod, kill, rendered},
    world::LIMIT,
};

const DATA: &str = "/var/lib/storefront/postgres";

/// The server's pod on this machine.
struct Server {
    pod: Pod,
    programs: PostgresPrograms,
    port: String,
}

/// All that is in the pod is its user's.
fn give(programs: &PostgresPrograms, path: &Path) {
    programs.give(path).unwrap();
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        give(programs, &entry.path());
    }
}

impl Server {
    fn new() -> Self {
        let programs = PostgresPrograms::find().unwrap();
        let pod =
            Pod::new(&rendered(&json!({"payment": {"sandbox": {}}})), "demo-database", 0, &[]);
        give(&programs, pod.root());
        let [port] = free_ports().unwrap();
        Self { pod, programs, port: port.to_string() }
    }

    fn start(&self) -> Running {
        let path = std::env::var_os("PATH").unwrap();
        let path = format!("{}:{}", self.programs.folder().display(), path.to_string_lossy());
        let variables = [("PATH".to_owned(), path), ("PGPORT".to_owned(), self.port.clone())];
        self.pod.start(&variables, |words| self.programs.as_its_user(words.clone()))
    }

    /// What a service of the shop asks, over the network and with the password.
    fn question(&self, sql: &str) -> Command {
        let mut question = Command::new(self.programs.folder().join("psql"));
        question
            .args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", &self.port])
            .args(["-U", "storefront", "-d", "storefront", "-c", sql])
            .env("PGPASSWORD", "correcthorse")
            .env("PGCONNECT_TIMEOUT", "5");
        question
    }

    fn ask(&self, sql: &str) -> Option<String> {
        let asked = self.question(sql).output().unwrap();
        let said = String::from_utf8(asked.stdout).unwrap().trim().to_owned();
        asked.status.success().then_some(said)
    }

    /// Starts it until it takes queries. As in a cluster it is started again where it ends: processes of the
    /// one before it may be there for a moment, which a new container would not see.
    async fn run(&self) -> Running {
        let mut running = self.start();
        eventually(LIMIT, "the database takes queries", async || {
            if let Err(ended) = running.check_running() {
                let said = ended.to_string();
                let theirs = said.contains("already exists") || said.contains("still in use");
                assert!(theirs, "{said}");
                running = self.start();
            }
            self.ask("SELECT 1").is_some()
        })
        .await;
        running
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_made_once_and_survives_what_happens_to_its_pod() {
    let server = Server::new();
    let (data, unfinished) = (server.pod.path(DATA), server.pod.path(&format!("{DATA}.new")));
    // The pod is killed while its database is made.
    let starting = server.start();
    eventually(LIMIT, "half a database", async || unfinished.join("base").exists()).await;
    kill(starting);
    assert!(!data.exists(), "nothing that is half made has the place of the whole");
    // The next one begins anew.
    let running = server.run().await;
    assert!(!unfinished.exists());
    server.ask("CREATE TABLE orders (id int); INSERT INTO orders VALUES (7)").unwrap();
    assert_eq!(server.ask("SELECT current_setting('server_encoding')").unwrap(), "UTF8");
    // Nobody is let in without the password.
    let open = server.ask("SELECT count(*) FROM pg_hba_file_rules WHERE auth_method = 'trust'");
    assert_eq!(open, Some("0".into()));

    // A crash, and then an end as Kubernetes asks for it, with somebody connected who does not go.
    kill(running);
    let running = server.run().await;
    assert_eq!(server.ask("SELECT id FROM orders").unwrap(), "7");
    let mut connected = server.question("SELECT pg_sleep(600)").spawn().unwrap();
    eventually(LIMIT, "somebody who does not go", async || {
        let asleep = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        server.ask(asleep).is_some_and(|count| count == "1")
    })
    .await;
    running.signal("TERM").unwrap();
    assert!(running.ended().unwrap().success());
    assert!(!connected.wait().unwrap().success());
    let running = server.run().await;
    assert_eq!(server.ask("SELECT id FROM orders").unwrap(), "7");
    running.signal("TERM").unwrap();
    assert!(running.ended().unwrap().success());
}
