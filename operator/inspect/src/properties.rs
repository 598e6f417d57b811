//! Client settings as people have them: the properties file of Kafka's own tools, or of librdkafka
//! (kcat). What Java says otherwise than librdkafka is translated; what cannot be is refused with what
//! to write instead.

use std::collections::BTreeMap;

use rdkafka::ClientConfig;

use crate::ConnectionError;

/// Settings of the Java clients that mean nothing here.
const JAVA_ONLY: [&str; 12] = [
    "auto.include.jmx.reporter",
    "buffer.memory",
    "default.api.timeout.ms",
    "key.deserializer",
    "key.serializer",
    "max.block.ms",
    "max.poll.records",
    "request.timeout.ms",
    "send.buffer.bytes",
    "value.deserializer",
    "value.serializer",
    "sasl.client.callback.handler.class",
];

/// Settings that decide what a command does; a file must not.
const OURS: [&str; 6] = [
    "auto.offset.reset",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "enable.partition.eof",
    "transactional.id",
];

/// One setting with the line it stands on.
struct Entry {
    line: usize,
    key: String,
    value: String,
}

/// Reads a file's text. `file` is for messages.
pub fn read(file: &str, text: &str) -> Result<BTreeMap<String, String>, ConnectionError> {
    let entries = entries(text);
    let get = |key: &str| entries.iter().find(|entry| entry.key == key).map(|e| e.value.as_str());
    let (truststore, keystore) = (get("ssl.truststore.type"), get("ssl.keystore.type"));
    let mut found = BTreeMap::new();
    for Entry { line, key, value } in &entries {
        let refuse =
            |problem: String| ConnectionError::Line { file: file.to_owned(), line: *line, problem };
        for (key, value) in translate(key, value, truststore, keystore).map_err(refuse)? {
            check(&key, &value).map_err(refuse)?;
            found.insert(key, value);
        }
    }
    Ok(found)
}

/// Lines `key=value` or `key: value`; `#` and `!` begin comments, `\` at the end joins two lines.
fn entries(text: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut pending: Option<(usize, String)> = None;
    for (number, raw) in (1..).zip(text.lines()) {
        let (line, mut whole) = pending.take().unwrap_or((number, String::new()));
        let part = raw.trim();
        if whole.is_empty() && (part.is_empty() || part.starts_with(['#', '!'])) {
            continue;
        }
        if let Some(part) = part.strip_suffix('\\') {
            whole.push_str(part);
            pending = Some((line, whole));
            continue;
        }
        whole.push_str(part);
        entries.push(entry(line, &whole));
    }
    entries.extend(pending.map(|(line, whole)| entry(line, &whole)));
    entries
}

fn entry(line: usize, text: &str) -> Entry {
    let (key, value) = text.split_once(['=', ':']).unwrap_or((text, ""));
    Entry { line, key: key.trim().to_owned(), value: value.trim().to_owned() }
}

type Pairs = Vec<(String, String)>;

/// A setting of either world as those of librdkafka.
fn translate(
    key: &str,
    value: &str,
    truststore: Option<&str>,
    keystore: Option<&str>,
) -> Result<Pairs, String> {
    let is = |kind: Option<&str>, name: &str| kind.is_some_and(|it| it.eq_ignore_ascii_case(name));
    let one = |key: &str| Ok(vec![(key.to_owned(), value.to_owned())]);
    match key {
        _ if JAVA_ONLY.contains(&key) || OURS.contains(&key) => Ok(Vec::new()),
        "sasl.jaas.config" => jaas(value),
        "ssl.truststore.type" | "ssl.keystore.type" | "ssl.truststore.password" => Ok(Vec::new()),
        "ssl.truststore.certificates" => one("ssl.ca.pem"),
        "ssl.truststore.location" if is(truststore, "PEM") => one("ssl.ca.location"),
        "ssl.truststore.location" => Err(
            "a Java keystore cannot be read here: write its certificates as PEM \
             (keytool -exportcert -rfc) and name that file in ssl.ca.location"
                .into(),
        ),
        "ssl.keystore.location" if is(keystore, "PEM") => Ok(vec![
            ("ssl.certificate.location".to_owned(), value.to_owned()),
            ("ssl.key.location".to_owned(), value.to_owned()),
        ]),
        "ssl.keystore.location" if is(keystore, "PKCS12") => one(key),
        "ssl.keystore.location" => Err(
            "a Java keystore cannot be read here: write it as PKCS12 and set ssl.keystore.type=PKCS12, \
             or name PEM files in ssl.certificate.location and ssl.key.location"
                .into(),
        ),
        "ssl.endpoint.identification.algorithm" if value.is_empty() => {
            Ok(vec![(key.to_owned(), "none".to_owned())])
        }
        _ => one(key),
    }
}

/// `…PlainLoginModule required username="shop" password="…";`
fn jaas(value: &str) -> Result<Pairs, String> {
    let known = ["PlainLoginModule", "ScramLoginModule"];
    if !known.iter().any(|module| value.contains(module)) {
        return Err("sasl.jaas.config names another module than PlainLoginModule or \
                    ScramLoginModule, which are those that can be used here"
            .into());
    }
    let option = |name: &str| {
        let after = value.split_once(&format!("{name}=\""))?.1;
        Some(after.split_once('"')?.0.to_owned())
    };
    match (option("username"), option("password")) {
        (Some(username), Some(password)) => {
            Ok(vec![("sasl.username".to_owned(), username), ("sasl.password".to_owned(), password)])
        }
        _ => Err("sasl.jaas.config must have username=\"…\" and password=\"…\"".into()),
    }
}

/// Asks librdkafka, which knows every key and its values. The value is not repeated: it may be a secret.
fn check(key: &str, value: &str) -> Result<(), String> {
    if key.is_empty() {
        return Err("write key=value".into());
    }
    let mut config = ClientConfig::new();
    config.set(key, value);
    match config.create_native_config() {
        Ok(_) => Ok(()),
        Err(error) => {
            let words = error.to_string();
            Err(if words.contains("No such configuration property") {
                format!("there is no setting {key}")
            } else {
                format!("{key} does not take this value")
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> String {
        match read("client.properties", text) {
            Ok(found) => {
                let pairs = found.iter().map(|(key, value)| format!("{key}={value}"));
                pairs.collect::<Vec<_>>().join("\n")
            }
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn both_worlds_are_understood() {
        let java = r#"
# MSK with SCRAM
bootstrap.servers=b-1.example.com:9096
security.protocol = SASL_SSL
sasl.mechanism: SCRAM-SHA-512
sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required \
    username="shop" \
    password="a=b:c";
ssl.truststore.type=PEM
ssl.truststore.location=/etc/ca.pem
ssl.endpoint.identification.algorithm=
key.deserializer=org.apache.kafka.common.serialization.StringDeserializer
enable.auto.commit=true
"#;
        assert_eq!(
            line(java),
            "bootstrap.servers=b-1.example.com:9096\nsasl.mechanism=SCRAM-SHA-512\n\
             sasl.password=a=b:c\nsasl.username=shop\nsecurity.protocol=SASL_SSL\n\
             ssl.ca.location=/etc/ca.pem\nssl.endpoint.identification.algorithm=none"
        );
        assert_eq!(line("sasl.username=shop\n! kcat's\n"), "sasl.username=shop");
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_its_line_and_without_its_value() {
        for (text, expected) in [
            ("\nsecurty.protocol=SSL", "2: there is no setting securty.protocol"),
            ("security.protocol=TLS", "1: security.protocol does not take this value"),
            ("ssl.truststore.location=a.jks", "1: a Java keystore cannot be read here"),
            ("ssl.keystore.location=a.jks", "1: a Java keystore cannot be read here"),
            ("sasl.jaas.config=x.OAuthBearerLoginModule required;", "1: sasl.jaas.config names"),
            ("sasl.jaas.config=x.PlainLoginModule required;", "1: sasl.jaas.config must have"),
            ("=x", "1: write key=value"),
        ] {
            let said = line(text);
            assert!(said.starts_with(&format!("error: client.properties:{expected}")), "{said}");
        }
        assert!(!line("sasl.pasword=hunter2").contains("hunter2"));
    }
}
