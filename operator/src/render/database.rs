//! The managed PostgreSQL: one server with one disk.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, ExecAction, Probe, VolumeMount};

use super::{
    Context, Object,
    context::hash,
    deployment::container_port,
    kafka::variable,
    mounts::{self, Mounts},
    pod::{self, Pod, images},
    resources::{Defaults, resources},
    sandbox::tcp_probe,
    secret::{POSTGRES_DATABASE, POSTGRES_USER},
    service::POSTGRES_PORT,
    stateful_set::{self, DISK, DISK_PATH, Set, script, stateful_set},
};
use crate::{
    api::{ManagedDatabase, Storage},
    names,
    plan::cluster,
};

/// The user `postgres` of the image `postgres`.
const USER: i64 = 999;
const GRACE_S: i64 = 60;
const FILES: &str = "/etc/postgres/storefront";
const CONFIG_HASH: &str = "storefront.dev/settings-hash";
const DEFAULTS: Defaults =
    Defaults { cpu_request: "100m", memory_request: "256Mi", memory_limit: "512Mi" };

fn managed<'a>(context: &Context<'a>) -> Option<&'a ManagedDatabase> {
    context.spec.database.as_ref()?.managed.as_ref()
}

fn storage<'a>(context: &Context<'a>) -> Option<&'a Storage> {
    managed(context)?.storage.as_ref()
}

pub(super) fn is_retained(context: &Context<'_>) -> bool {
    stateful_set::is_retained(storage(context))
}

/// What the server starts with.
pub(super) fn files() -> BTreeMap<String, String> {
    BTreeMap::from([("start.sh".to_owned(), include_str!("files/postgres-start.sh").to_owned())])
}

pub(super) fn all(context: &Context<'_>) -> Vec<Object> {
    if !context.manages_database() {
        return Vec::new();
    }
    let managed = managed(context);
    let mounts = mounts(context);
    let template = pod::template(
        context,
        Pod {
            component: names::DATABASE,
            containers: vec![server(context, &mounts)],
            init_containers: Vec::new(),
            volumes: mounts.volumes,
            placement: managed.and_then(|managed| managed.placement.as_ref()),
            metadata: None,
            rolls: BTreeMap::from([(CONFIG_HASH.to_owned(), hash(&files()))]),
            user: USER,
            grace_s: GRACE_S,
        },
    );
    let set = Set {
        component: names::DATABASE,
        service_name: context.name(names::DATABASE),
        replicas: 1,
        storage: storage(context),
        template,
    };
    vec![stateful_set(context, set)]
}

fn mounts(context: &Context<'_>) -> Mounts {
    let mut mounts = Mounts::default();
    let files = mounts::config_map("files", context.name(names::DATABASE));
    mounts.add(files, FILES, true);
    let password = mounts::secret_key(context, names::DATABASE, "password");
    mounts.add(password, cluster::SECRETS, true);
    // A socket and its lock.
    mounts.add(mounts::memory("tmp", "16Mi"), "/tmp", false);
    mounts.mounts.push(VolumeMount {
        name: DISK.to_owned(),
        mount_path: DISK_PATH.to_owned(),
        ..Default::default()
    });
    mounts
}

fn server(context: &Context<'_>, mounts: &Mounts) -> Container {
    let images = images(context);
    let written = managed(context).and_then(|managed| managed.resources.as_ref());
    Container {
        env: Some(vec![
            variable("PGDATA", format!("{DISK_PATH}/postgres")),
            variable("POSTGRES_USER", POSTGRES_USER.into()),
            variable("POSTGRES_DATABASE", POSTGRES_DATABASE.into()),
            variable("PASSWORD_FILE", context.secret_path(names::DATABASE, "password")),
        ]),
        ports: Some(vec![container_port("postgres", POSTGRES_PORT)]),
        // After a crash the server recovers before it takes anybody.
        startup_probe: Some(accepts(1, 600)),
        liveness_probe: Some(tcp_probe("postgres", 10, 6)),
        readiness_probe: Some(accepts(5, 3)),
        resources: Some(resources(written, DEFAULTS)),
        volume_mounts: Some(mounts.mounts.clone()),
        ..script("postgres", images.postgres(), images.pull_policy(), format!("{FILES}/start.sh"))
    }
}

/// Whether the server takes connections; it needs no password to say so.
fn accepts(period_s: i32, failures: i32) -> Probe {
    let command = ["pg_isready", "--quiet", "--host=127.0.0.1", "--port=5432"];
    Probe {
        exec: Some(ExecAction { command: Some(command.map(str::to_owned).into()) }),
        period_seconds: Some(period_s),
        failure_threshold: Some(failures),
        timeout_seconds: Some(3),
        ..Default::default()
    }
}
