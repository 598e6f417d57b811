//! How the operator in the cluster was installed: which images it gives to those who write none. From its own
//! Deployment where that may be read, else from what it has made for the shop. Pure.

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Container};
use kube::{ResourceExt, core::DynamicObject};
use serde_json::Value;
use storefront_contract::CATALOG;
use storefront_operator::{
    Storefront, StorefrontSpec, controller::observe::Live, names, render::Options,
};

/// Label by which the operator's own Deployment is found.
pub const OPERATOR: &str = "app.kubernetes.io/name=storefront-operator";
const OPERATOR_NAME: &str = "storefront-operator";
const VERSION: &str = "app.kubernetes.io/version";

/// What is known, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    pub options: Options,
    pub source: String,
    /// Version of the operator, when it is known.
    pub version: Option<String>,
}

/// From the Deployment of the operator that looks after a namespace.
pub fn of_operator(deployments: &[Deployment], namespace: &str) -> Option<Installed> {
    let containers = |it: &Deployment| -> Vec<Container> {
        it.spec.as_ref().and_then(|spec| spec.template.spec.clone()).unwrap_or_default().containers
    };
    let setting = |it: &Deployment, variable: &str, flag: &str| {
        containers(it).iter().find_map(|container| written(container, variable, flag))
    };
    let watched = |it: &Deployment| setting(it, "WATCH_NAMESPACE", "--namespace");
    let ours = deployments.iter().find(|it| {
        watched(it).is_some_and(|names| names.split(',').any(|name| name.trim() == namespace))
    });
    let ours = ours.or_else(|| deployments.iter().find(|it| watched(it).is_none()))?;
    let own = Options::default();
    let or = |variable: &str, flag: &str, own: String| setting(ours, variable, flag).unwrap_or(own);
    let label = ours.labels().get(VERSION).cloned();
    let image = containers(ours).into_iter().find_map(|container| container.image);
    let version = label.or_else(|| Some(split(&image?)?.1.to_owned()));
    Some(Installed {
        options: Options {
            registry: or("IMAGE_REGISTRY", "--image-registry", own.registry),
            tag: or("IMAGE_TAG", "--image-tag", version.clone().unwrap_or(own.tag)),
            kafka_image: or("KAFKA_IMAGE", "--kafka-image", own.kafka_image),
            kafka_version: or("KAFKA_VERSION", "--kafka-version", own.kafka_version),
            postgres_image: or("POSTGRES_IMAGE", "--postgres-image", own.postgres_image),
            namespace: ours.namespace(),
        },
        source: format!(
            "the operator {} in namespace {}",
            ours.name_any(),
            ours.namespace().unwrap_or_default()
        ),
        version,
    })
}

/// A setting of a container, by its variable or its flag.
fn written(container: &Container, variable: &str, flag: &str) -> Option<String> {
    let words: Vec<_> =
        [&container.command, &container.args].into_iter().flatten().flatten().collect();
    let by_flag = words.iter().enumerate().find_map(|(index, word)| {
        let rest = word.strip_prefix(flag)?;
        match rest.strip_prefix('=') {
            Some(value) => Some(value.to_owned()),
            None if rest.is_empty() => words.get(index + 1).map(|value| (*value).clone()),
            None => None,
        }
    });
    let by_variable = container.env.iter().flatten().find(|it| it.name == variable);
    let by_variable = by_variable.and_then(|it| it.value.clone());
    by_flag.or(by_variable).filter(|value| !value.is_empty())
}

/// From what was made for a shop that writes no images itself.
pub fn of_shop(before: Option<&Storefront>, live: &Live) -> Installed {
    let mut options = Options::default();
    let Some(before) = before else {
        let source = "this command's own version, as no operator can be seen";
        return Installed { options, source: source.to_owned(), version: None };
    };
    let (spec, shop) = (&before.spec, before.name_any());
    services(spec, &shop, live, &mut options);
    let kafka = spec.kafka.as_ref().and_then(|kafka| kafka.managed.as_ref());
    if kafka.is_none_or(|kafka| kafka.image.is_none())
        && let Some(image) = image(live, "StatefulSet", &shop, names::KAFKA)
        && let Some((name, tag)) = split(&image)
    {
        name.clone_into(&mut options.kafka_image);
        if kafka.is_none_or(|kafka| kafka.version.is_none()) {
            tag.clone_into(&mut options.kafka_version);
        }
    }
    let database = spec.database.as_ref().and_then(|database| database.managed.as_ref());
    if database.is_none_or(|database| database.image.is_none())
        && let Some(image) = image(live, "StatefulSet", &shop, names::DATABASE)
    {
        options.postgres_image = image;
    }
    options.namespace = let_in(live);
    let source = "what the shop runs now, as the operator itself cannot be seen";
    Installed { options, source: source.to_owned(), version: None }
}

fn services(spec: &StorefrontSpec, shop: &str, live: &Live, options: &mut Options) {
    let services = spec.services.as_ref();
    let own = |id| services.and_then(|all| all.get(id)).is_some_and(|it| it.image.is_some());
    let names = CATALOG.iter().filter(|entry| !own(entry.id)).map(|entry| entry.id.name());
    let found = names.chain([names::SANDBOX]).find_map(|name| {
        let image = image(live, "Deployment", shop, name)?;
        let (path, tag) = split(&image)?;
        let registry = path.strip_suffix(&format!("/storefront-{name}"))?;
        Some((registry.to_owned(), tag.to_owned()))
    });
    let Some((registry, tag)) = found else { return };
    let images = spec.images.as_ref();
    if images.is_none_or(|images| images.registry.is_none()) {
        options.registry = registry;
    }
    if images.is_none_or(|images| images.tag.is_none()) {
        options.tag = tag;
    }
}

/// The namespace from which policies of the shop let the operator in.
fn let_in(live: &Live) -> Option<String> {
    const PEERS: &str = "/spec/ingress";
    let of_operator = |peer: &Value| {
        let label = peer.pointer("/podSelector/matchLabels/app.kubernetes.io~1name")?;
        let name = "/namespaceSelector/matchLabels/kubernetes.io~1metadata.name";
        let namespace = peer.pointer(name)?.as_str().map(str::to_owned)?;
        (label == OPERATOR_NAME).then_some(namespace)
    };
    let rules = live.objects.iter().filter_map(|object| object.data.pointer(PEERS)?.as_array());
    let mut peers = rules.flatten().filter_map(|rule| rule["from"].as_array()).flatten();
    peers.find_map(of_operator)
}

/// What the operator will be once it is upgraded to the version of this command.
pub fn upgraded(installed: Installed) -> Installed {
    let own = Options::default();
    let source = format!("an operator of version {}, as this command is", own.tag);
    Installed {
        version: Some(own.tag.clone()),
        options: Options { tag: own.tag, kafka_version: own.kafka_version, ..installed.options },
        source,
    }
}

/// The image that a part runs now.
fn image(live: &Live, kind: &str, shop: &str, part: &str) -> Option<String> {
    let object: &DynamicObject = live.find(kind, &names::object(shop, part))?;
    let image = object.data.pointer("/spec/template/spec/containers/0/image")?;
    image.as_str().map(str::to_owned)
}

/// An image's name and tag; a port of its registry is no tag.
fn split(image: &str) -> Option<(&str, &str)> {
    let (name, tag) = image.rsplit_once(':')?;
    (!tag.contains('/')).then_some((name, tag))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn operator(namespace: &str, container: &Value) -> Deployment {
        serde_json::from_value(json!({
            "metadata": {"name": "op", "namespace": namespace, "labels": {VERSION: "9.9.9"}},
            "spec": {"selector": {}, "template": {"spec": {"containers": [container]}}},
        }))
        .unwrap()
    }

    #[test]
    fn the_operator_of_the_namespace_says_how_it_was_installed() {
        let wide = json!({"name": "o", "image": "r:5000/operator:1.2.3", "args": [
            "--image-registry=example.com/a", "--kafka-version", "4.2.0",
        ], "env": [{"name": "POSTGRES_IMAGE", "value": "pg:18"}, {"name": "IMAGE_TAG", "value": ""}]});
        let narrow =
            json!({"name": "o", "env": [{"name": "WATCH_NAMESPACE", "value": "others,shops"}]});
        let all = [operator("system", &wide), operator("shops", &narrow)];
        let found = of_operator(&all, "third").unwrap();
        assert_eq!(
            found.options,
            Options {
                registry: "example.com/a".into(),
                tag: "9.9.9".into(),
                kafka_version: "4.2.0".into(),
                postgres_image: "pg:18".into(),
                namespace: Some("system".into()),
                ..Options::default()
            }
        );
        assert_eq!(
            of_operator(&all, "shops").unwrap().options.registry,
            Options::default().registry
        );
        assert_eq!(of_operator(&all[1..], "third"), None);
    }

    #[test]
    fn what_a_shop_runs_tells_the_rest() {
        let object = |kind: &str, name: &str, image: &str| -> DynamicObject {
            serde_json::from_value(json!({
                "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name},
                "spec": {"template": {"spec": {"containers": [{"image": image}]}}},
            }))
            .unwrap()
        };
        let shop = |spec: Value| -> Storefront {
            serde_json::from_value(json!({"metadata": {"name": "demo"}, "spec": spec})).unwrap()
        };
        let live = Live {
            objects: vec![
                object("Deployment", "demo-gateway", "r.example/x/storefront-gateway:7"),
                object("StatefulSet", "demo-kafka", "mirror/kafka:4.1.1"),
                object("StatefulSet", "demo-database", "mirror/postgres:17"),
            ],
        };
        let found = of_shop(Some(&shop(json!({"payment": {"sandbox": {}}}))), &live).options;
        let kafka = (found.kafka_image.as_str(), found.kafka_version.as_str());
        assert_eq!((found.registry.as_str(), found.tag.as_str()), ("r.example/x", "7"));
        assert_eq!(
            (kafka, found.postgres_image.as_str()),
            (("mirror/kafka", "4.1.1"), "mirror/postgres:17")
        );
        let newer = upgraded(of_shop(Some(&shop(json!({"payment": {"sandbox": {}}}))), &live));
        assert_eq!(
            (newer.options.registry.as_str(), newer.options.tag),
            ("r.example/x", Options::default().tag)
        );
        // What the manifest writes itself says nothing of the operator.
        let own = shop(json!({"payment": {"sandbox": {}}, "images": {"tag": "7"}}));
        assert_eq!(of_shop(Some(&own), &live).options.tag, Options::default().tag);
    }
}
