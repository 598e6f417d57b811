//! The operator's program, run as the chart's Deployment says, with the rights of its `ServiceAccount`.

use std::path::Path;

use k8s_openapi::api::{apps::v1::Deployment, core::v1::EnvVar};
use kube::Api;
use storefront_testkit::{Running, free_ports};

use crate::world::{HOME, RELEASE, World};

pub struct Operator {
    running: Running,
}

impl Operator {
    pub async fn start(world: &World) -> Self {
        Self::of(world, HOME, RELEASE).await
    }

    /// That of another release.
    pub async fn of(world: &World, home: &str, name: &str) -> Self {
        let deployments: Api<Deployment> = Api::namespaced(world.client.clone(), home);
        let deployment = deployments.get(name).await.unwrap();
        let pod = deployment.spec.unwrap().template.spec.unwrap();
        let account = pod.service_account_name.unwrap();
        let kubeconfig = world.kubernetes.kubeconfig_of(home, &account).await.unwrap();
        let container = pod.containers.into_iter().next().unwrap();
        let mut arguments = container.args.unwrap();
        // The port of the pod may be taken on this machine.
        let [port] = free_ports().unwrap();
        arguments.push(format!("--listen=127.0.0.1:{port}"));
        let environment = container.env.unwrap();
        let mut environment: Vec<_> =
            environment.iter().map(|it| variable(it, home, name)).collect();
        environment.push(("KUBECONFIG".into(), kubeconfig.to_string_lossy().into_owned()));
        let program = Path::new(env!("CARGO_BIN_EXE_storefront-operator"));
        Self { running: Running::start(program, &arguments, environment).unwrap() }
    }

    /// As a kubelet stops it.
    pub fn stop(self) {
        self.running.stop().unwrap();
    }
}

/// As a kubelet fills it in.
fn variable(variable: &EnvVar, home: &str, name: &str) -> (String, String) {
    let from = variable.value_from.as_ref().and_then(|from| from.field_ref.as_ref());
    let value = match from.map(|from| from.field_path.as_str()) {
        None => variable.value.clone().unwrap_or_default(),
        Some("metadata.name") => format!("{name}-0"),
        Some("metadata.namespace") => home.to_owned(),
        Some(other) => unreachable!("a field that this test does not know: {other}"),
    };
    (variable.name.clone(), value)
}
