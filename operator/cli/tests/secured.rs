//! The tools against brokers that want TLS and passwords, with the client settings that people have.

#![expect(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::{fmt::Write, fs, path::Path, process::Command};

use storefront_testkit::{Authority, Listener, SecuredKafka, create_topics, produce};

/// Exit code and what was printed.
fn run(folder: &Path, arguments: &[&str], brokers: &str, settings: &str) -> (i32, String) {
    let file = folder.join("client.properties");
    fs::write(&file, settings).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_storefront"))
        .args(arguments)
        .args(["--kafka", brokers, "--kafka-config", file.to_str().unwrap()])
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tools_work_over_each_way_and_say_what_is_wrong() {
    let kafka = SecuredKafka::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let ca = file("ca.pem", &kafka.authority().pem());
    let other = file("other.pem", &Authority::new().unwrap().pem());
    let (certificate, key) = kafka.authority().certificate(&["shop"]).unwrap();
    let own = file("own.pem", &(key + &certificate));
    let (user, password) = (SecuredKafka::USER, SecuredKafka::PASSWORD);
    create_topics(kafka.kafka().bootstrap(), &["payment-successful"], 3).await.unwrap();
    produce(kafka.kafka().bootstrap(), "payment-successful", "ada", b"{}").await.unwrap();

    // As librdkafka has them, and as the Java tools have them.
    let tls = format!("security.protocol=SSL\nssl.ca.location={ca}");
    let java = |module: &str, mechanism: &str| {
        format!(
            "security.protocol=SASL_SSL\nssl.truststore.type=PEM\nssl.truststore.location={ca}\nsasl.mechanism={mechanism}\nsasl.jaas.config=org.apache.kafka.common.security.{module} required username=\"{user}\" password=\"{password}\";"
        )
    };
    let (scram, plain) = ("scram.ScramLoginModule", "plain.PlainLoginModule");
    let mutual = format!("{tls}\nssl.keystore.type=PEM\nssl.keystore.location={own}");
    let in_clear = format!(
        "security.protocol=sasl_plaintext\nsasl.mechanism=SCRAM-SHA-512\nsasl.username={user}\nsasl.password={password}"
    );
    for (listener, settings) in [
        (Listener::Tls, &tls),
        (Listener::Mutual, &mutual),
        (Listener::SaslTls, &java(scram, "SCRAM-SHA-512")),
        (Listener::SaslTls, &java(plain, "PLAIN")),
        (Listener::SaslPlain, &in_clear),
    ] {
        let brokers = kafka.bootstrap(listener);
        for (tool, expected) in [
            (&["topics", "payment-successful"][..], "payment-successful"),
            (&["groups"], "order-service"),
            (&["tail", "payment-successful"], "ada"),
            (&["dlq", "list"], "no dead letters"),
        ] {
            let (code, said) = run(folder.path(), tool, &brokers, settings);
            assert!(code == 0 && said.contains(expected), "{listener:?} {tool:?}: {code}\n{said}");
        }
    }

    let wrong = in_clear.replace(password, "hunter2");
    let untrusted = tls.replace(&ca, &other);
    let mut told = String::new();
    for (name, listener, settings) in [
        ("wrong password", Listener::SaslPlain, &wrong),
        ("other authority", Listener::Tls, &untrusted),
        ("other name", Listener::Misnamed, &tls),
        ("no settings", Listener::Tls, &String::new()),
        ("needless TLS", Listener::SaslPlain, &tls),
        ("no password", Listener::SaslTls, &tls),
        ("no certificate", Listener::Mutual, &tls),
    ] {
        let brokers = kafka.bootstrap(listener);
        let (code, said) = run(folder.path(), &["topics"], &brokers, settings);
        assert_eq!(code, 1, "{name}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
        writeln!(told, "{name}: {}", said.replace(&brokers, "BROKERS")).unwrap();
    }
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("secured", told);
    });
}
