//! What a real API server refuses, the command refuses too, at the same field and in the same words: every
//! rule of the definition wherever it hangs, and whatever else the schema says.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed expectation fails the test")]

mod schema;
mod values;

use std::{collections::BTreeSet, fs, path::Path};

use kube::{Client, core::Status};
use serde_json::{Value, json};
use storefront_operator::{api::rules, crd, manifest};
use storefront_testkit::{Kubernetes, define};
use values::{CHANGED, WRONG};

const SHOPS: &str = "/apis/storefront.dev/v1alpha1/namespaces/default/storefronts";

/// Fields and what is said about each.
type Said = BTreeSet<(String, String)>;

struct Server {
    client: Client,
    schema: Value,
    _kubernetes: Kubernetes,
}

impl Server {
    async fn start() -> Self {
        let kubernetes = Kubernetes::private().await.unwrap();
        let client = kubernetes.client().unwrap();
        let definition = crd::definition().unwrap();
        define(&client, &definition).await.unwrap();
        let mut schema = serde_json::to_value(definition).unwrap();
        let schema = schema["spec"]["versions"][0]["schema"]["openAPIV3Schema"].take();
        Self { client, schema, _kubernetes: kubernetes }
    }

    /// Asks for an object as `kubectl create --dry-run=server --validate=strict` does.
    async fn create(&self, object: &Value, dry_run: bool) -> Result<Value, Box<Status>> {
        let dry_run = if dry_run { "&dryRun=All" } else { "" };
        let uri = format!("{SHOPS}?fieldValidation=Strict{dry_run}");
        self.ask(http::Request::post(uri), object).await
    }

    async fn replace(&self, object: &Value) -> Result<Value, Box<Status>> {
        let name = object["metadata"]["name"].as_str().unwrap();
        let uri = format!("{SHOPS}/{name}?fieldValidation=Strict&dryRun=All");
        self.ask(http::Request::put(uri), object).await
    }

    async fn ask(
        &self,
        request: http::request::Builder,
        object: &Value,
    ) -> Result<Value, Box<Status>> {
        let request = request.header("content-type", "application/json");
        let request = request.body(serde_json::to_vec(object).unwrap()).unwrap();
        match self.client.request(request).await {
            Ok(value) => Ok(value),
            Err(kube::Error::Api(status)) => Err(status),
            Err(error) => panic!("{error}"),
        }
    }
}

fn object(name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "storefront.dev/v1alpha1",
        "kind": "Storefront",
        "metadata": {"name": name},
        "spec": spec,
    })
}

/// A spec that has `value` at `path`, and what else a shop must have.
fn spec(schema: &Value, path: &[String], value: &Value) -> Value {
    let mut spec = schema::with(&schema["properties"]["spec"], path, value);
    if spec["payment"] == json!({}) && path.first().is_some_and(|block| block != "payment") {
        spec["payment"] = json!({"sandbox": {}});
    }
    spec
}

fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap()
}

/// What the API server says.
fn remote(status: &Status) -> Said {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let said = causes.map(|cause| (cause.field.clone(), cause.message.clone()));
    said.collect()
}

/// What the command says.
fn local(object: &Value) -> Said {
    let text = serde_yaml::to_string(object).unwrap();
    let problems = manifest::load("shop.yaml", &text).err().into_iter().flat_map(|e| e.problems);
    problems.map(|problem| (problem.path, problem.message)).collect()
}

/// Which rules are broken, and where: what else is said stays out.
fn broken(said: &Said, rules: &BTreeSet<&str>) -> Said {
    let rule = |(field, message): &(String, String)| {
        let rule = rules.iter().find(|rule| message.ends_with(*rule))?;
        // The API server has no field for the object as a whole.
        let field = if field == "<nil>" || field.is_empty() { "metadata.name" } else { field };
        Some((field.to_owned(), (*rule).to_owned()))
    };
    said.iter().filter_map(rule).collect()
}

/// A message without the field that it begins with where it cannot hang on it.
fn bare(message: &str) -> &str {
    message.strip_prefix("metadata.name ").unwrap_or(message)
}

/// A rule's place and message.
type Hanging<'a> = (schema::Path, &'a str);

/// The rules of a definition, those of transitions apart.
fn all_rules(schema: &Value) -> (Vec<Hanging<'_>>, Vec<Hanging<'_>>) {
    let (mut of_values, mut of_edits) = (Vec::new(), Vec::new());
    schema::walk(schema, &mut Vec::new(), &mut |node, path| {
        for rule in node["x-kubernetes-validations"].as_array().into_iter().flatten() {
            let is_edit = rule["rule"].as_str().unwrap().contains("oldSelf");
            let list = if is_edit { &mut of_edits } else { &mut of_values };
            list.push((path.clone(), rule["message"].as_str().unwrap()));
        }
    });
    (of_values, of_edits)
}

/// Applied on the side of the server, a block whose last field goes is made null by Kubernetes
/// (kubernetes/kubernetes#135841). That must not count as none: an Ingress would go, or TLS.
async fn an_emptied_block_is_never_taken_for_none(server: &Server) {
    let apply = async |spec: &Value| {
        let uri = format!("{SHOPS}/emptied?fieldManager=me&force=true");
        let request =
            http::Request::patch(uri).header("content-type", "application/apply-patch+yaml");
        let request = request.body(serde_json::to_vec(&object("emptied", spec)).unwrap()).unwrap();
        server.client.request::<Value>(request).await
    };
    let with = |block: &Value| {
        let gateway = json!({"host": "shop.example.com", "ingress": block});
        json!({"payment": {"sandbox": {}}, "gateway": gateway})
    };
    apply(&with(&json!({"className": "nginx"}))).await.unwrap();
    match apply(&with(&json!({}))).await {
        Ok(kept) => assert_eq!(kept["spec"]["gateway"]["ingress"], json!({})),
        Err(refused) => assert!(refused.to_string().contains("spec.gateway.ingress"), "{refused}"),
    }
    // As docs/operator.md says: without it, and then with it.
    let mut without = with(&json!({}));
    without["gateway"].as_object_mut().unwrap().remove("ingress");
    apply(&without).await.unwrap();
    let kept = apply(&with(&json!({}))).await.unwrap();
    assert_eq!(kept["spec"]["gateway"]["ingress"], json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rule_is_told_by_the_api_server_and_by_the_command() {
    let server = Server::start().await;
    an_emptied_block_is_never_taken_for_none(&server).await;
    let (of_values, of_edits) = all_rules(&server.schema);
    // Neither can hang a rule on a field of metadata: they tell it of the object, and it names the field.
    let messages = WRONG.iter().map(|(rule, _)| rule.1).chain([bare(rules::NAME.1)]);
    let messages = messages.chain(CHANGED.iter().map(|(rule, ..)| rule.1)).collect();
    for (path, message) in &of_values {
        let place = schema::shown(path);
        let object = if *message == rules::NAME.1 {
            object(&"a".repeat(41), &json!({"payment": {"sandbox": {}}}))
        } else {
            let case = WRONG.iter().find(|(rule, _)| rule.1 == *message);
            let (_, wrong) = case.unwrap_or_else(|| panic!("no case for: {place}: {message}"));
            self::object("demo", &spec(&server.schema, &path[1..], &yaml(wrong)))
        };
        let status = server.create(&object, true).await.expect_err(&place);
        assert_eq!((status.code, status.reason.as_str()), (422, "Invalid"), "{place}: {status:?}");
        let (remote, local) = (remote(&status), local(&object));
        let theirs = broken(&remote, &messages);
        let place = if place.is_empty() { "metadata.name".to_owned() } else { place };
        let expected = (place, bare(message).to_owned());
        assert!(theirs.contains(&expected), "{expected:?}\n{remote:#?}");
        assert_eq!(theirs, broken(&local, &messages), "\n{remote:#?}\n{local:#?}");
    }

    for (path, message) in &of_edits {
        let place = schema::shown(path);
        let case = CHANGED.iter().find(|(rule, ..)| rule.1 == *message);
        let (_, before, after) = case.unwrap_or_else(|| panic!("no case for: {place}: {message}"));
        let name = format!("shop-{:08x}", fastrand::u32(..));
        let spec = |value| spec(&server.schema, &path[1..], &yaml(value));
        let mut stored = server.create(&object(&name, &spec(before)), false).await.unwrap();
        stored["spec"] = spec(after);
        let status = server.replace(&stored).await.expect_err(&place);
        let remote = remote(&status);
        let told = remote.iter().any(|(field, said)| *field == place && said.ends_with(message));
        assert!(told, "{place}: {message}\n{remote:#?}");
        let read = |spec: Value| serde_json::from_value(object(&name, &spec)).unwrap();
        let local = manifest::refused_edits(&read(spec(before)), &read(spec(after))).unwrap();
        let local = local.into_iter().map(|problem| (problem.path, problem.message)).collect();
        assert!(
            broken(&local, &messages).contains(&(place.clone(), (*message).to_owned())),
            "{local:?}"
        );
        // Who sees the edit alone has nothing to compare with.
        assert_eq!(self::local(&object(&name, &spec(after))), Said::new(), "{place}");
    }

    right_ones_are_taken(&server).await;
    shapes(&server).await;
}

/// Every manifest that is right, by what the repository says.
async fn right_ones_are_taken(server: &Server) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut taken = 0;
    for folder in [root.join("../examples"), root.join("tests/cases")] {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "yaml") {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let documents = serde_yaml::Deserializer::from_str(&text);
            let documents =
                documents.map(|one| <Value as serde::Deserialize>::deserialize(one).unwrap());
            for mut object in documents.filter(|object| object["kind"] == "Storefront") {
                // Wherever the file puts it, the request names a namespace of its own.
                object["metadata"]["namespace"] = json!("default");
                assert_eq!(local(&object), Said::new(), "{}", path.display());
                let answer = server.create(&object, true).await;
                assert!(answer.is_ok(), "{}: {answer:?}", path.display());
                taken += 1;
            }
        }
    }
    assert!(taken > 20, "only {taken} manifests were found");
}

/// Names, types, choices and sizes: both refuse, and both name the field.
async fn shapes(server: &Server) {
    let (mut tried, mut faults) = (0, Vec::new());
    for (path, wrong, place) in wrong_shapes(&server.schema["properties"]["spec"]) {
        let object = object("demo", &spec(&server.schema, &path, &wrong));
        let local = local(&object);
        // That an entry is there twice, a rule tells of the list.
        let list = place.strip_suffix("[1]").unwrap_or(&place);
        if !local.iter().any(|(field, _)| *field == place || field == list) {
            faults.push(format!("{place}: the command says {local:?} of {wrong}"));
        }
        match server.create(&object, true).await {
            Ok(_) => faults.push(format!("{place}: the API server takes {wrong}")),
            Err(status) => {
                let named = remote(&status).into_iter().any(|(field, _)| field == place);
                // What a field's name is wrong about, is told of the request as a whole.
                if !named && !status.message.contains(&format!("{place:?}")) {
                    faults.push(format!("{place}: the API server says {}", status.message));
                }
            }
        }
        tried += 1;
    }
    assert_eq!(faults, Vec::<String>::new(), "of {tried}");
}

/// Where to put what, and which field is then wrong. A block that is there several times is looked at once.
fn wrong_shapes(spec: &Value) -> Vec<(schema::Path, Value, String)> {
    let mut wrong = Vec::new();
    schema::walk(spec, &mut Vec::new(), &mut |node, path| {
        let is_copy = path.first().is_some_and(|block| block == "services")
            && path.get(1).is_some_and(|service| service != "order")
            || path.iter().skip(1).any(|name| name == "placement");
        if is_copy {
            return;
        }
        let place = |more: &[&str]| {
            let more = more.iter().map(|name| (*name).to_owned());
            schema::shown(
                &["spec".to_owned()]
                    .into_iter()
                    .chain(path.clone())
                    .chain(more)
                    .collect::<Vec<_>>(),
            )
        };
        let mut add = |value: Value, more: &[&str]| wrong.push((path.clone(), value, place(more)));
        for (value, more) in wrong_values(node) {
            add(value, &more);
        }
    });
    wrong
}

/// Values that a node of the schema does not take, and the field in it that is wrong.
fn wrong_values(node: &Value) -> Vec<(Value, Vec<&str>)> {
    let mut wrong = Vec::new();
    let right = schema::sample(node);
    let limit = |name: &str| node[name].as_u64().map(|limit| usize::try_from(limit).unwrap());
    match node["type"].as_str() {
        Some("object") => {
            wrong.push((json!("a"), vec![]));
            if node["additionalProperties"].is_null() {
                let mut unknown = right.clone();
                unknown["unknownName"] = json!(1);
                wrong.push((unknown, vec!["unknownName"]));
            }
            for name in node["required"].as_array().into_iter().flatten() {
                let name = name.as_str().unwrap();
                let mut lacking = right.clone();
                lacking.as_object_mut().unwrap().remove(name);
                wrong.push((lacking, vec![name]));
            }
            if let Some(limit) = limit("maxProperties") {
                let value = schema::sample(&node["additionalProperties"]);
                let many = (0..=limit).map(|n| (format!("key-{n}"), value.clone()));
                wrong.push((Value::Object(many.collect()), vec![]));
            }
        }
        Some("array") => {
            wrong.push((json!("a"), vec![]));
            let entry = schema::sample(&node["items"]);
            if let Some(limit) = limit("maxItems") {
                wrong.push((json!(vec![entry.clone(); limit + 1]), vec![]));
            }
            if node["x-kubernetes-list-type"].is_string() {
                wrong.push((json!([entry, entry]), vec!["[1]"]));
            }
        }
        Some("integer") => {
            wrong.push((json!("1"), vec![]));
            wrong.push((json!(1.5), vec![]));
            if node["format"] == "int32" {
                wrong.push((json!(1_i64 << 40), vec![]));
            }
            wrong.push((json!(1_u64 << 63), vec![]));
        }
        Some("boolean") => wrong.push((json!("true"), vec![])),
        Some("string") => {
            wrong.push((json!(1), vec![]));
            if node["enum"].is_array() {
                wrong.push((json!("Unknown"), vec![]));
            }
            if let Some(limit) = limit("maxLength") {
                wrong.push((json!("a".repeat(limit + 1)), vec![]));
            }
        }
        _ => wrong.push((json!(true), vec![])),
    }
    wrong
}
