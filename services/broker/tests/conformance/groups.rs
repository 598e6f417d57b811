//! Consumer groups: who joins, leaves or dies, and what is read meanwhile.

use std::{
    collections::BTreeMap,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
    topic_partition_list::TopicPartitionListElem,
};

use crate::subject::{LIMIT, Subject, on_both};

on_both! {
    a_member_goes_on_where_the_group_stood
    members_share_by_range
    members_share_cooperatively
    members_share_by_the_new_protocol
    the_partitions_of_a_killed_member_are_taken_over
    groups_are_listed_and_deleted
}

async fn a_member_goes_on_where_the_group_stood(subject: &Subject) {
    let topic = subject.topic("group", 3).await;
    let (producer, group) = (subject.producer(&[]), subject.name("group"));
    subject.spread(&producer, &topic, 3, 90).await;
    let first = subject.consumer(&group, &[]);
    first.subscribe(&[&topic]).unwrap();
    assert_eq!(Subject::take(&first, 90).len(), 90);
    first.commit_consumer_state(CommitMode::Sync).unwrap();
    drop(first);
    subject.spread(&producer, &topic, 3, 30).await;

    let second = subject.consumer(&group, &[]);
    let mut all = TopicPartitionList::new();
    all.add_partition_range(&topic, 0, 2);
    let committed = second.committed_offsets(all, LIMIT).unwrap();
    let lag: i64 = committed
        .elements()
        .iter()
        .map(|place| {
            let Offset::Offset(offset) = place.offset() else { panic!("{:?}", place.offset()) };
            second.fetch_watermarks(&topic, place.partition(), LIMIT).unwrap().1 - offset
        })
        .sum();
    assert_eq!(lag, 30);
    second.subscribe(&[&topic]).unwrap();
    let seen = Subject::take(&second, 30);
    assert!(seen.len() == 30 && seen.iter().all(|seen| seen.offset >= 30), "{seen:?}");
    assert!(Subject::is_dry(&second));
}

async fn members_share_by_range(subject: &Subject) {
    share(subject, &[("partition.assignment.strategy", "range")]).await;
}

/// What the services use.
async fn members_share_cooperatively(subject: &Subject) {
    share(subject, &[("partition.assignment.strategy", "cooperative-sticky")]).await;
}

/// KIP-848.
async fn members_share_by_the_new_protocol(subject: &Subject) {
    share(subject, &[("group.protocol", "consumer")]).await;
}

type Places = Arc<Mutex<BTreeMap<(i32, i64), usize>>>;

/// A member that reads and commits in a thread of its own until it is told to leave.
struct Member {
    leaves: Arc<AtomicBool>,
    owned: Arc<Mutex<Vec<i32>>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Member {
    fn join(consumer: BaseConsumer, topic: &str, seen: &Places) -> Self {
        consumer.subscribe(&[topic]).unwrap();
        let (leaves, owned) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Vec<i32>>>::default());
        let (leaving, mine, seen) = (leaves.clone(), owned.clone(), seen.clone());
        let thread = thread::spawn(move || {
            while !leaving.load(Ordering::SeqCst) {
                if let Some(Ok(message)) = consumer.poll(Duration::from_millis(50)) {
                    let place = (message.partition(), message.offset());
                    *seen.lock().unwrap().entry(place).or_default() += 1;
                    // It may have lost the partition meanwhile; then the next owner reads it again.
                    consumer.commit_message(&message, CommitMode::Async).ok();
                }
                let owned = consumer.assignment().unwrap();
                *mine.lock().unwrap() =
                    owned.elements().iter().map(TopicPartitionListElem::partition).collect();
            }
            // What was read is committed before it leaves; nothing may have been read.
            consumer.commit_consumer_state(CommitMode::Sync).ok();
        });
        Self { leaves, owned, thread: Some(thread) }
    }

    fn owns(&self) -> Vec<i32> {
        self.owned.lock().unwrap().clone()
    }

    fn leave(mut self) {
        self.leaves.store(true, Ordering::SeqCst);
        self.thread.take().unwrap().join().unwrap();
    }
}

/// A second member joins and leaves while records come: each is read.
async fn share(subject: &Subject, more: &[(&str, &str)]) {
    let topic = subject.topic("shared", 4).await;
    let (group, seen) = (subject.name("sharers"), Places::default());
    let producer = subject.producer(&[]);
    let member = || Member::join(subject.consumer(&group, more), &topic, &seen);
    let send = async || subject.spread(&producer, &topic, 4, 100).await;
    let first = member();
    subject.eventually("all partitions of the first", || first.owns().len() == 4);
    send().await;
    let second = member();
    subject.eventually("two partitions each", || {
        let (one, other) = (first.owns(), second.owns());
        one.len() == 2 && other.len() == 2 && one.iter().all(|mine| !other.contains(mine))
    });
    send().await;
    second.leave();
    subject.eventually("all partitions of the first again", || first.owns().len() == 4);
    send().await;
    subject.eventually("every record", || seen.lock().unwrap().len() == 300);
    first.leave();
}

/// Killed when dropped, also when a check does not hold.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A client that somebody else wrote, killed without a word.
async fn the_partitions_of_a_killed_member_are_taken_over(subject: &Subject) {
    let topic = subject.topic("inherited", 2).await;
    let (group, seen) = (subject.name("heirs"), Places::default());
    let timeout = [("session.timeout.ms", "6000"), ("partition.assignment.strategy", "range")];
    let heir = Member::join(subject.consumer(&group, &timeout), &topic, &seen);
    subject.eventually("both partitions", || heir.owns().len() == 2);
    let other = Command::new("kcat")
        .args(["-b", &subject.bootstrap, "-q", "-X", "session.timeout.ms=6000"])
        .args(["-X", "partition.assignment.strategy=range", "-G", &group, &topic])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let other = Killed(other);
    subject.eventually("one partition each", || heir.owns().len() == 1);
    drop(other);
    subject.eventually("both partitions again", || heir.owns().len() == 2);
    heir.leave();
}

async fn groups_are_listed_and_deleted(subject: &Subject) {
    let topic = subject.topic("listed", 1).await;
    let group = subject.name("listed");
    subject.send(&subject.producer(&[]), &topic, 0, "k", b"v").await.unwrap();
    let member = subject.consumer(&group, &[]);
    member.subscribe(&[&topic]).unwrap();
    assert_eq!(Subject::take(&member, 1).len(), 1);
    member.commit_consumer_state(CommitMode::Sync).unwrap();
    drop(member);
    let reader = subject.consumer("reader", &[]);
    let is_listed = || {
        let list = reader.fetch_group_list(None, LIMIT).unwrap();
        list.groups().iter().any(|listed| listed.name() == group)
    };
    assert!(is_listed());
    storefront_testkit::eventually(LIMIT, "it is deleted once its member has left", async || {
        let deleted = subject.admin().delete_groups(&[&group], &Subject::options()).await;
        deleted.unwrap().remove(0).is_ok()
    })
    .await;
    subject.eventually("it is not listed any more", || !is_listed());
}
