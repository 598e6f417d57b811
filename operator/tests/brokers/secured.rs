//! Brokers that want TLS and passwords, as hosted ones do: the operator's own calls work over each way, and
//! what is wrong is told with the field to look after.

use serde_json::{Value, json};
use storefront_testkit::{Authority, Listener, SecuredKafka};

use crate::world::{World, on_brokers};

fn external(bootstrap: &str, prefix: &str, tls: Option<&Value>, sasl: Option<&str>) -> Value {
    let mut external = json!({"bootstrapServers": bootstrap});
    if let Some(tls) = tls {
        external["tls"] = tls.clone();
    }
    if let Some(mechanism) = sasl {
        external["sasl"] = json!({"mechanism": mechanism, "secretRef": {"name": "user"}});
    }
    let topics = json!({"replicationFactor": 1});
    on_brokers(&json!({"external": external, "prefix": prefix, "topics": topics}))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_speaks_with_brokers_that_want_tls_and_passwords() {
    let (world, kafka) = (World::new("secured").await, SecuredKafka::start().await.unwrap());
    let other = Authority::new().unwrap().pem();
    let (ca, user, password) =
        (kafka.authority().pem(), SecuredKafka::USER, SecuredKafka::PASSWORD);
    world.secret("ca", &[("ca.crt", &ca), ("other.crt", &other)]).await;
    // An end of line comes with most ways to make a Secret.
    world.secret("user", &[("username", user), ("password", &format!("{password}\n"))]).await;
    let tls = json!({"caSecretRef": {"name": "ca", "key": "ca.crt"}});
    let ways = [
        (Listener::Tls, Some(&tls), None),
        (Listener::SaslTls, Some(&tls), Some("PLAIN")),
        (Listener::SaslTls, Some(&tls), Some("SCRAM-SHA-256")),
        (Listener::SaslTls, Some(&tls), Some("SCRAM-SHA-512")),
        (Listener::SaslPlain, None, Some("SCRAM-SHA-512")),
    ];
    let shops = ways.iter().enumerate().map(|(number, (listener, tls, sasl))| {
        let (shop, prefix) = (world.shop(&format!("way-{number}")), storefront_testkit::prefix());
        let spec = external(&kafka.bootstrap(*listener), &prefix, *tls, *sasl);
        async move {
            shop.apply(&spec).await;
            shop.comes_to("TopicsReady", "True", "AsPlanned").await;
            shop.delete().await;
        }
    });
    futures_util::future::join_all(shops).await;

    world.secret("user", &[("username", user), ("password", "wrong")]).await;
    let untrusted = json!({"caSecretRef": {"name": "ca", "key": "other.crt"}});
    let usual = json!({});
    let troubles = [
        ("wrong-password", Listener::SaslTls, Some(&tls), Some("SCRAM-SHA-512")),
        ("wrong-password-sent", Listener::SaslTls, Some(&tls), Some("PLAIN")),
        ("other-authority", Listener::Tls, Some(&untrusted), None),
        ("usual-authorities", Listener::Tls, Some(&usual), None),
        ("other-name", Listener::Misnamed, Some(&tls), None),
        ("no-tls", Listener::Tls, None, None),
        ("no-tls-with-password", Listener::SaslTls, None, Some("SCRAM-SHA-512")),
        ("needless-tls", Listener::SaslPlain, Some(&tls), Some("SCRAM-SHA-512")),
        ("no-password", Listener::SaslTls, Some(&tls), None),
        ("client-certificate", Listener::Mutual, Some(&tls), None),
    ];
    let shops = troubles.iter().map(|(name, listener, tls, sasl)| {
        let (shop, bootstrap) = (world.shop(name), kafka.bootstrap(*listener));
        let spec = external(&bootstrap, &storefront_testkit::prefix(), *tls, *sasl);
        async move {
            shop.apply(&spec).await;
            let told = shop.comes_to("KafkaReady", "False", "Unreachable").await;
            assert!(!told.contains(password) && !told.contains("wrong"), "{told}");
            format!("{name}: {}", told.replace(&bootstrap, "BROKERS"))
        }
    });
    let told = futures_util::future::join_all(shops).await.join("\n\n");
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("secured", told);
    });
}
