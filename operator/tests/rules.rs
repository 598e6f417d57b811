//! Every rule of the Storefront with a case that holds and one that does not, evaluated as the API
//! server does. A rule without a case fails the test.

#![expect(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::collections::BTreeSet;

use kube::core::cel::Validator;
use serde_json::{Value, json};
use storefront_operator::{
    api::rules::{self, Rule},
    crd,
};

/// A rule, a `spec` for which it holds, and one for which it does not. What a spec lacks to be
/// complete is filled in.
const CASES: &[(Rule, &str, &str)] = &[
    (rules::CURRENCY, "currency: KWD", "currency: inr"),
    (rules::CATALOG_HAS_CURRENCY, "{currency: INR, catalog: {products: []}}", "catalog: {}"),
    (
        rules::STRIPE_HAS_CATALOG,
        "{catalog: {}, payment: {stripe: {secretRef: {name: a}}}}",
        "payment: {stripe: {secretRef: {name: a}}}",
    ),
    (rules::SHOP_NAME, "branding: {name: दुकान}", "branding: {name: ' '}"),
    (rules::SHOP_NAME, "branding: {name: A & B}", r#"branding: {name: "A\nB"}"#),
    (rules::COLOR, "branding: {primaryColor: '#7A1f3d'}", "branding: {primaryColor: red}"),
    (rules::COLOR, "branding: {accentColor: '#ffffff'}", "branding: {accentColor: '#fff'}"),
    (rules::PICTURE, "branding: {logo: /logo.svg}", "branding: {logo: logo.svg}"),
    (rules::PICTURE, "branding: {logo: 'https://a.example/a'}", "branding: {logo: '/a b'}"),
    (rules::CATALOG_ONE, "catalog: {products: []}", "catalog: {}"),
    (
        rules::CATALOG_ONE,
        "catalog: {configMapRef: {}}",
        "catalog: {products: [], configMapRef: {}}",
    ),
    (rules::PRODUCTS_SOME, "catalog: {products: [{id: a}]}", "catalog: {products: []}"),
    (
        rules::PRODUCTS_UNIQUE,
        "catalog: {products: [{id: a}, {id: A}]}",
        "catalog: {products: [{id: a}, {id: b}, {id: a}]}",
    ),
    (
        rules::PRODUCT_ID,
        "catalog: {products: [{id: a.B_1-x}]}",
        "catalog: {products: [{id: 'a:b'}]}",
    ),
    (rules::PRODUCT_ID, "catalog: {products: [{id: a}]}", "catalog: {products: [{id: 'a,b'}]}"),
    (rules::PRODUCT_ID, "catalog: {products: [{id: '0'}]}", "catalog: {products: [{id: ''}]}"),
    (
        rules::PRODUCT_NAME,
        "catalog: {products: [{name: चाय ☕}]}",
        "catalog: {products: [{name: ' '}]}",
    ),
    (
        rules::PRODUCT_NAME,
        "catalog: {products: [{name: a}]}",
        r#"catalog: {products: [{name: "a\nb"}]}"#,
    ),
    (
        rules::PRODUCT_PRICE,
        "catalog: {products: [{price: 0}]}",
        "catalog: {products: [{price: -1}]}",
    ),
    (
        rules::PRODUCT_PRICE,
        "catalog: {products: [{price: 999999999999}]}",
        "catalog: {products: [{price: 1000000000000}]}",
    ),
    (
        rules::PICTURE,
        "catalog: {products: [{image: /a.svg}]}",
        "catalog: {products: [{image: //evil.example/a.svg}]}",
    ),
    (
        rules::PICTURE,
        "catalog: {products: [{image: 'https://a.example/a'}]}",
        "catalog: {products: [{image: 'http://a.example/a'}]}",
    ),
    (
        rules::OBJECT_NAME,
        "catalog: {configMapRef: {name: a-1.b}}",
        "catalog: {configMapRef: {name: a/b}}",
    ),
    (
        rules::DATA_KEY,
        "catalog: {configMapRef: {key: a_B-1.json}}",
        "catalog: {configMapRef: {key: ../a}}",
    ),
    (rules::DATA_KEY, "catalog: {configMapRef: {key: .a}}", "catalog: {configMapRef: {key: ..a}}"),
    (rules::PAYMENT_ONE, "payment: {sandbox: {}}", "payment: {}"),
    (rules::PAYMENT_ONE, "payment: {stripe: {}}", "payment: {sandbox: {}, stripe: {}}"),
    (rules::KAFKA_ONE, "kafka: {}", "kafka: {managed: {}, strimzi: {}}"),
    (rules::KAFKA_ONE, "kafka: {external: {}}", "kafka: {external: {}, strimzi: {}}"),
    (
        rules::REPLICATION_FITS,
        "kafka: {managed: {replicas: 3}, topics: {replicationFactor: 3}}",
        "kafka: {managed: {}, topics: {replicationFactor: 2}}",
    ),
    (
        rules::REPLICATION_FITS,
        "kafka: {external: {}, topics: {replicationFactor: 5}}",
        "kafka: {topics: {replicationFactor: 2}}",
    ),
    (rules::KAFKA_REPLICAS, "kafka: {managed: {replicas: 3}}", "kafka: {managed: {replicas: 2}}"),
    (
        rules::BOOTSTRAP_SERVERS,
        "kafka: {external: {bootstrapServers: 'b-1.example:9092, b-2:9093'}}",
        "kafka: {external: {bootstrapServers: b-1.example}}",
    ),
    (rules::PREFIX, "kafka: {prefix: ''}", "kafka: {prefix: a/b}"),
    (rules::PARTITIONS, "kafka: {topics: {partitions: 200}}", "kafka: {topics: {partitions: 0}}"),
    (
        rules::REPLICATION_FACTOR,
        "kafka: {external: {}, topics: {replicationFactor: 9}}",
        "kafka: {external: {}, topics: {replicationFactor: 10}}",
    ),
    (
        rules::NO_COMPACTION,
        "kafka: {topics: {config: {cleanup.policy: delete, retention.ms: 5}}}",
        "kafka: {topics: {config: {cleanup.policy: 'compact,delete'}}}",
    ),
    (rules::DATABASE_ONE, "database: {}", "database: {managed: {}, external: {}}"),
    (rules::EMAIL_ONE, "email: {smtp: {}}", "email: {inbox: {}, smtp: {}}"),
    (rules::SMTP_HAS_FROM, "email: {from: a@b, smtp: {}}", "email: {smtp: {}}"),
    (rules::EMAIL_FROM, "email: {from: 'Demo <a+b@c.example>'}", "email: {from: Demo}"),
    (rules::EMAIL_FROM, "email: {from: a@b.example}", "email: {from: 'a@b.example, c@d.example'}"),
    (rules::EMAIL_FROM, "email: {from: '<a@b>'}", r#"email: {from: "a@b\r\nBcc: c@d"}"#),
    (rules::SEND_ON_SOME, "email: {sendOn: [order-successful]}", "email: {sendOn: []}"),
    (rules::MAX_AGE_HOURS, "email: {maxAgeHours: 8760}", "email: {maxAgeHours: 0}"),
    (
        rules::SMTP_HOST,
        "email: {smtp: {host: smtp.gmail.com}}",
        "email: {smtp: {host: 'smtp://a'}}",
    ),
    (rules::SMTP_HOST, "email: {smtp: {host: 10.0.0.1}}", "email: {smtp: {host: 169.254.169.254}}"),
    (rules::PORT, "email: {smtp: {port: 65535}}", "email: {smtp: {port: 65536}}"),
    (
        rules::NO_CLEAR_PASSWORD,
        "email: {smtp: {secretRef: {}}}",
        "email: {smtp: {tls: none, secretRef: {}}}",
    ),
    (
        rules::CA_NEEDS_TLS,
        "email: {smtp: {tls: implicit, caSecretRef: {}}}",
        "email: {smtp: {tls: none, caSecretRef: {}}}",
    ),
    (
        rules::HOST,
        "gateway: {host: shop.example.com}",
        "gateway: {host: 'https://shop.example.com'}",
    ),
    (
        rules::PUBLIC_URL,
        "gateway: {publicUrl: 'https://shop.example.com'}",
        "gateway: {publicUrl: shop.example.com}",
    ),
    (
        rules::PUBLIC_URL,
        "gateway: {publicUrl: 'http://127.0.0.1:8080/'}",
        "gateway: {publicUrl: 'http://127.0.0.1:8080/shop'}",
    ),
    (
        rules::PUBLIC_URL,
        "gateway: {publicUrl: 'http://localhost:65535'}",
        "gateway: {publicUrl: 'http://localhost:65536'}",
    ),
    (
        rules::PUBLIC_URL,
        "gateway: {publicUrl: 'https://a.b'}",
        "gateway: {publicUrl: 'https://user@a.b'}",
    ),
    (rules::HOST, "gateway: {host: localhost}", "gateway: {host: 'shop.example.com:8080'}"),
    (
        rules::NETWORKS,
        "gateway: {trustedProxies: [10.0.0.0/8, '::1']}",
        "gateway: {trustedProxies: [10.0.0.0/33]}",
    ),
    (rules::REQUEST_TIMEOUT, "gateway: {requestTimeoutMs: 10}", "gateway: {requestTimeoutMs: 9}"),
    (rules::REPLICAS, "services: {order: {replicas: 0}}", "services: {order: {replicas: -1}}"),
    (
        rules::IMAGE,
        "services: {order: {image: 'ghcr.io/shop/order:1@sha256:0a'}}",
        "services: {order: {image: '--privileged'}}",
    ),
    (
        rules::QUANTITY,
        "services: {order: {resources: {limits: {cpu: 2, memory: 1.5Gi}}}}",
        "services: {order: {resources: {limits: {cpu: -2}}}}",
    ),
    (
        rules::QUANTITY,
        "kafka: {managed: {storage: {size: 10Gi}}}",
        "kafka: {managed: {storage: {size: lots}}}",
    ),
    (
        rules::KAFKA_VERSION,
        "kafka: {managed: {version: 4.1.0}}",
        "kafka: {managed: {version: 3.9.1}}",
    ),
    (
        rules::KAFKA_VERSION,
        "kafka: {managed: {version: 4.10.12}}",
        "kafka: {managed: {version: '4'}}",
    ),
    (rules::ROUTE_HAS_HOST, "gateway: {host: a.example, ingress: {}}", "gateway: {ingress: {}}"),
    (rules::ROUTE_HAS_HOST, "gateway: {}", "gateway: {httpRoute: {}}"),
    (
        rules::PARENT_REFS_SOME,
        "gateway: {httpRoute: {parentRefs: [{name: public}]}}",
        "gateway: {httpRoute: {parentRefs: []}}",
    ),
    (
        rules::IMAGE_REGISTRY,
        "images: {registry: 'registry.example:5000/shop'}",
        "images: {registry: ghcr.io/shop/}",
    ),
    (rules::IMAGE_TAG, "images: {tag: 0.1.0}", "images: {tag: 'a:b'}"),
    (
        rules::ENV_NAME,
        "services: {order: {env: [{name: RUST_LOG}]}}",
        "services: {order: {env: [{name: 1-A}]}}",
    ),
    (
        rules::AUTOSCALING_COUNT,
        "services: {order: {autoscaling: {maxReplicas: 100}}}",
        "services: {order: {autoscaling: {maxReplicas: 101}}}",
    ),
    (
        rules::AUTOSCALING_ORDER,
        "services: {order: {autoscaling: {minReplicas: 2, maxReplicas: 2}}}",
        "services: {order: {autoscaling: {minReplicas: 3, maxReplicas: 2}}}",
    ),
    (
        rules::CPU_PERCENT,
        "services: {order: {autoscaling: {maxReplicas: 1, cpuPercent: 500}}}",
        "services: {order: {autoscaling: {maxReplicas: 1, cpuPercent: 0}}}",
    ),
    (
        rules::MAX_UNAVAILABLE,
        "services: {order: {disruptionBudget: {maxUnavailable: 25%}}}",
        "services: {order: {disruptionBudget: {maxUnavailable: -1}}}",
    ),
    (
        rules::MAX_UNAVAILABLE,
        "services: {order: {disruptionBudget: {maxUnavailable: 2}}}",
        "services: {order: {disruptionBudget: {maxUnavailable: half}}}",
    ),
    (
        rules::REPLICAS_OR_AUTOSCALING,
        "services: {order: {autoscaling: {maxReplicas: 1}}}",
        "services: {order: {autoscaling: {maxReplicas: 1}, replicas: 1}}",
    ),
];

/// Transition rules: before, an edit that is allowed, one that is not.
const TRANSITIONS: &[(Rule, &str, &str, &str)] = &[
    (rules::CURRENCY_STAYS, "currency: USD", "currency: USD", "currency: EUR"),
    (rules::CURRENCY_STAYS, "{}", "currency: INR", "currency: USD"),
    (rules::CURRENCY_STAYS, "currency: INR", "{}", "currency: inr"),
    (rules::PREFIX_STAYS, "{}", "kafka: {prefix: ''}", "kafka: {prefix: a}"),
    (rules::PREFIX_STAYS, "kafka: {prefix: a}", "kafka: {prefix: a, external: {}}", "{}"),
    (
        rules::KAFKA_REPLICAS_STAY,
        "{}",
        "kafka: {managed: {replicas: 1}}",
        "kafka: {managed: {replicas: 3}}",
    ),
    (
        rules::KAFKA_REPLICAS_STAY,
        "kafka: {managed: {replicas: 3}}",
        "kafka: {strimzi: {}}",
        "kafka: {}",
    ),
    (
        rules::KAFKA_VERSION_STAYS,
        "kafka: {managed: {version: 4.2.0}}",
        "kafka: {external: {}}",
        "{}",
    ),
    (
        rules::KAFKA_VERSION_STAYS,
        "kafka: {managed: {version: 4.2.0}}",
        "kafka: {managed: {version: 4.2.1}}",
        "kafka: {managed: {replicas: 1}}",
    ),
    (
        rules::KAFKA_STORAGE_GROWS,
        "{}",
        "kafka: {managed: {storage: {size: 10240Mi}}}",
        "kafka: {managed: {storage: {size: 9Gi}}}",
    ),
    (
        rules::KAFKA_STORAGE_GROWS,
        "kafka: {managed: {storage: {size: 20Gi}}}",
        "kafka: {external: {}}",
        "kafka: {prefix: ''}",
    ),
    (
        rules::DATABASE_STORAGE_GROWS,
        "database: {managed: {storage: {size: 1Ti}}}",
        "database: {managed: {storage: {size: 2Ti}}}",
        "database: {managed: {storage: {size: 1Gi}}}",
    ),
    (
        rules::STORAGE_CLASS_STAYS,
        "database: {managed: {storage: {storageClassName: fast}}}",
        "database: {managed: {storage: {storageClassName: fast, size: 20Gi}}}",
        "database: {managed: {storage: {storageClassName: slow}}}",
    ),
    (
        rules::KAFKA_NO_DOWNGRADE,
        "kafka: {managed: {version: 4.9.0}}",
        "kafka: {managed: {version: 4.10.0}}",
        "kafka: {managed: {version: 4.8.9}}",
    ),
];

struct Cluster {
    schema: Value,
    validator: Validator,
}

impl Cluster {
    fn new() -> Self {
        let mut definition = serde_json::to_value(crd::definition().unwrap()).unwrap();
        let schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].take();
        Self { schema, validator: Validator::new() }
    }

    /// Messages of the rules that do not hold for an object.
    fn refusals(&self, object: &Value, old: Option<&Value>) -> Vec<String> {
        let result = self.validator.validate(&self.schema, object, old);
        result.err().into_iter().flatten().map(|error| error.message).collect()
    }
}

fn object(spec: &str) -> Value {
    let mut spec: Value = serde_yaml::from_str(spec).unwrap();
    let fields = spec.as_object_mut().unwrap();
    fields.entry("payment").or_insert(json!({"sandbox": {}}));
    json!({"metadata": {"name": "demo"}, "spec": spec})
}

fn holds(refusals: &[String], rule: Rule) -> bool {
    !refusals.iter().any(|message| message == rule.1)
}

#[test]
fn every_rule_holds_and_fails_where_it_should() {
    let cluster = Cluster::new();
    for &(rule, right, wrong) in CASES {
        let refusals = cluster.refusals(&object(right), None);
        assert!(holds(&refusals, rule), "{right}\n{refusals:#?}");
        let refusals = cluster.refusals(&object(wrong), None);
        assert!(!holds(&refusals, rule), "{wrong}\nexpected: {}\n{refusals:#?}", rule.1);
    }
}

#[test]
fn an_edit_cannot_change_what_must_stay() {
    let cluster = Cluster::new();
    for &(rule, before, right, wrong) in TRANSITIONS {
        let before = object(before);
        let refusals = cluster.refusals(&object(right), Some(&before));
        assert!(holds(&refusals, rule), "{right}\n{refusals:#?}");
        let refusals = cluster.refusals(&object(wrong), Some(&before));
        assert!(!holds(&refusals, rule), "{wrong}\n{refusals:#?}");
        // On creation there is nothing to compare with.
        assert!(holds(&cluster.refusals(&object(wrong), None), rule), "{wrong}");
    }
}

#[test]
fn names_of_objects_can_be_made_from_the_shops_name() {
    let cluster = Cluster::new();
    let refusals = |name: &str| {
        let object = json!({"metadata": {"name": name}, "spec": {"payment": {"sandbox": {}}}});
        cluster.refusals(&object, None)
    };
    for name in ["a", "demo-1", &"a".repeat(40)] {
        assert!(holds(&refusals(name), rules::NAME), "{name}");
    }
    for name in ["1a", "a-", "a.b", "A", &"a".repeat(41)] {
        assert!(!holds(&refusals(name), rules::NAME), "{name}");
    }
}

#[test]
fn no_rule_is_without_a_case() {
    let mut tested: BTreeSet<_> = CASES.iter().map(|case| case.0.1.to_owned()).collect();
    tested.extend(TRANSITIONS.iter().map(|case| case.0.1.to_owned()));
    tested.insert(rules::NAME.1.to_owned());
    let mut written = BTreeSet::new();
    collect(&Cluster::new().schema, &mut written);
    assert_eq!(written, tested);
}

fn collect(node: &Value, messages: &mut BTreeSet<String>) {
    match node {
        Value::Object(fields) => {
            for rule in fields
                .get("x-kubernetes-validations")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                messages.insert(rule["message"].as_str().unwrap().to_owned());
            }
            fields.values().for_each(|child| collect(child, messages));
        }
        Value::Array(entries) => entries.iter().for_each(|child| collect(child, messages)),
        _ => {}
    }
}
