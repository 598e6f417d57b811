//! `ServiceAccount`s: who they are to the API server, and what they may do.

use std::path::PathBuf;

use anyhow::Context;
use k8s_openapi::api::{authentication::v1::TokenRequest, core::v1::ServiceAccount};
use kube::api::{Api, PostParams};

use super::Kubernetes;

impl Kubernetes {
    /// A client with the rights of a `ServiceAccount` and no others, by a token of its own.
    pub async fn client_of(&self, namespace: &str, account: &str) -> anyhow::Result<kube::Client> {
        self.client_with(&self.token_of(namespace, account).await?)
    }

    /// A kubeconfig with the rights of a `ServiceAccount` and no others, for other programs.
    pub async fn kubeconfig_of(&self, namespace: &str, account: &str) -> anyhow::Result<PathBuf> {
        let token = self.token_of(namespace, account).await?;
        self.write_kubeconfig(&format!("kubeconfig-{namespace}-{account}"), &token)
    }

    async fn token_of(&self, namespace: &str, account: &str) -> anyhow::Result<String> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client()?, namespace);
        let (parameters, request) = (PostParams::default(), TokenRequest::default());
        let made = accounts.create_token_request(account, &parameters, &request).await?;
        Ok(made.status.context("the API server gave no token")?.token)
    }
}
