//! A real Kubernetes API: etcd and kube-apiserver on this machine, without nodes. Objects are kept,
//! validated, watched and audited as in a cluster; nothing runs them.

mod accounts;

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use serde_json::Value;

use crate::{
    folder::Folder,
    jars::cache_folder,
    ports,
    process::{Program, Slot, log_of},
};

/// Loaded machines take long; an idle one needs 4 s.
const START_LIMIT: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// New ports are taken when another process was faster.
const START_ATTEMPTS: usize = 3;
/// What the Makefile builds it from names its version.
const MODULE: &str = include_str!("../../cluster/tools/go.mod");
/// Users who may do everything, and whom the audit log tells apart.
const USERS: [&str; 3] = [ADMIN, "first", "second"];
const ADMIN: &str = "admin";
/// Every change and who made it, once it is answered; reads only where a `ServiceAccount` made them.
const AUDIT_POLICY: &str = r#"{"apiVersion": "audit.k8s.io/v1", "kind": "Policy",
"omitStages": ["RequestReceived", "ResponseStarted"],
"rules": [{"level": "Metadata", "userGroups": ["system:serviceaccounts"]},
{"level": "None", "verbs": ["get", "list", "watch"]}, {"level": "Metadata"}]}"#;

/// An API server for tests; clones are the same one, and it ends with the last.
#[derive(Clone)]
pub struct Kubernetes {
    own: Arc<Own>,
}

struct Own {
    api: Slot,
    etcd: Slot,
    port: u16,
    token: String,
    // After the servers, which remove them: one folder each.
    api_folder: Folder,
    etcd_folder: Folder,
    words: Vec<String>,
}

impl Kubernetes {
    /// An API server that this test alone uses, and may kill.
    pub async fn private() -> anyhow::Result<Self> {
        let mut problem = anyhow::anyhow!("no attempt was made");
        for _ in 0..START_ATTEMPTS {
            let kubernetes = Self::prepare()?;
            match kubernetes.start().await {
                Ok(()) => return Ok(kubernetes),
                Err(error) => problem = error,
            }
        }
        Err(problem)
    }

    fn prepare() -> anyhow::Result<Self> {
        let [port, etcd_client, etcd_peer] = ports::free()?;
        let etcd_folder = Folder::new("etcd")?;
        let (client, peer) =
            (format!("http://127.0.0.1:{etcd_client}"), format!("http://127.0.0.1:{etcd_peer}"));
        let etcd = Slot::default();
        etcd.start(&Program {
            words: etcd_words(&program("etcd")?, &etcd_folder.text("data"), &client, &peer),
            environment: Vec::new(),
            folder: etcd_folder.path(),
            ended_by: "KILL",
        })?;
        let api_folder = Folder::new("kube-apiserver")?;
        let token = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        let users =
            USERS.map(|user| format!("{},{user},{user},system:masters\n", token_of(&token, user)));
        fs::write(api_folder.path().join("tokens.csv"), users.concat())?;
        fs::write(api_folder.path().join("audit.json"), AUDIT_POLICY)?;
        let key = rcgen::KeyPair::generate().context("could not make a key")?;
        fs::write(api_folder.path().join("accounts.key"), key.serialize_pem())?;
        fs::write(api_folder.path().join("accounts.pub"), key.public_key_pem())?;
        let words = api_words(&program("kube-apiserver")?, &api_folder, port, &client);
        let own = Own { api: Slot::default(), etcd, port, token, api_folder, etcd_folder, words };
        Ok(Self { own: Arc::new(own) })
    }

    /// Starts an API server that was killed, with its data, and waits until it is ready.
    pub async fn start(&self) -> anyhow::Result<()> {
        let own = &*self.own;
        let folder = own.api_folder.path();
        own.api.start(&Program {
            words: own.words.clone(),
            environment: Vec::new(),
            folder,
            ended_by: "KILL",
        })?;
        let deadline = Instant::now() + START_LIMIT;
        loop {
            own.etcd.check_running().context("etcd did not start")?;
            own.api.check_running().context("kube-apiserver did not start")?;
            if self.is_ready().await {
                return Ok(());
            }
            let log = || log_of(folder);
            anyhow::ensure!(
                Instant::now() < deadline,
                "kube-apiserver is not up in time:\n{}",
                log()
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn is_ready(&self) -> bool {
        let Ok(client) = self.client() else { return false };
        let request = http::Request::get("/readyz").body(Vec::new());
        let Ok(request) = request else { return false };
        // A namespace that is there last of all: without it nothing can be created.
        let namespaces: kube::Api<k8s_openapi::api::core::v1::Namespace> =
            kube::Api::all(client.clone());
        client.request_text(request).await.is_ok_and(|text| text == "ok")
            && namespaces.get("default").await.is_ok()
    }

    /// A client that may do everything.
    pub fn client(&self) -> anyhow::Result<kube::Client> {
        self.client_with(&token_of(&self.own.token, ADMIN))
    }

    /// What a client of one of the users `admin`, `first` and `second` is made from.
    pub fn config(&self, user: &str) -> anyhow::Result<kube::Config> {
        self.config_with(&token_of(&self.own.token, user))
    }

    fn client_with(&self, token: &str) -> anyhow::Result<kube::Client> {
        Ok(kube::Client::try_from(self.config_with(token)?)?)
    }

    fn config_with(&self, token: &str) -> anyhow::Result<kube::Config> {
        let certificates = fs::read(self.own.api_folder.path().join("certificates/apiserver.crt"))?;
        let mut config = kube::Config::new(self.url().parse()?);
        config.root_cert = Some(pem_blocks(&certificates)?);
        config.auth_info.token = Some(token.to_owned().into());
        Ok(config)
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.own.port)
    }

    /// Writes a kubeconfig for other programs, and answers with its path.
    pub fn kubeconfig(&self) -> anyhow::Result<PathBuf> {
        self.kubeconfig_of_user(ADMIN)
    }

    /// The same for one of the users `admin`, `first` and `second`.
    pub fn kubeconfig_of_user(&self, user: &str) -> anyhow::Result<PathBuf> {
        self.write_kubeconfig(&format!("kubeconfig-{user}"), &token_of(&self.own.token, user))
    }

    fn write_kubeconfig(&self, name: &str, token: &str) -> anyhow::Result<PathBuf> {
        let folder = self.own.api_folder.path();
        let path = folder.join(name);
        let ca = folder.join("certificates/apiserver.crt");
        let text = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": self.url(), "certificate-authority": ca}}],
            "users": [{"name": "user", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "user"}}],
        });
        fs::write(&path, text.to_string())?;
        Ok(path)
    }

    /// Every change that was asked for so far, and every request of a `ServiceAccount`, as the API server's
    /// audit log has it, the oldest first.
    pub fn audit(&self) -> anyhow::Result<Vec<Value>> {
        let text = fs::read_to_string(self.own.api_folder.path().join("audit.log"))?;
        // The last line may be half written.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// `kill -9` of the API server; what is in etcd stays.
    pub fn kill(&self) -> anyhow::Result<()> {
        self.own.api.kill()
    }

    /// Freezes the API server (`SIGSTOP`): connections stay open and nothing answers.
    pub fn pause(&self) -> anyhow::Result<()> {
        self.own.api.signal("STOP")
    }

    /// Goes on after `pause`.
    pub fn resume(&self) -> anyhow::Result<()> {
        self.own.api.signal("CONT")
    }

    /// What etcd said, for a test that fails.
    pub fn etcd_log(&self) -> String {
        log_of(self.own.etcd_folder.path())
    }
}

fn token_of(secret: &str, user: &str) -> String {
    format!("{secret}-{user}")
}

fn etcd_words(etcd: &Path, data: &str, client: &str, peer: &str) -> Vec<String> {
    let mut words = vec![etcd.to_string_lossy().into_owned()];
    // Nothing has to survive the machine.
    words.extend(["--unsafe-no-fsync", "--data-dir", data].map(String::from));
    for (flag, url) in [
        ("--listen-client-urls", client),
        ("--advertise-client-urls", client),
        ("--listen-peer-urls", peer),
        ("--initial-advertise-peer-urls", peer),
    ] {
        words.extend([flag.to_owned(), url.to_owned()]);
    }
    words.extend(["--initial-cluster".to_owned(), format!("default={peer}")]);
    words
}

fn api_words(server: &Path, folder: &Folder, port: u16, etcd: &str) -> Vec<String> {
    let file = |name: &str| folder.text(name);
    let mut words = vec![server.to_string_lossy().into_owned()];
    words.extend([
        format!("--etcd-servers={etcd}"),
        format!("--secure-port={port}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        format!("--cert-dir={}", file("certificates")),
        format!("--token-auth-file={}", file("tokens.csv")),
        "--authorization-mode=RBAC".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-key-file={}", file("accounts.pub")),
        format!("--service-account-signing-key-file={}", file("accounts.key")),
        // Room for the Services of hundreds of shops.
        "--service-cluster-ip-range=10.0.0.0/16".to_owned(),
        // Without a controller manager no namespace has a service account.
        "--disable-admission-plugins=ServiceAccount".to_owned(),
        format!("--audit-policy-file={}", file("audit.json")),
        format!("--audit-log-path={}", file("audit.log")),
    ]);
    words
}

/// The DER of each certificate of a PEM file.
fn pem_blocks(pem: &[u8]) -> anyhow::Result<Vec<Vec<u8>>> {
    use rustls_pki_types::{CertificateDer, pem::PemObject};
    CertificateDer::pem_slice_iter(pem).map(|block| Ok(block?.to_vec())).collect()
}

/// From `KUBEBUILDER_ASSETS`, which names a folder with both, from the cache, or from `PATH`.
fn program(name: &str) -> anyhow::Result<PathBuf> {
    let version = MODULE.lines().find_map(|line| line.strip_prefix("require k8s.io/kubernetes v"));
    let version = version.context("no version of Kubernetes in go.mod")?;
    let given = env::var_os("KUBEBUILDER_ASSETS").filter(|value| !value.is_empty());
    let folders = given.map(PathBuf::from).into_iter();
    let path = env::var_os("PATH").unwrap_or_default();
    folders
        .chain([cache_folder()?.join(format!("k8s-{version}"))])
        .chain(env::split_paths(&path))
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .with_context(|| {
            format!(
                "tests against the Kubernetes API need {name}: run `make kubernetes` (etcd is \
                 Debian's etcd-server), or set KUBEBUILDER_ASSETS to a folder that has both"
            )
        })
}
