//! Brokers that want TLS and passwords: a service consumes and sends over each way.

use std::{fs, path::PathBuf};

use storefront_contract::{
    Topic,
    settings::{KafkaSecurity, Sasl, SaslMechanism},
};
use storefront_testkit::{Listener, SecuredKafka};

use crate::{
    shop::{MIGRATIONS, Member, Orders, eventually_handled, eventually_sent, record},
    world::{Store, World},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_works_over_each_way_to_protect_a_connection() -> anyhow::Result<()> {
    let kafka = SecuredKafka::start().await?;
    let folder = tempfile::tempdir()?;
    let file = |name: &str, content: &str| -> anyhow::Result<PathBuf> {
        let path = folder.path().join(name);
        fs::write(&path, content)?;
        Ok(path)
    };
    let ca = file("ca.crt", &kafka.authority().pem())?;
    let username = file("username", SecuredKafka::USER)?;
    // An end of line comes with most ways to make a Secret.
    let password = file("password", &format!("{}\n", SecuredKafka::PASSWORD))?;
    let sasl = |mechanism| {
        let (username_file, password_file) = (username.clone(), password.clone());
        Some(Sasl { mechanism, username_file, password_file })
    };
    let tls = |sasl| KafkaSecurity { tls: true, ca_file: Some(ca.clone()), sasl };
    let ways = [
        (Listener::Tls, tls(None)),
        (Listener::SaslTls, tls(sasl(SaslMechanism::Plain))),
        (Listener::SaslTls, tls(sasl(SaslMechanism::ScramSha256))),
        (Listener::SaslTls, tls(sasl(SaslMechanism::ScramSha512))),
        (
            Listener::SaslPlain,
            KafkaSecurity { sasl: sasl(SaslMechanism::ScramSha512), ..KafkaSecurity::default() },
        ),
    ];
    for (listener, security) in ways {
        let mut world = World::at(kafka.kafka().bootstrap(), Store::sqlite()?).await?;
        world.secured = Some((kafka.bootstrap(listener), security));
        let database = world.store.open(MIGRATIONS).await;
        let member = Member::start(&world, &database, &Orders::default());
        world.send(&world.topic(Topic::PaymentSuccessful), &[record("ada", "s1")]).await?;
        eventually_handled(&database, 1).await;
        eventually_sent(&database).await;
        member.stop().await?;
        let orders = world.read(&world.topic(Topic::OrderSuccessful))?;
        assert_eq!(orders.len(), 1, "{listener:?}");
    }
    Ok(())
}
