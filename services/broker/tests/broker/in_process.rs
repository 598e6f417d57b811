//! Brokers inside the test process.

use std::{error::Error, io::ErrorKind, net::SocketAddr};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use storefront_broker::{BrokerError, EmbeddedBroker};

use crate::client::Client;

fn anywhere() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

#[tokio::test]
async fn brokers_in_one_process_are_separate_and_forget_without_a_folder() {
    let one = EmbeddedBroker::start(anywhere(), None).unwrap();
    let other = EmbeddedBroker::start(anywhere(), None).unwrap();
    assert_ne!(one.bootstrap(), other.bootstrap());

    let client = Client::new(one.bootstrap());
    client.create("orders", &[]).await.unwrap();
    client.send("orders", &[b"a", b"b"]).await.unwrap();
    assert_eq!(client.read("orders"), [b"a", b"b"]);
    assert_eq!(client.create("orders", &[]).await, Err(RDKafkaErrorCode::TopicAlreadyExists));
    assert_eq!(Client::new(other.bootstrap()).topics(), [""; 0]);

    let address: SocketAddr = one.bootstrap().parse().unwrap();
    drop(one);
    let again = EmbeddedBroker::start(address, None).unwrap();
    assert_eq!(Client::new(again.bootstrap()).topics(), [""; 0]);
}

#[tokio::test]
async fn a_folder_keeps_everything_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("made/when/missing");
    {
        let broker = EmbeddedBroker::start(anywhere(), Some(&data)).unwrap();
        let client = Client::new(broker.bootstrap());
        client.create("orders", &[]).await.unwrap();
        client.send("orders", &[b"a", b"b"]).await.unwrap();
        assert_eq!(client.consume("order-service", "orders", 1), [b"a"]);
    }
    let broker = EmbeddedBroker::start(anywhere(), Some(&data)).unwrap();
    let client = Client::new(broker.bootstrap());
    assert_eq!(client.read("orders"), [b"a", b"b"]);
    assert_eq!(client.consume("order-service", "orders", 1), [b"b"]);
}

#[tokio::test]
async fn a_topic_that_nobody_made_is_an_error() {
    let broker = EmbeddedBroker::start(anywhere(), None).unwrap();
    let client = Client::new(broker.bootstrap());
    let error = client.send("order-succesful", &[b"a"]).await.unwrap_err();
    let unknown = [RDKafkaErrorCode::UnknownTopic, RDKafkaErrorCode::UnknownTopicOrPartition];
    assert!(unknown.contains(&error.rdkafka_error_code().unwrap()), "{error}");
    assert_eq!(client.topics(), [""; 0]);
}

#[tokio::test]
async fn the_size_of_messages_is_limited_by_topic() {
    let broker = EmbeddedBroker::start(anywhere(), None).unwrap();
    let client = Client::new(broker.bootstrap());
    client.create("orders", &[]).await.unwrap();
    client.create("orders.dlq", &[("max.message.bytes", "2097152")]).await.unwrap();
    let large = vec![b'x'; 1_500_000];
    assert_eq!(
        client.send("orders", &[&large]).await,
        Err(KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge))
    );
    client.send("orders.dlq", &[&large]).await.unwrap();
    assert_eq!(client.read("orders.dlq"), [large]);
}

#[test]
fn each_reason_not_to_start_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let broker = EmbeddedBroker::start(anywhere(), Some(folder.path())).unwrap();

    let taken: SocketAddr = broker.bootstrap().parse().unwrap();
    let error = EmbeddedBroker::start(taken, None).unwrap_err();
    assert_eq!(error.to_string(), format!("the embedded Kafka broker cannot listen on {taken}"));
    let source: &std::io::Error = error.source().unwrap().downcast_ref().unwrap();
    assert_eq!(source.kind(), ErrorKind::AddrInUse);

    let error = EmbeddedBroker::start(anywhere(), Some(folder.path())).unwrap_err();
    assert!(matches!(&error, BrokerError::InUse { folder: f } if f == folder.path()), "{error}");

    let file = folder.path().join("meta.json");
    let error = EmbeddedBroker::start(anywhere(), Some(&file)).unwrap_err();
    assert!(matches!(&error, BrokerError::Folder { .. }), "{error}");

    drop(broker);
    std::fs::write(&file, "not what it wrote").unwrap();
    let error = EmbeddedBroker::start(anywhere(), Some(folder.path())).unwrap_err();
    assert_eq!(error.reason(), "BrokerNotStarted");
    assert!(error.to_string().contains("meta.json"), "{error}");

    // A failed start leaves neither the folder nor a port behind.
    std::fs::remove_file(&file).unwrap();
    EmbeddedBroker::start(taken, Some(folder.path())).unwrap();
}
