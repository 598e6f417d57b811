//! A real Apache Kafka: one node, or three, each broker and controller in one JVM, tuned to start fast and stay small.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;

use crate::{
    Severer, Wire,
    folder::Folder,
    jars, ports,
    process::{Program, Slot, log_of},
    topics,
};

/// Loaded machines take long to start a JVM; a healthy one needs 4 s.
const START_LIMIT: Duration = Duration::from_secs(180);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// New ports are taken when another process was faster.
const START_ATTEMPTS: usize = 3;

/// A line of the log for each request; the level of one logger of Kafka's own.
const LOG_REQUESTS: &[&str] = &["-Dorg.slf4j.simpleLogger.log.kafka.request.logger=debug"];

/// A broker for tests; clones are the same broker, and it ends with the last one.
#[derive(Clone)]
pub struct Kafka {
    bootstrap: String,
    own: Option<Arc<Own>>,
}

struct Own {
    server: Slot,
    /// Flags of the Java machine besides the usual ones.
    flags: &'static [&'static str],
    folder: Folder, // after the server: that one removes it, if there is one
}

/// What a broker has beside its plain listener.
#[derive(Default)]
pub(crate) struct More {
    /// Name, security protocol and port of further listeners.
    pub(crate) listeners: Vec<(&'static str, &'static str, u16)>,
    /// Ports that clients of a further listener are told to come to, where they are others.
    pub(crate) advertised: BTreeMap<&'static str, u16>,
    /// Further lines of its properties file.
    pub(crate) properties: String,
    /// SCRAM users, as Kafka's own tool takes them.
    pub(crate) users: Vec<String>,
    /// The cluster's id, where it is not one of its own.
    pub(crate) cluster: Option<String>,
}

impl Kafka {
    /// A broker that this test alone uses, and may kill.
    pub async fn private() -> anyhow::Result<Self> {
        Self::start_new(&[], |_| Ok(More::default())).await
    }

    /// The same, and it writes down each request: see `requests`.
    pub async fn private_with_requests() -> anyhow::Result<Self> {
        Self::start_new(LOG_REQUESTS, |_| Ok(More::default())).await
    }

    /// A broker with these many further ways to it, each of which a test can sever.
    pub async fn private_with_severers<const N: usize>() -> anyhow::Result<(Self, [Severer; N])> {
        const NAMES: [&str; 8] = ["A", "B", "C", "D", "E", "F", "G", "H"];
        let mut severers = Vec::new();
        for _ in 0..N {
            severers.push(Severer::listen().await?);
        }
        let mut ports = [0; N];
        let kafka = Self::start_new(&[], |_| {
            ports = ports::free()?;
            let listeners = NAMES.iter().zip(ports).map(|(name, port)| (*name, "PLAINTEXT", port));
            let advertised = NAMES.iter().zip(&severers);
            let advertised = advertised.map(|(name, (severer, _))| (*name, severer.port()));
            Ok(More {
                listeners: listeners.collect(),
                advertised: advertised.collect(),
                ..More::default()
            })
        })
        .await?;
        let carried = severers.into_iter().zip(ports).map(|((severer, listener), port)| {
            severer.carry(listener, format!("127.0.0.1:{port}"));
            severer
        });
        let severers = carried.collect::<Vec<_>>().try_into();
        Ok((kafka, severers.map_err(|_| anyhow::anyhow!("there are others than asked for"))?))
    }

    /// Three brokers of one cluster, each of which a test may kill: two of them can elect leaders, and what is written to internal
    /// topics is on two before it is acknowledged.
    pub async fn three() -> anyhow::Result<[Self; 3]> {
        Self::start_three(|_, more| more).await
    }

    /// The same, each with one more way to it, over a wire that a test can break; what the brokers say to each other does not
    /// go that way, nor does what comes by `bootstrap`.
    pub async fn three_with_wires() -> anyhow::Result<([Self; 3], [Wire; 3])> {
        let ports: [u16; 3] = ports::free()?;
        let mut wires = Vec::new();
        for port in ports {
            wires.push(Wire::start(vec![format!("127.0.0.1:{port}")]).await?);
        }
        let wires: [Wire; 3] =
            wires.try_into().map_err(|_| anyhow::anyhow!("there are others than asked for"))?;
        let brokers = Self::start_three(|number, more| More {
            listeners: vec![("WIRE", "PLAINTEXT", ports[number])],
            advertised: BTreeMap::from([("WIRE", wires[number].address().port())]),
            ..more
        })
        .await?;
        Ok((brokers, wires))
    }

    async fn start_three(more: impl Fn(usize, More) -> More) -> anyhow::Result<[Self; 3]> {
        let mut problem = anyhow::anyhow!("no attempt was made");
        for _ in 0..START_ATTEMPTS {
            let [first, second, third] = three_formatted(&more)?;
            match tokio::try_join!(first.start(), second.start(), third.start()) {
                Ok(((), (), ())) => return Ok([first, second, third]),
                Err(error) => problem = error,
            }
        }
        Err(problem)
    }

    /// The same with more; `more` is asked again for each attempt, and may write into the folder.
    pub(crate) async fn with(
        more: impl FnMut(&Folder) -> anyhow::Result<More>,
    ) -> anyhow::Result<Self> {
        Self::start_new(&[], more).await
    }

    async fn start_new(
        flags: &'static [&'static str],
        mut more: impl FnMut(&Folder) -> anyhow::Result<More>,
    ) -> anyhow::Result<Self> {
        let mut problem = anyhow::anyhow!("no attempt was made");
        for _ in 0..START_ATTEMPTS {
            let folder = Folder::new("kafka")?;
            let [client, controller] = ports::free()?;
            format(&folder, client, controller, &more(&folder)?)?;
            let kafka = Self::formatted(client, flags, folder);
            match kafka.start().await {
                Ok(()) => return Ok(kafka),
                Err(error) => problem = error,
            }
        }
        Err(problem)
    }

    fn formatted(client: u16, flags: &'static [&'static str], folder: Folder) -> Self {
        let own = Own { server: Slot::default(), flags, folder };
        Self { bootstrap: format!("127.0.0.1:{client}"), own: Some(Arc::new(own)) }
    }

    pub(crate) fn at(bootstrap: String) -> Self {
        Self { bootstrap, own: None }
    }

    /// For clients' `bootstrap.servers`; stays the same when it is killed and started again.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Starts a broker that was killed, with its data, and waits until it takes requests.
    pub async fn start(&self) -> anyhow::Result<()> {
        let own = self.own()?;
        own.server.start(&serve(&own.folder, own.flags)?)?;
        let admin = topics::admin(&self.bootstrap)?;
        let deadline = Instant::now() + START_LIMIT;
        while !topics::would_create(&admin).await {
            own.server.check_running().context("Apache Kafka did not start")?;
            let log = || log_of(own.folder.path());
            anyhow::ensure!(
                Instant::now() < deadline,
                "Apache Kafka is not up in time:\n{}",
                log()
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// `kill -9`.
    pub fn kill(&self) -> anyhow::Result<()> {
        self.own()?.server.kill()
    }

    /// Freezes it (`SIGSTOP`): connections stay open and nothing answers.
    pub fn pause(&self) -> anyhow::Result<()> {
        self.own()?.server.signal("STOP")
    }

    /// Goes on after `pause`.
    pub fn resume(&self) -> anyhow::Result<()> {
        self.own()?.server.signal("CONT")
    }

    /// From now on no byte can be written to its files, as on a disk that is full (`EFBIG` for `ENOSPC`; a small disk would need
    /// rights that tests do not have). Started again, it has room.
    pub fn fill_disk(&self) -> anyhow::Result<()> {
        self.own()?.server.limit("fsize", 0)
    }

    /// Waits until it ends by itself.
    pub async fn ended(&self, limit: Duration) -> anyhow::Result<()> {
        let own = self.own()?;
        let deadline = Instant::now() + limit;
        while own.server.check_running().is_ok() {
            anyhow::ensure!(Instant::now() < deadline, "Apache Kafka still runs after {limit:?}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// The names of the requests that a broker which writes them down has answered, such as `CreateTopics`, the
    /// oldest first.
    pub fn requests(&self) -> anyhow::Result<Vec<String>> {
        let log = fs::read_to_string(self.own()?.folder.path().join("stderr.log"))?;
        Ok(log.lines().filter_map(request_of).collect())
    }

    fn own(&self) -> anyhow::Result<&Own> {
        self.own.as_deref().context("this broker belongs to other tests too: use Kafka::private()")
    }
}

/// The name of the API that a line of the broker's log tells of, such as `CreateTopics`.
fn request_of(line: &str) -> Option<String> {
    let (_, request) = line.split_once("kafka.request.logger - Completed request:")?;
    let request: serde_json::Value = serde_json::from_str(request).ok()?;
    Some(request["requestHeader"]["requestApiKeyName"].as_str()?.to_owned())
}

fn java(flags: &[&str], words: &[&str]) -> anyhow::Result<Vec<String>> {
    let classes = format!("{}/*", jars::folder()?.display());
    let fixed = [
        "java",
        "-Xms64m",
        "-Xmx256m",
        // One compiler and the simplest collector: a second faster up, and a core left for the test.
        "-XX:TieredStopAtLevel=1",
        "-XX:+UseSerialGC",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    ];
    let classes = ["-cp", &classes];
    Ok(fixed.iter().chain(flags).chain(&classes).chain(words).map(ToString::to_string).collect())
}

fn format(folder: &Folder, client: u16, controller: u16, more: &More) -> anyhow::Result<()> {
    let settings = folder.text("server.properties");
    let [mut addresses, mut advertised, mut protocols] = [const { String::new() }; 3];
    for (name, protocol, port) in &more.listeners {
        write!(addresses, ",{name}://127.0.0.1:{port}")?;
        let port = more.advertised.get(name).unwrap_or(port);
        write!(advertised, ",{name}://127.0.0.1:{port}")?;
        write!(protocols, ",{name}:{protocol}")?;
    }
    let text = include_str!("server.properties")
        .replace("{listeners}", &addresses)
        .replace("{advertised}", &advertised)
        .replace("{protocols}", &protocols)
        .replace("{client}", &client.to_string())
        .replace("{controller}", &controller.to_string())
        .replace("{data}", &folder.text("data"));
    fs::write(&settings, text + &more.properties)?;
    let cluster = more.cluster.clone().unwrap_or_else(new_cluster);
    let mut words = vec!["kafka.tools.StorageTool", "format", "-t", &cluster, "-c", &settings];
    words.extend(more.users.iter().flat_map(|user| ["--add-scram", user]));
    let words = java(&[], &words)?;
    let output = std::process::Command::new(&words[0])
        .args(&words[1..])
        .output()
        .context("tests against Apache Kafka need Java 17 (Debian: openjdk-17-jdk-headless)")?;
    anyhow::ensure!(
        output.status.success(),
        "Kafka's StorageTool failed:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// Any 16 bytes in base64, others for each: clients tell clusters apart by them.
fn new_cluster() -> String {
    (0..21).map(|_| fastrand::alphanumeric()).chain(['A']).collect()
}

fn three_formatted(more: impl Fn(usize, More) -> More) -> anyhow::Result<[Kafka; 3]> {
    let [a, b, c, first, second, third] = ports::free()?;
    let voters = format!("1@127.0.0.1:{first},2@127.0.0.1:{second},3@127.0.0.1:{third}");
    let cluster = new_cluster();
    let broker = |number: usize, client, controller| {
        let folder = Folder::new("kafka")?;
        let properties = include_str!("three.properties")
            .replace("{node}", &(number + 1).to_string())
            .replace("{voters}", &voters);
        let more =
            more(number, More { properties, cluster: Some(cluster.clone()), ..More::default() });
        format(&folder, client, controller, &more)?;
        anyhow::Ok(Kafka::formatted(client, &[], folder))
    };
    Ok([broker(0, a, first)?, broker(1, b, second)?, broker(2, c, third)?])
}

fn serve<'a>(folder: &'a Folder, flags: &[&str]) -> anyhow::Result<Program<'a>> {
    Ok(Program {
        words: java(flags, &["kafka.Kafka", &folder.text("server.properties")])?,
        environment: Vec::new(),
        folder: folder.path(),
        ended_by: "KILL",
    })
}
