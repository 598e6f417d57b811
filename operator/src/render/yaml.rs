//! The objects as people read them.

use k8s_openapi::api::core::v1::Secret;

use super::Object;

/// A stream of YAML documents that `kubectl apply` takes. Secrets are written as text.
pub fn yaml(objects: &[Object]) -> Result<String, serde_yaml::Error> {
    let mut text = String::new();
    for object in objects {
        text.push_str("---\n");
        text.push_str(&match object {
            Object::Secret(secret) => serde_yaml::to_string(&as_text(secret))?,
            other => serde_yaml::to_string(other)?,
        });
    }
    Ok(text)
}

fn as_text(secret: &Secret) -> Secret {
    let mut secret = secret.clone();
    let data = secret.data.take().unwrap_or_default();
    let text = |(key, value): (String, k8s_openapi::ByteString)| {
        (key, String::from_utf8_lossy(&value.0).into_owned())
    };
    secret.string_data = Some(data.into_iter().map(text).collect());
    secret
}
