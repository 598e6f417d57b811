//! Which image each part runs.

use super::Options;
use crate::{api::StorefrontSpec, names};

/// The images of one Storefront.
#[derive(Clone, Copy, Debug)]
pub struct Images<'a> {
    pub spec: &'a StorefrontSpec,
    pub options: &'a Options,
}

impl Images<'_> {
    fn written(&self) -> Option<&crate::api::Images> {
        self.spec.images.as_ref()
    }

    /// Tag of the services' images.
    pub fn tag(&self) -> &str {
        self.written().and_then(|images| images.tag.as_deref()).unwrap_or(&self.options.tag)
    }

    /// Image of the stand-in for Stripe with its inbox.
    pub fn sandbox(&self) -> String {
        let written = self.written().and_then(|images| images.sandbox.clone());
        written.unwrap_or_else(|| self.part(names::SANDBOX))
    }

    /// Image of a service or of the stand-in, where nothing names it.
    pub fn part(&self, name: &str) -> String {
        let registry = self.written().and_then(|images| images.registry.as_deref());
        let registry = registry.unwrap_or(&self.options.registry);
        format!("{registry}/storefront-{name}:{}", self.tag())
    }

    /// Image of the managed brokers.
    pub fn kafka(&self) -> String {
        let managed = self.spec.kafka.as_ref().and_then(|kafka| kafka.managed.as_ref());
        let version = managed.and_then(|managed| managed.version.as_deref());
        managed.and_then(|managed| managed.image.clone()).unwrap_or_else(|| {
            let version = version.unwrap_or(&self.options.kafka_version);
            format!("{}:{version}", self.options.kafka_image)
        })
    }

    /// Image of the managed database.
    pub fn postgres(&self) -> String {
        let managed = self.spec.database.as_ref().and_then(|database| database.managed.as_ref());
        let image = managed.and_then(|managed| managed.image.clone());
        image.unwrap_or_else(|| self.options.postgres_image.clone())
    }

    /// When an image is fetched.
    pub fn pull_policy(&self) -> &'static str {
        self.written().and_then(|images| images.pull_policy).unwrap_or_default().name()
    }

    /// Names of the Secrets with the registries' credentials.
    pub fn pull_secrets(&self) -> impl Iterator<Item = &str> {
        let secrets = self.written().and_then(|images| images.pull_secrets.as_ref());
        secrets.into_iter().flatten().map(|secret| secret.name.as_str())
    }
}
