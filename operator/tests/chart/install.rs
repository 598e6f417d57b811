//! The life of a release: installed in chosen namespaces, upgraded, uninstalled, and installed again.

use std::{collections::BTreeSet, fs, path::Path};

use k8s_openapi::{
    api::core::v1::{Service, ServiceAccount},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams},
};
use serde_json::{Value, json};
use storefront_operator::{Storefront, crd, render::Options};
use storefront_testkit::{define, eventually, helm};

use crate::{
    CHART,
    operator::Operator,
    world::{HOME, LIMIT, MORE, RELEASE, SHOPS, World, demo},
};

fn definitions(world: &World) -> Api<CustomResourceDefinition> {
    Api::all(world.client.clone())
}

/// Printer columns of the definition that is installed.
async fn columns(world: &World) -> Vec<String> {
    let definition = definitions(world).get("storefronts.storefront.dev").await.unwrap();
    let columns = definition.spec.versions[0].additional_printer_columns.clone();
    columns.unwrap_or_default().into_iter().map(|column| column.name).collect()
}

/// The chart as it may have been before, with a column less.
fn older_chart(folder: &Path) {
    for name in ["Chart.yaml", "values.yaml", "values.schema.json"] {
        fs::copy(format!("{CHART}/{name}"), folder.join(name)).unwrap();
    }
    for below in ["templates", "templates/tests", "files"] {
        fs::create_dir(folder.join(below)).unwrap();
        for file in fs::read_dir(format!("{CHART}/{below}")).unwrap() {
            let file = file.unwrap();
            if file.file_type().unwrap().is_file() {
                fs::copy(file.path(), folder.join(below).join(file.file_name())).unwrap();
            }
        }
    }
    let chart = fs::read_to_string(folder.join("Chart.yaml")).unwrap();
    fs::write(folder.join("Chart.yaml"), chart.replace("\nversion: ", "\nversion: 0.0.1-"))
        .unwrap();
    let definition = crd::yaml().unwrap();
    let lag = "    - jsonPath: .status.lag\n      name: Lag\n      type: integer\n";
    assert!(definition.contains(lag));
    fs::write(folder.join("files/storefront.yaml"), definition.replace(lag, "")).unwrap();
}

/// Every object of the shop that the operator makes, with its version.
async fn versions(world: &World) -> BTreeSet<(String, String)> {
    let mut versions = BTreeSet::new();
    for (api_version, kind) in [
        ("apps/v1", "Deployment"),
        ("apps/v1", "StatefulSet"),
        ("v1", "Service"),
        ("v1", "ConfigMap"),
        ("v1", "ServiceAccount"),
        ("v1", "Secret"),
        ("networking.k8s.io/v1", "NetworkPolicy"),
    ] {
        let metadata = json!({"namespace": SHOPS});
        let any = json!({"apiVersion": api_version, "kind": kind, "metadata": metadata});
        let ours = ListParams::default().labels("app.kubernetes.io/managed-by=storefront-operator");
        for object in world.api(&any).list(&ours).await.unwrap() {
            let version = object.resource_version().unwrap();
            versions.insert((format!("{kind} {}", object.name_any()), version));
        }
    }
    versions
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_renews_the_definition_and_an_uninstall_leaves_the_shops() {
    let world = World::new().await;
    let older = tempfile::tempdir().unwrap();
    older_chart(older.path());
    let older = older.path().to_str().unwrap();
    let notes = world.helm(&["install", RELEASE, older]).await.unwrap();
    let notes = notes.split_once("NOTES:").unwrap().1;
    insta::assert_snapshot!("notes", notes.replace(&Options::default().tag, "VERSION"));
    assert!(!columns(&world).await.contains(&"Lag".to_owned()));

    world.install("upgrade", &[]).await.unwrap();
    assert!(columns(&world).await.contains(&"Lag".to_owned()));
    let operator = Operator::start(&world).await;
    world.comes_to(&demo(), "Progressing", "RollingOut").await;
    operator.stop();
    let before = versions(&world).await;
    assert!(before.len() > 20, "{before:?}");

    world.helm(&["uninstall", RELEASE]).await.unwrap();
    let accounts: Api<ServiceAccount> = Api::namespaced(world.client.clone(), HOME);
    assert!(accounts.get_opt(RELEASE).await.unwrap().is_none());
    let shops: Api<Storefront> = Api::namespaced(world.client.clone(), SHOPS);
    shops.get("demo").await.unwrap();
    assert_eq!(versions(&world).await, before);

    // Again, while something is missing: that comes back, and nothing else is touched.
    let services: Api<Service> = Api::namespaced(world.client.clone(), SHOPS);
    services.delete("demo-gateway", &DeleteParams::default()).await.unwrap();
    world.install("install", &[]).await.unwrap();
    let operator = Operator::start(&world).await;
    eventually(LIMIT, "the Service is back", async || {
        services.get_opt("demo-gateway").await.unwrap().is_some()
    })
    .await;
    operator.stop();
    let gateway = |(name, _): &(String, String)| name == "Service demo-gateway";
    let without = |versions: BTreeSet<_>| -> BTreeSet<_> {
        versions.into_iter().filter(|version| !gateway(version)).collect()
    };
    assert_eq!(without(versions(&world).await), without(before));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_kept_goes_with_the_release() {
    let world = World::new().await;
    world.install("install", &["--set", "crds.keep=false"]).await.unwrap();
    world.helm(&["uninstall", RELEASE]).await.unwrap();
    eventually(LIMIT, "the definition is gone", async || {
        definitions(&world).get_opt("storefronts.storefront.dev").await.unwrap().is_none()
    })
    .await;
}

/// Who installs it may do everything in three namespaces and nothing in the cluster.
async fn installer(world: &World) -> std::path::PathBuf {
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "installer", "namespace": HOME},
    });
    world.apply(&account).await.unwrap();
    for namespace in [HOME, SHOPS, MORE] {
        let metadata = json!({"name": "installer", "namespace": namespace});
        let group = "rbac.authorization.k8s.io";
        let subject = json!({"kind": "ServiceAccount", "name": "installer", "namespace": HOME});
        let all = json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]});
        for object in [
            json!({"kind": "Role", "rules": [all]}),
            json!({
                "kind": "RoleBinding",
                "roleRef": {"apiGroup": group, "kind": "Role", "name": "installer"},
                "subjects": [subject],
            }),
        ] {
            let mut object = object;
            object["apiVersion"] = json!(format!("{group}/v1"));
            object["metadata"] = metadata.clone();
            world.apply(&object).await.unwrap();
        }
    }
    world.kubernetes.kubeconfig_of(HOME, "installer").await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn in_chosen_namespaces_it_needs_no_right_in_the_cluster() {
    let world = World::new().await;
    // Somebody with more rights has made the definition.
    define(&world.client, &crd::definition().unwrap()).await.unwrap();
    let installer = installer(&world).await;
    let values = format!("{CHART}/ci/namespaced-values.yaml");
    let words =
        |verb, set| [verb, RELEASE, CHART, "--namespace", HOME, "--values", &values, "--set", set];
    // Whether somebody looks after the whole cluster is not for this installer to see.
    let looks = "watch.namespaces={shops,more},watch.alone=false";
    let refused = helm(Some(&installer), &words("install", looks)).await.unwrap_err().to_string();
    assert!(refused.contains("cannot list resource \"clusterrolebindings\""), "{refused}");
    let set = "watch.namespaces={shops,more},watch.secrets=true";
    helm(Some(&installer), &words("install", set)).await.unwrap();
    helm(Some(&installer), &words("upgrade", &format!("{set},watch.alone=false"))).await.unwrap();

    let operator = Operator::start(&world).await;
    for namespace in [SHOPS, MORE] {
        let mut shop = demo();
        shop["metadata"]["namespace"] = json!(namespace);
        world.comes_to(&shop, "Progressing", "RollingOut").await;
    }
    // What changes by hand in either of them comes back.
    for namespace in [SHOPS, MORE] {
        let services: Api<Service> = Api::namespaced(world.client.clone(), namespace);
        services.delete("demo-gateway", &DeleteParams::default()).await.unwrap();
        eventually(LIMIT, &format!("the Service of {namespace} is back"), async || {
            services.get_opt("demo-gateway").await.unwrap().is_some()
        })
        .await;
    }
    operator.stop();
    eventually(LIMIT, "the watch of Secrets has ended and is written down", async || {
        let is = |request: &Value, name: &str| request["objectRef"]["resource"] == name;
        let asked = world.asked();
        asked.iter().any(|request| request["verb"] == "watch" && is(request, "secrets"))
    })
    .await;
    for request in world.asked() {
        let place = request["objectRef"]["namespace"].as_str();
        assert!(place.is_some_and(|place| [HOME, SHOPS, MORE].contains(&place)), "{request:#}");
        let allowed = &request["annotations"]["authorization.k8s.io/decision"];
        assert_eq!(*allowed, Value::from("allow"), "{request:#}");
    }
}
