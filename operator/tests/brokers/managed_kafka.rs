//! The managed brokers, formatted and started by their own scripts on real Apache Kafka: what is on a disk
//! stays, whatever happens to the pod, and goes along from one release to the next.

use std::{fs, net::TcpListener, path::Path, process::Command, time::Duration};

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, CommitMode, Consumer},
    error::RDKafkaErrorCode,
    producer::{FutureProducer, FutureRecord},
};
use serde_json::json;
use storefront_testkit::{Running, eventually, eventually_some, free_ports, kafka_jars};

use crate::{
    pods::{Pod, kill, rendered},
    world::{LIMIT, on_brokers},
};

const CLUSTER: &str = "Vb1sC3XtTaqQpOY0sV3ZkQ";
const DISK: &str = "/var/lib/storefront/kafka";
const JARS: &str = "/opt/kafka/libs";
const OLD: &str = "4.0.1";
const NEW: &str = "4.1.0";
/// How many records each step sends.
const RECORDS: usize = 50;

/// The pods of a set of brokers: each has an address of its own, as in a cluster.
struct Brokers {
    pods: Vec<Pod>,
    addresses: Vec<String>,
    /// Where each of them takes clients.
    port: u16,
}

/// Two ports that are free at each of these addresses.
fn ports(addresses: &[String]) -> [u16; 2] {
    let is_free =
        |port: &u16| addresses.iter().all(|it| TcpListener::bind((it.as_str(), *port)).is_ok());
    let mut tries = (0..100).map(|_| free_ports::<2>().unwrap());
    tries.find(|ports| ports.iter().all(is_free)).unwrap()
}

impl Brokers {
    fn new(count: usize, release: &str) -> Self {
        let managed = json!({"managed": {"replicas": count}});
        let objects = rendered(&on_brokers(&managed));
        let network = format!("127.{}.{}", fastrand::u8(1..=254), fastrand::u8(..));
        let addresses: Vec<_> = (1..=count).map(|host| format!("{network}.{host}")).collect();
        let [clients, controllers] = ports(&addresses);
        let (client_port, controller_port) = (clients.to_string(), controllers.to_string());
        let jars = kafka_jars(release).unwrap().to_string_lossy().into_owned();
        let names: Vec<_> =
            (0..count).map(|n| format!("demo-kafka-{n}.demo-kafka-nodes.shops.svc")).collect();
        let pod = |number: usize| {
            let own = &addresses[number];
            let everywhere = format!("://{own}:");
            // Names are looked up by nobody here: the addresses stand in their place.
            let mut elsewhere =
                vec![(JARS, &*jars), ("://:", &everywhere), ("$POD_NAME.$NODES_DOMAIN", own)];
            elsewhere.extend([("9092", &*client_port), ("9093", &*controller_port)]);
            elsewhere.extend(names.iter().map(String::as_str).zip(addresses.iter().map(|a| &**a)));
            Pod::new(&objects, "demo-kafka", number, &elsewhere)
        };
        Self { pods: (0..count).map(pod).collect(), addresses: addresses.clone(), port: clients }
    }

    fn bootstrap(&self) -> String {
        let all = self.addresses.iter().map(|address| format!("{address}:{}", self.port));
        let all: Vec<_> = all.collect();
        all.join(",")
    }

    /// As in a cluster: the container starts once the init container has ended well.
    fn start(&self, number: usize) -> Running {
        let pod = &self.pods[number];
        let init = pod.init(&java());
        assert!(init.status.success(), "{}", String::from_utf8_lossy(&init.stderr));
        pod.start(&java(), Vec::clone)
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", self.bootstrap())
            .set("group.id", "shop")
            .set("enable.auto.commit", "false")
            .set("reconnect.backoff.max.ms", "500")
            .set("enable.metrics.push", "false");
        config
    }

    /// Waits until so many brokers are there, and answers with the name of their cluster.
    async fn are_up(&self, running: &mut [Running]) -> String {
        let client: BaseConsumer = self.client().create().unwrap();
        eventually(LIMIT, "all brokers", async || {
            for broker in &mut *running {
                broker.check_running().unwrap();
            }
            let metadata = client.fetch_metadata(None, Duration::from_secs(1));
            metadata.is_ok_and(|metadata| metadata.brokers().len() == running.len())
        })
        .await;
        client.client().fetch_cluster_id(Duration::from_secs(10)).unwrap()
    }

    async fn make_topic(&self) {
        let admin: AdminClient<DefaultClientContext> = self.client().create().unwrap();
        let copies = i32::try_from(self.pods.len()).unwrap();
        let topic = NewTopic::new("orders", 1, TopicReplication::Fixed(copies));
        let options = AdminOptions::new().operation_timeout(Some(LIMIT));
        eventually(LIMIT, "the topic", async || {
            let made = admin.create_topics([&topic], &options).await;
            // By a call before, whose answer came too late.
            let there = RDKafkaErrorCode::TopicAlreadyExists;
            let is_there = |(_, code): &(String, RDKafkaErrorCode)| *code == there;
            made.is_ok_and(|made| made[0].as_ref().err().is_none_or(is_there))
        })
        .await;
    }

    /// Sends more records, each acknowledged by as many brokers as must have it.
    async fn send(&self, from: usize) {
        let mut config = self.client();
        config.set("enable.idempotence", "true").set("message.timeout.ms", "90000");
        let producer: FutureProducer = config.create().unwrap();
        for number in from..from + RECORDS {
            let text = number.to_string();
            let record = FutureRecord::to("orders").key("ada").payload(&text);
            producer.send(record, Duration::ZERO).await.unwrap();
        }
    }

    /// What is on the topic from where the group has read to, and moves the group on by so many.
    async fn read(&self, sent: usize, then_read: i64) {
        let consumer: BaseConsumer = self.client().create().unwrap();
        let mut partition = TopicPartitionList::new();
        partition.add_partition("orders", 0);
        let committed = eventually_some(LIMIT, "the group's offset", async || {
            let list = partition.clone();
            let committed = consumer.committed_offsets(list, Duration::from_secs(2)).ok()?;
            Some(committed.elements()[0].offset())
        })
        .await;
        let from = if let Offset::Offset(offset) = committed { offset } else { 0 };
        let mut start = partition.clone();
        start.set_partition_offset("orders", 0, Offset::Beginning).unwrap();
        consumer.assign(&start).unwrap();
        let mut read = Vec::new();
        eventually(LIMIT, "all records", async || {
            if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
                let text = String::from_utf8_lossy(message.payload().unwrap());
                read.push(text.parse::<usize>().unwrap());
            }
            read.len() == sent
        })
        .await;
        assert!(read.iter().copied().eq(0..sent), "in order, and each once: {read:?}");
        let to = from + then_read;
        partition.set_partition_offset("orders", 0, Offset::Offset(to)).unwrap();
        consumer.commit(&partition, CommitMode::Sync).unwrap();
        let kept = consumer.committed_offsets(partition, Duration::from_secs(10)).unwrap();
        assert_eq!(kept.elements()[0].offset(), Offset::Offset(to));
    }

    fn committed(&self) -> i64 {
        let consumer: BaseConsumer = self.client().create().unwrap();
        let mut partition = TopicPartitionList::new();
        partition.add_partition("orders", 0);
        let committed = consumer.committed_offsets(partition, Duration::from_secs(30)).unwrap();
        committed.elements()[0].offset().to_raw().unwrap()
    }
}

/// What a container's limit of memory is to Java there, and a faster start.
fn java() -> Vec<(String, String)> {
    let options =
        "-XX:MaxRAM=768m -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.defaultLogLevel=warn";
    vec![("JAVA_TOOL_OPTIONS".to_owned(), options.to_owned())]
}

/// As Kubernetes ends a pod: the broker hands over what it leads, and stops.
async fn stop(broker: Running) {
    broker.signal("TERM").unwrap();
    let ended = tokio::task::spawn_blocking(|| broker.ended());
    let ended = tokio::time::timeout(LIMIT, ended).await.unwrap().unwrap().unwrap();
    // Java ends by the signal, once it has done everything.
    assert_eq!(ended.code(), Some(143));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_is_formatted_once_and_only_for_its_own_cluster() {
    let brokers = Brokers::new(1, NEW);
    let pod = &brokers.pods[0];
    let disk = pod.path(DISK);
    let (formatted, first) = (disk.join("meta.properties"), disk.join("bootstrap.checkpoint"));

    // The pod is killed while its disk is formatted.
    let formatting = pod.start_init(&java());
    eventually(LIMIT, "half a disk", async || disk.exists()).await;
    kill(formatting);
    // And once more, by what it leaves when its last file is missing, or has nothing in it.
    assert!(pod.init(&java()).status.success());
    let written = fs::read(&first).unwrap();
    fs::write(&first, &written[..written.len() / 2]).unwrap();
    fs::write(&formatted, "").unwrap();
    let mut running = [brokers.start(0)];
    assert_eq!(brokers.are_up(&mut running).await, CLUSTER);
    brokers.make_topic().await;
    brokers.send(0).await;
    brokers.read(RECORDS, 20).await;

    // A crash: what was there is there, and nothing is formatted again.
    let before = fs::read(&formatted).unwrap();
    let [broker] = running;
    kill(broker);
    let mut running = [brokers.start(0)];
    assert_eq!(fs::read(&formatted).unwrap(), before);
    assert_eq!(brokers.are_up(&mut running).await, CLUSTER);
    brokers.read(RECORDS, 10).await;
    assert_eq!(brokers.committed(), 30);
    let [broker] = running;
    stop(broker).await;

    // The file is lost, and the records are not.
    let lost = fs::read(&formatted).unwrap();
    fs::remove_file(&formatted).unwrap();
    let all = files(&disk);
    let refused = pod.init(&java());
    assert_eq!(refused.status.code(), Some(1));
    insta::assert_snapshot!(String::from_utf8(refused.stderr).unwrap(), @"the disk of demo-kafka-0 has records and no meta.properties, and is not formatted over them: restore that file from a backup, as its directory.id cannot be made up, or give the pod a disk of its own");
    assert_eq!(files(&disk), all, "nothing of it is touched");
    fs::write(&formatted, lost).unwrap();
    let mut running = [brokers.start(0)];
    assert_eq!(brokers.are_up(&mut running).await, CLUSTER);
    brokers.read(RECORDS, 10).await;
    assert_eq!(brokers.committed(), 40);
    let [broker] = running;
    stop(broker).await;

    // Another shop's disk, or the Secret of another shop.
    let id = pod.path("/etc/storefront/secrets/demo-kafka/cluster-id");
    assert_eq!(fs::read_to_string(&id).unwrap(), CLUSTER);
    fs::write(&id, "another-cluster-000000").unwrap();
    let all = files(&disk);
    let refused = pod.init(&java());
    assert_eq!(refused.status.code(), Some(1));
    insta::assert_snapshot!(String::from_utf8(refused.stderr).unwrap(), @"the disk of demo-kafka-0 is of the Kafka cluster Vb1sC3XtTaqQpOY0sV3ZkQ, and its Secret names another-cluster-000000: write cluster-id: Vb1sC3XtTaqQpOY0sV3ZkQ into the Secret, or give the pod a disk of its own");
    assert_eq!(files(&disk), all, "nothing of it is touched");
}

/// Every file with its length.
fn files(folder: &Path) -> Vec<(String, u64)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_dir() {
            all.extend(files(&entry.path()));
        } else {
            let path = entry.path().to_string_lossy().into_owned();
            all.push((path, entry.metadata().unwrap().len()));
        }
    }
    all.sort();
    all
}

/// What the operator's guide says to run in a broker's pod once all of them have the new release.
fn finish_upgrade(brokers: &Brokers) -> String {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operator.md");
    let guide = fs::read_to_string(guide).unwrap();
    let (_, command) =
        guide.split_once("$ kubectl exec demo-kafka-0 --container kafka -- ").unwrap();
    let command = command.split("\n```").next().unwrap().replace("\\\n", " ");
    let command = brokers.pods[0].here(&command).replace("localhost", &brokers.addresses[0]);
    let done = Command::new("sh").args(["-c", &command]).envs(java()).output().unwrap();
    assert!(done.status.success(), "{command}\n{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// Which release's format the brokers write their metadata in.
fn metadata_version(brokers: &Brokers) -> String {
    let jars = kafka_jars(NEW).unwrap();
    let asked = Command::new("java")
        .args(["-cp", &format!("{}/*", jars.display()), "org.apache.kafka.tools.FeatureCommand"])
        .args(["--bootstrap-server", &brokers.bootstrap(), "describe"])
        .output()
        .unwrap();
    let said = String::from_utf8(asked.stdout).unwrap();
    let line = said.lines().find(|line| line.contains("metadata.version")).unwrap();
    let (_, finalized) = line.split_once("FinalizedVersionLevel: ").unwrap();
    finalized.split_whitespace().next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn three_brokers_go_from_one_release_to_the_next_while_a_shop_sells() {
    let mut brokers = Brokers::new(3, OLD);
    let mut running: Vec<_> = (0..3).map(|number| brokers.start(number)).collect();
    assert_eq!(brokers.are_up(&mut running).await, CLUSTER);
    brokers.make_topic().await;
    brokers.send(0).await;
    brokers.read(RECORDS, 20).await;
    assert_eq!(metadata_version(&brokers), "4.0-IV3");

    // As a StatefulSet rolls: the last one first, the next once that one is back.
    let jars = kafka_jars(NEW).unwrap().to_string_lossy().into_owned();
    for (step, number) in [2, 1, 0].into_iter().enumerate() {
        stop(running.pop().unwrap()).await;
        brokers.send((step + 1) * RECORDS).await;
        let old = kafka_jars(OLD).unwrap().to_string_lossy().into_owned();
        assert_eq!(brokers.pods[number].here(JARS), old);
        brokers.pods[number].change(JARS, &jars);
        running.insert(0, brokers.start(number));
        brokers.are_up(&mut running).await;
    }
    brokers.read(4 * RECORDS, 20).await;
    assert_eq!(brokers.committed(), 40);
    // Until somebody says that there is no way back.
    assert_eq!(metadata_version(&brokers), "4.0-IV3");
    finish_upgrade(&brokers);
    eventually(LIMIT, "the new format", async || metadata_version(&brokers) == "4.1-IV1").await;
    brokers.send(4 * RECORDS).await;
    brokers.read(5 * RECORDS, 20).await;
    // The last one would wait for the others, to hand over to them.
    for broker in running {
        kill(broker);
    }
}
