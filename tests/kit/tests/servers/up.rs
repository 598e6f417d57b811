//! The program that starts the servers for a whole `make test`.

use std::{
    io::{BufRead, BufReader},
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use storefront_testkit::{KAFKA_VARIABLE, POSTGRES_VARIABLE, eventually};

fn up(folders: &Path, script: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_storefront-testkit"));
    command.args(["up", "--", "sh", "-c", script]).env("TMPDIR", folders);
    command
}

/// A folder that PostgreSQL's own user may reach too.
fn folders() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let permissions = std::fs::Permissions::from_mode(0o755);
    tempfile::Builder::new().permissions(permissions).tempdir().unwrap()
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}

#[test]
fn the_status_of_the_command_is_passed_on_and_nothing_stays() {
    let folders = folders();
    assert_eq!(up(folders.path(), "exit 7").status().unwrap().code(), Some(7));
    assert!(is_empty(folders.path()));
}

#[tokio::test]
async fn servers_end_and_their_folders_go_when_their_owner_is_killed() {
    let folders = folders();
    let script = format!(r#"echo "${KAFKA_VARIABLE} ${POSTGRES_VARIABLE}"; cat"#);
    let mut owner = up(folders.path(), &script);
    let mut owner = owner.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let stdin = owner.stdin.take(); // keeps the command's `cat` going
    let mut line = String::new();
    BufReader::new(owner.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let (kafka, postgres) = line.trim().split_once(' ').unwrap();
    let postgres = postgres.split(['@', '/']).nth(3).unwrap();
    for address in [kafka, postgres] {
        TcpStream::connect(address).unwrap();
    }
    assert!(!is_empty(folders.path()));

    owner.kill().unwrap();
    owner.wait().unwrap();
    drop(stdin);
    eventually(Duration::from_secs(30), "the servers' end", async || {
        [kafka, postgres].iter().all(|address| TcpStream::connect(address).is_err())
    })
    .await;
    eventually(Duration::from_secs(30), "empty folders", async || is_empty(folders.path())).await;
}
