//! What a manifest becomes on a laptop: one file a case, one reviewed snapshot each; and that every
//! service reads back what was written for it. What it becomes in a cluster is in `render.rs`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed expectation fails the test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use proptest::prelude::*;
use serde_json::{Value, json};
use storefront_contract::ServiceId;
use storefront_operator::{
    Storefront, manifest,
    plan::{Local, LocalAddress, Placement, Plan, ServiceSettings, plan},
};

fn load(path: &Path) -> Storefront {
    let text = fs::read_to_string(path).unwrap();
    manifest::load("case.yaml", &text).unwrap_or_else(|error| panic!("{error}")).storefront
}

fn storefront(spec: &Value) -> Storefront {
    let object = json!({
        "apiVersion": "storefront.dev/v1alpha1",
        "kind": "Storefront",
        "metadata": {"name": "demo"},
        "spec": spec,
    });
    serde_json::from_value(object).unwrap()
}

fn cluster(storefront: &Storefront) -> Placement {
    let namespace = storefront.metadata.namespace.as_deref().unwrap_or("default");
    Placement::cluster(storefront, namespace).unwrap()
}

fn laptop() -> Local {
    let address = |port: u16| ([127, 0, 0, 1], port).into();
    let services = (1..)
        .zip(ServiceId::ALL)
        .map(|(n, id)| (id, LocalAddress { http: address(8000 + n), admin: address(9000 + n) }));
    Local {
        data: "/data".into(),
        services: services.collect(),
        sandbox: address(12111),
        smtp: address(1025),
        brokers: vec!["127.0.0.1:9092".into()],
        broker_count: 1,
        own_brokers: false,
        database: None,
        stripe_api_base: None,
        sweep_interval_ms: None,
        smtp_server: None,
        secrets: None,
        without: BTreeSet::new(),
        config_maps: BTreeSet::new(),
    }
}

/// Everything of a plan that people review.
fn shown(plan: &Plan) -> String {
    let topics = plan.topics.iter().map(|topic| {
        let counts =
            format!("{} partitions, {} copies", topic.partitions, topic.replication_factor);
        (topic.name.clone(), json!({"size": counts, "config": topic.config}))
    });
    let services = plan.services.iter().map(|service| {
        let mut shown = json!({"settings": service.settings.write()});
        if let Some(replicas) = service.replicas {
            shown["replicas"] = json!(replicas);
        }
        if let Some(image) = &service.image {
            shown["image"] = json!(image);
        }
        if let Some(resources) = &service.resources {
            shown["resources"] = json!(resources);
        }
        (service.id.name().to_owned(), shown)
    });
    let shown = json!({
        "shop": plan.shop.id(),
        "currency": plan.currency,
        "catalog": format!("{:?}", plan.catalog),
        "topicPolicy": format!("{:?}", plan.topic_policy),
        "topics": topics.collect::<BTreeMap<_, _>>(),
        "services": services.collect::<BTreeMap<_, _>>(),
        "notes": plan.notes,
    });
    serde_yaml::to_string(&shown).unwrap()
}

#[test]
fn what_a_manifest_becomes_on_a_laptop() {
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::glob!("cases/*.yaml", |path| {
            let storefront = load(path);
            let local = laptop();
            let placement = Placement::local(&storefront, &local).unwrap();
            let differences: Vec<_> =
                local.differences(&storefront.spec).iter().map(ToString::to_string).collect();
            let plan = plan(&storefront, &placement).unwrap();
            let differences = differences.join("\n");
            insta::assert_snapshot!(format!("{differences}\n---\n{}", shown(&plan)));
        });
    });
}

/// Everything that a browser opens is there: the address that is written, or the host's, or that of a port
/// which is forwarded to a laptop.
#[test]
fn a_browser_is_sent_to_where_it_can_reach_the_shop() {
    let urls = |gateway: Value| {
        let storefront: Storefront = serde_json::from_value(json!({
            "apiVersion": "storefront.dev/v1alpha1",
            "kind": "Storefront",
            "metadata": {"name": "demo"},
            "spec": {"payment": {"sandbox": {}}, "gateway": gateway},
        }))
        .unwrap();
        let placement = Placement::cluster(&storefront, "shops").unwrap();
        let plan = plan(&storefront, &placement).unwrap();
        let settings = plan.services.iter().map(|service| service.settings.write());
        let told: BTreeSet<_> = settings.filter_map(|s| s.get("PUBLIC_URL").cloned()).collect();
        assert_eq!(told, BTreeSet::from([placement.public_url.to_string()]));
        placement.public_url.to_string()
    };
    assert_eq!(urls(json!({})), "http://127.0.0.1:8080/");
    assert_eq!(urls(json!({"host": "shop.example.com"})), "https://shop.example.com/");
    // An Ingress without a certificate; nothing is known of a Gateway's.
    let (host, bare) = ("shop.example.com", json!({}));
    let tls = json!({"tlsSecretRef": {"name": "shop-tls"}});
    let route = json!({"parentRefs": [{"name": "public"}]});
    for (gateway, url) in [
        (json!({"host": host, "ingress": bare}), "http://shop.example.com/"),
        (json!({"host": host, "ingress": tls}), "https://shop.example.com/"),
        (json!({"host": host, "httpRoute": route}), "https://shop.example.com/"),
        (json!({"host": host, "httpRoute": route, "ingress": bare}), "https://shop.example.com/"),
        (
            json!({"host": host, "ingress": bare, "publicUrl": "https://shop.example.com"}),
            "https://shop.example.com/",
        ),
    ] {
        assert_eq!(urls(gateway.clone()), url, "{gateway}");
    }
    let written = json!({"host": "shop.example.com", "publicUrl": "http://shop.local:8081"});
    assert_eq!(urls(written), "http://shop.local:8081/");
}

#[test]
fn the_command_line_decides_where_things_are() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/live.yaml");
    let storefront = load(&path);
    let local = Local {
        secrets: Some("/secrets".into()),
        stripe_api_base: Some("http://127.0.0.1:4242".parse().unwrap()),
        database: Some("postgres://shop@localhost/shop".into()),
        smtp_server: Some(("localhost".into(), 2525)),
        without: BTreeSet::from([ServiceId::Order, ServiceId::Analytics]),
        own_brokers: true,
        broker_count: 3,
        ..laptop()
    };
    let placement = Placement::local(&storefront, &local).unwrap();
    let differences: Vec<_> =
        local.differences(&storefront.spec).iter().map(ToString::to_string).collect();
    let shown = shown(&plan(&storefront, &placement).unwrap());
    insta::assert_snapshot!(format!("{}\n---\n{shown}", differences.join("\n")));
}

/// What an API server with an older definition may let through.
#[test]
fn the_plan_itself_refuses_what_cannot_work() {
    let spec = json!({
        "branding": {"name": "A\nB", "logo": "logo.svg", "primaryColor": "#fff", "accentColor": "red"},
        "currency": "inr",
        "catalog": {"products": [
            {"id": "a:b", "name": " ", "price": -1, "image": "a.svg"},
            {"id": "c", "name": "C", "price": 1},
            {"id": "c", "name": "C", "price": 1_000_000_000_000_i64},
        ]},
        "payment": {"sandbox": {}, "stripe": {"secretRef": {"name": "../stripe"}}},
        "kafka": {
            "managed": {},
            "external": {"bootstrapServers": "b:9092"},
            "prefix": "a/b",
            "topics": {
                "partitions": 0,
                "replicationFactor": 3,
                "config": {
                    "cleanup.policy": "compact",
                    "min.insync.replicas": 4,
                    "max.message.bytes": "1M",
                    "retention.ms": "week",
                },
            },
        },
        "database": {"managed": {}, "external": {"secretRef": {"name": "db", "key": "..url"}}},
        "email": {
            "inbox": {},
            "smtp": {"host": "169.254.169.254", "port": 0, "tls": "none", "secretRef": {"name": "s"}},
            "from": "a@b, c@d",
            "sendOn": [],
            "maxAgeHours": 0,
        },
        "gateway": {
            "trustedProxies": ["10.0.0.0/99"],
            "requestTimeoutMs": 1,
            "publicUrl": "https://shop.example.com/shop",
        },
        "services": {"order": {
            "replicas": -1,
            "podMetadata": {"labels": {"team": "check out", "app.kubernetes.io/name": "mine"}},
        }},
        "podMetadata": {
            "labels": {"example.com/": "a", "a".repeat(64): "b"},
            "annotations": {
                "container.apparmor.security.beta.kubernetes.io/order": "unconfined",
                "sub.storefront.dev/retain": "false",
            },
        },
    });
    let mut storefront = storefront(&spec);
    storefront.metadata.name = Some("Demo".into());
    let error = plan(&storefront, &cluster(&storefront)).unwrap_err();
    assert_eq!(error.reason(), "RuleBroken");
    insta::assert_snapshot!(error);
}

#[test]
fn a_variable_cannot_replace_a_setting() {
    let spec = json!({
        "payment": {"sandbox": {}},
        "services": {"order": {"env": [
            {"name": "RUST_LOG", "value": "debug"},
            {"name": "KAFKA_BROKERS", "value": "other:9092"},
        ]}},
    });
    let storefront = storefront(&spec);
    let error = plan(&storefront, &cluster(&storefront)).unwrap_err();
    assert_eq!(error.reason(), "ReservedVariable");
    insta::assert_snapshot!(error, @"spec.services.order.env[1].name: KAFKA_BROKERS is computed from the rest of the manifest: change the field that it comes from");
}

/// One of several values for a block, or nothing.
fn block(name: &'static str, values: Vec<Value>) -> impl Strategy<Value = Option<(String, Value)>> {
    prop::option::of(prop::sample::select(values).prop_map(move |value| (name.to_owned(), value)))
}

prop_compose! {
    fn any_spec()(
        stripe in any::<bool>(),
        currency in "[A-Z]{3}",
        branding in block("branding", vec![
            json!({"name": " \u{915}\u{93e} & Co, ", "logo": "/logo.svg"}),
            json!({"primaryColor": "#ABCDEF", "accentColor": "#000000", "logo": "https://a.b/c"}),
        ]),
        kafka in block("kafka", vec![
            json!({}),
            json!({"managed": {"replicas": 3}, "prefix": "blue."}),
            json!({"external": {"bootstrapServers": "a:1, b:2", "tls": {}}}),
            json!({"external": {"bootstrapServers": "a:1", "tls": {"caSecretRef": {"name": "k", "key": "ca"}},
                   "sasl": {"mechanism": "PLAIN", "secretRef": {"name": "k"}}}}),
            json!({"strimzi": {"cluster": "main"}, "topics": {"partitions": 12}}),
        ]),
        database in block("database", vec![
            json!({"managed": {}}),
            json!({"external": {"secretRef": {"name": "db", "key": "url"}}}),
        ]),
        email in block("email", vec![
            json!({"inbox": {}, "from": "\"Quoted, or not\" <a@b>".replace(',', "")}),
            json!({"smtp": {"host": "mail", "tls": "implicit", "secretRef": {"name": "m"}}, "from": "a@b"}),
            json!({"sendOn": ["order-successful", "payment-successful"], "maxAgeHours": 1}),
        ]),
        gateway in block("gateway", vec![
            json!({"host": "shop.example.com", "pages": false}),
            json!({"trustedProxies": ["10.0.0.0/8", "::1"], "requestTimeoutMs": 10}),
            json!({"host": "shop.example.com", "publicUrl": "http://127.0.0.1:8081/"}),
        ]),
        off in prop::collection::btree_set(prop::sample::select(ServiceId::ALL.to_vec()), 0..3),
    ) -> Value {
        let payment = if stripe {
            json!({"stripe": {"secretRef": {"name": "stripe"}}})
        } else {
            json!({"sandbox": {}})
        };
        let mut spec = json!({
            "currency": currency,
            "catalog": {"products": [{"id": "a", "name": "A", "price": 1}]},
            "payment": payment,
            "services": off.iter().map(|id| (id.name().to_owned(), json!({"enabled": false})))
                .collect::<serde_json::Map<_, _>>(),
        });
        for (name, value) in [branding, kafka, database, email, gateway].into_iter().flatten() {
            spec[name] = value;
        }
        spec
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// In a cluster and on a laptop alike.
    #[test]
    fn a_service_reads_what_was_written_for_it(
        spec in any_spec(),
        folder in "/[a-zA-Z0-9 ._-]{1,20}[a-z]",
        secrets in any::<bool>(),
    ) {
        let storefront = storefront(&spec);
        let secrets = secrets.then(|| "/secrets".into());
        let local = Local { data: folder.into(), secrets, ..laptop() };
        for placement in [cluster(&storefront), Placement::local(&storefront, &local).unwrap()] {
            let plan = plan(&storefront, &placement).unwrap();
            for service in &plan.services {
                let read = ServiceSettings::read(service.id, &service.settings.write());
                prop_assert_eq!(read.as_ref(), Ok(&service.settings));
            }
        }
    }
}
