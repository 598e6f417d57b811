//! Secrets that are made by the operator. Those of a retained disk stay with it.

use std::collections::BTreeMap;

use k8s_openapi::{
    ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use super::{Context, Object, database, kafka, sandbox};
use crate::names;

/// The user and the database of the managed PostgreSQL.
pub(super) const POSTGRES_USER: &str = "storefront";
pub(super) const POSTGRES_DATABASE: &str = "storefront";

pub(super) fn all(context: &Context<'_>) -> Vec<Object> {
    let generated = context.input.generated;
    let mut secrets = Vec::new();
    if sandbox::runs(context) && context.spec.is_sandbox() {
        let data = [
            ("api-key", generated.sandbox_api_key.clone()),
            ("webhook-secret", generated.sandbox_webhook_secret.clone()),
        ];
        secrets.push(secret(context.meta(names::SANDBOX, names::SANDBOX), data));
    }
    if context.manages_database() {
        let password = &generated.database_password;
        let host = context.name(names::DATABASE);
        let url = format!("postgres://{POSTGRES_USER}:{password}@{host}:5432/{POSTGRES_DATABASE}");
        let data = [("password", password.clone()), ("url", url)];
        secrets.push(secret(kept(context, names::DATABASE, database::is_retained(context)), data));
    }
    if let Some(brokers) = context.spec.managed_brokers() {
        let data = [
            ("cluster-id", generated.kafka_cluster_id.clone()),
            // A disk of one broker must not become one of three: the quorum is made once.
            ("brokers", brokers.to_string()),
        ];
        secrets.push(secret(kept(context, names::KAFKA, kafka::is_retained(context)), data));
    }
    secrets
}

fn kept(context: &Context<'_>, part: &str, retained: bool) -> ObjectMeta {
    if retained { context.retained_meta(part, part) } else { context.meta(part, part) }
}

fn secret<const N: usize>(metadata: ObjectMeta, data: [(&str, String); N]) -> Object {
    let data = data.map(|(key, value)| (key.to_owned(), ByteString(value.into_bytes())));
    Secret {
        metadata,
        data: Some(BTreeMap::from(data)),
        type_: Some("Opaque".into()),
        ..Default::default()
    }
    .into()
}
