//! The operator as its chart installs it.

use std::env;

use anyhow::{Context, Result};

use crate::{
    figures::{Start, start_anew},
    kubectl::{helm, kubectl, kubectl_with},
    place::restricted,
    shop::memory_of,
};

/// Where the operator is.
pub(crate) const NAMESPACE: &str = "storefront-system";
const RELEASE: &str = "storefront";

/// A release of the chart. Tests run one after the other and share it.
pub struct Operator {
    /// Names of images, and other values of the chart, for this cluster.
    values: String,
    /// Where the images are.
    pub registry: String,
    /// Tags of two releases of all images.
    pub tags: [String; 2],
}

impl Operator {
    /// What `tests/e2e/run` says of the cluster; installed, when it is not there.
    pub async fn installed() -> Result<Self> {
        let operator = Self::of_environment()?;
        kubectl_with("apply --filename=-", &restricted(NAMESPACE)).await?;
        operator.install(&operator.tags[0]).await?;
        Ok(operator)
    }

    fn of_environment() -> Result<Self> {
        let text = |name: &str| {
            let value = env::var_os(name).and_then(|value| value.into_string().ok());
            value.with_context(|| format!("{name} is not set: run `make e2e`"))
        };
        let tags = text("E2E_TAGS")?;
        let (first, second) = tags.split_once(' ').context("E2E_TAGS are two words")?;
        Ok(Self {
            values: text("E2E_VALUES")?,
            registry: text("E2E_REGISTRY")?,
            tags: [first.to_owned(), second.to_owned()],
        })
    }

    /// Installs or upgrades to an operator of this tag; shops keep running images of the first one.
    pub async fn install(&self, tag: &str) -> Result<()> {
        let (registry, first) = (&self.registry, &self.tags[0]);
        let set = [
            format!("image.registry={registry}"),
            "image.repository=storefront-operator".to_owned(),
            format!("image.tag={tag}"),
            format!("test.image.registry={registry}"),
            "test.image.repository=storefront".to_owned(),
            format!("test.image.tag={first}"),
            format!("shopImages.services.registry={registry}"),
            format!("shopImages.services.tag={first}"),
        ];
        let mut words = vec!["upgrade", "--install", RELEASE, "charts/storefront-operator"];
        words.extend(["--namespace", NAMESPACE, "--wait", "--timeout=120s"]);
        words.extend(["--values", &self.values]);
        words.extend(set.iter().flat_map(|value| ["--set-string", value]));
        helm(&words).await.map(drop)
    }

    pub async fn uninstall(&self) -> Result<()> {
        helm(&["uninstall", RELEASE, "--namespace", NAMESPACE, "--wait", "--timeout=120s"]).await?;
        let pods = "wait --for=delete pod --selector=app.kubernetes.io/name=storefront-operator";
        kubectl(&format!("{pods} --namespace={NAMESPACE} --timeout=60s")).await.map(drop)
    }

    /// Starts it anew, and says how long that took.
    pub async fn start_anew(&self) -> Result<Start> {
        start_anew(NAMESPACE, "app.kubernetes.io/name=storefront-operator").await
    }

    /// Its pod is gone from one moment to the next.
    pub async fn kill(&self) -> Result<()> {
        let at = format!(
            "--namespace={NAMESPACE} --selector=app.kubernetes.io/name=storefront-operator"
        );
        kubectl(&format!("delete pod {at} --force --grace-period=0")).await?;
        kubectl(&format!("rollout status deployment {at} --timeout=120s")).await.map(drop)
    }

    /// Memory that it really uses, in bytes.
    pub async fn memory(&self) -> Result<u64> {
        memory_of(NAMESPACE).await?.get("operator").copied().context("no operator")
    }

    /// The chart's own test: a purchase in a shop of its own.
    pub async fn test(&self) -> Result<String> {
        helm(&["test", RELEASE, "--namespace", NAMESPACE, "--timeout=180s"]).await
    }
}
