//! Pods without a node: the containers of a rendered `StatefulSet` with their volumes as folders of this
//! machine, and their scripts as they are, but for the paths of the folders.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{ConfigMap, Container, PodSpec, Secret},
};
use serde_json::{Value, json};
use storefront_operator::{
    Storefront,
    plan::{Placement, plan},
    render::{Apis, Generated, Input, Object, Options, render},
};
use storefront_testkit::Running;
use tempfile::TempDir;

/// Everything that is rendered for a shop `demo` in the namespace `shops`.
pub fn rendered(spec: &Value) -> Vec<Object> {
    let storefront: Storefront = serde_json::from_value(json!({
        "apiVersion": "storefront.dev/v1alpha1",
        "kind": "Storefront",
        "metadata": {"name": "demo", "namespace": "shops", "uid": "6e1f7a52"},
        "spec": spec,
    }))
    .unwrap();
    let placement = Placement::cluster(&storefront, "shops").unwrap();
    let plan = plan(&storefront, &placement).unwrap();
    let generated = Generated {
        kafka_cluster_id: "Vb1sC3XtTaqQpOY0sV3ZkQ".into(),
        database_password: "correcthorse".into(),
        ..Generated::placeholders()
    };
    let (options, apis) = (Options::default(), Apis::default());
    render(&Input {
        storefront: &storefront,
        plan: &plan,
        placement: &placement,
        options: &options,
        generated: &generated,
        apis: &apis,
    })
}

/// One pod. What is in its volumes stays from start to start.
pub struct Pod {
    pub name: String,
    spec: PodSpec,
    files: BTreeMap<(String, String), String>,
    /// What stands in a script or a file, and what is put in its place.
    places: Vec<(String, String)>,
    root: TempDir,
}

impl Pod {
    /// The pod of that number. `elsewhere` says what else of the image or the network is in another place
    /// here than in a pod.
    pub fn new(objects: &[Object], set: &str, number: usize, elsewhere: &[(&str, &str)]) -> Self {
        let sets = objects.iter().find_map(|object| match object {
            Object::StatefulSet(there) if object.name() == set => Some(there),
            _ => None,
        });
        let set: &StatefulSet = sets.unwrap();
        let spec = set.spec.as_ref().unwrap().template.spec.clone().unwrap();
        let root = TempDir::with_prefix("storefront-pod-").unwrap();
        let mut places: Vec<(String, String)> =
            elsewhere.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect();
        let mounts = spec.containers.iter().flat_map(|c| c.volume_mounts.iter().flatten());
        for mount in mounts {
            let folder = root.path().join(mount.mount_path.trim_start_matches('/'));
            fs::create_dir_all(&folder).unwrap();
            places.push((mount.mount_path.clone(), folder.to_string_lossy().into_owned()));
        }
        let name = format!("{}-{number}", set.metadata.name.as_ref().unwrap());
        let pod = Self { name, spec, files: files(objects), places, root };
        pod.mount();
        pod
    }

    /// Where a path of the pod is on this machine.
    pub fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(self.here(path))
    }

    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// Puts what differs here from the pod in its place, in one go: what was put is not looked at again.
    pub fn here(&self, text: &str) -> String {
        let (mut here, mut rest) = (String::new(), text);
        while let Some(next) = rest.chars().next() {
            let found = self.places.iter().find(|(from, _)| rest.starts_with(from.as_str()));
            if let Some((from, to)) = found {
                here += to;
                rest = &rest[from.len()..];
            } else {
                here.push(next);
                rest = &rest[next.len_utf8()..];
            }
        }
        here
    }

    /// Writes the keys of ConfigMaps and Secrets where the kubelet would.
    fn mount(&self) {
        for volume in self.spec.volumes.iter().flatten() {
            let Some(projected) = &volume.projected else { continue };
            let mounts = self.spec.containers.iter().flat_map(|c| c.volume_mounts.iter().flatten());
            let mut mounts = mounts.filter(|mount| mount.name == volume.name);
            let folder = self.path(&mounts.next().unwrap().mount_path);
            for source in projected.sources.iter().flatten() {
                let map = source.config_map.as_ref().map(|map| (&map.name, &map.items));
                let secret = source.secret.as_ref().map(|secret| (&secret.name, &secret.items));
                let (name, items) = map.or(secret).unwrap();
                let all = self.files.iter().filter(|((of, _), _)| of == name);
                for ((_, key), text) in all {
                    let item = items.iter().flatten().find(|item| item.key == *key);
                    let path = item.map_or(key, |item| &item.path);
                    if items.is_none() || item.is_some() {
                        let file = folder.join(path);
                        fs::create_dir_all(file.parent().unwrap()).unwrap();
                        fs::write(file, self.here(text)).unwrap();
                    }
                }
            }
        }
    }

    /// Another version of the image, or another network: what differs from now on.
    pub fn change(&mut self, from: &str, to: &str) {
        let place = self.places.iter_mut().find(|(there, _)| there == from).unwrap();
        to.clone_into(&mut place.1);
        self.mount();
    }

    /// The command of a container and its variables.
    fn command(&self, container: &Container) -> (Vec<String>, Vec<(String, String)>) {
        let words = container.command.iter().flatten().map(|word| self.here(word)).collect();
        let variables = container.env.iter().flatten().map(|variable| {
            let value = match &variable.value {
                Some(value) => self.here(value),
                // The only field that pods here ask for.
                None => self.name.clone(),
            };
            (variable.name.clone(), value)
        });
        (words, variables.collect())
    }

    /// Runs the init container to its end, with more variables.
    pub fn init(&self, more: &[(String, String)]) -> Output {
        let container = &self.spec.init_containers.as_ref().unwrap()[0];
        let (words, variables) = self.command(container);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).envs(variables).envs(more.iter().cloned());
        command.output().unwrap()
    }

    /// Starts the init container in a group of processes of its own.
    pub fn start_init(&self, more: &[(String, String)]) -> Running {
        self.start_container(&self.spec.init_containers.as_ref().unwrap()[0], more, Vec::clone)
    }

    /// Starts the pod's container. `run_as` puts what it needs before its command.
    pub fn start(
        &self,
        more: &[(String, String)],
        run_as: impl Fn(&Vec<String>) -> Vec<String>,
    ) -> Running {
        self.start_container(&self.spec.containers[0], more, run_as)
    }

    fn start_container(
        &self,
        container: &Container,
        more: &[(String, String)],
        run_as: impl Fn(&Vec<String>) -> Vec<String>,
    ) -> Running {
        let (words, mut variables) = self.command(container);
        variables.extend_from_slice(more);
        let mut group = vec!["setsid".to_owned()];
        group.extend(run_as(&words));
        Running::script(group, variables).unwrap()
    }
}

/// What the kernel does to a container: it ends with all its processes, at once.
pub fn kill(container: Running) {
    let group = format!("-{}", container.id());
    let killed = Command::new("kill").args(["-s", "KILL", "--", &group]).status().unwrap();
    assert!(killed.success());
    container.ended().unwrap();
}

/// By the name of their ConfigMap or Secret, and their key.
fn files(objects: &[Object]) -> BTreeMap<(String, String), String> {
    let mut files = BTreeMap::new();
    for object in objects {
        let data: BTreeMap<String, String> = match object {
            Object::ConfigMap(map) => {
                let map: &ConfigMap = map;
                map.data.clone().unwrap_or_default()
            }
            Object::Secret(secret) => {
                let secret: &Secret = secret;
                let text =
                    |bytes: &k8s_openapi::ByteString| String::from_utf8(bytes.0.clone()).unwrap();
                let data = secret.data.iter().flatten();
                data.map(|(key, value)| (key.clone(), text(value))).collect()
            }
            _ => continue,
        };
        files.extend(data.into_iter().map(|(key, text)| ((object.name().to_owned(), key), text)));
    }
    files
}
